"""Who belongs to a table: rules met by each row, rows that left unseen, rows that others point to.

Invariant: what reading everything did not bring is asked for by id before it is noted as gone. An
empty or shrunken answer is a question, not an order to delete; :mod:`holdfast._removal` deletes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace

from holdfast._engine import Engine
from holdfast._listing import Listing
from holdfast._plan import rows
from holdfast._plan.membership import difference
from holdfast._plan.rows import RowState, image_of
from holdfast._quarantine import Fetched, Quarantine
from holdfast._removal import CHUNK, chunks
from holdfast._scopes import Link, TableScope
from holdfast._store import Writes
from holdfast._tables import GENERATION_FIELD, ScopeState
from holdfast.contracts import Order, Query
from holdfast.filters import ColumnRef, Compare, Comparison, In, IsNull, Literal
from holdfast.model import Record
from holdfast.schema import Kind
from holdfast.status import TableReport


class Membership:
    """Sees to it that a table holds the rows that its rules admit, and those with unsettled ops."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store
        self._listing = Listing(engine)
        self._quarantine = Quarantine(engine)
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

    async def sweep(self, scope: TableScope, state: ScopeState) -> None:
        """Ask by id for the rows that reading everything did not bring; note those not there."""
        older = Compare(
            Comparison.LT,
            ColumnRef(GENERATION_FIELD.name, Kind.INTEGER),
            Literal(state.generation),
        )
        async for ids in chunks(self._engine, scope.name, older):
            await self._look_for(scope, state, ids)
        hidden = await self._store.dirty_ids(scope.name)
        await self._sweep_hidden(scope, state, hidden)
        await self._quarantine.forget_unseen(scope, state)

    async def _sweep_hidden(self, scope: TableScope, state: ScopeState, ids: Sequence[str]) -> None:
        """Do the same for rows with unsettled ops that the user has deleted here."""
        known = await self._store.rows(scope.schema, ids)
        unseen = [
            row_id
            for row_id, row in known.items()
            if (row.base or row.remote) and row.generation < state.generation
        ]
        for start in range(0, len(unseen), CHUNK):
            await self._look_for(scope, state, unseen[start : start + CHUNK])

    async def _look_for(self, scope: TableScope, state: ScopeState, ids: Sequence[str]) -> None:
        fetched = await self._quarantine.fetch(scope, ids)
        async with self._store.lock:
            await self._settle_missing(scope, state, ids, fetched)

    async def _settle_missing(
        self, scope: TableScope, state: ScopeState, ids: Sequence[str], fetched: Fetched
    ) -> None:
        """Note what became of rows; one that cannot be told from others stays as it is."""
        writes = Writes()
        found = fetched.records
        rules = dict(zip(found, await self.rules(scope, list(found.values())), strict=True))
        for row_id, before in (await self._store.rows(scope.schema, ids)).items():
            record = found.get(row_id)
            image = None if record is None else image_of(scope.schema, record)
            if row_id in fetched.torn or (record is None and not fetched.whole):
                continue
            if before.dirty:
                if before.base is None and before.remote is None:
                    continue  # made here, not there yet
                after = rows.seen(before, image, state.generation)
            elif image is None:
                after = rows.gone(before, state.generation)
            else:
                after = replace(rows.seen(before, image, state.generation), rules=rules[row_id])
            writes.row(before, after, self._engine.now())
        await self._quarantine.note(scope, state, fetched.torn.values(), writes)
        await self.keep(scope, state, list(fetched.torn), writes)
        await self._engine.links_due([scope.name], writes)
        await self._store.commit(writes)

    async def keep(
        self, scope: TableScope, state: ScopeState, ids: Sequence[str], writes: Writes
    ) -> None:
        """Let rows stay as they are here, since the server has them; call with the lock held."""
        for before in (await self._store.rows(scope.schema, ids)).values():
            if not _here(before):
                continue
            after = rows.torn(before, state.generation)
            judged_anew = before.leaving or state.baseline  # maybe by other rules than before
            if judged_anew and before.local is not None and not before.dirty:
                cells = [before.local.get(f.name) for f in scope.schema.fields]
                after = replace(after, rules=(await self.rules(scope, [cells]))[0])
            writes.row(before, after, self._engine.now())

    async def links(self, scope: TableScope, state: ScopeState, report: TableReport) -> None:
        """Bring what kept rows of other tables point to, and note what they no longer do."""
        for link in scope.links:
            async with aclosing(self._needed(link)) as needed:
                await self._bring(scope, state, link.bit, needed, report)

    async def listed(self, scope: TableScope, state: ScopeState, report: TableReport) -> None:
        """Bring what the server has listed and no page has brought, and note what it has not."""
        if scope.test is None:
            ids = _each(sorted(self._listed.get(scope.name, ())))
            await self._bring(scope, state, scope.filter_bit, ids, report)

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
        """Yield the ids of the rows that have a rule's bit and are not gone, ascending."""
        at = len(scope.schema.fields) + 2  # behind version and generation
        async with aclosing(self._store.query(Query(scope.name))) as records:
            async for record in records:
                found = int(str(record[at] or 0))
                if found > 0 and found & bit:
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
        fetched = Fetched({}, {}, whole=True)
        if missing:
            fetched = await self._quarantine.fetch(scope, missing)
        async with self._store.lock:
            writes = Writes()
            await self._quarantine.settle(scope.name, fetched.records, writes)
            await self._quarantine.note(scope, state, fetched.torn.values(), writes)
            await self.keep(scope, state, list(fetched.torn), writes)
            for row_id, before in (await self._store.rows(scope.schema, ids)).items():
                after = before
                record = fetched.records.get(row_id)
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


async def _each(ids: Iterable[str]) -> AsyncGenerator[str]:
    for row_id in ids:
        yield row_id


def _here(state: RowState) -> bool:
    return state.local is not None or state.dirty


def _known(state: RowState) -> bool:
    """Tell whether a row needs not be fetched; the mark of one that is gone may be out of date."""
    return _here(state) and (state.dirty or not state.leaving)
