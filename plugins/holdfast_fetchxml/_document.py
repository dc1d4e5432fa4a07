"""A query as it was written: names and texts, not yet looked up.

Invariant: a document knows no table; that names exist and values fit is checked when it is bound.
Each part keeps its element, which knows its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from holdfast.queries import Aggregate, DatePart
from holdfast_fetchxml._markup import Element


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
    def joins(self) -> bool:
        """Whether its rows are joined, so that their columns can be asked for."""
        return self in (LinkType.INNER, LinkType.OUTER, LinkType.FIRST)

    @property
    def in_filters(self) -> bool:
        """Whether it stands inside a filter, and nowhere else."""
        return self in (LinkType.ANY, LinkType.NOT_ANY, LinkType.ALL, LinkType.NOT_ALL)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column that is asked for."""

    element: Element
    name: str
    alias: str | None = None
    aggregate: Aggregate | None = None
    group: bool = False
    part: DatePart | None = None
    distinct: bool = False
    local: bool = True


@dataclass(frozen=True, slots=True)
class Sorting:
    """One thing to sort by: a column, of the table ``entity`` if that is given, or an alias."""

    element: Element
    attribute: str | None
    alias: str | None
    entity: str | None
    descending: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; ``other`` is the column that takes the place of the values."""

    element: Element
    attribute: str
    operator: str
    values: tuple[str, ...]
    other: str | None
    entity: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions of which all must be true, or one of them."""

    element: Element
    every: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Entity:
    """A table with what is asked of it."""

    element: Element
    name: str
    attributes: tuple[Attribute, ...] = ()
    everything: Element | None = None
    orders: tuple[Sorting, ...] = ()
    filters: tuple[Filter, ...] = ()
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A linked table: its column ``far`` equals the column ``near`` of the outer one."""

    entity: Entity
    kind: LinkType
    far: str | None
    near: str | None
    alias: str | None
    intersect: bool

    @property
    def element(self) -> Element:
        """Where it stands."""
        return self.entity.element


@dataclass(frozen=True, slots=True)
class Fetch:
    """A query.

    :param numbers: choices are sorted by number, not by label
    """

    element: Element
    entity: Entity
    top: int | None = None
    page: int | None = None
    count: int | None = None
    distinct: bool = False
    aggregate: bool = False
    numbers: bool = False


Part: TypeAlias = Condition | Filter | Link
