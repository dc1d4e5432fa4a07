"""How tables are joined: one-to-many, many-to-many, and one step along either.

Invariant: a navigation property belongs to exactly one hop; its name is compared with regard to
case, as Dataverse does.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class CascadeDelete(Enum):
    """What becomes of the referencing rows when the referenced one is deleted."""

    CASCADE = "Cascade"
    REMOVE_LINK = "RemoveLink"
    RESTRICT = "Restrict"
    NONE = "NoCascade"


class Cascade(Enum):
    """How far an action on the referenced row reaches the referencing ones."""

    NONE = "NoCascade"
    ALL = "Cascade"
    ACTIVE = "Active"
    USER_OWNED = "UserOwned"


@dataclass(frozen=True, slots=True)
class RelationshipDefinition:
    """A one-to-many relationship.

    ``referencing_navigation`` is the single-valued property on the referencing table (``nav`` in
    ``nav@odata.bind``), ``referenced_navigation`` the collection on the referenced one.
    """

    schema_name: str
    referenced: str
    referenced_attribute: str
    referencing: str
    referencing_attribute: str
    referencing_navigation: str
    referenced_navigation: str
    delete: CascadeDelete = CascadeDelete.REMOVE_LINK
    is_hierarchical: bool = False
    assign: Cascade = Cascade.NONE
    share: Cascade = Cascade.NONE
    unshare: Cascade = Cascade.NONE
    reparent: Cascade = Cascade.NONE
    merge: Cascade = Cascade.NONE
    is_custom: bool = False
    extras: tuple[tuple[str, str], ...] = ()  # what has no effect here: property to JSON


@dataclass(frozen=True, slots=True)
class ManyToManyDefinition:
    """A many-to-many relationship; its pairs are the rows of the table ``intersect``.

    ``navigation1`` is the collection property on ``table1`` that leads to rows of ``table2``,
    ``navigation2`` the one on ``table2``. ``attribute1`` and ``attribute2`` are the columns of the
    intersect table that hold the two ids.
    """

    schema_name: str
    intersect: str
    table1: str
    attribute1: str
    navigation1: str
    table2: str
    attribute2: str
    navigation2: str
    is_custom: bool = False
    extras: tuple[tuple[str, str], ...] = ()  # what has no effect here: property to JSON


class Direction(Enum):
    """Which way a hop goes."""

    TO_ONE = "to one"  # from the referencing row to the referenced one
    TO_MANY = "to many"  # from the referenced row to those that reference it
    ACROSS = "across"  # from one side of a many-to-many relationship to the other


@dataclass(frozen=True, slots=True)
class Hop:
    """One step from a row of ``source`` to rows of ``target``, along ``navigation``.

    ``near`` and ``far`` are columns: of the referencing and the referenced table for a step to one,
    of the referenced and the referencing table for a step to many, and both of the intersect table
    for a step across.
    """

    direction: Direction
    relationship: RelationshipDefinition | ManyToManyDefinition
    navigation: str
    source: str
    target: str
    near: str
    far: str

    @property
    def single(self) -> bool:
        """Whether there is one row at its end, at most."""
        return self.direction is Direction.TO_ONE

    def hidden(self, columns: Callable[[str], Container[str]]) -> bool:
        """Tell whether the lookup that it goes along, one way or the other, is hidden.

        :param columns: returns the hidden columns of a table
        """
        if self.direction is Direction.ACROSS:
            return False
        return self.near in columns(self.source) or self.far in columns(self.target)


def hops_of(relationship: RelationshipDefinition | ManyToManyDefinition) -> tuple[Hop, Hop]:
    """Return the two steps along a relationship."""
    if isinstance(relationship, RelationshipDefinition):
        r = relationship
        one, many = r.referencing_attribute, r.referenced_attribute
        return (
            Hop(
                Direction.TO_ONE,
                r,
                r.referencing_navigation,
                r.referencing,
                r.referenced,
                one,
                many,
            ),
            Hop(
                Direction.TO_MANY,
                r,
                r.referenced_navigation,
                r.referenced,
                r.referencing,
                many,
                one,
            ),
        )
    m = relationship
    return (
        Hop(Direction.ACROSS, m, m.navigation1, m.table1, m.table2, m.attribute1, m.attribute2),
        Hop(Direction.ACROSS, m, m.navigation2, m.table2, m.table1, m.attribute2, m.attribute1),
    )


AnyRelationship: TypeAlias = RelationshipDefinition | ManyToManyDefinition
