"""Operands: the cell that a text means for a column, and the text of a cell.

Invariant: a text takes its type from the column it is compared with; one that does not fit is
refused, never converted into something that compares otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from holdfast.filters import Literal
from holdfast.schema import Column, ColumnType, DateBehavior, Kind
from holdfast.values import Cell, canonical_id, choices_cell, parse_datetime_cell, wall_cell

_WHOLE: Final = re.compile(r"\s*[+-]?[0-9]{1,19}\s*\Z")
_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?\s*\Z")
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
_INT64: Final = 2**63
#: Digits on either side of the point; Dataverse's widest number has 19 in all.
_DIGITS: Final = 28
#: The most hours, days … that an operator counts, and the highest year.
MOST_UNITS: Final = 2**31 - 1


def literal_of(column: Column, text: str) -> Literal:
    """Return the operand that a text means.

    A time without a zone is read off the clock of who asks, where the column keeps instants.

    :raises ValueError: it means none; the text says what was expected
    """
    if column.type is ColumnType.DATETIME and column.behavior is DateBehavior.USER_LOCAL:
        moment = _moment(text)
        if moment.tzinfo is None:
            return Literal(wall_cell(moment), local=True)
    return Literal(cell_of(column, text))


def cell_of(column: Column, text: str) -> Cell:
    """Return the cell that a text means; a time without a zone is in UTC.

    :raises ValueError: it means none; the text says what was expected
    """
    convert, expected = _RULES.get(column.type, _TEXT)
    try:
        return convert(column, text)
    except (ValueError, ArithmeticError):
        raise ValueError(f"expected {expected}") from None


def text_of(column: Column, literal: Literal) -> str:
    """Return a text that means this very operand.

    :raises ValueError: there is none
    """
    cell = literal.cell
    if isinstance(cell, bool):
        text = str(int(cell))
    elif isinstance(cell, Decimal):
        text = f"{cell:f}"
    else:
        text = str(cell)
    zoned = column.type is ColumnType.DATETIME and column.behavior is DateBehavior.USER_LOCAL
    if zoned and not literal.local:
        text = text.removesuffix("Z") + "Z"
    try:
        same = _alike(column, literal_of(column, text), literal)
    except ValueError:
        same = False
    if not same:
        raise ValueError(f"found {cell!r} for column {column.name!r}, which cannot hold it")
    return text


def _alike(column: Column, one: Literal, other: Literal) -> bool:
    if isinstance(one.cell, bool) is not isinstance(other.cell, bool) or one.local != other.local:
        return False
    if isinstance(one.cell, str) is not isinstance(other.cell, str):
        return False
    if column.kind is Kind.DATETIME:
        return str(one.cell).removesuffix("Z") == str(other.cell).removesuffix("Z")
    return one.cell == other.cell


def count_of(text: str, least: int) -> int:
    """Return the whole number that an operator counts with.

    :raises ValueError: it is none; the text says what was expected
    """
    number = int(text) if _WHOLE.match(text) else -1
    if not least <= number <= MOST_UNITS:
        raise ValueError(f"expected a whole number from {least} to {MOST_UNITS}")
    return number


def day_of(column: Column, text: str) -> str:
    """Return the day that a text means, as text.

    :raises ValueError: it means none, or which day it is depends on where one is
    """
    moment = _moment(text)
    if moment.tzinfo is not None and column.behavior is DateBehavior.USER_LOCAL:
        raise ValueError("expected a day without a time zone, such as 2024-01-31")
    return moment.date().isoformat()


def options_of(text: str) -> tuple[int, ...]:
    """Return the options that one operand of a multi-select names.

    :raises ValueError: it names none; the text says what was expected
    """
    parts = text.split(",")
    if not all(_WHOLE.match(part) for part in parts):
        raise ValueError("expected whole numbers of options")
    return tuple(_integer(part) for part in parts)


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"expected {_RULES[ColumnType.DATETIME][1]}") from None


def _integer(text: str) -> int:
    number = int(text) if _WHOLE.match(text) else _INT64
    if not -_INT64 <= number < _INT64:
        raise ValueError(text)
    return number


def _decimal(text: str) -> Decimal:
    """Return the number; Python's other spellings (``1_0``, ``NaN``) are none."""
    if not _NUMBER.match(text):
        raise ValueError(text)
    number = Decimal(text.strip())
    exponent = number.as_tuple().exponent
    if number.adjusted() > _DIGITS or not isinstance(exponent, int) or exponent < -_DIGITS:
        raise ValueError(text)
    return number


def _double(text: str) -> float:
    number = float(text) if _NUMBER.match(text) else math.inf
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _boolean(text: str) -> bool:
    found = _BOOLEANS.get(text.strip().lower())
    if found is None:
        raise ValueError(text)
    return found


_Rule = tuple[Callable[[Column, str], Cell], str]
_TEXT: Final[_Rule] = (lambda _, text: text, "text")
_INTEGER: Final[_Rule] = (lambda _, text: _integer(text), "a whole number of at most 64 bits")
_EXACT: Final[_Rule] = (lambda _, text: _decimal(text), "a number such as 12.5")
_ID: Final[_Rule] = (lambda _, text: canonical_id(text.strip()), "an id")
_RULES: Final[Mapping[ColumnType, _Rule]] = {
    ColumnType.INTEGER: _INTEGER,
    ColumnType.BIGINT: _INTEGER,
    ColumnType.CHOICE: (_INTEGER[0], "the whole number of an option"),
    ColumnType.STATE: (_INTEGER[0], "the whole number of a state"),
    ColumnType.STATUS: (_INTEGER[0], "the whole number of a status reason"),
    ColumnType.DECIMAL: _EXACT,
    ColumnType.MONEY: _EXACT,
    ColumnType.DOUBLE: (lambda _, text: _double(text), "a number such as 12.5"),
    ColumnType.BOOLEAN: (lambda _, text: _boolean(text), "true, false, 1 or 0"),
    ColumnType.CHOICES: (lambda _, text: choices_cell(options_of(text)), "numbers of options"),
    ColumnType.UNIQUEIDENTIFIER: _ID,
    ColumnType.LOOKUP: _ID,
    ColumnType.DATETIME: (
        lambda column, text: parse_datetime_cell(column, text.strip()),
        "a date such as 2024-01-31, or a time such as 2024-01-31T08:00Z",
    ),
}
