"""One connection that writes, and those that read.

Invariant: readers never wait for a writer (SQLite's write-ahead log), and never for each other's
answers: each chunk of an answer has a connection of its own while it is read, and none while its
caller takes its time.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar

from holdfast.errors import StorageError
from holdfast_sqlite._connection import Connection, Database
from holdfast_sqlite._errors import is_disk_failure

T = TypeVar("T")
Open: TypeAlias = Callable[[], Awaitable[Connection]]
#: How many connections stay open for the next query; more are opened when more are needed.
IDLE_READERS: Final = 3
_log = logging.getLogger(__name__)


def in_transaction(database: Database, begin: str, work: Callable[[Database], T]) -> T:
    """Run ``work`` in one transaction: all of it is committed, or nothing.

    SQLite may roll back by itself, when the disk is full for one. Whatever was raised, nothing may
    follow: it would be committed statement by statement.
    """
    database.execute(begin)
    try:
        result = work(database)
        database.execute("COMMIT")
    except BaseException:
        roll_back(database)
        raise
    return result


def roll_back(database: Database) -> None:
    """End the transaction, if it has not ended."""
    if database.in_transaction:
        database.execute("ROLLBACK")


class Writer:
    """The one connection that writes.

    After a write has failed, its connection is given up and the next write opens another: what the
    old one believes to be on the disk may not be there. Nothing is tried again by itself. After the
    disk has failed, the file is looked through before anything is written to it.
    """

    def __init__(self, connect: Open) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._closed = False
        self._suspect = False
        self._turn = asyncio.Lock()

    async def run(self, work: Callable[[Database], T]) -> T:
        """Run ``work`` in a transaction, durable when this returns."""
        async with self._turn:
            connection = await self._connected()
            try:
                return await connection.run(
                    lambda database: in_transaction(database, "BEGIN IMMEDIATE", work)
                )
            except sqlite3.Error as error:
                self._suspect = is_disk_failure(error)
                self._connection = None
                await _discard(connection)
                raise

    async def _connected(self) -> Connection:
        if self._closed:
            raise StorageError("the storage is closed; open it again")
        if self._connection is None:
            connection = await self._connect()
            if self._suspect:
                await _verify(connection)
                self._suspect = False
            self._connection = connection
        return self._connection

    async def close(self, *, tidy: bool = True) -> None:
        """Close; before that, move what is in the write-ahead log into the file, if ``tidy``."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            if tidy:
                await connection.run(_checkpoint)
        finally:
            await connection.close()


def _checkpoint(database: Database) -> None:
    try:
        database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error:
        # Nothing is lost: it is durable in the log, which the next owner reads.
        _log.warning("checkpoint failed", extra={"event": "holdfast.sqlite.checkpoint"})


async def _verify(connection: Connection) -> None:
    """Look through the file; a connection that cannot, or finds it damaged, is closed."""
    try:
        await connection.run(_look_through)
    except BaseException:
        await _discard(connection)
        raise


def _look_through(database: Database) -> None:
    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        damaged = sqlite3.DatabaseError(found)
        damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damaged


class Readers:
    """The connections that read; one on which anything has failed is given up."""

    def __init__(self, connect: Open) -> None:
        self._connect = connect
        self._shared: Connection | None = None
        self._idle: list[Connection] = []
        self._leased: set[Connection] = set()
        self._opening = asyncio.Lock()
        self._closed = False

    async def run(self, work: Callable[[Database], T]) -> T:
        """Run something short on the shared connection."""
        async with self._opening:
            if self._shared is None:
                self._shared = await self._opened()
            connection = self._shared
        try:
            return await connection.run(lambda database: in_transaction(database, "BEGIN", work))
        except sqlite3.Error:
            if self._shared is connection:  # else: another that waited has given it up
                self._shared = None
                await _discard(connection)
            raise

    async def run_long(self, work: Callable[[Database], T]) -> T:
        """Run what may take long in a transaction, on a connection that nobody else waits for."""
        connection = self._idle.pop() if self._idle else await self._opened()
        self._leased.add(connection)
        usable = True
        try:
            return await connection.run(
                lambda database: in_transaction(database, "BEGIN", work), interruptible=True
            )
        except sqlite3.Error:
            usable = False
            raise
        finally:
            self._leased.discard(connection)
            if not usable or self._closed or len(self._idle) >= IDLE_READERS:
                await _discard(connection)
            else:
                self._idle.append(connection)

    async def _opened(self) -> Connection:
        if self._closed:
            raise StorageError("the storage is closed; open it again")
        return await self._connect()

    async def close(self) -> None:
        """Close all, also those in use."""
        self._closed = True
        shared = [self._shared] if self._shared else []
        for connection in (*shared, *self._idle, *self._leased):
            await _discard(connection)


async def _discard(connection: Connection) -> None:
    try:
        await connection.close()
    except sqlite3.Error:
        _log.warning("closing failed", extra={"event": "holdfast.sqlite.close"})
