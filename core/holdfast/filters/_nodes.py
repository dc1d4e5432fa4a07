"""The nodes of an expression, and the walks over them that need no row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, TypeAlias

from holdfast.schema import DateBehavior, Kind
from holdfast.values import Cell


class Comparison(Enum):
    """A comparison of two operands, spelled as OData spells it."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A field of the row, with the way its cells compare.

    :param source: the joined table that it belongs to, in a query over several
        (``holdfast.queries``); in a filter it is always ``""``, the row at hand
    """

    name: str
    kind: Kind
    source: str = ""


@dataclass(frozen=True, slots=True)
class Literal:
    """A cell of the kind that it is compared with.

    :param local: a time without a zone, read off the clock of who asks; unsettled
    """

    cell: Cell
    local: bool = False


Operand: TypeAlias = ColumnRef | Literal


@dataclass(frozen=True, slots=True)
class Compare:
    """``left operator right``; at least one side is a column."""

    operator: Comparison
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class IsNull:
    """The column holds null; never unknown."""

    column: ColumnRef
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Like:
    """The text matches a pattern, without regard to case.

    ``%`` is any text, ``_`` any character, ``[abc]``, ``[a-z]`` and ``[^a]`` one of a set. Text and
    pattern are folded first, so ``_`` is one character of the folded text, and ``ß`` is two.
    """

    column: ColumnRef
    pattern: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class In:
    """The column holds one of the cells."""

    column: ColumnRef
    cells: tuple[Cell, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class HasOption:
    """A multi-select column has at least one of the options selected."""

    column: ColumnRef
    options: tuple[int, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Related:
    """A row of another table meets ``where``, and its ``field`` equals ``own`` of this row.

    Never unknown: rows for which ``where`` is unknown do not count, and a null in ``own`` is
    related to nothing. A lookup path, a lambda ``any`` and FetchXML's ``any`` are all this; so is
    the way over a many-to-many table, as one inside another.

    :param table: the other table; the expression's columns below this node are its
    :param field: of the other table
    :param own: of this row
    """

    table: str
    field: ColumnRef
    own: ColumnRef
    where: Expression


@dataclass(frozen=True, slots=True)
class And:
    """All parts; of no parts, true."""

    parts: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """Any part; of no parts, false."""

    parts: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """Plain negation: unknown stays unknown."""

    part: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A function that the filter language supplies by name; only the engine evaluates it."""

    name: str
    operands: tuple[Operand, ...]


