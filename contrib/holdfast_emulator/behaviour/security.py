"""Who calls, and how far they may look.

Invariant: rights are a depth per user and table, less the columns hidden from the user; what nobody
limited is organisation-wide and whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from holdfast_emulator.behaviour.faults import PRIVILEGE_DENIED, DataverseFault, secured_column
from holdfast_emulator.behaviour.metadata import Ownership, TableDefinition


class Depth(Enum):
    """Which rows of a table a user reaches."""

    GLOBAL = "Global"  # all rows of the organisation
    BASIC = "Basic"  # only rows that they, or a team of theirs, own
    NONE = "None"


@dataclass(frozen=True, slots=True)
class User:
    """A signed-in user: a row of systemuser, with what every check needs of it."""

    id: str
    name: str
    business_unit: str
    teams: tuple[str, ...] = ()


@dataclass(slots=True)
class Security:
    """Tokens and depths."""

    _users: dict[str, User] = field(default_factory=dict)
    _depths: dict[tuple[str, str], Depth] = field(default_factory=dict)
    _hidden: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def admit(self, token: str, user: User) -> None:
        """Let ``token`` sign ``user`` in from now on."""
        self._users[token] = user

    def expel(self, token: str) -> None:
        """Let ``token`` sign nobody in any more."""
        self._users.pop(token, None)

    def user_of(self, token: str) -> User | None:
        """Return whom the bearer token signs in; None means 401."""
        return self._users.get(token)

    def users(self) -> tuple[User, ...]:
        """Return everybody that a token signs in, once each."""
        return tuple(dict.fromkeys(self._users.values()))

    def limit(self, user: User, table: str, depth: Depth) -> None:
        """Set how far ``user`` reaches in ``table``."""
        self._depths[user.id, table] = depth

    def depth(self, user: User, table: TableDefinition) -> Depth:
        """Return how far ``user`` reaches; without an owner, rows are everybody's or nobody's."""
        depth = self._depths.get((user.id, table.name), Depth.GLOBAL)
        if depth is Depth.BASIC and table.ownership is not Ownership.USER:
            return Depth.GLOBAL
        return depth

    def hide(self, user: User, table: str, column: str) -> None:
        """Hide a column: ``user`` reads null in it, and may not write it."""
        self._hidden[user.id, table] = self.hidden(user, table) | {column}

    def hidden(self, user: User, table: str) -> frozenset[str]:
        """Return the columns of a table that ``user`` does not see."""
        return self._hidden.get((user.id, table), frozenset())

    def check_columns(self, user: User, table: str, written: Iterable[str]) -> None:
        """Refuse to write a column that is hidden from ``user``.

        :raises DataverseFault: 403
        """
        for column in sorted(self.hidden(user, table).intersection(written)):
            raise secured_column(user.id, column, table)

    def check(self, user: User, table: TableDefinition, verb: str) -> None:
        """Refuse who has no right at all to ``verb`` (``Read``, ``Create`` …) in the table.

        :raises DataverseFault: 403
        """
        if self.depth(user, table) is Depth.NONE:
            raise DataverseFault(
                403,
                PRIVILEGE_DENIED,
                f"Principal user (Id={user.id}, type=8, roleCount=1, privilegeCount=465, "
                f"accessMode=0), is missing prv{verb}{table.schema_name} privilege on "
                f"OTC={table.object_type_code} for entity '{table.name}'. "
                f"context.Caller={user.id}",
            )

    def check_global(self, user: User, table: TableDefinition) -> None:
        """Refuse who does not read the whole table: changes are tracked for nobody else.

        :raises DataverseFault: 403
        """
        if self.depth(user, table) is not Depth.GLOBAL:
            raise DataverseFault(
                403,
                PRIVILEGE_DENIED,
                f"SecLib::CheckPrivilege failed. User: {user.id}, PrivilegeName: "
                f"{table.read_privilege}, PrivilegeId: {table.read_privilege_id}, "
                "Required Depth: Global, BusinessUnitId: "
                f"{user.business_unit}, MetadataCache Privileges Count: 4521",
            )

    def reaches(self, user: User, table: TableDefinition, owner: object) -> bool:
        """Tell whether ``user`` reaches a row with this owner."""
        depth = self.depth(user, table)
        return depth is Depth.GLOBAL or (
            depth is Depth.BASIC and (owner == user.id or owner in user.teams)
        )

    def check_row(
        self, user: User, table: TableDefinition, row_id: str, owner: object, verb: str
    ) -> None:
        """Refuse ``verb`` on a row that the user does not reach.

        :raises DataverseFault: 403
        """
        self.check(user, table, verb)
        if not self.reaches(user, table, owner):
            raise DataverseFault(
                403,
                PRIVILEGE_DENIED,
                f"Principal with id {user.id} does not have {verb}Access right(s) for record "
                f"with id {row_id} of entity {table.name}",
            )
