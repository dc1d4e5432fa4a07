"""Property paths: from names separated by slashes to columns and hops.

Invariant: names are compared with regard to case; a path goes along lookups only, and ends at a
column, at a lookup itself, or at a collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault, unknown_property
from holdfast_emulator.behaviour.metadata import ColumnDefinition, Metadata, TableDefinition
from holdfast_emulator.behaviour.relationships import Hop
from holdfast_emulator.queries.conditions import Field


@dataclass(frozen=True, slots=True)
class Property:
    """The column at the end of a path; ``pointer`` says that the lookup itself was named."""

    field: Field
    column: ColumnDefinition
    pointer: bool = False


def find_property(
    metadata: Metadata, table: TableDefinition, names: Sequence[str], *, logical: bool = False
) -> Property:
    """Return the column that a path leads to.

    :param logical: a lookup may be called by its logical name, as query functions do
    :raises DataverseFault: it leads nowhere
    """
    trails = _trails(metadata, table, names[:-1])
    for via, end in trails:
        found = _column(metadata, end, names[-1], logical=logical)
        if found is not None:
            column, pointer = found
            return Property(Field(column.name, via), column, pointer)
    _, end = trails[0]
    if any(hop.navigation == names[-1] for hop in metadata.hops(end.name)):
        raise _not_a_value(names[-1])
    raise unknown_property(end.name, names[-1])


def find_collection(metadata: Metadata, table: TableDefinition, names: Sequence[str]) -> Hop:
    """Return the step to the rows of a collection.

    :raises DataverseFault: there is no such collection, or it is behind a lookup
    """
    if len(names) > 1:
        _trails(metadata, table, names[:-1])
        raise DataverseFault(
            400,
            BAD_QUERY,
            f"The collection '{'/'.join(names)[:200]}' cannot be filtered: a lambda operator on a "
            "collection behind a single-valued navigation property is not supported.",
        )
    hops = [hop for hop in metadata.hops(table.name) if hop.navigation == names[0]]
    if not hops:
        raise unknown_property(table.name, names[0])
    if hops[0].single:
        raise DataverseFault(
            400,
            BAD_QUERY,
            f"Any/All may only be used following a collection; '{names[0]}' is not one.",
        )
    return hops[0]


def _trails(
    metadata: Metadata, table: TableDefinition, names: Sequence[str]
) -> list[tuple[tuple[Hop, ...], TableDefinition]]:
    """Return the ways along some lookups; one that points to several tables has several."""
    trails: list[tuple[tuple[Hop, ...], TableDefinition]] = [((), table)]
    for name in names:
        further = [
            ((*via, hop), metadata.tables[hop.target])
            for via, end in trails
            for hop in metadata.hops(end.name)
            if hop.navigation == name
        ]
        if not further:
            raise unknown_property(trails[0][1].name, name)
        if not further[0][0][-1].single:
            raise _not_a_value(name)
        trails = further[:_MOST_TRAILS]
    return trails


_MOST_TRAILS = 16


def _column(
    metadata: Metadata, table: TableDefinition, name: str, *, logical: bool
) -> tuple[ColumnDefinition, bool] | None:
    column = table.by_wire_name.get(name) or (table.by_name.get(name) if logical else None)
    if column is not None:
        return (column, False) if column.readable else None
    relationship = metadata.single_valued(table.name, name)
    if relationship is None:
        return None
    return table.by_name[relationship.referencing_attribute], True


def _not_a_value(name: str) -> DataverseFault:
    return DataverseFault(
        400,
        BAD_QUERY,
        f"The parent value for a property access of a property '{name[:200]}' is not a single "
        "value. Property access can only be applied to a single value.",
    )
