"""Rows that only the server can choose: by the clock, by who asks, by other rows, by a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import holdfast
from holdfast.errors import ProfileError
from holdfast.model import Caller, View
from holdfast.schema import Column, ColumnType, Relationship
from holdfast.status import Availability, Cause, IssueKind
from holdfast.testing import MemoryServer
from holdfast_odata import ODataLanguage, ODataSettings
from support.world import ACCOUNT, CONTACT, World, names

ABOVE = Relationship(
    *("account_parent_account", "account", "parentaccountid", "account"),
    navigation="parentaccountid",
    hierarchical=True,
)
TREE = replace(
    ACCOUNT,
    columns=(
        *ACCOUNT.columns,
        Column("parentaccountid", ColumnType.LOOKUP, targets=("account",)),
        Column("lastonholdtime", ColumnType.DATETIME),
        Column("owningbusinessunit", ColumnType.LOOKUP, targets=("businessunit",)),
    ),
    relationships=(
        replace(ACCOUNT.relationships[0], navigation="primarycontactid", collection="accounts"),
        ABOVE,
    ),
)
PEOPLE = replace(CONTACT, relationships=TREE.relationships[:1])
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TODAY = "Microsoft.Dynamics.CRM.Today(PropertyName='lastonholdtime')"
MINE = "Microsoft.Dynamics.CRM.EqualUserId(PropertyName='ownerid')"
USER, TEAM, UNIT = (f"00000000-0000-4000-8000-00000000000{n}" for n in "123")


class Server(MemoryServer):
    """Counts requests, and lets a test spoil what it lists."""

    def __init__(self) -> None:
        super().__init__([TREE, PEOPLE], page_size=3)
        self.now = NOW
        self.requests: list[str] = []
        self.spoil: Callable[[list[str]], list[str]] = lambda ids: ids

    async def travel(self, request: str) -> None:
        self.requests.append(request)
        await super().travel(request)

    def matching(self, *args: Any) -> list[str]:
        return self.spoil(super().matching(*args))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def world(server: Server) -> World:
    return World(server, language=ODataLanguage(ODataSettings()), user=USER)


def keeping(world: World, **rule: Any) -> None:
    world.tables = [{"name": "account", **rule}, {"name": "contact"}]


def at(day: int) -> dict[str, object]:
    return {"lastonholdtime": NOW + timedelta(days=day)}


async def test_rows_come_and_go_as_the_clock_moves(world: World, server: Server) -> None:
    for day in (-1, 0, 0, 1):
        server.create("account", {"name": f"Day {day}", **at(day)})
    keeping(world, filter={"odata": TODAY})
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica) == ["Day 0", "Day 0"]
        server.requests.clear()
        report = await replica.sync()
        assert server.requests.count("list_ids") == 2, "there and back: one request"
        assert "fetch" not in server.requests
        assert (report.tables["account"].received, report.tables["account"].removed) == (0, 0)
        server.now += timedelta(days=1)
        report = await replica.sync()
        assert await names(replica) == ["Day 1"], "though no row has changed"
        assert (report.tables["account"].received, report.tables["account"].removed) == (1, 2)


async def test_a_plain_filter_asks_for_no_list(world: World, server: Server) -> None:
    server.create("account", {"name": "A"})
    keeping(world, filter={"odata": "name eq 'A'"})
    async with world.replica() as replica:
        await replica.download()
        await replica.sync()
    assert "list_ids" not in server.requests


async def test_a_row_follows_its_owner(world: World, server: Server) -> None:
    mine = server.create("account", {"name": "Mine"}, user=USER)
    theirs = server.create("account", {"name": "Theirs"}, user=TEAM)
    keeping(world, filter={"odata": MINE})
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica) == ["Mine"]
        for row_id, user in ((mine, TEAM), (theirs, USER)):
            owner = holdfast.Reference("systemuser", user)
            server.update("account", row_id, {"ownerid": owner})
        await replica.sync()
        assert await names(replica) == ["Theirs"]


async def test_a_row_follows_the_row_it_points_to(world: World, server: Server) -> None:
    ann = server.create("contact", {"fullname": "Ann"})
    bob = server.create("contact", {"fullname": "Bob"})
    server.create("account", {"name": "A", "primarycontactid": ann})
    server.create("account", {"name": "B", "primarycontactid": bob})
    server.create("account", {"name": "Nobody's"})
    keeping(world, filter={"odata": "primarycontactid/fullname eq 'Ann'"}, columns=["telephone1"])
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica) == ["A"]
        server.update("contact", ann, {"fullname": "Bob"})
        server.update("contact", bob, {"fullname": "Ann"})
        await replica.sync()
        assert await names(replica) == ["B"], "neither account has changed"


async def test_a_tree_is_the_servers_to_walk(world: World, server: Server) -> None:
    top = server.create("account", {"name": "Top"})
    middle = server.create("account", {"name": "Middle", "parentaccountid": top})
    server.create("account", {"name": "Leaf", "parentaccountid": middle})
    other = server.create("account", {"name": "Other"})
    under = f"Microsoft.Dynamics.CRM.Under(PropertyName='accountid',PropertyValue='{top}')"
    keeping(world, filter={"odata": under})
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica) == ["Leaf", "Middle"]
        server.update("account", middle, {"parentaccountid": other})
        await replica.sync()
        assert await names(replica) == []


async def test_what_is_made_or_changed_here_stays_until_the_server_has_judged_it(
    world: World, server: Server
) -> None:
    old = server.create("account", {"name": "Old", **at(0)})
    keeping(world, filter={"odata": TODAY})
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        await table.create({"name": "New", **at(0)})
        await table.create({"name": "Yesterday's", **at(-1)})
        await table.update(old, {"name": "Old, changed"})
        server.now += timedelta(days=1)
        server.refuse(old)
        await replica.sync()
        assert await names(replica) == ["Old, changed"], "what waits stays, whatever the list says"
        server.now -= timedelta(days=1)
        server.accept(old)
        (issue,) = await replica.issues()
        await replica.retry(issue.id)
        await replica.sync()
        assert await names(replica) == ["New", "Old, changed"]


# A short answer is a question.


async def test_an_empty_list_is_asked_for_again(
    world: World, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        server.create("account", {"name": f"A{number}", **at(0)})
    keeping(world, filter={"odata": TODAY})
    async with world.replica() as replica:
        await replica.download()
        monkeypatch.setattr(replica._engine.environment.clock, "now", lambda: NOW, raising=False)
        spoiled: Iterator[list[str]] = iter([[]])
        server.spoil = lambda ids: next(spoiled, ids)
        server.requests.clear()
        report = await replica.sync()
        assert report.tables["account"].removed == 0
        assert len(await names(replica)) == 4
        assert server.requests.count("list_ids") == 4, "asked twice"


async def test_an_empty_list_is_asked_for_again_though_no_row_seems_to_belong(
    world: World, server: Server
) -> None:
    """However few would go: a list that empties a table needs a second one that says the same."""
    server.create("account", {"name": "A", **at(0)})
    keeping(world, filter={"odata": TODAY})
    async with world.replica() as replica:
        await replica.download()
        spoiled: Iterator[list[str]] = iter([[]])
        server.spoil = lambda ids: next(spoiled, ids)
        report = await replica.sync()
        assert report.tables["account"].removed == 0
        assert await names(replica) == ["A"]


async def test_a_list_that_would_take_many_rows_is_asked_about(
    world: World, server: Server
) -> None:
    for number in range(60):
        server.create("account", {"name": f"A{number}", **at(0)})
    keeping(world, filter={"odata": TODAY})
    async with world.replica() as replica:
        await replica.download()
        server.spoil = lambda ids: ids[:5]
        for _ in range(2):
            await replica.sync()
        (issue,) = await replica.issues()
        assert issue.kind is IssueKind.REMOVAL
        assert issue.extent is not None
        assert issue.extent.causes == {Cause.DELETED: 0, Cause.UNLISTED: 55}
        assert await replica.table("account").count() == 60
        server.spoil = lambda ids: ids
        assert (await replica.sync()).complete, "it lists them again"
        assert await replica.issues() == []
        assert await replica.table("account").count() == 60


async def test_a_row_that_was_gone_and_is_listed_again_stays(world: World, server: Server) -> None:
    """A lost right that came back: no page brings the row, since nobody has changed it."""
    rows = [server.create("account", {"name": f"A{n}", **at(0)}) for n in range(3)]
    keeping(world, filter={"odata": TODAY}, removal_limit={"rows": 0, "percent": 0})
    async with world.replica() as replica:
        await replica.download()
        before = server._tables["account"].rows[rows[0]]
        server.delete("account", rows[0])
        await replica.sync()
        assert len(await replica.issues()) == 1
        server._tables["account"].rows[rows[0]] = before
        server._tables["account"].gone.clear()
        assert (await replica.sync()).complete
        assert await names(replica) == ["A0", "A1", "A2"]
        assert await replica.issues() == []


async def test_what_the_server_says_twice_is_true(
    world: World, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever's clock is wrong: the server's word counts in the end."""
    for number in range(4):
        server.create("account", {"name": f"A{number}", **at(0)})
    keeping(world, filter={"odata": TODAY})
    async with world.replica() as replica:
        await replica.download()
        monkeypatch.setattr(replica._engine.environment.clock, "now", lambda: NOW, raising=False)
        server.now += timedelta(days=1)
        await replica.sync()
        assert await names(replica) == []


