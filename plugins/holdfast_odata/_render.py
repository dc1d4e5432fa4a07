"""From the algebra to text.

Invariant: what is written parses to an expression that matches the same rows. ``Not`` is plain
logic and OData's ``not`` is not (it matches null), so none is written for it: a negation goes to
the leaves, with "and not null" where the leaf needs it.
"""

from __future__ import annotations

import json

from holdfast.errors import FilterError
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
    Not,
    Operand,
    Or,
    negate,
)
from holdfast.schema import Column, ColumnType, Kind, TableSchema
from holdfast_odata._columns import odata_name
from holdfast_odata._limits import MAXIMUM_BYTES, MAXIMUM_DEPTH
from holdfast_odata._literals import literal_of, quoted, text_of


def render(expression: Expression, schema: TableSchema, tables: object = None) -> str:
    """Return the text of a filter.

    :raises FilterError: OData cannot say it
    """
    _check_depth(expression)
    settled = _without_not(expression, wanted=True)
    _check_depth(settled)
    try:
        text = _write(settled, schema)
        size = len(text.encode())
    except (ValueError, ArithmeticError) as error:
        raise _cannot(str(error)) from error
    if size > MAXIMUM_BYTES:
        raise _cannot(f"its text has {size} bytes, more than {MAXIMUM_BYTES}; split it")
    return text


def _cannot(message: str) -> FilterError:
    return FilterError("odata", "", f"it cannot be written: {message}")


def _check_depth(expression: Expression) -> None:
    """Refuse what would open more parentheses than are read; a loop, so that any depth can be."""
    waiting = [(expression, 0)]
    while waiting:
        node, parentheses = waiting.pop()
        if parentheses + isinstance(node, Like | In) > MAXIMUM_DEPTH:
            raise _cannot(f"it is nested more than {MAXIMUM_DEPTH} levels deep; simplify it")
        parts = node.parts if isinstance(node, And | Or) else ()
        inner = (node.part,) if isinstance(node, Not) else parts
        waiting.extend((part, parentheses + isinstance(part, And | Or | Not)) for part in inner)


def _without_not(expression: Expression, *, wanted: bool) -> Expression:
    """Return what is true exactly where the expression has the ``wanted`` truth."""
    match expression:
        case Not(part):
            return _without_not(part, wanted=not wanted)
        case And(parts) | Or(parts):
            settled = tuple(_without_not(part, wanted=wanted) for part in parts)
            return And(settled) if isinstance(expression, And) is wanted else Or(settled)
        case _:
            return expression if wanted else _false(expression)


def _false(leaf: Expression) -> Expression:
    """Return what is true exactly where the leaf is false, not where it is unknown."""
    match leaf:
        case Compare(Comparison.EQ, left, right):
            known = (IsNull(o, negated=True) for o in (left, right) if isinstance(o, ColumnRef))
            return And((negate(leaf), *known))
        case Compare(Comparison.NE, ColumnRef() as left, ColumnRef() as right):
            return Or((negate(leaf), And((IsNull(left), IsNull(right)))))
        case Like(column, _, False) | In(column, _, False):
            return And((negate(leaf), IsNull(column, negated=True)))
        case _:
            return negate(leaf)


def _write(expression: Expression, schema: TableSchema) -> str:
    match expression:
        case And(()):
            return f"{schema.primary_id} ne null"
        case Or(()):
            return f"{schema.primary_id} eq null"
        case And(parts):
            return " and ".join(_part(part, schema) for part in parts)
        case Or(parts):
            return " or ".join(_part(part, schema) for part in parts)
        case Compare():
            return _comparison(expression, schema)
        case IsNull(column, negated):
            name = odata_name(_column(schema, column))
            return f"{name} {'ne' if negated else 'eq'} null"
        case Like():
            return _search(expression, schema)
        case In():
            return _membership(expression, schema)
        case Call(name):
            raise _cannot(f"the function {name!r} is not one of OData's")
        case Not():
            raise AssertionError("negations are at the leaves by now")
        case _:
            raise _cannot(f"{type(expression).__name__} is not written yet")


def _part(part: Expression, schema: TableSchema) -> str:
    text = _write(part, schema)
    return f"({text})" if isinstance(part, And | Or) and len(part.parts) > 1 else text


def _column(schema: TableSchema, reference: ColumnRef) -> Column:
    column = schema.column(reference.name)
    if column is None:
        raise _cannot(f"{schema.name} has no column {reference.name!r}")
    if column.kind is not reference.kind:
        raise _cannot(f"{reference.name!r} is compared as {reference.kind.value}")
    return column


def _comparison(expression: Compare, schema: TableSchema) -> str:
    sides = (expression.left, expression.right)
    columns = [_column(schema, side) for side in sides if isinstance(side, ColumnRef)]
    if len({column.kind for column in columns}) != 1:
        raise _cannot("no column is compared, or columns of different kinds are")
    if any(column.type is ColumnType.CHOICES for column in columns):
        raise _cannot("the options of a multi-select are not compared")
    left, right = (_operand(side, columns[0], schema) for side in sides)
    return f"{left} {expression.operator.value} {right}"


def _operand(side: Operand, column: Column, schema: TableSchema) -> str:
    if isinstance(side, ColumnRef):
        return odata_name(_column(schema, side))
    if side.cell is None:
        raise _cannot("a comparison with null is unknown; IsNull says what is meant")
    return literal_of(column, side.cell)


def _search(like: Like, schema: TableSchema) -> str:
    column = _column(schema, like.column)
    if column.kind is not Kind.TEXT:
        raise _cannot(f"a pattern is looked for in {column.name!r}, which is no text")
    function, text = _shape(like.pattern)
    call = f"{function}({column.name},{quoted(text)})"
    return f"not {call}" if like.negated else call


def _shape(pattern: str) -> tuple[str, str]:
    """Return the function whose pattern this is, and its text."""
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "%":
        return "contains", pattern[1:-1]
    if pattern.endswith("%"):
        return "startswith", pattern[:-1]
    if pattern.startswith("%"):
        return "endswith", pattern[1:]
    raise _cannot(f"the pattern {pattern!r} has no '%' at its start or end")


def _membership(expression: In, schema: TableSchema) -> str:
    column = _column(schema, expression.column)
    if column.type is ColumnType.CHOICES:
        raise _cannot("the options of a multi-select are not compared")
    texts = [text_of(column, cell) for cell in expression.cells if cell is not None]
    function = "NotIn" if expression.negated else "In"
    values = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
    return (
        f"Microsoft.Dynamics.CRM.{function}"
        f"(PropertyName={quoted(column.name)},PropertyValues={values})"
    )
