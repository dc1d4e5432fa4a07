"""Changes of ops to bodies, and whether a row of the server already holds them.

Invariant: a body has the changed columns only, and each in the form that the server writes itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from holdfast.model import Op, OpKind, Record, Scope
from holdfast.schema import Column, ColumnType, DateBehavior
from holdfast.values import Cell, Change, Reference

_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class Unsendable(Exception):
    """Raised when a change cannot be put into words of the server."""


def body(op: Op, scope: Scope) -> bytes:
    """Return the JSON body of a create or an update.

    :raises Unsendable: a column or a lookup target is not there any more
    """
    members: dict[str, object] = {}
    if op.kind is OpKind.CREATE:
        members[scope.schema.primary_id] = op.row_id
    for name, change in op.changes.items():
        column = scope.schema.column(name)
        if column is None:
            raise Unsendable(f"column {name!r} is not kept any more; discard the change")
        member, value = _member(column, change, scope.schema.wire)
        members[member] = value
    try:
        return _encoder.encode(members)
    except (UnicodeEncodeError, ValueError, OverflowError) as error:
        raise Unsendable(f"a value cannot be written as JSON ({error})") from error


def _member(column: Column, change: Change, wire: Mapping[str, str]) -> tuple[str, object]:
    if column.type is ColumnType.LOOKUP:
        return _binding(column, change, wire)
    wall = column.behavior is DateBehavior.TIME_ZONE_INDEPENDENT
    if column.type is ColumnType.DATETIME and wall and change is not None:
        return column.name, f"{change}Z"  # its wire type has a zone, which it ignores
    return column.name, change


def _binding(column: Column, change: Change, wire: Mapping[str, str]) -> tuple[str, object]:
    # Any of its navigation properties empties a lookup; the first that is known will do.
    known = (table for table in column.targets if f"nav:{column.name}:{table}" in wire)
    target = change.table if isinstance(change, Reference) else next(known, column.targets[0])
    navigation, entity_set = wire.get(f"nav:{column.name}:{target}"), wire.get(f"set:{target}")
    if navigation is None or entity_set is None:
        raise Unsendable(f"column {column.name!r} cannot point to {target!r}")
    bound = f"/{entity_set}({change.id})" if isinstance(change, Reference) else None
    return f"{navigation}@odata.bind", bound


def holds(record: Record, op: Op, scope: Scope) -> bool:
    """Tell whether a row of the server holds everything that an op wanted of it."""
    cells = {field.name: record[at] for at, field in enumerate(scope.fields)}
    for name, wanted in op.changes.items():
        column = scope.schema.column(name)
        if column is None or not _same(column, wanted, cells):
            return False
    return True


def _same(column: Column, wanted: Change, cells: Mapping[str, Cell]) -> bool:
    found = cells[column.name]
    if isinstance(wanted, Reference):
        table = cells[column.table_field] if column.table_field else column.targets[0]
        return (found, table) == (wanted.id, wanted.table)
    if wanted is None or found is None:
        return (wanted in (None, "")) == (found in (None, ""))  # empty text is kept as null
    match column.type:
        case ColumnType.DECIMAL | ColumnType.MONEY | ColumnType.DOUBLE:
            return _same_number(column, Decimal(str(wanted)), Decimal(str(found)))
        case ColumnType.STRING | ColumnType.MEMO:
            return str(wanted).strip() == str(found).strip()
        case ColumnType.DATETIME:
            return _whole_seconds(str(wanted)) == _whole_seconds(str(found))
        case _:
            return wanted == found


def _same_number(column: Column, wanted: Decimal, found: Decimal) -> bool:
    """Compare as far as the server keeps digits; it rounds what it is given."""
    if column.precision is None:
        return wanted == found or math.isclose(wanted, found, rel_tol=1e-12)
    return abs(wanted - found) * 2 <= Decimal(10) ** -column.precision


def _whole_seconds(text: str) -> str:
    return text.partition(".")[0].removesuffix("Z")
