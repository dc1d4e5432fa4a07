"""Questions to a replica: who asks, trees, links, and the rows beside the rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import pytest

import holdfast
from holdfast._engine import Engine
from holdfast.errors import FilterError, QueryError
from holdfast.filters import (
    EVERYTHING,
    And,
    Branch,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    InHierarchy,
    InState,
    IsCaller,
    Literal,
    Not,
    Or,
    Related,
    RowMark,
    Who,
    walk,
)
from holdfast.schema import Kind
from holdfast.testing import MemoryStorage
from holdfast.values import Reference
from support.world import World

NAME = ColumnRef("name", Kind.TEXT)
FULL_NAME = ColumnRef("fullname", Kind.TEXT)
OWNER = ColumnRef("ownerid", Kind.KEY)
CONTACT = ColumnRef("primarycontactid", Kind.KEY)
CONTACT_ID = ColumnRef("contactid", Kind.KEY)
PARENT = ColumnRef("parentcustomerid", Kind.KEY)


def named(name: str, column: ColumnRef = NAME) -> Expression:
    return Compare(Comparison.EQ, column, Literal(name))


@pytest.fixture(params=["follows links", "follows none"])
async def replica(
    request: pytest.FixtureRequest, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[holdfast.Replica]:
    """Three contacts in a circle and below it, four accounts; on storages that can more or less."""
    if request.param == "follows none":
        runs = MemoryStorage.runs

        def less(storage: MemoryStorage, expression: Expression) -> bool:
            linked = any(isinstance(node, Related) for node in walk(expression))
            return not linked and runs(storage, expression)

        monkeypatch.setattr(MemoryStorage, "runs", less)
    people(world)
    async with world.replica() as opened:
        await opened.download()
        yield opened


IDS: dict[str, str] = {}


def people(world: World) -> None:
    create, update = world.server.create, world.server.update
    for name in ("Ann", "Bob", "Cid", "Dee"):
        IDS[name] = create("contact", {"fullname": name})
    above = {"Bob": "Ann", "Cid": "Bob", "Ann": "Cid", "Dee": "Cid"}
    for name, parent in above.items():
        update("contact", IDS[name], {"parentcustomerid": Reference("contact", IDS[parent])})
    for name, contact in (("Alpha", "Ann"), ("Beta", "Bob"), ("Gamma", None), ("Delta", "Ann")):
        to = {"primarycontactid": IDS[contact]} if contact else {}
        IDS[name] = create("account", {"name": name, **to}, user="user-1" if contact else "boss")


async def found(replica: holdfast.Replica, where: Any, table: str = "account") -> str:
    """Return the names, and make sure that a count says the same."""
    column = "name" if table == "account" else "fullname"
    names = sorted([str(row[column]) async for row in replica.table(table).query(where)])
    assert await replica.table(table).count(where) == len(names)
    return " ".join(names)


def linked(where: Expression) -> Related:
    return Related("contact", CONTACT_ID, CONTACT, where)


async def test_links_are_followed_and_their_negation_takes_the_rest(
    replica: holdfast.Replica,
) -> None:
    to_ann = linked(named("Ann", FULL_NAME))
    assert await found(replica, to_ann) == "Alpha Delta"
    assert await found(replica, Not(to_ann)) == "Beta Gamma", "a null leads nowhere: false"
    assert await found(replica, linked(EVERYTHING)) == "Alpha Beta Delta"
    assert await found(replica, And((to_ann, Not(named("Delta"))))) == "Alpha"
    assert await found(replica, Or((to_ann, named("Gamma")))) == "Alpha Delta Gamma"


async def test_a_link_inside_a_link_is_followed(replica: holdfast.Replica) -> None:
    parent = Related("contact", CONTACT_ID, PARENT, named("Ann", FULL_NAME))
    assert await found(replica, linked(parent)) == "Beta"
    assert await found(replica, linked(Not(parent))) == "Alpha Delta"


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        (Branch.UNDER, "Bob Cid Dee"),
        (Branch.UNDER_OR_EQUAL, "Ann Bob Cid Dee"),
        (Branch.ABOVE, "Bob Cid"),
        (Branch.ABOVE_OR_EQUAL, "Ann Bob Cid"),
    ],
)
async def test_a_tree_is_walked_and_a_circle_ends(
    replica: holdfast.Replica, branch: Branch, expected: str
) -> None:
    tree = InHierarchy(CONTACT_ID, "contact", "parentcustomerid", IDS["Ann"], branch)
    assert await found(replica, tree, "contact") == expected
    others = InHierarchy(
        CONTACT_ID, "contact", "parentcustomerid", IDS["Ann"], branch, negated=True
    )
    left = sorted({"Ann", "Bob", "Cid", "Dee"} - set(expected.split()))
    assert await found(replica, others, "contact") == " ".join(left)


async def test_the_caller_is_known_offline(replica: holdfast.Replica, world: World) -> None:
    mine = IsCaller(OWNER, Who.USER)
    assert await found(replica, mine) == "Alpha Beta Delta"
    world.server.unreachable = True
    assert replica._engine.asking().caller is not None
    again = Engine(
        *(replica._engine.setup, replica._engine.store, replica._engine.transport),
        replica._engine.environment,
        meta=await replica._engine.store.meta(),
    )
    assert again.asking().caller == replica._engine.asking().caller, "it is stored"


async def test_how_a_row_stands_is_asked_as_everything_else(
    replica: holdfast.Replica, world: World
) -> None:
    accounts = replica.table("account")
    await accounts.update(IDS["Alpha"], {"telephone1": "1"})
    await accounts.create({"name": "New"})
    assert await found(replica, InState(RowMark.PENDING)) == "Alpha New"
    assert await found(replica, InState(RowMark.LOCAL)) == "New"
    assert await found(replica, InState(RowMark.CONFLICTED)) == ""
    assert await found(replica, Not(InState(RowMark.PENDING))) == "Beta Delta Gamma"
    outer = Related(
        *("account", CONTACT, ColumnRef("contactid", Kind.KEY)), InState(RowMark.PENDING)
    )
    assert await found(replica, outer, "contact") == "Ann"


async def test_a_row_in_conflict_is_found(world: World) -> None:
    from holdfast.model import Defer
    from support.world import answer_with

    people(world)
    async with world.replica() as replica:
        await replica.download()
        answer_with(replica, Defer("ask"))
        await replica.table("account").update(IDS["Beta"], {"name": "Mine"})
        world.server.update("account", IDS["Beta"], {"name": "Theirs"})
        await replica.sync()
        assert await found(replica, InState(RowMark.CONFLICTED)) == "Mine"
        assert await found(replica, InState(RowMark.CONFLICTED), "contact") == ""


async def test_rows_that_are_not_kept_cannot_be_asked_about(replica: holdfast.Replica) -> None:
    elsewhere = Related("task", ColumnRef("regardingid", Kind.KEY), CONTACT, EVERYTHING)
    with pytest.raises(QueryError, match="add that table to the profile"):
        await replica.table("account").count(elsewhere)
    tree = InHierarchy(CONTACT_ID, "contact", "managerid", IDS["Ann"], Branch.UNDER)
    with pytest.raises(QueryError, match="managerid"):
        await replica.table("contact").count(tree)


# Columns, numbers, and the rows beside the rows.


async def rows_of(replica: holdfast.Replica, **words: Any) -> list[holdfast.Row]:
    return [row async for row in replica.table("account").query(order_by="name", **words)]


async def test_only_the_selected_columns_are_there(replica: holdfast.Replica) -> None:
    rows = await rows_of(replica, select="name, _primarycontactid_value", top=1)
    assert [dict(row) for row in rows] == [
        {
            "accountid": IDS["Alpha"],
            "name": "Alpha",
            "primarycontactid": Reference("contact", IDS["Ann"]),
        }
    ]
    assert set(rows[0]) == set(rows[0].schema.by_name)
    assert list((await rows_of(replica, select=["telephone1"]))[0]) == ["accountid", "telephone1"]


async def test_the_number_of_all_rows_is_told(replica: holdfast.Replica) -> None:
    rows = replica.table("account").query("name ne 'Beta'", top=1, count=True)
    assert rows.total is None
    assert [row["name"] async for row in rows] != []
    assert rows.total == 3
    nothing = replica.table("account").query(top=0, count=True)
    assert [row async for row in nothing] == []
    assert nothing.total == 4


async def test_leaving_early_closes_the_reading(replica: holdfast.Replica) -> None:
    async with aclosing(replica.table("account").query()) as rows:
        async for _ in rows:
            break
    assert [row async for row in rows] == []


async def test_rows_behind_a_lookup_and_rows_that_point_here_come_along(
    replica: holdfast.Replica,
) -> None:
    alpha, _, _, gamma = await rows_of(replica, expand="primarycontactid($select=fullname)")
    contact = alpha.one("primarycontactid")
    assert contact is not None
    assert dict(contact) == {"contactid": IDS["Ann"], "fullname": "Ann"}
    assert gamma.one("primarycontactid") is None
    assert alpha["primarycontactid"] == Reference("contact", IDS["Ann"])
    people = replica.table("contact").query(
        order_by="fullname",
        expand="account_primary_contact($filter=name ne 'x;(';$orderby=name desc;$top=1;"
        "$expand=primarycontactid($select=fullname))",
    )
    ann, bob, cid, _ = [row async for row in people]
    (delta,) = ann.many("account_primary_contact")
    assert delta["name"] == "Delta"
    above = delta.one("primarycontactid")
    assert above is not None
    assert dict(above) == dict(contact)
    assert [row["name"] for row in bob.many("account_primary_contact")] == ["Beta"]
    assert cid.many("account_primary_contact") == ()
    with pytest.raises(KeyError):
        ann.one("account_primary_contact")
    with pytest.raises(KeyError):
        alpha.many("primarycontactid")


async def test_an_expansion_costs_one_read_for_a_chunk(
    replica: holdfast.Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    real = MemoryStorage.read

    async def counting(storage: MemoryStorage, table: str, keys: Any) -> Any:
        reads.append(table)
        return await real(storage, table, keys)

    monkeypatch.setattr(MemoryStorage, "read", counting)
    await rows_of(replica, expand="primarycontactid")
    assert reads == ["contact"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"select": "nmae"}, "account has no column 'nmae'; did you mean 'name'?"),
        ({"select": " , "}, "no column is named"),
        ({"expand": "primarycontact"}, "did you mean 'primarycontactid'?"),
        ({"expand": "primarycontactid,primarycontactid"}, "primarycontactid stands twice"),
        ({"expand": "primarycontactid($slect=fullname)"}, "did you mean '$select'?"),
        ({"expand": "primarycontactid($select=fullnam)"}, "did you mean 'fullname'?"),
        ({"expand": "primarycontactid($top=1)"}, "which leads to one row"),
        ({"expand": "primarycontactid($select=a;$select=b)"}, "$select stands twice"),
        ({"expand": "primarycontactid($select=fullname"}, "a parenthesis has no other one"),
        ({"expand": "primarycontactid)"}, "a parenthesis has no other one"),
        ({"expand": "primarycontactid('"}, "a quote has no other one"),
        ({"expand": "primarycontactid()x"}, "nothing may follow"),
        ({"top": -1}, "a number from 0 up"),
    ],
)
async def test_a_wrong_word_is_told_with_what_is_right(
    replica: holdfast.Replica, words: Mapping[str, Any], told: str
) -> None:
    with pytest.raises(QueryError) as caught:
        await rows_of(replica, **words)
    assert told in str(caught.value)


async def test_the_number_of_expanded_rows_is_a_number(replica: holdfast.Replica) -> None:
    for top in ("-1", "x", "²"):
        asked = replica.table("contact").query(expand=f"account_primary_contact($top={top})")
        with pytest.raises(QueryError, match=r"\$top"):
            await anext(asked)


async def test_expansions_end_somewhere(replica: holdfast.Replica) -> None:
    words = "primarycontactid"
    for turn in range(12):
        way = "account_primary_contact" if turn % 2 == 0 else "primarycontactid"
        words = f"{way}($expand={words})"
    with pytest.raises(QueryError, match="more than 10 levels"):
        await anext(replica.table("account").query(expand=words))


async def test_a_filter_may_name_its_language(replica: holdfast.Replica) -> None:
    assert await found(replica, {"odata": "name eq 'Beta'"}) == "Beta"
    with pytest.raises(QueryError, match="one filter in one language"):
        await found(replica, {"odata": "a", "other": "b"})
    with pytest.raises(holdfast.errors.PluginError, match="no filter language in use"):
        await found(replica, {"klingon": "name"})
    with pytest.raises(FilterError):
        await found(replica, {"odata": "name eq"})
