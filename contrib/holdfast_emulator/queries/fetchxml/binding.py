"""From a FetchXML document to a query that is ready to be asked.

Invariant: every name is looked up here, and what does not exist is refused before a row is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC
from operator import itemgetter
from typing import Final

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.queries.aggregate import AGGREGATE_LIMIT, check_function, counts
from holdfast_emulator.queries.conditions import Field
from holdfast_emulator.queries.date_parts import (
    part_reader,
    period_label,
    period_number,
    year_label,
)
from holdfast_emulator.queries.fetchxml.document import (
    Attribute,
    DatePart,
    Fetch,
    LinkType,
    Sorting,
)
from holdfast_emulator.queries.fetchxml.refusals import (
    bad_aggregate,
    bad_alias,
    no_alias,
    no_such_alias,
    with_aggregate,
)
from holdfast_emulator.queries.fetchxml.tables import Place, Tables
from holdfast_emulator.queries.joins import Joined, at_place
from holdfast_emulator.queries.matches import formed
from holdfast_emulator.queries.outputs import (
    Grouping,
    GroupSort,
    Output,
    Retrieval,
    Sort,
    Value,
)
from holdfast_emulator.queries.scope import Asking, TableScope, label_reader

_ALIAS: Final = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_CURRENCY: Final = "transactioncurrencyid"
_LABELLED: Final = frozenset({ColumnType.CHOICE, ColumnType.STATE, ColumnType.STATUS})


def bind(fetch: Fetch, asking: Asking, admit: Callable[[TableDefinition], None]) -> Retrieval:
    """Look up what a query names.

    :param admit: refuses a table that the asker may not read at all
    :raises DataverseFault: something is not there, or does not go together
    """
    return _Binding(fetch, asking, Tables(asking, fetch.entity, None, admit)).retrieval()


class _Binding:
    """Binds one query."""

    def __init__(self, fetch: Fetch, asking: Asking, tables: Tables) -> None:
        self._fetch = fetch
        self._asking = asking
        self._tables = tables
        self._outputs: dict[str, Output] = {}

    def retrieval(self) -> Retrieval:
        fetch, tables = self._fetch, self._tables
        for at, place in enumerate(tables.places):
            self._add(at, place)
        plan = tables.plan()
        if fetch.aggregate:
            if not self._outputs:
                raise bad_aggregate("An aggregate query must have at least one attribute.")
            limit = min(fetch.limit or AGGREGATE_LIMIT, AGGREGATE_LIMIT)
            grouping = Grouping(limit, tuple(self._group_sorts()))
            return Retrieval(plan, tuple(self._outputs.values()), grouping=grouping)
        sorts = tuple(self._sorts())
        if not fetch.distinct:
            self._add_currency()
        return Retrieval(plan, tuple(self._outputs.values()), sorts, fetch.distinct)

    def _add(self, at: int, place: Place) -> None:
        entity = place.entity
        everything = entity.all_attributes or (at == 0 and not entity.attributes)
        if self._fetch.aggregate:
            if entity.all_attributes:
                raise with_aggregate("all-attributes")
            for attribute in entity.attributes:
                self._put(self._total(at, attribute))
            return
        for attribute in entity.attributes:
            if attribute.function or attribute.group or attribute.part:
                raise bad_aggregate(
                    f"The attribute '{attribute.name[:100]}' is aggregated or grouped, but the "
                    "query is no aggregate."
                )
            self._put(self._plain(at, attribute))
        if everything:
            for column in place.table.columns:
                if column.readable:
                    self._put(self._plain(at, Attribute(column.name)))

    def _put(self, output: Output) -> None:
        known = self._outputs.setdefault(output.name, output)
        same = known.attribute == output.attribute and not output.aliased and not known.aliased
        if known is not output and not same:
            raise bad_alias(output.name, "another attribute of the query has it.")

    def _plain(self, at: int, attribute: Attribute) -> Output:
        """Return a column as it is."""
        place, column = self._tables.places[at], self._tables.column(at, attribute.name)
        if attribute.count_children:
            return self._children(at, attribute)
        if attribute.alias is not None:
            name = _alias(attribute.alias)
        elif at == 0:
            name = column.wire_name
        elif place.link is not None and place.link.kind is LinkType.FIRST:
            name = column.schema_name  # the one kind of link whose columns have no prefix
        else:
            name = f"{place.alias}.{column.name}"
        aliased = at > 0 or attribute.alias is not None
        return Output(name, column, column.name, self._value(at, column), aliased, at)

    def _value(self, at: int, column: ColumnDefinition) -> Callable[[Joined], Value]:
        table = self._tables.places[at].table
        read = TableScope(table, self._asking).bind(Field(column.name)).read
        if column.type is not ColumnType.LOOKUP:
            return at_place(at, read)
        return _pointer(at, table, column, read)

    def _children(self, at: int, attribute: Attribute) -> Output:
        """Return how many rows are right below a row in the hierarchy of its table."""
        table = self._tables.places[at].table
        metadata, links = self._asking.navigator.metadata, self._asking.navigator.links
        hierarchy = next(
            (
                relationship
                for relationship in metadata.one_to_many(table.name)
                if relationship.is_hierarchical and relationship.referencing == table.name
            ),
            None,
        )
        if hierarchy is None or attribute.name != table.primary_id:
            raise bad_aggregate(
                f"The attribute '{attribute.name}' of '{table.name}' has no hierarchy whose rows "
                "could be counted."
            )
        find, readable = self._asking.navigator.find, self._asking.readable
        id_at = table.positions[table.primary_id]

        def count(cells: Cells) -> Cell:
            ids = links.sources(table, hierarchy, str(cells[id_at]))
            rows = (find(table.name, row_id) for row_id in ids)
            return sum(1 for row in rows if row is not None and readable(row))

        name = _alias(attribute.alias or "CountChildren")
        column = _whole(self._tables.column(at, attribute.name))
        return Output(name, column, attribute.name, at_place(at, count), aliased=True)

    def _total(self, at: int, attribute: Attribute) -> Output:
        """Return what rows are grouped by, or what is made of a group."""
        if attribute.alias is None:
            raise no_alias(attribute.name)
        name, column = _alias(attribute.alias), self._tables.column(at, attribute.name)
        if attribute.function is None:
            if not attribute.group:
                raise with_aggregate(attribute.name)
            plain = Output(name, column, column.name, self._value(at, column), aliased=True)
            return plain if attribute.part is None else self._part(at, attribute, plain)
        if attribute.group:
            raise bad_aggregate(f"The attribute '{column.name}' is both aggregated and grouped.")
        check_function(attribute.function, column)
        read, described = self._value(at, column), column
        if counts(attribute.function):
            described = _whole(column)
            if column.type is not ColumnType.LOOKUP:
                bound = TableScope(self._tables.places[at].table, self._asking).bind(
                    Field(column.name)
                )
                read = at_place(at, formed(bound.read, column.type))  # alike counts as one
        return Output(
            name,
            described,
            column.name,
            read,
            aliased=True,
            function=attribute.function,
            distinct=attribute.distinct,
        )

    def _part(self, at: int, attribute: Attribute, plain: Output) -> Output:
        """Return a part of a date that rows are grouped by."""
        assert attribute.part is not None
        column, fiscal = plain.column, self._asking.fiscal
        if column.type is not ColumnType.DATETIME:
            raise bad_aggregate(f"The attribute '{column.name}' has no parts of a date.")
        zone = self._asking.zone if attribute.user_zone else UTC
        part = part_reader(attribute.part, column, zone, fiscal)
        whole = TableScope(self._tables.places[at].table, self._asking).bind(Field(column.name))
        read = whole.read
        made = replace(
            plain, column=_whole(column), read=at_place(at, lambda cells: part(read(cells)))
        )
        if attribute.part is DatePart.FISCAL_YEAR:
            return replace(made, label=lambda year: year_label(_number(year)))
        if attribute.part is DatePart.FISCAL_PERIOD:
            return replace(
                made,
                show=lambda ordinal: period_number(_number(ordinal), fiscal),
                label=lambda ordinal: period_label(_number(ordinal), fiscal),
            )
        return made

    def _add_currency(self) -> None:
        """Let the currency come along with amounts of the root."""
        table = self._tables.places[0].table
        amounts = any(
            output.column.type is ColumnType.MONEY and not output.aliased
            for output in self._outputs.values()
        )
        if amounts and _CURRENCY in table.by_name:
            self._put(self._plain(0, Attribute(_CURRENCY)))

    def _group_sorts(self) -> Iterator[GroupSort]:
        names = list(self._outputs)
        for place in self._tables.places:
            for order in place.entity.orders:
                if order.alias is None:
                    raise bad_aggregate(
                        "An attribute cannot be specified for an order clause for an aggregate "
                        "Query. Use an alias."
                    )
                if order.alias not in names:
                    raise no_such_alias(order.alias, "an order")
                yield GroupSort(names.index(order.alias), order.descending)

    def _sorts(self) -> Iterator[Sort]:
        for at, place in enumerate(self._tables.places):
            for order in place.entity.orders:
                yield self._sort(at, order)

    def _sort(self, at: int, order: Sorting) -> Sort:
        if order.attribute is None:
            raise bad_alias(order.alias or "", "only an aggregate is ordered by an alias.")
        if order.entity is not None:
            at = self._tables.place_of(order.entity, f"the order of '{order.attribute[:100]}'")
        table, column = self._tables.places[at].table, self._tables.column(at, order.attribute)
        bound = TableScope(table, self._asking).bind(Field(column.name))
        labelled = column.type in _LABELLED and not self._fetch.raw_order
        if column.name in table.by_name and (column.type is ColumnType.LOOKUP or labelled):
            read = label_reader(table, column, self._asking)
            return Sort(column.name, at_place(at, read), ColumnType.STRING, order.descending, at)
        return Sort(column.name, at_place(at, bound.read), column.type, order.descending, at)


def _pointer(
    at: int, table: TableDefinition, column: ColumnDefinition, read: Callable[[Cells], Cell]
) -> Callable[[Joined], Value]:
    """Return how to read where a lookup points to."""
    beside = table.positions.get(column.table_field or "")
    target = itemgetter(beside) if beside is not None else None
    only = column.targets[0] if column.targets else ""

    def pointer(joined: Joined) -> Value:
        cells = joined[at]
        row_id = None if cells is None else read(cells)
        if cells is None or row_id is None:
            return None
        return Reference(str(target(cells)) if target else only, str(row_id))

    return pointer


def _alias(alias: str) -> str:
    if not _ALIAS.match(alias):
        raise bad_alias(alias, "only letters, digits and _ are allowed.")
    return alias


def _whole(column: ColumnDefinition) -> ColumnDefinition:
    """Return what describes a whole number that is made of a column."""
    return ColumnDefinition(column.name, ColumnType.INTEGER, column.schema_name, column.label)


def _number(value: Value) -> int:
    assert isinstance(value, int)
    return value
