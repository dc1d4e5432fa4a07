"""Rows as JSON objects: which properties, in which form, with which annotations.

Invariant: what can be decided per column is decided once per request; a row then costs a few calls.
An annotation precedes the property it belongs to. Null is written, and has no annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from operator import itemgetter
from typing import Any, Final, TypeAlias

from holdfast.schema import ColumnType, DateBehavior
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault, unknown_property
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.relationships import RelationshipDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.wire.calls import Unsupported
from holdfast_emulator.wire.formats import Format, formatter
from holdfast_emulator.wire.options import FORMATTED, LOOKUP_TABLE, NAVIGATION, Expand, Preferences

Json: TypeAlias = dict[str, Any]  # Any: whatever JSON can say
Step: TypeAlias = Callable[[Row, Json], None]
_MONEY_STEP: Final = Decimal("1e-10")
_EXACT: Final = Context(prec=60)
_CURRENCY: Final = "transactioncurrencyid"


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a row is written: columns, expanded lookups, annotations."""

    columns: tuple[ColumnDefinition, ...]
    expand: tuple[tuple[Expand, RelationshipDefinition], ...]
    context: str
    preferences: Preferences


def shape_of(
    dataverse: Dataverse,
    table: TableDefinition,
    select: Sequence[str] | None,
    expand: Sequence[Expand],
    preferences: Preferences,
) -> Shape:
    """Resolve ``$select`` and ``$expand``.

    :raises DataverseFault: a name is none of the table's
    """
    pairs = tuple((one, _relationship(dataverse, table, one.navigation)) for one in expand)
    columns = (
        tuple(column for column in table.columns if column.readable)
        if select is None
        else _selected(dataverse, table, select)
    )
    nested = [f"{one.navigation}({','.join(one.select or ())})" for one in expand]
    listed = ",".join([*(select or ()), *nested])
    context = f"{table.entity_set}({listed})" if listed else table.entity_set
    return Shape(columns, pairs, context, preferences)


def _relationship(
    dataverse: Dataverse, table: TableDefinition, navigation: str
) -> RelationshipDefinition:
    found = dataverse.metadata.single_valued(table.name, navigation)
    if found is not None:
        return found
    if dataverse.metadata.collection_valued(table.name, navigation):
        raise Unsupported(f"$expand of the collection {navigation}")
    raise unknown_property(table.name, navigation)


def _selected(
    dataverse: Dataverse, table: TableDefinition, select: Sequence[str]
) -> tuple[ColumnDefinition, ...]:
    """Return the columns asked for; the primary id comes along, and the currency with money."""
    found = {table.primary_id: table.by_name[table.primary_id]}
    for name in select:
        column = find_column(dataverse, table, name)
        found[column.name] = column
        if column.type is ColumnType.MONEY and _CURRENCY in table.by_name:
            found[_CURRENCY] = table.by_name[_CURRENCY]
    return tuple(found.values())


def find_column(dataverse: Dataverse, table: TableDefinition, name: str) -> ColumnDefinition:
    """Return the column that a property, or a single-valued navigation property, stands for.

    :raises DataverseFault: it is none of the table's
    """
    if "/" in name:
        raise Unsupported(f"the navigation path {name[:100]}")
    column = table.by_wire_name.get(name)
    if column is None:
        relationship = dataverse.metadata.single_valued(table.name, name)
        column = table.by_name.get(relationship.referencing_attribute) if relationship else None
    if column is None:
        raise unknown_property(table.name, name)
    return column


