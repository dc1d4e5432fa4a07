"""Paths below a row: its properties, and the rows that its relationships lead to.

Invariant: every step starts from a row that the caller may read, and nothing may follow a value or
a collection but what is asked about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import (
    BAD_QUERY,
    DataverseFault,
    missing_row,
    unknown_segment,
)
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.relationships import Hop
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, answer, bad_query, encode
from holdfast_emulator.wire.keys import place_of
from holdfast_emulator.wire.options import parse_query
from holdfast_emulator.wire.read import Reader, Within
from holdfast_emulator.wire.shapes import property_value
from holdfast_emulator.wire.urls import NAMESPACE, Segment
from holdfast_emulator.wire.write import RowService

_TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True)
class Navigation:
    """Answers GET on what is below a row."""

    dataverse: Dataverse
    rows: RowService
    reader: Reader

    def read(
        self, call: Call, table: TableDefinition, row_id: str, path: Sequence[Segment]
    ) -> Reply:
        """Answer with a property, a row, a collection, or what is asked about one of them.

        :raises DataverseFault: a step leads nowhere, or to what is not the caller's to read
        """
        row = self.dataverse.retrieve(call.user, table.name, row_id)
        for at, step in enumerate(path):
            rest = path[at + 1 :]
            if not step.arguments and step.name in row.definition.by_wire_name:
                return self._property(call, row, step.name, rest)
            hops = self._hops(row, step)
            if not hops[0].single:
                if not step.arguments:
                    return self._collection(call, row, hops[0], rest)
                row = self._member(call, row, hops[0], step)
                continue
            target = self._pointed(call, row, hops)
            if [one.name for one in rest] == ["$ref"]:
                return _reference(call, target)
            if target is None and rest:
                raise unknown_segment(rest[0].name[:100])
            if target is None:
                return Reply(204)
            row = target
        return self.rows.retrieve(call, row.definition, row.id)

    def _hops(self, row: Row, step: Segment) -> list[Hop]:
        name = step.name
        known = self.dataverse.metadata.hops(row.table)
        hops = [hop for hop in known if hop.navigation == name]
        if name.startswith(NAMESPACE) or (not hops and name.startswith("$")):
            raise Unsupported(f"GET {row.definition.entity_set}(…)/…/{name[:100]}")
        if not hops:
            raise unknown_segment(name[:100])
        if hops[0].single and step.arguments:
            raise bad_query(f"The single-valued property '{name}' does not take a key.")
        return hops

    def _property(self, call: Call, row: Row, name: str, rest: Sequence[Segment]) -> Reply:
        if not rest:
            return self.rows.read_property(call, row.definition, row.id, name)
        if [one.name for one in rest] != ["$value"]:
            raise bad_query(f"The property '{name}' cannot be followed by other segments.")
        return self._raw(call, row, name)

    def _raw(self, call: Call, row: Row, name: str) -> Reply:
        """Answer ``/$value`` of a property: its value in plain text."""
        parse_query(call.query, ())
        column = row.definition.by_wire_name[name]
        if column.type in (ColumnType.FILE, ColumnType.IMAGE):
            raise Unsupported("file and image content at the end of a path")
        value = property_value(row, column)
        if value is None:
            return Reply(204)
        text = value if isinstance(value, str) else encode(value).decode()
        return Reply(200, text.encode(), type=_TEXT)

    def _pointed(self, call: Call, row: Row, hops: Sequence[Hop]) -> Row | None:
        """Return the row that a lookup points to.

        :raises DataverseFault: the caller may not read it
        """
        for hop in hops:
            for target in self.dataverse.navigator.follow(hop, row):
                return self.dataverse.retrieve(call.user, target.table, target.id)
        return None

    def _member(self, call: Call, row: Row, hop: Hop, step: Segment) -> Row:
        """Return the one row of a collection that a key names.

        :raises DataverseFault: 404, it is not one of the collection
        """
        target = self.dataverse.metadata.tables[hop.target]
        row_id = place_of(self.dataverse, target, step).found()
        if row_id not in {one.id for one in self.dataverse.follow(call.user, hop, row)}:
            raise missing_row(target.name, row_id)
        return self.dataverse.retrieve(call.user, target.name, row_id)

    def _collection(self, call: Call, row: Row, hop: Hop, rest: Sequence[Segment]) -> Reply:
        target = self.dataverse.metadata.tables[hop.target]
        path = f"{row.definition.entity_set}({row.id})/{hop.navigation}"
        path = "/".join([path, *(one.name for one in rest)])
        found = self.dataverse.follow(call.user, hop, row)
        within = Within(path, frozenset(one.id for one in found))
        match [one.name for one in rest]:
            case []:
                return self.reader.list(call, target, within)
            case ["$count"]:
                return self.reader.count(call, target, within)
            case ["$ref"]:
                return self.reader.references(call, target, within)
            case [name, *_] if name.startswith(NAMESPACE):
                raise Unsupported(f"GET {row.definition.entity_set}(…)/…/{name[:100]}")
            case _:
                raise DataverseFault(
                    400,
                    BAD_QUERY,
                    "The request URI is not valid. Since the segment "
                    f"'{hop.navigation}' refers to a collection, this must be the last segment in "
                    "the request URI or it must be followed by an function or action that can be "
                    "bound to it otherwise all intermediate segments must refer to a single "
                    "resource.",
                )


def _reference(call: Call, target: Row | None) -> Reply:
    parse_query(call.query, ())
    if target is None:
        return Reply(204)
    url = f"{call.root}/{target.definition.entity_set}({target.id})"
    return answer({"@odata.context": f"{call.root}/$metadata#$ref", "@odata.id": url})
