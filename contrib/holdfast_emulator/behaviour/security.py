"""Who may do what: sign-in, privileges and their depths, shares, columns.

Invariant: whoever was never limited reaches everything, and pays nothing for it per row. A user
that is impersonated may do what both they and who really calls may do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.bearers import bearers, bearing_tables, is_borne
from holdfast_emulator.behaviour.column_security import (
    CLOSED,
    EVERYBODY,
    OPEN,
    ColumnAccess,
    ColumnProfile,
    ColumnSecurity,
)
from holdfast_emulator.behaviour.depths import ANY_TABLE, Depths
from holdfast_emulator.behaviour.directory import Directory
from holdfast_emulator.behaviour.grants import Grant, Grants
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.principals import Depth, Privilege, User
from holdfast_emulator.behaviour.reach import Reach, reach_of
from holdfast_emulator.behaviour.row import Cells, Row
from holdfast_emulator.behaviour.sharing import Sharing
from holdfast_emulator.behaviour.tokens import Tokens

__all__ = [
    "ANY_TABLE",
    "CLOSED",
    "EVERYBODY",
    "OPEN",
    "ColumnAccess",
    "ColumnProfile",
    "Depth",
    "Grant",
    "Privilege",
    "Security",
    "User",
]

#: A test of one row, compiled for one user and table.
Readable: TypeAlias = Callable[[Cells], bool]


@dataclass(frozen=True, slots=True)
class Security:
    """Everything that is asked before something is done.

    The state that is not in rows is in four plain parts: ``tokens``, ``depths``, ``columns`` and
    ``grants``; :meth:`state` writes them as JSON and :meth:`restore` reads that.
    """

    directory: Directory
    sharing: Sharing
    clock: Callable[[], datetime]
    tokens: Tokens = field(default_factory=Tokens)
    depths: Depths = field(default_factory=Depths)
    columns: ColumnSecurity = field(default_factory=ColumnSecurity)
    grants: Grants = field(default_factory=Grants)

    def admit(self, token: str, user: User, lifetime: timedelta | None = None) -> None:
        """Let ``token`` sign ``user`` in from now on, or for as long as it lives.

        Who has no row in ``systemuser`` is told so; nobody is an application user by a token alone.
        """
        expires = None if lifetime is None else self.clock() + lifetime
        self.tokens.admit(token, user.id, expires)

    def expel(self, token: str) -> None:
        """Let ``token`` sign nobody in any more."""
        self.tokens.expel(token)

    def user_of(self, token: str) -> User | None:
        """Return whom the bearer token signs in; None means 401."""
        user_id = self.tokens.user_id(token, self.clock())
        if user_id is None:
            return None
        return self.directory.user(user_id) or User(user_id, "", "")

    def users(self) -> tuple[User, ...]:
        """Return everybody that a token signs in, once each."""
        found = (self.directory.user(user_id) for user_id in self.tokens.user_ids())
        return tuple(user for user in found if user)

    def check_member(self, user: User) -> None:
        """Refuse who is not a user of the organisation, or was disabled.

        :raises DataverseFault: 403
        """
        if self.directory.find("systemuser", user.id) is None:
            raise faults.not_a_member()
        if self.directory.disabled(user.id):
            raise faults.disabled_user(user.id)

    def check_grant(self, user: User, grant: Grant) -> None:
        """Refuse who lacks a privilege that belongs to no table.

        :raises DataverseFault: 403
        """
        if not self.grants.has(user.id, grant):
            raise faults.missing_privilege(user.id, grant.value, grant.id)

    def limit(
        self,
        principal: User | str,
        table: str,
        depth: Depth,
        privileges: Iterable[Privilege] | None = None,
    ) -> None:
        """Set how far a user reaches in a table; ``ANY_TABLE`` is for all others.

        A team, by its id, is given what its members then reach, however little they do themselves.

        :param privileges: all of them, if None
        """
        wanted = tuple(Privilege) if privileges is None else tuple(privileges)
        self.depths.limit(_id(principal), table, depth, wanted)

    def reach(self, user: User, table: TableDefinition, privilege: Privilege) -> Reach | None:
        """Return which rows a privilege reaches; None means all of them."""
        if not self.limited(user):
            return None
        return reach_of(self.depths, self.directory, user, table, privilege)

    def limited(self, user: User) -> bool:
        """Tell whether anything limits a user at all."""
        real = user.real
        return self.depths.limited(user.id) or (real is not None and self.depths.limited(real.id))

    def depth(
        self, user: User, table: TableDefinition, privilege: Privilege = Privilege.READ
    ) -> Depth:
        """Return how far ``user`` reaches; without an owner, rows are everybody's or nobody's."""
        reach = self.reach(user, table, privilege)
        return Depth.GLOBAL if reach is None else reach.depth

    def check(self, user: User, table: TableDefinition, privilege: Privilege) -> None:
        """Refuse who has no such privilege in the table.

        :raises DataverseFault: 403
        """
        if self.depth(user, table, privilege) is Depth.NONE:
            raise faults.missing_privilege(
                user.id,
                f"prv{privilege.value}{table.schema_name}",
                table.privilege_id(privilege.value),
                f" on OTC={table.object_type_code} for entity '{table.name}'",
            )

    def check_global(self, user: User, table: TableDefinition) -> None:
        """Refuse who does not read the whole table: changes are tracked for nobody else.

        :raises DataverseFault: 403
        """
        for end in bearing_tables(self.directory.metadata, table):
            self.check_global(user, self.directory.metadata.tables[end])
        if self.depth(user, table) is not Depth.GLOBAL:
            unit = self.directory.unit_of("systemuser", user.id)
            raise faults.not_organization_wide(
                user.id, unit, table.read_privilege, table.read_privilege_id
            )

    def readable(self, user: User, table: TableDefinition) -> Readable | None:
        """Return the test for the rows that a user may read; None when that is every row."""
        covers = self._covering(user, table)
        if not is_borne(table) or not self.limited(user):
            return covers
        metadata, find, reads = self.directory.metadata, self.directory.find, self.reader(user)

        def borne(cells: Cells) -> bool:
            if covers is not None and not covers(cells):
                return False
            found = (find(one.table, one.id) for one in bearers(metadata, Row(table, cells)))
            return all(row is None or reads(row) for row in found)

        return borne

    def _covering(self, user: User, table: TableDefinition) -> Readable | None:
        reach = self.reach(user, table, Privilege.READ)
        if reach is None:
            return None
        shared: frozenset[str] = frozenset()
        if reach.depth is not Depth.NONE:
            shared = self.sharing.shared(reach.principals, table.name, Privilege.READ.bit)
        key = table.positions[table.primary_id]
        covers = reach.test(table)
        return lambda cells: covers(cells) or cells[key] in shared

    def reader(self, user: User) -> Callable[[Row], bool]:
        """Return the test for rows of any table; each table is looked into once."""
        known: dict[str, Readable | None] = {}

        def reads(row: Row) -> bool:
            if row.table not in known:
                known[row.table] = self.readable(user, row.definition)
            test = known[row.table]
            return test is None or test(row.cells)

        return reads if self.limited(user) else lambda _: True

    def reaches(self, user: User, row: Row, privilege: Privilege) -> bool:
        """Tell whether a privilege of ``user`` reaches a row, or the row was shared with them."""
        if privilege is Privilege.READ and is_borne(row.definition):
            test = self.readable(user, row.definition)
            return test is None or test(row.cells)
        reach = self.reach(user, row.definition, privilege)
        if reach is None or reach.test(row.definition)(row.cells):
            return True
        if reach.depth is Depth.NONE:
            return False
        return bool(self.sharing.mask(reach.principals, row) & privilege.bit)

    def check_row(self, user: User, row: Row, privilege: Privilege) -> None:
        """Refuse what the user may not do to a row.

        :raises DataverseFault: 403
        """
        self.check(user, row.definition, privilege)
        if not self.reaches(user, row, privilege):
            raise faults.missing_access(user.id, privilege.value, row.table, row.id)

    def check_written(
        self, user: User, row: Row, written: Mapping[str, Cell | Reference], *, creating: bool
    ) -> None:
        """Refuse an owner, or a row pointed to, that the user may not put into ``row``.

        :param row: the row as it will be created, or as it was before an update
        :raises DataverseFault: 403
        """
        if creating:
            self.check_row(user, row, Privilege.CREATE)
        owner = written.get("ownerid")
        if isinstance(owner, Reference) and (creating or owner.id != row.owner_id):
            self._check_assigned(user, row, owner, creating=creating)
        for name, target in written.items() if self.limited(user) else ():
            if isinstance(target, Reference) and name != "ownerid":
                self.check_row(user, row, Privilege.APPEND)
                found = self.directory.find(target.table, target.id)
                if found is not None:
                    self.check_row(user, found, Privilege.APPEND_TO)

    def _check_assigned(self, user: User, row: Row, owner: Reference, *, creating: bool) -> None:
        if not creating:
            self.check_row(user, row, Privilege.ASSIGN)
        if owner.table == "systemuser":  # who owns a row must be able to read it
            self.check(User(owner.id, "", ""), row.definition, Privilege.READ)

    def rights(self, user: User, row: Row) -> tuple[Privilege, ...]:
        """Return what a user may do with a row."""
        return tuple(one for one in Privilege if self.reaches(user, row, one))

    def team_rights(self, team_id: str, row: Row) -> tuple[Privilege, ...]:
        """Return what a team may do with a row: with its own, and with what was shared with it."""
        if row.owner_id == team_id:
            return tuple(Privilege)
        mask = self.sharing.mask([team_id], row)
        return tuple(one for one in Privilege if one.bit & mask)

    def hide(self, user: User, table: str, column: str) -> None:
        """Hide a column: ``user`` reads null in it, and may not write it."""
        self.columns.restrict(user.id, table, column, CLOSED)

    def hidden(self, user: User, table: str) -> frozenset[str]:
        """Return the columns of a table that ``user`` does not see, and what is made of them."""
        secured = self.columns.secured(table)
        if not secured:
            return frozenset()
        hidden = {one for one in secured if not self.column(user, table, one).read}
        known = self.directory.metadata.tables[table].by_name
        made = {name for one in hidden if one in known for name in known[one].companions}
        return frozenset(hidden | made.intersection(known))

    def column(self, user: User, table: str, column: str) -> ColumnAccess:
        """Return what a user may do with a column."""
        found = self._own_column(user, table, column)
        if user.real is None:
            return found
        return found & self._own_column(user.real, table, column)

    def _own_column(self, user: User, table: str, column: str) -> ColumnAccess:
        teams = frozenset(self.directory.teams(user.id))
        trusted = user.id in self.grants.administrators
        return self.columns.access(user.id, teams, table, column, trusted=trusted)

    def check_columns(
        self, user: User, table: str, written: Collection[str], *, creating: bool = False
    ) -> None:
        """Refuse to write a column that is closed to ``user``.

        :raises DataverseFault: 403
        """
        for column in sorted(set(self.columns.secured(table)).intersection(written)):
            access = self.column(user, table, column)
            if not (access.create if creating else access.update):
                raise faults.secured_column(user.id, column, table, creating=creating)

    def state(self) -> dict[str, Any]:  # Any: JSON
        """Return as JSON has it what is not in rows."""
        return {name: part.state() for name, part in self.parts().items()}

    def restore(self, state: Mapping[str, Any]) -> None:  # Any: JSON
        """Take what :meth:`state` returned in the place of what there is."""
        for name, part in self.parts().items():
            part.restore(state[name])

    def parts(self) -> Mapping[str, Tokens | Depths | ColumnSecurity | Grants]:
        """Return the plain objects that hold the state which is not in rows."""
        return {
            "tokens": self.tokens,
            "depths": self.depths,
            "columns": self.columns,
            "grants": self.grants,
        }


def _id(principal: User | str) -> str:
    return principal if isinstance(principal, str) else principal.id
