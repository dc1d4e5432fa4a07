"""Making a row together with others: those it points to, those that point to it, pairs.

Invariant: one transaction; what a row needs is there before it, and only the id of the first row
is told.
"""

from __future__ import annotations

from holdfast.values import Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.relationships import Direction, Hop
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.wire.payload import Body


def insert(dataverse: Dataverse, user: User, body: Body, *, detect_duplicates: bool = False) -> Row:
    """Create the row that a body speaks of, and all that hangs on it.

    :raises DataverseFault: one of them is refused; none is made
    """
    if body.flat:
        return _create(dataverse, user, body, detect_duplicates=detect_duplicates)
    with dataverse.transaction():
        for column, parent in body.parents:
            made = insert(dataverse, user, parent, detect_duplicates=detect_duplicates)
            body.values[column] = Reference(made.table, made.id)
        row = _create(dataverse, user, body, detect_duplicates=detect_duplicates)
        for hop, child in body.children:
            insert_below(dataverse, user, row, hop, child, detect_duplicates=detect_duplicates)
        for hop, target in body.links:
            dataverse.associate(user, row.table, row.id, hop.navigation, target)
        return row


def insert_below(
    dataverse: Dataverse, user: User, row: Row, hop: Hop, child: Body, *, detect_duplicates: bool
) -> Row:
    """Create a row and join it with ``row``, inside a transaction of the caller's."""
    if hop.direction is Direction.TO_MANY:
        child.values[hop.far] = Reference(row.table, row.id)
    made = insert(dataverse, user, child, detect_duplicates=detect_duplicates)
    if hop.direction is Direction.ACROSS:
        target = Reference(made.table, made.id)
        dataverse.associate(user, row.table, row.id, hop.navigation, target)
    return made


def _create(dataverse: Dataverse, user: User, body: Body, *, detect_duplicates: bool) -> Row:
    return dataverse.create(user, body.table.name, body.values, detect_duplicates=detect_duplicates)
