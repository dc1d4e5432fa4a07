"""The system tables of a replica: their layouts, and their records as values.

Invariant: an unsettled op stands in the outbox, a settled one in the ledger, never in both. A row
with unsettled ops has a shadow, another has none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from holdfast.contracts import Layout
from holdfast.model import Op, OpKind, OpState
from holdfast.schema import HIDDEN_PREFIX, ColumnType, Field, Kind, TableSchema
from holdfast.status import Cause, Extent, IssueKind, Winner
from holdfast.values import Cell, Change, Reference

#: The number of this set of layouts; a replica with a greater one is refused.
FORMAT: Final = 2

META: Final = "_holdfast_meta"
SCHEMAS: Final = "_holdfast_schemas"
OUTBOX: Final = "_holdfast_outbox"
SHADOWS: Final = "_holdfast_shadows"
SCOPES: Final = "_holdfast_scopes"
ISSUES: Final = "_holdfast_issues"
QUARANTINE: Final = "_holdfast_quarantine"
HISTORY: Final = "_holdfast_history"
LEDGER: Final = "_holdfast_ledger"

#: How many records of each log are kept: the newest, by a number that each gets when committed.
LOGS: Final = {LEDGER: 10_000, HISTORY: 1_000}

SEQUENCE_FIELD: Final = Field("sequence", Kind.INTEGER)
NUMBER_FIELD: Final = Field("number", Kind.INTEGER)
VERSION_FIELD: Final = Field(f"{HIDDEN_PREFIX}version", Kind.KEY)
GENERATION_FIELD: Final = Field(f"{HIDDEN_PREFIX}generation", Kind.INTEGER)
RULES_FIELD: Final = Field(f"{HIDDEN_PREFIX}rules", Kind.INTEGER)
PENDING_FIELD: Final = Field(f"{HIDDEN_PREFIX}pending", Kind.BOOLEAN)
#: The rules of a row that the server no longer has, noted until it may go. No rule admits it:
#: setting or clearing the bit of a rule leaves a negative number negative.
GONE: Final = -1
#: What stands behind a row's own fields.
ROW_FIELDS: Final = (VERSION_FIELD, GENERATION_FIELD, RULES_FIELD, PENDING_FIELD)


def row_layout(
    schema: TableSchema, indexes: Sequence[str] = (), *, filling: bool = False
) -> Layout:
    """Return the layout of a table's rows."""
    return Layout(schema.name, (*schema.fields, *ROW_FIELDS), tuple(indexes), filling)


def row_key(table: str, row_id: str) -> str:
    """Return the key under which system tables know a row."""
    return f"{table}/{row_id}"


def _key(name: str) -> Field:
    return Field(name, Kind.KEY)


def _number(name: str) -> Field:
    return Field(name, Kind.INTEGER)


def _flag(name: str) -> Field:
    return Field(name, Kind.BOOLEAN)


SYSTEM_LAYOUTS: Final = (
    Layout(META, (_key("name"), _key("value"))),
    Layout(SCHEMAS, (_key("table_name"), _key("kept"), _key("described"))),
    Layout(
        OUTBOX,
        (
            SEQUENCE_FIELD,
            _key("id"),
            _key("kind"),
            _key("table_name"),
            _key("row_id"),
            _key("row"),
            _key("changes"),
            _key("version"),
            _key("state"),
            _number("attempts"),
            _key("created"),
            _flag("allowed"),
        ),
        indexes=("row",),
    ),
    Layout(
        SHADOWS,
        (
            _key("row"),
            _key("table_name"),
            _key("row_id"),
            _key("base"),
            _key("remote"),
            _flag("moved"),
            _number("generation"),
        ),
        indexes=("table_name",),
    ),
    Layout(
        SCOPES,
        (
            _key("table_name"),
            _key("fingerprint"),
            _key("checkpoint"),
            _number("generation"),
            _flag("complete"),
            _flag("baseline"),
            _flag("membership_due"),
            _number("received"),
            _number("expected"),
            _key("last_sync"),
            _key("problem"),
            _flag("leaving"),
            _key("chosen"),
            _number("rows"),
        ),
    ),
    Layout(
        ISSUES,
        (
            _key("id"),
            _key("kind"),
            _key("table_name"),
            _key("row_id"),
            _key("row"),
            _key("ops"),
            _key("code"),
            _key("message"),
            _key("raised"),
            _key("extent"),
            _key("subject"),
        ),
        indexes=("row",),
    ),
    Layout(
        QUARANTINE,
        (
            _key("key"),
            _key("table_name"),
            _key("row_id"),
            _key("reason"),
            _key("payload"),
            _key("seen"),
            _number("generation"),
            _flag("due"),
        ),
        indexes=("table_name",),
    ),
    Layout(
        HISTORY,
        (
            _key("id"),
            _key("table_name"),
            _key("row_id"),
            _key("winner"),
            _key("policy"),
            _key("base"),
            _key("mine"),
            _key("theirs"),
            _key("changed"),
            _key("settled"),
            NUMBER_FIELD,
        ),
        indexes=(NUMBER_FIELD.name,),
    ),
    Layout(
        LEDGER,
        (
            _key("op_id"),
            _key("place"),
            _key("table_name"),
            _key("row_id"),
            _key("settled"),
            NUMBER_FIELD,
        ),
        indexes=(NUMBER_FIELD.name,),
    ),
)


