"""A machine whose disk is tapped: the whole engine on it, and what it was promised by when."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import apsw
import pytest

from holdfast import _setup, hookimpl
from holdfast.contracts import Change, Context, Environment, Layout, OpenMode, Storage
from holdfast.discovery import Catalogue
from holdfast.errors import StorageError
from holdfast.model import Page, Scope
from holdfast.replica import Replica, _opened
from holdfast.testing import MemoryServer
from holdfast.testing.simulation import Contents, WatchedStorage
from holdfast_sqlite import (
    Connection,
    Database,
    InlineConnection,
    SqliteSettings,
    SqliteStorage,
)
from support.disk.apsw_database import ApswDatabase
from support.disk.distrusted import DistrustedDatabase
from support.disk.platter import Files
from support.disk.tapped import (
    Created,
    Event,
    Listed,
    Operation,
    Removed,
    Renamed,
    Synced,
    TappedFileSystem,
    Unsynced,
    Wrote,
)
from support.world import ACCOUNT, CONTACT

FILE: Final = "replica.db"
NEW: Final = f"{FILE}.new"
LOG: Final = f"{FILE}-wal"
#: The log is moved into the file so often here, that it happens within a few commits.
PAGES: Final = 24
TABLES: Final = ({"name": "account"}, {"name": "contact"})


class NotingServer(MemoryServer):
    """Notes what a replica must hold that has come to a checkpoint."""

    def __init__(self, page_size: int = 4) -> None:
        super().__init__([ACCOUNT, CONTACT], page_size=page_size)
        #: The versions of the rows by id, None for one that went, by table and checkpoint.
        self.known: dict[tuple[str, str | None], Mapping[str, str | None]] = {}

    def page(self, scope: Scope, checkpoint: str | None) -> Page:
        """Return the next page."""
        page = super().page(scope, checkpoint)
        rows = dict(self.known.get((scope.table, checkpoint), {}))
        rows.update((str(record[0]), str(record[-1])) for record in page.records)
        rows.update(dict.fromkeys(page.tombstones))
        self.known[scope.table, page.checkpoint] = rows
        return page

    def behind(self, table: str, checkpoint: object) -> Mapping[str, str | None]:
        """Return the versions that belong to a checkpoint that a replica has stored."""
        return {} if checkpoint is None else self.known[table, str(checkpoint)]

    def age(self, version: str | None) -> int:
        """Return the place of a version in the order of the server's effects."""
        return next((e.sequence for e in self.effects if e.after == version), 0)

    def deleted_after(self, row_id: str, version: str) -> bool:
        """Tell whether a row went after it had this version."""
        age = self.age(version)
        return any(
            e.row_id == row_id and e.after is None and e.sequence > age for e in self.effects
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """Something was promised: all that ``contents`` holds is durable from this event on."""

    event: int
    contents: Contents


class Machine:
    """One folder, one server, and the engine over a tapped disk, opened again and again.

    ``operations`` sees every operation first, and may make it fail.
    """

    def __init__(self, folder: Path, server: NotingServer) -> None:
        self.folder = folder
        self.server = server
        self.tables: Sequence[Mapping[str, Any]] = TABLES
        self.events: list[Event] = []
        self.marks: list[Mark] = []
        self.baseline: Files = {}
        self.environment: Environment | None = None
        self.operations: Callable[[Operation, str], None] | None = None
        self.connector: Callable[[str], Database] | None = None
        #: What each write that failed would have left, since the last that did not.
        self.doubtful: list[Contents] = []
        #: What was done that may not be done.
        self.wrong: list[str] = []
        self._names: set[str] = set()
        self._databases: list[Database] = []
        self._vfs = ""

    @contextmanager
    def recording(self, environment: Environment) -> Iterator[None]:
        """Record what happens to the disk inside the block, from the files that are there."""
        self.environment = environment
        self.events, self.marks = [], []
        self.baseline = stored(self.folder)
        self._names = set(self.baseline)
        self._vfs = f"tapped-{uuid4().hex}"
        system = TappedFileSystem(self._vfs, self)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "fsync", partial(self._flushed, os.fsync))
                patch.setattr(sys, "unraisablehook", partial(_unless_planted, sys.unraisablehook))
                yield
        finally:
            self.kill()
            system.unregister()

    def kill(self) -> None:
        """Close every connection as the system does for a killed process."""
        databases, self._databases = self._databases, []
        for database in databases:
            database.close()

    def _flushed(self, right: Callable[[int], None], handle: int) -> None:
        """Take note of the log's being written again, past SQLite; flushing it may fail as well."""
        log = self.folder / LOG
        if os.path.samestat(os.fstat(handle), self.folder.stat()):
            right(handle)
            if (self.folder / FILE).exists():
                self._see(FILE)
            self.after(Listed())
            return
        if not log.exists() or os.fstat(handle).st_ino != log.stat().st_ino:
            right(handle)
            return
        self.after(Wrote(LOG, 0, log.read_bytes()))
        try:
            self.before(Operation.SYNC, LOG)
        except apsw.Error as error:
            self.after(Unsynced(LOG))
            raise OSError(errno.EIO, "planted") from error
        self.after(Synced(LOG, folder=False))

    # What the file system tells.

    def before(self, operation: Operation, name: str) -> None:
        """Let an operation happen, or fail it."""
        if operation is Operation.OPEN:
            self._see(name)
        if self.operations is not None:
            self.operations(operation, name)

    def _see(self, name: str) -> None:
        """Take note of what the storage does past SQLite: it makes a file and renames it."""
        if name == NEW and NEW in self._names and not (self.folder / NEW).stat().st_size:
            self.events.append(Removed(NEW, synced=False))
            self._names.remove(NEW)
        if name in {FILE, NEW} and name not in self._names:
            renamed = name == FILE and NEW in self._names
            self.events.append(Renamed(NEW, FILE) if renamed else Created(name))
            self._names = {*self._names, name} - ({NEW} if renamed else set())

    def after(self, event: Event) -> None:
        """Take note."""
        self.events.append(event)

    # The engine.

    def open(
        self, tables: Sequence[Mapping[str, Any]] | None = None
    ) -> AbstractAsyncContextManager[Replica]:
        """Open the replica on the tapped disk."""
        self.tables = tables or self.tables
        assert self.environment is not None
        setup = setup_of(self.folder, self.server, self.tables)
        setup.plugins.register(self, "tapped")
        return _opened(setup, OpenMode.OWNER, self.environment)

    @hookimpl(tryfirst=True)
    def holdfast_open_storage(self, context: Context) -> AbstractAsyncContextManager[Storage]:
        """Open the storage on the tapped disk, and watch what it acknowledges."""
        return self._storage(context)

    @asynccontextmanager
    async def _storage(self, context: Context) -> AsyncIterator[Storage]:
        driver = SqliteStorage.with_seams(connect=self.connect, lock=lambda _: nullcontext())
        async with driver.open(SqliteSettings(path=self.folder / FILE), context) as inner:
            storage = _Acknowledging(inner, self, await Contents.read(inner))
            self.promised(storage.contents)
            yield storage

    async def connect(self, uri: str, prepare: Callable[[Database], None]) -> Connection:
        """Connect over the tapped file system, or as ``connector`` does."""
        inner = self.connector(uri) if self.connector else ApswDatabase(uri, self._vfs, PAGES)
        database = DistrustedDatabase(inner, self.wrong)
        self._databases.append(database)
        try:
            prepare(database)
        except BaseException:
            database.close()
            raise
        return InlineConnection(database)

    def promised(self, contents: Contents) -> None:
        """Note what is durable from now on."""
        self.doubtful.clear()
        self.marks.append(Mark(len(self.events), _copied(contents)))

    async def wait(self) -> None:
        """Take no time."""

    def writing(self) -> None:
        """Nobody asks."""

    def committed(self, contents: Contents, rows: frozenset[str]) -> None:
        """Note what is durable now that a write has returned."""
        self.promised(contents)


