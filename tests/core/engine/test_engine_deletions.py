"""Rows deleted here in such numbers that a person is asked before the server loses them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

import holdfast
from holdfast.errors import IssueNotFound, StorageFull
from holdfast.model import OpState, Outcome, Scope, Unit, Unknown
from holdfast.status import Issue, IssueKind
from holdfast.testing import MemoryServer
from support.breaking import disk_full
from support.world import ACCOUNT, CONTACT, World, names

MANY = 60


@pytest.fixture
def world() -> World:
    return World(MemoryServer([ACCOUNT, CONTACT], page_size=100))


def fill(world: World, count: int) -> list[str]:
    return [world.server.create("account", {"name": f"A{n:04}"}) for n in range(count)]


async def delete(replica: holdfast.Replica, ids: Sequence[str]) -> None:
    for row_id in ids:
        await replica.table("account").delete(row_id)


async def held(replica: holdfast.Replica) -> Issue:
    """Return the one question that is open."""
    (issue,) = await replica.issues()
    assert issue.kind is IssueKind.DELETION
    return issue


def there(world: World) -> int:
    return len(world.server.ids("account"))


@pytest.mark.parametrize(
    ("rows", "going", "asks"),
    [(50, 50, False), (51, 51, True), (260, 52, False), (260, 53, True)],
)
async def test_more_than_fifty_rows_and_a_fifth_are_asked_about(
    world: World, rows: int, going: int, asks: bool
) -> None:
    ids = fill(world, rows)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids[:going])
        await replica.sync()
        assert there(world) == (rows if asks else rows - going)
        assert bool(await replica.issues()) is asks


async def test_only_the_deletes_and_what_depends_on_them_wait(world: World) -> None:
    ids = fill(world, 100)
    person = world.server.create("contact", {"fullname": "Kari"})
    world.server.update("account", ids[0], {"primarycontactid": person})
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids[:MANY])
        await replica.table("contact").delete(person)  # behind the account that points to it
        await replica.table("account").update(ids[99], {"telephone1": "1"})
        made = await replica.table("account").create({"name": "New"})
        report = await replica.sync()
        issue = await held(replica)
        assert report.issues == [issue.id]
        assert report.applied == 2
        assert issue.extent is not None
        assert (issue.extent.rows, issue.extent.of) == (MANY, 101)
        assert len(issue.ops) == MANY
        assert issue.message == (
            "60 of 101 rows were deleted here, more than are deleted on the server unasked; they "
            "wait until you allow it, or discard the deletions"
        )
        assert there(world) == 101
        assert world.server.get("contact", person) is not None
        assert world.stored("account", ids[99])["telephone1"] == "1"
        assert world.server.get("account", made) is not None
        assert len(await replica.pending()) == MANY + 1
        assert await replica.table("account").count() == 41, "what was deleted here stays so"
        await replica.allow(issue.id)
        assert there(world) == 101, "with the next sync"
        assert (await replica.sync()).complete
        assert there(world) == 41
        assert world.server.get("contact", person) is None
        assert await replica.issues() == []


async def test_discarding_brings_the_rows_back(world: World) -> None:
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids)
        await replica.sync()
        issue = await held(replica)
    async with world.replica() as replica:
        await replica.discard(issue.id)
        assert len(await names(replica)) == MANY
        assert await replica.pending() == []
        assert (await replica.sync()).complete
        assert there(world) == MANY


@pytest.mark.parametrize(("verb", "left"), [("take_mine", 0), ("take_theirs", MANY)])
async def test_mine_and_theirs_mean_what_they_say(world: World, verb: str, left: int) -> None:
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids)
        await replica.sync()
        await getattr(replica, verb)((await held(replica)).id)
        assert (await replica.sync()).complete
        assert there(world) == left


async def test_a_later_larger_deletion_asks_again(world: World) -> None:
    ids = fill(world, 200)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids[:60])
        await replica.sync()
        first = await held(replica)
        await delete(replica, ids[60:61])
        report = await replica.sync()
        second = await held(replica)
        assert report.issues == [second.id]
        assert len(second.ops) == 61
        with pytest.raises(IssueNotFound):
            await replica.allow(first.id)
        assert there(world) == 200


async def test_a_yes_is_for_those_that_were_shown(world: World) -> None:
    ids = fill(world, 200)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids[:60])
        await replica.sync()
        first = await held(replica)
        await replica.allow(first.id)
        await delete(replica, ids[60:120])
        await replica.sync()
        second = await held(replica)
        assert set(second.ops).isdisjoint(first.ops)
        assert there(world) == 140, "those that were agreed to went"


async def test_few_and_few_are_many_while_they_wait(world: World) -> None:
    ids = fill(world, 100)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids[:30])
        await delete(replica, ids[30:60])
        await replica.sync()
        assert len((await held(replica)).ops) == 60
        assert there(world) == 100


async def test_deletes_made_while_a_sync_runs_count_with_those_it_has_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(world, 100)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids[:40])
        push = replica._engine.transport.push

        async def slow(
            units: Sequence[Unit], scopes: Mapping[str, Scope]
        ) -> AsyncIterator[Outcome]:
            if there(world) == 100:
                await delete(replica, ids[40:80])
            async for outcome in push(units, scopes):
                yield outcome

        monkeypatch.setattr(replica._engine.transport, "push", slow)
        await replica.sync()
        assert there(world) == 60
        issue = await held(replica)
        assert issue.extent is not None
        assert (issue.extent.rows, issue.extent.of) == (80, 100)
        assert len(issue.ops) == 40


async def test_deletes_on_their_way_count_and_are_not_held(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the server can say what became of them."""
    ids = fill(world, 100)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids[:40])

        async def deaf(
            units: Sequence[Unit], scopes: Mapping[str, Scope]
        ) -> AsyncIterator[Outcome]:
            for unit in units:
                yield Unknown(unit.ops[0].id, "no answer came")

        with monkeypatch.context() as patched:
            patched.setattr(replica._engine.transport, "push", deaf)
            await replica.sync()
        assert {op.state for op in await replica.pending()} == {OpState.SENT}
        await delete(replica, ids[40:80])
        await replica.sync()
        assert there(world) == 60
        assert {op.state for op in await replica.pending()} == {OpState.HELD}


