"""Rows put together into groups, and what is counted and added up in each.

Invariant: null takes no part in anything but counting rows; a sum of nothing is 0, and every other
aggregate of nothing is null. Exact numbers stay exact; a mean of whole numbers is a whole number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Context, Decimal
from typing import Final

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.metadata import ColumnDefinition
from holdfast_emulator.queries.fetchxml.document import Function
from holdfast_emulator.queries.fetchxml.refusals import aggregate_limit, bad_aggregate
from holdfast_emulator.queries.joins import Joined
from holdfast_emulator.queries.operators import form
from holdfast_emulator.queries.outputs import Grouping, GroupSort, Output, Record, Value
from holdfast_emulator.queries.select import rank

AGGREGATE_LIMIT: Final = 50_000
_WHOLE: Final = frozenset({ColumnType.INTEGER, ColumnType.BIGINT})
_EXACT: Final = frozenset({ColumnType.DECIMAL, ColumnType.MONEY})
_NUMBERS: Final = _WHOLE | _EXACT | {ColumnType.DOUBLE}
_ALLOWED: Final[Mapping[Function, frozenset[ColumnType]]] = {
    Function.SUM: _NUMBERS,
    Function.AVERAGE: _NUMBERS,
    Function.MINIMUM: _NUMBERS | {ColumnType.DATETIME},
    Function.MAXIMUM: _NUMBERS | {ColumnType.DATETIME},
}
_CONTEXT: Final = Context(prec=60)
_STEP: Final = Decimal("1e-10")


def check_function(function: Function, column: ColumnDefinition) -> None:
    """Refuse to add up what cannot be added up.

    :raises DataverseFault: the function is not for columns of this type
    """
    if column.type not in _ALLOWED.get(function, {column.type}):
        raise bad_aggregate(
            f"The aggregate operation '{function.value}' can't be applied to the attribute "
            f"'{column.name}' of type {column.attribute_type}."
        )


def counts(function: Function) -> bool:
    """Tell whether a function counts, so that its result is a whole number."""
    return function in (Function.COUNT, Function.COUNT_COLUMN)


def group_records(
    rows: Iterable[Joined], outputs: Sequence[Output], grouping: Grouping
) -> list[Record]:
    """Return one record for each group; without anything to group by there is always one.

    :raises DataverseFault: there are too many rows
    """
    keys = [output for output in outputs if output.function is None]
    groups: dict[tuple[object, ...], list[Joined]] = {}
    for number, joined in enumerate(rows, 1):
        if number > grouping.limit:
            raise aggregate_limit()
        key = tuple(_form(output, output.read(joined)) for output in keys)
        groups.setdefault(key, []).append(joined)
    if not keys and not groups:
        groups[()] = []
    records = [Record([_value(output, some) for output in outputs]) for some in groups.values()]
    by_keys = [GroupSort(at, descending=False) for at, o in enumerate(outputs) if not o.function]
    return _sorted(records, outputs, [*grouping.sorts, *by_keys])


def _sorted(
    records: list[Record], outputs: Sequence[Output], sorts: Sequence[GroupSort]
) -> list[Record]:
    def ranks(record: Record) -> list[object]:
        return [
            rank(outputs[sort.at].column.type, _cell(record.values[sort.at]), sort.descending)
            for sort in sorts
        ]

    return sorted(records, key=ranks)


def _cell(value: Value) -> Cell:
    return value.id if isinstance(value, Reference) else value


def _form(output: Output, value: Value) -> object:
    return value if isinstance(value, Reference) else form(output.column.type, value)


def _value(output: Output, rows: Sequence[Joined]) -> Value:
    if output.function is None:
        return output.read(rows[0])
    if output.function is Function.COUNT:
        return len(rows)
    cells = [_cell(value) for value in map(output.read, rows) if value is not None]
    if output.function is Function.COUNT_COLUMN:
        return len({_form(output, cell) for cell in cells}) if output.distinct else len(cells)
    return _aggregate(output.function, output.column.type, cells)


def _aggregate(function: Function, kind: ColumnType, cells: Sequence[Cell]) -> Cell:
    if function is Function.SUM:
        return _sum(kind, cells)
    if not cells:
        return None
    if function is Function.AVERAGE:
        return _mean(kind, cells)
    best = min if function is Function.MINIMUM else max
    return best(cells, key=lambda cell: rank(kind, cell, False))


def _sum(kind: ColumnType, cells: Sequence[Cell]) -> Cell:
    if kind in _WHOLE:
        return sum(int(str(cell)) for cell in cells)
    if kind in _EXACT:
        exact = Decimal(0)
        for cell in cells:
            exact = _CONTEXT.add(exact, Decimal(str(cell)))
        return exact
    return _finite(cells)


def _mean(kind: ColumnType, cells: Sequence[Cell]) -> Cell:
    total = _sum(kind, cells)
    if isinstance(total, int):
        whole = abs(total) // len(cells)
        return -whole if total < 0 else whole
    if isinstance(total, Decimal):
        return _CONTEXT.quantize(_CONTEXT.divide(total, Decimal(len(cells))), _STEP)
    return float(str(total)) / len(cells)


def _finite(cells: Sequence[Cell]) -> float:
    try:
        return math.fsum(float(str(cell)) for cell in cells)
    except OverflowError:
        raise bad_aggregate("Arithmetic overflow occurred in an aggregate.") from None
