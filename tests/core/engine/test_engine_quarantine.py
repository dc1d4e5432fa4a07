"""A row that makes no sense is put aside; everything else goes on, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

import holdfast
from holdfast._plan.quarantine import LONGEST_PAYLOAD, MOST_ISSUES, MOST_PAYLOADS
from holdfast.errors import IssueNotFound
from holdfast.model import Page, Scope, Unreadable
from holdfast.status import Availability, Issue, IssueKind
from holdfast.testing import MemoryServer
from support.world import ACCOUNT, CONTACT, World, names

REASON = "revenue is no number"
PAYLOAD = '{"name":"…","revenue":"many"}'


@pytest.fixture
def world() -> World:
    return World(MemoryServer([ACCOUNT, CONTACT], page_size=10))


@pytest.fixture
def ids(world: World) -> list[str]:
    return [world.server.create("account", {"name": f"A{n}"}) for n in range(8)]


def garble(world: World, row_id: str, *, key: bool = True) -> None:
    """Let a row change so that it makes no sense any more."""
    world.server.garbled[row_id] = Unreadable(row_id if key else None, REASON, PAYLOAD)
    world.server.update("account", row_id, {"name": f"{row_id[:4]} changed"})


def mend(world: World, row_id: str) -> None:
    """Let it be written so that it makes sense."""
    del world.server.garbled[row_id]
    world.server.update("account", row_id, {"name": "Mended"})


async def asked(replica: holdfast.Replica) -> list[Issue]:
    issues = await replica.issues()
    assert {issue.kind for issue in issues} <= {IssueKind.UNREADABLE}
    return issues


async def unreadable(replica: holdfast.Replica) -> int:
    return (await replica.status()).tables[0].unreadable


# One row stops itself only.


async def test_the_others_come_and_the_checkpoint_moves_on(world: World, ids: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[3])
        world.server.update("account", ids[5], {"name": "Changed"})
        world.server.delete("account", ids[6])
        report = await replica.sync()
        here = await names(replica)
        assert here == ["A0", "A1", "A2", "A3", "A4", "A7", "Changed"], "what was here stays"
        assert report.tables["account"].problem is None
        assert report.tables["account"].unreadable == 1
        assert not report.complete
        report = await replica.sync()
        assert report.tables["account"].received == 0, "the checkpoint is past it"
        assert not report.complete, "as long as it is not settled"


async def test_a_person_is_told_what_and_why_and_what_to_do(world: World, ids: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[3])
        report = await replica.sync()
        (issue,) = await asked(replica)
        assert report.issues == [issue.id]
        assert (issue.table, issue.row_id) == ("account", ids[3])
        assert issue.message == (
            "it came and cannot be understood (revenue is no number); what was here stays; have "
            "the server's row mended, which settles this, or retry"
        )
        assert issue.payload == PAYLOAD
        assert issue.mine is not None
        assert issue.mine["name"] == "A3"
        assert (await replica.sync()).issues == [], "once"
        status = await replica.status()
        assert status.tables[0].unreadable == 1
        assert status.tables[0].availability is Availability.WARNING
        assert not status.synced


async def test_it_settles_itself_when_the_row_makes_sense_again(
    world: World, ids: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[3])
        await replica.sync()
        mend(world, ids[3])
        assert (await replica.sync()).complete
        assert "Mended" in await names(replica)
        assert await asked(replica) == []
        assert (await replica.status()).synced


async def test_it_settles_itself_when_the_row_is_deleted(world: World, ids: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[3])
        await replica.sync()
        world.server.delete("account", ids[3])
        assert (await replica.sync()).complete
        assert "A3" not in await names(replica)
        assert await asked(replica) == []


async def test_it_is_unreadable_from_the_first_download_on(world: World, ids: list[str]) -> None:
    garble(world, ids[3])
    async with world.replica() as replica:
        report = await replica.download()
        assert len(await names(replica)) == 7
        assert report.tables["account"].unreadable == 1
        (issue,) = await asked(replica)
        assert issue.mine is None
    async with world.replica() as replica:
        mend(world, ids[3])
        assert (await replica.sync()).complete
        assert len(await names(replica)) == 8


# Reading everything anew.


async def test_reading_anew_does_not_remove_it(world: World, ids: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[3])
        world.server.expire_checkpoints()
        await replica.sync()
        assert "A3" in await names(replica)
        assert await unreadable(replica) == 1


async def test_a_sweep_that_cannot_read_it_does_not_remove_it(
    world: World, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page brings it, and asking for it brings what makes no sense."""
    async with world.replica() as replica:
        await replica.download()
        world.server.garbled[ids[3]] = Unreadable(ids[3], REASON)
        world.server.delete("account", ids[4])
        world.server.expire_checkpoints()
        pull = replica._engine.transport.pull

        async def silent(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
            async for page in pull(scope, checkpoint):
                yield replace(page, unreadable=())

        monkeypatch.setattr(replica._engine.transport, "pull", silent)
        await replica.sync()
        here = await names(replica)
        assert "A3" in here
        assert "A4" not in here
        assert len(await asked(replica)) == 1


async def test_a_sweep_that_cannot_tell_which_row_it_could_not_read_removes_none(
    world: World, ids: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[3], key=False)
        world.server.delete("account", ids[4])
        world.server.expire_checkpoints()
        await replica.sync()
        assert {"A3", "A4"} <= set(await names(replica))
        del world.server.garbled[ids[3]]
        world.server.expire_checkpoints()
        assert (await replica.sync()).complete
        assert "A4" not in await names(replica)
        assert await asked(replica) == [], "a reading of everything did not bring it again"


async def test_one_with_unsettled_ops_stays_as_the_user_sees_it(
    world: World, ids: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(ids[3], {"telephone1": "mine"})
        await replica.table("account").delete(ids[4])
        garble(world, ids[3])
        garble(world, ids[4])
        world.server.expire_checkpoints()
        await replica.sync()
        assert (await replica.table("account").get(ids[3]))["telephone1"] == "mine"
        assert len(await replica.pending()) == 2
        mend(world, ids[3])
        mend(world, ids[4])
        assert (await replica.sync()).failure is None
        assert (await replica.sync()).complete
        assert world.stored("account", ids[3])["telephone1"] == "mine"
        assert world.server.get("account", ids[4]) is None


async def test_a_row_that_waits_to_go_and_comes_unreadable_is_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tables[0]["removal_limit"] = {"rows": 0, "percent": 0}
    row = world.server.create("account", {"name": "A"})
    async with world.replica() as replica:
        await replica.download()
        world.server.delete("account", row)
        await replica.sync()
        assert [issue.kind for issue in await replica.issues()] == [IssueKind.REMOVAL]
        world.server.create("account", {"name": "A"}, row_id=row)
        garble(world, row)
        await replica.sync()
        assert len(await asked(replica)) == 1
        assert await names(replica) == ["A"]


# Without a key, twice, and of all kinds.


async def test_one_without_a_key_is_told_and_settled_by_reading_anew(
    world: World, ids: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[3], key=False)
        await replica.sync()
        (issue,) = await asked(replica)
        assert issue.row_id == ""
        assert issue.payload == PAYLOAD
        del world.server.garbled[ids[3]]
        await replica.sync()
        assert len(await asked(replica)) == 1, "no page brings it"
        await replica.retry(issue.id)
        assert (await replica.sync()).complete
        assert await asked(replica) == []


async def test_retry_asks_for_the_one_row(world: World, ids: list[str]) -> None:
    """When the plugin was mended, nothing changes on the server."""
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[3])
        garble(world, ids[4])
        garble(world, ids[5])
        await replica.sync()
        by_row = {issue.row_id: issue for issue in await asked(replica)}
        del world.server.garbled[ids[3]]
        del world.server.garbled[ids[5]]
        world.server._tables["account"].rows.pop(ids[5])  # gone, and no page says so
        for row_id in ids[3:6]:
            await replica.retry(by_row[row_id].id)
        report = await replica.sync()
        assert report.tables["account"].received == 1
        assert [issue.row_id for issue in await asked(replica)] == [ids[4]]
        here = await names(replica)
        assert f"{ids[3][:4]} changed" in here
        assert "A5" not in here


async def test_rows_with_and_without_a_key_can_be_asked_for_at_once(
    world: World, ids: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[3])
        garble(world, ids[4], key=False)
        await replica.sync()
        for issue in await asked(replica):
            await replica.retry(issue.id)
        world.server.garbled.clear()
        assert (await replica.sync()).complete
        assert await asked(replica) == []
        assert len(await names(replica)) == 8


async def test_asking_again_and_hearing_of_nobody_knows_which_row_takes_none(
    world: World, ids: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[3])
        await replica.sync()
        (issue,) = await asked(replica)
        await replica.retry(issue.id)
        world.server.garbled[ids[3]] = Unreadable(None, REASON)
        await replica.sync()
        assert "A3" in await names(replica)


async def test_what_cannot_be_done_says_what_can(world: World, ids: list[str]) -> None:
    garble(world, ids[3])
    async with world.replica() as replica:
        await replica.download()
        (issue,) = await asked(replica)
        for verb in (replica.discard, replica.allow, replica.take_mine, replica.take_theirs):
            with pytest.raises(IssueNotFound, match="retry, once the server's is mended"):
                await verb(issue.id)


async def test_a_row_that_comes_readable_and_not_is_looked_at_again(
    world: World, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        world.server.update("account", ids[3], {"name": "Changed"})
        pull = replica._engine.transport.pull

        async def both(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
            async for page in pull(scope, checkpoint):
                yield replace(page, unreadable=[Unreadable(r[0], REASON) for r in page.records])  # type: ignore[arg-type]  # an id

        with monkeypatch.context() as patched:
            patched.setattr(replica._engine.transport, "pull", both)
            await replica.sync()
        assert "A3" in await names(replica)
        (issue,) = await asked(replica)
        await replica.retry(issue.id)
        assert (await replica.sync()).complete
        assert "Changed" in await names(replica)


async def test_of_two_records_of_one_row_the_later_is_the_newer(
    world: World, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(ids[4], {"telephone1": "mine"})
        world.server.update("account", ids[3], {"name": "Newer"})
        world.server.update("account", ids[4], {"name": "Newer"})
        pull = replica._engine.transport.pull

        async def twice(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
            async for page in pull(scope, checkpoint):
                older = [(*r[:1], "Older", *r[2:-1], f"{r[-1]}-") for r in page.records]
                gone = [str(record[0]) for record in page.records]
                yield replace(page, records=[*older, *page.records], tombstones=gone)

        monkeypatch.setattr(replica._engine.transport, "pull", twice)
        report = await replica.download()
        assert report.tables["account"].received == 2
        assert "Newer" in await names(replica)
        await replica.sync()
        stored = world.stored("account", ids[4])
        assert (stored["name"], stored["telephone1"]) == ("Newer", "mine")


# Many.


async def test_hundreds_have_one_issue(world: World) -> None:
    world.server.page_size = 30
    many = [world.server.create("account", {"name": f"M{n}"}) for n in range(300)]
    for row_id in many[::2]:
        garble(world, row_id)
    async with world.replica() as replica:
        await replica.download()
        (issue,) = await asked(replica)
        assert issue.row_id == ""
        assert issue.extent is not None
        assert (issue.extent.rows, issue.extent.of) == (150, 150)
        assert issue.message.startswith("150 rows came and cannot be understood; what was here")
        assert await unreadable(replica) == 150
        kept = [row.payload for row in await replica._store.quarantine("account")]
        assert sum(bool(payload) for payload in kept) == MOST_PAYLOADS, "bounded"
        for row_id in many[:200:2]:
            mend(world, row_id)
        await replica.sync()
        (same,) = await asked(replica)
        assert same.id == issue.id
        assert same.extent is not None
        assert same.extent.rows == 50
        for row_id in many[200:260:2]:
            mend(world, row_id)
        await replica.sync()
        issues = await asked(replica)
        assert len(issues) == MOST_ISSUES
        assert {issue.row_id for issue in issues} == set(many[260::2]), "few enough to be named"
        garble(world, many[0])
        await replica.sync()
        assert len(await asked(replica)) == 1
        (together,) = await asked(replica)
        world.server.garbled.clear()
        await replica.retry(together.id)
        assert (await replica.sync()).complete
        assert len(await names(replica)) == 300


async def test_a_page_of_which_nothing_makes_sense_is_refused(world: World, ids: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        for row_id in ids[:6]:
            garble(world, row_id)
        world.server.create("contact", {"fullname": "Kari"})
        report = await replica.sync()
        assert report.tables["account"].problem == (
            "none of the 6 rows of a page of account can be understood (revenue is no number); "
            "run a download, which reads anew how the table is made"
        )
        assert await names(replica, "contact") == ["Kari"]
        assert await asked(replica) == []
        assert len(await names(replica)) == 8
        world.server.garbled.clear()
        assert (await replica.sync()).complete, "the checkpoint has not passed it"
        assert f"{ids[0][:4]} changed" in await names(replica)


async def test_a_page_of_a_few_that_make_no_sense_is_no_other_schema(
    world: World, ids: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        for row_id in ids[:5]:
            garble(world, row_id)
        await replica.sync()
        assert len(await asked(replica)) == 5


@pytest.mark.parametrize("text", ["\ud800", "x" * 100_000, "", "\x00"])
async def test_whatever_was_sent_can_be_kept(world: World, ids: list[str], text: str) -> None:
    world.server.garbled[ids[3]] = Unreadable(ids[3], "a text is none", text)
    async with world.replica() as replica:
        await replica.download()
        (issue,) = await asked(replica)
        assert issue.payload is not None
        assert len(issue.payload) <= LONGEST_PAYLOAD
        assert issue.payload.startswith(text.encode("utf-8", "backslashreplace").decode()[:9])


@pytest.mark.parametrize(
    "wrong",
    [
        ("name", 5, "gave name a cell that is no text"),
        ("name", "\ud800", "gave name a cell that is no text"),
        ("revenue", 1.5, "gave revenue a cell that is no decimal"),
        ("revenue", Decimal("NaN"), "gave revenue a cell that is no decimal"),
        ("statecode", True, "gave statecode a cell that is no integer"),
        ("statecode", 2**63, "gave statecode a cell that is no integer"),
        ("accountid", None, "gave a row without an id"),
        ("accountid", 7, "gave accountid a cell that is no key"),
        ("", None, "gave other than "),
    ],
)
@pytest.mark.parametrize("way", ["pull", "fetch"])
async def test_a_transport_that_hands_on_what_no_storage_takes_costs_a_row(
    world: World,
    ids: list[str],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    wrong: tuple[str, object, str],
) -> None:
    """A bug of a driver; the storage would refuse the whole page for it."""
    column, cell, says = wrong
    at = next((n for n, f in enumerate(ACCOUNT.fields) if f.name == column), -1)

    def spoilt(record: Sequence[Any]) -> Any:
        if record[0] != ids[3]:
            return record
        return (*record[:at], cell, *record[at + 1 :]) if column else record[:-2]

    async with world.replica() as replica:
        await replica.download()
        world.server.expire_checkpoints()
        transport = replica._engine.transport
        pull, fetch = transport.pull, transport.fetch

        async def pulled(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
            async for page in pull(scope, checkpoint):
                records = [r for r in page.records if way == "pull" or r[0] != ids[3]]
                yield replace(page, records=[spoilt(record) for record in records])

        async def fetched(scope: Scope, wanted: Sequence[str]) -> Any:
            return [spoilt(row) for row in await fetch(scope, wanted)]  # type: ignore[arg-type]

        monkeypatch.setattr(transport, "pull", pulled)
        monkeypatch.setattr(transport, "fetch", fetched)
        report = await replica.sync()
        assert report.failure is None
        assert report.tables["account"].problem is None
        assert len(await names(replica)) == 8, "what was here stays"
        messages = {issue.message for issue in await asked(replica)}
        if not (way == "fetch" and column == "accountid"):  # then nobody knows which it was
            assert len(messages) == 1
            assert says in messages.pop()


# Rows that other things choose.


async def test_a_related_row_that_makes_no_sense_holds_up_no_other(world: World) -> None:
    world.tables = [
        {"name": "contact", "related": ["account_primary_contact"]},
        {"name": "account"},
    ]
    people = [world.server.create("contact", {"fullname": f"P{n}"}) for n in range(3)]
    async with world.replica() as replica:
        await replica.download()
        for person in people:
            world.server.create("account", {"name": "A", "primarycontactid": person})
        world.server.garbled[people[1]] = Unreadable(people[1], REASON)
        await replica.sync()
        assert await names(replica, "contact") == ["P0", "P2"]
        assert [issue.row_id for issue in await asked(replica)] == [people[1]]
        world.server.garbled.clear()
        world.server.create("account", {"name": "B"})  # so that it is looked at again
        await replica.sync()
        assert await names(replica, "contact") == ["P0", "P1", "P2"]
        assert await asked(replica) == []


async def test_a_torn_row_is_judged_by_a_new_filter_as_it_is_here(
    world: World, ids: list[str]
) -> None:
    for row_id, city in zip(ids[:4], ("Oslo", "Bergen", "Oslo", "Bergen"), strict=True):
        world.server.update("account", row_id, {"address1_city": city})
    async with world.replica() as replica:
        await replica.download()
        garble(world, ids[2])
        garble(world, ids[3])
    world.tables[0]["filter"] = {"odata": "address1_city eq 'Bergen'"}
    async with world.replica() as replica:
        await replica.sync()
        assert await names(replica) == ["A1", "A3"]


async def test_a_table_that_left_the_profile_takes_its_quarantine_along(
    world: World, ids: list[str]
) -> None:
    garble(world, ids[3])
    async with world.replica() as replica:
        await replica.download()
    world.tables = world.tables[1:]
    async with world.replica() as replica:
        await replica.download()
        assert await replica.issues() == []
        assert await replica._store.quarantine("account") == []


async def test_a_fetch_that_brings_what_was_not_asked_for_is_not_believed(
    world: World, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        world.server.delete("account", ids[0])
        world.server.expire_checkpoints()

        async def odd(scope: Scope, wanted: Sequence[str]) -> Any:
            return [Unreadable(ids[1], REASON)]

        monkeypatch.setattr(replica._engine.transport, "fetch", odd)
        await replica.sync()
        assert await asked(replica) == []
        assert "A0" not in await names(replica)
