"""Taking plain negation out of an expression.

Invariant: the result has no ``Not`` but around related rows, no null among its operands, and is
true on exactly the rows on which the expression is.
"""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.filters import (
    EVERYTHING,
    And,
    Branch,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    HasOption,
    In,
    InHierarchy,
    IsCaller,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Related,
    Who,
    negate,
)
from holdfast.schema import Kind, TableSchema
from holdfast_fetchxml._expressions import NOTHING, refs

_DENIABLE = (Who.USER, Who.BUSINESS_UNIT)


def without_not(expression: Expression, schema: TableSchema, *, wanted: bool = True) -> Expression:
    """Return what is true exactly where the expression has the ``wanted`` truth."""
    match expression:
        case Not(part):
            return without_not(part, schema, wanted=not wanted)
        case And(parts) | Or(parts):
            inside = tuple(without_not(part, schema, wanted=wanted) for part in parts)
            return And(inside) if isinstance(expression, And) is wanted else Or(inside)
        case Related():
            return expression if wanted else Not(expression)
        case IsNull():
            return expression if wanted else negate(expression)
        case Compare():
            return _comparison(expression, wanted=wanted)
        case Like() | In() | HasOption() | IsCaller() | InHierarchy():
            return _deniable(expression, schema, wanted=wanted)
        case _:
            return expression if wanted else _false(expression, schema)


def _comparison(compare: Compare, *, wanted: bool) -> Expression:
    left, right = compare.left, compare.right
    columns = [side for side in (left, right) if isinstance(side, ColumnRef)]
    if any(isinstance(side, Literal) and side.cell is None for side in (left, right)):
        if compare.operator is not Comparison.NE:
            return NOTHING  # unknown for every row, so neither true nor false
        return And(tuple(IsNull(column, negated=wanted) for column in columns))
    if wanted:
        return compare
    match compare.operator:
        case Comparison.EQ:
            return And((negate(compare), *_known(columns)))
        case Comparison.NE if len(columns) == 2:
            return Or((negate(compare), And(tuple(IsNull(column) for column in columns))))
        case _:
            return negate(compare)


def _deniable(
    leaf: Like | In | HasOption | IsCaller | InHierarchy, schema: TableSchema, *, wanted: bool
) -> Expression:
    """Return a leaf that has a negative form, or the truth of it where that form is not written."""
    known = IsNull(leaf.column, negated=True)
    if _is_empty(leaf):
        if leaf.negated:
            return EVERYTHING if wanted else NOTHING
        return NOTHING if wanted else known
    positive = leaf if not leaf.negated else negate(leaf)
    if wanted is not leaf.negated:
        return positive
    denied = negate(positive) if _has_negative(leaf) else _not_of_itself(positive, schema)
    return denied if leaf.negated else And((denied, known))


def _is_empty(leaf: Expression) -> bool:
    match leaf:
        case In(_, cells):
            return all(cell is None for cell in cells)
        case HasOption(_, options):
            return not options
        case _:
            return False


def _has_negative(leaf: Expression) -> bool:
    match leaf:
        case IsCaller(_, who):
            return who in _DENIABLE
        case InHierarchy():
            return leaf.branch is Branch.UNDER_OR_EQUAL
        case _:
            return True


def _false(leaf: Expression, schema: TableSchema) -> Expression:
    """Return what is true exactly where a leaf without a negative form is false."""
    return And((_not_of_itself(leaf, schema), *_known(refs(leaf))))


def _not_of_itself(leaf: Expression, schema: TableSchema) -> Expression:
    """Return what is true where the leaf is not: no row with this row's id meets it."""
    own = ColumnRef(schema.primary_id, Kind.KEY)
    return Not(Related(schema.name, own, own, leaf))


def _known(columns: Iterable[ColumnRef]) -> tuple[Expression, ...]:
    return tuple(IsNull(column, negated=True) for column in columns)
