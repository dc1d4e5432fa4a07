"""Reading many rows: queries with their pages, tracked reads with their deltas, counts.

Invariant: a link repeats the options as the client sent them and adds where to go on; nothing is
remembered between two pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from holdfast.contracts import FilterLanguage
from holdfast.errors import FilterError
from holdfast.filters import EVERYTHING, And, Expression, Not, Or
from holdfast.schema import ColumnType, Kind
from holdfast.values import Reference
from holdfast_emulator.behaviour.changes import ChangePage, TrackPosition
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import TOO_MANY_CONDITIONS, DataverseFault, unknown_property
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.queries.query import Answer, Order, Query
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
    MAX_PAGE,
    TOTAL_COUNT,
    Options,
    Preferences,
    parse_query,
    preferences,
)
from holdfast_emulator.wire.shapes import Json, RowWriter, Shape, find_column, shape_of

_LIST: Final = (
    *("$select", "$filter", "$orderby", "$top", "$count", "$expand"),
    *("$skiptoken", "$deltatoken"),
)
_COUNT: Final = ("$filter", "$deltatoken")
_MOST_CONDITIONS: Final = 500
_BOM: Final = b"\xef\xbb\xbf"
_UNKNOWN: Final = re.compile(r"has no column '([^']*)'")
_SCHEMA_VERSION: Final = "Microsoft.Dynamics.CRM.globalmetadataversion"


@dataclass(frozen=True, slots=True)
class Reader:
    """Answers GET on an entity set."""

    dataverse: Dataverse
    language: FilterLanguage

    def list(self, call: Call, table: TableDefinition) -> Reply:
        """Answer with a page of rows, or of changes.

        :raises DataverseFault: the options are not understood, or the rows are not to be read
        """
        options = parse_query(call.query, _LIST)
        prefer = preferences(call.headers.get("prefer", ""))
        cookie = None if options.skip_token is None else read_cookie(options.skip_token)
        shape = shape_of(self.dataverse, table, options.select, options.expand, prefer)
        request = _Listing(self.dataverse, call, table, options, prefer, shape, cookie)
        delta = options.delta_token is not None
        if prefer.track_changes or delta or (cookie and cookie.tracking):
            return request.tracked()
        return request.queried(self._filter(table, options.filter), self.language)

    def count(self, call: Call, table: TableDefinition) -> Reply:
        """Answer ``/$count`` with a number in plain text, which starts with a byte order mark.

        :raises DataverseFault: the options are not understood, or the rows are not to be read
        """
        options = parse_query(call.query, _COUNT)
        if options.delta_token is not None:
            _refuse_shaping(options)
            total = self.dataverse.count_changes(call.user, table.name, options.delta_token)
        else:
            expression = self._filter(table, options.filter)
            functions = self.language.functions
            total = self.dataverse.count(call.user, table.name, expression, functions)
        return Reply(200, _BOM + str(total).encode(), type="text/plain")

    def _filter(self, table: TableDefinition, source: str | None) -> Expression:
        if source is None:
            return EVERYTHING
        try:
            expression = self.language.parse(source, table.schema)
        except FilterError as error:
            raise _refusal(table, error) from error
        if _conditions(expression) > _MOST_CONDITIONS:
            raise DataverseFault(
                400, TOO_MANY_CONDITIONS, "Number of conditions in query exceeded maximum limit."
            )
        return expression


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

    @property
    def page_size(self) -> int:
        return self.prefer.page_size or MAX_PAGE

    def queried(self, expression: Expression, language: FilterLanguage) -> Reply:
        """Answer an ordinary query."""
        columns = self._sort_columns()
        query = Query(
            self.table.name,
            expression,
            [
                Order(c.name, s.descending)
                for c, s in zip(columns, self.options.orderby, strict=True)
            ],
            None if self.prefer.page_size else self.options.top,
            self.page_size,
            read_position(self.cookie.inner, self._kinds(columns)) if self.cookie else None,
            self.options.count,
            language.functions,
        )
        found = self.dataverse.query(self.call.user, query)
        body = self._head("")
        body.update(self._totals(found))
        body["value"] = self._rows(found.rows)
        if found.next is not None:
            body["@odata.nextLink"] = self._link("$skiptoken", self._next(columns, found))
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
        return self._reply(body)

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
            totals[f"@{COUNT_EXCEEDED}"] = found.count_exceeded
        return totals

    def _rows(self, rows: Sequence[Row]) -> list[Json]:
        writer = RowWriter(self.dataverse, self.call.user, self.table, self.shape)
        return [writer.write(row) for row in rows]

    def _sort_columns(self) -> list[ColumnDefinition]:
        return [find_column(self.dataverse, self.table, s.name) for s in self.options.orderby]

    def _kinds(self, columns: Sequence[ColumnDefinition]) -> list[tuple[str, Kind]]:
        kinds = [(column.name, _sort_kind(column)) for column in columns]
        return [*kinds, (self.table.primary_id, Kind.KEY)]

    def _next(self, columns: Sequence[ColumnDefinition], found: Answer) -> str:
        assert found.next is not None
        number = self.cookie.page if self.cookie else 1
        names = [*(column.name for column in columns), self.table.primary_id]
        row = found.rows[0]
        first = tuple(
            str(cell) if isinstance(cell := row[name], Reference) else cell for name in names
        )
        inner = write_position(names, number, found.next, first)
        return write_cookie(Cookie(number + 1, inner, tracking=False))

    def _link(self, option: str, value: str) -> str:
        echo = f"{self.options.echo}&" if self.options.echo else ""
        return f"{self.call.root}/{self.table.entity_set}?{echo}{option}={value}"

    def _reply(self, body: Json) -> Reply:
        applied = self.prefer.applied()
        reply = answer(body)
        return Reply(200, reply.body, {"Preference-Applied": applied} if applied else {})


def _conditions(expression: Expression) -> int:
    """Count the conditions of a filter; a list of values is one."""
    match expression:
        case And(parts) | Or(parts):
            return sum(map(_conditions, parts))
        case Not(part):
            return _conditions(part)
        case _:
            return 1


def _refuse_shaping(options: Options) -> None:
    """Refuse the options that change tracking cannot be combined with."""
    for name in options.named():
        raise bad_query(
            f'The "${name}" query parameter isn\'t supported when Change Tracking is enabled.'
        )


def _refusal(table: TableDefinition, error: FilterError) -> DataverseFault:
    """Return what a filter is refused with; the language says what OData has and it has not."""
    text = str(error)
    if "not supported" in text:
        return Unsupported(f"this $filter: {text}")
    unknown = _UNKNOWN.search(text)
    return unknown_property(table.name, unknown[1]) if unknown else bad_query(text)


def _sort_kind(column: ColumnDefinition) -> Kind:
    """Return how the sort cells of a column compare; a lookup sorts by name."""
    return Kind.TEXT if column.type is ColumnType.LOOKUP else column.column.kind


def _track_position(cookie: Cookie | None) -> TrackPosition | None:
    return None if cookie is None else TrackPosition.parse(cookie.inner)
