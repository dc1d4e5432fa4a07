"""Rows that are nothing by themselves: the pairs of a relationship, and what is known of files.

Invariant: who may not read the rows that bear such a row may not read it either.
"""

from __future__ import annotations

from holdfast.values import Reference
from holdfast_emulator.behaviour.file_tables import ATTACHMENT
from holdfast_emulator.behaviour.metadata import Metadata, TableDefinition
from holdfast_emulator.behaviour.row import Row

_OBJECT = "objectid"


def is_borne(table: TableDefinition) -> bool:
    """Tell whether the rows of a table are read with others only."""
    return table.is_intersect or table.name == ATTACHMENT


def bearing_tables(metadata: Metadata, table: TableDefinition) -> tuple[str, ...]:
    """Return the tables whose rows the pairs of an intersect table join."""
    return tuple(target for _, target in _ends(metadata, table))


def bearers(metadata: Metadata, row: Row) -> list[Reference]:
    """Return the rows that a row is read with."""
    if row.table == ATTACHMENT:
        found = row[_OBJECT]
        return [found] if isinstance(found, Reference) else []
    at = row.definition.positions
    return [
        Reference(target, str(row.cells[at[name]]))
        for name, target in _ends(metadata, row.definition)
    ]


def _ends(metadata: Metadata, table: TableDefinition) -> tuple[tuple[str, str], ...]:
    for one in metadata.many_to_many.values() if table.is_intersect else ():
        if one.intersect == table.name:
            return (one.attribute1, one.table1), (one.attribute2, one.table2)
    return ()
