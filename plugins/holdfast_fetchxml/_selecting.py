"""A whole query as a question to a storage.

Invariant: every output is called as the server would call it, but for two things that only the
wire has: a lookup keeps its own name, and the table it points to stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from holdfast.contracts import Tables
from holdfast.filters import ColumnRef
from holdfast.folding import fold
from holdfast.queries import Aggregate, Join, JoinKind, Output, Selection, Sort
from holdfast.schema import Column, ColumnType, Kind
from holdfast_fetchxml._columns import Named
from holdfast_fetchxml._document import Attribute, Fetch, LinkType, Sorting
from holdfast_fetchxml._expressions import all_of
from holdfast_fetchxml._limits import MAXIMUM_PAGE
from holdfast_fetchxml._operators import NUMBERS
from holdfast_fetchxml._plan import Plan
from holdfast_fetchxml._refusals import Refusal, nearest, shown
from holdfast_fetchxml._rows import rows_of

_ALIAS: Final = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_CURRENCY: Final = "transactioncurrencyid"
_KINDS: Final[Mapping[LinkType, JoinKind]] = {
    LinkType.INNER: JoinKind.INNER,
    LinkType.OUTER: JoinKind.OUTER,
    LinkType.FIRST: JoinKind.FIRST,
}
_LABELLED: Final = frozenset({ColumnType.CHOICE, ColumnType.STATE, ColumnType.STATUS})
_ORDERED: Final = NUMBERS | {ColumnType.DATETIME}
_AGGREGATED: Final[Mapping[Aggregate, frozenset[ColumnType]]] = {
    Aggregate.SUM: NUMBERS,
    Aggregate.AVERAGE: NUMBERS,
    Aggregate.MINIMUM: _ORDERED,
    Aggregate.MAXIMUM: _ORDERED,
}
_COUNTS: Final = (Aggregate.COUNT, Aggregate.COUNT_COLUMN)
_NO_ALIAS: Final = "0x8004110b"
_BAD_ALIAS: Final = "0x80041109"
_WITH_AGGREGATE: Final = "0x80041107"
_BAD_AGGREGATE: Final = "0x8004111a"


def selection_of(fetch: Fetch, tables: Tables) -> Selection:
    """Return the question that a query asks.

    :raises Refusal: a name is unknown, or things do not go together
    """
    return _Selecting(fetch, Plan(fetch.entity, tables, rows_of)).selection()


class _Selecting:
    """Collects what one query asks for."""

    def __init__(self, fetch: Fetch, plan: Plan) -> None:
        self._fetch = fetch
        self._plan = plan
        self._outputs: dict[str, Output] = {}

    def selection(self) -> Selection:
        fetch, plan = self._fetch, self._plan
        for at in range(len(plan.places)):
            self._add(at)
        if fetch.aggregate and not self._outputs:
            raise Refusal(
                "an aggregate query asks for nothing, expected an attribute",
                fetch.entity.element.position(),
                _BAD_AGGREGATE,
            )
        if not fetch.aggregate and not fetch.distinct:
            self._add_unasked()
        order = tuple(self._group_sorts() if fetch.aggregate else self._sorts())
        limit, offset = _window(fetch)
        return Selection(
            plan.places[0].table.name,
            tuple(self._outputs.values()),
            tuple(self._joins()),
            all_of(plan.where),
            order,
            grouped=fetch.aggregate,
            distinct=fetch.distinct and not fetch.aggregate,
            limit=limit,
            offset=offset,
        )

    def _joins(self) -> Iterator[Join]:
        for at, place in enumerate(self._plan.places):
            if place.near is None or place.far is None:
                continue
            where = all_of(self._plan.own[at])
            ends = (place.far.ref, place.near.ref)
            yield Join(place.source, place.table.name, *ends, _KINDS[place.kind], where)

    def _add(self, at: int) -> None:
        """Add what the query asks of the table at a place."""
        place = self._plan.places[at]
        entity = place.entity
        if self._fetch.aggregate:
            if entity.everything is not None:
                raise Refusal(
                    "found all-attributes in an aggregate query, expected attributes with aliases",
                    entity.everything.position(),
                    _WITH_AGGREGATE,
                )
            for attribute in entity.attributes:
                self._put(attribute, self._made(at, attribute))
            return
        for attribute in entity.attributes:
            self._put(attribute, self._plain(at, attribute))
        if entity.everything is not None or (at == 0 and not entity.attributes):
            element = entity.everything or entity.element
            for column in place.table.columns:
                attribute = Attribute(element, column.name)
                self._put(attribute, self._plain(at, attribute))

    def _put(self, attribute: Attribute, output: Output) -> None:
        known = self._outputs.setdefault(output.name, output)
        aliased = attribute.alias is not None
        if known is not output and (aliased or known.column != output.column):
            self._taken(attribute, output.name)
        pointer = output.read
        if output.aggregate or pointer is None or pointer.table_field is None:
            return
        name = f"{output.name}@table"
        beside = ColumnRef(pointer.table_field, Kind.KEY, output.column.source)
        self._outputs.setdefault(name, Output(name, beside))

    def _taken(self, attribute: Attribute, name: str) -> None:
        raise Refusal(
            f"two columns of the answer are called {shown(name)}; give one of them another alias",
            attribute.element.position("alias"),
            _BAD_ALIAS,
        )

    def _named(self, at: int, attribute: Attribute) -> Named:
        return self._plan.field(at, attribute.name, None, attribute.element, "name")

    def _plain(self, at: int, attribute: Attribute) -> Output:
        """Return a column as it is."""
        for name, given in (
            ("aggregate", attribute.aggregate),
            ("groupby", attribute.group),
            ("dategrouping", attribute.part),
        ):
            if given:
                raise Refusal(
                    f"found {name}, but the query is no aggregate; write aggregate='true' in fetch",
                    attribute.element.position(name),
                    _BAD_AGGREGATE,
                )
        place, named = self._plan.places[at], self._named(at, attribute)
        if attribute.alias is not None:
            name = _alias(attribute)
        elif at == 0 or place.kind is LinkType.FIRST:  # the one link whose columns have no prefix
            name = attribute.name
        else:
            name = f"{place.source}.{attribute.name}"
        return Output(name, named.ref, read=named.column)

    def _made(self, at: int, attribute: Attribute) -> Output:
        """Return what rows are grouped by, or what is made of a group."""
        element = attribute.element
        if attribute.alias is None:
            message = f"{shown(attribute.name)} has no alias, which an aggregate query needs"
            raise Refusal(message, element.position(), _NO_ALIAS)
        name, named = _alias(attribute), self._named(at, attribute)
        if attribute.aggregate is not None and (attribute.group or attribute.part):
            message = f"{shown(attribute.name)} is both aggregated and grouped, expected one"
            raise Refusal(message, element.position("aggregate"), _BAD_AGGREGATE)
        if attribute.aggregate is not None:
            _check_aggregate(attribute, named.column)
            whole = attribute.aggregate in _COUNTS
            return Output(
                name,
                named.ref,
                attribute.aggregate,
                distinct=attribute.distinct and attribute.aggregate is Aggregate.COUNT_COLUMN,
                read=None if whole else named.column,
            )
        if not attribute.group:
            message = f"{shown(attribute.name)} has neither aggregate nor groupby, expected one"
            raise Refusal(message, element.position(), _WITH_AGGREGATE)
        if attribute.part is None:
            return Output(name, named.ref, read=named.column)
        if named.column.type is not ColumnType.DATETIME:
            message = f"{shown(attribute.name)} is no date, so it has no {attribute.part.value}"
            raise Refusal(message, element.position("dategrouping"), _BAD_AGGREGATE)
        behavior = named.column.behavior
        return Output(
            name, named.ref, part=attribute.part, behavior=behavior, local=attribute.local
        )

    def _add_unasked(self) -> None:
        """Add what comes along with rows: the currency of amounts, and the id."""
        table = self._plan.places[0].table
        amounts = any(
            output.read is not None and output.read.type is ColumnType.MONEY
            for output in self._outputs.values()
            if output.name == output.column.name and not output.column.source
        )
        asked = [_CURRENCY] if amounts and table.column(_CURRENCY) else []
        for name in (*asked, table.primary_id):
            if name not in self._outputs:
                attribute = Attribute(self._fetch.entity.element, name)
                self._put(attribute, self._plain(0, attribute))

    def _group_sorts(self) -> Iterator[Sort]:
        """Yield what groups are sorted by, in the end by what they are grouped by."""
        sorted_by: set[str] = set()
        for place in self._plan.places:
            for order in place.entity.orders:
                if order.alias is None:
                    raise Refusal(
                        "found an attribute to order an aggregate query by, expected an alias",
                        order.element.position("attribute"),
                        _BAD_AGGREGATE,
                    )
                if order.alias not in self._outputs:
                    hint = nearest(order.alias, self._outputs, "no attribute has it")
                    message = f"there is no alias {shown(order.alias)}; {hint}"
                    raise Refusal(message, order.element.position("alias"), "0x8004110a")
                sorted_by.add(order.alias)
                yield Sort(order.alias, order.descending)
        for name, output in self._outputs.items():
            if output.aggregate is None and name not in sorted_by:
                yield Sort(name)

    def _sorts(self) -> Iterator[Sort]:
        for at, place in enumerate(self._plan.places):
            for order in place.entity.orders:
                yield self._sort(at, order)

    def _sort(self, at: int, order: Sorting) -> Sort:
        element = order.element
        if order.attribute is None:
            message = "found an alias to order by, expected an attribute: this is no aggregate"
            raise Refusal(message, element.position("alias"), _BAD_ALIAS)
        named = self._plan.field(at, order.attribute, order.entity, element, "attribute")
        column = named.column
        if column.type is ColumnType.LOOKUP and column.name_field:
            by_name = ColumnRef(column.name_field, Kind.TEXT, named.source)
            return Sort(by_name, order.descending)
        if column.type in _LABELLED and not self._fetch.numbers:
            return Sort(named.ref, order.descending, _ranks(column))
        return Sort(named.ref, order.descending)


def _ranks(column: Column) -> tuple[tuple[int, int], ...]:
    """Return the places of the options by their labels; equal labels share one."""
    labels = sorted({fold(option.label) for option in column.options})
    places = {label: place for place, label in enumerate(labels)}
    return tuple((option.value, places[fold(option.label)]) for option in column.options)


def _alias(attribute: Attribute) -> str:
    alias = attribute.alias or ""
    if not _ALIAS.match(alias):
        message = f"found the alias {shown(alias)}, expected letters, digits and _"
        raise Refusal(message, attribute.element.position("alias"), _BAD_ALIAS)
    return alias


def _check_aggregate(attribute: Attribute, column: Column) -> None:
    assert attribute.aggregate is not None
    if column.type not in _AGGREGATED.get(attribute.aggregate, {column.type}):
        message = (
            f"{attribute.aggregate.value!r} cannot be made of {column.name!r} "
            f"({column.type.value}), expected a number"
        )
        raise Refusal(message, attribute.element.position("aggregate"), _BAD_AGGREGATE)


def _window(fetch: Fetch) -> tuple[int | None, int]:
    """Return how many records are wanted, and how many before them are not."""
    if fetch.page is None and fetch.count is None:
        return fetch.top, 0
    limit = fetch.count or MAXIMUM_PAGE
    return limit, ((fetch.page or 1) - 1) * limit
