"""Rows as JSON objects: which properties, in which form, with which annotations.

Invariant: what can be decided per column is decided once per request, and properties are filled for
all rows at a time; a row then costs no Python code of its own. An annotation precedes the property
it belongs to. Null is written, and has no annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET

from holdfast.schema import ColumnType
from holdfast.values import Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.metadata import ColumnDefinition
from holdfast_emulator.behaviour.row import Cells, Row
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.wire.cells import Fill, constant, converter, etags, labels, of_target, values
from holdfast_emulator.wire.expand import Budget, Related
from holdfast_emulator.wire.formats import formatter
from holdfast_emulator.wire.keys import PRINCIPAL_KEY, PRINCIPALS
from holdfast_emulator.wire.options import FORMATTED, LOOKUP_TABLE, NAVIGATION
from holdfast_emulator.wire.selecting import (
    Expansion,
    Shape,
    find_column,
    shape_of,
)

__all__ = ["Json", "RowWriter", "Shape", "find_column", "property_value", "shape_of"]

Json: TypeAlias = dict[str, Any]  # Any: whatever JSON can say
_Column: TypeAlias = Iterable[object]
_cells: Final[Callable[[Row], Cells]] = attrgetter("cells")


class RowWriter:
    """Writes the rows of one answer; looks up each name once.

    :param root: the absolute URL of the service, for the links of what is expanded
    """

    def __init__(
        self,
        dataverse: Dataverse,
        user: User,
        shape: Shape,
        root: str,
        budget: Budget | None = None,
    ) -> None:
        self._dataverse = dataverse
        self._user = user
        self._table = shape.table
        self._shape = shape
        self._names: dict[tuple[str, str], str | None] = {}
        self._navigations: dict[tuple[str, str], str] = {}
        self._fills: dict[str, Fill] = dict(self._properties())
        self._expansions: dict[str, tuple[Expansion, Sequence[RowWriter]]] = {}
        self._related = Related(dataverse, user, root, budget or Budget())
        for expansion in shape.expansions:
            self._related.admit(expansion)
            writers = [
                RowWriter(dataverse, user, leg.shape, root, self._related.budget)
                for leg in expansion.legs
            ]
            self._expansions[expansion.asked.navigation] = expansion, writers

    def write(self, row: Row) -> Json:
        """Return the JSON object of a row."""
        names, columns = self._columns([row])
        cells = (next(iter(column)) for column in columns)
        return {name: cell for name, cell in zip(names, cells, strict=True) if cell is not UNSET}

    def write_all(self, rows: Sequence[Row]) -> list[object]:
        """Return the JSON objects of many rows, as values that only :func:`encode` can read."""
        if not rows:
            return []
        names, columns = self._columns(rows)
        return list(map(_record(names), *columns))

    def _columns(self, rows: Sequence[Row]) -> tuple[tuple[str, ...], list[_Column]]:
        cells = list(map(_cells, rows))
        columns = {name: fill(cells) for name, fill in self._fills.items()}
        for expansion, writers in self._expansions.values():
            columns.update(self._related.columns(expansion, writers, rows))
        return tuple(columns), list(columns.values())

    def _properties(self) -> Iterator[tuple[str, Fill]]:
        positions, shape = self._table.positions, self._shape
        if shape.type:
            yield "@odata.type", constant(shape.type)
        if shape.etag:
            yield "@odata.etag", etags(positions["versionnumber"])
        for column in shape.columns:
            yield from self._property(column)
        if self._table.name in PRINCIPALS and PRINCIPAL_KEY not in self._table.by_name:
            key = self._table.by_name[self._table.primary_id]
            yield PRINCIPAL_KEY, values(key, positions[key.name])

    def _property(self, column: ColumnDefinition) -> Iterator[tuple[str, Fill]]:
        at, name = self._table.positions[column.name], column.wire_name
        if column.type is ColumnType.LOOKUP:
            yield from self._annotations(column, at)
        elif self._shape.preferences.wants(FORMATTED):
            form = formatter(column)
            if form:
                yield f"{name}@{FORMATTED}", labels(at, form)
        yield name, values(column, at)

    def _annotations(self, column: ColumnDefinition, at: int) -> Iterator[tuple[str, Fill]]:
        beside = self._table.positions[column.table_field] if column.table_field else None
        target = column.targets[0]
        name, wants = column.wire_name, self._shape.preferences.wants
        if wants(FORMATTED):
            yield f"{name}@{FORMATTED}", of_target(at, beside, target, self._name)
        if wants(NAVIGATION):

            def navigation(table: str, _: str) -> str:
                return self._navigation(column.name, table)

            yield f"{name}@{NAVIGATION}", of_target(at, beside, target, navigation)
        if wants(LOOKUP_TABLE):
            yield f"{name}@{LOOKUP_TABLE}", of_target(at, beside, target, lambda table, _: table)

    def _name(self, table: str, row_id: str) -> str | None:
        target = table, row_id
        if target not in self._names:
            self._names[target] = self._dataverse.name_of(self._user, Reference(table, row_id))
        return self._names[target]

    def _navigation(self, column: str, target: str) -> str:
        known = self._navigations
        if (column, target) not in known:
            metadata = self._dataverse.metadata
            found = metadata.navigation_of(self._table.name, column, target)
            known[column, target] = found or column
        return known[column, target]


def property_value(row: Row, column: ColumnDefinition) -> object:
    """Return the cell of a column as JSON has it."""
    cell = row.cells[row.definition.positions[column.name]]
    convert = converter(column)
    return cell if cell is None or convert is None else convert(cell)


@lru_cache(maxsize=256)
def _record(names: tuple[str, ...]) -> Callable[..., object]:
    """Return what makes one JSON object of the cells of a row, without those that are unset.

    A record type is quicker made and quicker encoded than a dictionary; clients ask for the same
    few again and again.
    """
    fields = [(f"f{number}", Any, UNSET) for number in range(len(names))]
    rename = {f"f{number}": name for number, name in enumerate(names)}
    return msgspec.defstruct("Record", fields, rename=rename, gc=False)