class _Acknowledging(WatchedStorage):
    """Tells of migrations too, and of writes that failed."""

    def __init__(self, inner: Storage, machine: Machine, contents: Contents) -> None:
        super().__init__(inner, machine, contents)
        self._machine = machine

    async def write(self, changes: Sequence[Change]) -> None:
        """Write; one that failed may be found done after a crash, but whole and not before."""
        try:
            await super().write(changes)
        except StorageError:
            after = _copied(self.contents)
            after.apply(changes)
            self._machine.doubtful.append(after)
            await self._look()
            raise

    async def _look(self) -> None:
        """See whether what failed has left anything, as far as it can be read."""
        with suppress(StorageError):
            seen = await Contents.read(self._inner, self.contents.tables)
            if seen.tables != self.contents.tables:
                self._machine.wrong.append(f"a write failed, and there were {seen}")

    async def migrate(self, layouts: Sequence[Layout], *, version: int) -> None:
        """Change the tables."""
        await super().migrate(layouts, version=version)
        self._machine.promised(self.contents)


def _unless_planted(hook: Callable[[Any], object], unraisable: Any) -> None:
    """Say nothing of an error that SQLite passes over."""
    if not isinstance(unraisable.exc_value, apsw.Error):
        hook(unraisable)


def _copied(contents: Contents) -> Contents:
    tables = {name: dict(records) for name, records in contents.tables.items()}
    return Contents(tables, dict(contents._schemas))


def setup_of(
    folder: Path, server: MemoryServer, tables: Sequence[Mapping[str, Any]]
) -> _setup.Setup:
    """Return a replica's setup as a profile gives it."""
    sections = {
        "storage": {"driver": "sqlite", "path": str(folder / FILE)},
        "transport": {"driver": "memory", "server": server},
        "profile": {"tables": list(tables)},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_setup, "Catalogue", _catalogue)
        return _setup.build("the profile", sections, folder)


@cache
def _catalogue() -> Catalogue:
    """Return what is installed, looked up once: it is asked for with every opening."""
    return Catalogue()


def stored(folder: Path) -> dict[str, bytes]:
    """Return the files of a replica; the shared memory is not for keeping."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.glob(f"{FILE}*"))
        if path.suffix not in {".db-shm", ".lock", ".owner"}
    }
