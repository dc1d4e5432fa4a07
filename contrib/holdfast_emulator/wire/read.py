"""Reading many rows: queries with their pages, tracked reads with their deltas, counts.

Invariant: a link repeats the options as the client sent them and adds where to go on; nothing is
remembered between two pages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from holdfast.schema import Column, Kind
from holdfast_emulator.behaviour.changes import ChangePage, TrackPosition
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.queries.conditions import (
    EVERY_ROW,
    All,
    Condition,
    Field,
    Operator,
    Test,
)
from holdfast_emulator.queries.odata import order_of, parse_filter
from holdfast_emulator.queries.query import Answer, Order, Query
from holdfast_emulator.queries.select import sort_key
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, answer, bad_query
from holdfast_emulator.wire.cookies import (
    Cookie,
    read_cookie,
    read_position,
    write_cookie,
    write_delta_token,
    write_position,
)
from holdfast_emulator.wire.options import (
    COUNT_EXCEEDED,
    FETCH_SOURCES,
    MAX_PAGE,
    TOTAL_COUNT,
    Options,
    Preferences,
    option_names,
    parse_query,
    preferences,
)
from holdfast_emulator.wire.shapes import Json, RowWriter, Shape, shape_of

_LIST: Final = (
    *("$select", "$filter", "$orderby", "$top", "$count", "$expand"),
    *("$skiptoken", "$deltatoken"),
)
_COUNT: Final = ("$filter", "$deltatoken")
_REFERENCES: Final = ("$filter", "$orderby", "$top", "$count", "$skiptoken")
_BOM: Final = b"\xef\xbb\xbf"
_SCHEMA_VERSION: Final = "Microsoft.Dynamics.CRM.globalmetadataversion"


@dataclass(frozen=True, slots=True)
class Within:
    """The rows that a relationship leads to, instead of a whole table.

    :param path: the URL of the collection, below the service root
    :param ids: the rows; which of them the caller may read is still to be found out
    """

    path: str
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reader:
    """Answers GET on an entity set."""

    dataverse: Dataverse

    def list(self, call: Call, table: TableDefinition, within: Within | None = None) -> Reply:
        """Answer with a page of rows, or of changes.

        :raises DataverseFault: the options are not understood, or the rows are not to be read
        """
        names = option_names(call.query)
        prefer = preferences(call.headers.get("prefer", ""))
        if not names.isdisjoint({*FETCH_SOURCES, "$apply"}):
            if prefer.track_changes:
                raise Unsupported("change tracking of what is not a plain list of rows")
            return self._other(names, call, table, within)
        options = parse_query(call.query, _LIST)
        cookie = None if options.skip_token is None else read_cookie(options.skip_token)
        shape = shape_of(self.dataverse, table, options.select, options.expand, prefer, many=True)
        request = _Listing(self.dataverse, call, table, options, prefer, shape, cookie, within)
        delta = options.delta_token is not None
        if prefer.track_changes or delta or (cookie and cookie.tracking):
            if within:
                raise Unsupported("change tracking of a navigation property")
            return request.tracked()
        return request.queried(self._filter(table, options, within))

    def _other(
        self, names: Collection[str], call: Call, table: TableDefinition, within: Within | None
    ) -> Reply:
        """Answer what is not a plain list; who reads rows does not wait for these to be loaded."""
        ids = within.ids if within else None
        if not any(name in names for name in FETCH_SOURCES):
            from holdfast_emulator.wire.apply import ApplyReader

            return ApplyReader(self.dataverse).list(call, table, ids)
        from holdfast_emulator.wire.fetch import FetchReader

        return FetchReader(self.dataverse).list(call, table, ids)

    def references(self, call: Call, table: TableDefinition, within: Within) -> Reply:
        """Answer ``/$ref`` of a collection with a page of URLs.

        :raises DataverseFault: the options are not understood, or the rows are not to be read
        """
        options = parse_query(call.query, _REFERENCES)
        prefer = preferences(call.headers.get("prefer", ""))
        cookie = None if options.skip_token is None else read_cookie(options.skip_token)
        shape = replace(shape_of(self.dataverse, table, (), (), prefer), references=True)
        request = _Listing(self.dataverse, call, table, options, prefer, shape, cookie, within)
        return request.queried(self._filter(table, options, within))

    def count(self, call: Call, table: TableDefinition, within: Within | None = None) -> Reply:
        """Answer ``/$count`` with a number in plain text, which starts with a byte order mark.

        :raises DataverseFault: the options are not understood, or the rows are not to be read
        """
        options = parse_query(call.query, _COUNT)
        if options.delta_token is not None:
            _refuse_shaping(options)
            if within:
                raise Unsupported("change tracking of a navigation property")
            total = self.dataverse.count_changes(call.user, table.name, options.delta_token)
        else:
            where = self._filter(table, options, within)
            total = self.dataverse.count(call.user, table.name, where)
        return Reply(200, _BOM + str(total).encode(), type="text/plain")

    def _filter(self, table: TableDefinition, options: Options, within: Within | None) -> Condition:
        where = EVERY_ROW
        if options.filter is not None:
            metadata = self.dataverse.metadata
            where = parse_filter(options.filter, table, metadata, options.aliases)
        if within is None:
            return where
        inside = Test(Field(table.primary_id), Operator.IN, tuple(sorted(within.ids)))
        return All((inside, where))


@dataclass(frozen=True, slots=True)
class _Listing:
    """One request for a page."""

    dataverse: Dataverse
    call: Call
    table: TableDefinition
    options: Options
    prefer: Preferences
    shape: Shape
    cookie: Cookie | None
    within: Within | None = None

    @property
    def page_size(self) -> int:
        return self.prefer.page_size or MAX_PAGE

    def queried(self, where: Condition) -> Reply:
        """Answer an ordinary query."""
        order = self._order()
        query = Query(
            self.table.name,
            where,
            order,
            None if self.prefer.page_size else self.options.top,
            self.page_size,
            read_position(self.cookie.inner, self._kinds(order)) if self.cookie else None,
            self.options.count,
        )
        found = self.dataverse.query(self.call.user, query)
        body = self._head("")
        body.update(self._totals(found))
        body["value"] = self._rows(found.rows)
        if found.next is not None:
            body["@odata.nextLink"] = self._link("$skiptoken", self._next(order, found))
        return self._reply(body)

    def tracked(self) -> Reply:
        """Answer a tracked read: all rows with a delta link at the end, or what changed since."""
        _refuse_shaping(self.options)
        if self.options.count:
            raise Unsupported("$count=true with change tracking")
        position = _track_position(self.cookie)
        page = self.dataverse.track(
            self.call.user,
            self.table.name,
            token=self.options.delta_token,
            position=position,
            page_size=self.page_size,
        )
        body = self._head("/$delta" if self.options.delta_token is not None else "")
        body.update(self._track_link(page))
        body["value"] = [*self._rows(page.rows), *map(self._deleted, page.deleted)]
        return self._reply(body, tracked=True)

    def _track_link(self, page: ChangePage) -> Json:
        if page.next is None:
            assert page.token is not None
            token = write_delta_token(page.token)
            return {"@odata.deltaLink": self._link("$deltatoken", token)}
        number = self.cookie.page if self.cookie else 1
        token = write_cookie(Cookie(number + 1, str(page.next), tracking=True))
        if self.options.delta_token is None:
            return {"@odata.nextLink": self._link("$skiptoken", token)}
        since = f"{write_delta_token(self.options.delta_token)}&$skiptoken={token}"
        return {"@odata.nextLink": self._link("$deltatoken", since)}

    def _deleted(self, row_id: str) -> Json:
        context = f"{self.call.root}/$metadata#{self.table.entity_set}/$deletedEntity"
        return {"@odata.context": context, "id": row_id, "reason": "deleted"}

    def _head(self, suffix: str) -> Json:
        head = {"@odata.context": f"{self.call.root}/$metadata#{self.shape.context}{suffix}"}
        if self.prefer.wants(_SCHEMA_VERSION):
            head[f"@{_SCHEMA_VERSION}"] = str(self.dataverse.metadata.version)
        return head

    def _totals(self, found: Answer) -> Mapping[str, Any]:  # Any: numbers and booleans
        totals: Json = {}
        if found.count is not None:
            totals["@odata.count"] = found.count
        if self.prefer.wants(TOTAL_COUNT):
            totals[f"@{TOTAL_COUNT}"] = -1 if found.count is None else found.count
        if self.prefer.wants(COUNT_EXCEEDED):
            totals[f"@{COUNT_EXCEEDED}"] = found.count_exceeded
        return totals

    def _rows(self, rows: Sequence[Row]) -> list[object]:
        if self.shape.references:
            base = f"{self.call.root}/{self.table.entity_set}"
            return [{"@odata.id": f"{base}({row.id})"} for row in rows]
        writer = RowWriter(self.dataverse, self.call.user, self.shape, self.call.root)
        return writer.write_all(rows)

    def _order(self) -> list[Order]:
        metadata, aliases = self.dataverse.metadata, self.options.aliases
        return [
            order_of(metadata, self.table, sort.name, descending=sort.descending, aliases=aliases)
            for sort in self.options.orderby
        ]

    def _kinds(self, order: Sequence[Order]) -> list[tuple[str, Kind]]:
        """Return the entries of a paging cookie: what each is called, and how its cells compare."""
        key = sort_key(self.table, order, self.dataverse.asking(self.call.user))
        named = zip(_entries(order), key.kinds, strict=True)
        kinds = [(name, Column(name, kind).kind) for name, kind in named]
        return [*kinds, (self.table.primary_id, Kind.KEY)]

    def _next(self, order: Sequence[Order], found: Answer) -> str:
        assert found.next is not None
        assert found.first is not None
        number = self.cookie.page if self.cookie else 1
        names = [*_entries(order), self.table.primary_id]
        inner = write_position(names, number, found.next, found.first)
        return write_cookie(Cookie(number + 1, inner, tracking=False))

    def _link(self, option: str, value: str) -> str:
        echo = f"{self.options.echo}&" if self.options.echo else ""
        path = self.within.path if self.within else self.table.entity_set
        return f"{self.call.root}/{path}?{echo}{option}={value}"

    def _reply(self, body: Json, *, tracked: bool = False) -> Reply:
        applied = self.prefer.applied(paged=True, tracked=tracked)
        reply = answer(body)
        return Reply(200, reply.body, {"Preference-Applied": applied} if applied else {})


def _refuse_shaping(options: Options) -> None:
    """Refuse the options that change tracking cannot be combined with."""
    for name in options.named():
        raise bad_query(
            f'The "${name}" query parameter isn\'t supported when Change Tracking is enabled.'
        )


def _entries(order: Sequence[Order]) -> list[str]:
    """Return what the sort cells are called in a paging cookie."""
    paths = [one.path for one in order]
    return ["_".join([*(hop.navigation for hop in path.via), path.column]) for path in paths]


def _track_position(cookie: Cookie | None) -> TrackPosition | None:
    return None if cookie is None else TrackPosition.parse(cookie.inner)
