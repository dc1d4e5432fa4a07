"""The tables that security itself keeps: who is in which team, and which rows are shared.

Invariant: callers read them and never write them; actions do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.metadata import Ownership, TableDefinition
from holdfast_emulator.behaviour.relationships import ManyToManyDefinition

MEMBERSHIP: Final = "teammembership"
SHARES: Final = "principalobjectaccess"

#: Teams and their members.
MEMBERSHIPS: Final = ManyToManyDefinition(
    *("teammembership_association", MEMBERSHIP),
    *("team", "teamid", "teammembership_association"),
    *("systemuser", "systemuserid", "teammembership_association"),
)


def membership_table() -> TableDefinition:
    """Return the table of who is in which team."""
    own = (
        c.primary_id("TeamMembershipId"),
        c.read_only(c.guid("TeamId")),
        c.read_only(c.guid("SystemUserId")),
        c.read_only(c.bigint("VersionNumber")),
    )
    return TableDefinition(
        *(MEMBERSHIP, "TeamMembership", "teammemberships", 23, "teammembershipid", None, own),
        label="Team Membership",
        collection_label="Team Memberships",
        ownership=Ownership.NONE,
        optimistic_concurrency=False,
        is_intersect=True,
    )


def shares_table() -> TableDefinition:
    """Return the table of what is shared with whom."""
    own = [
        c.primary_id("PrincipalObjectAccessId"),
        c.guid("PrincipalId"),
        c.define("PrincipalTypeCode", ColumnType.ENTITY_NAME),
        c.guid("ObjectId"),
        c.define("ObjectTypeCode", ColumnType.ENTITY_NAME),
        c.integer("AccessRightsMask", -2147483648),
        c.integer("InheritedAccessRightsMask", -2147483648),
        c.moment("ChangedOn"),
        c.bigint("VersionNumber"),
        c.integer("TimeZoneRuleVersionNumber", -1),
        c.integer("UTCConversionTimeZoneCode", -1),
    ]
    return TableDefinition(
        *(SHARES, "PrincipalObjectAccess", "principalobjectaccessset", 11),
        *("principalobjectaccessid", None, tuple(replace(one, updatable=False) for one in own)),
        label="Principal Object Access",
        collection_label="Principal Object Access",
        ownership=Ownership.NONE,
        change_tracking=False,
        optimistic_concurrency=False,
        available_offline=False,
    )