async def test_rows_that_were_made_here_and_deleted_again_take_nothing_from_anybody(
    world: World,
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        await delete(replica, [await table.create({"name": "A"}) for _ in range(MANY)])
        assert (await replica.sync()).complete
        assert await replica.issues() == []


async def test_a_row_that_is_made_again_behind_its_delete_is_not_forgotten(world: World) -> None:
    """Found by the simulation: the next question left that delete out, and it was held for ever."""
    world.tables[0]["delete_limit"] = {"rows": 0, "percent": 0}
    world.conflict_detection = True
    first, second = fill(world, 2)
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(first, {"name": "Again"})
        world.server.update("account", first, {"name": "Theirs"})
        await replica.sync()
        (entry,) = await replica.history()
        await delete(replica, [first])
        await replica.sync()
        assert len((await held(replica)).ops) == 1
        await replica.take_mine(entry.id)
        await delete(replica, [second])
        await replica.sync()
        issue = await held(replica)
        assert len(issue.ops) == 2
        await replica.allow(issue.id)
        assert (await replica.sync()).complete
        assert [row["name"] for row in world.server.rows("account").values()] == ["Again"]


@pytest.mark.parametrize(
    ("limit", "asks"), [("off", False), ({"rows": 60}, False), ({"rows": 5, "percent": 99}, True)]
)
async def test_the_profile_sets_the_limit(world: World, limit: object, asks: bool) -> None:
    world.tables[0]["delete_limit"] = limit
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids)
        await replica.sync()
        assert bool(await replica.issues()) is asks
        assert there(world) == (MANY if asks else 0)


async def test_a_limit_that_is_raised_answers_the_question(world: World) -> None:
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids)
        await replica.sync()
        await held(replica)
    world.tables[0]["delete_limit"] = "off"
    async with world.replica() as replica:
        assert (await replica.sync()).complete
        assert there(world) == 0
        assert await replica.issues() == []


async def test_a_crash_while_asking_sends_none_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holding and asking are one commit."""
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids)
        write = replica._store.storage.write

        async def full(changes: Sequence[object]) -> None:
            if any(getattr(change, "table", "") == "_holdfast_issues" for change in changes):
                raise StorageFull("memory")
            await write(changes)  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(replica._store.storage, "write", full)
            with pytest.raises(StorageFull):
                await replica.sync()
        assert {op.state for op in await replica.pending()} == {OpState.PENDING}
        assert there(world) == MANY
        await replica.sync()
        await held(replica)


async def test_a_yes_that_breaks_off_is_good_for_those_it_reached(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast._deletion._CHUNK", 25)
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids)
        await replica.sync()
        issue = await held(replica)
        with disk_full(replica, at_write=2), pytest.raises(StorageFull):
            await replica.allow(issue.id)
        await replica.sync()
        assert there(world) == MANY - 25
        await replica.allow((await held(replica)).id)
        assert (await replica.sync()).complete
        assert there(world) == 0


async def test_what_cannot_be_done_to_a_question_says_what_can(world: World) -> None:
    ids = fill(world, MANY)
    async with world.replica() as replica:
        await replica.download()
        await delete(replica, ids)
        await replica.sync()
        with pytest.raises(IssueNotFound, match="allow or discard it"):
            await replica.retry((await held(replica)).id)
