"""Which row a URL means: by its id, or by the values of an alternate key.

Invariant: a place is resolved when it is asked for, and says of a key that no row has what a row
made there would get from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from holdfast.schema import ColumnType
from holdfast.values import Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import bad_key, missing_by_key, unknown_segment
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.wire.calls import bad_query
from holdfast_emulator.wire.urls import Id, KeyValue, Named, Segment, is_guid, reference

#: What IIS refuses in a path, and what the double decoding of one does not survive.
_DANGEROUS: Final = frozenset("/<>*%&:\\?+")
_HARMLESS: Final = "='(),@;$!*-._~"
#: Tables that inherit their key in the Web API, and what it is called there.
PRINCIPALS: Final = frozenset({"systemuser", "team"})
PRINCIPAL_KEY: Final = "ownerid"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is, or would be.

    :param row_id: the id; None when the key is an alternate one that no row has
    :param values: what the key says, by column: nothing where it is the id
    :param url: relative to the service root, as the caller wrote it
    """

    table: TableDefinition
    row_id: str | None
    url: str
    values: Mapping[str, object] = field(default_factory=dict)

    def found(self) -> str:
        """Return the id.

        :raises DataverseFault: 404, no row has the values of the key
        """
        if self.row_id is None:
            raise missing_by_key(self.table.name)
        return self.row_id


def key_property(table: TableDefinition) -> str:
    """Return what the primary key of a table is called in URLs."""
    return PRINCIPAL_KEY if table.name in PRINCIPALS else table.primary_id


def place_of(dataverse: Dataverse, table: TableDefinition, segment: Segment) -> Place:
    """Return the place that the key of a segment names.

    :raises DataverseFault: 400, it is no key of the table
    """
    match segment.key:
        case Id(found):
            return Place(table, found, f"{table.entity_set}({found})")
        case Named(named) if list(named) == [key_property(table)]:
            row_id = named[key_property(table)]
            if isinstance(row_id, str) and is_guid(row_id):
                return Place(table, row_id.lower(), f"{table.entity_set}({row_id.lower()})")
        case Named(named):
            values = dict(_value(table, name, value) for name, value in named.items())
            row = dataverse.find_by_key(table.name, values)
            url = f"{table.entity_set}({quote(segment.arguments, safe=_HARMLESS)})"
            return Place(table, row.id if row else None, url, values)
    raise bad_key(table.name)


def check_path(place: Place) -> None:
    """Refuse an alternate key whose value a path cannot carry; a reference in a body can.

    :raises DataverseFault: 400
    """
    for value in place.values.values():
        found = _DANGEROUS.intersection(value) if isinstance(value, str) else None
        if found:
            raise bad_query(
                "A potentially dangerous Request.Path value was detected from the client "
                f"({min(found)})."
            )


def target_of(dataverse: Dataverse, url: str, references: Mapping[str, str]) -> Reference:
    """Return the row that a URL or a Content-ID reference points to.

    :raises DataverseFault: there is no such entity set, the key is none, or no row has its values
    """
    place = place_at(dataverse, url, references)
    return Reference(place.table.name, place.found())


def place_at(dataverse: Dataverse, url: str, references: Mapping[str, str]) -> Place:
    """Return the place that a URL or a Content-ID reference names.

    :raises DataverseFault: there is no such entity set, or the key is none
    """
    segment = reference(url, references)
    table = dataverse.metadata.entity_set(segment.name)
    if table is None:
        raise unknown_segment(segment.name[:100])
    return place_of(dataverse, table, segment)


def _value(table: TableDefinition, name: str, value: KeyValue) -> tuple[str, object]:
    """Return the column that a property of a key stands for, and what it says of it."""
    column = table.by_wire_name.get(name)
    if column is None:
        raise bad_key(table.name)
    if column.type is not ColumnType.LOOKUP:
        return column.name, value
    if not isinstance(value, str):
        raise bad_key(table.name)
    return column.name, Reference(column.targets[0], value)
