"""Rows that a sync would take from here in such numbers that a person is asked first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

import holdfast
from holdfast._engine import Engine
from holdfast._removal import chunks
from holdfast.errors import IssueNotFound, StorageFull, Unreachable
from holdfast.filters import Expression
from holdfast.model import Page, Record, Scope, Unreadable
from holdfast.status import Availability, Cause, Issue, IssueKind
from holdfast.testing import MemoryServer
from support.breaking import cable_cut, disk_full
from support.world import ACCOUNT, CONTACT, World, names

MANY = 60
BERGEN = {"odata": "address1_city eq 'Bergen'"}


@pytest.fixture
def world() -> World:
    return World(MemoryServer([ACCOUNT, CONTACT], page_size=25))


def fill(world: World, count: int, *, city: str = "Bergen") -> list[str]:
    values = ({"name": f"A{n:04}", "address1_city": city} for n in range(count))
    return [world.server.create("account", each) for each in values]


def delete(world: World, ids: Sequence[str]) -> None:
    for row_id in ids:
        world.server.delete("account", row_id)


async def held(replica: holdfast.Replica) -> Issue:
    """Return the one question that is open."""
    (issue,) = await replica.issues()
    assert issue.kind is IssueKind.REMOVAL
    assert issue.table == "account"
    return issue


async def count(replica: holdfast.Replica) -> int:
    return await replica.table("account").count()


# Above the limit, and at it.


@pytest.mark.parametrize(
    ("rows", "going", "asks"),
    [(50, 50, 0), (51, 51, 1), (200, 50, 0), (200, 51, 1), (260, 52, 0), (260, 53, 1)],
)
async def test_more_than_fifty_rows_and_a_fifth_are_asked_about(
    world: World, rows: int, going: int, asks: int
) -> None:
    ids = fill(world, rows)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids[:going])
        report = (await replica.sync()).tables["account"]
        assert await count(replica) == (rows if asks else rows - going)
        assert report.removed == (0 if asks else going)
        assert len(await replica.issues()) == asks


async def test_the_question_says_what_happened_and_what_to_do(world: World) -> None:
    ids = fill(world, 100)
    world.tables[0]["filter"] = BERGEN
    world.server.create("contact", {"fullname": "Kari"})
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids[:40])
        for row_id in ids[40:60]:
            world.server.update("account", row_id, {"address1_city": "Oslo"})
        late = world.server.create("account", {"name": "Late", "address1_city": "Bergen"})
        world.server.create("contact", {"fullname": "Ola"})
        report = await replica.sync()
        issue = await held(replica)
        assert report.issues == [issue.id]
        assert not report.complete
        assert issue.extent is not None
        assert issue.extent.causes == {Cause.DELETED: 40, Cause.LEFT: 20}
        assert (issue.extent.rows, issue.extent.of) == (60, 101)
        assert issue.message == (
            "60 of the 101 rows here would go (40 deleted on the server, 20 left the filter), more "
            "than go unasked; they stay until you allow it, or have the table read anew"
        )
        assert issue.row_id == ""
        assert (issue.base, issue.mine, issue.theirs, issue.ops) == (None, None, None, ())
        status = await replica.status()
        assert status.tables[0].availability is Availability.WARNING
        assert status.tables[0].problem == issue.message
        assert not status.synced
        assert status.tables[1].availability is Availability.AVAILABLE
        assert await names(replica, "contact") == ["Kari", "Ola"], "the other tables go on"
        await replica.table("account").get(late)  # and so does what is new in this one


async def test_nothing_is_lost_while_it_waits_and_a_yes_lets_it_go(world: World) -> None:
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        for _ in range(3):
            report = await replica.sync()
        assert report.issues == [], "asked once"
        issue = await held(replica)
    async with world.replica() as replica:
        assert await count(replica) == MANY
        await replica.allow(issue.id)
        assert await count(replica) == 0
        assert await replica.issues() == []
        assert (await replica.status()).synced
        assert (await replica.sync()).complete


# Counted over the cycle.


async def test_many_small_pages_do_not_make_few_of_many(world: World) -> None:
    world.server.page_size = 3
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        await replica.sync()
        assert await count(replica) == MANY
        await held(replica)


async def test_a_cycle_that_breaks_off_counts_with_the_next(world: World) -> None:
    """The checkpoint is past the first page of tombstones; none of them is lost or let go."""
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        with cable_cut(replica, behind=lambda page: bool(page.tombstones)):
            assert (await replica.sync()).failure is not None
    async with world.replica() as replica:
        assert await count(replica) == MANY
        await replica.sync()
        issue = await held(replica)
        assert issue.extent is not None
        assert issue.extent.rows == MANY
        await replica.allow(issue.id)
        assert await count(replica) == 0


async def test_a_few_that_break_off_go_with_the_next_cycle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(world, 10)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids[:4])
        commit = replica._store.commit
        conclude = replica._engine.store.count

        async def full(table: str, *where: object) -> int:
            if table == "account" and where:
                raise StorageFull("memory")
            return await conclude(table, *where)  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(replica._engine.store, "count", full)
            with pytest.raises(StorageFull):
                await replica.sync()
        assert commit is not None
        assert await count(replica) == 10
    async with world.replica() as replica:
        assert (await replica.sync()).complete
        assert await count(replica) == 6


async def test_rows_that_come_in_the_same_sync_do_not_make_it_a_smaller_part(
    world: World,
) -> None:
    ids = fill(world, 200)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids[:60])
        fill(world, 200)
        await replica.sync()
        issue = await held(replica)
        assert issue.extent is not None
        assert (issue.extent.rows, issue.extent.of) == (60, 400)


async def test_a_part_is_of_the_rows_that_were_here_at_the_last_sync(world: World) -> None:
    ids = fill(world, 200)
    async with world.replica() as replica:
        await replica.download()
        more = fill(world, 200)
        await replica.sync()
        for _ in range(200):
            await replica.table("account").create({"name": "Mine"})
        await replica.sync()
        delete(world, [*ids[:60], *more[:60]])
        assert (await replica.sync()).complete, "a fifth of six hundred"


# A yes is for what was shown.


async def test_a_later_larger_removal_asks_again(world: World) -> None:
    ids = fill(world, 100)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids[:60])
        await replica.sync()
        first = await held(replica)
        delete(world, ids[60:61])
        report = await replica.sync()
        second = await held(replica)
        assert report.issues == [second.id]
        with pytest.raises(IssueNotFound):
            await replica.allow(first.id)
        assert await count(replica) == 100
        await replica.allow(second.id)
        assert await count(replica) == 39
        delete(world, ids[61:])
        await replica.sync()
        assert await count(replica) == 0, "thirty-nine are fewer than fifty"


async def test_a_yes_does_not_cover_what_was_noted_since(world: World) -> None:
    ids = fill(world, 100)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids[:60])
        await replica.sync()
        issue = await held(replica)
        delete(world, ids[60:70])
        with cable_cut(replica, behind=lambda _: True):
            await replica.sync()
        with pytest.raises(IssueNotFound, match="60 rows, and now 70 would go; the next sync asks"):
            await replica.allow(issue.id)
        assert await count(replica) == 100


async def test_a_yes_does_not_count_once_the_profile_chooses_otherwise(world: World) -> None:
    ids = fill(world, 100)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids[:60])
        await replica.sync()
        issue = await held(replica)
    world.tables[0]["filter"] = BERGEN
    async with world.replica() as replica:
        with pytest.raises(IssueNotFound, match="profile has changed since it was asked"):
            await replica.allow(issue.id)
        assert await count(replica) == 100
        await replica.sync()
        await replica.allow((await held(replica)).id)
        assert await count(replica) == 40


async def test_rows_that_come_back_are_not_taken(world: World) -> None:
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        await replica.sync()
        await held(replica)
        for row_id in ids[:20]:
            world.server.create("account", {"name": "Back"}, row_id=row_id)
        assert (await replica.sync()).complete, "forty are few enough"
        assert await names(replica) == ["Back"] * 20
        assert await replica.issues() == []


async def test_an_edit_of_a_row_that_waits_is_a_conflict_with_one_that_is_gone(
    world: World,
) -> None:
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        await replica.sync()
        await replica.table("account").update(ids[0], {"telephone1": "mine"})
        await replica.sync()
        assert world.stored("account", ids[0])["telephone1"] == "mine", "client wins: made again"
        (issue,) = await replica.issues()
        await replica.allow(issue.id)
        assert [row.id async for row in replica.table("account").query()] == [ids[0]]


async def test_an_edit_that_is_given_up_does_not_make_a_row_that_is_gone_come_back(
    world: World,
) -> None:
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        await replica.sync()
        world.server.refuse(ids[0])
        await replica.table("account").update(ids[0], {"telephone1": "mine"})
        await replica.sync()
        refused = next(i for i in await replica.issues() if i.kind is IssueKind.REFUSED)
        await replica.discard(refused.id)
        issue = await held(replica)
        await replica.allow(issue.id)
        await replica.sync()
        assert await count(replica) == 0


async def test_a_row_that_is_edited_while_others_go_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = sorted(fill(world, MANY))
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        await replica.sync()
        issue = await held(replica)

        async def meanwhile(
            engine: Engine, table: str, where: Expression
        ) -> AsyncIterator[list[str]]:
            async for some in chunks(engine, table, where):
                await replica.table("account").update(some[0], {"telephone1": "mine"})
                yield some

        with monkeypatch.context() as patched:
            patched.setattr("holdfast._removal.chunks", meanwhile)
            await replica.allow(issue.id)
        assert [row.id async for row in replica.table("account").query()] == ids[:1]
        assert len(await replica.pending()) == 1


# Reading anew.


async def test_reading_anew_asks_for_each_row_and_then_a_person(world: World) -> None:
    ids = fill(world, 100)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids[:70])
        world.server.expire_checkpoints()
        await replica.sync()
        issue = await held(replica)
        assert issue.extent is not None
        assert issue.extent.causes == {Cause.DELETED: 70, Cause.LEFT: 0}
        assert await count(replica) == 100


async def test_an_empty_answer_is_not_obeyed_though_few_would_go(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full reading that brings nothing is asked about, row by row."""
    fill(world, 7)
    async with world.replica() as replica:
        await replica.download()
        world.server.expire_checkpoints()
        pull = replica._engine.transport.pull

        async def empty(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
            async for page in pull(scope, checkpoint):
                yield replace(page, records=())

        monkeypatch.setattr(replica._engine.transport, "pull", empty)
        report = await replica.sync()
        assert report.tables["account"].removed == 0
        assert await count(replica) == 7


async def test_a_server_that_says_nothing_is_there_does_not_empty_a_table(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither reading nor asking brings a row: a lost permission, an empty copy of the server."""
    fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        world.server.expire_checkpoints()
        pull = replica._engine.transport.pull

        async def empty(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
            async for page in pull(scope, checkpoint):
                yield replace(page, records=())

        async def nothing(scope: Scope, ids: Sequence[str]) -> Sequence[Record | Unreadable]:
            return []

        with monkeypatch.context() as patched:
            patched.setattr(replica._engine.transport, "pull", empty)
            patched.setattr(replica._engine.transport, "fetch", nothing)
            await replica.sync()
        issue = await held(replica)
        assert await count(replica) == MANY
        await replica.sync()
        assert await count(replica) == MANY, "no row has changed, so no page brings it"
        await replica.retry(issue.id)
        assert await replica.issues() == []
        assert "read anew" in str((await replica.status()).tables[0].problem)
        assert (await replica.sync()).complete, "the server has them after all"
        assert await count(replica) == MANY
        assert (await replica.status()).synced


async def test_a_first_download_asks_nobody(world: World) -> None:
    """A table that was never whole has nothing that anybody relied on."""
    ids = fill(world, 100)
    async with world.replica() as replica:
        with cable_cut(replica, behind=lambda page: page.last), pytest.raises(Unreachable):
            await replica.download()
        delete(world, ids)
        assert (await replica.download()).complete
        assert await count(replica) == 0


# What the profile says.


@pytest.mark.parametrize(
    ("limit", "going", "asks"),
    [
        ({"rows": 3, "percent": 0}, 3, False),
        ({"rows": 3, "percent": 0}, 4, True),
        ({"rows": 0, "percent": 0}, 1, True),
        ({"rows": 0, "percent": 50}, 30, False),
        ({"rows": 0, "percent": 50}, 31, True),
        ({"rows": 60}, 60, False),
        ("off", 60, False),
    ],
)
async def test_the_profile_sets_the_limit(
    world: World, limit: object, going: int, asks: bool
) -> None:
    world.tables[0]["removal_limit"] = limit
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids[:going])
        await replica.sync()
        assert bool(await replica.issues()) is asks
        assert await count(replica) == (MANY if asks else MANY - going)


async def test_a_filter_narrowed_in_the_profile_is_obeyed(world: World) -> None:
    """Whoever wrote it has said yes, and the server still has the rows."""
    fill(world, 80, city="Oslo")
    fill(world, 20)
    async with world.replica() as replica:
        await replica.download()
        assert await count(replica) == 100
    world.tables[0]["filter"] = BERGEN
    async with world.replica() as replica:
        assert (await replica.sync()).complete
        assert await count(replica) == 20


async def test_what_is_related_follows_a_filter_narrowed_in_the_profile(world: World) -> None:
    world.tables = [
        {"name": "contact", "related": ["account_primary_contact"]},
        {"name": "account"},
    ]
    for number in range(80):
        person = world.server.create("contact", {"fullname": f"P{number:02}"})
        city = "Bergen" if number < 10 else "Oslo"
        values = {"name": "A", "address1_city": city, "primarycontactid": person}
        world.server.create("account", values)
    async with world.replica() as replica:
        await replica.download()
        assert len(await names(replica, "contact")) == 80
    world.tables[1]["filter"] = BERGEN
    async with world.replica() as replica:
        assert (await replica.sync()).complete
        assert await replica.issues() == []
        assert len(await names(replica, "contact")) == 10


async def test_rows_that_are_gone_are_asked_about_though_the_filter_was_narrowed_too(
    world: World,
) -> None:
    gone = fill(world, 80)
    fill(world, 40, city="Oslo")
    stay = fill(world, 20)
    async with world.replica() as replica:
        await replica.download()
    world.tables[0]["filter"] = BERGEN
    delete(world, gone)
    async with world.replica() as replica:
        await replica.sync()
        issue = await held(replica)
        assert issue.extent is not None
        assert issue.extent.causes == {Cause.DELETED: 80}
        assert await count(replica) == 100, "those of Oslo went"
        await replica.allow(issue.id)
        assert {row.id async for row in replica.table("account").query()} == set(stay)


async def test_the_same_filter_later_is_no_change_of_the_profile(world: World) -> None:
    ids = fill(world, 100)
    world.tables[0]["filter"] = BERGEN
    async with world.replica() as replica:
        await replica.download()
    world.tables[0]["columns"] = ["telephone1"]
    for row_id in ids[:60]:
        world.server.update("account", row_id, {"address1_city": "Oslo"})
    async with world.replica() as replica:
        await replica.sync()
        issue = await held(replica)
        assert issue.extent is not None
        assert issue.extent.causes == {Cause.DELETED: 0, Cause.LEFT: 60}


async def test_a_table_that_left_the_profile_takes_its_question_along(world: World) -> None:
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        await replica.sync()
        await held(replica)
    world.tables = world.tables[1:]
    async with world.replica() as replica:
        await replica.download()
        assert await replica.issues() == []


async def test_related_rows_are_asked_about_when_what_pointed_to_them_is_gone(
    world: World,
) -> None:
    world.tables = [
        {"name": "contact", "related": ["account_primary_contact"]},
        {"name": "account", "removal_limit": "off"},
    ]
    people = [world.server.create("contact", {"fullname": f"P{n}"}) for n in range(MANY)]
    ids = [
        world.server.create("account", {"name": "A", "primarycontactid": person})
        for person in people
    ]
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        await replica.sync()
        assert await count(replica) == 0
        (issue,) = await replica.issues()
        assert issue.table == "contact"
        assert issue.extent is not None
        assert issue.extent.causes == {Cause.DELETED: 0, Cause.UNLINKED: MANY}
        assert len(await names(replica, "contact")) == MANY
        for person in people[:30]:
            world.server.create("account", {"name": "B", "primarycontactid": person})
        await replica.sync()
        assert await replica.issues() == []
        assert len(await names(replica, "contact")) == 30


# What else can be said to it.


async def test_what_cannot_be_done_to_a_question_says_what_can(world: World) -> None:
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        await replica.sync()
        issue = await held(replica)
        for verb in (replica.discard, replica.take_mine, replica.take_theirs):
            with pytest.raises(IssueNotFound, match="allow it or retry"):
                await verb(issue.id)
        with pytest.raises(IssueNotFound, match="there is none"):
            await replica.allow("nothing")


async def test_a_yes_that_breaks_off_leaves_the_question_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast._removal.CHUNK", 20)
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        delete(world, ids)
        await replica.sync()
        issue = await held(replica)
        with disk_full(replica, at_write=2), pytest.raises(StorageFull):
            await replica.allow(issue.id)
        assert await count(replica) == 40
        await replica.allow(issue.id)
        assert await count(replica) == 0
