"""Alternate keys: which there may be, and what a caller may ask for by one.

Invariant: a key is asked for by all its columns and no others, each with a value of its type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.keys import KeyIndexes
from holdfast_emulator.behaviour.metadata import KeyDefinition, TableDefinition
from holdfast_emulator.behaviour.validation import accept_value

_MOST_KEYS: Final = 10
_MOST_KEY_COLUMNS: Final = 16
_KEY_TYPES: Final = frozenset(
    {
        ColumnType.DECIMAL,
        ColumnType.INTEGER,
        ColumnType.STRING,
        ColumnType.DATETIME,
        ColumnType.LOOKUP,
        ColumnType.CHOICE,
    }
)


def key_over(table: TableDefinition, names: Iterable[str]) -> KeyDefinition:
    """Return the alternate key over just these columns.

    :raises DataverseFault: 400, there is none
    """
    wanted = frozenset(names)
    for key in table.keys:
        if frozenset(key.columns) == wanted:
            return key
    raise faults.bad_key(table.name)


def accept_key(table: TableDefinition, values: Mapping[str, object]) -> tuple[Cell, ...]:
    """Return the cells to look for, in the order of the key's columns.

    :raises DataverseFault: 400, the columns are no key of the table, or a value does not fit
    """
    cells = []
    for name in key_over(table, values).columns:
        cell = accept_value(table, table.by_name[name], values[name])
        cells.append(cell.id if isinstance(cell, Reference) else cell)
    return tuple(cells)


def check_key(table: TableDefinition, key: KeyDefinition) -> None:
    """Refuse an alternate key that cannot be one.

    :raises DataverseFault: 400
    """
    columns = [table.column(name) for name in key.columns]
    others = [other for other in table.keys if other.name != key.name]
    reason = ""
    if not 0 < len(set(key.columns)) == len(columns) <= _MOST_KEY_COLUMNS:
        reason = f"An entity key has between 1 and {_MOST_KEY_COLUMNS} different attributes."
    elif not all(column and column.type in _KEY_TYPES for column in columns):
        reason = f"An attribute of {', '.join(key.columns)} cannot be part of an entity key."
    elif len(others) >= _MOST_KEYS:
        reason = f"The entity {table.name} has {_MOST_KEYS} entity keys, and cannot have more."
    elif any(frozenset(other.columns) == frozenset(key.columns) for other in others):
        reason = "There is an entity key over the same attributes already."
    if reason:
        raise faults.DataverseFault(400, faults.BAD_KEY_DEFINITION, reason)


def with_key(table: TableDefinition, key: KeyDefinition, index: KeyIndexes) -> TableDefinition:
    """Return the table with an alternate key more, in the place of one of this name.

    :raises DataverseFault: 400 when it cannot be one, 412 where rows are alike
    """
    check_key(table, key)
    if index.repeated(table, key.columns):
        raise faults.entity_key_violated(key.label or key.schema_name, ", ".join(key.columns))
    others = without_key(table, key.name).keys
    return replace(table, keys=(*others, key))


def without_key(table: TableDefinition, name: str) -> TableDefinition:
    """Return the table without the alternate key of this name, if it has one."""
    return replace(table, keys=tuple(key for key in table.keys if key.name != name))
