"""P22: an older format is brought forward whole, or the file stays what it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from holdfast.contracts import Layout, Put, Query, Storage
from holdfast.errors import ReplicaTooNew, StorageError
from holdfast.schema import Field, Kind
from holdfast_sqlite import Connection, Database, InlineConnection
from holdfast_sqlite._connection import open_database
from holdfast_sqlite._file import FORMAT

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]
QUEUE = Layout(
    "queue",
    (Field("id", Kind.KEY), Field("text", Kind.TEXT), Field("sum", Kind.INTEGER)),
    ("text", "sum"),
)
ROWS = [("a", "Ångström", 1), ("b", "straße", 2)]
FIRST = (
    'DROP INDEX "queue.text"',
    'DROP INDEX "queue.sum"',
    'CREATE INDEX "queue.sum" ON "queue" ("sum")',
    "ALTER TABLE queue DROP COLUMN _holdfast_sqlite_key_text",
    "ALTER TABLE _holdfast_sqlite_field DROP COLUMN key_column",
    "ALTER TABLE _holdfast_sqlite_state DROP COLUMN unicode",
    "PRAGMA user_version = 1",
)


WRITING = (
    *("CREATE", "ALTER", "DROP", "INSERT", "UPDATE", "DELETE", "COMMIT"),
    *("PRAGMA user_version =", "PRAGMA application_id ="),
)


def run(path: Path, *statements: str) -> list[Any]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return [row for each in statements for row in database.execute(each).fetchall()]


async def first_format(open_sqlite: Open, path: Path) -> None:
    async with open_sqlite() as storage:
        await storage.migrate([QUEUE], version=5)
        await storage.write([Put("queue", ROWS)])
    run(path, *FIRST)


class Failing:
    """A database whose n-th statement that writes fails."""

    def __init__(self, database: Database, left: list[int]) -> None:
        self._database = database
        self._left = left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        if sql.startswith(WRITING):
            self._left[0] -= 1
            if self._left[0] == 0:
                raise sqlite3.OperationalError("planted")
        return self._database.execute(sql, parameters)


async def test_an_upgrade_that_fails_anywhere_leaves_the_old_file(
    open_sqlite: Open, path: Path
) -> None:
    """An older holdfast reads it afterwards, and a newer one brings it forward after all."""
    await first_format(open_sqlite, path)
    before = run(path, "SELECT name, sql FROM sqlite_schema ORDER BY name")
    left = [0]

    async def connect(uri: str, prepare: Callable[[Database], None]) -> Connection:
        database: Database = open_database(uri, prepare)
        return InlineConnection(database if "mode=ro" in uri else Failing(database, left))

    for nth in range(1, 100):
        left[0] = nth
        try:
            async with open_sqlite(connect=connect):
                break
        except StorageError:
            left[0] = 0
            assert run(path, "PRAGMA user_version") == [(1,)]
            assert run(path, "SELECT name, sql FROM sqlite_schema ORDER BY name") == before
            assert run(path, "SELECT id, text, sum FROM queue ORDER BY id") == ROWS
            assert run(path, "PRAGMA integrity_check") == [("ok",)]
    assert nth > 10
    left[0] = 0
    async with open_sqlite() as storage:
        assert [tuple(record) async for record in storage.query(Query("queue"))] == ROWS
        assert await storage.version() == 5
    assert run(path, "PRAGMA user_version") == [(FORMAT,)]


@pytest.mark.parametrize("version", range(1, FORMAT))
async def test_every_older_format_is_brought_forward(
    open_sqlite: Open, path: Path, version: int
) -> None:
    makers = {1: first_format}
    await makers[version](open_sqlite, path)
    async with open_sqlite() as storage:
        assert [tuple(record) async for record in storage.query(Query("queue"))] == ROWS
    assert run(path, "PRAGMA user_version") == [(FORMAT,)]
    assert run(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_newer_format_is_told_by_both_numbers(open_sqlite: Open, path: Path) -> None:
    await first_format(open_sqlite, path)
    run(path, f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(ReplicaTooNew, match=f"has format {FORMAT + 1}, .* knows {FORMAT}; upgr"):
        async with open_sqlite():
            pass
