"""A small world for the engine: a server, some replicas of it, other users."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import holdfast
from holdfast import hookimpl
from holdfast.contracts import FilterLanguage, OpenMode
from holdfast.model import Conflict, Policy, Row
from holdfast.schema import (
    Column,
    ColumnType,
    Fill,
    Option,
    Relationship,
    TableSchema,
)
from holdfast.testing import MemoryDisk, MemoryServer

#: The id of a row that a test makes itself.
ROW = "11111111-2222-4333-8444-555555555555"

PRIMARY_CONTACT = Relationship("account_primary_contact", "account", "primarycontactid", "contact")
PARENT_ACCOUNT = Relationship("contact_customer_accounts", "contact", "parentcustomerid", "account")

ACCOUNT = TableSchema(
    "account",
    "accountid",
    "name",
    (
        Column("accountid", ColumnType.UNIQUEIDENTIFIER, updatable=False),
        Column("name", ColumnType.STRING, required=True, max_length=50),
        Column("telephone1", ColumnType.STRING, max_length=20),
        Column("address1_city", ColumnType.STRING),
        Column(
            "revenue",
            ColumnType.MONEY,
            precision=4,
            minimum=Decimal(0),
            maximum=Decimal(10) ** 12,
        ),
        Column(
            "statecode",
            ColumnType.STATE,
            options=(Option(0, "Active"), Option(1, "Inactive")),
            default=0,
        ),
        Column(
            "statuscode",
            ColumnType.STATUS,
            options=(Option(1, "Open", 0), Option(2, "Closed", 1)),
            default=1,
        ),
        Column("primarycontactid", ColumnType.LOOKUP, targets=("contact",)),
        Column(
            "ownerid",
            ColumnType.LOOKUP,
            targets=("systemuser", "team"),
            fill=Fill.CALLER,
        ),
        Column("createdon", ColumnType.DATETIME, creatable=False, updatable=False, fill=Fill.NOW),
    ),
    label="Account",
    relationships=(PRIMARY_CONTACT,),
)
CONTACT = TableSchema(
    "contact",
    "contactid",
    "fullname",
    (
        Column("contactid", ColumnType.UNIQUEIDENTIFIER, updatable=False),
        Column("fullname", ColumnType.STRING, max_length=100),
        Column("emailaddress1", ColumnType.STRING),
        Column("parentcustomerid", ColumnType.LOOKUP, targets=("account", "contact")),
    ),
    label="Contact",
    relationships=(PRIMARY_CONTACT, PARENT_ACCOUNT),
)


@dataclass
class World:
    """One server, one disk; ``replica()`` opens the replica on it, again and again."""

    server: MemoryServer = field(
        default_factory=lambda: MemoryServer([ACCOUNT, CONTACT], page_size=3)
    )
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    tables: list[dict[str, Any]] = field(
        default_factory=lambda: [{"name": "account"}, {"name": "contact"}]
    )
    conflict_detection: bool = False
    user: str = "user-1"
    #: What the server takes filters in.
    language: FilterLanguage | None = None

    def profile(self) -> dict[str, Any]:
        """Return what would stand in holdfast.toml."""
        return {
            "storage": {"driver": "memory", "disk": self.disk},
            "transport": {
                "driver": "memory",
                "server": self.server,
                "user": self.user,
                "language": self.language,
            },
            "profile": {
                "conflict_detection": self.conflict_detection,
                "tables": self.tables,
            },
        }

    def replica(
        self, *, mode: OpenMode = OpenMode.OWNER
    ) -> AbstractAsyncContextManager[holdfast.Replica]:
        """Open the replica."""
        return holdfast.open(self.profile(), mode=mode)

    def stored(self, table: str, row_id: str) -> Row:
        """Return a row that must be on the server."""
        return present(self.server.get(table, row_id))


def present(row: Row | None) -> Row:
    """Return a row that must be there."""
    assert row is not None
    return row


async def names(replica: holdfast.Replica, table: str = "account") -> list[str]:
    """Return the names of all rows of a table as a user of the replica sees them, sorted."""
    column = "name" if table == "account" else "fullname"
    return sorted([str(row[column]) async for row in replica.table(table).query()])


def answer_with(replica: holdfast.Replica, answer: Any) -> list[Conflict]:
    """Let a plugin answer every conflict so; return the list of those it will have seen."""
    seen: list[Conflict] = []

    class Plugin:
        @hookimpl
        async def holdfast_resolve_conflict(self, policy: Policy, conflict: Conflict) -> Any:
            seen.append(conflict)
            return answer

    replica._engine.plugins.register(Plugin(), "scripted")
    return seen
