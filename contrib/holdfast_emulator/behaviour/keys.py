"""Rows by the values of several columns: alternate keys, and what counts as a duplicate.

Invariant: an index is built when it is first asked for, and exact from then on. Values are compared
as the database compares them: text without regard to case and to blanks at its end. A row with a
null among the values is in no index, so that nulls are never unique and never found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from holdfast.folding import fold
from holdfast.values import Cell
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.behaviour.rows import RowStore

_Columns: TypeAlias = tuple[str, ...]
_Values: TypeAlias = tuple[Cell, ...]
_Index: TypeAlias = dict[_Values, list[str]]


class KeyIndexes:
    """Indexes from the values of columns to the rows that hold them."""

    def __init__(self, store: RowStore) -> None:
        self._store = store
        self._indexes: dict[str, dict[_Columns, _Index]] = {}

    def holding(
        self, table: TableDefinition, columns: Sequence[str], values: Iterable[Cell]
    ) -> list[str]:
        """Return the ids of the rows of ``table`` with these values, in order."""
        wanted = _comparable(values)
        if wanted is None:
            return []
        return sorted(self._index(table, tuple(columns)).get(wanted, ()))

    def repeated(self, table: TableDefinition, columns: Sequence[str]) -> bool:
        """Tell whether two rows of ``table`` have the same values."""
        return any(len(ids) > 1 for ids in self._index(table, tuple(columns)).values())

    def moved(
        self, table: TableDefinition, row_id: str, before: Cells | None, after: Cells | None
    ) -> None:
        """Follow a row that was written or taken away."""
        known = self._indexes.get(table.name)
        if not known:
            return
        for columns in [one for one in known if not table.positions.keys() >= set(one)]:
            del known[columns]
        for columns, index in known.items():
            old, new = _values(table, columns, before), _values(table, columns, after)
            if old == new:
                continue
            if old is not None:
                index[old].remove(row_id)
                if not index[old]:
                    del index[old]
            if new is not None:
                index.setdefault(new, []).append(row_id)

    def forget(self, table: str) -> None:
        """Build the indexes of a table anew when they are next asked for."""
        self._indexes.pop(table, None)

    def _index(self, table: TableDefinition, columns: _Columns) -> _Index:
        known = self._indexes.setdefault(table.name, {})
        if columns not in known:
            known[columns] = self._built(table, columns)
        return known[columns]

    def _built(self, table: TableDefinition, columns: _Columns) -> _Index:
        key = table.positions[table.primary_id]
        index: _Index = {}
        for cells in self._store.scan(table.name):
            values = _values(table, columns, cells)
            if values is not None:
                index.setdefault(values, []).append(str(cells[key]))
        return index


def _values(table: TableDefinition, columns: _Columns, cells: Cells | None) -> _Values | None:
    if cells is None:
        return None
    return _comparable(cells[table.positions[name]] for name in columns)


def _comparable(values: Iterable[Cell]) -> _Values | None:
    found = tuple(fold(value.rstrip(" ")) if isinstance(value, str) else value for value in values)
    return None if None in found else found
