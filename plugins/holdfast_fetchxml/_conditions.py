"""One condition in the algebra.

Invariant: a positive operator is unknown for null and a negative one matches it, as in Dataverse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from holdfast.contracts import Tables
from holdfast.filters import (
    And,
    Compare,
    Comparison,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    IsCaller,
    IsNull,
    Like,
    Literal,
    Or,
    negate,
)
from holdfast.schema import ColumnType, TableSchema
from holdfast.values import Cell, canonical_id, choices_cell
from holdfast_fetchxml._columns import Named, find_hierarchy
from holdfast_fetchxml._document import Condition
from holdfast_fetchxml._literals import count_of, day_of, literal_of, options_of
from holdfast_fetchxml._operators import (
    BRANCHES,
    CALLERS,
    COMPARISONS,
    LISTS,
    NULLS,
    OPTIONS,
    PATTERNS,
    PERIODS,
    RANGES,
    alike,
    operand_counts,
    why_not,
)
from holdfast_fetchxml._refusals import Refusal, shown

_T = TypeVar("_T")
_BAD_COUNT: Final = "0x800404b7"
_BAD_OPERATOR: Final = "0x800404c7"
_NOT_ON_MEMO: Final = "0x80044153"


def compare_columns(condition: Condition, one: Named, other: Named) -> Expression:
    """Return the comparison of two columns (``valueof``).

    :raises Refusal: they, or the operator, do not go together
    """
    operator = condition.operator
    if operator not in COMPARISONS:
        raise Refusal(
            f"found {operator!r} with valueof, expected one of eq, ne, gt, ge, lt, le",
            condition.element.position("operator"),
            _BAD_OPERATOR,
        )
    if condition.values:
        raise Refusal(
            "found a value beside valueof, expected one of them", condition.element.position()
        )
    if not alike(one.column, other.column):
        raise Refusal(
            f"columns {one.column.name!r} ({one.column.type.value}) and {other.column.name!r} "
            f"({other.column.type.value}) are compared; expected columns of one type",
            condition.element.position("valueof"),
        )
    _check_operator(condition, one)
    return Compare(COMPARISONS[operator], one.ref, other.ref)


def compare_values(
    condition: Condition, named: Named, table: TableSchema, tables: Tables
) -> Expression:
    """Return what a condition with values, or with none, asks of a column.

    :raises Refusal: the operator, the column and the values do not go together
    """
    _check_operator(condition, named)
    operator, values, ref = condition.operator, _checked(condition), named.ref
    if operator in COMPARISONS:
        return Compare(COMPARISONS[operator], ref, _literal(condition, named, values[0]))
    if operator in PATTERNS:
        before, behind, negated = PATTERNS[operator]
        return Like(ref, f"{before}{values[0]}{behind}", negated)
    if operator in LISTS:
        return _among(condition, named, values)
    if operator in RANGES:
        low, high = (_literal(condition, named, value) for value in values)
        inside = Compare(Comparison.GE, ref, low), Compare(Comparison.LE, ref, high)
        if not RANGES[operator]:
            return And(inside)
        return Or((*map(negate, inside), IsNull(ref)))
    if operator in NULLS:
        return IsNull(ref, NULLS[operator])
    if operator in OPTIONS:
        options = [_fitting(condition, value, options_of, value) for value in values]
        return HasOption(ref, tuple(o for some in options for o in some), OPTIONS[operator])
    if operator in CALLERS:
        who, negated = CALLERS[operator]
        return IsCaller(ref, who, negated)
    if operator in BRANCHES:
        return _in_hierarchy(condition, named, table, tables, values[0])
    return _during(condition, named, values)


def _check_operator(condition: Condition, named: Named) -> None:
    reason = why_not(condition.operator, named.column)
    if reason is None:
        return
    memo = condition.operator in LISTS and named.column.type is ColumnType.MEMO
    raise Refusal(
        f"{condition.operator!r} does not fit the column {named.column.name!r} "
        f"({named.column.type.value}): {reason}",
        condition.element.position("operator"),
        _NOT_ON_MEMO if memo else _BAD_OPERATOR,
    )


def _checked(condition: Condition) -> Sequence[str]:
    """Return the values, as many as the operator takes."""
    least, most = operand_counts(condition.operator)
    values = condition.values
    if most == 0:  # tools write value="" there
        values = tuple(value for value in values if value)
    if len(values) < least or (most is not None and len(values) > most):
        wanted = f"at least {least}" if most is None else str(least)
        raise Refusal(
            f"{condition.operator!r} on {condition.attribute!r} takes {wanted} "
            f"value{'' if least == 1 else 's'}, found {len(values)}",
            condition.element.position(),
            _BAD_COUNT,
        )
    return values


def _fitting(condition: Condition, text: str, convert: Callable[..., _T], *given: object) -> _T:
    """Return what an operand is converted to.

    :raises Refusal: it does not fit; the message has the value and what was expected
    """
    try:
        return convert(*given)
    except ValueError as error:
        raise Refusal(
            f"found {shown(text)} for {condition.operator!r} on {condition.attribute!r}, {error}",
            condition.element.position("value"),
        ) from error


def _literal(condition: Condition, named: Named, text: str) -> Literal:
    return _fitting(condition, text, literal_of, named.column, text)


def _among(condition: Condition, named: Named, values: Sequence[str]) -> Expression:
    """Return a list's condition; that of a multi-select means exactly these options."""
    ref, negated = named.ref, LISTS[condition.operator]
    if named.column.type is ColumnType.CHOICES:
        options = [_fitting(condition, value, options_of, value) for value in values]
        exactly: Cell = choices_cell(option for some in options for option in some)
        return In(ref, (exactly,), negated)
    literals = [_literal(condition, named, value) for value in values]
    if not any(literal.local for literal in literals):
        return In(ref, tuple(literal.cell for literal in literals), negated)
    if negated:
        return And(tuple(Compare(Comparison.NE, ref, literal) for literal in literals))
    return Or(tuple(Compare(Comparison.EQ, ref, literal) for literal in literals))


def _in_hierarchy(
    condition: Condition, named: Named, table: TableSchema, tables: Tables, text: str
) -> Expression:
    anchor = _fitting(condition, text, canonical_id, text.strip())
    hierarchy, missing = find_hierarchy(named.column, table, tables)
    if hierarchy is None:
        reason = f"add {missing} to the profile" if missing else "it leads to none"
        raise Refusal(
            f"{condition.operator!r} on {condition.attribute!r} wants a table with a hierarchy; "
            f"{reason}",
            condition.element.position("attribute"),
        )
    branch, negated = BRANCHES[condition.operator]
    return InHierarchy(
        named.ref, hierarchy.referencing, hierarchy.column, anchor, branch, negated=negated
    )


def _during(condition: Condition, named: Named, values: Sequence[str]) -> Expression:
    period = PERIODS[condition.operator]
    if period.takes_day:
        operands: tuple[int | str, ...] = (
            _fitting(condition, values[0], day_of, named.column, values[0]),
        )
    else:
        least = 1 if "-x-" in period.value else 0
        operands = tuple(_fitting(condition, value, count_of, value, least) for value in values)
    return During(named.ref, named.column.behavior, period, operands)
