"""Adding users, teams and business units, and putting users into teams.

Invariant: ids follow from names, so that the same calls always make the same organisation; what is
there already stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.ledger import Ledger
from holdfast_emulator.behaviour.metadata import metadata_id
from holdfast_emulator.behaviour.principals import Privilege, User
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import Security
from holdfast_emulator.behaviour.security_tables import MEMBERSHIP
from holdfast_emulator.behaviour.seed import Seed
from holdfast_emulator.behaviour.writes import Values, Writer


@dataclass(frozen=True, slots=True)
class NewUser:
    """What is known of a user that is to be added; the id follows from the name.

    :param token: what signs them in from then on, for as long as ``lifetime`` says
    :param business_unit: the root unit, if None
    :param entra_id: the object id by which Microsoft Entra knows them
    :param application_id: marks an application user
    """

    name: str
    token: str | None = None
    user_id: str | None = None
    teams: tuple[str, ...] = ()
    business_unit: str | None = None
    entra_id: str | None = None
    application_id: str | None = None
    lifetime: timedelta | None = None


@dataclass(frozen=True, slots=True)
class People:
    """The users, teams and business units of one organisation, as a test sets them up."""

    security: Security
    writer: Writer
    ledger: Ledger
    seed: Seed

    def add_user(self, new: NewUser) -> User:
        """Add a systemuser, with a token that signs it in."""
        first, _, last = new.name.partition(" ")
        unit = new.business_unit or self.seed.business_unit_id
        row_id = (new.user_id or metadata_id("systemuser", new.name)).lower()
        values = {
            "systemuserid": row_id,
            "firstname": first,
            "lastname": last or None,
            "domainname": f"{first.lower()}@example.com",
            "internalemailaddress": f"{first.lower()}@example.com",
            "businessunitid": Reference("businessunit", unit),
            "azureactivedirectoryobjectid": new.entra_id or metadata_id("entra", row_id),
            "applicationid": new.application_id,
        }
        self._add("systemuser", row_id, values)
        for team in new.teams:
            self.join(self.seed.system, team, [row_id])
        user = self.security.directory.user(row_id)
        assert user, "it was just added"
        if new.token:
            self.security.admit(new.token, user, new.lifetime)
        return user

    def add_team(self, name: str, *, business_unit: str | None = None) -> str:
        """Add an owner team, and return its id."""
        row_id = metadata_id("team", name)
        unit = Reference("businessunit", business_unit or self.seed.business_unit_id)
        return self._add("team", row_id, {"teamid": row_id, "name": name, "businessunitid": unit})

    def add_unit(self, name: str, *, parent: str | None = None) -> str:
        """Add a business unit below another, or below the root, and return its id."""
        row_id = metadata_id("businessunit", name)
        above = Reference("businessunit", parent or self.seed.business_unit_id)
        values = {"businessunitid": row_id, "name": name, "parentbusinessunitid": above}
        return self._add("businessunit", row_id, values)

    def join(self, caller: User, team_id: str, user_ids: Iterable[str]) -> None:
        """Put users into a team; those that are in it already stay.

        :raises DataverseFault: 404, 403
        """
        self._check(caller, team_id)
        table = self.security.directory.metadata.tables[MEMBERSHIP]
        with self.ledger.transaction():
            for user_id in user_ids:
                self._existing("systemuser", user_id)
                pair = metadata_id(MEMBERSHIP, team_id, user_id)
                if team_id in self.security.directory.teams(user_id):
                    continue
                cells: dict[str, Cell] = dict.fromkeys(table.fields)
                cells |= {"teammembershipid": pair, "teamid": team_id, "systemuserid": user_id}
                self.ledger.put(table, tuple(cells.values()), None, caller.id)

    def leave(self, caller: User, team_id: str, user_ids: Iterable[str]) -> None:
        """Take users out of a team; nothing happens to those that are not in it.

        :raises DataverseFault: 404, 403
        """
        self._check(caller, team_id)
        with self.ledger.transaction():
            for user_id in user_ids:
                self._existing("systemuser", user_id)
                for pair in self.security.directory.pairs(team_id, user_id):
                    self.ledger.bury(pair.definition, pair.cells, caller.id)

    def _check(self, caller: User, team_id: str) -> None:
        self.security.check_row(caller, self._existing("team", team_id), Privilege.WRITE)

    def _existing(self, table: str, row_id: str) -> Row:
        row = self.security.directory.find(table, row_id)
        if row is None:
            raise faults.missing_row(table, row_id)
        return row

    def _add(self, table: str, row_id: str, values: Values) -> str:
        if self.security.directory.find(table, row_id) is None:
            definition = self.security.directory.metadata.tables[table]
            self.writer.create(self.seed.system, definition, values)
        return row_id