async def test_a_list_that_breaks_off_moves_nothing(world: World, server: Server) -> None:
    server.create("account", {"name": "A", **at(0)})
    keeping(world, filter={"odata": TODAY})
    async with world.replica() as replica:
        await replica.download()

        def broken(ids: list[str]) -> list[str]:
            raise holdfast.errors.Unreachable("the answer broke off")

        server.spoil = broken
        report = await replica.sync()
        assert report.failure is not None
        assert await names(replica) == ["A"]


async def test_a_server_that_takes_no_filter_is_told_of(world: World, server: Server) -> None:
    world.language = None
    keeping(world, filter={"odata": TODAY})
    async with world.replica() as replica:
        report = await replica.download()
        assert "the server takes no filters" in str(report.tables["account"].problem)
        status = (await replica.status()).tables[0]
        assert status.availability is Availability.NOT_AVAILABLE


async def test_how_a_row_stands_here_is_no_rule(world: World) -> None:
    keeping(world, filter={"odata": "Holdfast.Pending()"})
    async with world.replica() as replica:
        with pytest.raises(ProfileError):
            await replica.download()


# Rules without a filter, and joined ones.


async def test_the_rows_of_the_user_the_teams_and_the_business_unit(
    world: World, server: Server
) -> None:
    server.callers[USER] = Caller("memory", USER, UNIT, (TEAM,))
    unit = {"owningbusinessunit": UNIT}
    reference = holdfast.Reference
    server.create("account", {"name": "Mine"}, user=USER)
    server.create("account", {"name": "Team's", "ownerid": reference("team", TEAM)})
    server.create("account", {"name": "Unit's", **unit})
    server.create("account", {"name": "Mine, in the unit", **unit}, user=USER)
    server.create("account", {"name": "Else"})
    expected = {
        ("mine",): ["Mine", "Mine, in the unit"],
        ("team",): ["Team's"],
        ("business-unit",): ["Mine, in the unit", "Unit's"],
        ("mine", "team"): ["Mine", "Mine, in the unit", "Team's"],
    }
    for rows, wanted in expected.items():
        keeping(world, rows=list(rows))
        async with world.replica() as replica:
            await replica.download()
            assert await names(replica) == wanted
    keeping(world, rows=["mine", "business-unit"], match="all")
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica) == ["Mine, in the unit"]


