"""Who is who, by the rows: users, their teams, their business units.

Invariant: nothing is remembered here; a row that is written, by whatever way, counts at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import Metadata
from holdfast_emulator.behaviour.principals import User
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.rows import RowStore
from holdfast_emulator.behaviour.security_tables import MEMBERSHIP, MEMBERSHIPS


@dataclass(frozen=True, slots=True)
class Directory:
    """The users, teams and business units of one organisation."""

    metadata: Metadata
    store: RowStore
    links: Links

    def user(self, user_id: str) -> User | None:
        """Return a user as the rows know them."""
        row = self.find("systemuser", user_id)
        if row is None:
            return None
        return User(
            row.id,
            str(row["fullname"] or ""),
            self.unit_of("systemuser", row.id),
            self.teams(row.id),
        )

    def user_by_entra_id(self, entra_id: str) -> User | None:
        """Return the user that Microsoft Entra knows by this object id."""
        column = "azureactivedirectoryobjectid"
        found = self.links.holding(self.metadata.tables["systemuser"], column, entra_id)
        return self.user(found[0]) if found else None

    def disabled(self, user_id: str) -> bool:
        """Tell whether a user may not sign in."""
        row = self.find("systemuser", user_id)
        return row is not None and row["isdisabled"] is True

    def teams(self, user_id: str) -> tuple[str, ...]:
        """Return the ids of the teams that a user is a member of, in order."""
        near, far = MEMBERSHIPS.attribute2, MEMBERSHIPS.attribute1
        return tuple(sorted({str(pair[far]) for pair in self._members(near, user_id)}))

    def pairs(self, team_id: str, user_id: str) -> list[Row]:
        """Return the rows that make a user a member of a team."""
        near, far = MEMBERSHIPS.attribute2, MEMBERSHIPS.attribute1
        return [pair for pair in self._members(near, user_id) if pair[far] == team_id]

    def _members(self, column: str, row_id: str) -> list[Row]:
        table = self.metadata.tables[MEMBERSHIP]
        found = (self.find(MEMBERSHIP, pair) for pair in self.links.holding(table, column, row_id))
        return [pair for pair in found if pair]

    def unit_of(self, table: str, row_id: str) -> str:
        """Return the business unit that a user or team belongs to; "" where there is none."""
        row = self.find(table, row_id)
        unit = row.cells[row.definition.positions["businessunitid"]] if row else None
        return str(unit or "")

    def units_below(self, unit: str) -> frozenset[str]:
        """Return a business unit and all below it."""
        table = self.metadata.tables["businessunit"]
        found = {unit}
        waiting = [unit]
        while waiting:
            children = self.links.holding(table, "parentbusinessunitid", waiting.pop())
            fresh = [child for child in children if child not in found]
            found.update(fresh)
            waiting.extend(fresh)
        return frozenset(found)

    def find(self, table: str, row_id: str) -> Row | None:
        """Return a row, whoever asks."""
        cells = self.store.get(table, row_id.lower())
        return None if cells is None else Row(self.metadata.tables[table], cells)
