"""Formatted values: cells as an American user reads them.

Invariant: a formatted value is for people; it depends on the column and the cell alone.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from holdfast.schema import ColumnType, DateBehavior
from holdfast.values import Cell
from holdfast_emulator.behaviour.metadata import ColumnDefinition

Format: TypeAlias = Callable[[Cell], str | None]


def formatter(column: ColumnDefinition) -> Format | None:
    """Return what formats the cells of a column; None where Dataverse does not."""
    match column.type:
        case ColumnType.CHOICE | ColumnType.STATE | ColumnType.STATUS | ColumnType.BOOLEAN:
            return _label(column)
        case ColumnType.CHOICES:
            return _labels(column)
        case ColumnType.MONEY:
            return lambda cell: f"${Decimal(str(cell)):,.2f}"
        case ColumnType.DECIMAL | ColumnType.DOUBLE:
            return lambda cell: f"{Decimal(str(cell)):,.{column.precision or 2}f}"
        case ColumnType.INTEGER | ColumnType.BIGINT:
            return lambda cell: f"{cell:,}"
        case ColumnType.DATETIME:
            return _date if _is_day(column) else _moment
        case _:
            return None


def _label(column: ColumnDefinition) -> Format:
    labels = {option.value: option.label for option in column.options}
    return lambda cell: labels.get(int(cell)) if isinstance(cell, int) else None


def _labels(column: ColumnDefinition) -> Format:
    labels = {str(option.value): option.label for option in column.options}
    return lambda cell: "; ".join(labels.get(part, part) for part in str(cell).split(","))


def _is_day(column: ColumnDefinition) -> bool:
    return column.behavior is DateBehavior.DATE_ONLY or column.format == "DateOnly"


def _date(cell: Cell) -> str:
    text = str(cell)
    return f"{_UNPADDED[text[5:7]]}/{_UNPADDED[text[8:10]]}/{text[:4]}"


def _moment(cell: Cell) -> str:
    text = str(cell)
    hour, half = _HOURS[text[11:13]]
    return f"{_date(text)} {hour}:{text[14:16]} {half}"


#: Cells have one form, and a page has ten thousand of them: they are cut, not parsed.
_UNPADDED: Final = {f"{number:02}": str(number) for number in range(1, 32)}
_HOURS: Final = {
    f"{hour:02}": (str(hour % 12 or 12), "AM" if hour < 12 else "PM") for hour in range(24)
}
