"""``$apply``: filters, groups and aggregates in a URL.

Invariant: it is asked as an aggregate of FetchXML is, so both have the same limits and the same
sums; what Dataverse does not support in ``$apply`` is refused here, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from holdfast.schema import ColumnType
from holdfast.values import Cell
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.principals import Privilege
from holdfast_emulator.behaviour.row import Cells, Row
from holdfast_emulator.queries.aggregate import AGGREGATE_LIMIT, check_function
from holdfast_emulator.queries.conditions import All, Condition
from holdfast_emulator.queries.fetchxml.document import Function
from holdfast_emulator.queries.joins import Joined, Plan, Source, at_place
from holdfast_emulator.queries.matches import formed
from holdfast_emulator.queries.odata import parse_filter
from holdfast_emulator.queries.odata.paths import Property, find_property
from holdfast_emulator.queries.outputs import Grouping, GroupSort, Output, Retrieval, Value
from holdfast_emulator.queries.retrieve import Window, retrieve
from holdfast_emulator.queries.scope import Asking, TableScope, follower
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, bad_query
from holdfast_emulator.wire.fetch import among, annotated, head
from holdfast_emulator.wire.options import given_options, preferences
from holdfast_emulator.wire.records import RecordWriter
from holdfast_emulator.wire.urls import split_outside

_STEP: Final = re.compile(r"\s*(\w+)\s*\((.*)\)\s*\Z", re.DOTALL)
_COUNT: Final = re.compile(r"\s*\$count\s+as\s+(\w+)\s*\Z")
_TOTAL: Final = re.compile(r"\s*([\w/]+)\s+with\s+([\w.]+)\s+as\s+(\w+)\s*\Z")
_FUNCTIONS: Final[Mapping[str, Function]] = {
    "sum": Function.SUM,
    "average": Function.AVERAGE,
    "min": Function.MINIMUM,
    "max": Function.MAXIMUM,
    "countdistinct": Function.COUNT_COLUMN,
}
_OTHER_STEPS: Final = frozenset(
    {
        *("bottomcount", "bottompercent", "bottomsum", "compute", "concat", "expand", "identity"),
        *("search", "topcount", "toppercent", "topsum", "orderby", "skip", "top", "join"),
        *("outerjoin", "nest", "addnested", "ancestors", "descendants", "traverse"),
    }
)


@dataclass(frozen=True, slots=True)
class ApplyReader:
    """Answers GET on an entity set, or on a collection of related rows, with groups."""

    dataverse: Dataverse

    def list(self, call: Call, table: TableDefinition, ids: frozenset[str] | None = None) -> Reply:
        """Answer with one record for each group.

        :param ids: only these rows are asked about; None asks about the whole table
        :raises DataverseFault: the options are not understood, or the rows are not to be read
        """
        given = given_options(call.query, ("$apply", "$orderby", "$filter"))
        if "$filter" in given:
            raise Unsupported("$filter beside $apply; use filter() inside of it")
        asking, security = self.dataverse.asking(call.user), self.dataverse.security
        security.check(call.user, table, Privilege.READ)
        aliases = {name: text for name, text in given.items() if name.startswith("@")}
        retrieval = _Reading(table, asking, aliases).retrieval(given["$apply"])
        retrieval = _ordered(retrieval, given.get("$orderby", ""))
        if ids is not None:
            retrieval = replace(retrieval, plan=among(retrieval.plan, ids))
        found = retrieve(retrieval, asking, Window(AGGREGATE_LIMIT))
        prefer = preferences(call.headers.get("prefer", ""))
        writer = RecordWriter(self.dataverse, call.user, retrieval, prefer)
        body = head(self.dataverse, call, prefer, table.entity_set)
        body["value"] = [writer.write(record) for record in found.records]
        return annotated(body, prefer)


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads one ``$apply``."""

    table: TableDefinition
    asking: Asking
    aliases: Mapping[str, str]

    def retrieval(self, text: str) -> Retrieval:
        where: list[Condition] = []
        outputs: list[Output] | None = None
        for step in split_outside(text, "/"):
            found = _STEP.match(step)
            if found is None:
                raise _syntax(step)
            name, inner = found[1], found[2]
            if outputs is not None:
                raise Unsupported(f"{name[:50]}() after groups were made, in $apply")
            if name == "filter":
                metadata = self.asking.navigator.metadata
                where.append(parse_filter(inner, self.table, metadata, self.aliases))
            elif name == "aggregate":
                outputs = list(self._totals(inner))
            elif name == "groupby":
                outputs = list(self._groups(inner))
            elif name in _OTHER_STEPS:
                raise Unsupported(f"{name}() in $apply")
            else:
                raise _syntax(step)
        if outputs is None:
            raise Unsupported("$apply without groupby() or aggregate()")
        _check_names(outputs)
        root = Source(self.table, All(tuple(where)))
        return Retrieval(Plan(root), tuple(outputs), grouping=Grouping(AGGREGATE_LIMIT))

    def _groups(self, inner: str) -> Iterator[Output]:
        columns, *steps = split_outside(inner, ",")
        listed = columns.strip()
        if not (listed.startswith("(") and listed.endswith(")")) or len(steps) > 1:
            raise _syntax(f"groupby({inner})")
        for path in split_outside(listed[1:-1], ","):
            yield self._group(path.strip())
        for step in steps:
            found = _STEP.match(step)
            if found is None:
                raise _syntax(step)
            if found[1] != "aggregate":
                raise Unsupported(f"{found[1][:50]}() inside groupby(), in $apply")
            yield from self._totals(found[2])

    def _group(self, path: str) -> Output:
        if path.startswith(("rollup(", "year(", "month(", "day(", "date(", "hour(")):
            raise Unsupported(f"groupby(({path[:50]})) in $apply")
        found = self._property(path)
        column = found.column
        if column.type is ColumnType.DATETIME:
            raise bad_query(
                f"The property '{path[:100]}' cannot be grouped by: groupby with datetime values "
                "is not supported."
            )
        name = column.wire_name
        if found.field.via:
            name = f"{found.field.via[-1].target}_{name}"
        return Output(name, column, column.name, self._value(found), aliased=False)

    def _totals(self, inner: str) -> Iterator[Output]:
        for item in split_outside(inner, ","):
            yield self._total(item)

    def _total(self, item: str) -> Output:
        count = _COUNT.match(item)
        if count is not None:
            column = self.table.by_name[self.table.primary_id]
            return _counting(count[1], column, lambda _: True, Function.COUNT)
        total = _TOTAL.match(item)
        if total is None:
            raise _syntax(f"aggregate({item})")
        found = self._property(total[1])
        function = _FUNCTIONS.get(total[2])
        if function is None:
            raise bad_query(f"The aggregation method '{total[2][:100]}' is not supported.")
        check_function(function, found.column)
        read = self._value(found)
        if function is Function.COUNT_COLUMN:
            if found.column.type is not ColumnType.LOOKUP:
                read = at_place(0, formed(self._read(found), found.column.type))
            return _counting(total[3], found.column, read, function)
        name = found.column.name
        return Output(total[3], found.column, name, read, aliased=True, function=function)

    def _property(self, path: str) -> Property:
        names = path.split("/")
        if not all(names):
            raise _syntax(path)
        return find_property(self.asking.navigator.metadata, self.table, names)

    def _read(self, found: Property) -> Callable[[Cells], Cell]:
        return TableScope(self.table, self.asking).bind(found.field).read

    def _value(self, found: Property) -> Callable[[Joined], Value]:
        if found.column.type is not ColumnType.LOOKUP:
            return at_place(0, self._read(found))
        return _pointer(self.table, found, self.asking)