class Period(Enum):
    """A stretch of time relative to now, to a day, or to the fiscal calendar; FetchXML's words."""

    ON = "on"
    ON_OR_BEFORE = "on-or-before"
    ON_OR_AFTER = "on-or-after"
    YESTERDAY = "yesterday"
    TODAY = "today"
    TOMORROW = "tomorrow"
    LAST_SEVEN_DAYS = "last-seven-days"
    NEXT_SEVEN_DAYS = "next-seven-days"
    LAST_WEEK = "last-week"
    THIS_WEEK = "this-week"
    NEXT_WEEK = "next-week"
    LAST_MONTH = "last-month"
    THIS_MONTH = "this-month"
    NEXT_MONTH = "next-month"
    LAST_YEAR = "last-year"
    THIS_YEAR = "this-year"
    NEXT_YEAR = "next-year"
    LAST_X_HOURS = "last-x-hours"
    NEXT_X_HOURS = "next-x-hours"
    LAST_X_DAYS = "last-x-days"
    NEXT_X_DAYS = "next-x-days"
    LAST_X_WEEKS = "last-x-weeks"
    NEXT_X_WEEKS = "next-x-weeks"
    LAST_X_MONTHS = "last-x-months"
    NEXT_X_MONTHS = "next-x-months"
    LAST_X_YEARS = "last-x-years"
    NEXT_X_YEARS = "next-x-years"
    OLDER_THAN_X_MINUTES = "olderthan-x-minutes"
    OLDER_THAN_X_HOURS = "olderthan-x-hours"
    OLDER_THAN_X_DAYS = "olderthan-x-days"
    OLDER_THAN_X_WEEKS = "olderthan-x-weeks"
    OLDER_THAN_X_MONTHS = "olderthan-x-months"
    OLDER_THAN_X_YEARS = "olderthan-x-years"
    THIS_FISCAL_YEAR = "this-fiscal-year"
    LAST_FISCAL_YEAR = "last-fiscal-year"
    NEXT_FISCAL_YEAR = "next-fiscal-year"
    THIS_FISCAL_PERIOD = "this-fiscal-period"
    LAST_FISCAL_PERIOD = "last-fiscal-period"
    NEXT_FISCAL_PERIOD = "next-fiscal-period"
    LAST_X_FISCAL_YEARS = "last-x-fiscal-years"
    NEXT_X_FISCAL_YEARS = "next-x-fiscal-years"
    LAST_X_FISCAL_PERIODS = "last-x-fiscal-periods"
    NEXT_X_FISCAL_PERIODS = "next-x-fiscal-periods"
    IN_FISCAL_YEAR = "in-fiscal-year"
    IN_FISCAL_PERIOD = "in-fiscal-period"
    IN_FISCAL_PERIOD_AND_YEAR = "in-fiscal-period-and-year"
    IN_OR_BEFORE_FISCAL_PERIOD_AND_YEAR = "in-or-before-fiscal-period-and-year"
    IN_OR_AFTER_FISCAL_PERIOD_AND_YEAR = "in-or-after-fiscal-period-and-year"

    @property
    def takes_day(self) -> bool:
        """Whether its operand is a day, as text ``2024-01-31``."""
        return self in (Period.ON, Period.ON_OR_BEFORE, Period.ON_OR_AFTER)

    @property
    def numbers(self) -> int:
        """How many whole numbers it takes: an x, or a fiscal period, a year, or both."""
        if self.value.endswith("-and-year"):
            return 2
        return 1 if "-x-" in self.value or self.value.startswith("in-fiscal-") else 0

    @property
    def below_a_day(self) -> bool:
        """Whether it counts hours or minutes, which a date-only column refuses."""
        return self.value.endswith(("-hours", "-minutes"))


@dataclass(frozen=True, slots=True)
class During:
    """A date lies in a period; unsettled.

    :param behavior: what the column's cells mean, which decides how the period is read on them
    :param operands: what the period takes: whole numbers, or one day as text
    """

    column: ColumnRef
    behavior: DateBehavior
    period: Period
    operands: tuple[int | str, ...] = ()


class Who(Enum):
    """Whom a column may hold; FetchXML's words without ``eq-``."""

    USER = "userid"
    BUSINESS_UNIT = "businessid"
    TEAMS = "userteams"
    USER_OR_TEAMS = "useroruserteams"
    USER_OR_REPORTS = "useroruserhierarchy"
    USER_OR_REPORTS_OR_TEAMS = "useroruserhierarchyandteams"
    LANGUAGE = "userlanguage"


@dataclass(frozen=True, slots=True)
class IsCaller:
    """The column holds the caller, or something of the caller's; unsettled."""

    column: ColumnRef
    who: Who
    negated: bool = False


class Branch(Enum):
    """Which part of a tree, seen from one row; FetchXML's words."""

    ABOVE = "above"
    ABOVE_OR_EQUAL = "eq-or-above"
    UNDER = "under"
    UNDER_OR_EQUAL = "eq-or-under"


@dataclass(frozen=True, slots=True)
class InHierarchy:
    """The column holds a row of this part of a tree; unsettled.

    :param table: whose rows form the tree
    :param parent: the lookup of that table to the row above
    :param anchor: the id from which the tree is looked at
    """

    column: ColumnRef
    table: str
    parent: str
    anchor: str
    branch: Branch
    negated: bool = False


