"""The storage: one SQLite file, one owner, any number of readers.

Invariant: every public method is one unit of work in one transaction on one connection; what it
raises is a ``StorageError``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from pydantic import BaseModel, ConfigDict

from holdfast.contracts import (
    Change,
    Context,
    Key,
    Layout,
    OpenMode,
    Put,
    Query,
    Storage,
)
from holdfast.errors import StorageError
from holdfast.filters import EVERYTHING, Expression
from holdfast.model import Record
from holdfast_sqlite import _file, _layouts, _render
from holdfast_sqlite._cells import register_functions
from holdfast_sqlite._connection import Connect, Connection, Cursor, Database, connect_in_thread
from holdfast_sqlite._errors import translated
from holdfast_sqlite._lock import owner_lock
from holdfast_sqlite._pool import Readers, Writer, in_transaction, roll_back

T = TypeVar("T")
_CHUNK: Final = 500  # rows a hop between threads: small beside a page, large beside a hop
_KEYS_PER_STATEMENT: Final = 500

_PRAGMAS: Final = (
    "busy_timeout = 5000",
    "trusted_schema = OFF",
    "synchronous = FULL",
    "fullfsync = ON",  # macOS: fsync alone stops at the drive's cache
    "checkpoint_fullfsync = ON",
)
_WRITER_PRAGMAS: Final = (
    *_PRAGMAS,
    "page_size = 16384",  # of a new file; loads 1.2 times as fast
    "cache_size = -65536",  # 64 MiB: random ids touch the whole key index
    "journal_size_limit = 67108864",
)
_READER_PRAGMAS: Final = (*_PRAGMAS, "query_only = ON", "cache_size = -8192")


class SqliteSettings(BaseModel):
    """The ``[storage]`` section of a profile."""

    model_config = ConfigDict(extra="forbid")

    #: The file; a relative path starts at the profile's folder.
    path: Path


class SqliteStorage(Storage):
    """A replica in one SQLite file."""

    name = "sqlite"
    Settings = SqliteSettings
    #: The seams, for the class below that :meth:`with_seams` makes.
    connect: ClassVar[Connect] = staticmethod(connect_in_thread)
    lock: ClassVar[Callable[[Path], AbstractContextManager[None]]] = staticmethod(owner_lock)

    @classmethod
    def with_seams(
        cls,
        *,
        connect: Connect,
        lock: Callable[[Path], AbstractContextManager[None]] | None = None,
    ) -> type[SqliteStorage]:
        """Return this driver with another way to connect, and perhaps to lock."""
        seams = {"connect": staticmethod(connect), "lock": staticmethod(lock or cls.lock)}
        return type(cls.__name__, (cls,), seams)

    def __init__(self, path: Path, readers: Readers, writer: Writer | None) -> None:
        self._path = path
        self._readers = readers
        self._writer = writer
        self._catalog = _layouts.Catalog()

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: SqliteSettings, context: Context) -> AsyncIterator[Storage]:
        """Open the file; an owner makes it when it is missing."""
        path = _file.locate(context.folder, settings.path)
        async with AsyncExitStack() as closing:
            with translated(str(path)):
                opener = cls._own if context.mode is OpenMode.OWNER else cls._join
                storage = await opener(path, closing)
            yield storage

    @classmethod
    async def _own(cls, path: Path, closing: AsyncExitStack) -> SqliteStorage:
        _file.create_folder(path.parent)
        closing.enter_context(cls.lock(path))
        _file.create(path)
        await cls._check(path)
        writer = Writer(partial(cls.connect, path.as_uri(), _prepare_writer))
        closing.push_async_callback(writer.close)
        await writer.run(_file.upgrade)
        # The readers are closed first: the last to close removes the log, and they may not.
        return cls(path, cls._open_readers(path, closing), writer)

    @classmethod
    async def _join(cls, path: Path, closing: AsyncExitStack) -> SqliteStorage:
        if await cls._check(path) != _file.FORMAT:
            raise StorageError(f"{path} has an older format; its owner must open it first")
        return cls(path, cls._open_readers(path, closing), None)

    @classmethod
    async def _check(cls, path: Path) -> int:
        """Refuse a file that is not ours, and return its format."""
        _file.check_header(path)
        async with AsyncExitStack() as closing:
            readers = cls._open_readers(path, closing)
            return await readers.run(partial(_file.check_schema, path=path))

    @classmethod
    def _open_readers(cls, path: Path, closing: AsyncExitStack) -> Readers:
        # A connection in mode=ro never moves the log into the file: the owner's writer alone does.
        readers = Readers(partial(cls.connect, f"{path.as_uri()}?mode=ro", _prepare_reader))
        closing.push_async_callback(readers.close)
        return readers

    @property
    def location(self) -> str:
        """The file's path."""
        return str(self._path)

    async def version(self) -> int:
        """Return the number given to the last ``migrate``."""
        with translated(self.location):
            return await self._readers.run(_layouts.stored_version)

    async def migrate(self, layouts: Sequence[Layout], *, version: int) -> None:
        """Make the tables what the layouts say, in one transaction."""
        await self._write(lambda database: _layouts.migrate(database, layouts, version))

    async def read(self, table: str, keys: Sequence[Key]) -> list[Record]:
        """Return the records with these keys."""

        def select(database: Database) -> list[Record]:
            stored = self._catalog.table(database, table)
            found: list[Record] = []
            for at in range(0, len(keys), _KEYS_PER_STATEMENT):
                some = keys[at : at + _KEYS_PER_STATEMENT]
                sql = f"{stored.select} {stored.where_key_in(some)}"
                found += stored.codec.decode(database.execute(sql, some).fetchall())
            return found

        with translated(self.location):
            return await self._readers.run(select)

    async def write(self, changes: Sequence[Change]) -> None:
        """Do all of it in one durable commit."""

        def apply(database: Database) -> None:
            for change in changes:
                stored = self._catalog.table(database, change.table)
                if isinstance(change, Put):
                    database.executemany(stored.put, stored.codec.encode(change.records))
                else:
                    database.executemany(stored.delete, [(key,) for key in change.keys])

        await self._write(apply)

    async def _write(self, work: Callable[[Database], None]) -> None:
        if self._writer is None:
            raise StorageError(f"{self.location} is open read-only; only its owner writes")
        with translated(self.location):
            await self._writer.run(work)

    async def query(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records that match, from one snapshot."""
        with translated(self.location):
            async with self._readers.lease() as connection:
                scan = _Scan(self._catalog, query)
                try:
                    while not scan.finished:
                        chunk = await connection.run(scan.next_chunk, interruptible=True)
                        for record in chunk:
                            yield record
                finally:
                    await _finish(scan, connection)

    async def count(self, table: str, where: Expression = EVERYTHING) -> int:
        """Return how many records match."""

        def select(database: Database) -> int:
            parameters: _render.Parameters = []
            stored = self._catalog.table(database, table)
            condition = _render.render(where, parameters)
            sql = f"SELECT count(*) {stored.from_sql} WHERE {condition}"
            (number,) = database.execute(sql, parameters).fetchone()
            return int(number)

        with translated(self.location):
            async with self._readers.lease() as connection:
                return await connection.run(
                    lambda database: in_transaction(database, "BEGIN", select), interruptible=True
                )

    def runs(self, expression: Expression) -> bool:
        """Tell whether the SQL would say exactly this."""
        return _render.is_understood(expression)

    async def size(self) -> int:
        """Return the bytes of the file and its write-ahead log."""
        log = self._path.with_name(f"{self._path.name}-wal")
        return sum(path.stat().st_size for path in (self._path, log) if path.exists())


class _Scan:
    """A query on its way through a connection, in one read transaction from first to last row."""

    def __init__(self, catalog: _layouts.Catalog, query: Query) -> None:
        self.finished = False
        self._catalog = catalog
        self._query = query
        self._stored: _layouts.StoredTable | None = None
        self._rows: Cursor | None = None

    def next_chunk(self, database: Database) -> Sequence[Record]:
        """Return the next records; the last of them end the transaction."""
        try:
            stored, rows = self._started(database)
            chunk = stored.codec.decode(rows.fetchmany(_CHUNK))
        except BaseException:
            self.finish(database)
            raise
        if len(chunk) < _CHUNK:
            self.finish(database)
        return chunk

    def finish(self, database: Database) -> None:
        """Give the snapshot up."""
        self.finished = True
        if self._rows is not None:
            self._rows.close()
        roll_back(database)

    def _started(self, database: Database) -> tuple[_layouts.StoredTable, Cursor]:
        if self._rows is None or self._stored is None:
            database.execute("BEGIN")
            parameters: _render.Parameters = []
            self._stored = self._catalog.table(database, self._query.table)
            sql = _select(self._stored, self._query, parameters)
            self._rows = database.execute(sql, parameters)
        return self._stored, self._rows


def _select(stored: _layouts.StoredTable, query: Query, parameters: _render.Parameters) -> str:
    condition = _render.render(query.where, parameters)
    order = [_render.order(order) for order in query.order]
    order.append(stored.key_sql)  # exactly: keys that differ in case are two keys
    sql = f"{stored.select} WHERE {condition} ORDER BY {', '.join(order)}"
    if query.limit is None:
        return sql
    parameters.append(query.limit)
    return f"{sql} LIMIT ?"


async def _finish(scan: _Scan, connection: Connection) -> None:
    """End a query that its caller left; a storage closed meanwhile has ended it."""
    if scan.finished or connection.closed:
        return
    await connection.run(scan.finish)


def _prepare_writer(database: Database) -> None:
    _set(database, _WRITER_PRAGMAS)
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StorageError(
            "the file system cannot share memory between processes; use a local disk"
        )
    register_functions(database)


def _prepare_reader(database: Database) -> None:
    _set(database, _READER_PRAGMAS)
    register_functions(database)


def _set(database: Database, pragmas: Sequence[str]) -> None:
    for pragma in pragmas:
        database.execute(f"PRAGMA {pragma}").fetchall()
