"""The real SQLite storage on a simulated device: no thread, and crashes that close nothing well."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

from holdfast.contracts import Context, Storage
from holdfast.errors import StorageLocked
from holdfast_sqlite import (
    Connection,
    Database,
    SqliteSettings,
    SqliteStorage,
    connect_inline,
)


class SqliteMedium:
    """One file. A crash rolls back what was open and releases the lock.

    The files are not flushed: a killed process leaves what it wrote with the system.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._databases: list[Database] = []
        self._owned = False
        self._driver = SqliteStorage.with_seams(connect=self._connect, lock=self._lock)

    def open(self, context: Context) -> AbstractAsyncContextManager[Storage]:
        """Open the file."""
        settings = SqliteSettings(path=self._folder / "replica.db")
        return self._driver.open(settings, context)

    def crash(self) -> None:
        """Close all connections without a commit."""
        for database in self._databases:
            database.close()
        self._databases.clear()
        self._owned = False

    async def _connect(self, uri: str, prepare: Callable[[Database], None]) -> Connection:
        def prepare_fast(database: Database) -> None:
            prepare(database)
            database.execute("PRAGMA synchronous = OFF").close()
            self._databases.append(database)

        return await connect_inline(uri, prepare_fast)

    @contextmanager
    def _lock(self, path: Path) -> Iterator[None]:
        if self._owned:
            raise StorageLocked(str(path), None)
        self._owned = True
        try:
            yield
        finally:
            self._owned = False


def integrity(path: Path) -> str:
    """Return what SQLite finds wrong with a file: ``ok`` for nothing."""
    database = sqlite3.connect(path)
    try:
        (answer,) = database.execute("PRAGMA integrity_check").fetchone()
        return str(answer)
    finally:
        database.close()
