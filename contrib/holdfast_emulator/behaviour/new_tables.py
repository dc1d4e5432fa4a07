"""Tables that customers make: what the platform adds to the columns they ask for.

Invariant: every table has what every row needs (id, stamps, version), a table with owners has
owners, and only what the customer asked for is custom.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    Ownership,
    TableDefinition,
)
from holdfast_emulator.behaviour.schema_rules import plural

_STATES = ("Active", "Inactive")
_STATUSES = ((1, "Active", 0), (2, "Inactive", 1))


def custom_table(
    schema_name: str,
    ownership: Ownership,
    own: Iterable[ColumnDefinition],
    primary_name: str | None,
    type_code: int,
) -> TableDefinition:
    """Return a table with the columns of its own and those that every table has."""
    name = schema_name.lower()
    system = [
        c.state(_STATES),
        c.status(_STATUSES),
        *(c.ownership() if ownership is Ownership.USER else ()),
        *c.stamps(),
    ]
    taken = {column.name for column in system}
    columns = [
        c.primary_id(f"{schema_name}Id"),
        *(column for column in own if column.name not in taken),
        *system,
    ]
    table = TableDefinition(
        *(name, schema_name, plural(name), type_code, f"{name}id", primary_name, tuple(columns)),
        ownership=ownership,
        is_custom=True,
        change_tracking=False,
        available_offline=False,
    )
    return with_currency(table)


def with_currency(table: TableDefinition) -> TableDefinition:
    """Return the table with a currency, if it has amounts and none yet."""
    if "transactioncurrencyid" in table.by_name or not any(one.base_of for one in table.columns):
        return table
    return replace(table, columns=(*table.columns, *c.currency()))
