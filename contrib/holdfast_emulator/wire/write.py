"""One row: create, retrieve, update, upsert, delete, and single properties of it.

Invariant: what happens when is the table of conditions of the Web API: nothing means "make it so",
``If-Match`` means "only if it is there, and so", ``If-None-Match: *`` means "only if it is not".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour.dataverse import Dataverse, IfMatch
from holdfast_emulator.behaviour.faults import (
    BAD_QUERY,
    DataverseFault,
    bad_payload,
    missing_row,
    unknown_segment,
)
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.wire.calls import Call, Reply, adding, answer, bad_query
from holdfast_emulator.wire.conditional import (
    check_absence,
    check_create,
    check_read,
    conditions,
    detects_duplicates,
)
from holdfast_emulator.wire.deep import insert, insert_below
from holdfast_emulator.wire.keys import Place, check_path
from holdfast_emulator.wire.options import Options, parse_query, preferences
from holdfast_emulator.wire.payload import Body, Payload
from holdfast_emulator.wire.shapes import RowWriter, property_value, shape_of

_SHAPE: Final = ("$select", "$expand")


@dataclass(frozen=True, slots=True)
class RowService:
    """Answers requests for one row."""

    dataverse: Dataverse

    def create(self, call: Call, table: TableDefinition) -> Reply:
        """Answer POST on an entity set; rows inside the body are made along."""
        check_create(call.headers)
        row = self._insert(call, self._body(call, table))
        return self._written(call, row, created=True)

    def create_below(
        self, call: Call, table: TableDefinition, row_id: str, navigation: str
    ) -> Reply:
        """Answer POST on a collection of a row: a new row, joined with this one."""
        check_create(call.headers)
        hop = self.dataverse.metadata.hop(table.name, navigation)
        if hop is None:
            raise unknown_segment(navigation[:100])
        if hop.single:
            raise DataverseFault(
                405, BAD_QUERY, f"The method POST is not allowed on '{navigation}', a lookup."
            )
        parent = self.dataverse.retrieve(call.user, table.name, row_id)
        body = self._body(call, self.dataverse.metadata.tables[hop.target])
        detects = detects_duplicates(call.headers)
        with self.dataverse.transaction():
            row = insert_below(
                self.dataverse, call.user, parent, hop, body, detect_duplicates=detects
            )
        return self._written(call, row, created=True)

    def retrieve(self, call: Call, table: TableDefinition, row_id: str) -> Reply:
        """Answer GET on a row; 304 when the client has this version already."""
        row = self.dataverse.retrieve(call.user, table.name, row_id)
        check_read(call.headers, row)
        known = call.headers.get("if-none-match", "").strip() == row.etag
        if known and self._cacheable(call, table):
            return Reply(304, headers={"ETag": row.etag})
        return self._representation(call, row, 200)

    def update(self, call: Call, place: Place) -> Reply:
        """Answer PATCH on a row: update, upsert, or create only."""
        check_path(place)
        wanted = conditions(call.headers)
        body = self._body(call, place.table)
        there = place.row_id is not None and self.dataverse.find(place.table.name, place.row_id)
        check_absence(wanted, there or None)
        if not there and wanted.if_match is not None:
            place.found()
            assert place.row_id is not None, "found says so"
            raise missing_row(place.table.name, place.row_id)
        if there:
            return self._update(call, there, place, body)
        return self._create_at(call, place, body)

    def delete(self, call: Call, table: TableDefinition, row_id: str) -> Reply:
        """Answer DELETE on a row."""
        condition = self.condition(call, table, row_id)
        self.dataverse.delete(call.user, table.name, row_id, if_match=condition)
        return Reply(204)

    def read_property(self, call: Call, table: TableDefinition, row_id: str, name: str) -> Reply:
        """Answer GET on a property."""
        row = self.dataverse.retrieve(call.user, table.name, row_id)
        column = table.by_wire_name.get(name)
        if column is None:
            raise unknown_segment(name[:100])
        parse_query(call.query, ())
        value = property_value(row, column)
        if value is None:
            return Reply(204)
        context = f"{call.root}/$metadata#{table.entity_set}({row_id})/{name}"
        return answer({"@odata.context": context, "value": value})

    def write_property(self, call: Call, table: TableDefinition, row_id: str, name: str) -> Reply:
        """Answer PUT (``{"value": …}``) and DELETE (null) on a property."""
        column = self._writable(table, name)
        value = _new_value(call, table) if call.method == "PUT" else None
        condition = self.condition(call, table, row_id)
        self.dataverse.update(
            call.user, table.name, row_id, {column.name: value}, if_match=condition
        )
        return Reply(204)

    def condition(self, call: Call, table: TableDefinition, row_id: str) -> IfMatch:
        """Return the condition of a write that never creates.

        :raises DataverseFault: 412, the caller wants it only if there is no such row
        """
        wanted = conditions(call.headers)
        check_absence(wanted, self.dataverse.find(table.name, row_id))
        return wanted.if_match or "*"

    def _update(self, call: Call, row: Row, place: Place, body: Body) -> Reply:
        dropped = {row.definition.primary_id, *place.values}
        values = {name: value for name, value in body.only().items() if name not in dropped}
        written = self.dataverse.update(
            call.user,
            row.table,
            row.id,
            values,
            if_match=conditions(call.headers).if_match,
            detect_duplicates=detects_duplicates(call.headers),
        )
        return self._written(call, written, created=False, url=place.url)

    def _create_at(self, call: Call, place: Place, body: Body) -> Reply:
        """Create the row that a key found missing; of an alternate one, the body's values win."""
        given = dict(place.values)
        if place.row_id is not None:
            body.values[place.table.primary_id] = place.row_id
        body.values.update({**given, **body.values})
        row = self._insert(call, body)
        return self._written(call, row, created=True, url=place.url)

    def _insert(self, call: Call, body: Body) -> Row:
        return insert(
            self.dataverse, call.user, body, detect_duplicates=detects_duplicates(call.headers)
        )

    def _body(self, call: Call, table: TableDefinition) -> Body:
        # An option that is wrong must be refused before the write.
        prefer = preferences(call.headers.get("prefer", ""))
        options = self._options(call)
        if prefer.representation:
            shape = shape_of(self.dataverse, table, options.select, options.expand, prefer)
            RowWriter(self.dataverse, call.user, shape, call.root)  # refuses what it can't expand
        return Payload(self.dataverse, table, call.references).read(call.json())

    def _written(self, call: Call, row: Row, *, created: bool, url: str | None = None) -> Reply:
        path = f"{row.definition.entity_set}({row.id})"
        if preferences(call.headers.get("prefer", "")).representation:
            shown = self._representation(call, row, 201 if created else 200)
            return replace(shown, entity=path)
        address = f"{call.root}/{url or path}"
        return Reply(204, headers={"OData-EntityId": address, "Location": address}, entity=path)

    def _options(self, call: Call) -> Options:
        """Return what is to be shown of a row; Dataverse expands nothing after a PATCH."""
        options = parse_query(call.query, _SHAPE)
        return replace(options, expand=()) if call.method == "PATCH" else options

    def _representation(self, call: Call, row: Row, status: int) -> Reply:
        options = self._options(call)
        prefer = preferences(call.headers.get("prefer", ""))
        table = row.definition
        shape = shape_of(self.dataverse, table, options.select, options.expand, prefer)
        context = f"{call.root}/$metadata#{shape.context}/$entity"
        written = RowWriter(self.dataverse, call.user, shape, call.root).write(row)
        reply = answer({"@odata.context": context, **written}, status)
        applied = prefer.applied()
        extra = {"Preference-Applied": applied} if applied else {}
        return adding(reply, {"ETag": row.etag, **extra})

    def _cacheable(self, call: Call, table: TableDefinition) -> bool:
        """Tell whether the answer depends on nothing but the version of the row."""
        plain = not parse_query(call.query, _SHAPE).expand
        annotated = preferences(call.headers.get("prefer", "")).annotations
        return table.optimistic_concurrency and plain and not annotated

    def _writable(self, table: TableDefinition, name: str) -> ColumnDefinition:
        column = table.by_wire_name.get(name)
        if column is None and self.dataverse.metadata.hop(table.name, name):
            raise bad_query(f"The navigation property '{name}' is written through '{name}/$ref'.")
        if column is None:
            raise unknown_segment(name[:100])
        if column.type is ColumnType.LOOKUP:
            raise bad_query(f"The property {name} is written through its navigation property.")
        return column


def _new_value(call: Call, table: TableDefinition) -> object:
    body = call.json()
    if "value" not in body:
        raise bad_payload(table.entity_set, "The property 'value' is missing.")
    return body["value"]
