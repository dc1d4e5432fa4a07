"""Literals of ``$filter`` and what they may be compared with.

Invariant: a literal meets a column of its own type, or is refused in the words of the OData library
that Dataverse uses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from holdfast.schema import ColumnType, DateBehavior
from holdfast.values import Cell, canonical_id, choices_cell, instant_cell, wall_cell
from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault
from holdfast_emulator.behaviour.metadata import ColumnDefinition
from holdfast_emulator.queries.conditions import Operator
from holdfast_emulator.queries.odata.tokens import Mark, Token, number

_KINDS: Final[Mapping[Operator, str]] = {
    Operator.EQ: "Equal",
    Operator.NE: "NotEqual",
    Operator.GT: "GreaterThan",
    Operator.GE: "GreaterThanOrEqual",
    Operator.LT: "LessThan",
    Operator.LE: "LessThanOrEqual",
}
_TYPES: Final[Mapping[ColumnType, str]] = {
    ColumnType.INTEGER: "Edm.Int32",
    ColumnType.BIGINT: "Edm.Int64",
    ColumnType.CHOICE: "Edm.Int32",
    ColumnType.STATE: "Edm.Int32",
    ColumnType.STATUS: "Edm.Int32",
    ColumnType.DECIMAL: "Edm.Decimal",
    ColumnType.MONEY: "Edm.Decimal",
    ColumnType.DOUBLE: "Edm.Double",
    ColumnType.BOOLEAN: "Edm.Boolean",
    ColumnType.UNIQUEIDENTIFIER: "Edm.Guid",
    ColumnType.LOOKUP: "Edm.Guid",
    ColumnType.FILE: "Edm.Guid",
    ColumnType.IMAGE: "Edm.Binary",
}
_LITERAL_TYPES: Final[Mapping[Mark, str]] = {
    Mark.GUID: "Edm.Guid",
    Mark.DATETIME: "Edm.DateTimeOffset",
    Mark.DATE: "Edm.Date",
    Mark.TIME: "Edm.TimeOfDay",
    Mark.STRING: "Edm.String",
    Mark.NAME: "Edm.Boolean",
}
_OPTIONS: Final = re.compile(r"[0-9 ,-]*")
_INT32: Final = 2**31


def edm_type(column: ColumnDefinition) -> str:
    """Return the name of a column's type."""
    if column.type is ColumnType.DATETIME:
        day = column.behavior is DateBehavior.DATE_ONLY
        return "Edm.Date" if day else "Edm.DateTimeOffset"
    return _TYPES.get(column.type, "Edm.String")


def incompatible(left: str, right: str, operator: Operator) -> DataverseFault:
    """Refuse to compare two types."""
    return DataverseFault(
        400,
        BAD_QUERY,
        "A binary operator with incompatible types was detected. Found operand types "
        f"'{left}' and '{right}' for operator kind '{_KINDS[operator]}'.",
    )


def cell_of(column: ColumnDefinition, token: Token, operator: Operator) -> Cell:
    """Return the cell that a literal stands for beside a column.

    :raises DataverseFault: it cannot be compared with the column
    """
    make = _CELLS.get(edm_type(column))
    cell = make(column, token) if make and column.type is not ColumnType.FILE else None
    if cell is None:
        raise incompatible(edm_type(column), _literal_type(token), operator)
    return cell


def _literal_type(token: Token) -> str:
    if token.mark is Mark.NUMBER:
        whole = token.text.lstrip("+-").isdigit()
        small = whole and len(token.text) <= 11 and abs(int(token.text)) < _INT32
        return "Edm.Int32" if small else "Edm.Int64" if whole else "Edm.Double"
    if token.mark is Mark.ENUM:
        return token.text.partition("'")[0]
    return _LITERAL_TYPES.get(token.mark, "Edm.String")


def _string(column: ColumnDefinition, token: Token) -> Cell:
    if token.mark is not Mark.STRING:
        return None
    if column.type is ColumnType.CHOICES and token.string and _OPTIONS.fullmatch(token.string):
        parts = token.string.split(",")
        plain = all(re.fullmatch(r" *-?[0-9]{1,19} *", part) for part in parts)
        return choices_cell(int(part) for part in parts) if plain else token.string
    return token.string


def _number(_: ColumnDefinition, token: Token) -> Cell:
    if token.mark is not Mark.NUMBER:
        return None
    exact = number(token.text)
    if isinstance(exact, Decimal) and exact == exact.to_integral_value() and abs(exact) < _INT32:
        return int(exact)
    return exact


def _decimal(column: ColumnDefinition, token: Token) -> Cell:
    found = _number(column, token)
    return None if found is None else Decimal(str(found))


def _double(column: ColumnDefinition, token: Token) -> Cell:
    found = _number(column, token)
    near = None if found is None else float(str(found))
    return near if near is None or math.isfinite(near) else None


def _boolean(_: ColumnDefinition, token: Token) -> Cell:
    return token.text == "true" if token.text in ("true", "false") else None


def _id(_: ColumnDefinition, token: Token) -> Cell:
    text = token.string if token.mark is Mark.STRING else token.text
    try:
        return canonical_id(text) if token.mark in (Mark.STRING, Mark.GUID) else None
    except ValueError:
        return None


def _date(_: ColumnDefinition, token: Token) -> Cell:
    if token.mark is not Mark.DATE:
        return None
    return _moment(token).date().isoformat()


def _instant(column: ColumnDefinition, token: Token) -> Cell:
    if token.mark not in (Mark.DATE, Mark.DATETIME):
        return None
    moment = _moment(token)
    if token.mark is Mark.DATETIME and moment.tzinfo is None:
        raise _unreadable(token)
    if column.behavior is DateBehavior.TIME_ZONE_INDEPENDENT:
        return wall_cell(moment.replace(tzinfo=None))
    try:
        return instant_cell(moment)
    except ValueError:
        raise _unreadable(token) from None


def _moment(token: Token) -> datetime:
    try:
        return datetime.fromisoformat(token.text.upper())
    except ValueError:
        raise _unreadable(token) from None


def _unreadable(token: Token) -> DataverseFault:
    return DataverseFault(
        400,
        BAD_QUERY,
        f"Unrecognized '{_literal_type(token)}' literal '{token.text[:60]}' at '{token.at}'.",
    )


_CELLS: Final[Mapping[str, Callable[[ColumnDefinition, Token], Cell]]] = {
    "Edm.String": _string,
    "Edm.Int32": _number,
    "Edm.Int64": _number,
    "Edm.Decimal": _decimal,
    "Edm.Double": _double,
    "Edm.Boolean": _boolean,
    "Edm.Guid": _id,
    "Edm.Date": _date,
    "Edm.DateTimeOffset": _instant,
}
