"""The body of a write: JSON properties to the values that the core takes.

Invariant: a property is a column, a binding, a row to be made along, or refused; names are
case-sensitive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from holdfast.schema import ColumnType
from holdfast.values import Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault, bad_payload, file_with_row
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.relationships import Hop
from holdfast_emulator.wire.calls import bad_query
from holdfast_emulator.wire.keys import target_of
from holdfast_emulator.wire.urls import NAMESPACE

_BIND: Final = "@odata.bind"
_TYPE: Final = "@odata.type"
#: So many rows may stand inside each other in one body.
MOST_LEVELS: Final = 20


@dataclass(frozen=True, slots=True)
class Body:
    """What a body says of one row, and of the rows that are to be made or joined along with it.

    :param values: columns; lookups as references
    :param parents: rows to be made first, that lookups of this one will point to
    :param children: rows to be made after it, and joined with it
    :param links: rows that are there already, to be joined with it
    """

    table: TableDefinition
    values: dict[str, object] = field(default_factory=dict)
    parents: list[tuple[str, Body]] = field(default_factory=list)
    children: list[tuple[Hop, Body]] = field(default_factory=list)
    links: list[tuple[Hop, Reference]] = field(default_factory=list)

    @property
    def flat(self) -> bool:
        """Whether it says nothing of other rows, beside pointing to them."""
        return not (self.parents or self.children or self.links)

    def only(self) -> dict[str, object]:
        """Return the values of a body that updates a row.

        :raises DataverseFault: 400, it would make or join other rows, which only a create does
        """
        if not self.flat:
            raise bad_query("Deep update of navigation properties isn't allowed.")
        return self.values


@dataclass(frozen=True, slots=True)
class Payload:
    """Reads the bodies of writes to one table."""

    dataverse: Dataverse
    table: TableDefinition
    references: Mapping[str, str]
    level: int = 1

    def values(self, body: Mapping[str, object]) -> dict[str, object]:
        """Return what the body writes, by logical column name.

        :raises DataverseFault: a property is unknown, points nowhere, or is a row of its own
        """
        return self.read(body).only()

    def read(self, body: Mapping[str, object]) -> Body:
        """Return what the body says.

        :raises DataverseFault: a property is unknown, or points nowhere
        """
        self._check_type(str(body.get(_TYPE, "")))
        found = Body(self.table)
        columns = self.table.by_wire_name
        for name, value in body.items():
            column = columns.get(name)
            if column is None:
                self._other(found, name, value)
            elif column.type is ColumnType.LOOKUP:
                raise self._refused(
                    "CRM do not support direct update of Entity Reference properties, "
                    "Use Navigation properties instead."
                )
            elif column.type is ColumnType.FILE:
                raise file_with_row(name)
            else:
                found.values[name] = value
        return found

    def _check_type(self, said: str) -> None:
        expected = f"{NAMESPACE}{self.table.name}"
        if said.removeprefix("#") not in ("", expected):
            raise self._refused(
                f"A resource with type '{said[:100]}' was found, but it is not assignable to the "
                f"expected type '{expected}'."
            )

    def _other(self, body: Body, name: str, value: object) -> None:
        """Read what is no column: a binding, rows inside this one, or an annotation."""
        if name.endswith(_BIND):
            self._bind(body, name.removesuffix(_BIND), value)
        elif "@" not in name:
            self._navigate(body, name, value)

    def _navigate(self, body: Body, name: str, value: object) -> None:
        hops = self._hops(name)
        if not hops:
            raise self._refused(
                f"Invalid property '{name}' was found in entity "
                f"'Microsoft.Dynamics.CRM.{self.table.name}'. ---> "
                f"Microsoft.OData.ODataException: The property '{name}' does not exist on type "
                f"'Microsoft.Dynamics.CRM.{self.table.name}'. Make sure to only use property names "
                "that are defined by the type."
            )
        if not hops[0].single:
            for one in self._list(name, value):
                hop, inner = self._inner(hops, name, one)
                body.children.append((hop, inner))
        elif value is None:
            _point(body, hops[0].near, None)
        else:
            hop, inner = self._inner(hops, name, value)
            body.parents.append((hop.near, inner))

    def _inner(self, hops: tuple[Hop, ...], name: str, value: object) -> tuple[Hop, Body]:
        """Read a row inside the body; ``@odata.type`` decides between several tables."""
        if not isinstance(value, dict):
            raise self._refused(f"The value of the navigation property '{name}' is no entity.")
        if self.level >= MOST_LEVELS:
            raise self._refused(f"More than {MOST_LEVELS} entities are nested in each other.")
        if "@odata.id" in value:
            raise self._refused(f"An entity reference inside '{name}' must be a binding.")
        kind = str(value.get(_TYPE, "")).removeprefix("#").removeprefix(NAMESPACE)
        fitting = [hop for hop in hops if kind in ("", hop.target)]
        if len(fitting) != 1:
            raise self._refused(f"The type of the entity in '{name}' is missing or not valid.")
        table = self.dataverse.metadata.tables[fitting[0].target]
        inside = Payload(self.dataverse, table, self.references, self.level + 1)
        return fitting[0], inside.read(value)

    def _bind(self, body: Body, name: str, value: object) -> None:
        hops = self._hops(name)
        if not hops:
            raise self._undeclared(name)
        if not hops[0].single:
            for url in self._list(f"{name}{_BIND}", value):
                body.links.append(self._target(hops, name, url))
        elif value is None:
            _point(body, hops[0].near, None)
        else:
            hop, target = self._target(hops, name, value)
            _point(body, hop.near, target)

    def _target(self, hops: tuple[Hop, ...], name: str, url: object) -> tuple[Hop, Reference]:
        if not isinstance(url, str):
            raise self._refused(f"The value of '{name}@odata.bind' is no URI.")
        target = target_of(self.dataverse, url, self.references)
        for hop in hops:
            if hop.target == target.table:
                return hop, target
        raise self._refused(f"'{url[:200]}' is not a row that this property can point to.")

    def _list(self, name: str, value: object) -> list[object]:
        if not isinstance(value, list):
            raise self._refused(f"The value of '{name}' is no collection.")
        return value

    def _hops(self, navigation: str) -> tuple[Hop, ...]:
        hops = self.dataverse.metadata.hops(self.table.name)
        return tuple(hop for hop in hops if hop.navigation == navigation)

    def _undeclared(self, name: str) -> DataverseFault:
        return self._refused(
            f"An undeclared property '{name}' which only has property annotations in the payload "
            "but no property value was found in the payload. In OData, only declared navigation "
            "properties and declared named streams can be represented as properties without values."
        )

    def _refused(self, reason: str) -> DataverseFault:
        return bad_payload(self.table.entity_set, reason)


def _point(body: Body, column: str, target: Reference | None) -> None:
    """Set a lookup; clearing it through the property of another target does not count."""
    if target is not None or column not in body.values:
        body.values[column] = target
