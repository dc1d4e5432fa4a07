"""The storage ``journal``: one file, every table in memory, one owner and any number of readers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import ClassVar, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from holdfast.contracts import Change, Context, Key, Layout, OpenMode, Query, Storage
from holdfast.errors import StorageError, StorageLocked
from holdfast.filters import EVERYTHING, Call, Expression, walk
from holdfast.model import Record

from ._journal import Journal, State
from ._tables import Table, find, matches, migrated, search

T = TypeVar("T")


class JournalSettings(BaseModel):
    """The ``[storage]`` section."""

    model_config = ConfigDict(extra="forbid")

    path: Path
    #: Whether filters run here; where they do not, the engine runs them.
    filters: bool = True


class JournalStorage(Storage):
    """A replica in one file of JSON lines, for a few thousand rows: all of it is in memory."""

    name = "journal"
    Settings: ClassVar[type[JournalSettings]] = JournalSettings

    def __init__(self, journal: Journal, context: Context, *, filters: bool) -> None:
        self._journal = journal
        self._filters = filters
        self._owner = context.mode is OpenMode.OWNER
        self._environment = context.environment

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: JournalSettings, context: Context) -> AsyncIterator[Storage]:
        """Open the file; an owner makes it, and drops a line that a crash left unfinished."""
        path = context.folder / settings.path
        storage = cls(Journal(path), context, filters=settings.filters)
        if context.mode is OpenMode.READER:
            await storage._run(storage._journal.refresh)
            yield storage
            return
        with _owned(path):
            if path.exists():
                await storage._run(storage._journal.refresh)
            await storage._rewrite(storage._journal.state)
            try:
                yield storage
            finally:  # a task that was cancelled may have left its thread behind, still writing
                await storage._run(storage._journal.close)

    @property
    def location(self) -> str:
        """The file."""
        return str(self._journal.path)

    async def version(self) -> int:
        """Return the number given to the last ``migrate``."""
        return (await self._state()).version

    async def migrate(self, layouts: Sequence[Layout], *, version: int) -> None:
        """Write the file anew with the tables that the layouts name."""
        self._must_own()
        await self._rewrite(State(version, migrated(self._journal.state.tables, layouts)))

    async def read(self, table: str, keys: Sequence[Key]) -> list[Record]:
        """Return the records with these keys."""
        records = (await self._table(table)).records
        return [records[key] for key in dict.fromkeys(keys) if key in records]

    async def write(self, changes: Sequence[Change]) -> None:
        """Add one line to the file."""
        self._must_own()
        await self._run(lambda: self._journal.append(changes))

    async def query(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records that match, as they were when the query began."""
        self._must_run(query.where)
        for record in search(await self._table(query.table), query):
            yield record

    async def count(self, table: str, where: Expression = EVERYTHING) -> int:
        """Return how many records match."""
        self._must_run(where)
        home = await self._table(table)
        return sum(map(bool, map(matches(home, where), home.records.values())))

    def runs(self, expression: Expression) -> bool:
        """Tell that everything runs here but ``Call``, whose function the engine has."""
        if not self._filters:
            return expression == EVERYTHING
        return not any(isinstance(node, Call) for node in walk(expression))

    async def size(self) -> int:
        """Return the size of the file."""
        return (await self._run(self._journal.path.stat)).st_size

    async def _table(self, name: str) -> Table:
        return find((await self._state()).tables, name)

    async def _state(self) -> State:
        """Return the state now; only the owner knows it without looking."""
        if not self._owner:
            await self._run(self._journal.refresh)
        return self._journal.state

    async def _rewrite(self, state: State) -> None:
        generation = self._environment.ids.new()
        await self._run(lambda: self._journal.rewrite(state, generation))

    def _must_run(self, where: Expression) -> None:
        if not self.runs(where):
            raise StorageError(f"the journal does not run {where}; ask runs first")

    def _must_own(self) -> None:
        if not self._owner:
            raise StorageError(f"{self.location} was opened to be read; open it as its owner")

    async def _run(self, function: Callable[[], T]) -> T:
        return await self._environment.threads.run(function)


@contextmanager
def _owned(path: Path) -> Iterator[None]:
    """Own the file until the block ends; the system gives the lock back if the process dies."""
    lock = FileLock(f"{path}.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise StorageLocked(str(path), None) from None
    except OSError as error:
        raise StorageError(f"{path} cannot be owned: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