class Place(Enum):
    """Where a settled op ended."""

    APPLIED = "applied"
    MERGED = "merged"  # carried by another op of its row
    VOID = "void"  # of a row that was made and deleted before anybody else heard of it
    LOST = "lost"  # the server's row stood; what was typed is in the history
    DISCARDED = "discarded"  # by the user


@dataclass(frozen=True, slots=True)
class Image:
    """A row as the server had it: cells by field name, and the version."""

    cells: Mapping[str, Cell] = field(repr=False)
    version: str | None

    def to_json(self) -> str:
        """Return the text that is stored."""
        return json.dumps(
            {"cells": _plain(self.cells), "version": self.version}, ensure_ascii=False
        )

    @staticmethod
    def from_json(text: str | None, schema: TableSchema) -> Image | None:
        """Read what :meth:`to_json` wrote; a field that is gone is left out."""
        if text is None:
            return None
        data = json.loads(text)
        stored = data["cells"]
        cells: dict[str, Cell] = {name: stored.get(name) for name in schema.positions}
        for name in schema.decimals:
            cells[name] = _cell(stored.get(name), decimal=True)
        return Image(cells, data["version"])


def _plain(cells: Mapping[str, Cell]) -> dict[str, Any]:  # Any: JSON
    return {k: str(v) if isinstance(v, Decimal) else v for k, v in cells.items()}


def _cell(value: Any, *, decimal: bool) -> Cell:  # Any: JSON
    return Decimal(value) if decimal and value is not None else value


def changes_to_json(changes: Mapping[str, Change]) -> str:
    """Return what an op carries as text."""
    plain: dict[str, Any] = {}  # Any: JSON
    for name, change in changes.items():
        if isinstance(change, Reference):
            plain[name] = [change.table, change.id]
        else:
            plain[name] = str(change) if isinstance(change, Decimal) else change
    return json.dumps(plain, ensure_ascii=False)


def changes_from_json(text: str, schema: TableSchema) -> dict[str, Change]:
    """Read what :func:`changes_to_json` wrote; the schema says which text is a decimal."""
    changes: dict[str, Change] = {}
    for name, value in json.loads(text).items():
        column = schema.column(name)
        if isinstance(value, list):
            changes[name] = Reference(value[0], value[1])
        else:
            exact = column is not None and column.type in (ColumnType.DECIMAL, ColumnType.MONEY)
            changes[name] = _cell(value, decimal=exact)
    return changes


def op_record(op: Op) -> tuple[Cell, ...]:
    """Return the outbox's record of an op."""
    return (
        op.sequence,
        op.id,
        op.kind.value,
        op.table,
        op.row_id,
        row_key(op.table, op.row_id),
        changes_to_json(op.changes),
        op.version,
        op.state.value,
        op.attempts,
        op.created,
        op.allowed,
    )


def op_from_record(record: Sequence[Any], schema: TableSchema) -> Op:  # Any: typed by the layout
    """Read an outbox record."""
    return Op(
        id=record[1],
        sequence=record[0],
        kind=OpKind(record[2]),
        table=record[3],
        row_id=record[4],
        changes=changes_from_json(record[6], schema),
        version=record[7],
        state=OpState(record[8]),
        attempts=record[9],
        created=record[10],
        allowed=bool(record[11]),
    )


