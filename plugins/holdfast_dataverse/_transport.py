"""The transport itself: what the engine calls, handed to those who do it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import ClassVar

from pydantic import BaseModel

from holdfast.contracts import Context, Transport
from holdfast.errors import AccessDenied, ProtocolError, SignInNeeded, Throttled, Unreachable
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
from holdfast.schema import TableSchema, is_identifier
from holdfast_dataverse import _reading
from holdfast_dataverse._answers import identity_of
from holdfast_dataverse._crowds import TooLarge
from holdfast_dataverse._fetchxml import ids_of, is_fetchxml
from holdfast_dataverse._identity import WhoWeAre
from holdfast_dataverse._metadata import ENTITY_SETS, entity_sets, questions, table_schema
from holdfast_dataverse._pull import pull
from holdfast_dataverse._push import Pusher
from holdfast_dataverse._records import Reader
from holdfast_dataverse._session import CaptivePortal, Session, open_session
from holdfast_dataverse._settings import Settings as DataverseSettings
from holdfast_dataverse._views import views

#: The server takes a thousand operations in a batch.
_TABLES_A_BATCH = 50


class DataverseTransport(Transport):
    """Speaks the Dataverse Web API as one user."""

    name = "dataverse"
    Settings: ClassVar[type[BaseModel]] = DataverseSettings

    def __init__(self, session: Session, settings: DataverseSettings) -> None:
        self._session = session
        self._settings = settings
        self._who = WhoWeAre(session)
        self._readers: dict[str, tuple[Scope, Reader]] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: DataverseSettings, context: Context
    ) -> AsyncIterator[DataverseTransport]:
        """Open a session; nothing is sent yet.

        :raises PluginError: the credential needs something that is not installed
        """
        async with open_session(settings, context) as session:
            yield cls(session, settings)

    @property
    def location(self) -> str:
        """The URL of the organisation."""
        return self._settings.url

    async def capabilities(self) -> Capabilities:
        """Return what the Web API can do, without asking."""
        return Capabilities(
            change_feed=True,
            conditional_writes=True,
            client_ids=True,
            atomic_units=True,
            page_size=self._settings.page_size,
            batch_size=1000,
            filters=frozenset({"odata", "fetchxml"}),
        )

    async def identity(self) -> Caller:
        """Ask the server who we are."""
        return await self._who.caller()

    async def probe(self) -> Connectivity:
        """Ask who we are, and say in one word how that went."""
        try:
            identity_of(await self._session.who_am_i())
        except CaptivePortal:
            return Connectivity.CAPTIVE_PORTAL
        except Unreachable:
            return Connectivity.NO_ANSWER
        except SignInNeeded:
            return Connectivity.SIGN_IN_NEEDED
        except Throttled:
            return Connectivity.THROTTLED
        return Connectivity.CONNECTED

    async def schema(self, tables: Sequence[str]) -> list[TableSchema]:
        """Return the schemas of these tables, without those that the server does not have.

        :raises UsageError: a table is elastic or virtual
        """
        named = [table for table in dict.fromkeys(tables) if is_identifier(table)]
        if not named:
            return []
        sets = entity_sets(await self._session.get(ENTITY_SETS))
        schemas: list[TableSchema] = []
        most = _TABLES_A_BATCH
        while named:
            try:
                schemas += await self._schemas(named[:most], sets)
            except TooLarge:
                if most == 1:
                    raise
                most = max(1, most // 4)
            else:
                named = named[most:]
        return schemas

    async def count(self, scope: Scope) -> int | None:
        """Return how many rows the server has, roughly; None where it cannot say."""
        try:
            return await _reading.count(self._session, scope)
        except (AccessDenied, ProtocolError):
            return None

    async def pull(self, scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
        """Yield what changed since the checkpoint; from None, everything."""

        async def fetch(wanted: Scope, ids: Sequence[str]) -> list[Record | Unreadable]:
            return await _reading.fetch(self._session, wanted, ids)

        pages = pull(
            self._session,
            self._reader(scope),
            scope,
            checkpoint,
            page_size=self._settings.page_size,
            fetch=fetch,
        )
        async with aclosing(pages):
            async for page in pages:
                yield page

    async def push(
        self, units: Sequence[Unit], scopes: Mapping[str, Scope]
    ) -> AsyncIterator[Outcome]:
        """Send the units; outcomes come as batches come back.

        :raises TransportError: after the outcomes, when the server will not listen now
        """
        settings = self._settings
        pusher = Pusher(
            self._session,
            scopes,
            batch_size=settings.batch_size,
            concurrency=settings.concurrency,
        )
        outcomes = pusher.push(units)
        async with aclosing(outcomes):
            async for outcome in outcomes:
                yield outcome

    async def fetch(self, scope: Scope, ids: Sequence[str]) -> list[Record | Unreadable]:
        """Return the rows with these ids; those that are not there are left out."""
        return await _reading.fetch(self._session, scope, ids)

    async def list_ids(self, scope: Scope, condition: str | None) -> AsyncIterator[str]:
        """Yield the ids of the rows that match, ascending; all or nothing."""
        page_size = self._settings.page_size
        if condition is not None and is_fetchxml(condition):
            found = await ids_of(self._session, scope, condition, page_size=page_size)
            for row_id in sorted(found):
                yield row_id
            return
        listed = _reading.list_ids(self._session, scope, condition, page_size=page_size)
        async with aclosing(listed):
            async for row_id in listed:
                yield row_id

    async def views(self, tables: Sequence[str]) -> list[View]:
        """Return the views of these tables that everybody has, and those of the user."""
        return await views(self._session, tables)

    def _reader(self, scope: Scope) -> Reader:
        """Return what reads a scope: made once, since that costs more than an empty page."""
        known = self._readers.get(scope.table)
        if known is None or known[0] is not scope:
            known = self._readers[scope.table] = (scope, Reader(scope))
        return known[1]

    async def _schemas(self, tables: Sequence[str], sets: Mapping[str, str]) -> list[TableSchema]:
        asked = [questions(table) for table in tables]
        answers = iter(await _reading.read_all(self._session, [q for one in asked for q in one]))
        found = [
            table_schema(table, [next(answers) for _ in one], sets)
            for table, one in zip(tables, asked, strict=True)
        ]
        return [schema for schema in found if schema is not None]
