"""What an application holds in its hand: one user's rows of one server, here.

Invariant: one sync at a time. Whoever asks for another waits for its turn; a push and a pull never
run side by side, so a page is never older than what was settled before it was asked for.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from holdfast import _setup
from holdfast._download import OF_ONE_CALL, Download
from holdfast._engine import CALLER, VIEWS, Engine, caller_text, moment, unbroken
from holdfast._explain import Explanation, explained_whole
from holdfast._fetch import Answered, fetched
from holdfast._issues import Issues
from holdfast._plain import plain
from holdfast._scopes import (
    Described,
    Pinned,
    TableScope,
    bind,
    bind_known,
    indexes,
    pinned_columns,
)
from holdfast._setup import Setup
from holdfast._store import Store, Writes, equals
from holdfast._system import system_environment
from holdfast._tables import (
    FORMAT,
    ISSUES,
    META,
    OUTBOX,
    QUARANTINE,
    SYSTEM_LAYOUTS,
    ScopeState,
)
from holdfast._upload import Upload
from holdfast.contracts import Context, Environment, OpenMode
from holdfast.discovery import Catalogue, Installed
from holdfast.errors import (
    HoldfastError,
    NotDownloaded,
    PluginError,
    Problem,
    QueryError,
    ReplicaMismatch,
    ReplicaTooNew,
    ReplicaTooOld,
    TransportError,
    WorkingOffline,
)
from holdfast.model import Caller, Op, View
from holdfast.profile import Profile, TableRule
from holdfast.schema import TableSchema, nearest
from holdfast.status import (
    Availability,
    Event,
    HistoryEntry,
    Issue,
    ReplicaStatus,
    SyncReport,
    TableStatus,
)
from holdfast.table import Table

_logger = logging.getLogger(__name__)
_OFFLINE: Final = "working_offline"
_PROBLEM: Final = "problem"
#: What ends a sync, and may be gone at the next.
_STOPPERS: Final = (TransportError, PluginError)


class Replica:
    """The local copy of one user's rows in one server organisation; made by :func:`open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store
        self._syncing = asyncio.Lock()
        self._issues = Issues(engine, self._syncing)

    @property
    def profile(self) -> Profile:
        """The profile that this replica was opened with."""
        return self._engine.setup.profile

    @property
    def tables(self) -> list[str]:
        """The names of the tables that the profile keeps, in its order."""
        return [rule.name for rule in self.profile.profile.tables]

    def table(self, name: str) -> Table:
        """Return one table.

        :raises UnknownTable: the profile does not keep it
        :raises NotDownloaded: the first download has not described it yet
        """
        return Table(self._engine, name)

    def fetch(self, fetchxml: str) -> AsyncGenerator[Answered]:
        """Yield what a FetchXML query answers, joins and aggregates included, from what is here.

        Each record maps the names of its attributes, or their aliases, to values; what is null is
        left out, as the server leaves it out.

        :raises FilterError: the query does not parse
        :raises QueryError: the storage in use does not answer such questions
        """
        return fetched(self._engine, fetchxml)

    async def explain(self, fetchxml: str) -> Explanation:
        """Return how a FetchXML query would be answered.

        :raises FilterError: the query does not parse
        :raises QueryError: the storage in use does not answer such questions
        """
        return await explained_whole(self._engine, fetchxml)

    def views(self, table: str) -> list[str]:
        """Return the names of the server's saved views of a table, sorted, as last downloaded.

        :raises UnknownTable: the profile does not keep it
        """
        return sorted(self._engine.views().get(self._engine.scope(table).name, {}))

    def view(self, table: str, name: str) -> AsyncGenerator[Answered]:
        """Yield what a saved view of the server shows, from what is here.

        :raises UnknownTable: the profile does not keep the table
        :raises QueryError: the table has no such view, or the storage in use does not answer it
        """
        known = self._engine.views().get(self._engine.scope(table).name, {})
        if name not in known:
            missing = f"there is no saved view {name!r}{nearest(name, known)}"
            raise QueryError(table, [Problem("view", missing)])
        return fetched(self._engine, known[name])

    def installed(self) -> list[Installed]:
        """Return every installed plugin, and whether this replica uses it."""
        return Catalogue().installed(self._engine.setup.in_use)

    async def download(self) -> SyncReport:
        """Fetch the profile's rows: the first time everything, later what changed.

        The tables' metadata is read anew, so this is also what brings a changed profile in.

        :raises WorkingOffline: the switch is on
        :raises ReplicaMismatch: the server, or the user, is not the one that this belongs to
        :raises ProfileError: the server does not have what the profile names
        :raises TransportError: the server cannot be reached; the next download goes on from there
        :raises PluginError: the transport has a bug, or cannot do what a safe sync needs
        """
        report = SyncReport()
        async with self._syncing:
            self._must_be_online()
            try:
                await self._meet_server()
                await self._describe()
                await self._fetch(report)
            except _STOPPERS as error:
                await self._stopped(error)
                raise
            await self._stopped(None)
        report.waiting = await self._store.count(OUTBOX)
        return report

    async def sync(self) -> SyncReport:
        """Send what waits, then fetch what changed; one half never stops for the other.

        What stops it short of that is in the report's ``failure``.

        :raises WorkingOffline: the switch is on
        :raises ReplicaMismatch: the server, or the user, is not the one that this belongs to
        :raises ProfileError: the server does not have what the profile names
        """
        report = SyncReport()
        async with self._syncing:
            self._must_be_online()
            try:
                await self._meet_server()
                if set(self._engine.scopes) != set(self.tables):
                    await self._describe()  # the first time, or the profile has grown
                await self._send(report)
                await self._fetch(report)
            except _STOPPERS as error:
                report.failure = error
            await self._stopped(report.failure)
        report.waiting = await self._store.count(OUTBOX)
        return report

    async def _stopped(self, error: HoldfastError | None) -> None:
        """Note what stopped a sync, so that the status stays true; None takes it back.

        The last thing of every sync; so the logs are cut here.
        """
        if error is not None:
            _logger.info("sync stopped: %s", plain(error), extra={"event": "holdfast.sync.stopped"})
        text = "" if error is None else str(error)
        if self._engine.meta.get(_PROBLEM, "") != text:
            await self._note({_PROBLEM: text})
        await self._store.trim()

    async def go_offline(self) -> None:
        """Turn on Work offline: nothing is sent or fetched until it is turned off."""
        self._engine.must_own()
        async with self._syncing:
            await self._note({_OFFLINE: "1"})

    async def go_online(self) -> SyncReport:
        """Turn off Work offline: send what waits, then fetch what changed."""
        self._engine.must_own()
        async with self._syncing:
            await self._note({_OFFLINE: "0"})
        return await self.sync()

    def _must_be_online(self) -> None:
        self._engine.must_own()
        if self._engine.meta.get(_OFFLINE) == "1":
            raise WorkingOffline

    async def _send(self, report: SyncReport) -> None:
        try:
            await Upload(self._engine, report).run()
        except OF_ONE_CALL as error:  # a pull may work all the same
            report.failure = error

    async def _fetch(self, report: SyncReport) -> None:
        await Download(self._engine, report, self._describe).run()

    async def _meet_server(self) -> None:
        """Make sure that this server, as this user, is the one that the replica belongs to.

        :raises ReplicaMismatch: it is not; nothing was sent
        :raises PluginError: the server cannot do what a safe sync needs
        """
        caller = await self._engine.transport.identity()
        known = self._engine.meta
        if "user" in known:
            if (known["organization"], known["user"]) != (caller.organization, caller.user):
                raise ReplicaMismatch(
                    self._store.storage.location,
                    f"user {known['user']} of {known['organization']}",
                    f"user {caller.user} of {caller.organization}",
                )
        else:
            await self._check_capabilities()
        await self._remember(caller)

    async def _remember(self, caller: Caller) -> None:
        """Store who asks, so that "mine" and "today" mean the same without a network."""
        known = {"organization": caller.organization, "user": caller.user}
        known[CALLER] = caller_text(caller)
        if self._engine.meta | known != self._engine.meta:
            await self._note(known)

    async def _check_capabilities(self) -> None:
        can = await self._engine.transport.capabilities()
        driver = self.profile.transport.driver
        if not can.client_ids:
            raise PluginError(driver, "the server makes its own ids; a retry would create twice")
        if not can.conditional_writes:
            raise PluginError(driver, "the server has no conditional writes; edits would be lost")
        if not can.change_feed:
            raise PluginError(driver, "the server has no change feed; that is not supported yet")

    async def _describe(self) -> None:
        """Read the tables' metadata, check the profile against it, and shape the storage."""
        engine = self._engine
        schemas = {schema.name: schema for schema in await engine.transport.schema(self.tables)}
        await self._note_views(await engine.transport.views(list(schemas)))
        described = Described(schemas, engine.views())
        source, plugins = engine.setup.source, engine.plugins
        binding = partial(bind, source, self.profile, described, plugins)
        await unbroken(_reshape(engine, binding, schemas))

    async def _note_views(self, views: Sequence[View]) -> None:
        texts: dict[str, dict[str, str]] = {}
        for view in sorted(
            views, key=lambda one: not one.personal
        ):  # everybody's win over one's own
            texts.setdefault(view.table, {})[view.name] = view.query
        noted = json.dumps(texts, sort_keys=True, ensure_ascii=False)
        if noted != self._engine.meta.get(VIEWS, "{}"):
            await self._note({VIEWS: noted})

    async def _note(self, values: Mapping[str, str]) -> None:
        await unbroken(self._noted(values))

    async def _noted(self, values: Mapping[str, str]) -> None:
        writes = Writes()
        writes.put(META, *values.items())
        async with self._store.lock:
            await self._store.commit(writes)
        self._engine.meta.update(values)

    async def status(self) -> ReplicaStatus:
        """Return how everything stands now."""
        meta = self._engine.meta
        return ReplicaStatus(
            profile=self.profile.profile.name,
            location=self._store.storage.location,
            server=self._engine.transport.location,
            organization=meta.get("organization"),
            user=meta.get("user"),
            working_offline=meta.get(_OFFLINE) == "1",
            tables=await self._table_statuses(),
            pending=await self._store.count(OUTBOX),
            issues=await self._store.count(ISSUES),
            size=await self._store.storage.size(),
            problem=meta.get(_PROBLEM) or None,
        )

    async def _table_statuses(self) -> tuple[TableStatus, ...]:
        states = await self._store.scope_states()
        rules = self.profile.profile.tables
        return tuple([await self._table_status(r, states.get(r.name)) for r in rules])

    async def _table_status(self, rule: TableRule, state: ScopeState | None) -> TableStatus:
        scope = self._engine.scopes.get(rule.name)
        if scope is None or state is None:
            return TableStatus(rule.name, rule.name, Availability.NOT_DOWNLOADED, 0, 0, None)
        unreadable = await self._store.count(QUARANTINE, equals("table_name", rule.name))
        return TableStatus(
            name=rule.name,
            label=scope.schema.label or rule.name,
            availability=_availability(state, unreadable),
            rows=await self._store.count(rule.name),
            pending=await self._store.count(OUTBOX, equals("table_name", rule.name)),
            last_sync=moment(state.last_sync),
            received=state.received,
            expected=state.expected,
            problem=state.problem,
            unreadable=unreadable,
        )

    async def pending(self) -> list[Op]:
        """Return the outbox: every unsettled op, in order."""
        return await self._store.outbox()

    def events(self) -> AsyncGenerator[Event]:
        """Yield what happens once iteration began; a slow reader loses the oldest events."""
        return self._engine.events.watch()

    async def issues(self) -> list[Issue]:
        """Return what a person should settle, oldest first."""
        return await self._issues.list()

    async def issue(self, issue_id: str) -> Issue:
        """Return one issue.

        :raises IssueNotFound: there is none
        """
        return await self._issues.get(issue_id)

    async def history(self, limit: int = 100) -> list[HistoryEntry]:
        """Return conflicts that were settled by policy, newest first."""
        return list(await self._issues.history(limit))

    async def allow(self, issue_id: str) -> None:
        """Let the rows of an issue about many go: at once from here, or to the server as deleted.

        :raises IssueNotFound: there is none, it asks something else, or more would go by now
        """
        await self._issues.allow(issue_id)

    async def retry(self, issue_id: str) -> None:
        """With the next sync, send the ops of an issue again, or ask again where there are none.

        :raises IssueNotFound: there is none, or this cannot be done to it
        """
        await self._issues.retry(issue_id)

    async def discard(self, issue_id: str) -> None:
        """Drop the ops of an issue; the rows become the server's.

        :raises IssueNotFound: there is none, or this cannot be done to it
        """
        await self._issues.discard(issue_id)

    async def take_mine(self, entry_id: str) -> None:
        """Let what was typed here win, in an open issue or after the fact.

        :raises IssueNotFound: there is neither
        """
        await self._issues.take_mine(entry_id)

    async def take_theirs(self, entry_id: str) -> None:
        """Let the server's row win, in an open issue or after the fact.

        :raises IssueNotFound: there is neither
        """
        await self._issues.take_theirs(entry_id)


