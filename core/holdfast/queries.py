"""Whole questions: several tables, groups and aggregates, for the storages that run them.

Invariant: a selection is settled before a storage sees it, and everything in it is named: tables,
fields, sources. It says what to answer, never how; a storage chooses its own plan.

Glossary. **source**: one table of the question; ``""`` is the table it is asked of, the others are
called by the alias of their join. **output**: one cell of each answered record.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from holdfast.filters import EVERYTHING, ColumnRef, Expression
from holdfast.model import CALENDAR_YEAR, FiscalCalendar
from holdfast.schema import Column, DateBehavior


class JoinKind(Enum):
    """What a join does with rows that match several or none."""

    INNER = "inner"  # a record per match
    OUTER = "outer"  # a record per match; one with nulls where there is none
    FIRST = "first"  # as OUTER, but no more than one match


@dataclass(frozen=True, slots=True)
class Join:
    """One more source: rows of ``table`` whose ``field`` equals ``other`` of an earlier source.

    ``where`` belongs to the join: it decides which rows match, before an outer join fills in nulls.
    Its columns have this join's alias as their source.
    """

    alias: str
    table: str
    field: ColumnRef
    other: ColumnRef
    kind: JoinKind = JoinKind.INNER
    where: Expression = EVERYTHING


class Aggregate(Enum):
    """What is made of a group's cells; nulls do not count, but for ``COUNT``, which counts rows.

    A sum of nothing is 0 and the other aggregates of nothing are null. Sums and averages of exact
    decimals are exact.
    """

    COUNT = "count"
    COUNT_COLUMN = "countcolumn"
    SUM = "sum"
    AVERAGE = "avg"
    MINIMUM = "min"
    MAXIMUM = "max"


class DatePart(Enum):
    """What of a date forms the groups, as a whole number; FetchXML's words.

    Weeks are counted as SQL Server does: the week with 1 January is the first, and Sunday starts
    one.
    """

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    FISCAL_PERIOD = "fiscal-period"
    FISCAL_YEAR = "fiscal-year"


@dataclass(frozen=True, slots=True)
class Output:
    """One cell of an answered record: a column, what is made of it, or what rows are grouped by.

    :param name: what it is called in the answer; unique
    :param column: where it comes from; for ``COUNT`` any column of the source
    :param distinct: equal cells of a group count once
    :param part: of a date; ``behavior`` and ``local`` say how its cells are read: in the zone of
        the selection, or in UTC
    :param read: how the cell becomes a value for people; None leaves it as it is
    """

    name: str
    column: ColumnRef
    aggregate: Aggregate | None = None
    distinct: bool = False
    part: DatePart | None = None
    behavior: DateBehavior = DateBehavior.USER_LOCAL
    local: bool = True
    read: Column | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """Sort by a column of a source, or by an output of a grouped question, by its name.

    Null comes first when ascending, last when descending. ``ranks`` gives the order of the options
    of a choice where they sort by label: pairs of an option and its place.
    """

    by: ColumnRef | str
    descending: bool = False
    ranks: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """A whole question.

    Conditions in ``where`` name their source in each column, and hold after the joins. ``grouped``
    makes one record of each group: the outputs without an aggregate are what is grouped by. Without
    an order, and between equals, records come in the order of the primary ids of their sources.

    :param zone: the time zone (IANA) in which dates are cut into parts
    """

    table: str
    outputs: tuple[Output, ...]
    joins: tuple[Join, ...] = ()
    where: Expression = EVERYTHING
    order: tuple[Sort, ...] = ()
    grouped: bool = False
    distinct: bool = False
    limit: int | None = None
    offset: int = 0
    zone: str = "UTC"
    fiscal: FiscalCalendar = CALENDAR_YEAR
