"""The status of a replica for a person: a header, a line per table, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.table import Table
from rich.text import Text

from holdfast.status import Availability, ReplicaStatus, TableStatus
from holdfast_cli._plain import one_line
from holdfast_cli._render import cell, counted, in_local_time, number, records, size_text

_STYLES: Final = {
    Availability.AVAILABLE: "green",
    Availability.WARNING: "yellow",
    Availability.INITIALIZING: "yellow",
    Availability.NOT_DOWNLOADED: "dim",
    Availability.NOT_AVAILABLE: "red",
}


def header(status: ReplicaStatus) -> Table:
    """Return the lines above the tables."""
    lines = Table.grid(padding=(0, 2, 0, 0))
    lines.add_column(style="dim")
    lines.add_column(overflow="fold")
    for name, text in _facts(status):
        lines.add_row(name, Text(one_line(text)))
    lines.add_row("", "")
    return lines


def _facts(status: ReplicaStatus) -> Iterator[tuple[str, str]]:
    size = f" ({size_text(status.size)})" if status.size else ""
    yield "Profile", status.profile
    yield "Server", status.server
    yield "User", status.user or "not known before the first download"
    yield "File", f"{status.location}{size}"
    yield "Work offline", "on" if status.working_offline else "off"
    yield "Waiting", f"{counted(status.pending, 'change')} to be sent"
    yield "Your turn", f"{counted(status.issues, 'open issue')}"
    if status.problem:
        yield "Last sync", f"stopped: {status.problem}"


def show_tables(status: ReplicaStatus) -> None:
    """Print a line per table, or a block where the screen is narrow."""
    problems = any(table.problem or table.unreadable for table in status.tables)
    headings = ["Table", "Status", "Rows", "Waiting", "Last sync", *(["Problem"] * problems)]
    lines = [_line(table)[: len(headings)] for table in status.tables]
    records(headings, lines, right=("Rows", "Waiting"))


def _line(table: TableStatus) -> list[Text]:
    own = table.label and table.label != table.name
    title = f"{table.label} ({table.name})" if own else table.name
    state = Text(_state(table), style=_STYLES[table.availability])
    last = in_local_time(table.last_sync) if table.last_sync else "never"
    counts = (Text(number(table.rows)), Text(number(table.pending)))
    return [cell(title), state, *counts, Text(last), cell(_problem(table))]


def _problem(table: TableStatus) -> str | None:
    if not table.unreadable:
        return table.problem
    torn = f"{counted(table.unreadable, 'row')} cannot be understood"
    return f"{torn}; {table.problem}" if table.problem else torn


def _state(table: TableStatus) -> str:
    if table.availability is not Availability.INITIALIZING:
        return str(table.availability.value)
    of = f" of about {number(table.expected)}" if table.expected else ""
    return f"downloading, {number(table.received)}{of}"


def advice(status: ReplicaStatus) -> str:
    """Return the one thing to do next."""
    found = {table.availability for table in status.tables}
    if status.working_offline:
        kept = f"{counted(status.pending, 'change')} kept here; " if status.pending else ""
        return f"{kept}Work offline is on: run `holdfast offline off` when there is a network"
    if found <= {Availability.NOT_DOWNLOADED}:
        return "not downloaded yet: run `holdfast download` while there is a network"
    if found & {Availability.NOT_DOWNLOADED, Availability.INITIALIZING, Availability.NOT_AVAILABLE}:
        return "not everything is downloaded: run `holdfast download`, it goes on where it stopped"
    if status.issues:
        return f"{counted(status.issues, 'issue')} for you to decide: run `holdfast issues`"
    if Availability.WARNING in found or status.problem:
        return "the last sync did not get through: run `holdfast sync` to try again"
    if status.pending:
        return f"{counted(status.pending, 'change')} to be sent: run `holdfast sync`"
    return "all work has arrived, here and at the server"
