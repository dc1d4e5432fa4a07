"""What goes along when something is done to a row: the rows below it, by the relationships.

Invariant: a walk reaches each row once, however the relationships run in circles, and does not
recurse, so that a chain may be as long as the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from holdfast_emulator.behaviour.navigation import Navigator
from holdfast_emulator.behaviour.relationships import (
    Cascade,
    CascadeDelete,
    RelationshipDefinition,
    hops_of,
)
from holdfast_emulator.behaviour.row import Row

_OPEN: Final = 0

#: How far an action reaches along a relationship, such as ``attrgetter("share")``.
Reach: TypeAlias = Callable[[RelationshipDefinition], Cascade]


@dataclass(frozen=True, slots=True)
class Doomed:
    """What a delete does: ``rows`` go, children before parents; ``unlinked`` lose a pointer."""

    rows: tuple[Row, ...]
    unlinked: tuple[tuple[Row, str], ...]
    forbidding: RelationshipDefinition | None


@dataclass(frozen=True, slots=True)
class Cascades:
    """Walks from a row to those below it."""

    navigator: Navigator

    def below(self, row: Row, reach: Reach) -> Iterator[Row]:
        """Yield what an action on ``row`` reaches: assigning, sharing, unsharing, reparenting.

        "Active" are rows in their first state, "user-owned" those of the owner of ``row``, as it
        was before the action.
        """
        seen = {(row.table, row.id)}
        waiting = [row]
        while waiting:
            parent = waiting.pop()
            for relationship in self._leading_from(parent.table):
                cascade = reach(relationship)
                if cascade is Cascade.NONE:
                    continue
                for child in self.children(relationship, parent):
                    if (child.table, child.id) in seen or not _reached(child, cascade, row):
                        continue
                    seen.add((child.table, child.id))
                    waiting.append(child)
                    yield child

    def doomed(self, row: Row, about_to_delete: Callable[[Row], None]) -> Doomed:
        """Return what a delete of ``row`` takes along and leaves behind.

        :param about_to_delete: hears of each row that goes, the first one first; may refuse
        """
        going: dict[tuple[str, str], Row] = {}
        waiting = [row]
        while waiting:
            parent = waiting.pop()
            if (parent.table, parent.id) in going:
                continue
            going[parent.table, parent.id] = parent
            about_to_delete(parent)
            for relationship in self._leading_from(parent.table):
                if relationship.delete is CascadeDelete.CASCADE:
                    waiting.extend(reversed(self.children(relationship, parent)))
        left = list(self._left(going))
        forbidding = (r for _, r in left if r.delete is CascadeDelete.RESTRICT)
        return Doomed(
            (*self._pairs(going.values()), *reversed(going.values())),
            tuple(
                (child, r.referencing_attribute)
                for child, r in left
                if r.delete is CascadeDelete.REMOVE_LINK
            ),
            next(forbidding, None),
        )

    def children(self, relationship: RelationshipDefinition, row: Row) -> list[Row]:
        """Return the rows that point to ``row`` through the relationship, by id."""
        _, down = hops_of(relationship)
        return self.navigator.follow(down, row)

    def _leading_from(self, table: str) -> tuple[RelationshipDefinition, ...]:
        return self.navigator.metadata.one_to_many(table)

    def _left(
        self, going: dict[tuple[str, str], Row]
    ) -> Iterator[tuple[Row, RelationshipDefinition]]:
        """Yield the rows that stay and point to one that goes."""
        for row in going.values():
            for relationship in self._leading_from(row.table):
                if relationship.delete not in (CascadeDelete.RESTRICT, CascadeDelete.REMOVE_LINK):
                    continue
                for child in self.children(relationship, row):
                    if (child.table, child.id) not in going:
                        yield child, relationship

    def _pairs(self, going: Iterable[Row]) -> tuple[Row, ...]:
        """Return the pairs of many-to-many relationships that the rows are part of."""
        found: dict[tuple[str, str], Row] = {}
        for row in going:
            for hop in self.navigator.across(row.table):
                for pair in self.navigator.pairs(hop, row):
                    found[pair.table, pair.id] = pair
        return tuple(found.values())


def _reached(child: Row, cascade: Cascade, first: Row) -> bool:
    if cascade is Cascade.ACTIVE:
        return child.get("statecode") in (None, _OPEN)
    if cascade is Cascade.USER_OWNED:
        return child.owner_id is not None and child.owner_id == first.owner_id
    return True
