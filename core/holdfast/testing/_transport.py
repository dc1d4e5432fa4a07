"""The transport of a :class:`MemoryServer`: one request a page, one request a unit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from holdfast.contracts import Context, FilterLanguage, Transport
from holdfast.errors import ProtocolError, SignInNeeded, Throttled, Unreachable
from holdfast.model import (
    Caller,
    Capabilities,
    Connectivity,
    Outcome,
    Page,
    Record,
    Scope,
    Unit,
    Unknown,
    Unreadable,
    View,
)
from holdfast.schema import TableSchema
from holdfast.testing._server import Fate, MemoryServer

T = TypeVar("T")


class MemoryTransportSettings(BaseModel):
    """The server to speak to, an empty one by default, and the user to be.

    ``language`` is what the server takes filters in; without it the engine filters.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    server: MemoryServer = Field(default_factory=MemoryServer)
    user: str = "user-1"
    language: FilterLanguage | None = None


class MemoryTransport(Transport):
    """Speaks to a server in this process and keeps every promise of a transport."""

    name = "memory"
    Settings: ClassVar[type[MemoryTransportSettings]] = MemoryTransportSettings

    def __init__(self, settings: MemoryTransportSettings) -> None:
        self._server = settings.server
        self._user = settings.user
        self._language = settings.language

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: MemoryTransportSettings, context: Context
    ) -> AsyncIterator[MemoryTransport]:
        """Open a session; nothing of the context is needed."""
        del context
        yield cls(settings)

    @property
    def location(self) -> str:
        """The server, for people."""
        return f"memory:{self._server.organization}"

    async def capabilities(self) -> Capabilities:
        """Return what the server in memory can do, without a request."""
        return Capabilities(
            change_feed=True,
            conditional_writes=True,
            client_ids=True,
            atomic_units=True,
            page_size=self._server.page_size,
            filters=frozenset({self._language.name} if self._language else ()),
        )

    async def identity(self) -> Caller:
        """Return the organisation and the user."""
        return await self._ask("identity", lambda: self._server.caller(self._user))

    async def schema(self, tables: Sequence[str]) -> list[TableSchema]:
        """Return the schemas of those tables that there are."""
        return await self._ask("schema", lambda: self._server.schemas(tables))

    async def count(self, scope: Scope) -> int:
        """Return how many rows there are."""
        return await self._ask("count", lambda: len(self._server.ids(scope.table)))

    async def pull(self, scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
        """Yield pages until the last; between two of them the server may change."""
        position, last = checkpoint, False
        while not last:
            page = await self._page(scope, position)
            position, last = page.checkpoint, page.last
            yield page

    async def push(
        self, units: Sequence[Unit], scopes: Mapping[str, Scope]
    ) -> AsyncIterator[Outcome]:
        """Send one unit after the other; a lost request looks like a lost reply."""
        for unit in units:
            for outcome in await self._push(unit, scopes):
                yield outcome

    async def fetch(self, scope: Scope, ids: Sequence[str]) -> list[Record | Unreadable]:
        """Return the rows with these ids."""
        return await self._ask("fetch", lambda: self._server.records(scope, ids))

    async def list_ids(self, scope: Scope, condition: str | None) -> AsyncIterator[str]:
        """Yield the ids of the rows that match, ascending.

        :raises ProtocolError: there is a condition, and the server takes none
        """
        language = self._language
        if condition is None:
            ids = await self._ask("list_ids", lambda: self._server.ids(scope.table))
        elif language is None:
            raise ProtocolError("this server understands no filter language; filter the rows here")
        else:
            ids = await self._ask(
                "list_ids",
                lambda: self._server.matching(scope.table, condition, language, self._user),
            )
        for row_id in ids:
            yield row_id

    async def views(self, tables: Sequence[str]) -> list[View]:
        """Return the views of these tables."""
        return await self._ask(
            "views", lambda: [v for v in self._server.views if v.table in tables]
        )

    async def probe(self) -> Connectivity:
        """Ask who we are, and say in one word how that went."""
        try:
            await self.identity()
        except Unreachable:
            return Connectivity.NO_ANSWER
        except SignInNeeded:
            return Connectivity.SIGN_IN_NEEDED
        except Throttled:
            return Connectivity.THROTTLED
        return Connectivity.CONNECTED

    async def _page(self, scope: Scope, position: str | None) -> Page:
        return await self._ask("pull", lambda: self._server.page(scope, position))

    async def _push(self, unit: Unit, scopes: Mapping[str, Scope]) -> Sequence[Outcome]:
        answer = await self._exchange("push", lambda: self._server.apply(unit, scopes, self._user))
        if answer is None:
            return [Unknown(op.id, "no answer came") for op in unit.ops]
        return answer

    async def _ask(self, request: str, answer: Callable[[], T]) -> T:
        reply = await self._exchange(request, answer)
        if reply is None:
            raise Unreachable("no answer came; try again")
        return reply

    async def _exchange(self, request: str, answer: Callable[[], T]) -> T | None:
        """Send a request and return the answer, None where none came; no answer is None itself."""
        self._server.admit()
        fate = self._server.fate(request)
        await self._server.travel(request)
        if fate is Fate.REQUEST_LOST:
            return None
        reply = answer()
        await self._server.travel(request)
        return None if fate is Fate.REPLY_LOST else reply
