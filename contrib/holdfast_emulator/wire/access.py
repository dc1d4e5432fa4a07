"""Sharing, and who is in which team: actions and functions.

Invariant: rows and principals are named by ``@odata.id``, or by ``@odata.type`` and an id; an
access mask is written as names with commas between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from holdfast.values import Reference, canonical_id
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault, bad_payload, missing_row
from holdfast_emulator.behaviour.granting import Granting
from holdfast_emulator.behaviour.principals import Privilege, mask_of, privileges_of
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.wire.calls import Call, Reply, answer, bad_query
from holdfast_emulator.wire.keys import target_of
from holdfast_emulator.wire.operations import Bound, Invocation, Operation
from holdfast_emulator.wire.urls import NAMESPACE

_PRINCIPALS: Final = ("systemuser", "team")
_SUFFIX: Final = "Access"
_BY_NAME: Final = {f"{one.value}{_SUFFIX}": one for one in Privilege}
_MOST_MEMBERS: Final = 1000


@dataclass(frozen=True, slots=True)
class Access:
    """Answers what has to do with shares and members."""

    dataverse: Dataverse

    @property
    def _granting(self) -> Granting:
        return Granting(self.dataverse.security)

    def operations(self) -> Iterator[Operation]:
        """Yield the actions and functions."""
        teams, principals = frozenset({"team"}), frozenset(_PRINCIPALS)
        granted = frozenset({"Target", "PrincipalAccess"})
        revoked = frozenset({"Target", "Revokee"})
        target, members = frozenset({"Target"}), frozenset({"Members"})
        yield Operation("GrantAccess", self.grant, takes=granted)
        yield Operation("ModifyAccess", self.modify, takes=granted)
        yield Operation("RevokeAccess", self.revoke, takes=revoked)
        yield Operation(
            "RetrieveSharedPrincipalsAndAccess", self.shared, function=True, takes=target
        )
        yield Operation(
            "RetrievePrincipalAccess",
            self.access,
            Bound.ROW,
            function=True,
            tables=principals,
            takes=target,
        )
        yield Operation("AddMembersTeam", self.join, Bound.ROW, tables=teams, takes=members)
        yield Operation("RemoveMembersTeam", self.leave, Bound.ROW, tables=teams, takes=members)

    def grant(self, invocation: Invocation) -> Reply:
        """Answer ``GrantAccess``."""
        self._granting.grant(invocation.call.user, *self._granted(invocation))
        return Reply(204)

    def modify(self, invocation: Invocation) -> Reply:
        """Answer ``ModifyAccess``."""
        self._granting.modify(invocation.call.user, *self._granted(invocation))
        return Reply(204)

    def revoke(self, invocation: Invocation) -> Reply:
        """Answer ``RevokeAccess``."""
        call, body = invocation.call, invocation.body()
        row = self._row(call, body.get("Target"), "Target")
        revokee = self._principal(call, body.get("Revokee"), "Revokee")
        self._granting.revoke(call.user, row, revokee)
        return Reply(204)

    def shared(self, invocation: Invocation) -> Reply:
        """Answer ``RetrieveSharedPrincipalsAndAccess``: with whom a row is shared."""
        call = invocation.call
        row = self._row(call, invocation.parameters.get("Target"), "Target")
        self.dataverse.security.check_row(call.user, row, Privilege.READ)
        found = [
            {
                "AccessMask": names_of(privileges_of(share.mask)),
                "Principal": {
                    "@odata.type": f"#{NAMESPACE}{share.principal.table}",
                    "ownerid": share.principal.id,
                },
            }
            for share in self.dataverse.security.sharing.shares(row)
        ]
        name = "RetrieveSharedPrincipalsAndAccessResponse"
        return _response(call, name, {"PrincipalAccesses": found})

    def access(self, invocation: Invocation) -> Reply:
        """Answer ``RetrievePrincipalAccess``: what a user or team may do with a row."""
        call, table = invocation.call, invocation.table
        assert table
        assert invocation.row_id
        principal = Reference(table.name, invocation.row_id)
        self._find(principal)
        row = self._row(call, invocation.parameters.get("Target"), "Target")
        rights = self._granting.rights(principal, row)
        return _response(
            call, "RetrievePrincipalAccessResponse", {"AccessRights": names_of(rights)}
        )

    def join(self, invocation: Invocation) -> Reply:
        """Answer ``AddMembersTeam``."""
        team, members = self._members(invocation)
        self.dataverse.people.join(invocation.call.user, team, members)
        return Reply(204)

    def leave(self, invocation: Invocation) -> Reply:
        """Answer ``RemoveMembersTeam``."""
        team, members = self._members(invocation)
        self.dataverse.people.leave(invocation.call.user, team, members)
        return Reply(204)

    def _granted(self, invocation: Invocation) -> tuple[Row, Reference, tuple[Privilege, ...]]:
        call, body = invocation.call, invocation.body()
        row = self._row(call, body.get("Target"), "Target")
        granted = body.get("PrincipalAccess")
        if not isinstance(granted, dict):
            raise _refused(call, "The parameter 'PrincipalAccess' is missing.")
        principal = self._principal(call, granted.get("Principal"), "Principal")
        return row, principal, _privileges(call, granted.get("AccessMask"))

    def _members(self, invocation: Invocation) -> tuple[str, list[str]]:
        call = invocation.call
        members = invocation.body().get("Members")
        if not isinstance(members, list) or len(members) > _MOST_MEMBERS:
            raise _refused(call, "The parameter 'Members' is no list of users.")
        found = [self._principal(call, member, "Members") for member in members]
        if any(one.table != "systemuser" for one in found):
            raise _refused(call, "The parameter 'Members' is no list of users.")
        assert invocation.row_id
        return invocation.row_id, [one.id for one in found]

    def _principal(self, call: Call, value: object, name: str) -> Reference:
        found = self._named(call, value, name)
        if found.table not in _PRINCIPALS:
            raise _refused(call, f"The parameter '{name}' is neither a user nor a team.")
        self._find(found)
        return found

    def _row(self, call: Call, value: object, name: str) -> Row:
        return self._find(self._named(call, value, name))

    def _find(self, reference: Reference) -> Row:
        row = self.dataverse.find(reference.table, reference.id)
        if row is None:
            raise missing_row(reference.table, reference.id)
        return row

    def _named(self, call: Call, value: object, name: str) -> Reference:
        """Return the row that a parameter names."""
        if not isinstance(value, Mapping):
            raise _refused(call, f"The parameter '{name}' is missing, or no entity.")
        url = value.get("@odata.id")
        if isinstance(url, str):
            return target_of(self.dataverse, url, call.references)
        kind = value.get("@odata.type")
        if not isinstance(kind, str):
            kind = next((one for one in _PRINCIPALS if f"{one}id" in value), "")
        table = self.dataverse.metadata.table(kind.removeprefix("#").removeprefix(NAMESPACE))
        if table is None:
            raise _refused(call, f"The '@odata.type' of the parameter '{name}' is no table.")
        key = value.get(table.primary_id)
        if key is None and table.name in _PRINCIPALS:
            key = value.get("ownerid")
        try:
            return Reference(table.name, canonical_id(key))
        except ValueError:
            raise _refused(call, f"The parameter '{name}' has no '{table.primary_id}'.") from None


def names_of(privileges: Iterable[Privilege]) -> str:
    """Return an access mask as the Web API writes it."""
    found = privileges_of(mask_of(privileges))
    return ", ".join(f"{one.value}{_SUFFIX}" for one in found) or "None"


def _privileges(call: Call, mask: object) -> tuple[Privilege, ...]:
    """Return what an access mask names; a number is a mask, too."""
    if isinstance(mask, int) and not isinstance(mask, bool):
        return privileges_of(mask)
    names = [name.strip() for name in mask.split(",")] if isinstance(mask, str) else [""]
    if names == ["None"]:
        return ()
    unknown = next((name for name in names if name not in _BY_NAME), None)
    if unknown is not None:
        raise _refused(
            call,
            f"Cannot convert the literal '{unknown[:100]}' to the expected type "
            f"'{NAMESPACE}AccessRights'.",
        )
    return tuple(_BY_NAME[name] for name in names)


def _response(call: Call, name: str, content: Mapping[str, Any]) -> Reply:  # Any: JSON
    return answer({"@odata.context": f"{call.root}/$metadata#{NAMESPACE}{name}", **content})


def _refused(call: Call, reason: str) -> DataverseFault:
    if call.method == "GET":
        return bad_query(reason)
    return bad_payload(call.path[:100], reason)