@dataclass(frozen=True, slots=True)
class ScopeState:
    """How far one table has come.

    ``baseline`` says that everything is being read (anew); rows whose generation is older than
    ``generation`` when it ends have left. ``complete`` says that the table was once read to the
    end, so that its rows may be used. ``leaving`` says that rows are noted that must go; it may be
    true where none are. ``chosen`` stands for the row rules that the rows which are here were
    chosen by, ``rows`` is how many they were at the end of the last sync.
    """

    table: str
    fingerprint: str = ""
    checkpoint: str | None = None
    generation: int = 0
    complete: bool = False
    baseline: bool = True
    membership_due: bool = False
    received: int = 0
    expected: int | None = None
    last_sync: str | None = None
    problem: str | None = None
    leaving: bool = False
    chosen: str | None = None
    rows: int | None = None

    def record(self) -> tuple[Cell, ...]:
        """Return the stored record."""
        return (
            self.table,
            self.fingerprint,
            self.checkpoint,
            self.generation,
            self.complete,
            self.baseline,
            self.membership_due,
            self.received,
            self.expected,
            self.last_sync,
            self.problem,
            self.leaving,
            self.chosen,
            self.rows,
        )

    @staticmethod
    def from_record(record: Sequence[Any]) -> ScopeState:  # Any: typed by the layout
        """Read a stored record."""
        return ScopeState(*record)

    def restarted(self, fingerprint: str) -> ScopeState:
        """Return the state in which everything is read anew, under the rows that are there."""
        return replace(
            self,
            fingerprint=fingerprint,
            checkpoint=None,
            generation=self.generation + 1,
            baseline=True,
            received=0,
            expected=None,
        )


@dataclass(frozen=True, slots=True)
class IssueState:
    """One open issue; base, mine and theirs are read from the row when it is shown.

    One about many rows has no ``row_id``. ``subject`` is the key of the quarantined row that it is
    about.
    """

    id: str
    kind: IssueKind
    table: str
    row_id: str
    ops: tuple[str, ...]
    code: str
    message: str
    raised: str
    extent: Extent | None = None
    subject: str | None = None

    def record(self) -> tuple[Cell, ...]:
        """Return the stored record."""
        return (
            self.id,
            self.kind.value,
            self.table,
            self.row_id,
            row_key(self.table, self.row_id),
            json.dumps(self.ops),
            self.code,
            self.message,
            self.raised,
            None if self.extent is None else _extent_text(self.extent),
            self.subject,
        )

    @staticmethod
    def from_record(record: Sequence[Any]) -> IssueState:  # Any: typed by the layout
        """Read a stored record."""
        issue_id, kind, table, row_id, _, ops, code, message, raised, extent, subject = record
        return IssueState(
            issue_id,
            IssueKind(kind),
            table,
            row_id,
            tuple(json.loads(ops)),
            code,
            message,
            raised,
            None if extent is None else _extent(extent),
            subject,
        )


def _extent_text(extent: Extent) -> str:
    causes = {cause.value: count for cause, count in extent.causes.items()}
    return json.dumps([extent.rows, extent.of, causes])


def _extent(text: str) -> Extent:
    rows, of, causes = json.loads(text)
    return Extent(rows, of, {Cause(cause): count for cause, count in causes.items()})


@dataclass(frozen=True, slots=True)
class HistoryState:
    """One conflict that was settled by policy, with all three rows; None where there was no row."""

    id: str
    table: str
    row_id: str
    winner: Winner
    policy: str
    base: Image | None
    mine: Image | None
    theirs: Image | None
    changed: tuple[str, ...]
    settled: str

    def record(self) -> tuple[Cell, ...]:
        """Return the stored record but for its number."""
        images = (self.base, self.mine, self.theirs)
        stored = (None if image is None else image.to_json() for image in images)
        return (
            self.id,
            self.table,
            self.row_id,
            self.winner.value,
            self.policy,
            *stored,
            json.dumps(self.changed),
            self.settled,
        )

    @staticmethod
    def from_record(record: Sequence[Any], schema: TableSchema) -> HistoryState:  # Any: as above
        """Read a stored record."""
        entry_id, table, row_id, winner, policy, base, mine, theirs, changed, settled, _ = record
        return HistoryState(
            entry_id,
            table,
            row_id,
            Winner(winner),
            policy,
            Image.from_json(base, schema),
            Image.from_json(mine, schema),
            Image.from_json(theirs, schema),
            tuple(json.loads(changed)),
            settled,
        )
