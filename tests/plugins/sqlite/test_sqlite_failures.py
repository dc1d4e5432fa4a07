# ruff: noqa: ASYNC240  a test looks at files while nothing else runs
from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import pytest

from holdfast.contracts import Delete, Layout, Put, Query, Storage
from holdfast.errors import StorageDamaged, StorageError, StorageFull
from holdfast.model import Record
from holdfast.schema import Field, Kind
from holdfast_sqlite import (
    Connect,
    Connection,
    Cursor,
    Database,
    connect_in_thread,
    connect_inline,
)

T = TypeVar("T")
Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]
Before: TypeAlias = Callable[[Database, str], None]

ID: Final = Field("id", Kind.KEY)
NAME: Final = Field("name", Kind.TEXT)
COUNT: Final = Field("count", Kind.INTEGER)
PEOPLE: Final = Layout("people", (ID, NAME, COUNT), ("count",))
NOTES: Final = Layout("notes", (ID, NAME))


class SpiedDatabase:
    """Announces each statement before it runs."""

    def __init__(self, database: Database, before: Before) -> None:
        self._database = database
        self._before = before

    @property
    def in_transaction(self) -> bool:
        return self._database.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        self._before(self._database, sql)
        return self._database.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> object:
        self._before(self._database, sql)
        return self._database.executemany(sql, parameters)

    def create_function(
        self, name: str, narg: int, func: Callable[..., Any], /, *, deterministic: bool = False
    ) -> None:
        self._database.create_function(name, narg, func, deterministic=deterministic)

    def create_aggregate(
        self, name: str, n_arg: int, aggregate_class: Callable[[], Any], /
    ) -> None:
        self._database.create_aggregate(name, n_arg, aggregate_class)

    def interrupt(self) -> None:
        self._database.interrupt()

    def close(self) -> None:
        self._database.close()


class SpiedConnection:
    def __init__(self, inner: Connection, before: Before) -> None:
        self._inner = inner
        self._before = before

    @property
    def closed(self) -> bool:
        return self._inner.closed

    async def run(self, work: Callable[[Database], T], *, interruptible: bool = False) -> T:
        return await self._inner.run(
            lambda database: work(SpiedDatabase(database, self._before)),
            interruptible=interruptible,
        )

    async def close(self) -> None:
        await self._inner.close()


def spied(connect: Connect, before: Before, opened: list[str] | None = None) -> Connect:
    async def connect_spied(uri: str, prepare: Callable[[Database], None]) -> Connection:
        if opened is not None:
            opened.append(uri)
        return SpiedConnection(await connect(uri, prepare), before)

    return connect_spied


class Trap:
    """Fails the n-th statement from now on."""

    def __init__(self, code: int = sqlite3.SQLITE_IOERR) -> None:
        self.code = code
        self.left = 0

    def __call__(self, _: Database, sql: str) -> None:
        self.left -= 1
        if self.left == 0 and sql != "ROLLBACK":
            error = sqlite3.OperationalError(f"planted before {sql}")
            error.sqlite_errorcode = self.code
            raise error


async def everything(storage: Storage, table: str) -> list[Record]:
    return [record async for record in storage.query(Query(table))]


# --- full disks, broken disks ---------------------------------------------------------------------


def people(count: int) -> list[Record]:
    return [(f"{number:06d}", "a name of some length " * 5, number) for number in range(count)]


def bounded(pages: int) -> Connect:
    """Return connections to a disk of so many pages."""

    async def connect(uri: str, prepare: Callable[[Database], None]) -> Connection:
        def prepare_bounded(database: Database) -> None:
            prepare(database)
            database.execute(f"PRAGMA max_page_count = {pages}").fetchone()

        return await connect_in_thread(uri, prepare_bounded)

    return connect


async def test_a_full_disk_is_said_and_nothing_is_written(open_sqlite: Open) -> None:
    """SQLite has rolled back by itself when it says so; nothing may go on in autocommit."""
    async with open_sqlite(connect=bounded(20)) as storage:
        await storage.migrate([PEOPLE, NOTES], version=1)
        await storage.write([Put("people", people(1))])
        with pytest.raises(StorageFull):
            await storage.write(
                [
                    Delete("people", ["000000"]),
                    Put("people", people(5000)),
                    Put("notes", [("a", "after")]),
                ]
            )
        assert await everything(storage, "people") == people(1)
        assert await everything(storage, "notes") == []
        await storage.write([Put("notes", [("b", "there is room for this")])])
        assert await storage.count("notes") == 1
    async with open_sqlite() as storage:
        assert await storage.count("people") == 1


