"""What a journal says: tables in memory, and what a line does to them.

Invariant: nothing here is changed, only replaced; so a query that has begun goes on over the tables
as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.contracts import Change, Delete, Key, Layout, Put, Query
from holdfast.errors import StorageError
from holdfast.filters import Expression, Predicate, columns, comparable, predicate
from holdfast.model import Record
from holdfast.schema import Field, Kind, is_identifier

from ._cells import fits


@dataclass(frozen=True, slots=True)
class Table:
    """A layout and its records by key."""

    layout: Layout
    records: Mapping[Key, Record] = field(default_factory=dict)

    @property
    def positions(self) -> Mapping[str, int]:
        """Where each field stands in a record."""
        return {stored.name: index for index, stored in enumerate(self.layout.fields)}


Tables = Mapping[str, Table]


def find(tables: Tables, name: str) -> Table:
    """Return a table.

    :raises StorageError: there is none
    """
    if name not in tables:
        raise StorageError(f"there is no table {name!r}; migrate first")
    return tables[name]


def changed(tables: Tables, changes: Sequence[Change]) -> Tables:
    """Return the tables with all changes made, in order.

    :raises StorageError: one of them cannot be made
    """
    copies: dict[str, dict[Key, Record]] = {}
    for change in changes:
        table = find(tables, change.table)
        records = copies.setdefault(change.table, dict(table.records))
        match change:
            case Put():
                records.update({_key(r): tuple(r) for r in _checked(table, change.records)})
            case Delete():
                for key in change.keys:
                    records.pop(key, None)
    return {**tables, **{name: Table(tables[name].layout, copies[name]) for name in copies}}


def migrated(tables: Tables, layouts: Sequence[Layout]) -> Tables:
    """Return the tables that the layouts name, with the cells of fields that stay.

    :raises StorageError: a name cannot be used
    """
    for layout in layouts:
        for name in (layout.table, *(stored.name for stored in layout.fields)):
            if not is_identifier(name):
                raise StorageError(f"{name!r} is no name for a table or field")
    return {layout.table: _carried(tables.get(layout.table), layout) for layout in layouts}


def search(table: Table, query: Query) -> list[Record]:
    """Return the records that match, in order."""
    test = matches(table, query.where)
    found = sorted(filter(test, table.records.values()), key=_rank(table, table.layout.key))
    for order in reversed(query.order):
        found.sort(key=_rank(table, order.field), reverse=order.descending)
    return found[: query.limit]


def matches(table: Table, where: Expression) -> Predicate:
    """Return the test of a filter.

    :raises StorageError: the table lacks a field of it
    """
    for name in columns(where):
        _position(table, name)
    return predicate(where, table.positions)


def _position(table: Table, name: str) -> int:
    if name not in table.positions:
        raise StorageError(f"{table.layout.table} has no field {name!r}; migrate first")
    return table.positions[name]


def _rank(table: Table, stored: Field) -> Callable[[Record], tuple[Any, ...]]:  # Any: one kind
    at, kind = _position(table, stored.name), stored.kind

    def rank(record: Record) -> tuple[Any, ...]:
        cell = comparable(kind, record[at])
        return (0,) if cell is None else (1, cell)

    return rank


def _carried(old: Table | None, layout: Layout) -> Table:
    if old is None or old.layout.key != layout.key:
        return Table(layout)
    before = {stored: index for index, stored in enumerate(old.layout.fields)}
    sources = [before.get(stored) for stored in layout.fields]
    carried = {
        key: tuple(None if source is None else record[source] for source in sources)
        for key, record in old.records.items()
    }
    return Table(layout, carried)


def _checked(table: Table, records: Sequence[Record]) -> Sequence[Record]:
    fields = table.layout.fields
    for record in records:
        if len(record) != len(fields) or record[0] is None:
            raise StorageError(
                f"a record of {table.layout.table} has {len(fields)} cells and a key"
            )
        for stored, cell in zip(fields, record, strict=True):
            if not fits(stored.kind, cell):
                raise StorageError(f"{table.layout.table}.{stored.name} takes {stored.kind.value}")
    return records


def _key(record: Record) -> Key:
    key = record[0]
    assert isinstance(key, str | int)
    return key


def kinds(layout: Layout) -> list[Kind]:
    """Return the kinds of a record's cells."""
    return [stored.kind for stored in layout.fields]
