"""Who sees and writes which secured column.

Invariant: a column is closed to those it was closed to, or to everybody but administrators, less
what the profiles of a user and of their teams open again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

#: In the place of a user: everybody but administrators.
EVERYBODY: Final = "*"


@dataclass(frozen=True, slots=True)
class ColumnAccess:
    """What may be done with a secured column."""

    read: bool = False
    create: bool = False
    update: bool = False

    def __or__(self, other: ColumnAccess) -> ColumnAccess:
        return ColumnAccess(
            self.read or other.read, self.create or other.create, self.update or other.update
        )

    def __and__(self, other: ColumnAccess) -> ColumnAccess:
        return ColumnAccess(
            self.read and other.read, self.create and other.create, self.update and other.update
        )


OPEN: Final = ColumnAccess(read=True, create=True, update=True)
CLOSED: Final = ColumnAccess()


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """A column security profile: it opens columns (table and name) to users and teams."""

    columns: Mapping[tuple[str, str], ColumnAccess]
    members: frozenset[str]


@dataclass(slots=True)
class ColumnSecurity:
    """What columns are secured, against whom, and what profiles open."""

    _closed: dict[str, dict[str, dict[str, ColumnAccess]]] = field(default_factory=dict)
    profiles: dict[str, ColumnProfile] = field(default_factory=dict)

    def restrict(self, principal: str, table: str, column: str, access: ColumnAccess) -> None:
        """Leave a user, or ``EVERYBODY``, no more than ``access`` of a column."""
        self._closed.setdefault(table, {}).setdefault(column, {})[principal] = access

    def access(
        self, user_id: str, teams: frozenset[str], table: str, column: str, *, trusted: bool = False
    ) -> ColumnAccess:
        """Return what a user may do with a column.

        :param trusted: whether "everybody" does not mean this user
        """
        closed = self._closed.get(table, {}).get(column, {})
        others = OPEN if trusted else closed.get(EVERYBODY, OPEN)
        found = closed.get(user_id, others)
        for profile in self.profiles.values():
            if profile.members & {user_id, *teams}:
                found |= profile.columns.get((table, column), CLOSED)
        return found

    def secured(self, table: str) -> Iterable[str]:
        """Return the columns of a table that are closed to anybody."""
        return self._closed.get(table, ())

    def state(self) -> dict[str, Any]:  # Any: JSON
        """Return everything as JSON has it."""
        return {
            "closed": [
                [table, column, principal, asdict(access)]
                for table, columns in self._closed.items()
                for column, principals in columns.items()
                for principal, access in principals.items()
            ],
            "profiles": {
                name: {
                    "members": sorted(profile.members),
                    "columns": [[*key, asdict(access)] for key, access in profile.columns.items()],
                }
                for name, profile in self.profiles.items()
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:  # Any: JSON
        """Take what :meth:`state` returned in the place of what there is."""
        self._closed = {}
        for table, column, principal, access in state["closed"]:
            self.restrict(principal, table, column, ColumnAccess(**access))
        self.profiles = {
            name: ColumnProfile(
                {(table, column): ColumnAccess(**a) for table, column, a in profile["columns"]},
                frozenset(profile["members"]),
            )
            for name, profile in state["profiles"].items()
        }
