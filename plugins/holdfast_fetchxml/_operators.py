"""The operators of a condition: what each is in the algebra, and which columns it is for.

Invariant: all 83 words of the schema are here, each in one table; whatever passes
:func:`check_operator` and :func:`operand_counts` has a meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast.filters import Branch, Comparison, Period, Who
from holdfast.schema import Column, ColumnType, DateBehavior

COMPARISONS: Final[Mapping[str, Comparison]] = {
    **{comparison.value: comparison for comparison in Comparison},
    "neq": Comparison.NE,  # deprecated, and the same
}
#: What stands before and behind the operand in the pattern, and whether it must not match.
PATTERNS: Final[Mapping[str, tuple[str, str, bool]]] = {
    "like": ("", "", False),
    "not-like": ("", "", True),
    "begins-with": ("", "%", False),
    "not-begin-with": ("", "%", True),
    "ends-with": ("%", "", False),
    "not-end-with": ("%", "", True),
}
#: The others that come in pairs, with whether they are the negative one.
LISTS: Final[Mapping[str, bool]] = {"in": False, "not-in": True}
RANGES: Final[Mapping[str, bool]] = {"between": False, "not-between": True}
NULLS: Final[Mapping[str, bool]] = {"null": False, "not-null": True}
OPTIONS: Final[Mapping[str, bool]] = {"contain-values": False, "not-contain-values": True}
CALLERS: Final[Mapping[str, tuple[Who, bool]]] = {
    **{f"eq-{who.value}": (who, False) for who in Who},
    "ne-userid": (Who.USER, True),
    "ne-businessid": (Who.BUSINESS_UNIT, True),
}
BRANCHES: Final[Mapping[str, tuple[Branch, bool]]] = {
    **{branch.value: (branch, False) for branch in Branch},
    "not-under": (Branch.UNDER_OR_EQUAL, True),  # the row itself is not among them either
}
PERIODS: Final[Mapping[str, Period]] = {period.value: period for period in Period}
OPERATORS: Final = frozenset(
    {*COMPARISONS, *PATTERNS, *LISTS, *RANGES, *NULLS, *OPTIONS, *CALLERS, *BRANCHES, *PERIODS}
)

TEXTS: Final = frozenset({ColumnType.STRING, ColumnType.MEMO, ColumnType.ENTITY_NAME})
NUMBERS: Final = frozenset(
    {
        ColumnType.INTEGER,
        ColumnType.BIGINT,
        ColumnType.DECIMAL,
        ColumnType.DOUBLE,
        ColumnType.MONEY,
    }
)
IDS: Final = frozenset({ColumnType.LOOKUP, ColumnType.UNIQUEIDENTIFIER})
_WHOLE: Final = frozenset({ColumnType.INTEGER, ColumnType.BIGINT})
_ONE_OPTION: Final = frozenset({ColumnType.CHOICE, ColumnType.STATE, ColumnType.STATUS})
_NOT_COMPARED: Final = frozenset({ColumnType.FILE, ColumnType.IMAGE})
_EQUALITY: Final = (Comparison.EQ, Comparison.NE)


def operand_counts(operator: str) -> tuple[int, int | None]:
    """Return how many operands an operator takes, at least and at most."""
    if operator in LISTS or operator in OPTIONS:
        return 1, None
    if operator in RANGES:
        return 2, 2
    if operator in PERIODS:
        period = PERIODS[operator]
        count = 1 if period.takes_day else period.numbers
        return count, count
    one = operator in COMPARISONS or operator in PATTERNS or operator in BRANCHES
    return int(one), int(one)


def why_not(operator: str, column: Column) -> str | None:
    """Return why an operator is not for a column; None if it is."""
    kind = column.type
    if operator in NULLS:
        return None
    if kind in _NOT_COMPARED:
        return "only 'null' and 'not-null' are asked of files and images"
    if operator in PERIODS:
        if kind is not ColumnType.DATETIME:
            return "it is for dates"
        if PERIODS[operator].below_a_day and column.behavior is DateBehavior.DATE_ONLY:
            return "a column of days has no hours and minutes"
        return None
    if operator in LISTS:
        return "a memo is in no list; use 'eq' or 'like'" if kind is ColumnType.MEMO else None
    wanted, reason = _wanted(operator)
    if wanted is not None and kind not in wanted:
        return reason
    ordered = operator in RANGES or COMPARISONS.get(operator, Comparison.EQ) not in _EQUALITY
    if ordered and kind is ColumnType.CHOICES:
        return "a multi-select has no order; use 'contain-values'"
    return None


def _wanted(operator: str) -> tuple[frozenset[ColumnType] | None, str]:
    if operator in PATTERNS:
        return TEXTS, "it is for text"
    if operator in OPTIONS:
        return frozenset({ColumnType.CHOICES}), "it is for multi-selects"
    if operator == "eq-userlanguage":
        return NUMBERS, "it is for numbers"
    if operator in CALLERS or operator in BRANCHES:
        return IDS, "it is for ids and lookups"
    return None, ""


def alike(one: Column, other: Column) -> bool:
    """Tell whether the cells of two columns may be compared, and joined."""
    if one.kind is not other.kind:  # a day and an instant, for example
        return False
    if one.type is other.type:
        return one.type not in (ColumnType.CHOICES, *_NOT_COMPARED)
    return any({one.type, other.type} <= kinds for kinds in (IDS, _WHOLE, TEXTS, _ONE_OPTION))