async def test_a_write_that_fails_anywhere_leaves_all_or_nothing(open_sqlite: Open) -> None:
    trap = Trap()
    before, after = [("a", "old", 1)], [("a", "new", 2), ("b", "new", 3)]
    async with open_sqlite(connect=spied(connect_inline, trap)) as storage:
        await storage.migrate([PEOPLE], version=1)
        for nth in range(1, 20):
            await storage.write([Delete("people", ["b"]), Put("people", before)])
            trap.left = nth
            try:
                await storage.write([Put("people", after[:1]), Put("people", after[1:])])
            except StorageError:
                trap.left = 0
                assert await everything(storage, "people") == before
            else:
                break
        assert nth > 5
        trap.left = 0
        assert await everything(storage, "people") == after


async def test_after_the_disk_failed_the_next_write_has_a_new_connection(
    open_sqlite: Open,
) -> None:
    trap, opened = Trap(), list[str]()
    async with open_sqlite(connect=spied(connect_in_thread, trap, opened)) as storage:
        await storage.migrate([PEOPLE], version=1)
        connections = len(opened)
        trap.left = 2
        with pytest.raises(StorageError, match="check the disk"):
            await storage.write([Put("people", people(1))])
        await storage.write([Put("people", people(2))])
        assert len(opened) == connections + 1
        assert await storage.count("people") == 2


async def test_after_the_disk_failed_the_file_is_looked_through_before_the_next_write(
    open_sqlite: Open,
) -> None:
    """One that is damaged is not written to, however often that is tried."""
    seen: list[str] = []
    failing: dict[str, int] = {}

    def before(_: Database, sql: str) -> None:
        seen.append(sql)
        if sql in failing:
            error = sqlite3.DatabaseError("planted")
            error.sqlite_errorcode = failing[sql]
            raise error

    async with open_sqlite(connect=spied(connect_inline, before)) as storage:
        await storage.migrate([PEOPLE], version=1)
        failing["COMMIT"] = sqlite3.SQLITE_IOERR_FSYNC
        with pytest.raises(StorageError, match="check the disk"):
            await storage.write([Put("people", people(1))])
        failing.clear()
        seen.clear()
        await storage.write([Put("people", people(2))])
        assert seen[:2] == ["PRAGMA quick_check(1)", "BEGIN IMMEDIATE"]
        seen.clear()
        await storage.write([Put("people", people(3))])
        assert seen[0] == "BEGIN IMMEDIATE"
        failing["COMMIT"] = sqlite3.SQLITE_IOERR_FSYNC
        with pytest.raises(StorageError, match="check the disk"):
            await storage.write([Put("people", people(4))])
        failing["PRAGMA quick_check(1)"] = sqlite3.SQLITE_CORRUPT
        for _ in range(2):
            with pytest.raises(StorageDamaged):
                await storage.write([Put("people", people(4))])


async def test_a_reading_that_failed_is_the_last_on_its_connection(open_sqlite: Open) -> None:
    trap, opened = Trap(), list[str]()
    async with open_sqlite(connect=spied(connect_in_thread, trap, opened)) as storage:
        await storage.migrate([PEOPLE], version=1)
        reads: list[Callable[[], Awaitable[int]]] = [
            lambda: storage.count("people"),
            storage.version,
        ]
        for read in reads:
            await read()
            connections = len(opened)
            trap.left = 2
            with pytest.raises(StorageError, match="check the disk"):
                await read()
            assert await read() in {0, 1}
            assert len(opened) == connections + 1


