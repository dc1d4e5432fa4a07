"""The rows of a table that have a value in a column, found again and again.

Invariant: every answer comes from an index: the primary id, the index of a lookup, or one that is
made here by reading the table once. A value of null matches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final, TypeVar

from holdfast.schema import ColumnType
from holdfast.values import Cell
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.queries.operators import TEXTS, former
from holdfast_emulator.queries.scope import Asking

AtHand = TypeVar("AtHand")
#: After so many values, reading the whole table is cheaper than asking for the next one.
_MOST_PROBES: Final = 1000
_IDS: Final = frozenset({ColumnType.LOOKUP, ColumnType.UNIQUEIDENTIFIER})
_WHOLE: Final = frozenset({ColumnType.INTEGER, ColumnType.BIGINT})
_CHOICES: Final = frozenset({ColumnType.CHOICE, ColumnType.STATE, ColumnType.STATUS})


def joinable(one: ColumnType, other: ColumnType) -> bool:
    """Tell whether two columns are of one type, as far as a join is concerned."""
    if one is other:
        return one not in (ColumnType.FILE, ColumnType.IMAGE, ColumnType.CHOICES)
    return any({one, other} <= kinds for kinds in (_IDS, _WHOLE, TEXTS, _CHOICES))


def key_reader(table: TableDefinition, column: str, asking: Asking) -> Callable[[Cells], Cell]:
    """Return how to read a column in the form in which it is joined; null where it is hidden."""
    if column in asking.hidden(table.name):
        return lambda _: None
    return formed(itemgetter(table.positions[column]), table.by_name[column].type)


def formed(read: Callable[[AtHand], Cell], kind: ColumnType) -> Callable[[AtHand], Cell]:
    """Return how to read a cell in the form in which two of them are equal."""
    into = former(kind)
    if into is None:
        return read
    return lambda at_hand: None if (cell := read(at_hand)) is None else into(cell)


class Matches:
    """The rows of a table by the values of one column.

    :param passes: tells which of the rows there are at all
    """

    def __init__(
        self,
        table: TableDefinition,
        column: str,
        asking: Asking,
        passes: Callable[[Cells], bool],
    ) -> None:
        self._table = table
        self._column = column
        self._passes = passes
        self._key = key_reader(table, column, asking)
        self._store = asking.navigator.store
        self._links = asking.navigator.links
        self._known: dict[Cell, list[Cells]] = {}
        self._complete = False
        indexed = table.by_name[column].type is ColumnType.LOOKUP
        hidden = column in asking.hidden(table.name)
        self._probes = _MOST_PROBES if not hidden and (indexed or self._is_id) else 0

    @property
    def _is_id(self) -> bool:
        return self._column == self._table.primary_id

    def of(self, key: Cell) -> Sequence[Cells]:
        """Return the rows with this value, by id."""
        if key is None:
            return ()
        found = self._known.get(key)
        if found is not None:
            return found
        if self._complete:
            return ()
        if self._probes == 0:
            self._read()
            return self._known.get(key, ())
        self._probes -= 1
        self._known[key] = found = self._probe(str(key))
        return found

    def _probe(self, key: str) -> list[Cells]:
        ids = [key] if self._is_id else self._links.holding(self._table, self._column, key)
        rows = (self._store.get(self._table.name, row_id) for row_id in ids)
        return [cells for cells in rows if cells is not None and self._passes(cells)]

    def _read(self) -> None:
        self._known = {}
        key, passes = self._key, self._passes
        for cells in self._store.scan(self._table.name):
            value = key(cells)
            if value is not None and passes(cells):
                self._known.setdefault(value, []).append(cells)
        self._complete = True
