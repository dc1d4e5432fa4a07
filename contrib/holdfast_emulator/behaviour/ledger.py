"""Every change of a row goes through here: it gets a version, can be undone, and is told of.

Invariant: the version counter is one for all tables and only grows; its gaps are irregular but a
function of the version itself, so that the same calls always give the same versions. What a failed
transaction did is gone: rows, tombstones, versions; nobody hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Final

from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.behaviour.rows import RowStore

_FIRST_VERSION: Final = 1_000_000
_MIX: Final = 2_654_435_761


class Operation(Enum):
    """What is being done to a row."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class Effect:
    """One committed change of one row, for who checks afterwards what really happened.

    ``before`` is None for a create; ``after`` is the tombstone's version for a delete. ``user`` is
    the id of who did it.
    """

    sequence: int
    operation: Operation
    table: str
    row_id: str
    before: int | None
    after: int
    user: str


@dataclass(frozen=True, slots=True)
class _Undo:
    table: TableDefinition
    row_id: str
    before: Cells | None
    after: Cells | None
    grave: int | None


class Ledger:
    """The writer of the store."""

    def __init__(self, store: RowStore, links: Links) -> None:
        self._store = store
        self._links = links
        self.on_effect: Callable[[Effect], None] | None = None
        self.on_bury: dict[str, Callable[[Cells, str], None]] = {}  # by table: what goes along
        self._sequence = 0
        self._depth = 0
        self._undo: list[_Undo] = []
        self._effects: list[tuple[Operation, str, str, int | None, int, str]] = []
        self.version = max(_FIRST_VERSION, store.last_version())

    @property
    def open(self) -> bool:
        """Whether a transaction is going on."""
        return self._depth > 0

    def next_version(self) -> int:
        """Take a new version."""
        self.version += 1 + (self.version * _MIX >> 7) % 5
        return self.version

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Undo what is done inside when it raises; commit when the outermost one ends."""
        undo, effects, version = len(self._undo), len(self._effects), self.version
        self._depth += 1
        try:
            yield
        except BaseException:
            self._roll_back(undo, effects, version)
            raise
        finally:
            self._depth -= 1
        if self._depth == 0:
            self._commit()

    def put(
        self, table: TableDefinition, cells: Cells, before: Cells | None, user_id: str
    ) -> Cells:
        """Write a row under a new version and return it with that version."""
        at = table.positions["versionnumber"]
        cells = (*cells[:at], self.next_version(), *cells[at + 1 :])
        row_id = str(cells[table.positions[table.primary_id]])
        self._apply(table, row_id, before, cells)
        self._undo.append(_Undo(table, row_id, before, cells, None))
        operation = Operation.CREATE if before is None else Operation.UPDATE
        self._note(operation, table, row_id, before, user_id)
        return cells

    def bury(self, table: TableDefinition, cells: Cells, user_id: str) -> None:
        """Take a row away and leave a tombstone."""
        if table.name in self.on_bury:
            self.on_bury[table.name](cells, user_id)
        row_id = str(cells[table.positions[table.primary_id]])
        version = self.next_version()
        self._apply(table, row_id, cells, None)
        self._store.bury(table.name, row_id, version)
        self._undo.append(_Undo(table, row_id, cells, None, version))
        self._note(Operation.DELETE, table, row_id, cells, user_id)

    def _note(
        self,
        operation: Operation,
        table: TableDefinition,
        row_id: str,
        before: Cells | None,
        user_id: str,
    ) -> None:
        old = before[table.positions["versionnumber"]] if before else None
        assert old is None or isinstance(old, int)
        self._effects.append((operation, table.name, row_id, old, self.version, user_id))

    def _apply(
        self, table: TableDefinition, row_id: str, before: Cells | None, after: Cells | None
    ) -> None:
        assert self._depth, "a row changes inside a transaction only"
        if after is None:
            self._store.remove(table.name, row_id)
        else:
            version = after[table.positions["versionnumber"]]
            assert isinstance(version, int)
            self._store.put(table.name, row_id, version, after)
        self._links.moved(table, row_id, before, after)

    def _roll_back(self, undo: int, effects: int, version: int) -> None:
        for step in reversed(self._undo[undo:]):
            self._apply(step.table, step.row_id, step.after, step.before)
            if step.grave is not None:
                self._store.unbury(step.table.name, step.grave)
        del self._undo[undo:]
        del self._effects[effects:]
        self.version = version

    def _commit(self) -> None:
        changed = bool(self._undo)
        effects, self._effects = self._effects, []
        self._undo.clear()
        if changed:
            self._store.flush()
        if self.on_effect is None:
            return
        for effect in effects:
            self._sequence += 1
            self.on_effect(Effect(self._sequence, *effect))