def _pointer(table: TableDefinition, found: Property, asking: Asking) -> Callable[[Joined], Value]:
    """Return how to read where a lookup points to that may be at the end of a path."""
    via, name = found.field.via, found.field.column
    follow = follower(table, via, asking)
    hidden = name in asking.hidden(via[-1].target if via else table.name)

    def pointer(joined: Joined) -> Value:
        cells = joined[0]
        row: Row | None = None if cells is None or hidden else follow(cells)
        return None if row is None else row[name]

    return pointer


def _counting(
    alias: str, column: ColumnDefinition, read: Callable[[Joined], Value], function: Function
) -> Output:
    number = ColumnDefinition(column.name, ColumnType.INTEGER, column.schema_name, column.label)
    return Output(alias, number, column.name, read, aliased=True, function=function, distinct=True)


def _check_names(outputs: Sequence[Output]) -> None:
    """Refuse two properties of one name."""
    names: set[str] = set()
    for output in outputs:
        if output.name in names:
            raise bad_query(f"The property '{output.name[:100]}' is already in the result.")
        names.add(output.name)


def _ordered(retrieval: Retrieval, orderby: str) -> Retrieval:
    """Return the query in the order of some of the columns that it groups by."""
    assert retrieval.grouping is not None
    places = {output.name: at for at, output in enumerate(retrieval.outputs) if not output.function}
    sorts: list[GroupSort] = []
    for part in filter(str.strip, split_outside(orderby, ",")):
        name, _, direction = part.strip().partition(" ")
        if name not in places:
            raise bad_query("The query node SingleValueOpenPropertyAccess is not supported.")
        if direction.strip() not in ("", "asc", "desc"):
            raise _syntax(part)
        sorts.append(GroupSort(places[name], direction.strip() == "desc"))
    return replace(retrieval, grouping=replace(retrieval.grouping, sorts=tuple(sorts)))


def _syntax(text: str) -> DataverseFault:
    return bad_query(f"Syntax error in $apply, at '{text[:200]}'.")
