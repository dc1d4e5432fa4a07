"""The filter algebra as SQL.

Invariant: on every row the SQL is true, false or NULL exactly where
:func:`holdfast.filters.predicate` is true, false or None. Values are bound; a column is always
written ``t."name"``, because SQLite takes an unknown ``"name"`` alone for a text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, TypeAlias

from holdfast.contracts import Order
from holdfast.errors import StorageError
from holdfast.filters import (
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
)
from holdfast.schema import Kind, is_identifier
from holdfast.values import Cell
from holdfast_sqlite._cells import comparand, compared, decimal_text

Parameters: TypeAlias = list[str | int | float | None]

_SQL: Final = {
    Comparison.EQ: "=",
    Comparison.NE: "IS NOT",  # true when exactly one side is null
    Comparison.GT: ">",
    Comparison.GE: ">=",
    Comparison.LT: "<",
    Comparison.LE: "<=",
}
_NUMBERS: Final = frozenset({Kind.INTEGER, Kind.REAL, Kind.BOOLEAN})
_TEXTS: Final = frozenset({Kind.TEXT, Kind.KEY, Kind.DATETIME})
_BOUND_ONE_BY_ONE: Final = 100
_DEEPEST: Final = 16  # SQLite's parser has a stack of 100 entries
_MOST_PARTS: Final = 500  # it allows an expression of 1000 levels, and a chain of ANDs is one
_CHAIN: Final = 250
_INT64: Final = 2**63
_EXACT_FLOAT: Final = 2**53


def quoted(name: str) -> str:
    """Return an identifier as SQL.

    :raises StorageError: it is no identifier; nothing else may reach the text of a statement
    """
    if not is_identifier(name):
        raise StorageError(f"{name!r} cannot be the name of a table or column")
    return f'"{name}"'


def column_sql(name: str) -> str:
    """Return a column of the table that a statement calls ``t``."""
    return f"t.{quoted(name)}"


def is_understood(expression: Expression) -> bool:
    """Tell whether :func:`render` says exactly this; what is huge or odd is left to the engine."""
    return _size(expression, _DEEPEST) <= _MOST_PARTS and _understood(expression)


def _size(expression: Expression, depth: int) -> int:
    """Count the parts; too deep counts as too many."""
    match expression:
        case And(parts) | Or(parts):
            below: Sequence[Expression] = parts
        case Not(part):
            below = (part,)
        case _:
            return 1
    if depth == 0:
        return _MOST_PARTS + 1
    return 1 + sum(_size(part, depth - 1) for part in below)


def _understood(expression: Expression) -> bool:
    match expression:
        case And(parts) | Or(parts):
            return all(_understood(part) for part in parts)
        case Not(part):
            return _understood(part)
        case IsNull():
            return True
        case Compare(_, ColumnRef(_, kind), ColumnRef(_, other)):
            return kind is other or {kind, other} <= _NUMBERS
        case Compare(_, ColumnRef(_, kind), Literal(cell)) | Compare(
            _, Literal(cell), ColumnRef(_, kind)
        ):
            return _fits(kind, cell)
        case Like(ColumnRef(_, kind), pattern):
            return kind in _TEXTS and _fits(Kind.TEXT, pattern)
        case In(ColumnRef(_, kind), cells):
            few = len(cells) <= _BOUND_ONE_BY_ONE
            # As JSON a float would go through SQLite's own reading of digits.
            return (few or kind is not Kind.REAL) and all(_fits(kind, cell) for cell in cells)
        case _:
            return False


def _fits(kind: Kind, cell: Cell) -> bool:
    """Tell whether a cell is of the kind and can be bound without loss."""
    if cell is None:
        return True
    if kind in _TEXTS:
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


def render(expression: Expression, parameters: Parameters) -> str:
    """Return the condition; what it binds is appended to ``parameters`` in order.

    :raises StorageError: the expression holds a ``Call``, which only the engine evaluates
    """
    match expression:
        case And(parts):
            return _joined(parts, " AND ", "1", parameters)
        case Or(parts):
            return _joined(parts, " OR ", "0", parameters)
        case Not(part):
            return f"NOT ({render(part, parameters)})"
        case IsNull(column, negated):
            return f"{column_sql(column.name)} IS {'NOT NULL' if negated else 'NULL'}"
        case Compare():
            return _compare(expression, parameters)
        case Like(column, pattern, negated):
            parameters.append(pattern)
            test = f"holdfast_like({column_sql(column.name)}, ?)"
            return _negated(column, test) if negated else test
        case In(column, cells, negated):
            return _in(column, cells, parameters, negated=negated)
        case Call(name):
            raise StorageError(f"the function {name} cannot run in SQLite; the engine evaluates it")
        case _:
            raise StorageError(f"{type(expression).__name__} cannot run in SQLite")


def order(by: Order) -> str:
    """Return a sort term; SQLite puts nulls where the contract wants them."""
    term = compared(by.field.kind, column_sql(by.field.name))
    return f"{term} DESC" if by.descending else term


def _joined(parts: Sequence[Expression], word: str, empty: str, parameters: Parameters) -> str:
    if not parts:
        return empty
    if len(parts) > _CHAIN:
        groups = [parts[at : at + _CHAIN] for at in range(0, len(parts), _CHAIN)]
        whole = word.join(_joined(group, word, empty, parameters) for group in groups)
    else:
        whole = word.join(render(part, parameters) for part in parts)
    return f"({whole})"


def _compare(expression: Compare, parameters: Parameters) -> str:
    sides = (expression.left, expression.right)
    kind = next(side.kind for side in sides if isinstance(side, ColumnRef))
    left, right = (_operand(side, kind, parameters) for side in sides)
    return f"{left} {_SQL[expression.operator]} {right}"


def _operand(side: Operand, kind: Kind, parameters: Parameters) -> str:
    if isinstance(side, ColumnRef):
        return compared(kind, column_sql(side.name))
    parameters.append(comparand(kind, side.cell))
    return "?"


def _in(column: ColumnRef, cells: Sequence[Cell], parameters: Parameters, *, negated: bool) -> str:
    wanted = [comparand(column.kind, cell) for cell in cells if cell is not None]
    if not wanted:
        # SQLite: NULL IN () is false. The algebra: null compared with anything is unknown.
        return "1" if negated else f"({column_sql(column.name)} IS NULL AND NULL)"
    if len(wanted) <= _BOUND_ONE_BY_ONE:
        parameters.extend(wanted)
        among = ", ".join("?" * len(wanted))
    else:
        parameters.append(json.dumps(wanted, ensure_ascii=False))
        among = "SELECT j.value FROM json_each(?) AS j"
    test = f"{compared(column.kind, column_sql(column.name))} IN ({among})"
    return _negated(column, test) if negated else test


def _negated(column: ColumnRef, test: str) -> str:
    return f"({column_sql(column.name)} IS NULL OR NOT {test})"
