"""One row: create, retrieve, update, upsert, delete, and single properties of it.

Invariant: what happens when is the table of conditions of the Web API: nothing means "make it so",
``If-Match`` means "only if it is there, and so", ``If-None-Match: *`` means "only if it is not".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from holdfast.schema import ColumnType
from holdfast.values import Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import unknown_segment
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, adding, answer, bad_query
from holdfast_emulator.wire.options import parse_query, preferences
from holdfast_emulator.wire.payload import Payload, target_of
from holdfast_emulator.wire.shapes import RowWriter, property_value, shape_of

_SHAPE: Final = ("$select", "$expand")
_FILES: Final = frozenset({ColumnType.FILE, ColumnType.IMAGE})
_IfMatch: TypeAlias = int | Literal["*"] | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional headers of a write."""

    if_match: _IfMatch
    only_create: bool


def conditions(headers: Mapping[str, str]) -> Conditions:
    """Read the conditional headers; the word ``null`` is no condition.

    :raises DataverseFault: one of them is no etag
    """
    if_none_match = headers.get("if-none-match", "null").strip()
    if if_none_match not in ("null", "*"):
        raise Unsupported("If-None-Match with an etag on a write")
    return Conditions(_if_match(headers.get("if-match")), if_none_match == "*")


def _if_match(header: str | None) -> _IfMatch:
    match header and header.strip():
        case None | "" | "null":
            return None
        case "*":
            return "*"
        case str(etag):
            return _version(etag)


def _if_there(call: Call) -> _IfMatch:
    """Read the condition of a write that never creates.

    :raises DataverseFault: a header is no etag, or asks that there be no row
    """
    wanted = conditions(call.headers)
    if wanted.only_create:
        raise Unsupported(f"If-None-Match: * on {call.method}")
    return wanted.if_match or "*"


def _version(etag: str) -> int:
    digits = etag.removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise bad_query(f"The etag {etag[:50]!r} is not valid.")
    return int(digits)


