"""A SQLite database whose process dies before its n-th statement."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from holdfast import hookimpl
from holdfast.contracts import Context, Storage
from holdfast_sqlite import Connection, Database, SqliteSettings, SqliteStorage, connect_in_thread

T = TypeVar("T")
#: How many statements are left; 0 is for ever.
_left = [0]


def dies_before_statement(number: int) -> None:
    """Let this process die before so many statements have run; 0 lets it live."""
    _left[0] = number


class _MortalDatabase:
    def __init__(self, database: Database) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:  # Any: whatever SQLite has
        if name in ("execute", "executemany"):
            _left[0] -= 1
            if _left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return getattr(self._database, name)


class _MortalConnection:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def closed(self) -> bool:
        return self._connection.closed

    async def run(self, work: Callable[[Database], T], *, interruptible: bool = False) -> T:
        return await self._connection.run(
            lambda database: work(_MortalDatabase(database)), interruptible=interruptible
        )

    async def close(self) -> None:
        await self._connection.close()


async def _connect(uri: str, prepare: Callable[[Database], None]) -> Connection:
    return _MortalConnection(
        await connect_in_thread(uri, lambda database: prepare(_MortalDatabase(database)))
    )


class Mortal:
    """A plugin: opens the ``sqlite`` driver over connections that count their statements."""

    @hookimpl
    def holdfast_open_storage(
        self, driver: str, settings: SqliteSettings, context: Context
    ) -> AbstractAsyncContextManager[Storage] | None:
        """Step in before the driver."""
        counted = SqliteStorage.with_seams(connect=_connect)
        return counted.open(settings, context) if driver == "sqlite" else None


mortal = Mortal()
