"""Who is above and below whom, along the hierarchical relationship of a table.

Invariant: a row is neither above nor below itself, and a circle ends where it began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.navigation import Navigator
from holdfast_emulator.behaviour.relationships import RelationshipDefinition
from holdfast_emulator.queries.conditions import Operator
from holdfast_emulator.queries.scope import Asking

_MANAGERS: Final = "parentsystemuserid"
_SELF: Final = frozenset({Operator.EQ_OR_ABOVE, Operator.EQ_OR_UNDER})
_UPWARD: Final = frozenset({Operator.ABOVE, Operator.EQ_OR_ABOVE})


def relatives(
    operator: Operator,
    table: TableDefinition,
    column: ColumnDefinition,
    row_id: str,
    asking: Asking,
) -> frozenset[str]:
    """Return the ids that are above or under a row, as the operator says.

    :raises DataverseFault: the column leads to no table that has a hierarchy
    """
    hierarchy = _hierarchy(table, column, asking.navigator)
    if hierarchy.referencing_attribute in asking.hidden(hierarchy.referencing):
        return frozenset({row_id} if operator in _SELF else ())
    follow = _up if operator in _UPWARD else _down
    found = _closure(row_id, lambda at: follow(asking.navigator, hierarchy, at))
    return found | {row_id} if operator in _SELF else found


def reports(asking: Asking) -> frozenset[str]:
    """Return the asker and all who report to them, directly or not."""
    navigator = asking.navigator
    users = navigator.metadata.tables["systemuser"]
    if _MANAGERS not in users.by_name:
        return frozenset({asking.user.id})
    found = _closure(
        asking.user.id, lambda manager: navigator.links.holding(users, _MANAGERS, manager)
    )
    return found | {asking.user.id}


def _hierarchy(
    table: TableDefinition, column: ColumnDefinition, navigator: Navigator
) -> RelationshipDefinition:
    targets = column.targets or ((table.name,) if column.name == table.primary_id else ())
    for relationship in navigator.metadata.relationships.values():
        itself = relationship.referenced == relationship.referencing
        if relationship.is_hierarchical and itself and relationship.referenced in targets:
            return relationship
    raise DataverseFault(
        400,
        BAD_QUERY,
        f"The attribute '{column.name}' of '{table.name}' leads to no table with a hierarchy.",
    )


def _closure(start: str, following: Callable[[str], Iterable[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = [row_id for row_id in following(waiting.pop()) if row_id not in found]
        found.update(fresh)
        waiting.extend(fresh)
    found.discard(start)
    return frozenset(found)


def _up(navigator: Navigator, hierarchy: RelationshipDefinition, row_id: str) -> list[str]:
    cells = navigator.store.get(hierarchy.referenced, row_id)
    table = navigator.metadata.tables[hierarchy.referenced]
    above = cells[table.positions[hierarchy.referencing_attribute]] if cells else None
    return [] if above is None else [str(above)]


def _down(navigator: Navigator, hierarchy: RelationshipDefinition, row_id: str) -> list[str]:
    table = navigator.metadata.tables[hierarchy.referencing]
    return navigator.links.holding(table, hierarchy.referencing_attribute, row_id)
