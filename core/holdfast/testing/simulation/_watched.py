"""A storage that shows each commit at once, and takes its time before and after it.

Invariant: between ``writing`` and ``committed`` there is one write; where it was interrupted, it is
looked up first whether it happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Protocol

from holdfast.contracts import Change, Key, Layout, Query, Storage
from holdfast.filters import EVERYTHING, Expression
from holdfast.model import Record
from holdfast.testing.simulation._contents import Contents


class Watcher(Protocol):
    """Who is told, and who decides how slow the disk is."""

    async def wait(self) -> None:
        """Let time pass: a place to be killed or cancelled."""

    def writing(self) -> None:
        """Take note that the storage begins to write."""

    def committed(self, contents: Contents, rows: frozenset[str]) -> None:
        """Take note of a commit and of the keys of the rows that it concerns."""


class WatchedStorage(Storage):
    """Delegates everything; calls back after each write."""

    def __init__(self, inner: Storage, watcher: Watcher, contents: Contents) -> None:
        self._inner = inner
        self._watcher = watcher
        self.contents = contents

    @classmethod
    async def around(cls, inner: Storage, watcher: Watcher) -> WatchedStorage:
        """Wrap a storage that was just opened."""
        return cls(inner, watcher, await Contents.read(inner))

    @classmethod
    def open(cls, settings: object, context: object) -> WatchedStorage:  # type: ignore[override]
        """Refuse: it is no driver."""
        raise NotImplementedError("wrap an open storage with around()")

    async def write(self, changes: Sequence[Change]) -> None:
        """Write, and call back."""
        await self._watcher.wait()
        self._watcher.writing()
        try:
            await self._inner.write(changes)
        except asyncio.CancelledError:  # done or not: only looking tells
            self.contents = await Contents.read(self._inner, self.contents.tables)
            self._watcher.committed(self.contents, self.contents.rows())
            raise
        rows = self.contents.apply(changes)
        self._watcher.committed(self.contents, rows)
        await self._watcher.wait()

    async def migrate(self, layouts: Sequence[Layout], *, version: int) -> None:
        """Change the tables."""
        await self._watcher.wait()
        await self._inner.migrate(layouts, version=version)
        self.contents = await Contents.read(self._inner, [layout.table for layout in layouts])

    @property
    def location(self) -> str:
        """Where the data is."""
        return self._inner.location

    async def version(self) -> int:
        """Return the number given to the last ``migrate``."""
        return await self._inner.version()

    async def read(self, table: str, keys: Sequence[Key]) -> list[Record]:
        """Return the records with these keys."""
        return await self._inner.read(table, keys)

    async def query(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records that match."""
        records = self._inner.query(query)
        async with aclosing(records):  # type: ignore[type-var]  # every async generator can be closed
            async for record in records:
                yield record

    async def count(self, table: str, where: Expression = EVERYTHING) -> int:
        """Return how many records match."""
        return await self._inner.count(table, where)

    def runs(self, expression: Expression) -> bool:
        """Tell what the storage runs."""
        return self._inner.runs(expression)

    async def size(self) -> int | None:
        """Return the bytes used."""
        return await self._inner.size()
