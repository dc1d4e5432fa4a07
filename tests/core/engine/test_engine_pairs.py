"""Pairs of many-to-many relationships: kept, asked over, shown beside, and never written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import pytest

import holdfast
from holdfast.errors import FilterError, InvalidValue, ProfileError, QueryError
from holdfast.filters import Expression, Related, walk
from holdfast.model import Op, OpKind, Refused, Scope, Unit
from holdfast.schema import Column, ColumnType, ManyToMany, TableSchema
from holdfast.testing import MemoryServer, MemoryStorage
from holdfast_odata import ODataLanguage, ODataSettings
from support.world import ACCOUNT, CONTACT, World

GUESTS = ManyToMany(
    *("account_guests", "accountguest"),
    *("account", "accountid", "guests"),
    *("contact", "contactid", "hosts"),
)
FRIENDS = ManyToMany(
    *("contact_friends", "contactfriend"),
    *("contact", "contactidone", "friends"),
    *("contact", "contactidtwo", "friend_of"),
)


def pairs(relationship: ManyToMany) -> TableSchema:
    name = relationship.intersect
    columns = (f"{name}id", relationship.column1, relationship.column2)
    return TableSchema(
        *(name, f"{name}id", None),
        tuple(Column(each, ColumnType.UNIQUEIDENTIFIER, updatable=False) for each in columns),
        intersect=True,
    )


COMPANY = replace(ACCOUNT, many_to_many=(GUESTS,))
PERSON = replace(CONTACT, many_to_many=(GUESTS, FRIENDS))
EVERYTHING_KEPT = [
    {"name": name} for name in ("account", "contact", "accountguest", "contactfriend")
]


@pytest.fixture
def world() -> World:
    server = MemoryServer([COMPANY, PERSON, pairs(GUESTS), pairs(FRIENDS)], page_size=3)
    return World(server, language=ODataLanguage(ODataSettings()), tables=EVERYTHING_KEPT)


@pytest.fixture
def ids(world: World) -> Mapping[str, str]:
    """Three contacts and three accounts: Alpha has two guests, Beta one, Gamma none."""
    create = world.server.create
    made = {name: create("contact", {"fullname": name}) for name in ("Ann", "Bob", "Cid")}
    made |= {name: create("account", {"name": name}) for name in ("Alpha", "Beta", "Gamma")}
    for account, contact in (("Alpha", "Ann"), ("Alpha", "Bob"), ("Beta", "Bob")):
        made[f"{account} {contact}"] = invite(world, made[account], made[contact])
    for one, other in (("Ann", "Bob"), ("Bob", "Cid"), ("Cid", "Ann")):
        create("contactfriend", {"contactidone": made[one], "contactidtwo": made[other]})
    return made


def invite(world: World, account: str, contact: str) -> str:
    return world.server.create("accountguest", {"accountid": account, "contactid": contact})


@pytest.fixture(params=["follows links", "follows none"])
async def replica(
    request: pytest.FixtureRequest,
    world: World,
    ids: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[holdfast.Replica]:
    """Everything, on storages that can more or less."""
    del ids
    if request.param == "follows none":
        runs = MemoryStorage.runs

        def less(storage: MemoryStorage, expression: Expression) -> bool:
            linked = any(isinstance(node, Related) for node in walk(expression))
            return not linked and runs(storage, expression)

        monkeypatch.setattr(MemoryStorage, "runs", less)
    async with world.replica() as opened:
        await opened.download()
        yield opened


async def found(replica: holdfast.Replica, table: str, asked: str | None) -> list[str]:
    name = "name" if table == "account" else "fullname"
    return sorted([str(row[name]) async for row in replica.table(table).query(asked)])


@pytest.mark.parametrize(
    ("table", "asked", "expected"),
    [
        ("account", "guests/any()", ["Alpha", "Beta"]),
        ("account", "not guests/any()", ["Gamma"]),
        ("account", "guests/any(g:g/fullname eq 'Ann')", ["Alpha"]),
        ("account", "guests/all(g:g/fullname eq 'Bob')", ["Beta", "Gamma"]),
        ("account", "guests/any(g:g/hosts/any(h:h/name eq 'Beta'))", ["Alpha", "Beta"]),
        ("account", "guests/any(g:g/friends/any(f:f/fullname eq 'Cid'))", ["Alpha", "Beta"]),
        ("contact", "friends/any(f:f/fullname eq 'Ann')", ["Cid"]),
        ("contact", "friend_of/any(f:f/fullname eq 'Ann')", ["Bob"]),
        ("contact", "friends/any(f:f/friends/any(e:e/fullname eq 'Ann'))", ["Bob"]),
    ],
)
async def test_a_filter_leads_over_pairs(
    replica: holdfast.Replica, table: str, asked: str, expected: list[str]
) -> None:
    assert await found(replica, table, asked) == expected
    assert await replica.table(table).count(asked) == len(expected)


async def test_a_filter_sees_how_the_row_at_the_other_end_stands_here(
    replica: holdfast.Replica, ids: Mapping[str, str]
) -> None:
    await replica.table("contact").update(ids["Ann"], {"fullname": "Anna"})
    pending = "guests/any(g:g/holdfast.pending())"
    assert await found(replica, "account", pending) == ["Alpha"]


async def test_a_row_that_was_deleted_here_is_at_no_end_of_a_pair(
    replica: holdfast.Replica, ids: Mapping[str, str]
) -> None:
    await replica.table("contact").delete(ids["Bob"])
    assert await found(replica, "account", "guests/any()") == ["Alpha"]
    rows = replica.table("account").query(expand="guests($select=fullname)", order_by="name")
    assert [len(row.many("guests")) async for row in rows] == [1, 0, 0]
    await replica.sync()
    assert await found(replica, "account", "guests/any()") == ["Alpha"]


async def test_the_rows_at_the_other_end_stand_beside(replica: holdfast.Replica) -> None:
    rows = replica.table("account").query(
        expand="guests($select=fullname;$orderby=fullname desc),primarycontactid($expand=friends)",
        order_by="name",
    )
    beside = {
        str(row["name"]): [str(guest["fullname"]) for guest in row.many("guests")]
        async for row in rows
    }
    assert beside == {"Alpha": ["Bob", "Ann"], "Beta": ["Bob"], "Gamma": []}


async def test_each_end_of_a_table_with_itself_has_its_own_rows_beside(
    replica: holdfast.Replica,
) -> None:
    rows = replica.table("contact").query(expand="friends($expand=hosts($top=1)),friend_of")
    seen = {str(row["fullname"]): row async for row in rows}
    ann = seen["Ann"]
    (friend,), (friend_of,) = ann.many("friends"), ann.many("friend_of")
    assert (friend["fullname"], friend_of["fullname"]) == ("Bob", "Cid")
    assert len(friend.many("hosts")) == 1


async def test_an_end_that_has_no_name_for_the_other_shows_nothing_beside(world: World) -> None:
    nameless = replace(GUESTS, collection1="")
    ends = (replace(COMPANY, many_to_many=(nameless,)), replace(PERSON, many_to_many=(nameless,)))
    world.server = MemoryServer([*ends, pairs(GUESTS)])
    world.tables = EVERYTHING_KEPT[:3]
    async with world.replica() as replica:
        await replica.download()
        for name in ("", "account_guests"):
            with pytest.raises(QueryError, match="expand"):
                await anext(replica.table("account").query(expand=f"{name}($top=1)"))
        rows = replica.table("contact").query(expand="hosts")
        assert [row async for row in rows] == []


async def test_what_is_asked_of_the_rows_beside(replica: holdfast.Replica) -> None:
    rows = replica.table("account").query(
        "name eq 'Alpha'", expand="guests($filter=fullname ne 'Ann';$top=1;$select=fullname)"
    )
    (row,) = [row async for row in rows]
    assert [dict(guest)["fullname"] for guest in row.many("guests")] == ["Bob"]


async def test_pairs_are_rows_that_can_be_read(
    replica: holdfast.Replica, ids: Mapping[str, str]
) -> None:
    table = replica.table("accountguest")
    assert await table.count() == 3
    row = await table.get(ids["Beta Bob"])
    assert (row["accountid"], row["contactid"]) == (ids["Beta"], ids["Bob"])
    assert await table.count(f"contactid eq {ids['Bob']}") == 2


async def test_pairs_are_not_written(replica: holdfast.Replica, ids: Mapping[str, str]) -> None:
    table = replica.table("accountguest")
    for writing in (
        table.create({"accountid": ids["Gamma"], "contactid": ids["Ann"]}),
        table.update(ids["Beta Bob"], {"contactid": ids["Ann"]}),
        table.delete(ids["Beta Bob"]),
    ):
        with pytest.raises(InvalidValue, match="a special command, which does not exist yet"):
            await writing
    assert await table.count() == 3
    assert await replica.pending() == []


async def test_a_server_in_memory_refuses_pairs_that_are_written(
    world: World, ids: Mapping[str, str]
) -> None:
    op = Op("op", 1, OpKind.DELETE, "accountguest", ids["Beta Bob"], {})
    scopes = {"accountguest": Scope(pairs(GUESTS))}
    (outcome,) = world.server.apply(Unit((op,)), scopes, "user-1")
    assert isinstance(outcome, Refused)


async def test_pairs_come_and_go_with_each_sync(
    world: World, replica: holdfast.Replica, ids: Mapping[str, str]
) -> None:
    made = invite(world, ids["Gamma"], ids["Cid"])
    world.server.delete("accountguest", ids["Beta Bob"])
    await replica.sync()
    assert await found(replica, "account", "guests/any()") == ["Alpha", "Gamma"]
    world.server.delete("accountguest", made)
    await replica.sync()
    assert await found(replica, "account", "guests/any()") == ["Alpha"]


async def test_a_pair_leads_nowhere_while_its_end_is_not_kept(
    world: World, ids: Mapping[str, str]
) -> None:
    del ids
    rule = {"name": "contact", "filter": {"odata": "fullname ne 'Ann'"}}
    world.tables = [{"name": "account"}, rule, {"name": "accountguest"}]
    async with world.replica() as replica:
        await replica.download()
        assert await found(replica, "account", "guests/any()") == ["Alpha", "Beta"]
        assert await found(replica, "account", "guests/all(g:g/fullname eq 'Bob')") == [
            *("Alpha", "Beta", "Gamma")
        ]
        rows = replica.table("account").query("name eq 'Alpha'", expand="guests")
        assert [len(row.many("guests")) async for row in rows] == [1]


async def test_rows_are_kept_by_the_rows_that_pairs_join_them_with(
    world: World, ids: Mapping[str, str]
) -> None:
    rule = {"name": "account", "filter": {"odata": "guests/any(g:g/fullname eq 'Ann')"}}
    world.tables = [rule, *EVERYTHING_KEPT[1:]]
    async with world.replica() as replica:
        await replica.download()
        assert await found(replica, "account", None) == ["Alpha"]
        pair = invite(world, ids["Gamma"], ids["Ann"])
        await replica.sync()
        assert await found(replica, "account", None) == ["Alpha", "Gamma"]
        world.server.delete("accountguest", pair)
        world.server.delete("accountguest", ids["Alpha Ann"])
        await replica.sync()
        assert await found(replica, "account", None) == []


async def test_the_ends_of_pairs_are_kept_unasked(world: World, ids: Mapping[str, str]) -> None:
    del ids
    world.tables = [
        *EVERYTHING_KEPT[:2],
        {"name": "accountguest", "columns": ["accountid"]},
    ]
    async with world.replica() as replica:
        await replica.download()
        assert await found(replica, "account", "guests/any(g:g/fullname eq 'Ann')") == ["Alpha"]
        (row, *_) = [row async for row in replica.table("accountguest").query()]
        assert set(row) == {"accountguestid", "accountid"}


async def test_a_filter_over_pairs_that_are_not_kept_names_their_table(
    world: World, ids: Mapping[str, str]
) -> None:
    del ids
    over = "guests/any(g:g/fullname eq 'Ann')"
    world.tables = EVERYTHING_KEPT[:2]
    async with world.replica() as replica:
        await replica.download()
        with pytest.raises(FilterError, match="add accountguest to the profile"):
            await found(replica, "account", over)
        with pytest.raises(QueryError, match="no navigation 'guests' to a kept table"):
            await anext(replica.table("account").query(expand="guests"))
    world.tables = [{"name": "account", "filter": {"odata": over}}, {"name": "contact"}]
    async with world.replica() as replica:
        with pytest.raises(ProfileError, match="add accountguest to the profile"):
            await replica.download()


async def test_a_relationship_over_pairs_makes_no_rows_related(world: World) -> None:
    rule = {"name": "account", "rows": ["related"], "related": ["account_guests"]}
    world.tables = [rule, *EVERYTHING_KEPT[1:]]
    async with world.replica() as replica:
        with pytest.raises(ProfileError, match="account_guests is many-to-many"):
            await replica.download()
    rule["related"] = ["account_primary_contakt"]
    async with world.replica() as replica:
        with pytest.raises(ProfileError, match="no relationship 'account_primary_contakt'"):
            await replica.download()
