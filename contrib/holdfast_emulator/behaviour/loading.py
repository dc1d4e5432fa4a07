"""Putting many rows in at once, as an import does.

Invariant: nothing is checked and nobody is told; what the server derives is derived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.derive import Derivation, draft_of, overlay, stamp_of
from holdfast_emulator.behaviour.ledger import Ledger
from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.behaviour.rows import RowStore
from holdfast_emulator.behaviour.security import User

_KEPT: Final = frozenset({"createdon", "modifiedon"})


@dataclass(frozen=True, slots=True)
class Loader:
    """Inserts rows into a store, as the organisation's own user."""

    store: RowStore
    ledger: Ledger
    links: Links
    derivation: Derivation
    user: User
    clock: Callable[[], datetime]

    def load(self, table: TableDefinition, rows: Iterable[Mapping[str, Cell | Reference]]) -> int:
        """Insert new rows and return how many."""
        self.links.forget(table.name)
        before = self.store.count(table.name)
        self.store.put_all(table.name, (self._loaded(table, row) for row in rows))
        self.store.flush()
        return self.store.count(table.name) - before

    def _loaded(
        self, table: TableDefinition, row: Mapping[str, Cell | Reference]
    ) -> tuple[str, int, Cells]:
        draft = draft_of(table, None)
        for name, value in row.items():
            overlay(table, draft, name, value)
        self.derivation.create(self.user, table, draft, row, stamp_of(self.clock()))
        for name in _KEPT & row.keys():
            overlay(table, draft, name, row[name])
        version = draft["versionnumber"] = self.ledger.next_version()
        return str(draft[table.primary_id]), version, tuple(draft.values())
