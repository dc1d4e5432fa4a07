"""Literals: the cell that a token means for a column, and the text of a cell.

Invariant: a literal takes its type from the column that it is compared with; one that does not fit
is refused, never converted into something that compares otherwise.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from holdfast.schema import Column, ColumnType, DateBehavior, Kind
from holdfast.values import Cell, canonical_id, choices_cell, parse_datetime_cell
from holdfast_odata._refusals import Refusal

#: Digits on either side of the point; Dataverse's widest number has 19 in all.
_DIGITS: Final = 28
_INT64: Final = 2**63
_PLAIN_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Written:
    """A literal as it stands in the filter; ``type`` is that of its token."""

    type: str
    text: str
    position: int


def unquoted(literal: Written) -> str:
    """Return the text of a quoted literal.

    :raises Refusal: a JSON text has a mistake in it
    """
    if literal.type == "TEXT":
        return literal.text[1:-1].replace("''", "'")
    try:
        text = str(json.loads(literal.text))
        text.encode()
    except ValueError as error:
        raise Refusal("the double-quoted text is no valid JSON", literal.position) from error
    return text


def cell_of(column: Column, literal: Written) -> Cell:
    """Return the cell that the literal means for this column; null is not for here.

    :raises Refusal: it does not fit
    """
    types, convert, expected = _rule(column)
    if literal.type in types:
        text = unquoted(literal) if literal.type == "TEXT" else literal.text
        try:
            return convert(column, text)
        except (ValueError, ArithmeticError):
            pass
    found = literal.text if len(literal.text) <= 60 else f"{literal.text[:60]}…"
    raise Refusal(
        f"found {found} for column {column.name!r}, expected {expected}", literal.position
    )


def plain_text(literal: Written) -> str:
    """Return what stands in the quotes, or all of it where there are none."""
    return unquoted(literal) if literal.type in ("TEXT", "JSON") else literal.text


def listed_cell_of(column: Column, literal: Written) -> Cell:
    """Return the cell of a member of ``PropertyValues``, where a quoted number is a number."""
    _, convert, expected = _rule(column)
    text = plain_text(literal)
    if column.kind is Kind.BOOLEAN:  # as FetchXML has them
        text = {"1": "true", "0": "false"}.get(text, text.lower())
    try:
        return convert(column, text)
    except (ValueError, ArithmeticError) as error:
        message = f"found {text[:60]!r} for column {column.name!r}, expected {expected}"
        raise Refusal(message, literal.position) from error


def text_of(column: Column, cell: Cell) -> str:
    """Return how the cell is written in ``PropertyValues``, without quotes.

    :raises ValueError: it is no cell of this column
    """
    text = str(cell).lower() if isinstance(cell, bool) else str(cell)
    if column.kind is Kind.DATETIME:
        text = text.removesuffix("Z") + "Z"
    if not _means(column, text, cell):
        expected = _rule(column)[2]
        raise ValueError(f"found {cell!r} for column {column.name!r}, expected {expected}")
    # With an exponent, the server would read an inexact double.
    return f"{cell:f}" if isinstance(cell, Decimal) else text


def _means(column: Column, text: str, cell: Cell) -> bool:
    """Tell whether the text reads as this very cell, so that nothing else is ever written."""
    if isinstance(cell, str) is not (column.kind in _TEXTUAL):
        return False
    if isinstance(cell, bool) is not (column.kind is Kind.BOOLEAN):
        return False
    try:
        return _rule(column)[1](column, text) == cell
    except (ValueError, ArithmeticError):
        return False


def literal_of(column: Column, cell: Cell) -> str:
    """Return how the cell is written beside an operator.

    :raises ValueError: it is no cell of this column
    """
    text = text_of(column, cell)
    textual = column.kind is Kind.TEXT or column.type is ColumnType.CHOICES
    return quoted(text) if textual else text


def quoted(text: str) -> str:
    """Return a text literal."""
    return "'" + text.replace("'", "''") + "'"


def _text(_: Column, text: str) -> Cell:
    text.encode()  # a lone surrogate is a ValueError
    return text


def _number(text: str) -> Decimal:
    """Return the number; Python's other spellings (``1_0``, ``NaN``) are none."""
    if not _PLAIN_NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _integer(_: Column, text: str) -> Cell:
    number = _number(text)
    # The range comes first: int() of 1E999999999 would fill the memory.
    if not -_INT64 <= number < _INT64 or number != number.to_integral_value():
        raise ValueError(text)
    return int(number)


def _decimal(_: Column, text: str) -> Cell:
    number = _number(text)
    exponent = number.as_tuple().exponent
    if number.adjusted() > _DIGITS or not isinstance(exponent, int) or exponent < -_DIGITS:
        raise ValueError(text)
    return number


def _double(_: Column, text: str) -> Cell:
    number = float(_number(text))
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _boolean(_: Column, text: str) -> Cell:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _id(_: Column, text: str) -> Cell:
    return canonical_id(text)


def _options(_: Column, text: str) -> Cell:
    return choices_cell(int(str(_integer(_, part.strip()))) for part in text.split(","))


def _never(_: Column, text: str) -> Cell:
    raise ValueError(text)


_Converter = Callable[[Column, str], Cell]
_Rule = tuple[tuple[str, ...], _Converter, str]
_NUMBER: Final = ("NUMBER",)
_TEXTUAL: Final = frozenset({Kind.TEXT, Kind.KEY, Kind.DATETIME})

_RULES: Final[Mapping[Kind, _Rule]] = {
    Kind.TEXT: (("TEXT",), _text, "a text in single quotes"),
    Kind.INTEGER: (_NUMBER, _integer, "a whole number"),
    Kind.DECIMAL: (_NUMBER, _decimal, "a decimal number"),
    Kind.REAL: (_NUMBER, _double, "a number"),
    Kind.BOOLEAN: (("BOOLEAN",), _boolean, "true or false"),
    Kind.KEY: (("GUID", "TEXT"), _id, "an id such as 7eb682f1-ca75-e511-80d4-00155d2a68d1"),
    Kind.DATETIME: (
        ("DATETIME", "DATE"),
        parse_datetime_cell,
        "a time such as 2026-03-31T08:00:00Z, without quotes",
    ),
}
_DATE: Final[_Rule] = (("DATE",), parse_datetime_cell, "a date such as 2026-03-31, without quotes")
_CHOICES: Final[_Rule] = (("TEXT",), _options, "options such as '1,2'")
_FILE: Final[_Rule] = ((), _never, "null: what a file holds is not compared")


def _rule(column: Column) -> _Rule:
    if column.type is ColumnType.CHOICES:
        return _CHOICES
    if column.type in (ColumnType.FILE, ColumnType.IMAGE):
        return _FILE
    if column.type is ColumnType.DATETIME and column.behavior is DateBehavior.DATE_ONLY:
        return _DATE
    return _RULES[column.kind]
