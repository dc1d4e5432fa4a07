"""What people are told: the status of a replica, reports of syncs, issues, history, events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from holdfast.errors import HoldfastError
from holdfast.model import Row


class Availability(Enum):
    """Whether a table can be used offline."""

    NOT_DOWNLOADED = "not downloaded"
    INITIALIZING = "initializing"  # the first download is under way, or was interrupted
    AVAILABLE = "available"
    WARNING = "available, with a warning"  # usable; something of it did not come as it should
    NOT_AVAILABLE = "not available"  # the first download failed


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table. ``pending`` counts its unsettled ops; ``received`` of ``expected`` rows came.

    ``unreadable`` counts the rows that came and make no sense: of these, what was here stays.
    """

    name: str
    label: str
    availability: Availability
    rows: int
    pending: int
    last_sync: datetime | None
    received: int = 0
    expected: int | None = None
    problem: str | None = None
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """The whole replica at one moment.

    ``pending`` counts all unsettled ops, those of issues included. ``synced`` is true only when
    nothing waits, nothing is open, the last sync of every table was good, and the last sync was not
    stopped: ``problem`` says by what.
    """

    profile: str
    location: str
    server: str
    organization: str | None
    user: str | None
    working_offline: bool
    tables: tuple[TableStatus, ...]
    pending: int
    issues: int
    size: int | None
    problem: str | None = None

    @property
    def availability(self) -> Availability:
        """The replica as a whole: as good as its worst table."""
        worst = max(self.tables, key=lambda table: _BADNESS[table.availability], default=None)
        return worst.availability if worst else Availability.NOT_DOWNLOADED

    @property
    def synced(self) -> bool:
        """Whether all work has arrived, there and here."""
        settled = not self.pending and not self.issues and self.problem is None
        return settled and self.availability is Availability.AVAILABLE


_BADNESS: Mapping[Availability, int] = {
    Availability.AVAILABLE: 0,
    Availability.WARNING: 1,
    Availability.INITIALIZING: 2,
    Availability.NOT_DOWNLOADED: 3,
    Availability.NOT_AVAILABLE: 4,
}


class IssueKind(Enum):
    """Why a person is asked."""

    CONFLICT = "conflict"
    REFUSED = "refused"
    REMOVAL = "mass removal"  # so many rows are to go from here that nobody meant it, perhaps
    DELETION = "mass deletion"  # so many rows were deleted here
    UNREADABLE = "unreadable"  # a row came that makes no sense


class Cause(Enum):
    """Why a row is to go from here."""

    DELETED = "deleted on the server"  # or out of the caller's sight
    LEFT = "left the filter"
    UNLISTED = "no longer listed"
    UNLINKED = "no longer pointed to"


@dataclass(frozen=True, slots=True)
class Extent:
    """How many rows an issue is about, of how many, and why; nothing larger is ever agreed to."""

    rows: int
    of: int
    causes: Mapping[Cause, int] = field(default_factory=dict)


class Winner(Enum):
    """Whose values a settled conflict left in the row."""

    MINE = "mine"
    THEIRS = "theirs"
    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that a person should settle; ``ops`` are the ids of the ops that wait for it.

    ``base`` is the row the edit was made on, ``mine`` as the
    user sees it, ``theirs`` the newest server row; None where there is no such row. ``columns``
    are those that differ between base and mine. An issue about many rows has no ``row_id`` and says
    in ``extent`` how many; ``payload`` is the beginning of what the server sent of an unreadable
    row.
    """

    id: str
    kind: IssueKind
    table: str
    row_id: str
    message: str
    code: str
    raised: datetime
    base: Row | None
    mine: Row | None
    theirs: Row | None
    columns: tuple[str, ...]
    ops: tuple[str, ...] = ()
    extent: Extent | None = None
    payload: str | None = None

    def __str__(self) -> str:
        where = f"{self.table}({self.row_id})" if self.row_id else self.table
        return f"{self.id} {self.kind.value} {where}: {self.message}"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A conflict that was settled by policy."""

    id: str
    table: str
    row_id: str
    winner: Winner
    policy: str
    settled: datetime
    base: Row | None
    mine: Row | None
    theirs: Row | None
    columns: tuple[str, ...]


@dataclass(slots=True)
class TableReport:
    """What a sync did to one table: rows that came or changed, rows that left.

    ``unreadable`` counts the rows that make no sense, those of earlier syncs too.
    """

    received: int = 0
    removed: int = 0
    problem: str | None = None
    unreadable: int = 0


@dataclass(slots=True)
class SyncReport:
    """What a sync did.

    ``applied`` counts ops that the server took, one of which may carry many edits; ``conflicts``
    and ``issues`` are ids of history entries and of issues that this sync made; ``waiting`` counts
    ops left in the outbox.
    ``failure`` is what stopped it early, if anything did.
    """

    applied: int = 0
    conflicts: list[str] = field(default_factory=list)
    issues: list[str] = field(default_factory=list)
    waiting: int = 0
    tables: dict[str, TableReport] = field(default_factory=dict)
    failure: HoldfastError | None = None

    @property
    def complete(self) -> bool:
        """Whether everything was sent and everything due was fetched."""
        fetched = not any(table.problem or table.unreadable for table in self.tables.values())
        return self.failure is None and fetched and not self.waiting


@dataclass(frozen=True, slots=True)
class Downloading:
    """Rows of a table have been stored; ``expected`` is rough, None where unknown."""

    table: str
    received: int
    expected: int | None


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A table has been read to the end."""

    table: str
    received: int
    removed: int


@dataclass(frozen=True, slots=True)
class Uploading:
    """``done`` of ``total`` ops of this sync have an outcome."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class IssueRaised:
    """A person is asked; ``row_id`` is empty where it is about many rows."""

    issue_id: str
    table: str
    row_id: str


Event: TypeAlias = Downloading | Downloaded | Uploading | IssueRaised

__all__ = [
    "Availability",
    "Cause",
    "Downloaded",
    "Downloading",
    "Event",
    "Extent",
    "HistoryEntry",
    "Issue",
    "IssueKind",
    "IssueRaised",
    "ReplicaStatus",
    "SyncReport",
    "TableReport",
    "TableStatus",
    "Uploading",
    "Winner",
]
