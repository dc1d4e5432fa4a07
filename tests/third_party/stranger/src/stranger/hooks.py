"""The plugin ``stranger``: it meters every storage, and decides the conflicts of one table."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from holdfast import hookimpl
from holdfast.contracts import Change, Context, Key, Layout, Query, Storage
from holdfast.filters import EVERYTHING, Expression
from holdfast.model import Conflict, KeepRemote, Record, Resolution

HOLDFAST_API = (1, 0)
#: The table whose conflicts the office always wins.
OFFICE_TABLE: Final = "note"
_logger = logging.getLogger(__name__)

Opened = AbstractAsyncContextManager[Storage]


@hookimpl(wrapper=True)
def holdfast_open_storage(driver: str) -> Generator[None, Opened | None, Opened | None]:
    """Put a meter around whatever storage is opened."""
    opened = yield
    return None if opened is None else _metered(driver, opened)


@hookimpl
async def holdfast_resolve_conflict(conflict: Conflict) -> Resolution | None:
    """Step in for one table; of the others, say nothing."""
    return KeepRemote() if conflict.table == OFFICE_TABLE else None


@asynccontextmanager
async def _metered(driver: str, opened: Opened) -> AsyncIterator[Storage]:
    async with opened as storage:
        meter = Meter(storage)
        yield meter
    _logger.info("%s: %d commits", driver, meter.commits, extra={"event": "stranger.metered"})


class Meter(Storage):
    """Another storage, and how many commits it took.

    Every method is handed on, those with a default too: the default would hide what the other can.
    """

    name = "meter"

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.commits = 0

    @classmethod
    def open(cls, settings: Any, context: Context) -> Opened:
        """Refuse: a meter is put around a storage that somebody else has opened."""
        raise NotImplementedError

    @property
    def location(self) -> str:
        """Where the data is."""
        return self._storage.location

    async def version(self) -> int:
        """Hand on."""
        return await self._storage.version()

    async def migrate(self, layouts: Sequence[Layout], *, version: int) -> None:
        """Hand on."""
        await self._storage.migrate(layouts, version=version)

    async def read(self, table: str, keys: Sequence[Key]) -> list[Record]:
        """Hand on."""
        return await self._storage.read(table, keys)

    async def write(self, changes: Sequence[Change]) -> None:
        """Hand on, and count."""
        await self._storage.write(changes)
        self.commits += 1

    def query(self, query: Query) -> AsyncIterator[Record]:
        """Hand on."""
        return self._storage.query(query)

    async def count(self, table: str, where: Expression = EVERYTHING) -> int:
        """Hand on."""
        return await self._storage.count(table, where)

    def runs(self, expression: Expression) -> bool:
        """Hand on."""
        return self._storage.runs(expression)

    async def size(self) -> int | None:
        """Hand on."""
        return await self._storage.size()
