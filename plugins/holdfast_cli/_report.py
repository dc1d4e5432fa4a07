"""A sync, told to the person who ran it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from holdfast.model import Row
from holdfast.status import HistoryEntry, Issue, SyncReport, TableReport, Winner
from holdfast_cli._errors import in_words
from holdfast_cli._plain import one_line
from holdfast_cli._render import counted, number, value_text

#: What to type next stands on a line of its own, where it can be read and copied whole.
_NEXT: Final = "\n          "
_WINNERS: Final = {
    Winner.MINE: "your version won; the server's is kept",
    Winner.THEIRS: "the server's version won; yours is kept",
    Winner.MERGE: "both were merged; the originals are kept",
}


def report_text(
    report: SyncReport,
    conflicts: Sequence[HistoryEntry],
    issues: Sequence[Issue],
    kept: Mapping[str, int],
) -> str:
    """Return what was sent, who won, what was refused and what came.

    :param kept: how many rows each table has here now
    """
    lines = [f"sent      {counted(report.applied, 'change')}"]
    lines += [f"conflict  {line}" for line in _conflict_lines(report, conflicts)]
    lines += [f"your turn {_issue_line(issue)}" for issue in issues]
    lines += [f"fetched   {line}" for line in _table_lines(report, kept)]
    if report.waiting:
        lines.append(
            f"waiting   {counted(report.waiting, 'change')} kept here, not at the server yet"
        )
    if report.complete and not report.issues:
        lines.append("all work has arrived")
    return "\n".join(lines)


def failure_text(report: SyncReport) -> str:
    """Return why the sync stopped early."""
    return f"stopped early: {in_words(report.failure)}" if report.failure else ""


def outcome(entry: HistoryEntry) -> str:
    """Return who won, and that the other is not lost."""
    return _WINNERS[entry.winner]


def row_title(table: str, row_id: str, rows: Sequence[Row | None]) -> str:
    """Return what a person calls a row: its name where one is known, and its id."""
    if not row_id:
        return table  # an issue about many rows
    names = (_name(row) for row in rows if row is not None)
    name = next((each for each in names if each), None)
    return f"{table}({row_id})" if name is None else f"{table} “{name}” ({row_id})"


def short_title(entry: Issue | HistoryEntry) -> str:
    """Return the row's name, for lists: the id stands there only where no name is known."""
    title = row_title(entry.table, entry.row_id, (entry.mine, entry.theirs, entry.base))
    return title.removesuffix(f" ({entry.row_id})")


def _name(row: Row) -> str:
    name = row.schema.primary_name
    return one_line(value_text(row[name])) if name is not None and name in row else ""


def _conflict_lines(report: SyncReport, conflicts: Sequence[HistoryEntry]) -> Iterator[str]:
    for entry in conflicts:
        yield f"{short_title(entry)}: {outcome(entry)}{_NEXT}holdfast issues show {entry.id}"
    unseen = len(report.conflicts) - len(conflicts)
    if unseen > 0:
        yield f"{counted(unseen, 'more conflict')}: `holdfast issues --history`"


def _issue_line(issue: Issue) -> str:
    return f"{short_title(issue)}: {one_line(issue.message)}{_NEXT}holdfast issues show {issue.id}"


def _table_lines(report: SyncReport, kept: Mapping[str, int]) -> Iterator[str]:
    changed = {name: table for name, table in report.tables.items() if _noteworthy(table)}
    for name, table in changed.items():
        removed = f", {counted(table.removed, 'row')} removed" if table.removed else ""
        problem = f"; {one_line(table.problem)}" if table.problem else ""
        if table.unreadable:
            problem += f"; {counted(table.unreadable, 'row')} cannot be understood"
        here = f", {number(kept[name])} here now" if name in kept else ""
        yield f"{name}: {counted(table.received, 'row')} read{removed}{here}{problem}"
    if report.tables and not changed:
        yield "nothing new"


def _noteworthy(table: TableReport) -> bool:
    return bool(table.received or table.removed or table.problem or table.unreadable)