async def test_a_table_without_owners_has_no_rows_of_mine(world: World) -> None:
    world.tables = [{"name": "contact", "rows": ["mine"]}]
    async with world.replica() as replica:
        with pytest.raises(ProfileError, match="contact has no column 'ownerid'"):
            await replica.download()


async def test_a_list_and_links_must_both_hold(world: World, server: Server) -> None:
    """What another rule keeps out is not fetched again and again."""
    ann, _ = (server.create("contact", {"fullname": name}) for name in ("Ann", "Bob"))
    server.create("account", {"name": "A", "primarycontactid": ann})
    world.tables = [
        {"name": "account"},
        {
            "name": "contact",
            "rows": ["custom", "related"],
            "match": "all",
            "filter": {"odata": "fullname ne 'X' and not accounts/any(a:a/name eq 'Y')"},
            "related": ["account_primary_contact"],
        },
    ]
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica, "contact") == ["Ann"]
        server.requests.clear()
        await replica.sync()
        assert "fetch" not in server.requests


# Views.


async def test_a_view_that_is_not_there_names_the_nearest(world: World, server: Server) -> None:
    server.views = [View("account", "Active Accounts", "<fetch/>")]
    keeping(world, filter={"view": "Activ Accounts"})
    async with world.replica() as replica:
        with pytest.raises(ProfileError, match="did you mean 'Active Accounts'"):
            await replica.download()


async def test_a_view_chooses_rows_and_is_remembered(world: World, server: Server) -> None:
    def view(city: str) -> str:
        condition = f'<condition attribute="address1_city" operator="eq" value="{city}"/>'
        return f'<fetch><entity name="account"><filter>{condition}</filter></entity></fetch>'

    own = View("account", "Near", view("Oslo"), personal=True)
    server.views = [own, View("account", "Near", view("Bergen"))]
    for city in ("Bergen", "Oslo"):
        server.create("account", {"name": city, "address1_city": city})
    keeping(world, filter={"view": "Near"})
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica) == ["Bergen"], "everybody's views win over one's own"
        assert replica.views("account") == ["Near"]
    server.unreachable = True
    async with world.replica() as replica:
        assert await names(replica) == ["Bergen"]
        with pytest.raises(holdfast.errors.QueryError, match="no saved view 'Nera'"):
            replica.view("account", "Nera")
    server.unreachable = False
    server.views = [View("account", "Near", view("Oslo"))]
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica) == ["Oslo"], "a view that was changed is read anew"


# Indexes.


async def test_what_is_searched_by_is_indexed(world: World) -> None:
    keeping(
        world,
        columns=["name", "primarycontactid"],
        indexes=["telephone1"],
        filter={"odata": "address1_city eq 'Bergen'"},
    )
    async with world.replica() as replica:
        await replica.download()
        assert "telephone1" not in replica.table("account").schema.by_name, "kept, not shown"
    tables = world.disk.file("default").tables
    assert tables is not None
    wanted = ("address1_city", "name", "primarycontactid", "telephone1")
    assert tables["account"].layout.indexes == wanted
    keeping(world, indexes=["telefone1"])
    async with world.replica() as replica:
        with pytest.raises(ProfileError, match="did you mean 'telephone1'"):
            await replica.download()
