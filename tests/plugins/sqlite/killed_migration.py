"""Is killed before each statement of a migration; run as ``killed_migration.py FILE``.

Prints what the file holds after each life: ``old``, ``new``, or what it saw in between.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.contracts import Context, Environment, Layout, Put, Query
from holdfast.schema import Field, Kind
from holdfast_sqlite import Connection, Database, InlineConnection, SqliteSettings, SqliteStorage
from holdfast_sqlite._connection import open_database

ID, NAME = Field("id", Kind.KEY), Field("name", Kind.TEXT)
OLD = [Layout("people", (ID, NAME), ("id",)), Layout("gone", (ID, NAME))]
NEW = [Layout("people", (ID, Field("sum", Kind.DECIMAL), NAME)), Layout("more", (ID,))]
NO_SEAMS = Environment(None, None, None, None)  # type: ignore[arg-type]  # the storage uses none


class Mortal:
    """A database whose process dies before its n-th statement."""

    def __init__(self, database: Database, lifetime: list[int]) -> None:
        self._database = database
        self._lifetime = lifetime

    def __getattr__(self, name: str) -> Any:
        if name in ("execute", "executemany"):
            self._lifetime[0] -= 1
            if self._lifetime[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return getattr(self._database, name)


async def run(path: Path, layouts: list[Layout], version: int, lifetime: int) -> None:
    left = [0]

    async def connect(uri: str, prepare: Callable[[Database], None]) -> Connection:
        return InlineConnection(Mortal(open_database(uri, prepare), left))

    driver = SqliteStorage.with_seams(connect=connect)
    async with driver.open(SqliteSettings(path=path), Context(NO_SEAMS, path.parent)) as storage:
        left[0] = lifetime
        await storage.migrate(layouts, version=version)
        if version == 1:
            await storage.write([Put("people", [("a", "Anna")]), Put("gone", [("b", "Bo")])])


async def look(path: Path) -> str:
    settings, context = SqliteSettings(path=path), Context(NO_SEAMS, path.parent)
    async with SqliteStorage.open(settings, context) as storage:
        version = await storage.version()
        people = [record async for record in storage.query(Query("people"))]
        tables: list[tuple[str, int | None]] = []
        for table in ("gone", "more"):
            try:
                tables.append((table, await storage.count(table)))
            except Exception:  # noqa: BLE001  whatever says that it is not there
                tables.append((table, None))
    match version, people, tables:
        case 1, [("a", "Anna")], [("gone", 1), ("more", None)]:
            return "old"
        case 2, [("a", None, "Anna")], [("gone", None), ("more", 0)]:
            return "new"
        case between:
            return f"between: {between}"


def main() -> None:
    path = Path(sys.argv[1])
    for nth in range(1, 200):
        path.unlink(missing_ok=True)
        asyncio.run(run(path, OLD, 1, 0))
        child = os.fork()
        if child == 0:
            asyncio.run(run(path, NEW, 2, nth))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(asyncio.run(look(path)), flush=True)
        if status == 0:
            return


if __name__ == "__main__":
    main()
