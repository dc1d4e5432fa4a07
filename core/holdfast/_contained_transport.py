"""The open transport as the engine sees it.

Invariant: whatever the transport inside raises is one of holdfast's own errors out here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import UnionType
from typing import Any, TypeVar

from holdfast._contained import contained
from holdfast.contracts import Context, Transport
from holdfast.model import (
    Caller,
    Capabilities,
    Connectivity,
    Outcome,
    Page,
    Record,
    Scope,
    Unit,
    Unreadable,
    View,
)
from holdfast.schema import TableSchema

T = TypeVar("T")


class ContainedTransport(Transport):
    """The open transport as the engine sees it: what it raises is a ``HoldfastError``."""

    def __init__(self, inner: Transport, plugin: str) -> None:
        self._inner = inner
        self._plugin = plugin

    @classmethod
    def open(cls, settings: Any, context: Context) -> AbstractAsyncContextManager[Transport]:
        """Refuse: it stands around a transport that is open."""
        raise NotImplementedError

    @property
    def location(self) -> str:
        with contained(self._plugin, "in location"):
            return self._inner.location

    async def capabilities(self) -> Capabilities:
        with contained(self._plugin, "in capabilities"):
            return await self._inner.capabilities()

    async def identity(self) -> Caller:
        with contained(self._plugin, "in identity"):
            return await self._inner.identity()

    async def schema(self, tables: Sequence[str]) -> list[TableSchema]:
        with contained(self._plugin, "in schema"):
            return await self._inner.schema(tables)

    async def count(self, scope: Scope) -> int | None:
        with contained(self._plugin, "in count"):
            return await self._inner.count(scope)

    def pull(self, scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
        return self._stream("in pull", Page, lambda: self._inner.pull(scope, checkpoint))

    def push(self, units: Sequence[Unit], scopes: Mapping[str, Scope]) -> AsyncIterator[Outcome]:
        return self._stream("in push", Outcome, lambda: self._inner.push(units, scopes))

    async def fetch(self, scope: Scope, ids: Sequence[str]) -> Sequence[Record | Unreadable]:
        with contained(self._plugin, "in fetch"):
            return await self._inner.fetch(scope, ids)

    def list_ids(self, scope: Scope, condition: str | None) -> AsyncIterator[str]:
        return self._stream("in list_ids", str, lambda: self._inner.list_ids(scope, condition))

    async def views(self, tables: Sequence[str]) -> list[View]:
        with contained(self._plugin, "in views"):
            return await self._inner.views(tables)

    async def probe(self) -> Connectivity:
        with contained(self._plugin, "in probe"):
            return await self._inner.probe()

    async def _stream(
        self, where: str, kind: type | UnionType, start: Callable[[], AsyncIterator[T]]
    ) -> AsyncGenerator[T]:
        with contained(self._plugin, where):
            async with AsyncExitStack() as closing:
                items = start()
                close = getattr(items, "aclose", None)  # what is no generator may do without
                if close is not None:
                    closing.push_async_callback(close)
                async for item in items:
                    if not isinstance(item, kind):
                        raise TypeError(type(item).__name__)
                    yield item
