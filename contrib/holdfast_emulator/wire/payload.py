"""The body of a write: JSON properties to the values that the core takes.

Invariant: a property is a column, a binding of a lookup, or refused; names are case-sensitive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from holdfast.schema import ColumnType
from holdfast.values import Reference
from holdfast_emulator.behaviour.faults import DataverseFault, bad_payload, unknown_segment
from holdfast_emulator.behaviour.metadata import Metadata, TableDefinition
from holdfast_emulator.behaviour.relationships import RelationshipDefinition
from holdfast_emulator.wire.calls import Unsupported
from holdfast_emulator.wire.urls import Id, Named, Segment, is_guid, reference

_BIND: Final = "@odata.bind"


@dataclass(frozen=True, slots=True)
class Payload:
    """Reads the bodies of writes to one table."""

    metadata: Metadata
    table: TableDefinition
    references: Mapping[str, str]

    def values(self, body: Mapping[str, object]) -> dict[str, object]:
        """Return what the body writes, by logical column name.

        :raises DataverseFault: a property is unknown, or points nowhere
        """
        values: dict[str, object] = {}
        for name, value in body.items():
            if name.endswith(_BIND):
                self._bind(values, name.removesuffix(_BIND), value)
            elif "@" not in name:
                self._write(values, name, value)
        return values

    def _write(self, values: dict[str, object], name: str, value: object) -> None:
        column = self.table.by_wire_name.get(name)
        if column is None:
            self._navigate(values, name, value)
        elif column.type is ColumnType.LOOKUP:
            raise self._refused(
                "CRM do not support direct update of Entity Reference properties, "
                "Use Navigation properties instead."
            )
        elif column.type in (ColumnType.FILE, ColumnType.IMAGE):
            raise Unsupported("writing file and image columns")
        else:
            values[name] = value

    def _navigate(self, values: dict[str, object], name: str, value: object) -> None:
        relationships = self._relationships(name)
        if relationships and value is None:
            self._set(values, relationships[0].referencing_attribute, None)
        elif relationships or self.metadata.collection_valued(self.table.name, name):
            raise Unsupported(f"deep insert through {name}")
        else:
            raise self._refused(
                f"Invalid property '{name}' was found in entity "
                f"'Microsoft.Dynamics.CRM.{self.table.name}'. ---> "
                f"Microsoft.OData.ODataException: The property '{name}' does not exist on type "
                f"'Microsoft.Dynamics.CRM.{self.table.name}'. Make sure to only use property names "
                "that are defined by the type."
            )

    def _bind(self, values: dict[str, object], name: str, value: object) -> None:
        relationships = self._relationships(name)
        if not relationships:
            if self.metadata.collection_valued(self.table.name, name):
                raise Unsupported(f"{name}@odata.bind, a collection")
            raise self._undeclared(name)
        if value is not None and not isinstance(value, str):
            raise self._refused(f"The value of '{name}@odata.bind' is no URI.")
        target = None if value is None else self._target(relationships, value)
        self._set(values, relationships[0].referencing_attribute, target)

    def _set(self, values: dict[str, object], column: str, target: Reference | None) -> None:
        """Set a lookup; clearing it through the property of another target does not count."""
        if target is not None or column not in values:
            values[column] = target

    def _target(self, relationships: tuple[RelationshipDefinition, ...], url: str) -> Reference:
        target = target_of(self.metadata, url, self.references)
        if all(relationship.referenced != target.table for relationship in relationships):
            raise self._refused(f"'{url[:200]}' is not a row that this property can point to.")
        return target

    def _relationships(self, navigation: str) -> tuple[RelationshipDefinition, ...]:
        many = self.metadata.many_to_one(self.table.name)
        return tuple(r for r in many if r.referencing_navigation == navigation)

    def _undeclared(self, name: str) -> DataverseFault:
        return self._refused(
            f"An undeclared property '{name}' which only has property annotations in the payload "
            "but no property value was found in the payload. In OData, only declared navigation "
            "properties and declared named streams can be represented as properties without values."
        )

    def _refused(self, reason: str) -> DataverseFault:
        return bad_payload(self.table.entity_set, reason)


def target_of(metadata: Metadata, url: str, references: Mapping[str, str]) -> Reference:
    """Return the row that a URL or a Content-ID reference points to.

    :raises DataverseFault: there is no such entity set, or the key is none
    """
    segment = reference(url, references)
    table = metadata.entity_set(segment.name)
    if table is None:
        raise unknown_segment(segment.name)
    return Reference(table.name, row_id(table, segment))


def row_id(table: TableDefinition, segment: Segment) -> str:
    """Return the id that the key of a segment names.

    :raises DataverseFault: the key has other columns than the primary id
    """
    match segment.key:
        case Id(found):
            return found
        case Named(values) if list(values) == [table.primary_id]:
            named = values[table.primary_id]
            if isinstance(named, str) and is_guid(named):
                return named.lower()
    raise DataverseFault(
        400,
        "0x80060888",
        "The key in the request URI is not valid for resource "
        f"'Microsoft.Dynamics.CRM.{table.name}'. Ensure that the names and number of key "
        "properties match the declared or alternate key properties for the resource.",
    )
