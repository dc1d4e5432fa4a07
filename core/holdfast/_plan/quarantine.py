"""Rows that make no sense: what is kept of them, and what a person is asked. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from holdfast._tables import IssueState, row_key
from holdfast.model import Unreadable
from holdfast.values import Cell

#: How many characters are kept of what the server sent.
LONGEST_PAYLOAD: Final = 4096
#: Of how many rows of a table that is kept; of those beyond, only the reason.
MOST_PAYLOADS: Final = 100
#: Up to so many rows of a table have an issue each; a person does not read hundreds.
MOST_ISSUES: Final = 20


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that came and makes no sense; ``due`` says that it is to be asked for again."""

    key: str
    table: str
    row_id: str | None
    reason: str
    payload: str
    seen: str
    generation: int
    due: bool = False

    def record(self) -> tuple[Cell, ...]:
        """Return the stored record."""
        return (
            self.key,
            self.table,
            self.row_id,
            self.reason,
            self.payload,
            self.seen,
            self.generation,
            self.due,
        )

    @staticmethod
    def from_record(record: Sequence[Any]) -> Quarantined:  # Any: typed by the layout
        """Read a stored record."""
        return Quarantined(*record)


def key_of(table: str, row: Unreadable) -> str:
    """Return the key of a row in quarantine; without an id, what came of it stands for it."""
    if row.row_id is not None:
        return row_key(table, row.row_id)
    digest = hashlib.sha256(f"{row.reason}\n{row.payload}".encode("utf-8", "replace")).hexdigest()
    return row_key(table, f"?{digest[:16]}")


def quarantined(
    table: str, row: Unreadable, *, seen: str, generation: int, known: int
) -> Quarantined:
    """Return what is kept of a row.

    :param known: how many rows of the table are there already
    """
    payload = row.payload[:LONGEST_PAYLOAD] if known < MOST_PAYLOADS else ""
    storable = payload.encode("utf-8", "backslashreplace").decode()  # half a character is no text
    key = key_of(table, row)
    return Quarantined(key, table, row.row_id, row.reason[:200], storable, seen, generation)


@dataclass(frozen=True, slots=True)
class Questions:
    """What a person is to be asked: about these rows each, or about so many together."""

    rows: tuple[Quarantined, ...]
    together: int
    closed: tuple[str, ...]


def questions(
    count: int, first: Sequence[Quarantined], open_issues: Sequence[IssueState]
) -> Questions:
    """Return what is to be asked about the unreadable rows of a table, and what no longer is.

    :param count: how many there are
    :param first: the first of them, one more than have an issue each
    :param open_issues: those about unreadable rows of this table
    """
    asked = {issue.subject: issue for issue in open_issues}
    if count > MOST_ISSUES:
        closed = tuple(issue.id for issue in open_issues if issue.subject is not None)
        known = asked[None].extent if None in asked else None
        return Questions((), 0 if known is not None and known.rows == count else count, closed)
    keys = {row.key for row in first}
    closed = tuple(issue.id for issue in open_issues if issue.subject not in keys)
    return Questions(tuple(row for row in first if row.key not in asked), 0, closed)


def about(row: Quarantined) -> str:
    """Return what is said of one row."""
    return (
        f"it came and cannot be understood ({row.reason}); what was here stays; have the server's "
        "row mended, which settles this, or retry"
    )


def about_all(count: int) -> str:
    """Return what is said of many rows."""
    return (
        f"{count} rows came and cannot be understood; what was here of them stays; have the "
        "server's rows mended, which settles this, or retry"
    )
