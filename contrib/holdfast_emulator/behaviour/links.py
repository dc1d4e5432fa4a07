"""Who points to a row: found without reading whole tables.

Invariant: an index over a lookup column is built when it is first asked for, and exact from then
on. Most runs never delete anything and pay nothing.
"""

from __future__ import annotations

from typing import TypeAlias

from holdfast_emulator.behaviour.keys import KeyIndexes
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.relationships import RelationshipDefinition
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.behaviour.rows import RowStore

_Index: TypeAlias = dict[str, list[str]]


class Links:
    """Indexes from the target of a lookup to the rows that hold it; ``keys`` has those over values.

    Both follow every change of a row, and are forgotten together.
    """

    def __init__(self, store: RowStore) -> None:
        self._store = store
        self.keys = KeyIndexes(store)
        self._indexes: dict[str, dict[str, _Index]] = {}

    def sources(
        self, table: TableDefinition, relationship: RelationshipDefinition, row_id: str
    ) -> list[str]:
        """Return the ids of the rows of ``table`` that point to ``row_id``, in order."""
        column = relationship.referencing_attribute
        found = self.holding(table, column, row_id)
        definition = table.by_name[column]
        if definition.table_field is None:
            return found
        beside = table.positions[definition.table_field]
        rows = ((source, self._store.get(table.name, source)) for source in found)
        return [source for source, row in rows if row and row[beside] == relationship.referenced]

    def holding(self, table: TableDefinition, column: str, value: str) -> list[str]:
        """Return the ids of the rows of ``table`` whose ``column`` holds an id, in order."""
        known = self._indexes.setdefault(table.name, {})
        if column not in known:
            known[column] = self._built(table, column)
        return sorted(known[column].get(value, ()))

    def moved(
        self, table: TableDefinition, row_id: str, before: Cells | None, after: Cells | None
    ) -> None:
        """Follow a row that was written or taken away."""
        self.keys.moved(table, row_id, before, after)
        for column, index in self._indexes.get(table.name, {}).items():
            at = table.positions[column]
            old = before[at] if before else None
            new = after[at] if after else None
            if old == new:
                continue
            if old is not None:
                index[str(old)].remove(row_id)
            if new is not None:
                index.setdefault(str(new), []).append(row_id)

    def forget(self, table: str) -> None:
        """Build the indexes of a table anew when they are next asked for."""
        self.keys.forget(table)
        self._indexes.pop(table, None)

    def _built(self, table: TableDefinition, column: str) -> _Index:
        at, key = table.positions[column], table.positions[table.primary_id]
        index: _Index = {}
        for cells in self._store.scan(table.name):
            if cells[at] is not None:
                index.setdefault(str(cells[at]), []).append(str(cells[key]))
        return index
