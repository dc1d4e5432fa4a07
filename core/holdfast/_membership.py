"""Who belongs to a table: rules met by each row, rows that left unseen, rows that others point to.

Invariant: what reading everything did not bring is asked for by id before it goes. An empty or
shrunken answer is a question, not an order to delete.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from holdfast._engine import Engine
from holdfast._listing import Listing
from holdfast._plan import rows
from holdfast._plan.membership import difference
from holdfast._plan.rows import RowState, image_of
from holdfast._scopes import Link, TableScope
from holdfast._store import Writes
from holdfast._tables import GENERATION_FIELD, PENDING_FIELD, RULES_FIELD, ScopeState
from holdfast.contracts import Order, Query
from holdfast.filters import (
    EVERYTHING,
    And,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    In,
    IsNull,
    Literal,
)
from holdfast.model import Record
from holdfast.schema import Kind
from holdfast.status import TableReport

#: How many ids are asked for, or written, at a time.
CHUNK: Final = 500


class Membership:
    """Sees to it that a table holds the rows that its rules admit, and those with unsettled ops."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store
        self._listing = Listing(engine)
        self._listed: dict[str, frozenset[str]] = {}

    async def ask(self, scope: TableScope) -> None:
        """Ask the server which rows belong, where a row alone does not tell; before any page comes.

        :raises ProfileError: it cannot be asked
        """
        if scope.test is None:
            here = {row_id async for row_id in self._marked(scope, scope.filter_bit)}
            self._listed[scope.name] = await self._listing.ids(scope, here)

    def _own_bit(self, scope: TableScope, record: Record) -> int:
        if scope.test is None:
            fits = str(record[0]) in self._listed.get(scope.name, ())
        else:
            fits = bool(scope.test(record))
        return scope.filter_bit if fits else 0

    async def rules(self, scope: TableScope, records: Sequence[Record]) -> list[int]:
        """Return for each record the bits of the row rules that admit it."""
        rules = [self._own_bit(scope, record) for record in records]
        for link in scope.links:
            ids = [str(record[0]) for record in records]
            pointed = await self._pointed(link, ids)
            rules = [
                bits | link.bit if row_id in pointed else bits
                for bits, row_id in zip(rules, ids, strict=True)
            ]
        return rules

    async def _pointed(self, link: Link, ids: Sequence[str]) -> set[str]:
        """Return which of these ids a kept row of the link's source points to."""
        if not ids:
            return set()
        schema = self._engine.schema(link.source)
        at = schema.positions[link.column]
        among = In(ColumnRef(link.column, Kind.KEY), tuple(ids))
        query = Query(link.source, among)
        return {str(record[at]) async for record in self._store.query(query)}

    async def sweep(self, scope: TableScope, state: ScopeState, report: TableReport) -> None:
        """Ask by id for the rows that reading everything did not bring; drop those not there."""
        older = Compare(
            Comparison.LT,
            ColumnRef(GENERATION_FIELD.name, Kind.INTEGER),
            Literal(state.generation),
        )
        async for ids in self._chunks(scope.name, older):
            found = await self._fetched(scope, ids)
            async with self._store.lock:
                report.removed += await self._settle_missing(scope, state, ids, found)
        hidden = await self._store.dirty_ids(scope.name)
        await self._sweep_hidden(scope, state, hidden)

    async def _sweep_hidden(self, scope: TableScope, state: ScopeState, ids: Sequence[str]) -> None:
        """Do the same for rows with unsettled ops that the user has deleted here."""
        known = await self._store.rows(scope.schema, ids)
        unseen = [
            row_id
            for row_id, row in known.items()
            if (row.base or row.remote) and row.generation < state.generation
        ]
        for start in range(0, len(unseen), CHUNK):
            chunk = unseen[start : start + CHUNK]
            found = await self._fetched(scope, chunk)
            async with self._store.lock:
                await self._settle_missing(scope, state, chunk, found)

    async def _fetched(self, scope: TableScope, ids: Sequence[str]) -> dict[str, Record]:
        """Return those of the rows that the server has, and nothing that was not asked for."""
        asked = set(ids)
        fetched = await self._engine.transport.fetch(scope.scope, ids)
        return {str(record[0]): record for record in fetched if record[0] in asked}

    async def _settle_missing(
        self,
        scope: TableScope,
        state: ScopeState,
        ids: Sequence[str],
        found: dict[str, Record],
    ) -> int:
        writes = Writes()
        removed = 0
        rules = dict(zip(found, await self.rules(scope, list(found.values())), strict=True))
        for row_id, before in (await self._store.rows(scope.schema, ids)).items():
            record = found.get(row_id)
            image = None if record is None else image_of(scope.schema, record)
            if before.dirty:
                if before.base is None and before.remote is None:
                    continue  # made here, not there yet
                after = rows.seen(before, image, state.generation)
            elif image is not None and scope.admits(rules[row_id]):
                after = replace(rows.seen(before, image, state.generation), rules=rules[row_id])
            else:
                after = rows.seen(before, None, state.generation)
                removed += 1
            writes.row(before, after, self._engine.now())
        await self._engine.links_due([scope.name], writes)
        await self._store.commit(writes)
        return removed

    async def _chunks(self, table: str, where: Expression) -> AsyncIterator[list[str]]:
        """Yield the ids of matching rows, some at a time, in key order.

        Each chunk is a query of its own: what the caller writes in between is seen, and no reading
        transaction stays open.
        """
        schema = self._engine.schema(table)
        key = ColumnRef(schema.primary_id, Kind.KEY)
        after: Expression = EVERYTHING
        while True:
            query = Query(table, And((where, after)), limit=CHUNK)
            ids = [str(record[0]) async for record in self._store.query(query)]
            if not ids:
                return
            yield ids
            after = Compare(Comparison.GT, key, Literal(ids[-1]))

    async def links(self, scope: TableScope, state: ScopeState, report: TableReport) -> None:
        """Bring what kept rows of other tables point to; let go of what they no longer do."""
        for link in scope.links:
            async with aclosing(self._needed(link)) as needed:
                await self._bring(scope, state, link.bit, needed, report)
        await self._evict(scope, report)

    async def listed(self, scope: TableScope, state: ScopeState, report: TableReport) -> None:
        """Bring what the server has listed and no page has brought; let go of what it has not."""
        if scope.test is None:
            ids = _each(sorted(self._listed.get(scope.name, ())))
            await self._bring(scope, state, scope.filter_bit, ids, report)
            await self._evict(scope, report)

    async def _bring(
        self,
        scope: TableScope,
        state: ScopeState,
        bit: int,
        needed: AsyncIterator[str],
        report: TableReport,
    ) -> None:
        """Make the rows with a rule's bit those that are needed, given ascending."""
        arrive: list[str] = []
        leave: list[str] = []
        async with aclosing(self._marked(scope, bit)) as marked:
            async for row_id, wanted in difference(needed, marked):
                (arrive if wanted else leave).append(row_id)
                if len(arrive) >= CHUNK:
                    await self._arrive(scope, state, bit, arrive, report)
                    arrive = []
                if len(leave) >= CHUNK:
                    await self._leave(scope, bit, leave)
                    leave = []
        await self._arrive(scope, state, bit, arrive, report)
        await self._leave(scope, bit, leave)

    async def _needed(self, link: Link) -> AsyncGenerator[str]:
        """Yield the ids that the link's source points to, ascending, repeated ones too."""
        schema = self._engine.schema(link.source)
        at = schema.positions[link.column]
        column = ColumnRef(link.column, Kind.KEY)
        order = (Order(schema.fields[at]),)
        query = Query(link.source, IsNull(column, negated=True), order)
        async with aclosing(self._store.query(query)) as records:
            async for record in records:
                yield str(record[at])

    async def _marked(self, scope: TableScope, bit: int) -> AsyncGenerator[str]:
        """Yield the ids of the rows that have a rule's bit, ascending."""
        at = len(scope.schema.fields) + 2  # behind version and generation
        async with aclosing(self._store.query(Query(scope.name))) as records:
            async for record in records:
                if int(str(record[at] or 0)) & bit:
                    yield str(record[0])

    async def _arrive(
        self,
        scope: TableScope,
        state: ScopeState,
        bit: int,
        ids: Sequence[str],
        report: TableReport,
    ) -> None:
        if not ids:
            return
        known = await self._store.rows(scope.schema, ids)
        missing = [row_id for row_id, row in known.items() if not _known(row)]
        if scope.rule.match == "all":  # what another rule keeps out need not be fetched
            for link in scope.links:
                pointed = await self._pointed(link, missing)
                missing = [row_id for row_id in missing if row_id in pointed]
        fetched = await self._fetched(scope, missing) if missing else {}
        async with self._store.lock:
            writes = Writes()
            for row_id, before in (await self._store.rows(scope.schema, ids)).items():
                after = before
                record = fetched.get(row_id)
                if record is not None and not _known(before):
                    after = rows.seen(before, image_of(scope.schema, record), state.generation)
                    after = replace(after, rules=self._own_bit(scope, record))
                    report.received += 1
                if _known(after):
                    after = replace(after, rules=after.rules | bit)
                    writes.row(before, after, self._engine.now())
            await self._engine.links_due([scope.name], writes)
            await self._store.commit(writes)

    async def _leave(self, scope: TableScope, bit: int, ids: Sequence[str]) -> None:
        if not ids:
            return
        async with self._store.lock:
            writes = Writes()
            for before in (await self._store.rows(scope.schema, ids)).values():
                after = replace(before, rules=before.rules & ~bit)
                writes.row(before, after, self._engine.now())
            await self._store.commit(writes)

    async def _evict(self, scope: TableScope, report: TableReport) -> None:
        """Drop the clean rows that no rule admits any more."""
        rules = ColumnRef(RULES_FIELD.name, Kind.INTEGER)
        pending = ColumnRef(PENDING_FIELD.name, Kind.BOOLEAN)
        out = (
            Compare(Comparison.NE, rules, Literal(scope.mask))
            if scope.rule.match == "all"
            else Compare(Comparison.EQ, rules, Literal(0))
        )
        clean = Compare(Comparison.EQ, pending, Literal(False))
        async for ids in self._chunks(scope.name, And((out, clean))):
            async with self._store.lock:
                states = await self._store.rows(scope.schema, ids)
                leaving = [i for i, s in states.items() if not s.dirty]
                writes = Writes()
                writes.delete(scope.name, *leaving)
                await self._engine.links_due([scope.name], writes)
                await self._store.commit(writes)
            report.removed += len(leaving)


async def _each(ids: Iterable[str]) -> AsyncGenerator[str]:
    for row_id in ids:
        yield row_id


def _known(state: RowState) -> bool:
    return state.local is not None or state.dirty