@dataclass(frozen=True, slots=True)
class RowService:
    """Answers requests for one row."""

    dataverse: Dataverse

    def create(self, call: Call, table: TableDefinition) -> Reply:
        """Answer POST on an entity set."""
        if conditions(call.headers).if_match is not None:
            raise Unsupported("If-Match on a create")
        row = self.dataverse.create(call.user, table.name, self._values(call, table))
        return self._written(call, row, created=True)

    def retrieve(self, call: Call, table: TableDefinition, row_id: str) -> Reply:
        """Answer GET on a row; 304 when the client has this version already."""
        if isinstance(_if_match(call.headers.get("if-match")), int):
            raise Unsupported("If-Match with an etag on GET")
        row = self.dataverse.retrieve(call.user, table.name, row_id)
        known = call.headers.get("if-none-match", "").strip() == row.etag
        if known and self._cacheable(call, table):
            return Reply(304, headers={"ETag": row.etag})
        return self._representation(call, row, 200)

    def update(self, call: Call, table: TableDefinition, row_id: str) -> Reply:
        """Answer PATCH on a row: update, upsert, or create only."""
        wanted = conditions(call.headers)
        values = self._values(call, table)
        values.pop(table.primary_id, None)  # the key in the URL is the one that counts
        if wanted.only_create:
            values[table.primary_id] = row_id
            row = self.dataverse.create(call.user, table.name, values)
            return self._written(call, row, created=True)
        if wanted.if_match is not None:
            row = self.dataverse.update(
                call.user, table.name, row_id, values, if_match=wanted.if_match
            )
            return self._written(call, row, created=False)
        row, created = self.dataverse.upsert(call.user, table.name, row_id, values)
        return self._written(call, row, created=created)

    def delete(self, call: Call, table: TableDefinition, row_id: str) -> Reply:
        """Answer DELETE on a row."""
        condition = _if_there(call)
        self.dataverse.delete(call.user, table.name, row_id, if_match=condition)
        return Reply(204)

    def read_property(self, call: Call, table: TableDefinition, row_id: str, name: str) -> Reply:
        """Answer GET on a property, or on the row that a lookup points to."""
        row = self.dataverse.retrieve(call.user, table.name, row_id)
        column = table.by_wire_name.get(name)
        if column is None:
            return self._follow(call, row, name)
        if column.type in _FILES:
            raise Unsupported("file and image content")
        parse_query(call.query, ())
        value = property_value(row, column)
        if value is None:
            return Reply(204)
        context = f"{call.root}/$metadata#{table.entity_set}({row_id})/{name}"
        return answer({"@odata.context": context, "value": value})

    def write_property(self, call: Call, table: TableDefinition, row_id: str, name: str) -> Reply:
        """Answer PUT (``{"value": …}``) and DELETE (null) on a property."""
        column = self._writable(table, name)
        value = call.json().get("value") if call.method == "PUT" else None
        condition = _if_there(call)
        self.dataverse.update(
            call.user, table.name, row_id, {column.name: value}, if_match=condition
        )
        return Reply(204)

    def write_reference(self, call: Call, table: TableDefinition, row_id: str, name: str) -> Reply:
        """Answer PUT and DELETE on ``nav/$ref`` of a lookup."""
        relationship = self.dataverse.metadata.single_valued(table.name, name)
        if relationship is None:
            raise Unsupported(f"{call.method} {name}/$ref")
        target: Reference | None = None
        if call.method == "PUT":
            url = str(call.json().get("@odata.id", ""))
            target = target_of(self.dataverse.metadata, url, call.references)
        values = {relationship.referencing_attribute: target}
        condition = _if_there(call)
        self.dataverse.update(call.user, table.name, row_id, values, if_match=condition)
        return Reply(204)

    def _values(self, call: Call, table: TableDefinition) -> dict[str, object]:
        if call.headers.get("mscrm.suppressduplicatedetection", "").lower() == "false":
            raise Unsupported("duplicate detection")
        parse_query(call.query, _SHAPE)  # an option that is wrong must be refused before the write
        return Payload(self.dataverse.metadata, table, call.references).values(call.json())

    def _written(self, call: Call, row: Row, *, created: bool) -> Reply:
        path = f"{row.definition.entity_set}({row.id})"
        if preferences(call.headers.get("prefer", "")).representation:
            shown = self._representation(call, row, 201 if created else 200)
            return replace(shown, entity=path)
        url = f"{call.root}/{path}"
        return Reply(204, headers={"OData-EntityId": url, "Location": url}, entity=path)

    def _representation(self, call: Call, row: Row, status: int) -> Reply:
        options = parse_query(call.query, _SHAPE)
        prefer = preferences(call.headers.get("prefer", ""))
        table = row.definition
        shape = shape_of(self.dataverse, table, options.select, options.expand, prefer)
        context = f"{call.root}/$metadata#{shape.context}/$entity"
        written = RowWriter(self.dataverse, call.user, table, shape).write(row)
        reply = answer({"@odata.context": context, **written}, status)
        applied = prefer.applied()
        extra = {"Preference-Applied": applied} if applied else {}
        return adding(reply, {"ETag": row.etag, **extra})

    def _cacheable(self, call: Call, table: TableDefinition) -> bool:
        """Tell whether the answer depends on nothing but the version of the row."""
        plain = not parse_query(call.query, _SHAPE).expand
        annotated = preferences(call.headers.get("prefer", "")).annotations
        return table.optimistic_concurrency and plain and not annotated

    def _follow(self, call: Call, row: Row, name: str) -> Reply:
        metadata = self.dataverse.metadata
        relationship = metadata.single_valued(row.table, name)
        if relationship is None:
            if metadata.collection_valued(row.table, name):
                raise Unsupported(f"the collection {name} of a row")
            raise unknown_segment(name)
        target = row[relationship.referencing_attribute]
        if not isinstance(target, Reference) or target.table != relationship.referenced:
            return Reply(204)
        return self.retrieve(call, metadata.tables[target.table], target.id)

    def _writable(self, table: TableDefinition, name: str) -> ColumnDefinition:
        column = table.by_wire_name.get(name)
        if column is None:
            raise unknown_segment(name)
        if column.type in _FILES:
            raise Unsupported("file and image content")
        if column.type is ColumnType.LOOKUP:
            raise bad_query(f"The property {name} is written through its navigation property.")
        return column
