"""What of a row is asked for: ``$select`` and ``$expand``, resolved to columns and hops.

Invariant: whatever is wrong with them is found here, before a row is read or written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault, unknown_property
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.relationships import Direction, Hop
from holdfast_emulator.queries.conditions import EVERY_ROW, Condition
from holdfast_emulator.queries.odata import order_of, parse_filter
from holdfast_emulator.queries.query import Order
from holdfast_emulator.wire.calls import Unsupported, bad_query
from holdfast_emulator.wire.keys import PRINCIPAL_KEY, PRINCIPALS
from holdfast_emulator.wire.options import (
    MOST_EXPANSIONS,
    Expand,
    Preferences,
    too_many_links,
)

_CURRENCY: Final = "transactioncurrencyid"


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a row is written: columns, expansions, annotations.

    :param listed: the properties as ``@odata.context`` names them
    :param etag: whether ``@odata.etag`` comes along
    :param type: ``@odata.type``, where the table does not follow from the property
    :param references: only the URL of a row is written
    """

    table: TableDefinition
    columns: tuple[ColumnDefinition, ...]
    expansions: tuple[Expansion, ...]
    listed: str
    preferences: Preferences
    etag: bool = True
    type: str | None = None
    references: bool = False

    @property
    def context(self) -> str:
        """What ``@odata.context`` says after the ``#``, for many rows."""
        if self.references:
            return "Collection($ref)"
        return f"{self.table.entity_set}({self.listed})" if self.listed else self.table.entity_set


@dataclass(frozen=True, slots=True)
class Leg:
    """One hop of an expansion, and what is written of the rows at its end."""

    hop: Hop
    shape: Shape
    where: Condition = EVERY_ROW
    order: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class Expansion:
    """A navigation property to expand.

    Several ``legs`` are the tables that one lookup may point to under one property (an owner).

    :param page_size: of a collection; None where it is not paged
    """

    asked: Expand
    legs: tuple[Leg, ...]
    page_size: int | None = None

    @property
    def single(self) -> bool:
        """Whether one row is at its end, at most."""
        return self.legs[0].hop.single


def shape_of(
    dataverse: Dataverse,
    table: TableDefinition,
    select: Sequence[str] | None,
    expand: Sequence[Expand],
    preferences: Preferences,
    *,
    many: bool = False,
) -> Shape:
    """Resolve ``$select`` and ``$expand``.

    :param many: a list is asked for, where joined rows come without their etags
    :raises DataverseFault: a name is none of the table's, or more is expanded than may be
    """
    _refuse_many(expand)
    nested = any(one.expand for one in expand)
    planner = _Planner(dataverse, preferences, joined=many, nested=nested)
    shape = planner.shape(table, select, expand)
    _refuse_mixed(shape, nested=nested)
    return shape


def find_column(dataverse: Dataverse, table: TableDefinition, name: str) -> ColumnDefinition:
    """Return the column that a property, a lookup or its navigation property stands for.

    :raises DataverseFault: it is none of the table's
    """
    first, slash, rest = name.partition("/")
    hop = dataverse.metadata.hop(table.name, first) if slash else None
    if hop is not None and rest in dataverse.metadata.tables[hop.target].by_wire_name:
        raise Unsupported(f"the navigation path {name[:100]}")
    if table.name in PRINCIPALS and name == PRINCIPAL_KEY:
        return table.by_name[table.primary_id]
    column = table.by_wire_name.get(name)
    if column is None:
        relationship = dataverse.metadata.single_valued(table.name, name)
        column = table.by_name.get(relationship.referencing_attribute if relationship else name)
    if column is None or not column.readable:
        raise unknown_property(table.name, name)
    return column


