"""Cancellation at any point, and what was sent before a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from holdfast._tables import SCHEMAS
from holdfast.contracts import Change, Query
from holdfast.errors import StorageError, Unreachable
from holdfast.model import (
    OpState,
    Outcome,
    Scope,
    Unit,
)
from holdfast.testing import MemoryStorage
from support.world import ROW, World


@pytest.mark.parametrize("after", range(0, 120, 3))
async def test_a_sync_cancelled_anywhere_loses_and_doubles_nothing(
    world: World, accounts: list[str], after: int
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        created = await table.create({"accountid": ROW, "name": "New"})
        await table.update(created, {"telephone1": "1"})
        await table.update(accounts[0], {"telephone1": "mine"})
        world.server.update("account", accounts[0], {"telephone1": "theirs"})
        await table.delete(accounts[1])
        before = len(world.server.effects)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(replica.sync())
            for _ in range(after):
                await asyncio.sleep(0)
            running.cancel()
        ops = {op.id for op in await replica.pending()}
        ledger = {r[0] async for r in replica._store.storage.query(_ledger())}
        assert not ops & ledger
        assert len(ops | ledger) == 4
        assert (await table.get(created))["telephone1"] == "1"
        assert (await replica.sync()).complete
        assert (await replica.status()).synced
    mine = [e for e in world.server.effects[before:] if e.op_id is not None]
    sent = len({e.op_id for e in mine})
    assert sent == len(mine) == 3  # the create carries the edit of its row
    assert world.stored("account", accounts[0])["telephone1"] == "mine"
    assert world.stored("account", created)["telephone1"] == "1"
    assert world.server.get("account", accounts[1]) is None


def _ledger() -> Any:
    return Query("_holdfast_ledger")


async def test_what_was_sent_before_a_restart_is_asked_about_and_not_done_twice(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").create({"accountid": ROW, "name": "New"})
        push = replica._engine.transport.push

        async def cut(units: Sequence[Unit], scopes: Mapping[str, Scope]) -> AsyncIterator[Outcome]:
            async for _ in push(units, scopes):
                raise Unreachable("the cable was cut; try again")
                yield  # pragma: no cover  makes it a generator

        monkeypatch.setattr(replica._engine.transport, "push", cut)
        report = await replica.sync()
        assert report.waiting == 1
        effects = len(world.server.effects)
    async with world.replica() as replica:
        (op,) = await replica.pending()
        assert (op.state, op.attempts) == (OpState.SENT, 1)
        assert (await replica.sync()).complete
        assert await replica.history() == []
    assert len(world.server.effects) == effects


async def test_what_tables_are_laid_out_by_is_noted_with_the_next_op_if_it_failed_before(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An op without the schema that it is read with would keep the replica from opening again."""
    right, failures = MemoryStorage.write, 1

    async def write(self: MemoryStorage, changes: Sequence[Change]) -> None:
        nonlocal failures
        if failures and any(change.table == SCHEMAS for change in changes):
            failures -= 1
            raise StorageError("the disk failed; check it")
        await right(self, changes)

    monkeypatch.setattr(MemoryStorage, "write", write)
    async with world.replica() as replica:
        with pytest.raises(StorageError):
            await replica.download()
        await replica.table("account").create({"accountid": ROW, "name": "New"})
    async with world.replica() as replica:
        assert [op.row_id for op in await replica.pending()] == [ROW]
        assert (await replica.table("account").get(ROW))["name"] == "New"
        assert (await replica.sync()).complete
