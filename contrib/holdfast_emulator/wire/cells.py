"""One property of many rows at a time: the cells of a column as JSON has them.

Invariant: what depends on the column is decided when a fill is made; filling costs no Python call
per row where a cell needs no change. A property that a row lacks is ``UNSET``, null is ``None``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal
from functools import partial
from operator import itemgetter
from typing import Final, TypeAlias

from msgspec import UNSET, Raw

from holdfast.schema import ColumnType, DateBehavior
from holdfast.values import Cell
from holdfast_emulator.behaviour.metadata import ColumnDefinition
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.wire.formats import Format

Fill: TypeAlias = Callable[[Sequence[Cells]], Iterable[object]]
Convert: TypeAlias = Callable[[Cell], object]
#: So many decimal places a number is kept with, and shown with, zeros or not.
_PLACES: Final = 10
_EXACT: Final = Context(prec=60)
#: Below the power of ten that this is, Python writes a number with an exponent.
_SMALL: Final = -6


def converter(column: ColumnDefinition) -> Convert | None:
    """Return what makes a cell of a column a JSON value; None where it is one already."""
    if column.type in _FIXED:
        step = Decimal(1).scaleb(-max(column.precision or 0, _PLACES))
        return partial(_fixed, step)
    if column.type is ColumnType.DATETIME and column.behavior is _WALL:
        return lambda cell: f"{cell}Z"  # not UTC, whatever the letter says
    return None


def values(column: ColumnDefinition, at: int) -> Fill:
    """Return the fill of a column's own property; ``at`` is where its cells stand."""
    convert = converter(column)
    pick = itemgetter(at)
    if convert is None:
        return partial(map, pick)
    return lambda rows: [None if cell is None else convert(cell) for cell in map(pick, rows)]


def labels(at: int, form: Format) -> Fill:
    """Return the fill of a formatted value; a row without one lacks the property."""
    pick = itemgetter(at)

    def fill(rows: Sequence[Cells]) -> Iterable[object]:
        for cell in map(pick, rows):
            label = None if cell is None else form(cell)
            yield UNSET if label is None else label

    return fill


def etags(at: int) -> Fill:
    """Return the fill of ``@odata.etag``; ``at`` is where the versions stand."""
    pick = itemgetter(at)
    return lambda rows: [f'W/"{version}"' for version in map(pick, rows)]


def constant(value: object) -> Fill:
    """Return the fill of a property that is the same in every row."""
    return lambda rows: [value] * len(rows)


def of_target(
    at: int, beside: int | None, table: str, known: Callable[[str, str], str | None]
) -> Fill:
    """Return the fill of an annotation of a lookup, which follows from what it points to.

    :param beside: where the target's table stands; None in a lookup with one target, ``table``
    :param known: returns the annotation for a table and an id; None where there is none
    """
    pick = itemgetter(at)
    other = None if beside is None else itemgetter(beside)

    def fill(rows: Sequence[Cells]) -> Iterable[object]:
        for row in rows:
            target = pick(row)
            if target is None:
                yield UNSET
                continue
            found = known(str(other(row)) if other else table, str(target))
            yield UNSET if found is None else found

    return fill


def _fixed(step: Decimal, cell: Cell) -> object:
    """Return a number with all its decimal places, and never with an exponent."""
    amount = cell if type(cell) is Decimal else Decimal(str(cell))
    shown = _EXACT.quantize(amount, step)
    return shown if shown.adjusted() >= _SMALL else Raw(f"{shown:f}".encode())


_FIXED: Final = frozenset({ColumnType.DECIMAL, ColumnType.MONEY})
_WALL: Final = DateBehavior.TIME_ZONE_INDEPENDENT