class RowMark(Enum):
    """How a row stands between here and the server."""

    PENDING = "pending"  # has changes that have not arrived there
    CONFLICTED = "conflicted"  # waits for a person to settle a conflict
    LOCAL = "local"  # the server has not seen it yet


@dataclass(frozen=True, slots=True)
class InState:
    """The row stands so; unsettled, and never unknown."""

    mark: RowMark


Expression: TypeAlias = (
    Compare
    | IsNull
    | Like
    | In
    | HasOption
    | Related
    | And
    | Or
    | Not
    | Call
    | During
    | IsCaller
    | InHierarchy
    | InState
)

EVERYTHING: Final = And()

_OPPOSITE: Final = {
    Comparison.EQ: Comparison.NE,
    Comparison.NE: Comparison.EQ,
    Comparison.GT: Comparison.LE,
    Comparison.LE: Comparison.GT,
    Comparison.LT: Comparison.GE,
    Comparison.GE: Comparison.LT,
}


def negate(expression: Expression) -> Expression:
    """Push a negation down to the leaves, where each operator has its negative one.

    This is what Dataverse does: its query model has no ``not``, so ``not (a gt 5)`` is ``a le 5``
    and leaves null out, while ``not (a eq 5)`` is ``a ne 5`` and matches null. What has no negative
    operator (a ``Call``, a period, related rows) gets a plain ``Not``. Done twice, it gives the
    same meaning back. Of callers and trees, Dataverse has a negative for some only: a language
    knows which, and writes ``Not`` around the others.
    """
    match expression:
        case And(parts):
            return Or(tuple(negate(part) for part in parts))
        case Or(parts):
            return And(tuple(negate(part) for part in parts))
        case Not(part):
            return part
        case Compare(comparison):
            return replace(expression, operator=_OPPOSITE[comparison])
        case IsNull() | Like() | In() | HasOption() | IsCaller() | InHierarchy():
            return replace(expression, negated=not expression.negated)
        case Call() | During() | Related() | InState():
            return Not(expression)


def conjuncts(expression: Expression) -> tuple[Expression, ...]:
    """Return the parts that must all hold."""
    if isinstance(expression, And):
        return tuple(leaf for part in expression.parts for leaf in conjuncts(part))
    return (expression,)


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield the expression and everything inside it, also what is asked of related rows."""
    yield expression
    match expression:
        case And(parts) | Or(parts):
            for part in parts:
                yield from walk(part)
        case Not(part) | Related(where=part):
            yield from walk(part)
        case _:
            pass


def rebuild(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """Return the expression with each leaf, and then each node, replaced by what it changes to."""
    match expression:
        case And(parts):
            return change(And(tuple(rebuild(part, change) for part in parts)))
        case Or(parts):
            return change(Or(tuple(rebuild(part, change) for part in parts)))
        case Not(part):
            return change(Not(rebuild(part, change)))
        case Related(where=part):
            return change(replace(expression, where=rebuild(part, change)))
        case _:
            return change(expression)


def columns(expression: Expression) -> frozenset[str]:
    """Return the names of the row's own fields that the expression reads."""
    return frozenset(reference.name for reference in _own(expression))


def tables(expression: Expression) -> frozenset[str]:
    """Return the names of the other tables whose rows the expression asks about."""
    return frozenset(
        node.table for node in walk(expression) if isinstance(node, Related | InHierarchy)
    )


def _own(expression: Expression) -> Iterator[ColumnRef]:
    match expression:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _own(part)
        case Not(part):
            yield from _own(part)
        case Compare(_, left, right):
            yield from (o for o in (left, right) if isinstance(o, ColumnRef))
        case Call(_, operands):
            yield from (o for o in operands if isinstance(o, ColumnRef))
        case Related(own=column):
            yield column
        case InState():
            pass
        case _:
            yield expression.column
