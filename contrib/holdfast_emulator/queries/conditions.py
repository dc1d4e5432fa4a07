"""What a query asks of a row: one tree for ``$filter``, for FetchXML and for views.

Invariant: a condition is a value that names columns and hops of the metadata, already resolved; it
knows no syntax. The operators are those of FetchXML, which is what Dataverse itself thinks in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, TypeAlias

from holdfast.values import Cell
from holdfast_emulator.behaviour.relationships import Hop


class Operator(Enum):
    """The operators of a FetchXML ``condition``; the deprecated ``neq`` is ``NE``."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    LIKE = "like"
    NOT_LIKE = "not-like"
    BEGINS_WITH = "begins-with"
    NOT_BEGIN_WITH = "not-begin-with"
    ENDS_WITH = "ends-with"
    NOT_END_WITH = "not-end-with"
    IN = "in"
    NOT_IN = "not-in"
    BETWEEN = "between"
    NOT_BETWEEN = "not-between"
    NULL = "null"
    NOT_NULL = "not-null"
    CONTAIN_VALUES = "contain-values"
    NOT_CONTAIN_VALUES = "not-contain-values"
    EQ_USER_ID = "eq-userid"
    NE_USER_ID = "ne-userid"
    EQ_BUSINESS_ID = "eq-businessid"
    NE_BUSINESS_ID = "ne-businessid"
    EQ_USER_TEAMS = "eq-userteams"
    EQ_USER_OR_USER_TEAMS = "eq-useroruserteams"
    EQ_USER_OR_USER_HIERARCHY = "eq-useroruserhierarchy"
    EQ_USER_OR_USER_HIERARCHY_AND_TEAMS = "eq-useroruserhierarchyandteams"
    EQ_USER_LANGUAGE = "eq-userlanguage"
    ABOVE = "above"
    EQ_OR_ABOVE = "eq-or-above"
    UNDER = "under"
    EQ_OR_UNDER = "eq-or-under"
    NOT_UNDER = "not-under"
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


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the row at hand, or of a row that it points to.

    :param column: the logical name; a lookup's stands for the id it holds
    :param via: the steps to one that lead there (an OData path)
    :param alias: the linked table it belongs to (``entityname``); None is the row at hand
    """

    column: str
    via: tuple[Hop, ...] = ()
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison; ``values`` are cells of the column's type, or whole numbers for ``x``.

    ``other`` takes the place of the values where two columns are compared.
    """

    __test__: ClassVar[bool] = False  # pytest takes every class of this name for one of its own

    field: Field
    operator: Operator
    values: tuple[Cell, ...] = ()
    other: Field | None = None


@dataclass(frozen=True, slots=True)
class All:
    """True when every part is; without parts it is true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """True when one part is; without parts it is false."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """True when the part is false: what is unknown stays unknown."""

    part: Condition


@dataclass(frozen=True, slots=True)
class Related:
    """True when a row at the end of ``hop`` meets ``where``; never unknown."""

    hop: Hop
    where: Condition


Condition: TypeAlias = All | Any | Negated | Test | Related
EVERY_ROW: Condition = All(())
