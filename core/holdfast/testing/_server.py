"""A server in memory, deliberately naive: what tests and the simulator compare everything with.

Invariant: every effect takes the next number of one hidden sequence; versions are made of it but
say nothing about order, so nobody can get away with comparing them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

from holdfast.contracts import FilterLanguage
from holdfast.errors import CheckpointExpired, TransportError, Unreachable
from holdfast.model import (
    Applied,
    Asking,
    Caller,
    Conflicted,
    NotApplied,
    Op,
    OpKind,
    Outcome,
    Page,
    Record,
    Refused,
    Row,
    Scope,
    Unit,
    Unreadable,
    View,
)
from holdfast.schema import ColumnType, Fill, TableSchema
from holdfast.testing._feed import Changed, Position
from holdfast.testing._matching import Rows, matching
from holdfast.testing._mixing import guid, mix
from holdfast.values import Cell, Change, Reference, from_cells, instant_cell, to_cells, to_change

#: When the server's clock starts.
BEGINNING: Final = datetime(2024, 1, 1, tzinfo=UTC)
#: Who edits when a test does not say.
SOMEBODY: Final = "somebody-else"


class Fate(Enum):
    """What the network does to one request."""

    ANSWERED = "answered"
    REQUEST_LOST = "request lost"  # the server never sees it
    REPLY_LOST = "reply lost"  # the server does it, and nobody hears


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that happened to a row; ``before`` and ``after`` are its versions.

    ``op_id`` is None for an edit made directly on the server.
    """

    sequence: int
    user: str
    op_id: str | None
    kind: OpKind
    table: str
    row_id: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class _Stored:
    """One row: all cells by field, and the place of its last change in the sequence."""

    cells: Mapping[str, Cell]
    version: str
    sequence: int


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows of a table, and the sequence number at which each missing one went."""

    schema: TableSchema
    rows: dict[str, _Stored] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Author:
    """Who does something, and as which op."""

    user: str
    op_id: str | None = None


class _Verdict(Enum):
    DO = "do"
    DONE = "done"  # it was done by an earlier attempt whose reply was lost
    CONFLICT = "conflict"


class MemoryServer:
    """Rows of some tables, edited by several users, behind a network that can fail.

    ``unreachable`` refuses every connection; ``failing`` makes the error that every request gets.
    A simulator overrides :meth:`travel` for delays and :meth:`fate` for losses.
    """

    def __init__(
        self,
        tables: Iterable[TableSchema] = (),
        *,
        page_size: int = 100,
        organization: str = "memory",
    ) -> None:
        self.page_size = page_size
        self.organization = organization
        self.unreachable = False
        self.failing: Callable[[], TransportError] | None = None
        self.effects: list[Effect] = []
        #: What the server takes for now where a filter is relative to it.
        self.now = BEGINNING
        #: What it says of users besides their ids.
        self.callers: dict[str, Caller] = {}
        self.views: list[View] = []
        #: Rows that make no sense, by id, and what a transport makes of each.
        self.garbled: dict[str, Unreadable] = {}
        self._tables = {schema.name: _Table(schema) for schema in tables}
        self._sequence = 0
        self._epoch = 0
        self._refusals: dict[str, tuple[str, str]] = {}
        self._lost: dict[Fate, int] = {Fate.REQUEST_LOST: 0, Fate.REPLY_LOST: 0}

    # What other users do, and what a test looks at.

    def create(
        self,
        table: str,
        values: Mapping[str, object],
        *,
        row_id: str | None = None,
        user: str = SOMEBODY,
    ) -> str:
        """Create a row with these values, as applications write them, and return its id."""
        chosen = row_id or guid(mix(self._sequence + 1), mix(~self._sequence))
        if chosen in self._tables[table].rows:
            raise KeyError(chosen)
        self._store(table, chosen, self._changes(table, values), _Author(user))
        return chosen

    def update(
        self, table: str, row_id: str, values: Mapping[str, object], *, user: str = SOMEBODY
    ) -> None:
        """Change some columns of a row, whatever its version.

        :raises KeyError: there is no such row
        """
        if row_id not in self._tables[table].rows:
            raise KeyError(row_id)
        self._store(table, row_id, self._changes(table, values), _Author(user))

    def delete(self, table: str, row_id: str, *, user: str = SOMEBODY) -> None:
        """Delete a row, whatever its version.

        :raises KeyError: there is no such row
        """
        self._remove(table, row_id, _Author(user))

    def get(self, table: str, row_id: str) -> Row | None:
        """Return a row as people see it."""
        stored = self._tables[table].rows.get(row_id)
        schema = self._tables[table].schema
        return None if stored is None else Row(schema, stored.cells, version=stored.version)

    def rows(self, table: str) -> dict[str, Row]:
        """Return all rows of a table by id."""
        return {i: row for i in sorted(self._tables[table].rows) if (row := self.get(table, i))}

    # What a test makes it do.

    def refuse(
        self, row_id: str, code: str = "refused", message: str = "a rule forbids it"
    ) -> None:
        """Refuse every pushed change of this row."""
        self._refusals[row_id] = (code, message)

    def accept(self, row_id: str) -> None:
        """Forget what :meth:`refuse` said about this row."""
        self._refusals.pop(row_id, None)

    def expire_checkpoints(self) -> None:
        """Make every checkpoint handed out so far void."""
        self._epoch += 1

    def lose_reply(self, count: int = 1) -> None:
        """Do what the next requests say and lose the replies."""
        self._lost[Fate.REPLY_LOST] += count

    def lose_request(self, count: int = 1) -> None:
        """Lose the next requests before they arrive."""
        self._lost[Fate.REQUEST_LOST] += count

    # The network.

    async def travel(self, request: str) -> None:  # noqa: ARG002  a simulator's delay depends on it
        """Take the time that ``request``, or its reply, needs on its way."""
        await asyncio.sleep(0)

    def fate(self, request: str) -> Fate:  # noqa: ARG002  a simulator's choice depends on it
        """Decide what becomes of one request."""
        for fate, count in self._lost.items():
            if count:
                self._lost[fate] = count - 1
                return fate
        return Fate.ANSWERED

    def admit(self) -> None:
        """Raise what a request meets before it leaves, if anything is wrong."""
        if self.unreachable:
            raise Unreachable("the connection was refused; nothing was sent, try again later")
        if self.failing is not None:
            raise self.failing()

    # What a transport asks for.

    def schemas(self, tables: Sequence[str]) -> list[TableSchema]:
        """Return the schemas of those tables that there are."""
        return [self._tables[name].schema for name in tables if name in self._tables]

    def caller(self, user: str) -> Caller:
        """Return what is known of a user."""
        return self.callers.get(user) or Caller(self.organization, user)

    def matching(
        self, table: str, condition: str, language: FilterLanguage, user: str
    ) -> list[str]:
        """Return the ids of the rows that match a filter, ascending."""
        schemas = {name: home.schema for name, home in self._tables.items()}
        records: dict[str, list[Record]] = {
            name: [
                tuple(s.cells.get(f.name) for f in home.schema.fields) for s in home.rows.values()
            ]
            for name, home in self._tables.items()
        }
        asking = Asking(self.now, self.caller(user))
        return matching(Rows(schemas, records), table, condition, language, asking)

    def ids(self, table: str) -> list[str]:
        """Return the ids of all rows, ascending."""
        return sorted(self._tables[table].rows)

    def records(self, scope: Scope, ids: Iterable[str]) -> list[Record | Unreadable]:
        """Return the records of those rows that there are."""
        rows = self._tables[scope.table].rows
        return [
            self.garbled.get(row_id) or self._record(scope, rows[row_id])
            for row_id in ids
            if row_id in rows
        ]

    def page(self, scope: Scope, checkpoint: str | None) -> Page:
        """Return the next page: by id for a first pull, else changed rows and then tombstones.

        :raises CheckpointExpired: the checkpoint is void
        """
        position = self._position(scope.table, checkpoint)
        if position.first:
            return self._first_page(scope, position)
        return self._delta_page(scope, position)

    def apply(self, unit: Unit, scopes: Mapping[str, Scope], user: str) -> list[Outcome]:
        """Do the ops of a unit, all or none, and return one outcome each."""
        if len(unit.ops) == 1:
            return [self._apply(unit.ops[0], scopes, user)]
        restore = self._savepoint()
        outcomes = [self._apply(op, scopes, user) for op in unit.ops]
        if all(isinstance(outcome, Applied) for outcome in outcomes):
            return outcomes
        restore()
        return [
            NotApplied(outcome.op_id, "another op of its unit was not applied")
            if isinstance(outcome, Applied)
            else outcome
            for outcome in outcomes
        ]

    # Inside.

    def _changes(self, table: str, values: Mapping[str, object]) -> dict[str, Change]:
        by_name = self._tables[table].schema.by_name
        return {name: to_change(by_name[name], value) for name, value in values.items()}

    def _store(
        self, table: str, row_id: str, changes: Mapping[str, Change], author: _Author
    ) -> None:
        home = self._tables[table]
        before = home.rows.get(row_id)
        cells = dict(before.cells) if before else dict.fromkeys(f.name for f in home.schema.fields)
        given = changes if before else {**self._filled(home.schema, author), **changes}
        for name, change in given.items():
            column = home.schema.by_name[name]
            names = (f.name for f in column.fields)
            cells.update(zip(names, to_cells(column, change), strict=True))
        cells[home.schema.primary_id] = row_id
        kind = OpKind.UPDATE if before else OpKind.CREATE
        after = self._happened(kind, table, row_id, before, author)
        home.rows[row_id] = _Stored(cells, str(after.after), after.sequence)
        home.gone.pop(row_id, None)

    def _filled(self, schema: TableSchema, author: _Author) -> dict[str, Change]:
        """Return what a new row gets by itself; the server's clock ticks once for each effect."""
        now = instant_cell(BEGINNING + timedelta(seconds=self._sequence + 1))
        filled: dict[str, Change] = {}
        for column in schema.columns:
            if column.default is not None:
                filled[column.name] = column.default
            elif column.fill is Fill.NOW:
                filled[column.name] = now
            elif column.fill is Fill.CALLER:
                filled[column.name] = Reference("systemuser", author.user)
        return filled

    def _remove(self, table: str, row_id: str, author: _Author) -> None:
        home = self._tables[table]
        before = home.rows.pop(row_id)
        after = self._happened(OpKind.DELETE, table, row_id, before, author)
        home.gone[row_id] = after.sequence

    def _happened(
        self, kind: OpKind, table: str, row_id: str, before: _Stored | None, author: _Author
    ) -> Effect:
        self._sequence += 1
        version = None if kind is OpKind.DELETE else f'W/"{mix(self._sequence):016x}"'
        known = before.version if before else None
        effect = Effect(
            self._sequence, author.user, author.op_id, kind, table, row_id, known, version
        )
        self.effects.append(effect)
        return effect

    def _record(self, scope: Scope, stored: _Stored) -> Record:
        cells = dict(stored.cells)
        for name in scope.names:
            column = scope.schema.by_name[name]
            if column.type is ColumnType.LOOKUP and column.name_field:
                cells[column.name_field] = self._name(from_cells(column, cells))
        return (*(cells.get(f.name) for f in scope.fields), stored.version)

    def _name(self, reference: Change) -> Cell:
        home = self._tables.get(getattr(reference, "table", ""))
        row = home.rows.get(getattr(reference, "id", "")) if home else None
        if home is None or row is None or home.schema.primary_name is None:
            return None
        return row.cells[home.schema.primary_name]

    def _position(self, table: str, checkpoint: str | None) -> Position:
        if checkpoint is None:
            return Position(first=True, since=0, until=self._sequence, after="")
        epoch, _, rest = checkpoint.partition("|")
        owner, _, text = rest.partition("|")
        if (epoch, owner) != (str(self._epoch), table):
            raise CheckpointExpired("the server has forgotten this checkpoint; read the scope anew")
        position = Position.parse(text)
        return replace(position, until=self._sequence) if position.until < 0 else position

    def _checkpoint(self, table: str, position: Position) -> str:
        return f"{self._epoch}|{table}|{position.text}"

    def _first_page(self, scope: Scope, position: Position) -> Page:
        waiting = [row_id for row_id in self.ids(scope.table) if row_id > position.after]
        taken = waiting[: self.page_size]
        last = len(taken) == len(waiting)
        follows = (
            Position(first=False, since=position.until, until=-1, after="")
            if last
            else replace(position, after=taken[-1])
        )
        checkpoint = self._checkpoint(scope.table, follows)
        return self._page(scope, taken, (), checkpoint, last=last)

    def _delta_page(self, scope: Scope, position: Position) -> Page:
        waiting = [
            change
            for change in self._changed(scope.table, position)
            if change.marker > position.after
        ]
        taken = waiting[: self.page_size]
        last = len(taken) == len(waiting)
        follows = (
            Position(first=False, since=position.until, until=-1, after="")
            if last
            else replace(position, after=taken[-1].marker)
        )
        return self._page(
            scope,
            [change.row_id for change in taken if not change.gone],
            tuple(change.row_id for change in taken if change.gone),
            self._checkpoint(scope.table, follows),
            last=last,
        )

    def _page(
        self, scope: Scope, ids: Iterable[str], gone: Sequence[str], checkpoint: str, *, last: bool
    ) -> Page:
        found = self.records(scope, ids)
        torn = [row for row in found if isinstance(row, Unreadable)]
        records = [row for row in found if not isinstance(row, Unreadable)]
        return Page(records, gone, checkpoint, last, torn)

    def _changed(self, table: str, position: Position) -> Iterator[Changed]:
        home = self._tables[table]
        rows = {row_id: stored.sequence for row_id, stored in home.rows.items()}
        for gone, places in ((False, rows), (True, home.gone)):
            for row_id, sequence in sorted(places.items(), key=lambda item: item[1]):
                if position.since < sequence <= position.until:
                    yield Changed(row_id, sequence, gone)

    def _apply(self, op: Op, scopes: Mapping[str, Scope], user: str) -> Outcome:
        refusal = self._refusal(op)
        if refusal is not None:
            return refusal
        home, scope = self._tables[op.table], scopes[op.table]
        verdict = _judge(op, home.rows.get(op.row_id), home.schema)
        if verdict is _Verdict.DO:
            self.garbled.pop(op.row_id, None)  # what is written anew makes sense again
        if verdict is _Verdict.DO and op.kind is OpKind.DELETE:
            self._remove(op.table, op.row_id, _Author(user, op.id))
        elif verdict is _Verdict.DO:
            self._store(op.table, op.row_id, op.changes, _Author(user, op.id))
        record = next(iter(self.records(scope, [op.row_id])), None)
        if isinstance(record, Unreadable):
            return NotApplied(op.id, "the server's row cannot be understood")
        outcome = Conflicted if verdict is _Verdict.CONFLICT else Applied
        return outcome(op.id, record)

    def _refusal(self, op: Op) -> Refused | None:
        if op.table not in self._tables:
            return Refused(op.id, "no-table", f"there is no table {op.table!r}")
        if op.row_id in self._refusals:
            return Refused(op.id, *self._refusals[op.row_id])
        schema = self._tables[op.table].schema
        if schema.intersect:
            return Refused(op.id, "pairs", f"rows of {op.table} are made by joining others")
        for name, change in op.changes.items():
            column = schema.column(name)
            if column is None:
                return Refused(op.id, "no-column", f"{op.table} has no column {name!r}")
            limit = column.max_length
            if limit is not None and isinstance(change, str) and len(change) > limit:
                return Refused(op.id, "too-long", f"{name} takes {limit} characters")
        return None

    def _savepoint(self) -> Callable[[], None]:
        """Copy everything, naively; the sequence goes on, as it would after a rollback."""
        tables = {n: (dict(home.rows), dict(home.gone)) for n, home in self._tables.items()}
        effects = len(self.effects)

        def restore() -> None:
            for name, (rows, gone) in tables.items():
                self._tables[name] = _Table(self._tables[name].schema, rows, gone)
            del self.effects[effects:]

        return restore


def _judge(op: Op, row: _Stored | None, schema: TableSchema) -> _Verdict:
    match op.kind:
        case OpKind.CREATE if row is None:
            return _Verdict.DO
        case OpKind.DELETE if row is None:
            return _Verdict.DONE
        case _ if row is None:
            return _Verdict.CONFLICT
        case OpKind.UPDATE | OpKind.DELETE if row.version == op.version:
            return _Verdict.DO
        case OpKind.CREATE | OpKind.UPDATE if op.attempts > 1 and _holds(op, row, schema):
            return _Verdict.DONE
        case _:
            return _Verdict.CONFLICT


def _holds(op: Op, row: _Stored, schema: TableSchema) -> bool:
    """Tell whether the row already has what the op writes: then our own reply was lost."""
    return all(
        from_cells(schema.by_name[name], row.cells) == change for name, change in op.changes.items()
    )
