"""The ledger and the history keep the newest, counted by commits and never by a clock."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import holdfast
from holdfast._system import system_environment
from holdfast._tables import HISTORY, LEDGER, LOGS, OUTBOX
from holdfast.contracts import Query
from holdfast.model import Defer
from support.world import World, answer_with


class _Backwards:
    """A clock that every look at sets back by an hour."""

    def __init__(self) -> None:
        self._now = datetime(2026, 6, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self._now -= timedelta(hours=1)
        return self._now


@pytest.fixture(autouse=True)
def _short_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOGS, LEDGER, 3)
    monkeypatch.setitem(LOGS, HISTORY, 2)


def _replica(world: World) -> AbstractAsyncContextManager[holdfast.Replica]:
    environment = replace(system_environment(), clock=_Backwards())
    return holdfast.open(world.profile(), environment=environment)


async def _conflict(world: World, replica: holdfast.Replica, row: str, number: int) -> str:
    """Let a row conflict and be settled; return the id of the op."""
    await replica.table("account").update(row, {"telephone1": f"mine {number}"})
    (op,) = await replica.pending()
    world.server.update("account", row, {"telephone1": f"theirs {number}"})
    await replica.sync()
    return op.id


async def _ledger(replica: holdfast.Replica) -> list[object]:
    return [record[0] async for record in replica._store.query(Query(LEDGER))]


async def test_the_newest_stay_whatever_the_clock_says_and_over_restarts(
    world: World, accounts: list[str]
) -> None:
    async with _replica(world) as replica:
        await replica.download()
        ops = [await _conflict(world, replica, accounts[0], number) for number in range(3)]
    async with _replica(world) as replica:
        ops += [await _conflict(world, replica, accounts[0], number) for number in range(3, 5)]
        assert sorted(map(str, await _ledger(replica))) == sorted(ops[-3:])
        newest, older = await replica.history()
        assert newest.mine is not None
        assert older.mine is not None
        assert (newest.mine["telephone1"], older.mine["telephone1"]) == ("mine 4", "mine 3")
        assert newest.settled < older.settled
        assert [entry.id for entry in await replica.history(limit=1)] == [newest.id]
        await replica.take_theirs(older.id)
        assert (await replica.table("account").get(accounts[0]))["telephone1"] == "theirs 3"


async def test_a_sync_settles_more_than_a_log_keeps(world: World, accounts: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        for row in accounts:
            await replica.table("account").update(row, {"telephone1": "1"})
        report = await replica.sync()
        assert (report.applied, report.complete) == (7, True)
        assert len(await _ledger(replica)) == 3


async def test_what_is_open_is_never_cut(world: World, accounts: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        answer_with(replica, Defer("ask"))
        for row in accounts:
            await replica.table("account").update(row, {"telephone1": "mine"})
            world.server.update("account", row, {"telephone1": "theirs"})
        await replica.sync()
        assert len(await replica.issues()) == len(await replica.pending()) == 7
        assert await replica._store.count(OUTBOX) == 7


async def test_a_sync_with_nothing_to_cut_writes_nothing_for_it(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        storage = replica._store.storage
        writes: list[object] = []

        async def noted(changes: object) -> None:
            writes.append(changes)

        monkeypatch.setattr(storage, "write", noted)
        await replica._store.trim()
        assert writes == []
