"""Fetching: pull each table's pages, store each with its checkpoint, then see who belongs.

Invariants. A page's rows, what it says is gone, what of it makes no sense and its checkpoint commit
together. A dirty row keeps the user's values; only its remote moves. A table that is read anew
keeps its rows until the end, and what must go goes at the end of its turn.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from holdfast._engine import Engine
from holdfast._membership import Membership
from holdfast._plan import rows
from holdfast._plan.pages import checked, has_drifted, settled
from holdfast._plan.rows import RowState, image_of
from holdfast._quarantine import Quarantine
from holdfast._removal import Outcome, Removal
from holdfast._scopes import TableScope
from holdfast._store import Writes, equals
from holdfast._tables import GONE, SCOPES, SHADOWS, Image, IssueState, ScopeState, row_key
from holdfast.errors import (
    AccessDenied,
    CheckpointExpired,
    PluginError,
    ProfileError,
    ProtocolError,
    UntrustedLink,
)
from holdfast.model import Page, Record
from holdfast.status import Downloaded, Downloading, IssueRaised, SyncReport, TableReport

_logger = logging.getLogger(__name__)
#: What stops one call and says nothing about the next: the other tables, or the other half, go on.
OF_ONE_CALL: Final = (
    AccessDenied,
    CheckpointExpired,
    PluginError,
    ProfileError,
    ProtocolError,
    UntrustedLink,
)


class Download:
    """One run over all tables. Never two at once, and never beside an upload."""

    def __init__(
        self, engine: Engine, report: SyncReport, refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._engine = engine
        self._store = engine.store
        self._membership = Membership(engine)
        self._quarantine = Quarantine(engine)
        self._removal = Removal(engine)
        self._refresh = refresh
        self._report = report

    async def run(self) -> None:
        """Fetch what is due; a table that cannot be read is reported and the others go on.

        :raises TransportError: the server cannot be reached; what was stored stays stored
        """
        self._engine.asked = {issue.table for issue in await self._store.issues()}
        self._engine.asked |= await self._quarantine.tables()
        for name in list(self._engine.scopes):
            report = self._report.tables.setdefault(name, TableReport())
            try:  # the scope is looked up each time: reading one table anew may describe them all
                await self._table(self._engine.scope(name), report)
            except OF_ONE_CALL as error:
                report.problem = str(error)
                await self._note_problem(name, report)
            else:
                self._engine.events.emit(Downloaded(name, report.received, report.removed))

    async def _table(self, scope: TableScope, report: TableReport) -> None:
        state = await self._store.scope_state(scope.name)
        if state.fingerprint != scope.fingerprint:
            state = await self._restart(scope, state)
        await self._membership.ask(scope)
        try:
            state = await self._look_again(scope, state, report)
            state = await self._pages(scope, state, report)
        except CheckpointExpired:
            _logger.info("read anew", extra={"event": "holdfast.scope.rebaselined"})
            await self._refresh()  # a void checkpoint may mean that the table has changed
            scope = self._engine.scope(scope.name)
            state = await self._restart(scope, state)
            await self._membership.ask(scope)
            state = await self._pages(scope, state, report)
        await self._membership.listed(scope, state, report)
        if state.membership_due:
            self._engine.links_noted.discard(scope.name)
            await self._membership.links(scope, state, report)
        outcome = Outcome()
        if state.leaving or state.baseline or state.membership_due or scope.test is None:
            outcome = await self._removal.conclude(scope, state, report)
        state = replace(state, baseline=False, membership_due=False)
        state = replace(state, chosen=self._removal.choice(scope))
        await self._finish(state, outcome, report)

    async def _restart(self, scope: TableScope, state: ScopeState) -> ScopeState:
        """Start reading everything, under the rows that are there."""
        restarted = state.restarted(scope.fingerprint)
        expected = await self._engine.transport.count(scope.scope)
        return replace(restarted, expected=expected, membership_due=bool(scope.links))

    async def _finish(self, state: ScopeState, outcome: Outcome, report: TableReport) -> None:
        changed = report.received or report.removed or self._report.applied
        if changed or state.rows is None:
            state = replace(state, rows=await self._store.count(state.table))
        report.problem = outcome.held.message if outcome.held is not None else None
        async with self._store.lock:
            if not state.complete:
                await self._store.filled(state.table)
            due = state.membership_due or state.table in self._engine.links_noted
            state = replace(state, complete=True, membership_due=due)
            state = replace(state, leaving=outcome.held is not None, problem=report.problem)
            state = replace(state, last_sync=self._engine.now())
            writes = Writes()
            writes.put(SCOPES, state.record())
            if outcome.held is not None:
                self._engine.asked.add(state.table)
            if state.table in self._engine.asked:
                await self._removal.note(state.table, outcome, writes)
            raised = [outcome.held] if outcome.held is not None and outcome.raised else []
            await self._ask(state.table, report, raised, writes)

    async def _note_problem(self, table: str, report: TableReport) -> None:
        async with self._store.lock:
            state = await self._store.scope_state(table)
            writes = Writes()
            writes.put(SCOPES, replace(state, problem=report.problem).record())
            await self._ask(table, report, [], writes)

    async def _ask(
        self, table: str, report: TableReport, raised: list[IssueState], writes: Writes
    ) -> None:
        """Commit the end of a table's turn with what a person is asked because of it."""
        torn: list[IssueState] = []
        if table in self._engine.asked:
            report.unreadable, torn = await self._quarantine.ask(table, writes)
        await self._store.commit(writes)
        for issue in [*raised, *torn]:
            self._report.issues.append(issue.id)
            self._engine.events.emit(IssueRaised(issue.id, issue.table, issue.row_id))

    async def _look_again(
        self, scope: TableScope, state: ScopeState, report: TableReport
    ) -> ScopeState:
        """Ask for the unreadable rows that a person wants to be asked for again."""
        known = state.checkpoint is not None and scope.name in self._engine.asked
        ids = await self._quarantine.due(scope.name) if known else []
        if not ids:
            return state
        found = await self._quarantine.fetch(scope, ids)
        heard = {*found.records, *found.torn}
        page = Page(
            list(found.records.values()),
            [row_id for row_id in ids if row_id not in heard] if found.whole else (),
            state.checkpoint or "",
            last=False,
            unreadable=list(found.torn.values()),
        )
        return await self._page(scope, state, page, report, nothing_yet=False)

    async def _pages(self, scope: TableScope, state: ScopeState, report: TableReport) -> ScopeState:
        nothing_yet = state.checkpoint is None and not state.complete
        pages = self._engine.transport.pull(scope.scope, state.checkpoint)
        async with aclosing(pages):  # type: ignore[type-var]  # every async generator can be closed
            async for given in pages:
                page = checked(given, scope.schema.fields)
                if has_drifted(page):
                    raise ProtocolError(_drift(scope.name, page))
                state = await self._page(scope, state, page, report, nothing_yet=nothing_yet)
                self._engine.events.emit(_progress(state, report))
        if state.baseline:
            await self._membership.sweep(scope, state)
        return state

    async def _page(
        self,
        scope: TableScope,
        state: ScopeState,
        page: Page,
        report: TableReport,
        *,
        nothing_yet: bool,
    ) -> ScopeState:
        """Store one page and the checkpoint behind it in one transaction."""
        page = settled(page)
        if page.last and not (page.records or page.tombstones or page.unreadable):
            return replace(state, checkpoint=page.checkpoint)  # stored with the end of the turn
        async with self._store.lock:
            writes = Writes()
            dirty = await self._dirty(scope, page)
            news = page.records if state.baseline else await self._news(scope, page.records)
            out = await self._records(scope, state, news, dirty, writes)
            leaving = False
            if not nothing_yet:
                gone = [row_id for row_id in page.tombstones if row_id not in dirty]
                leaving = await self._note_leaving(scope, out, gone, writes)
            self._see_dirty(scope, state, page, dirty, writes)
            await self._put_aside(scope, state, page, writes)
            if news or page.tombstones:
                await self._engine.links_due([scope.name], writes)
            received = state.received + len(page.records) if state.baseline else state.received
            state = replace(
                state,
                checkpoint=page.checkpoint,
                received=received,
                membership_due=state.membership_due or scope.name in self._engine.links_noted,
                leaving=state.leaving or leaving,
            )
            writes.put(SCOPES, state.record())
            await self._store.commit(writes)
        report.received += len(news)
        return state

    async def _note_leaving(
        self, scope: TableScope, out: Sequence[Record], gone: Sequence[str], writes: Writes
    ) -> bool:
        """Note in the rows that are here that they must go; tell whether there are any.

        :param out: rows as they are to be stored, which no rule admits
        :param gone: ids of rows that the server no longer has
        """
        ids = [*(str(record[0]) for record in out), *gone]
        here = {record[0]: record for record in await self._store.storage.read(scope.name, ids)}
        at = len(scope.schema.fields) + 2  # behind version and generation
        writes.put(scope.name, *(record for record in out if record[0] in here))
        known = [here[row_id] for row_id in gone if row_id in here]
        writes.put(scope.name, *((*r[:at], GONE, *r[at + 1 :]) for r in known))
        return bool(here)

    async def _put_aside(
        self, scope: TableScope, state: ScopeState, page: Page, writes: Writes
    ) -> None:
        """Put aside what makes no sense, and forget it of what now does, or is gone."""
        if not page.unreadable and scope.name not in self._engine.asked:
            return
        read = [*(str(record[0]) for record in page.records), *page.tombstones]
        await self._quarantine.settle(scope.name, read, writes)
        await self._quarantine.note(scope, state, page.unreadable, writes)
        torn = [row.row_id for row in page.unreadable if row.row_id is not None]
        await self._membership.keep(scope, state, torn, writes)

    async def _news(self, scope: TableScope, records: Sequence[Record]) -> Sequence[Record]:
        """Return the records whose version is not here yet; our own echoes change nothing."""
        ids = [str(record[0]) for record in records]
        at = len(scope.schema.fields)
        here = {
            stored[0]: stored[at]
            for stored in await self._store.storage.read(scope.name, ids)
            if scope.admits(int(str(stored[at + 2] or 0)))  # else: it came from here and must go
        }
        return [record for record in records if here.get(record[0]) != record[at]]

    async def _dirty(self, scope: TableScope, page: Page) -> dict[str, RowState]:
        """Return the rows of a page that have unsettled ops."""
        if not await self._store.count(SHADOWS, equals("table_name", scope.name)):
            return {}
        ids = [str(record[0]) for record in page.records] + list(page.tombstones)
        keys = [row_key(scope.name, row_id) for row_id in ids]
        found = [str(record[2]) for record in await self._store.storage.read(SHADOWS, keys)]
        return await self._store.rows(scope.schema, found)

    async def _records(
        self,
        scope: TableScope,
        state: ScopeState,
        records: Sequence[Record],
        dirty: dict[str, RowState],
        writes: Writes,
    ) -> list[Record]:
        """Put the clean rows that belong here; return those that do not, as they would be put."""
        if scope.takes_everything:
            tail: Record = (state.generation, scope.filter_bit, False)
            clean = [r for r in records if r[0] not in dirty] if dirty else records
            writes.put(scope.name, *[(*r, *tail) for r in clean])
            return []
        out: list[Record] = []
        rules = await self._membership.rules(scope, records)
        for record, bits in zip(records, rules, strict=True):
            if record[0] in dirty:
                continue
            stored = (*record, state.generation, bits, False)
            if scope.admits(bits):
                writes.put(scope.name, stored)
            else:
                out.append(stored)
        return out

    def _see_dirty(
        self,
        scope: TableScope,
        state: ScopeState,
        page: Page,
        dirty: dict[str, RowState],
        writes: Writes,
    ) -> None:
        seen: dict[str, Image | None] = {
            row_id: None for row_id in page.tombstones if row_id in dirty
        }
        for record in page.records:
            if record[0] in dirty:
                seen[str(record[0])] = image_of(scope.schema, record)
        for row_id, image in seen.items():
            after = rows.seen(dirty[row_id], image, state.generation)
            writes.row(dirty[row_id], after, self._engine.now())


def _progress(state: ScopeState, report: TableReport) -> Downloading:
    """Return how far a first reading has come, or how much a later one has brought."""
    if state.baseline:
        return Downloading(state.table, state.received, state.expected)
    return Downloading(state.table, report.received, None)


def _drift(table: str, page: Page) -> str:
    """Return what is said of a page of which nothing makes sense."""
    return (
        f"none of the {len(page.unreadable)} rows of a page of {table} can be understood "
        f"({page.unreadable[0].reason}); run a download, which reads anew how the table is made"
    )
