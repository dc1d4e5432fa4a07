"""Who asks, and how the columns that a condition names are read from what is at hand.

Invariant: what the asker may not see does not exist for them. A hidden column reads null, and so
does every column of a row at the end of a path that is not there or not theirs to read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from operator import itemgetter
from typing import Generic, Protocol, TypeVar

from holdfast.schema import ColumnType
from holdfast.values import Cell
from holdfast_emulator.behaviour.faults import unknown_property
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.navigation import Navigator
from holdfast_emulator.behaviour.relationships import Hop
from holdfast_emulator.behaviour.row import Cells, Row
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.queries.conditions import Field
from holdfast_emulator.queries.fiscal import FiscalCalendar

AtHand = TypeVar("AtHand")


def _nothing(_: str) -> frozenset[str]:
    return frozenset()


def _anything(_: TableDefinition) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Asking:
    """The circumstances of one question.

    :param now: an aware datetime, the same for the whole question
    :param readable: tells whether the user may read a row
    :param admit: refuses a table that the user may not read at all
    :param hidden: returns the columns of a table that the user does not see
    :param teams: returns the ids of the teams that a user is in
    :param zone: the time zone that days begin and end in
    :param language: the code of the language that the user works in
    """

    user: User
    now: datetime
    navigator: Navigator
    readable: Callable[[Row], bool]
    admit: Callable[[TableDefinition], None] = _anything
    hidden: Callable[[str], frozenset[str]] = _nothing
    teams: Callable[[str], frozenset[str]] = _nothing
    zone: tzinfo = UTC
    language: int = 1033
    fiscal: FiscalCalendar = field(default_factory=FiscalCalendar)


@dataclass(frozen=True, slots=True)
class Bound(Generic[AtHand]):
    """How a column is read from what is at hand, and which column of which table it is."""

    read: Callable[[AtHand], Cell]
    column: ColumnDefinition
    table: TableDefinition


class Scope(Protocol[AtHand]):
    """What the fields and hops of a condition mean; ``AtHand`` is a row, or a joined one."""

    def bind(self, field: Field) -> Bound[AtHand]:
        """Return how to read a field.

        :raises DataverseFault: there is no such field
        """

    def row(self) -> Callable[[AtHand], Row | None]:
        """Return how to get at the row that hops start from; None where it is missing."""


@dataclass(frozen=True, slots=True)
class TableScope:
    """The scope of conditions over the rows of one table; what is at hand are its cells."""

    table: TableDefinition
    asking: Asking

    def bind(self, field: Field) -> Bound[Cells]:
        """Return how to read a column, through the steps that lead to it."""
        if not field.via:
            return _own(self.table, field.column, self.asking)
        last = self.asking.navigator.metadata.tables[field.via[-1].target]
        found = _own(last, field.column, self.asking)
        follow = follower(self.table, field.via, self.asking)
        read = found.read

        def distant(cells: Cells) -> Cell:
            row = follow(cells)
            return None if row is None else read(row.cells)

        return replace(found, read=distant)

    def row(self) -> Callable[[Cells], Row | None]:
        """Return how to make a row of cells."""
        table = self.table
        return lambda cells: Row(table, cells)


def follower(
    table: TableDefinition, via: Sequence[Hop], asking: Asking
) -> Callable[[Cells], Row | None]:
    """Return how to get from a row's cells to the readable row at the end of steps to one.

    :raises DataverseFault: the user may not read one of the tables at all
    """
    for hop in via:
        asking.admit(asking.navigator.metadata.tables[hop.target])
    if any(hop.hidden(asking.hidden) for hop in via):
        return lambda _: None
    navigator, readable = asking.navigator, asking.readable
    known: dict[tuple[int, str, Cell], Row | None] = {}

    def follow(cells: Cells) -> Row | None:
        row: Row | None = Row(table, cells)
        for step, hop in enumerate(via):
            assert row is not None
            key = (step, *_pointed(hop, row))
            if key not in known:
                found = navigator.follow(hop, row)
                known[key] = found[0] if found and readable(found[0]) else None
            row = known[key]
            if row is None:
                return None
        return row

    return follow


def _pointed(hop: Hop, row: Row) -> tuple[str, Cell]:
    definition = row.definition
    beside = definition.table_fields.get(hop.near)
    target = str(row.cells[definition.positions[beside]]) if beside else ""
    return target, row.cells[definition.positions[hop.near]]


def _own(table: TableDefinition, name: str, asking: Asking) -> Bound[Cells]:
    column = table.by_name.get(name) or table.by_wire_name.get(name)
    if column is None:
        return _label(table, name, asking)
    if column.name in asking.hidden(table.name):
        return Bound(_null, column, table)
    return Bound(itemgetter(table.positions[column.name]), column, table)


def _label(table: TableDefinition, name: str, asking: Asking) -> Bound[Cells]:
    """Return how to read the column ``xname`` that stands for the label of the column ``x``."""
    named = table.by_name.get(name.removesuffix("name")) if name.endswith("name") else None
    if named is None or not (named.type is ColumnType.LOOKUP or named.options):
        raise unknown_property(table.name, name)
    text = replace(named, name=name, type=ColumnType.STRING, options=(), targets=())
    return Bound(label_reader(table, named, asking), text, table)


def label_reader(
    table: TableDefinition, column: ColumnDefinition, asking: Asking
) -> Callable[[Cells], Cell]:
    """Return how to read what people see of a cell: the name behind a lookup, an option's label."""
    if column.name in asking.hidden(table.name):
        return _null
    at = table.positions[column.name]
    if column.type is not ColumnType.LOOKUP:
        labels: dict[Cell, Cell] = {
            value: option.label for value, option in column.by_value.items()
        }
        return lambda cells: labels.get(cells[at])
    beside = table.positions.get(column.table_field or "")
    known: dict[tuple[str, Cell], Cell] = {}

    def name(cells: Cells) -> Cell:
        row_id = cells[at]
        if row_id is None:
            return None
        target = column.targets[0] if beside is None else str(cells[beside])
        key = (target, row_id)
        if key not in known:
            known[key] = name_of(asking, target, str(row_id))
        return known[key]

    return name


def name_of(asking: Asking, table: str, row_id: str) -> str | None:
    """Return the primary name of a row, which lookups show to all who see that column."""
    navigator = asking.navigator
    definition = navigator.metadata.tables[table]
    if definition.primary_name in asking.hidden(table):
        return None
    return navigator.name_of(definition, row_id)


def _null(_: object) -> Cell:
    return None
