"""A plugin that counts the statements of the ``sqlite`` driver, tells of each, and dies before one.

Invariant: nothing of the driver is changed; the connections go through its own seam.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

from holdfast import hookimpl
from holdfast.contracts import Context, Storage
from holdfast_sqlite import Connection, Database, SqliteSettings, SqliteStorage, connect_in_thread
from support.kills.witness import tell

T = TypeVar("T")
_WORDS: Final = 3


class _MortalDatabase:
    def __init__(self, database: Database, mortal: Mortal) -> None:
        self._database = database
        self._mortal = mortal

    def execute(self, sql: str, *parameters: Any) -> Any:  # Any: as SQLite has it
        self._mortal.count(sql)
        return self._database.execute(sql, *parameters)

    def executemany(self, sql: str, parameters: Any) -> Any:  # Any: as above
        self._mortal.count(sql)
        return self._database.executemany(sql, parameters)

    def __getattr__(self, name: str) -> Any:  # Any: whatever SQLite has
        return getattr(self._database, name)


class _MortalConnection:
    def __init__(self, connection: Connection, mortal: Mortal) -> None:
        self._connection = connection
        self._mortal = mortal

    @property
    def closed(self) -> bool:
        return self._connection.closed

    async def run(self, work: Callable[[Database], T], *, interruptible: bool = False) -> T:
        return await self._connection.run(
            lambda database: work(_MortalDatabase(database, self._mortal)),
            interruptible=interruptible,
        )

    async def close(self) -> None:
        await self._connection.close()


class Mortal:
    """What the profile of a child names under ``plugins``; ``statement`` 0 lets it live."""

    def __init__(self) -> None:
        self.statement = 0
        self._run = 0

    def count(self, sql: str) -> None:
        """Tell of a statement that is about to run, and die if it is the one."""
        self._run += 1
        tell("statement", number=self._run, sql=" ".join(sql.split()[:_WORDS]))
        if self._run == self.statement:
            os.kill(os.getpid(), signal.SIGKILL)

    @hookimpl
    def holdfast_open_storage(
        self, driver: str, settings: SqliteSettings, context: Context
    ) -> AbstractAsyncContextManager[Storage] | None:
        """Step in before the driver."""
        counted = SqliteStorage.with_seams(connect=self._connect)
        return counted.open(settings, context) if driver == SqliteStorage.name else None

    async def _connect(self, uri: str, prepare: Callable[[Database], None]) -> Connection:
        def prepare_counted(database: Database) -> None:
            prepare(_MortalDatabase(database, self))

        return _MortalConnection(await connect_in_thread(uri, prepare_counted), self)


mortal = Mortal()
