"""What a dead process left in its file, read by SQLite alone, without a line of holdfast.

A copy is opened, so that the file stays as the kill left it for the next life.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TABLES: Final = ("account", "contact")
#: Where ops are of which no server hears, since another says what they say.
CARRIED: Final = frozenset({"merged", "void"})


@dataclass(frozen=True, slots=True)
class FoundOp:
    """An op in the outbox; ``effect`` is what it does to the server, told apart by its value."""

    id: str
    kind: str
    row: str
    state: str
    attempts: int
    value: str | None

    @property
    def effect(self) -> tuple[str, str, str | None]:
        """What it does."""
        return self.kind, self.row, self.value


@dataclass(frozen=True, slots=True)
class FoundScope:
    """How far a table has come."""

    checkpoint: str | None
    baseline: bool

    @property
    def midway(self) -> bool:
        """Whether the checkpoint leads to a page in the middle."""
        return self.checkpoint is not None and bool(json.loads(self.checkpoint)["midway"])

    @property
    def delta(self) -> bool:
        """Whether it leads to changes, not to a first reading."""
        return self.checkpoint is not None and bool(json.loads(self.checkpoint)["delta"])


@dataclass(frozen=True, slots=True)
class Found:
    """What was in the file."""

    integrity: str
    outbox: Sequence[FoundOp]
    ledger: Counter[str]
    places: frozenset[str]
    carried: frozenset[str]
    dirty: frozenset[str]
    flagged: frozenset[str]
    versions: Mapping[str, Mapping[str, str]]
    values: Mapping[str, str | None]
    scopes: Mapping[str, FoundScope]

    def check(self) -> None:
        """Make sure that the file is whole: every op with its row, each in one place."""
        assert self.integrity == "ok"
        ids = Counter(op.id for op in self.outbox) + self.ledger
        assert set(ids.values()) <= {1}, "an op stands in two places"
        rows = {op.row for op in self.outbox}
        assert self.dirty == rows, "a row without its op, or an op without its row"
        last = {op.row: op for op in self.outbox}
        shown = {row: op.value for row, op in last.items() if op.kind != "delete"}
        assert self.flagged == set(shown)
        assert {row: self.values[row] for row in shown} == shown, "not what the user wrote last"

    def places_of(self, op: str) -> int:
        """Count where an op stands."""
        return sum(one.id == op for one in self.outbox) + self.ledger[op]


@contextmanager
def copied(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of a file and its log, as a kill left them."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (path.name, f"{path.name}-wal"):
            if path.with_name(name).exists():
                shutil.copyfile(path.with_name(name), Path(folder, name))
        with closing(sqlite3.connect(Path(folder, path.name))) as database:
            yield database


def autopsy(path: Path) -> Found:
    """Read everything that a checker wants to know."""
    with copied(path) as database:

        def ask(sql: str) -> list[Any]:  # Any: as SQLite gives it
            return database.execute(sql).fetchall()

        (integrity,) = ask("PRAGMA integrity_check")[0]
        tables = {name for (name,) in ask("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        kept = [name for name in TABLES if name in tables]
        if "_holdfast_outbox" not in tables:
            nothing: frozenset[str] = frozenset()
            return Found(integrity, (), Counter(), nothing, nothing, nothing, nothing, {}, {}, {})
        ledger = ask("SELECT op_id, place FROM _holdfast_ledger")
        return Found(
            integrity,
            [_op(row) for row in ask(_OUTBOX)],
            Counter(op for op, _ in ledger),
            frozenset(place for _, place in ledger),
            frozenset(op for op, place in ledger if place in CARRIED),
            frozenset(row for (row,) in ask("SELECT row_id FROM _holdfast_shadows")),
            frozenset(row for name in kept for (row,) in ask(_FLAGGED.format(name))),
            {name: dict(ask(_VERSIONS.format(name))) for name in kept},
            dict(ask(_VALUES)) if "account" in kept else {},
            {name: FoundScope(at, bool(base)) for name, at, base in ask(_SCOPES)},
        )


def _op(stored: Sequence[Any]) -> FoundOp:  # Any: as SQLite gives it
    op, kind, row, state, attempts, changes = stored
    return FoundOp(op, kind, row, state, attempts, json.loads(changes).get("telephone1"))


_OUTBOX: Final = (
    "SELECT id, kind, row_id, state, attempts, changes FROM _holdfast_outbox ORDER BY sequence"
)
_SCOPES: Final = "SELECT table_name, checkpoint, baseline FROM _holdfast_scopes"
#: Of the rows that are not noted to go at the end of their table's turn.
_VERSIONS: Final = "SELECT {0}id, _holdfast_version FROM {0} WHERE _holdfast_rules IS NOT -1"
_VALUES: Final = "SELECT accountid, telephone1 FROM account"
_FLAGGED: Final = "SELECT {0}id FROM {0} WHERE _holdfast_pending"
