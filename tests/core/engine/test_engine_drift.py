"""Metadata and profiles that change under a replica with work in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

import holdfast
from holdfast.errors import IssueNotFound, StorageFull
from holdfast.model import (
    Scope,
)
from holdfast.schema import Column, ColumnType, TableSchema
from holdfast.testing import MemoryServer
from support.world import World, names


def _grow(server: MemoryServer) -> None:
    """Let both tables have one more column, before the others."""
    for name, home in list(server._tables.items()):
        first, *rest = home.schema.columns
        columns = (first, Column("new", ColumnType.STRING), *rest)
        server._tables[name] = replace(home, schema=replace(home.schema, columns=columns))
        for row_id, stored in home.rows.items():
            home.rows[row_id] = replace(stored, cells={**stored.cells, "new": "n"})


async def test_a_table_in_hand_follows_metadata_that_changes(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        _grow(world.server)
        await replica.download()
        row = await table.get(accounts[0])
        assert (row["name"], row["new"], row.pending) == ("Account 0", "n", False)
        await table.update(accounts[0], {"telephone1": "1"})
        assert (await table.get(accounts[0]))["name"] == "Account 0"
        assert (await replica.sync()).complete


async def test_a_checkpoint_that_expires_because_all_tables_changed_reads_them_all_anew(
    world: World, accounts: list[str]
) -> None:
    world.server.create("contact", {"fullname": "Kari"})
    async with world.replica() as replica:
        await replica.download()
        _grow(world.server)
        pull = replica._engine.transport.pull

        def forgetful(scope: Scope, checkpoint: str | None) -> AsyncIterator[Any]:
            void = checkpoint is not None and scope.table == "account"
            return pull(scope, "void" if void else checkpoint)

        replica._engine.transport.pull = forgetful  # type: ignore[method-assign]  # one expires
        await replica.sync()
        assert [row["new"] async for row in replica.table("contact").query()] == ["n"]
        assert (await replica.table("account").get(accounts[0]))["new"] == "n"


async def test_a_table_that_is_gone_on_the_server_does_not_stop_the_others(
    world: World, accounts: list[str]
) -> None:
    world.tables = [{"name": "contact"}, {"name": "account"}]
    contact = world.server.create("contact", {"fullname": "Kari"})
    async with world.replica() as replica:
        await replica.download()
        gone = world.server._tables["contact"]
        world.server.update("account", accounts[0], {"name": "Changed"})
        schemas = world.server.schemas
        pull = replica._engine.transport.pull

        def without(tables: Sequence[str]) -> list[TableSchema]:
            return [schema for schema in schemas(tables) if schema.name != "contact"]

        def refusing(scope: Scope, checkpoint: str | None) -> AsyncIterator[Any]:
            if scope.table == "contact":
                checkpoint = "void|contact|"
            return pull(scope, checkpoint)

        world.server.schemas = without  # type: ignore[method-assign]  # the table is dropped
        replica._engine.transport.pull = refusing  # type: ignore[method-assign]
        report = await replica.sync()
        assert not report.complete
        assert "no table 'contact'" in str(report.tables["contact"].problem)
        assert "Changed" in await names(replica)
        assert contact in gone.rows


@pytest.mark.parametrize("cut", ["killed", "cancelled"])
async def test_a_replica_cut_between_new_layouts_and_new_schemas_reads_its_rows_rightly(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        _grow(world.server)
        write = replica._store.storage.write

        async def refuse(changes: Sequence[Any]) -> None:
            if any(change.table == "_holdfast_schemas" for change in changes):
                raise StorageFull("memory") if cut == "killed" else asyncio.CancelledError
            await write(changes)

        monkeypatch.setattr(replica._store.storage, "write", refuse)
        with pytest.raises((StorageFull, asyncio.CancelledError)):
            await replica.download()
        monkeypatch.undo()
        if cut == "cancelled":
            await _is_right(replica, accounts[0])
    async with world.replica() as replica:
        await _is_right(replica, accounts[0])


@pytest.mark.parametrize("after", range(1, 40))
async def test_a_download_cancelled_anywhere_leaves_memory_and_storage_of_one_mind(
    world: World, accounts: list[str], after: int
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        _grow(world.server)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(replica.download())
            for _ in range(after):
                await asyncio.sleep(0)
            running.cancel()
        await _is_right(replica, accounts[0])
    async with world.replica() as replica:
        await _is_right(replica, accounts[0])


@pytest.mark.parametrize("after", range(1, 8))
async def test_a_switch_cancelled_anywhere_is_where_the_file_says(world: World, after: int) -> None:
    async with world.replica() as replica:
        await replica.download()
        async with asyncio.TaskGroup() as group:
            switching = group.create_task(replica.go_offline())
            for _ in range(after):
                await asyncio.sleep(0)
            switching.cancel()
        offline = (await replica.status()).working_offline
    async with world.replica() as replica:
        assert (await replica.status()).working_offline is offline


async def _is_right(replica: holdfast.Replica, row_id: str) -> None:
    row = await replica.table("account").get(row_id)
    assert (row["name"], row["telephone1"], row.pending) == ("Account 0", "mine", True)
    await replica.table("account").update(row_id, {"address1_city": "Voss"})
    assert (await replica.table("account").get(row_id))["name"] == "Account 0"


async def test_history_of_a_table_that_left_the_profile_does_not_break_the_list(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        world.server.update("account", accounts[0], {"telephone1": "theirs"})
        await replica.sync()
        (entry,) = await replica.history()
    world.tables = [{"name": "contact"}]
    async with world.replica() as replica:
        await replica.download()
        assert await replica.history() == []
        with pytest.raises(IssueNotFound):
            await replica.take_theirs(entry.id)


async def test_an_edit_of_a_column_that_left_the_profile_is_sent_as_it_was_typed(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"revenue": Decimal("12.50")})
    world.tables = [{"name": "account", "columns": ["name"]}]
    async with world.replica() as replica:
        assert "revenue" not in replica.table("account").schema.by_name
        await replica.download()
        assert (await replica.sync()).complete
        await replica.download()
        assert "revenue" not in replica._engine.schema("account").by_name
    stored = world.stored("account", accounts[0])["revenue"]
    assert (stored, type(stored)) == (Decimal("12.50"), Decimal)