@dataclass
class RowWriter:
    """Writes the rows of one answer; looks up each name once."""

    dataverse: Dataverse
    user: User
    table: TableDefinition
    shape: Shape
    _names: dict[Reference, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._plain: list[tuple[str, int]] = []
        self._steps: list[Step] = []
        for column in self.shape.columns:
            self._prepare(column)
        for expand, relationship in self.shape.expand:
            self._steps.append(self._expansion(expand, relationship))
        self._plain_names = [name for name, _ in self._plain]
        self._plain_cells = _getter([position for _, position in self._plain])

    def write(self, row: Row) -> Json:
        """Return the JSON object of a row."""
        out: Json = {"@odata.etag": row.etag}
        out.update(zip(self._plain_names, self._plain_cells(row.cells), strict=True))
        for step in self._steps:
            step(row, out)
        return out

    def _prepare(self, column: ColumnDefinition) -> None:
        at = self.table.positions[column.name]
        form = formatter(column) if self.shape.preferences.wants(FORMATTED) else None
        if column.type is ColumnType.LOOKUP:
            self._steps.append(self._lookup(column))
        elif form or _changes(column):
            self._steps.append(_value(column.wire_name, at, _converter(column), form))
        else:
            self._plain.append((column.wire_name, at))

    def _lookup(self, column: ColumnDefinition) -> Step:
        wants = self.shape.preferences.wants
        name, formatted, table = column.name, wants(FORMATTED), wants(LOOKUP_TABLE)
        navigation, wire = wants(NAVIGATION), column.wire_name
        if not (formatted or table or navigation):
            at = self.table.positions[name]
            return lambda row, out: out.__setitem__(wire, row.cells[at])

        def lookup(row: Row, out: Json) -> None:
            target = row[name]
            if isinstance(target, Reference):
                label = self._name(target) if formatted else None
                if label is not None:
                    out[f"{wire}@{FORMATTED}"] = label
                if navigation:
                    out[f"{wire}@{NAVIGATION}"] = self._navigation(name, target.table)
                if table:
                    out[f"{wire}@{LOOKUP_TABLE}"] = target.table
                out[wire] = target.id
            else:
                out[wire] = None

        return lookup

    def _name(self, target: Reference) -> str | None:
        if target not in self._names:
            self._names[target] = self.dataverse.name_of(target)
        return self._names[target]

    def _navigation(self, column: str, target: str) -> str:
        return self.dataverse.metadata.navigation_of(self.table.name, column, target) or column

    def _expansion(self, expand: Expand, relationship: RelationshipDefinition) -> Step:
        target = self.dataverse.metadata.tables[relationship.referenced]
        shape = shape_of(self.dataverse, target, expand.select, (), self.shape.preferences)
        writer = RowWriter(self.dataverse, self.user, target, shape, self._names)

        def expansion(row: Row, out: Json) -> None:
            pointed = row[relationship.referencing_attribute]
            found = None
            if isinstance(pointed, Reference) and pointed.table == target.name:
                found = self._visible(pointed)
            out[expand.navigation] = writer.write(found) if found else None

        return expansion

    def _visible(self, target: Reference) -> Row | None:
        """Return the row pointed to; None when it is gone, or not the user's to read."""
        try:
            return self.dataverse.retrieve(self.user, target.table, target.id)
        except DataverseFault as fault:
            if fault.status in (403, 404):
                return None
            raise


def property_value(row: Row, column: ColumnDefinition) -> Cell:
    """Return the cell of a column as JSON has it."""
    cell = row.cells[row.definition.positions[column.name]]
    return None if cell is None else _converter(column)(cell)


def _getter(positions: Sequence[int]) -> Callable[[Sequence[Cell]], Sequence[Cell]]:
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda cells: [cells[position] for position in positions]


def _changes(column: ColumnDefinition) -> bool:
    return column.type is ColumnType.MONEY or _is_wall(column)


def _is_wall(column: ColumnDefinition) -> bool:
    wall = column.behavior is DateBehavior.TIME_ZONE_INDEPENDENT
    return column.type is ColumnType.DATETIME and wall


def _converter(column: ColumnDefinition) -> Callable[[Cell], Cell]:
    if column.type is ColumnType.MONEY:
        return lambda cell: _EXACT.quantize(Decimal(str(cell)), _MONEY_STEP)
    if _is_wall(column):
        return lambda cell: f"{cell}Z"  # not UTC, whatever the letter says
    return lambda cell: cell


def _value(name: str, at: int, convert: Callable[[Cell], Cell], form: Format | None) -> Step:
    annotation = f"{name}@{FORMATTED}"

    def value(row: Row, out: Json) -> None:
        cell = row.cells[at]
        if cell is None:
            out[name] = None
            return
        label = form(cell) if form else None
        if label is not None:
            out[annotation] = label
        out[name] = convert(cell)

    return value
