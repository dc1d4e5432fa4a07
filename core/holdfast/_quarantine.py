"""Rows that came and make no sense: put aside with their reason, and settled by themselves.

Invariant: such a row is noted in the commit that moves the checkpoint past it, and stays noted
until the server was heard to have it readable, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from holdfast._engine import Engine
from holdfast._plan import pages
from holdfast._plan import quarantine as plan
from holdfast._scopes import TableScope
from holdfast._store import Writes, equals
from holdfast._tables import ISSUES, QUARANTINE, SCOPES, IssueState, ScopeState, row_key
from holdfast.contracts import Query
from holdfast.filters import And, ColumnRef, Compare, Comparison, Literal
from holdfast.model import Record, Unreadable
from holdfast.schema import Kind
from holdfast.status import Extent, IssueKind

#: How many rows are asked for again in one sync.
MOST_AGAIN: Final = 500


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer for some ids. ``whole`` says that those it is silent about are not there."""

    records: dict[str, Record]
    torn: dict[str, Unreadable]
    whole: bool


class Quarantine:
    """Keeps what a table's transport could not understand."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store

    async def fetch(self, scope: TableScope, ids: Sequence[str]) -> Fetched:
        """Ask for rows by id, and take nothing that was not asked for."""
        asked = set(ids)
        answer = await self._engine.transport.fetch(scope.scope, ids)
        records: dict[str, Record] = {}
        torn: dict[str, Unreadable] = {}
        whole = True
        for given in answer:
            row = _sound(given, scope)
            if not isinstance(row, Unreadable):
                if row[0] in asked:
                    records[str(row[0])] = row
            elif row.row_id is None:
                whole = False  # it is one of those that were asked for, nobody knows which
            elif row.row_id in asked:
                torn[row.row_id] = row
        return Fetched(records, torn, whole)

    async def note(
        self, scope: TableScope, state: ScopeState, rows: Iterable[Unreadable], writes: Writes
    ) -> None:
        """Put rows aside; call with the lock held."""
        torn = {plan.key_of(scope.name, row): row for row in rows}
        if not torn:
            return
        self._engine.asked.add(scope.name)
        known = await self._count(scope.name)
        now = self._engine.now()
        for number, row in enumerate(torn.values()):
            kept = plan.quarantined(
                scope.name, row, seen=now, generation=state.generation, known=known + number
            )
            writes.put(QUARANTINE, kept.record())

    async def settle(self, table: str, ids: Iterable[str], writes: Writes) -> None:
        """Forget rows that were read well, or that are gone; call with the lock held."""
        if await self._count(table):
            writes.delete(QUARANTINE, *(row_key(table, row_id) for row_id in ids))

    async def tables(self) -> set[str]:
        """Return the tables with rows that are put aside."""
        if not await self._store.count(QUARANTINE):
            return set()
        return {str(record[1]) async for record in self._store.query(Query(QUARANTINE))}

    async def due(self, table: str) -> list[str]:
        """Return the ids of rows that a person wants to be asked for again."""
        wanted = Compare(Comparison.EQ, ColumnRef("due", Kind.BOOLEAN), Literal(True))
        query = Query(QUARANTINE, And((equals("table_name", table), wanted)), limit=MOST_AGAIN)
        return [str(record[2]) async for record in self._store.query(query)]

    async def forget_unseen(self, scope: TableScope, state: ScopeState) -> None:
        """Forget what a reading of everything did not bring again."""
        generation = ColumnRef("generation", Kind.INTEGER)
        older = Compare(Comparison.LT, generation, Literal(state.generation))
        query = Query(QUARANTINE, And((equals("table_name", scope.name), older)))
        async with self._store.lock:
            writes = Writes()
            writes.delete(QUARANTINE, *[str(r[0]) async for r in self._store.query(query)])
            await self._store.commit(writes)

    async def ask(self, table: str, writes: Writes) -> tuple[int, list[IssueState]]:
        """Open and close the issues about unreadable rows; call with the lock held.

        :returns: how many such rows there are, and the issues that are new
        """
        count = await self._count(table)
        known = await self._store.issues_about(table, IssueKind.UNREADABLE)
        if not count and not known:
            return 0, []
        first = await self._store.quarantine(table, plan.MOST_ISSUES + 1)
        asked = plan.questions(count, first, known)
        writes.delete(ISSUES, *asked.closed)
        raised = [self._about(row) for row in asked.rows]
        writes.put(ISSUES, *(issue.record() for issue in raised))
        if asked.together:
            together = await self._about_all(table, asked.together, known)
            writes.put(ISSUES, together.record())
            raised += [together] if together.id not in {issue.id for issue in known} else []
        return count, raised

    async def retry(self, issue: IssueState) -> None:
        """Have the rows of an issue asked for again; call while no sync runs."""
        async with self._store.lock:
            writes = Writes()
            rows = {row.key: row for row in await self._store.quarantine(issue.table)}
            row = rows.get(issue.subject or "")
            if row is not None and row.row_id is not None:
                writes.put(QUARANTINE, replace(row, due=True).record())
            else:
                state = await self._store.scope_state(issue.table)
                writes.put(SCOPES, state.restarted(state.fingerprint).record())
            await self._store.commit(writes)

    async def payload(self, issue: IssueState) -> str | None:
        """Return what the server sent of the row that an issue is about."""
        if issue.subject is None:
            return None
        for record in await self._store.storage.read(QUARANTINE, [issue.subject]):
            return str(record[4])
        return None

    async def _count(self, table: str) -> int:
        return await self._store.count(QUARANTINE, equals("table_name", table))

    def _about(self, row: plan.Quarantined) -> IssueState:
        return self._engine.issue(
            IssueKind.UNREADABLE,
            row.table,
            plan.about(row),
            row_id=row.row_id or "",
            subject=row.key,
        )

    async def _about_all(self, table: str, count: int, known: Sequence[IssueState]) -> IssueState:
        of = await self._store.count(table)
        message, extent = plan.about_all(count), Extent(count, of)
        for issue in known:
            if issue.subject is None:
                return replace(issue, message=message, extent=extent)
        return self._engine.issue(IssueKind.UNREADABLE, table, message, extent=extent)


def _sound(row: Record | Unreadable, scope: TableScope) -> Record | Unreadable:
    """Return a row as it came, or as one that makes no sense if no storage would take it."""
    if isinstance(row, Unreadable):
        return row
    reason = pages.fault(row, scope.schema.fields)
    return row if reason is None else pages.aside(row, reason)
