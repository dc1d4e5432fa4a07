"""The connect seam: who runs SQLite, and on which thread.

Invariant: one unit of work is one ``run``. Nothing else touches the connection while it runs, and a
``run`` that is cancelled returns only when the work has come to its end, done or not done.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import aiosqlite

from holdfast.errors import StorageError

T = TypeVar("T")


class Cursor(Protocol):
    """What is used of a DB-API cursor. ``Any``: a cell as SQLite gives it."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""

    def fetchall(self) -> list[Any]:
        """Return all other rows."""
        ...

    def close(self) -> None:
        """End the statement."""


class Database(Protocol):
    """What is used of ``sqlite3.Connection``, in autocommit mode; errors are ``sqlite3.Error``."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> object:
        """Run one statement for each of the parameters."""
        ...

    def create_function(
        self, name: str, narg: int, func: Callable[..., Any], /, *, deterministic: bool = ...
    ) -> None:
        """Make a Python function known to SQL."""

    def create_aggregate(
        self, name: str, n_arg: int, aggregate_class: Callable[[], Any], /
    ) -> None:
        """Make a Python class known to SQL, which sees the rows of a group one after the other."""

    def interrupt(self) -> None:
        """Make the running statement fail soon; may be called from another thread."""

    def close(self) -> None:
        """Close, rolling back."""


class Connection(Protocol):
    """A database and the thread it lives on."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be run any more."""
        ...

    async def run(self, work: Callable[[Database], T], *, interruptible: bool = False) -> T:
        """Run ``work`` from start to end, alone.

        :param interruptible: a cancellation interrupts the running statement
        """
        ...

    async def close(self) -> None:
        """Close the database; a second time does nothing."""


class Connect(Protocol):
    """How a connection is made."""

    async def __call__(self, uri: str, prepare: Callable[[Database], None]) -> Connection:
        """Open the SQLite URI in autocommit mode and let ``prepare`` set it up."""
        ...


def open_database(uri: str, prepare: Callable[[Database], None]) -> sqlite3.Connection:
    """Open a connection of the standard library, or leave none behind."""
    database = sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=256)
    try:
        _harden(database)
        prepare(database)
    except BaseException:
        database.close()
        raise
    return database


#: Switches of SQLite, and how they stand: a file cannot be changed behind SQLite's back, runs no
#: trigger and shows no view, and a name in double quotes is a name.
_SWITCHES: Final = {
    "SQLITE_DBCONFIG_DEFENSIVE": True,
    "SQLITE_DBCONFIG_TRUSTED_SCHEMA": False,
    "SQLITE_DBCONFIG_ENABLE_TRIGGER": False,
    "SQLITE_DBCONFIG_ENABLE_VIEW": False,
    "SQLITE_DBCONFIG_DQS_DML": False,
    "SQLITE_DBCONFIG_DQS_DDL": False,
}


def _harden(database: sqlite3.Connection) -> None:
    """Turn the switches that Python reaches: none before 3.12."""
    configure = getattr(database, "setconfig", None)
    if configure is not None:
        for name, on in _SWITCHES.items():
            configure(getattr(sqlite3, name), on)


class ThreadConnection(aiosqlite.Connection):
    """A connection on a thread of its own: what production uses.

    aiosqlite's public calls are one hop between threads for each statement. A transaction of ten
    would hop ten times, and another task could come between; so whole functions are handed to its
    thread, through the protected method that its own calls use.
    """

    def __init__(self, uri: str, prepare: Callable[[Database], None]) -> None:
        super().__init__(partial(open_database, uri, prepare), iter_chunk_size=64)
        self._ending: asyncio.Future[Any] | None = None  # Any: aiosqlite's mark

    @property
    def closed(self) -> bool:
        """Whether nothing can be run any more."""
        return self._connection is None

    async def run(self, work: Callable[[Database], T], *, interruptible: bool = False) -> T:
        """Run ``work`` on the thread, which goes on when the waiting is cancelled.

        A second cancellation is obeyed at once. Even then nothing comes between.
        """
        database = self._connection
        if database is None:
            raise StorageError("the storage is closed; open it again")
        execute: Callable[..., Awaitable[Any]] = self._execute  # Any: what its function returns
        try:
            result: T = await execute(work, database)
        except asyncio.CancelledError:
            if interruptible:
                database.interrupt()
            # The thread takes its work in order: when this is done, that is at its end. A task to
            # shield each call from its caller's cancellation would cost more than a short query.
            await execute(_nothing)
            raise
        return result

    async def close(self) -> None:
        """Close the database and see the thread out; it has told that it is at its end."""
        await super().close()
        self._thread.join()

    def stop(self) -> asyncio.Future[Any] | None:  # Any: as above
        """Ask the thread to end, once; aiosqlite does it itself when an opening fails."""
        if self._running:
            self._ending = super().stop()
        return self._ending

    async def give_up(self) -> None:
        """See the thread out after an opening that failed.

        A live one would keep the interpreter from ending, and one that is at its end but for the
        telling would tell a loop that is closed.
        """
        ending = self.stop()
        if ending is not None:
            await _to_its_end(ending)
        self._thread.join()


async def connect_in_thread(uri: str, prepare: Callable[[Database], None]) -> Connection:
    """Connect through aiosqlite."""
    connection = ThreadConnection(uri, prepare)
    try:
        await _to_its_end(connection)
    except BaseException:
        await connection.give_up()
        raise
    return connection


def _nothing() -> None:
    """Do nothing, in its turn."""


async def _to_its_end(work: Awaitable[T]) -> T:
    """Await an opening, which goes on when the waiting is cancelled: so wait for its end."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_ignore_outcome)
        await asyncio.wait([task])
        raise


def _ignore_outcome(task: asyncio.Future[T]) -> None:
    """Look at an error that nobody wants to hear of any more, lest asyncio reports it."""
    if not task.cancelled():
        task.exception()


class InlineConnection:
    """A connection on the loop's own thread, for virtual time: a thread would be a second clock.

    ``run`` lets other tasks go first, as a thread would.
    """

    def __init__(self, database: Database) -> None:
        self._database: Database | None = database

    @property
    def closed(self) -> bool:
        """Whether nothing can be run any more."""
        return self._database is None

    async def run(self, work: Callable[[Database], T], *, interruptible: bool = False) -> T:  # noqa: ARG002  nothing can interrupt it
        """Run ``work`` here."""
        await asyncio.sleep(0)
        if self._database is None:
            raise StorageError("the storage is closed; open it again")
        return work(self._database)

    async def close(self) -> None:
        """Close the database."""
        database, self._database = self._database, None
        if database is not None:
            database.close()


async def connect_inline(uri: str, prepare: Callable[[Database], None]) -> Connection:
    """Connect on the loop's own thread."""
    return InlineConnection(open_database(uri, prepare))
