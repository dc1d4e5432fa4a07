"""A FetchXML query as it was written: names and texts, not yet looked up.

Invariant: a document knows no table; that names exist and values fit is checked when it is bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from holdfast_emulator.queries.conditions import Operator


class LinkType(Enum):
    """How a linked table takes part."""

    INNER = "inner"
    OUTER = "outer"
    FIRST = "matchfirstrowusingcrossapply"
    EXISTS = "exists"
    IN = "in"
    ANY = "any"
    NOT_ANY = "not any"
    ALL = "all"
    NOT_ALL = "not all"

    @property
    def in_filters(self) -> bool:
        """Whether it stands inside a filter, and nowhere else."""
        return self in (LinkType.ANY, LinkType.NOT_ANY, LinkType.ALL, LinkType.NOT_ALL)


class Function(Enum):
    """What an aggregate makes of the values of a column."""

    COUNT = "count"
    COUNT_COLUMN = "countcolumn"
    SUM = "sum"
    AVERAGE = "avg"
    MINIMUM = "min"
    MAXIMUM = "max"


class DatePart(Enum):
    """Which part of a date rows are grouped by."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    FISCAL_PERIOD = "fiscal-period"
    FISCAL_YEAR = "fiscal-year"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column that is asked for."""

    name: str
    alias: str | None = None
    function: Function | None = None
    group: bool = False
    part: DatePart | None = None
    distinct: bool = False
    user_zone: bool = True
    count_children: bool = False


@dataclass(frozen=True, slots=True)
class Sorting:
    """One thing to sort by: a column, of the table ``entity`` if that is given, or an alias."""

    attribute: str | None
    alias: str | None
    entity: str | None
    descending: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition; ``other`` is the column that takes the place of the values."""

    attribute: str
    operator: Operator
    values: tuple[str, ...]
    other: str | None
    entity: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions of which all must be true, or one of them."""

    every: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Entity:
    """A table with what is asked of it."""

    name: str
    attributes: tuple[Attribute, ...] = ()
    all_attributes: bool = False
    orders: tuple[Sorting, ...] = ()
    filters: tuple[Filter, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A linked table: its column ``source`` equals the column ``target`` of the outer one."""

    entity: Entity
    kind: LinkType
    source: str | None
    target: str | None
    alias: str | None


@dataclass(frozen=True, slots=True)
class Fetch:
    """A query.

    :param limit: of the rows that an aggregate may read (``aggregatelimit``)
    :param raw_order: choices are sorted by number, not by label
    :param total: all rows are counted, too
    """

    entity: Entity
    top: int | None = None
    page: int | None = None
    count: int | None = None
    cookie: str | None = None
    distinct: bool = False
    aggregate: bool = False
    limit: int | None = None
    total: bool = False
    raw_order: bool = False


Part: TypeAlias = Comparison | Filter | Link
