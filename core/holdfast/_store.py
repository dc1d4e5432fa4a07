"""Typed access to a replica's storage: rows as :class:`RowState`, system tables as values.

Invariant: whoever reads a row, plans on it and writes the plan holds ``lock`` all the while; there
is one owner process, so nothing moves in between.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import TypeAdapter

from holdfast import _query
from holdfast._plan.quarantine import Quarantined
from holdfast._plan.rows import RowState
from holdfast._tables import (
    FORMAT,
    HISTORY,
    ISSUES,
    LEDGER,
    LOGS,
    META,
    NUMBER_FIELD,
    OUTBOX,
    QUARANTINE,
    SCHEMAS,
    SCOPES,
    SEQUENCE_FIELD,
    SHADOWS,
    SYSTEM_LAYOUTS,
    HistoryState,
    Image,
    IssueState,
    ScopeState,
    op_from_record,
    op_record,
    row_key,
    row_layout,
)
from holdfast.contracts import Change, Delete, Layout, Order, Put, Query, Storage
from holdfast.filters import (
    EVERYTHING,
    And,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    In,
    Literal,
)
from holdfast.model import Op, Record
from holdfast.schema import Field, Kind, TableSchema
from holdfast.status import IssueKind
from holdfast.values import Cell

_SCHEMA: Final = TypeAdapter(TableSchema)
_CHUNK: Final = 500
_SYSTEM: Final = {layout.table: layout for layout in SYSTEM_LAYOUTS}


def equals(name: str, cell: Cell, kind: Kind = Kind.KEY) -> Expression:
    """Return the condition that a field holds a cell."""
    return Compare(Comparison.EQ, ColumnRef(name, kind), Literal(cell))


class Writes:
    """Changes gathered for one commit, grouped by table."""

    def __init__(self) -> None:
        #: Records for the logs, in order; the commit numbers them.
        self.appended: list[tuple[str, Sequence[Cell]]] = []
        self._puts: dict[str, list[Sequence[Cell]]] = defaultdict(list)
        self._deletes: dict[str, list[str | int]] = defaultdict(list)

    def put(self, table: str, *records: Sequence[Cell]) -> None:
        """Insert or replace records."""
        self._puts[table].extend(records)

    def append(self, log: str, record: Sequence[Cell]) -> None:
        """Add a record, but for its number, to the end of a log."""
        self.appended.append((log, record))

    def delete(self, table: str, *keys: str | int) -> None:
        """Delete records by key."""
        self._deletes[table].extend(keys)

    def row(self, before: RowState, after: RowState, now: str) -> None:
        """Write the difference of two states of one row."""
        self._row_itself(before, after)
        self._shadow(before, after)
        known = {op.id: op for op in before.ops}
        for op in after.ops:
            if known.get(op.id) != op:
                self.put(OUTBOX, op_record(op))
        for op, place in after.settled:
            self.delete(OUTBOX, op.sequence)
            self.append(LEDGER, (op.id, place.value, op.table, op.row_id, now))

    def _row_itself(self, before: RowState, after: RowState) -> None:
        if after.local is None:
            if before.local is not None:
                self.delete(after.table, after.row_id)
            return
        version = after.base.version if after.base else None
        own = [after.local.get(f.name) for f in after.schema.fields]
        self.put(after.table, (*own, version, after.generation, after.rules, after.dirty))

    def _shadow(self, before: RowState, after: RowState) -> None:
        key = row_key(after.table, after.row_id)
        if after.dirty:
            base = after.base.to_json() if after.base else None
            remote = after.remote.to_json() if after.remote and after.moved else None
            known = (base, remote, after.moved, after.generation)  # not moved: remote is the base
            self.put(SHADOWS, (key, after.table, after.row_id, *known))
        elif before.dirty:
            self.delete(SHADOWS, key)

    def changes(self) -> list[Change]:
        """Return the list that a storage takes."""
        deletes = [Delete(table, keys) for table, keys in self._deletes.items() if keys]
        puts = [Put(table, records) for table, records in self._puts.items() if records]
        return [*deletes, *puts]


class Store:
    """A storage, and the schemas that its rows are read with."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.lock = asyncio.Lock()
        #: What the rows of each table are stored with.
        self.schemas: dict[str, TableSchema] = {}
        #: What the server said of each table of the profile, all its columns.
        self.described: dict[str, TableSchema] = {}
        #: Whether the tables are laid out by other schemas than those that are stored.
        self._unnoted = False
        #: The last number given out in a table, once that was asked for.
        self._last: dict[str, int] = {}
        #: The tables of the profile as they were last laid out.
        self._layouts: dict[str, Layout] = {}

    async def commit(self, writes: Writes) -> None:
        """Write all of it in one durable commit; call with the lock held.

        Schemas that could not be noted come along: an op must never be stored without the schema
        that it is read with.
        """
        if self._unnoted:
            await self._note_schemas(writes)
        for log, record in writes.appended:
            writes.put(log, (*record, await self._next(log, NUMBER_FIELD)))
        changes = writes.changes()
        if changes:
            await self.storage.write(changes)
        self._unnoted = False

    def query(self, query: Query) -> AsyncGenerator[Record]:
        """Yield the records that match; what the storage does not run is done here."""
        return _query.run(self.storage, query, self.positions(query.table))

    async def count(self, table: str, where: Expression = EVERYTHING) -> int:
        """Return how many records match."""
        return await _query.count(self.storage, table, where, self.positions(table))

    def keeps(self, table: str) -> bool:
        """Tell whether rows of a table are stored here."""
        return table in _SYSTEM or table in self.schemas

    def positions(self, table: str) -> Mapping[str, int]:
        """Return where each field stands in the stored records of a table."""
        layout = _SYSTEM.get(table) or row_layout(self.schemas[table])
        return {f.name: index for index, f in enumerate(layout.fields)}

    async def next_sequence(self) -> int:
        """Return the next op's place in the outbox; call with the lock held."""
        return await self._next(OUTBOX, SEQUENCE_FIELD)

    async def _next(self, table: str, field: Field) -> int:
        self._last[table] = await self._greatest(table, field) + 1
        return self._last[table]

    async def _greatest(self, table: str, field: Field) -> int:
        """Return the greatest number in a table; 0 where there is none."""
        known = self._last.get(table, 0)
        if known:
            return known
        at = self.positions(table)[field.name]
        greatest = Query(table, order=(Order(field, descending=True),), limit=1)
        numbers = [int(str(record[at] or 0)) async for record in self.query(greatest)]
        return max(numbers, default=0)

    async def trim(self) -> None:
        """Let the oldest records of the logs go, in one commit; :data:`LOGS` says how many stay.

        The oldest are those with the smallest numbers, whatever any clock said.
        """
        async with self.lock:
            writes = Writes()
            for log, kept in LOGS.items():
                last = await self._greatest(log, NUMBER_FIELD)
                number = ColumnRef(NUMBER_FIELD.name, NUMBER_FIELD.kind)
                old = Query(log, Compare(Comparison.LE, number, Literal(last - kept)))
                writes.delete(log, *[str(record[0]) async for record in self.query(old)])
            await self.commit(writes)

    async def meta(self) -> dict[str, str]:
        """Return what is noted about the replica."""
        return {str(r[0]): str(r[1]) async for r in self.query(Query(META))}

    async def load_schemas(self) -> None:
        """Read the schemas that rows are stored with, and those that the server described."""
        async for table, kept, described in self.query(Query(SCHEMAS)):
            self.schemas[str(table)] = _SCHEMA.validate_json(str(kept))
            if described is not None:
                self.described[str(table)] = _SCHEMA.validate_json(str(described))

    async def bring_forward(self) -> None:
        """Make the system tables of an older replica those of this version, in one commit.

        The rows stay as they are; their indexes come with the next :meth:`lay_out`.
        """
        await self.load_schemas()
        layouts = [row_layout(schema) for schema in self.schemas.values()]
        await self.storage.migrate([*SYSTEM_LAYOUTS, *layouts], version=FORMAT)

    async def lay_out(
        self,
        kept: Mapping[str, TableSchema],
        described: Mapping[str, TableSchema],
        indexes: Mapping[str, Sequence[str]],
    ) -> None:
        """Make the stored tables those of ``kept``; call with the lock held.

        Tables that were never read to the end are still being filled.
        :meth:`note_schemas` comes second; if it fails, the next commit does it. A crash between the
        two is healed when the replica is opened: the layouts are then made those of the schemas
        that are noted.
        """
        states = await self.scope_states()
        full = {name for name, state in states.items() if state.complete}
        self._layouts = {
            name: row_layout(schema, indexes.get(name, ()), filling=name not in full)
            for name, schema in kept.items()
        }
        await self._migrate()
        self.schemas = dict(kept)
        self.described = dict(described)
        self._unnoted = True

    async def filled(self, table: str) -> None:
        """Note that a table has been read to the end: its indexes are due; hold the lock.

        A crash behind it leaves indexes of a table that counts as filling, which is no harm.
        """
        self._layouts[table] = replace(self._layouts[table], filling=False)
        await self._migrate()

    async def _migrate(self) -> None:
        layouts = (*SYSTEM_LAYOUTS, *self._layouts.values())
        await self.storage.migrate(layouts, version=FORMAT)

    async def note_schemas(self) -> None:
        """Store what the tables are laid out by; call with the lock held."""
        writes = Writes()
        await self._note_schemas(writes)
        self._unnoted = False
        try:
            await self.commit(writes)
        except BaseException:
            self._unnoted = True
            raise

    async def _note_schemas(self, writes: Writes) -> None:
        for name, schema in self.schemas.items():
            server = self.described.get(name)
            texts = (None if s is None else _SCHEMA.dump_json(s).decode() for s in (schema, server))
            writes.put(SCHEMAS, (name, *texts))
        for table in (SCHEMAS, SCOPES):
            known = [str(record[0]) async for record in self.query(Query(table))]
            writes.delete(table, *(name for name in known if name not in self.schemas))
        for table, at in ((ISSUES, 2), (QUARANTINE, 1)):  # of tables that are gone with their rows
            query = self.query(Query(table))
            writes.delete(
                table, *[str(r[0]) async for r in query if str(r[at]) not in self.schemas]
            )

    async def rows(self, schema: TableSchema, ids: Sequence[str]) -> dict[str, RowState]:
        """Return the states of these rows; one that is not known at all is a blank state."""
        keys = [row_key(schema.name, row_id) for row_id in ids]
        stored = {str(r[0]): r for r in await self.storage.read(schema.name, ids)}
        shadows = {str(r[0]): r for r in await self.storage.read(SHADOWS, keys)}
        ops = await self._ops_of(list(shadows)) if shadows else {}
        return {
            row_id: self._state(schema, row_id, stored.get(row_id), shadows.get(key), ops.get(key))
            for row_id, key in zip(ids, keys, strict=True)
        }

    async def states(self, ops: Sequence[Op]) -> dict[str, RowState]:
        """Return the states of the rows of these ops, by row key."""
        by_table: dict[str, dict[str, None]] = defaultdict(dict)  # ids in order, each once
        for op in ops:
            by_table[op.table][op.row_id] = None
        states: dict[str, RowState] = {}
        for table, ids in by_table.items():
            found = await self.rows(self.schemas[table], list(ids))
            states.update({row_key(table, row_id): state for row_id, state in found.items()})
        return states

    async def row(self, schema: TableSchema, row_id: str) -> RowState:
        """Return the state of one row."""
        return (await self.rows(schema, [row_id]))[row_id]

    def _state(
        self,
        schema: TableSchema,
        row_id: str,
        record: Sequence[Cell] | None,
        shadow: Sequence[Any] | None,  # Any: typed by the layout
        ops: list[Op] | None,
    ) -> RowState:
        local: dict[str, Cell] | None = None
        generation = rules = 0
        version: str | None = None
        if record is not None:
            names = [f.name for f in schema.fields]
            local = dict(zip(names, record, strict=False))
            tail: Sequence[Any] = record[len(names) :]  # Any: typed by the layout
            version, generation, rules = tail[0], tail[1] or 0, tail[2] or 0
        if shadow is None:
            image = None if local is None else Image(local, version)
            return RowState(schema, row_id, local, image, image, generation=generation, rules=rules)
        moved = bool(shadow[5])
        base = Image.from_json(shadow[3], schema)
        return RowState(
            schema,
            row_id,
            local,
            base,
            Image.from_json(shadow[4], schema) if moved else base,
            moved=moved,
            ops=tuple(ops or ()),
            generation=shadow[6],
            rules=rules,
        )

    async def _ops_of(self, keys: Sequence[str]) -> dict[str, list[Op]]:
        found: dict[str, list[Op]] = defaultdict(list)
        for start in range(0, len(keys), _CHUNK):
            among = In(ColumnRef("row", Kind.KEY), tuple(keys[start : start + _CHUNK]))
            async for record in self.query(Query(OUTBOX, among)):
                found[str(record[5])].append(self._op(record))
        return found

    def _op(self, record: Sequence[Cell]) -> Op:
        return op_from_record(record, self.schemas[str(record[3])])

    async def outbox(self) -> list[Op]:
        """Return all unsettled ops, in order."""
        return [self._op(record) async for record in self.query(Query(OUTBOX))]

    async def dirty_ids(self, table: str) -> list[str]:
        """Return the ids of the rows of a table that have unsettled ops."""
        query = Query(SHADOWS, equals("table_name", table))
        return [str(record[2]) async for record in self.query(query)]

    async def scope_states(self) -> dict[str, ScopeState]:
        """Return how far each table has come."""
        return {
            str(record[0]): ScopeState.from_record(record)
            async for record in self.query(Query(SCOPES))
        }

    async def scope_state(self, table: str) -> ScopeState:
        """Return how far one table has come."""
        for record in await self.storage.read(SCOPES, [table]):
            return ScopeState.from_record(record)
        return ScopeState(table)

    async def issues(self) -> list[IssueState]:
        """Return the open issues, oldest first."""
        return [IssueState.from_record(r) async for r in self.query(Query(ISSUES))]

    async def issue(self, issue_id: str) -> IssueState | None:
        """Return one open issue."""
        for record in await self.storage.read(ISSUES, [issue_id]):
            return IssueState.from_record(record)
        return None

    async def issues_of(self, table: str, row_id: str) -> list[IssueState]:
        """Return the open issues of one row."""
        query = Query(ISSUES, equals("row", row_key(table, row_id)))
        return [IssueState.from_record(r) async for r in self.query(query)]

    async def issues_about(self, table: str, kind: IssueKind) -> list[IssueState]:
        """Return the open issues of one kind about a table."""
        query = Query(ISSUES, And((equals("table_name", table), equals("kind", kind.value))))
        return [IssueState.from_record(r) async for r in self.query(query)]

    async def quarantine(self, table: str, limit: int | None = None) -> list[Quarantined]:
        """Return rows of a table that came and make no sense."""
        query = Query(QUARANTINE, equals("table_name", table), limit=limit)
        return [Quarantined.from_record(r) async for r in self.query(query)]

    async def history(self, limit: int) -> list[HistoryState]:
        """Return settled conflicts of the tables that are kept, newest first."""
        kept = In(ColumnRef("table_name", Kind.KEY), tuple(self.schemas))
        newest = Order(NUMBER_FIELD, descending=True)
        query = Query(HISTORY, kept, (newest,), limit)
        return [
            HistoryState.from_record(record, self.schemas[str(record[1])])
            async for record in self.query(query)
        ]

    async def history_entry(self, entry_id: str) -> HistoryState | None:
        """Return one entry."""
        for record in await self.storage.read(HISTORY, [entry_id]):
            if record[1] in self.schemas:
                return HistoryState.from_record(record, self.schemas[str(record[1])])
        return None