def _availability(state: ScopeState, unreadable: int) -> Availability:
    if state.complete:
        return Availability.WARNING if state.problem or unreadable else Availability.AVAILABLE
    return Availability.NOT_AVAILABLE if state.problem else Availability.INITIALIZING


def open(  # noqa: A001  holdfast.open is the name people know from files
    profile: str | Path | Mapping[str, Any] = "holdfast.toml",  # Any: TOML
    *,
    mode: OpenMode = OpenMode.OWNER,
    environment: Environment | None = None,
    folder: str | Path = ".",
) -> AbstractAsyncContextManager[Replica]:
    """Open the replica of a profile; no network is needed.

    :param profile: the path of a ``holdfast.toml``, or what would stand in it
    :param mode: ``READER`` reads beside the process that owns the replica
    :param environment: time, ids and randomness; the machine's own when left out
    :param folder: where relative paths start when the profile is not a file
    :raises ProfileError: with every mistake of the profile
    :raises StorageLocked: another process owns the replica
    :raises ReplicaTooNew: a newer holdfast wrote it
    """
    if isinstance(profile, Mapping):
        setup = _setup.build("the profile", profile, Path(folder))
    else:
        setup = _setup.load(Path(profile))
    return _opened(setup, mode, environment or system_environment())


@asynccontextmanager
async def _opened(setup: Setup, mode: OpenMode, environment: Environment) -> AsyncIterator[Replica]:
    context = Context(environment, setup.folder, mode)
    profile = setup.profile
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(
            setup.plugins.open_storage(profile.storage.driver, setup.storage_settings, context)
        )
        found = await storage.version()
        if found > FORMAT:
            raise ReplicaTooNew(storage.location, found, FORMAT)
        store = Store(storage)
        if found == 0:
            if mode is OpenMode.READER:
                raise NotDownloaded
            await storage.migrate(SYSTEM_LAYOUTS, version=FORMAT)
        elif found < FORMAT:
            if mode is OpenMode.READER:
                raise ReplicaTooOld(storage.location)
            await store.bring_forward()
        transport = await stack.enter_async_context(
            setup.plugins.open_transport(
                profile.transport.driver, setup.transport_settings, context
            )
        )
        await store.load_schemas()
        read_only = mode is OpenMode.READER
        engine = Engine(setup, store, transport, environment, read_only, await store.meta())
        await _use_known_scopes(engine)
        yield Replica(engine)


