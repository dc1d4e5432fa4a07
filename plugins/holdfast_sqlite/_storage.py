"""The storage: one SQLite file, one owner, any number of readers.

Invariant: every public method is one unit of work in one transaction on one connection; what it
raises is a ``StorageError``.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from pydantic import BaseModel, ConfigDict, field_validator

from holdfast.contracts import (
    Change,
    Context,
    Key,
    Layout,
    OpenMode,
    Put,
    Query,
    Salvage,
    Storage,
)
from holdfast.errors import StorageDamaged, StorageError
from holdfast.filters import EVERYTHING, Expression
from holdfast.model import Record
from holdfast.queries import Selection
from holdfast_sqlite import _file, _layouts, _render
from holdfast_sqlite._answers import answer, asked_of, is_answered
from holdfast_sqlite._connection import Connect, Database, connect_in_thread
from holdfast_sqlite._errors import translated
from holdfast_sqlite._functions import register_functions
from holdfast_sqlite._lock import expect_log, log_is_expected, owner_lock
from holdfast_sqlite._pool import Readers, Writer
from holdfast_sqlite._quiet import quiet_others
from holdfast_sqlite._recognise import check_schema
from holdfast_sqlite._salvage import salvage
from holdfast_sqlite._scan import Answer, Scan
from holdfast_sqlite._statement import Prepared
from holdfast_sqlite._understood import is_understood

T = TypeVar("T")
_log = logging.getLogger(__name__)
_LOG_IS_GONE: Final = (
    "%s was not closed, and its write-ahead log is gone; if no SQLite tool tidied it up, "
    "the newest changes that were saved here went with it"
)
_KEYS_PER_STATEMENT: Final = 500

_PRAGMAS: Final = (
    "busy_timeout = 5000",
    "trusted_schema = OFF",
    "cell_size_check = ON",  # damage is found where a page is read, not where it has led
    "synchronous = FULL",
    "fullfsync = ON",  # macOS: fsync alone stops at the drive's cache
    "checkpoint_fullfsync = ON",
)
_WRITER_PRAGMAS: Final = (
    *_PRAGMAS,
    "page_size = 16384",  # of a new file; loads 1.2 times as fast
    "cache_size = -32768",  # 32 MiB: random ids touch the whole key index
    "journal_size_limit = 67108864",
)
_READER_PRAGMAS: Final = (*_PRAGMAS, "query_only = ON", "cache_size = -8192")


class SqliteSettings(BaseModel):
    """The ``[storage]`` section of a profile."""

    model_config = ConfigDict(extra="forbid")

    #: The file; a relative path starts at the profile's folder.
    path: Path

    @field_validator("path")
    @classmethod
    def _names_a_file(cls, path: Path) -> Path:
        if not path.name or "\0" in str(path):
            raise ValueError("the name of a file is wanted, such as 'field.db'")
        return path


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
        self._prepared = Prepared()
        self._damage: str | None = None
        self._log_expected = False

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: SqliteSettings, context: Context) -> AsyncIterator[Storage]:
        """Open the file; an owner makes it when it is missing."""
        quiet_others()
        path = _file.locate(context.folder, settings.path)
        async with AsyncExitStack() as closing:
            with translated(str(path)):
                opener = cls._own if context.mode is OpenMode.OWNER else cls._join
                storage = await opener(path, closing)
            yield storage

    @classmethod
    async def _own(cls, path: Path, closing: AsyncExitStack) -> SqliteStorage:
        _file.create_folder(path.parent)
        expected = log_is_expected(path)
        closing.enter_context(cls.lock(path))
        if expected and not _file.log_of(path).exists():
            _log.warning(_LOG_IS_GONE, path, extra={"event": "holdfast.sqlite.log_gone"})
        _file.refuse_lone_log(path)
        if not _file.is_made(path):
            await cls._make(path)
        await cls._check(path, owner=True)
        writer = Writer(partial(cls.connect, path.as_uri(), _prepare_writer))
        closing.push_async_callback(writer.close)
        await writer.run(_upgrade)
        # The readers are closed first: the last to close removes the log, and they may not.
        return await cls._opened(path, closing, writer)

    @classmethod
    async def _make(cls, path: Path) -> None:
        """Make the file, with its first page and in its mode, so that it is there whole or not."""
        with _file.making(path) as new:
            connection = await cls.connect(new.as_uri(), _prepare_writer)
            await connection.close()

    @classmethod
    async def _join(cls, path: Path, closing: AsyncExitStack) -> SqliteStorage:
        if await cls._check(path) != _file.FORMAT:
            raise StorageError(
                f"{path} was written by an older version; open it once to write, "
                "as any sync does, and it is brought forward"
            )
        return await cls._opened(path, closing, None)

    @classmethod
    async def _opened(
        cls, path: Path, closing: AsyncExitStack, writer: Writer | None
    ) -> SqliteStorage:
        readers = cls._open_readers(path, closing)
        storage = cls(path, readers, writer)
        closing.push_async_callback(storage._keep_if_damaged)
        await readers.run(storage._catalog.tables)  # so that `runs` knows where links may lead
        return storage

    @classmethod
    async def _check(cls, path: Path, *, owner: bool = False) -> int:
        """Refuse a file that is not ours, and return its format.

        An owner makes sure of the log as well, on the reader's thread: that may take its time.
        """
        _file.check_header(path)
        async with AsyncExitStack() as closing:
            readers = cls._open_readers(path, closing)
            version = await readers.run(partial(check_schema, path=path))
            if owner:
                await readers.run(lambda _: _file.write_log_again(path))
            return version

    @classmethod
    def _open_readers(cls, path: Path, closing: AsyncExitStack) -> Readers:
        # A connection in mode=ro never moves the log into the file: the owner's writer alone does.
        readers = Readers(partial(cls.connect, f"{path.as_uri()}?mode=ro", _prepare_reader))
        closing.push_async_callback(readers.close)
        return readers

    @classmethod
    async def salvage(
        cls, settings: SqliteSettings, context: Context, layouts: Sequence[Layout]
    ) -> Salvage:
        """Read what can still be read of these tables."""
        path = _file.locate(context.folder, settings.path)
        with translated(str(path)):
            return await salvage(cls.connect, path, layouts)

    @property
    def location(self) -> str:
        """The file's path."""
        return str(self._path)

    async def version(self) -> int:
        """Return the number given to the last ``migrate``."""
        with self._translated():
            return await self._readers.run(_layouts.stored_version)

    async def migrate(self, layouts: Sequence[Layout], *, version: int) -> None:
        """Make the tables what the layouts say, in one transaction."""
        await self._write(lambda database: _layouts.migrate(database, layouts, version))
        self._catalog.note(layouts)

    async def read(self, table: str, keys: Sequence[Key]) -> list[Record]:
        """Return the records with these keys."""

        def select(database: Database) -> list[Record]:
            stored = self._catalog.table(database, table)
            found: list[Record] = []
            for at in range(0, len(keys), _KEYS_PER_STATEMENT):
                some = keys[at : at + _KEYS_PER_STATEMENT]
                sql = f"{stored.select} {stored.where_key_in(some)}"
                found += stored.decoder.decode(database.execute(sql, some).fetchall())
            return found

        with self._translated():
            return await self._readers.run(select)

    async def write(self, changes: Sequence[Change]) -> None:
        """Do all of it in one durable commit."""

        def apply(database: Database) -> None:
            for change in changes:
                stored = self._catalog.table(database, change.table)
                if isinstance(change, Put):
                    database.executemany(stored.put, stored.encoder.encode(change.records))
                else:
                    database.executemany(stored.delete, [(key,) for key in change.keys])

        await self._write(apply)

    async def _write(self, work: Callable[[Database], None]) -> None:
        if self._writer is None:
            raise StorageError(f"{self.location} is open read-only; only its owner writes")
        if self._damage is not None:
            raise StorageDamaged(self.location, self._damage)
        with self._translated():
            await self._writer.run(work)
            if not self._log_expected:
                expect_log(self._path)
                self._log_expected = True

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise foreign errors as holdfast's; after one that tells of damage nothing is written."""
        try:
            with translated(self.location):
                yield
        except StorageDamaged as error:
            self._damage = error.finding
            raise

    async def _keep_if_damaged(self) -> None:
        """Leave a damaged file and its log as they are.

        The last connection that closes would move the log into the file; so the writer goes before
        the readers, who cannot.
        """
        if self._damage is not None and self._writer is not None:
            await self._writer.close(tidy=False)

    def query(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records that match."""
        return self._records(Scan(self._catalog, partial(self._prepared.of_query, query)))

    def select(self, selection: Selection) -> AsyncIterator[Record]:
        """Yield the records of a whole question."""
        return self._records(answer(self._catalog, selection))

    async def _records(self, answer: Answer) -> AsyncIterator[Record]:
        with self._translated():
            while not answer.finished:
                for record in await self._readers.run_long(answer.next_chunk):
                    yield record

    async def count(self, table: str, where: Expression = EVERYTHING) -> int:
        """Return how many records match."""

        def select(database: Database) -> int:
            scope = _render.Scope.of(self._catalog.tables(database), table)
            condition = _render.render(where, scope)
            sql = f"SELECT count(*) FROM {scope.source().from_sql} WHERE {condition}"  # noqa: S608  values are bound
            (number,) = database.execute(sql, scope.parameters.values).fetchone()
            return int(number)

        with self._translated():
            return await self._readers.run_long(select)

    def runs(self, expression: Expression) -> bool:
        """Tell whether the SQL would say exactly this."""
        return is_understood(expression, self._catalog.known)

    def runs_selection(self, selection: Selection) -> bool:
        """Tell whether the SQL would say exactly this, joins and aggregates included."""
        return is_answered(selection, self._catalog.known)

    async def explain(self, query: Query | Selection) -> Sequence[str]:
        """Return the SQL, and then SQLite's plan for it; values that are bound stay out."""

        def plan(database: Database) -> Sequence[str]:
            asked = asked_of(query, self._catalog.tables(database))
            return (asked.sql, *asked.plan(database))

        with self._translated():
            return await self._readers.run_long(plan)

    async def size(self) -> int:
        """Return the bytes of the file and its write-ahead log."""
        found = 0
        with translated(self.location):
            for path in (self._path, _file.log_of(self._path)):
                with suppress(FileNotFoundError):  # the log goes with the last connection
                    found += path.stat().st_size
        return found


def _upgrade(database: Database) -> None:
    _file.upgrade(database)
    _layouts.renew_keys(database)


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
