"""Base, mine and theirs side by side, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.text import Text

import holdfast
from holdfast.model import Row
from holdfast.status import HistoryEntry, Issue, IssueKind, Winner
from holdfast_cli._render import cell, heading

Entry = Issue | HistoryEntry


#: The headings of a comparison.
VERSIONS: Final = ("Column", "Before (base)", "Yours (mine)", "Server's (theirs)")


async def comparison(replica: holdfast.Replica, entry: Entry) -> list[list[Text]]:
    """Return a line for each column that differs between any two of the versions."""
    versions = (entry.base, entry.mine, entry.theirs)
    source = replica.table(entry.table)
    labels = [{} if row is None else await source.labels(row) for row in versions]
    lines = [
        [
            heading(source.schema.by_name[name]),
            *(_cell(row, name, known) for row, known in zip(versions, labels, strict=True)),
        ]
        for name in differing(entry)
    ]
    return lines or [[Text("no column differs"), *(_presence(row) for row in versions)]]


def differing(entry: Entry) -> list[str]:
    """Return the columns that are not the same in all versions there are, in the table's order."""
    rows = [row for row in (entry.base, entry.mine, entry.theirs) if row is not None]
    if not rows:
        return []
    if len(rows) == 1:
        known = rows[0].schema.primary_id  # it is in the title
        return [name for name in rows[0] if name != known and rows[0][name] is not None]
    return [name for name in rows[0] if any(row[name] != rows[0][name] for row in rows[1:])]


def _cell(row: Row | None, name: str, labels: Mapping[str, str]) -> Text:
    if row is None:
        return _presence(row)
    if row[name] is None:
        return Text("(empty)", style="dim")
    return cell(row[name], labels.get(name))


def _presence(row: Row | None) -> Text:
    return Text("(no row)", style="dim") if row is None else Text("")


def ways_out(entry: Entry) -> list[str]:
    """Return what can be done, with the commands written out."""
    if isinstance(entry, HistoryEntry):
        return _after(entry)
    ways = _WAYS[entry.kind]
    lines = ["What you can do:"]
    if entry.kind is IssueKind.REFUSED and entry.mine is not None:
        lines.append(f"  holdfast update {entry.table} {entry.row_id} name=value    (correct it)")
    return lines + [f"  holdfast issues {verb} {entry.id}    ({what})" for verb, what in ways]


_WAYS: Final = {
    IssueKind.CONFLICT: (
        ("take-mine", "keep your version"),
        ("take-theirs", "keep the server's version"),
    ),
    IssueKind.REFUSED: (("retry", "send it again"), ("discard", "give your change up")),
    IssueKind.REMOVAL: (
        ("allow", "let these rows go from here, this once"),
        ("retry", "have the whole table read anew, once the server is as it should be"),
    ),
    IssueKind.DELETION: (
        ("allow", "delete these rows on the server, this once"),
        ("discard", "give the deletions up; the rows come back"),
    ),
    IssueKind.UNREADABLE: (("retry", "have it asked for again"),),
}


def _after(entry: HistoryEntry) -> list[str]:
    ways = []
    if entry.winner is not Winner.MINE:
        ways.append(f"  holdfast issues take-mine {entry.id}    (bring your version back)")
    if entry.winner is not Winner.THEIRS:
        ways.append(
            f"  holdfast issues take-theirs {entry.id}    (bring the server's version back)"
        )
    return ["It is settled; if it should be otherwise:", *ways]