@dataclass(frozen=True, slots=True)
class _Planner:
    """Resolves the options of one request.

    :param joined: rows at the end of a lookup come without etags
    :param nested: somewhere an expansion is inside an expansion
    """

    dataverse: Dataverse
    preferences: Preferences
    joined: bool
    nested: bool

    def shape(
        self,
        table: TableDefinition,
        select: Sequence[str] | None,
        expand: Sequence[Expand],
        beside: Iterable[str] = (),
    ) -> Shape:
        """Return the shape of rows of one table; the columns ``beside`` come along."""
        expansions = tuple(self._expansion(table, one) for one in expand)
        beside = [*beside, *(e.legs[0].hop.near for e in expansions if e.asked.reference)]
        columns = (
            tuple(column for column in table.columns if column.readable)
            if select is None
            else _selected(self.dataverse, table, select, beside)
        )
        listed = ",".join([*(select or ()), *(_listed(one) for one in expand)])
        return Shape(table, columns, expansions, listed, self.preferences)

    def _expansion(self, table: TableDefinition, asked: Expand) -> Expansion:
        hops = [
            hop
            for hop in self.dataverse.metadata.hops(table.name)
            if hop.navigation == asked.navigation
        ]
        if not hops:
            raise unknown_property(table.name, asked.navigation)
        single = hops[0].single
        if asked.reference and not single:
            raise bad_query(
                "Expand with $ref is only supported on lookup type navigation property."
            )
        if (asked.top is not None or asked.orderby) and (single or self.nested):
            raise bad_query(
                "Only $select and $filter clause can be provided while doing $expand on "
                "many-to-one relationship or nested one-to-many relationship."
            )
        hops = [hop for hop in hops if hop.single == single]
        legs = tuple(self._leg(hop, self._shared(hops, hop, asked)) for hop in hops)
        if len(legs) > 1:
            legs = tuple(_typed(leg) for leg in legs)
        paged = self.preferences.page_size if self.nested and not single else None
        return Expansion(asked, legs, paged)

    def _shared(self, hops: Sequence[Hop], hop: Hop, asked: Expand) -> Expand:
        """Leave out what only the other tables have that the property may lead to."""
        if asked.select is None or len(hops) == 1:
            return asked
        others = [other for other in hops if other is not hop]
        select = tuple(
            name
            for name in asked.select
            if self._has(hop, name) or not any(self._has(other, name) for other in others)
        )
        return replace(asked, select=select)

    def _has(self, hop: Hop, name: str) -> bool:
        try:
            find_column(self.dataverse, self.dataverse.metadata.tables[hop.target], name)
        except DataverseFault:
            return False
        return True

    def _leg(self, hop: Hop, asked: Expand) -> Leg:
        target = self.dataverse.metadata.tables[hop.target]
        back = [hop.far] if hop.direction is Direction.TO_MANY and not self.nested else []
        shape = self.shape(target, asked.select, asked.expand, back)
        etag = not (self.joined and (hop.single or self.nested))
        metadata = self.dataverse.metadata
        return Leg(
            hop,
            replace(shape, etag=etag),
            EVERY_ROW if asked.filter is None else parse_filter(asked.filter, target, metadata),
            tuple(
                order_of(metadata, target, sort.name, descending=sort.descending)
                for sort in asked.orderby
            ),
        )


def _typed(leg: Leg) -> Leg:
    return replace(leg, shape=replace(leg.shape, type=f"#Microsoft.Dynamics.CRM.{leg.hop.target}"))


def _listed(one: Expand) -> str:
    """Return an expansion as ``@odata.context`` names it."""
    if one.reference:
        return f"{one.navigation},{one.navigation}/$ref()"
    inner = [*(one.select or ()), *(_listed(deeper) for deeper in one.expand)]
    return f"{one.navigation}({','.join(inner)})"


def _selected(
    dataverse: Dataverse, table: TableDefinition, select: Sequence[str], beside: Iterable[str]
) -> tuple[ColumnDefinition, ...]:
    """Return the columns asked for; the primary id comes along, and the currency with money."""
    found = {table.primary_id: table.by_name[table.primary_id]}
    for name in select:
        column = find_column(dataverse, table, name)
        found[column.name] = column
        if column.type is ColumnType.MONEY and _CURRENCY in table.by_name:
            found[_CURRENCY] = table.by_name[_CURRENCY]
    for name in beside:
        found[name] = table.by_name[name]
    return tuple(found.values())


def _refuse_many(expand: Sequence[Expand]) -> None:
    if sum(1 for _ in _every(expand)) > MOST_EXPANSIONS:
        raise too_many_links()


def _refuse_mixed(shape: Shape, *, nested: bool) -> None:
    """Refuse a many-to-many relationship that is not alone with its like on one level."""
    kinds = set(_directions(shape))
    if Direction.ACROSS in kinds and (nested or len(kinds) > 1):
        raise bad_query(
            "$expand on a many-to-many relationship can be neither nested nor combined with "
            "$expand on other relationships."
        )


def _directions(shape: Shape) -> Iterator[Direction]:
    for leg in (leg for one in shape.expansions for leg in one.legs):
        yield leg.hop.direction
        yield from _directions(leg.shape)


def _every(expand: Sequence[Expand]) -> Iterator[Expand]:
    for one in expand:
        yield one
        yield from _every(one.expand)