async def _use_known_scopes(engine: Engine) -> None:
    """Meet the profile with what the server said last, so that work can go on without it.

    A profile that was changed meanwhile asks for other columns than are stored: the owner makes
    room for them, a reader leaves such a table alone. The owner lays the tables out every time: an
    earlier process may have been killed between doing so and noting it.
    """
    store = engine.store
    described = Described(store.described, engine.views())
    binding = partial(bind_known, engine.setup.profile, described, engine.plugins)
    if engine.read_only:
        scopes = binding(pinned_columns(await store.outbox()))
        engine.scopes = {n: s for n, s in scopes.items() if store.schemas.get(n) == s.schema}
    elif store.schemas:
        await _reshape(engine, binding, store.described)


async def _reshape(
    engine: Engine,
    binding: Callable[[Pinned], Mapping[str, TableScope]],
    described: Mapping[str, TableSchema],
) -> None:
    """Shape the storage for these scopes; a table that left stays while ops of it wait."""
    store = engine.store
    async with store.lock:
        outbox = await store.outbox()
        scopes = binding(pinned_columns(outbox))
        waiting = {op.table for op in outbox}
        named = {rule.name for rule in engine.setup.profile.profile.tables}
        kept = {name: s for name, s in store.schemas.items() if name in waiting | named}
        kept.update({name: scope.schema for name, scope in scopes.items()})
        await store.lay_out(kept, described, indexes(scopes))
        engine.scopes = scopes
        await store.note_schemas()
