"""What comes out of a joined query: columns, things to sort by, and records.

Invariant: an output knows how its value is read from a joined row, and which column of the metadata
describes it; how it is written down is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.metadata import ColumnDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.queries.fetchxml.document import Function
from holdfast_emulator.queries.joins import Joined, Plan

#: A cell, or where a lookup points to.
Value: TypeAlias = Cell | Reference


@dataclass(frozen=True, slots=True)
class Output:
    """One column of the answer.

    :param name: what it is called there
    :param column: what describes its values
    :param attribute: the name of the column that it is made of
    :param aliased: whether the query chose the name
    :param place: that of its table
    :param function: what is made of the values of each group; None is what rows are grouped by
    :param show: returns what is told of a value, where that is not the value itself
    :param label: returns how people read a value, where the column does not say it
    """

    name: str
    column: ColumnDefinition
    attribute: str
    read: Callable[[Joined], Value]
    aliased: bool
    place: int = 0
    function: Function | None = None
    distinct: bool = False
    show: Callable[[Value], Value] | None = None
    label: Callable[[Value], str | None] | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """One thing to sort rows by; ``place`` is that of its table."""

    name: str
    read: Callable[[Joined], Cell]
    kind: ColumnType
    descending: bool
    place: int


@dataclass(frozen=True, slots=True)
class GroupSort:
    """One thing to sort groups by: the output that stands ``at`` a place among the others."""

    at: int
    descending: bool


@dataclass(frozen=True, slots=True)
class Grouping:
    """Rows are put together; no more than ``limit`` of them."""

    limit: int
    sorts: tuple[GroupSort, ...] = ()


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A query that is ready to be asked.

    :param grouping: rows are put together into groups; None leaves them as they are
    """

    plan: Plan
    outputs: tuple[Output, ...]
    sorts: tuple[Sort, ...] = ()
    distinct: bool = False
    grouping: Grouping | None = None

    @property
    def of_rows(self) -> bool:
        """Whether each record is a row of the root, with its id and its version."""
        return self.grouping is None and not self.distinct


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the answer; ``root`` is the row it is about, if it is about one."""

    values: Sequence[Value]
    root: Row | None = None
