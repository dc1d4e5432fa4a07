"""A sync, told to the person who ran it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from holdfast.model import Row
from holdfast.status import HistoryEntry, Issue, SyncReport, TableReport
from holdfast_cli._errors import in_words
from holdfast_cli._render import counted, one_line, value_text

_WINNERS: Final = {
    "mine": "your version won; the server's is kept",
    "theirs": "the server's version won; yours is kept",
    "merge": "both were merged; the originals are kept",
}


def report_text(
    report: SyncReport, conflicts: Sequence[HistoryEntry], issues: Sequence[Issue]
) -> str:
    """Return what was sent, who won, what was refused and what came, a line each."""
    lines = [f"sent      {counted(report.applied, 'change')}"]
    lines += [f"conflict  {line}" for line in _conflict_lines(report, conflicts)]
    lines += [f"your turn {_issue_line(issue)}" for issue in issues]
    lines += [f"fetched   {line}" for line in _table_lines(report)]
    if report.waiting:
        lines.append(f"waiting   {counted(report.waiting, 'change')} not sent yet, kept here")
    if report.complete and not report.issues:
        lines.append("all work has arrived")
    return "\n".join(lines)


def failure_text(report: SyncReport) -> str:
    """Return why the sync stopped early."""
    return f"stopped early: {in_words(report.failure)}" if report.failure else ""


def outcome(entry: HistoryEntry) -> str:
    """Return who won, and that the other is not lost."""
    return _WINNERS.get(entry.winner, f"{entry.winner} won")


def row_title(table: str, row_id: str, rows: Sequence[Row | None]) -> str:
    """Return what a person calls a row: its name where one is known, and its id."""
    names = (_name(row) for row in rows if row is not None)
    name = next((each for each in names if each), None)
    return f"{table}({row_id})" if name is None else f"{table} “{name}” ({row_id})"


def _name(row: Row) -> str:
    name = row.schema.primary_name
    return one_line(value_text(row[name])) if name is not None and name in row else ""


def _conflict_lines(report: SyncReport, conflicts: Sequence[HistoryEntry]) -> Iterator[str]:
    for entry in conflicts:
        title = row_title(entry.table, entry.row_id, (entry.mine, entry.theirs, entry.base))
        yield f"{title}: {outcome(entry)}: `holdfast issues show {entry.id}`"
    unseen = len(report.conflicts) - len(conflicts)
    if unseen > 0:
        yield f"{counted(unseen, 'more conflict')}: `holdfast issues --history`"


def _issue_line(issue: Issue) -> str:
    title = row_title(issue.table, issue.row_id, (issue.mine, issue.theirs, issue.base))
    return f"{title}: {one_line(issue.message)}: `holdfast issues show {issue.id}`"


def _table_lines(report: SyncReport) -> Iterator[str]:
    changed = {name: table for name, table in report.tables.items() if _noteworthy(table)}
    for name, table in changed.items():
        removed = f", {counted(table.removed, 'row')} removed" if table.removed else ""
        problem = f"; {one_line(table.problem)}" if table.problem else ""
        yield f"{name}: {counted(table.received, 'row')}{removed}{problem}"
    if report.tables and not changed:
        yield "nothing new"


def _noteworthy(table: TableReport) -> bool:
    return bool(table.received or table.removed or table.problem)
