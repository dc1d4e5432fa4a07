"""Who may share which row with whom.

Invariant: nobody gives a right on a row that they do not have, nor one that the receiver could not
use because they lack the privilege altogether.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.values import Reference
from holdfast_emulator.behaviour.faults import no_such_message
from holdfast_emulator.behaviour.metadata import Ownership
from holdfast_emulator.behaviour.principals import Privilege, User, mask_of
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import Security


@dataclass(frozen=True, slots=True)
class Granting:
    """Shares rows on a caller's behalf. Every method raises ``DataverseFault``: 403, 400."""

    security: Security

    def grant(
        self, user: User, row: Row, principal: Reference, privileges: Sequence[Privilege]
    ) -> None:
        """Add rights to those that a user or team was granted."""
        self._check("GrantAccess", user, row, principal, privileges)
        self.security.sharing.grant(user.id, row, principal, mask_of(privileges))

    def modify(
        self, user: User, row: Row, principal: Reference, privileges: Sequence[Privilege]
    ) -> None:
        """Put rights in the place of those that a user or team was granted."""
        self._check("ModifyAccess", user, row, principal, privileges)
        self.security.sharing.modify(user.id, row, principal, mask_of(privileges))

    def revoke(self, user: User, row: Row, principal: Reference) -> None:
        """Take away what a user or team was granted."""
        self._check("RevokeAccess", user, row, principal, ())
        self.security.sharing.revoke(user.id, row, principal)

    def rights(self, principal: Reference, row: Row) -> tuple[Privilege, ...]:
        """Return what a user or team may do with a row, for whatever reason."""
        if principal.table == "team":
            return self.security.team_rights(principal.id, row)
        return self.security.rights(User(principal.id, "", ""), row)

    def _check(
        self,
        message: str,
        user: User,
        row: Row,
        principal: Reference,
        privileges: Sequence[Privilege],
    ) -> None:
        if row.definition.ownership is not Ownership.USER:
            raise no_such_message(message, row.table)
        self.security.check_row(user, row, Privilege.SHARE)
        for privilege in privileges:
            if privilege is not Privilege.CREATE:  # nobody creates what is there already
                self.security.check_row(user, row, privilege)
            if principal.table == "systemuser":
                self.security.check(User(principal.id, "", ""), row.definition, privilege)
