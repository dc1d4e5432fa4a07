"""Which expressions are run here: those whose SQL says exactly the same.

Invariant: what is understood is bounded in depth and size, so that SQLite's own limits are never
met, also when the engine joins many of such expressions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from holdfast.errors import StorageError
from holdfast.filters import (
    And,
    ColumnRef,
    Compare,
    Expression,
    HasOption,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Related,
)
from holdfast.schema import Kind, is_identifier
from holdfast.values import Cell
from holdfast_sqlite._cells import decimal_text
from holdfast_sqlite._layouts import StoredTable

TEXTS: Final = frozenset({Kind.TEXT, Kind.KEY, Kind.DATETIME})
#: More cells than these are handed over as JSON.
BOUND_ONE_BY_ONE: Final = 100
_NUMBERS: Final = frozenset({Kind.INTEGER, Kind.REAL, Kind.BOOLEAN})
_DEEPEST: Final = 16  # SQLite's parser has a stack of 100 entries
_DEEP_LINK: Final = 3  # of which a subquery takes as many as three parentheses
_MOST_PARTS: Final = 500  # it allows an expression of 1000 levels, and a chain of ANDs is one
_INT64: Final = 2**63
_EXACT_FLOAT: Final = 2**53


def is_understood(expression: Expression, tables: Mapping[str, StoredTable]) -> bool:
    """Tell whether the SQL says exactly this; what is huge or odd is left to the engine.

    :param tables: those that a link may lead to
    """
    return _size(expression, _DEEPEST) <= _MOST_PARTS and _understood(expression, tables)


def is_int64(number: object) -> bool:
    """Tell whether it is a whole number that SQLite can hold."""
    return isinstance(number, int) and -_INT64 <= number < _INT64


def comparable_kinds(one: Kind, other: Kind) -> bool:
    """Tell whether columns of these kinds compare in SQL as they do in Python."""
    return one is other or {one, other} <= _NUMBERS


def _size(expression: Expression, depth: int) -> int:
    """Count the parts; too deep counts as too many."""
    cost = 1
    match expression:
        case And(parts) | Or(parts):
            below: Sequence[Expression] = parts
        case Not(part):
            below = (part,)
        case Related(where=part):
            below, cost = (part,), _DEEP_LINK
        case HasOption(_, options):
            return len(options) + 1
        case _:
            return 1
    if depth < cost:
        return _MOST_PARTS + 1
    return 1 + sum(_size(part, depth - cost) for part in below)


def _understood(expression: Expression, tables: Mapping[str, StoredTable]) -> bool:
    match expression:
        case And(parts) | Or(parts):
            return all(_understood(part, tables) for part in parts)
        case Not(part):
            return _understood(part, tables)
        case Related():
            return _links(expression, tables) and _understood(expression.where, tables)
        case IsNull():
            return True
        case Compare(_, ColumnRef(_, kind), ColumnRef(_, other)):
            return comparable_kinds(kind, other)
        case Compare(_, ColumnRef(_, kind), Literal(cell, local=False)) | Compare(
            _, Literal(cell, local=False), ColumnRef(_, kind)
        ):
            return _fits(kind, cell)
        case Like(ColumnRef(_, kind), pattern):
            return kind in TEXTS and _fits(Kind.TEXT, pattern)
        case In(ColumnRef(_, kind), cells):
            few = len(cells) <= BOUND_ONE_BY_ONE
            # As JSON a float would go through SQLite's own reading of digits.
            return (few or kind is not Kind.REAL) and all(_fits(kind, cell) for cell in cells)
        case HasOption(ColumnRef(_, kind), options):
            return kind in TEXTS and all(map(is_int64, options))
        case _:
            return False


def _links(link: Related, tables: Mapping[str, StoredTable]) -> bool:
    table = tables.get(link.table)
    if table is None or not is_identifier(link.table):
        return False
    there = table.fields.get(link.field.name)
    return there is not None and comparable_kinds(link.field.kind, link.own.kind)


def _fits(kind: Kind, cell: Cell) -> bool:
    """Tell whether a cell is of the kind and can be bound without loss."""
    if cell is None:
        return True
    if kind in TEXTS:
        return isinstance(cell, str) and _is_plain(cell)
    if kind is Kind.DECIMAL:
        return isinstance(cell, Decimal | int) and _is_sane(cell)
    if kind is Kind.REAL and isinstance(cell, float):
        return math.isfinite(cell)
    bound = _EXACT_FLOAT if kind is Kind.REAL else _INT64
    return isinstance(cell, int) and -bound <= cell < bound


def _is_plain(text: str) -> bool:
    """Tell whether text survives JSON inside SQLite: no NUL, no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _is_sane(number: Decimal | int) -> bool:
    try:
        decimal_text(number)
    except StorageError:
        return False
    return True
