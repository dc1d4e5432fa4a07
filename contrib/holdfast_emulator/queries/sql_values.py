"""Cells in a scratch database and back, and constants as SQL has them.

Invariant: what a column holds in the scratch database compares as the column does: texts without
case, numbers as numbers, dates in their canonical form. Exact numbers are binary there, and are
rounded to the column's precision when they come back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from holdfast.schema import ColumnType, DateBehavior
from holdfast.values import Cell, canonical_id
from holdfast_emulator.behaviour.faults import INVALID_ARGUMENT, DataverseFault
from holdfast_emulator.behaviour.metadata import ColumnDefinition
from holdfast_emulator.behaviour.validation import round_exact

_WHOLE: Final = frozenset(
    {
        *(ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.CHOICE),
        *(ColumnType.STATE, ColumnType.STATUS, ColumnType.BOOLEAN),
    }
)
_EXACT: Final = frozenset({ColumnType.DECIMAL, ColumnType.MONEY})
_IDS: Final = frozenset({ColumnType.LOOKUP, ColumnType.UNIQUEIDENTIFIER, ColumnType.FILE})
_TEXTS: Final = frozenset({ColumnType.STRING, ColumnType.MEMO, ColumnType.ENTITY_NAME})
_AVERAGE_DIGITS: Final = 10
_TRUTHS: Final = {"true": "1", "false": "0"}


def declared(column: ColumnDefinition, collation: str) -> str:
    """Return a column of the scratch table."""
    kind = "real" if column.type in _EXACT or column.type is ColumnType.DOUBLE else "text"
    kind = "integer" if column.type in _WHOLE else kind
    collated = f" collate {collation}" if column.type in _TEXTS else ""
    return f'"{column.name}" {kind}{collated}'


def stored(cell: Cell) -> str | int | float | None:
    """Return a cell as the scratch database keeps it."""
    return float(cell) if isinstance(cell, Decimal) else cell


def result(column: ColumnDefinition | None, function: str | None) -> Callable[[object], Cell]:
    """Return what makes a value of the scratch database a cell again."""
    if column is None or function == "count":
        return _same
    if column.type is ColumnType.BOOLEAN:
        return bool
    if column.type in _EXACT:
        digits = _AVERAGE_DIGITS if function == "avg" else column.precision
        return lambda value: round_exact(Decimal(repr(value)), digits)
    if function == "avg" and column.type in _WHOLE:
        return lambda value: int(float(str(value)))  # as SQL Server does, towards zero
    return _same


def _same(value: object) -> Cell:
    assert isinstance(value, str | int | float)
    return value


def sql_constant(text: str, column: ColumnDefinition) -> str:
    """Return a constant as SQL that compares with a column.

    :raises DataverseFault: 400, it cannot
    """
    try:
        if column.type in _WHOLE:
            return str(int(_TRUTHS.get(text.lower(), text))) if len(text) < 20 else _number(text)
        if column.type in _EXACT or column.type is ColumnType.DOUBLE:
            return _number(text)
        if column.type is ColumnType.DATETIME:
            return _quoted(_moment(text, column))
        if column.type in _IDS:
            return _quoted(_id(text))
        return _quoted(text)
    except (ValueError, InvalidOperation, OverflowError):
        raise DataverseFault(
            400,
            INVALID_ARGUMENT,
            f"Invalid SQL query. Conversion failed when converting the value '{text[:100]}' for "
            f"the column '{column.name}'.",
        ) from None


def _number(text: str) -> str:
    number = float(Decimal(text))
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124  not a number
        raise ValueError(text)
    return repr(number)


def _id(text: str) -> str:
    try:
        return canonical_id(text)
    except ValueError:
        return text.lower()  # equals no id


def _moment(text: str, column: ColumnDefinition) -> str:
    moment = datetime.fromisoformat(text)
    if column.behavior is DateBehavior.DATE_ONLY:
        return moment.date().isoformat()
    if column.behavior is DateBehavior.USER_LOCAL and moment.tzinfo:
        moment = moment.astimezone(UTC)
    written = moment.replace(tzinfo=None, microsecond=0).isoformat()
    return f"{written}Z" if column.behavior is DateBehavior.USER_LOCAL else written


def _quoted(text: str) -> str:
    if "\x00" in text:
        raise ValueError(text)
    return "'" + text.replace("'", "''") + "'"