async def test_a_log_that_was_left_behind_is_on_the_disk_before_anything_follows_it(
    open_sqlite: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a failed flush left in it must be flushed, or what follows would be lost with it."""
    copies: dict[Path, bytes] = {}
    async with open_sqlite() as storage:
        await storage.migrate([PEOPLE], version=1)
        await storage.write([Put("people", people(2000))])
        for name in ("replica.db", "replica.db-wal"):
            copies[path.with_name(name)] = path.with_name(name).read_bytes()
    flushed: list[int] = []
    right = os.fsync

    def flush(file: int) -> None:
        flushed.append(os.fstat(file).st_ino)
        right(file)

    monkeypatch.setattr(os, "fsync", flush)
    for copy, content in copies.items():
        copy.write_bytes(content)
    log = path.with_name("replica.db-wal")
    inode = log.stat().st_ino
    async with open_sqlite() as storage:
        assert inode in flushed
        assert log.read_bytes()[: len(copies[log])] == copies[log]
        assert await storage.count("people") == 2000


async def test_a_full_disk_is_said_by_the_system_too(
    open_sqlite: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        async with open_sqlite():
            pass


async def test_a_file_that_another_program_holds_is_said_to_be_so(open_sqlite: Open) -> None:
    trap = Trap(sqlite3.SQLITE_BUSY)
    async with open_sqlite(connect=spied(connect_in_thread, trap)) as storage:
        await storage.migrate([PEOPLE], version=1)
        trap.left = 1
        with pytest.raises(StorageError, match="held by another program"):
            await storage.write([Put("people", people(1))])


async def test_a_damaged_file_is_said_to_be_so(open_sqlite: Open, path: Path) -> None:
    async with open_sqlite() as storage:
        await storage.migrate([PEOPLE], version=1)
        await storage.write([Put("people", people(2000))])
    content = bytearray(path.read_bytes())
    content[3 * 16384 :] = b"\xff" * (len(content) - 3 * 16384)
    path.write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        async with open_sqlite() as storage:
            await everything(storage, "people")


async def test_a_file_that_was_not_made_to_its_end_is_not_there_and_is_made_anew(
    open_sqlite: Open, path: Path
) -> None:
    """SQLite makes the first page through a journal, which only somebody who may write reads."""
    path.parent.mkdir()
    for remains in ("replica.db.new", "replica.db.new-journal", "replica.db.new-wal"):
        path.with_name(remains).write_bytes(b"half a page")
    trap = Trap()
    for nth in range(1, 100):
        trap.left = nth
        try:
            async with open_sqlite(connect=spied(connect_prepared(trap), trap)):
                break
        except StorageError:
            assert not path.exists() or path.read_bytes()[18:20] == b"\2\2"
            assert list(path.parent.glob("replica.db.new*")) == []
    assert nth > 10


def connect_prepared(before: Before) -> Connect:
    """Return connections whose preparation is announced too."""

    async def connect(uri: str, prepare: Callable[[Database], None]) -> Connection:
        return await connect_inline(uri, lambda database: prepare(SpiedDatabase(database, before)))

    return connect


# --- migrations -----------------------------------------------------------------------------------


async def test_a_migration_that_fails_at_any_statement_leaves_the_old_tables(
    open_sqlite: Open,
) -> None:
    new = Layout("people", (ID, Field("count", Kind.DECIMAL), NAME, Field("more", Kind.KEY)))
    changed = [new, Layout("notes", NOTES.fields, ("id", "name")), Layout("other", (COUNT, ID))]
    gone = Layout("gone", (ID,))
    trap = Trap()
    async with open_sqlite(connect=spied(connect_inline, trap)) as storage:
        await storage.migrate([PEOPLE, NOTES, gone], version=1)
        await storage.write([Put("people", [("a", "Anna", 1)]), Put("gone", [("x",)])])
        for nth in range(1, 100):
            trap.left = nth
            try:
                await storage.migrate(changed, version=2)
            except StorageError:
                trap.left = 0
                assert await storage.version() == 1
                assert await everything(storage, "people") == [("a", "Anna", 1)]
                assert await everything(storage, "gone") == [("x",)]
                with pytest.raises(StorageError):
                    await everything(storage, "other")
            else:
                break
        assert nth > 10
        trap.left = 0
        assert await storage.version() == 2
        assert await everything(storage, "people") == [("a", None, "Anna", None)]


@pytest.mark.parametrize(
    "layouts",
    [
        [Layout("a", (ID,)), Layout("A", (ID,))],
        [Layout("a", (ID, NAME, Field("Name", Kind.TEXT)))],
        [Layout("_holdfast_sqlite_state", (ID,))],
        [Layout("sqlite_master", (ID,))],
        [Layout("a", (Field("id", Kind.REAL),))],
        [Layout("a", (ID,), ("nope",))],
        [Layout("a", (ID, Field("_holdfast_sqlite_key_id", Kind.TEXT)))],
    ],
    ids=["tables", "fields", "reserved", "sqlite", "key", "index", "key column"],
)
async def test_layouts_that_sqlite_cannot_hold_are_refused(
    open_sqlite: Open, layouts: list[Layout]
) -> None:
    async with open_sqlite() as storage:
        with pytest.raises(StorageError):
            await storage.migrate(layouts, version=1)
        assert await storage.version() == 0


# --- cancellation and concurrency -----------------------------------------------------------------


class Gate:
    """Holds a statement back, on its thread, until the test lets it go."""

    def __init__(self, statement: str) -> None:
        self._statement = statement
        self._loop = asyncio.get_running_loop()
        self._open = threading.Event()
        self.closed = False
        self.reached = asyncio.Event()

    def __call__(self, _: Database, sql: str) -> None:
        if self.closed and sql.startswith(self._statement):
            self.closed = False
            self._loop.call_soon_threadsafe(self.reached.set)
            assert self._open.wait(20)

    def release(self) -> None:
        self._open.set()


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    gate = Gate("INSERT")
    yield gate
    gate.release()


async def test_readers_do_not_wait_for_a_write_that_is_under_way(
    open_sqlite: Open, gate: Gate
) -> None:
    async with open_sqlite(connect=spied(connect_in_thread, gate)) as storage:
        await storage.migrate([PEOPLE], version=1)
        await storage.write([Put("people", people(1))])
        gate.closed = True
        async with asyncio.TaskGroup() as group:
            group.create_task(
                storage.write([Delete("people", ["000000"]), Put("people", people(3))])
            )
            await gate.reached.wait()
            assert await everything(storage, "people") == people(1)
            assert await storage.count("people") == 1
            assert await storage.read("people", ["000000"]) == people(1)
            gate.release()
        assert await everything(storage, "people") == people(3)


async def test_a_cancelled_write_comes_to_its_end_before_the_cancellation_is_felt(
    open_sqlite: Open, gate: Gate
) -> None:
    """Whether it is there is known then; the connection is free for the next one."""
    async with open_sqlite(connect=spied(connect_in_thread, gate)) as storage:
        await storage.migrate([PEOPLE], version=1)
        gate.closed = True
        async with asyncio.TaskGroup() as group:
            task = group.create_task(storage.write([Put("people", people(2))]))
            await gate.reached.wait()
            task.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
            assert not task.done()
            gate.release()
        assert task.cancelled()
        assert await storage.count("people") == 2
        await storage.write([Put("people", people(3))])
        assert await storage.count("people") == 3


async def test_a_write_that_is_cancelled_twice_gives_up_waiting_and_the_next_one_is_after_it(
    open_sqlite: Open, gate: Gate
) -> None:
    async with open_sqlite(connect=spied(connect_in_thread, gate)) as storage:
        await storage.migrate([PEOPLE], version=1)
        gate.closed = True
        async with asyncio.TaskGroup() as group:
            task = group.create_task(storage.write([Put("people", people(2))]))
            await gate.reached.wait()
            for _ in range(2):
                task.cancel()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            assert task.done()
            following = group.create_task(storage.write([Delete("people", ["000000"])]))
            await asyncio.sleep(0)
            gate.release()
            await following
        assert await everything(storage, "people") == people(2)[1:]


async def test_a_cancelled_query_stops_its_statement(open_sqlite: Open) -> None:
    loop, running = asyncio.get_running_loop(), asyncio.Event()

    def tick(_: int) -> None:
        loop.call_soon_threadsafe(running.set)

    def endless(database: Database, sql: str) -> None:
        if "people" not in sql or not sql.startswith("SELECT"):
            return
        database.create_function("tick", 1, tick)
        database.execute(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
            "SELECT count(tick(x)) FROM c WHERE x % 1000 = 0"
        ).fetchone()

    async with open_sqlite(connect=spied(connect_in_thread, endless)) as storage:
        await storage.migrate([PEOPLE], version=1)
        for ask in (lambda: everything(storage, "people"), lambda: storage.count("people")):
            running.clear()
            task = asyncio.ensure_future(ask())
            await running.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await storage.write([Put("people", people(1))])
        assert await storage.read("people", []) == []


async def test_any_number_of_open_queries_leaves_room_for_another(open_sqlite: Open) -> None:
    """A caller that reads on while it holds queries open must never wait for itself."""
    async with open_sqlite() as storage:
        await storage.migrate([PEOPLE], version=1)
        await storage.write([Put("people", people(600))])
        queries = [storage.query(Query("people")) for _ in range(20)]
        for query in queries:
            await anext(query)
        assert await storage.count("people") == 600
        for query in queries:
            assert len([record async for record in query]) == 599


async def test_a_query_that_is_left_open_ends_with_the_storage(open_sqlite: Open) -> None:
    for connect in (connect_in_thread, connect_inline):
        async with open_sqlite(connect=connect) as storage:
            await storage.migrate([PEOPLE], version=1)
            await storage.write([Put("people", people(2000))])
            query = storage.query(Query("people"))
            await anext(query)
        with pytest.raises(StorageError, match="closed"):
            async for _ in query:
                pass
        with pytest.raises(StorageError, match="closed"):
            await storage.count("people")
        with pytest.raises(StorageError, match="closed"):
            await storage.write([])


async def test_no_read_transaction_outlives_a_chunk(open_sqlite: Open, path: Path) -> None:
    """An open one would keep the write-ahead log from starting over."""
    async with open_sqlite() as storage:
        await storage.migrate([PEOPLE], version=1)
        await storage.write([Put("people", people(2000))])
        query = storage.query(Query("people"))
        seen = [await anext(query)]
        assert emptied(path)
        async for record in query:
            seen.append(record)
            if len(seen) % 700 == 0:
                await storage.write([Delete("people", [str(record[0])])])
                assert emptied(path)
        assert seen == people(2000)
        async for _ in storage.query(Query("people")):
            break
        assert emptied(path)


def emptied(path: Path) -> bool:
    """Tell whether nobody needs the log: what is in it can be moved, and it can be cut to zero."""
    database = sqlite3.connect(path, timeout=0)
    (busy, _, _) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    database.close()
    return not busy
