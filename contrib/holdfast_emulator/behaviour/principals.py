"""Who acts, and what rights are counted in: users, depths, privileges.

Invariant: depths are ordered, and so are privileges by the bit that stands for them in a mask; a
user that acts for another carries the other along.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum


class Depth(Enum):
    """Which rows of a table a privilege reaches."""

    NONE = "None"
    BASIC = "Basic"  # rows that the user, or a team of theirs, owns
    LOCAL = "Local"  # rows of the user's business unit
    DEEP = "Deep"  # rows of the unit and of all units below it
    GLOBAL = "Global"  # all rows of the organisation

    @property
    def rank(self) -> int:
        """How far it reaches, as a number to compare."""
        return _RANKS[self]


_RANKS = {depth: rank for rank, depth in enumerate(Depth)}


class Privilege(Enum):
    """What can be done to the rows of a table."""

    READ = "Read"
    WRITE = "Write"
    APPEND = "Append"  # point from the row to another
    APPEND_TO = "AppendTo"  # point to the row from another
    CREATE = "Create"
    DELETE = "Delete"
    SHARE = "Share"
    ASSIGN = "Assign"  # give the row to another owner

    @property
    def bit(self) -> int:
        """The bit that stands for it in an access mask."""
        return AccessRight[self.name]


class AccessRight(IntEnum):
    """The bits of an access mask, as ``principalobjectaccess`` keeps them."""

    READ = 1
    WRITE = 2
    APPEND = 4
    APPEND_TO = 16
    CREATE = 32
    DELETE = 65536
    SHARE = 262144
    ASSIGN = 524288


def mask_of(privileges: Iterable[Privilege]) -> int:
    """Return the mask that stands for some privileges."""
    return sum({privilege.bit for privilege in privileges})


def privileges_of(mask: int) -> tuple[Privilege, ...]:
    """Return the privileges that a mask stands for, in the order of their bits."""
    return tuple(privilege for privilege in Privilege if privilege.bit & mask)


@dataclass(frozen=True, slots=True)
class User:
    """A signed-in user: a row of systemuser, with what every check needs of it.

    :param real: who really calls, where the user is impersonated
    :param skips_rules: whether what they write passes the plug-ins by
    """

    id: str
    name: str
    business_unit: str
    teams: tuple[str, ...] = ()
    real: User | None = None
    skips_rules: bool = False
