"""What the demo prints: plain sentences, tables, and a progress bar where there is a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table as Grid

from holdfast import Reference, Replica, Row
from holdfast.status import (
    Downloaded,
    Downloading,
    HistoryEntry,
    Issue,
    ReplicaStatus,
    SyncReport,
    Winner,
)

T = TypeVar("T")
#: Columns that every write changes; a person learns nothing from them.
_NOISE: Final = frozenset({"modifiedon", "modifiedby", "versionnumber", "createdon"})
_OUTCOMES: Final = {
    Winner.MINE: "mine won, theirs is kept in the history",
    Winner.THEIRS: "theirs won, mine is kept in the history",
    Winner.MERGE: "both were merged, the originals are kept in the history",
}


class Stage:
    """Prints the story."""

    def __init__(self) -> None:
        self.console = Console(width=100, highlight=False)

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self.console.print(f"\n[bold]{escape(title)}[/bold]")

    def say(self, text: str) -> None:
        """Print a sentence."""
        self.console.print(escape(text), soft_wrap=True)

    async def with_progress(self, replica: Replica, work: Awaitable[T]) -> T:
        """Await ``work`` while its events are shown."""
        async with self._watching(replica):
            return await work

    @asynccontextmanager
    async def _watching(self, replica: Replica) -> AsyncIterator[None]:
        bar = Progress(
            TextColumn("  {task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rows"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        with bar:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(self._follow(replica, bar))
                await asyncio.sleep(0)  # let it listen before anything happens
                yield
                await asyncio.sleep(0)
                watcher.cancel()

    async def _follow(self, replica: Replica, bar: Progress) -> None:
        tasks: dict[str, TaskID] = {}
        async for event in replica.events():
            if not isinstance(event, Downloading | Downloaded) or not event.received:
                continue
            if event.table not in tasks:
                tasks[event.table] = bar.add_task(event.table, total=None)
            total = event.received
            if isinstance(event, Downloading):
                total = max(event.expected or 0, event.received)
            elif bar.disable:
                noun = "row" if event.received == 1 else "rows"
                self.say(f"  {event.table:<12} {event.received:>6,} {noun} read")
            bar.update(tasks[event.table], completed=event.received, total=total)

    def status(self, status: ReplicaStatus) -> None:
        """Print the status table."""
        grid = _grid("Table", "Status", "Rows", "Waiting", "Last sync")
        for table in status.tables:
            moment = table.last_sync
            grid.add_row(
                escape(table.label),
                table.availability.value,
                f"{table.rows:,}",
                str(table.pending),
                f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never",
            )
        self.console.print(grid)
        switch = "on" if status.working_offline else "off"
        synced = "yes" if status.synced else "no"
        self.say(
            f"  Work offline: {switch} · changes waiting: {status.pending} · "
            f"open issues: {status.issues} · all in sync: {synced}"
        )

    def report(self, report: SyncReport) -> None:
        """Print what a sync did."""
        self.say(f"  sent: {_counted(report.applied, 'change')} reached the server")
        self.say(f"  settled by the policy: {_counted(len(report.conflicts), 'conflict')}")
        self.say(f"  refused by the server, kept here: {_counted(len(report.issues), 'change')}")
        for name, table in report.tables.items():
            if table.received or table.removed:
                self.say(
                    f"  fetched: {name}, {_counted(table.received, 'row')} read, "
                    f"{_counted(table.removed, 'row')} removed"
                )
            if table.problem is not None:
                self.say(f"  not fetched: {name}; {table.problem}")

    async def conflict(self, replica: Replica, entry: HistoryEntry) -> None:
        """Print one settled conflict: base, mine, theirs, and who won."""
        name = _name(entry.base or entry.theirs or entry.mine)
        self.say(
            f"\n  {entry.table} {name!r}: {_deed(entry.mine)} here, {_deed(entry.theirs)} at the "
            f"office → {_OUTCOMES[entry.winner]}"
        )
        await self._side_by_side(replica, entry)

    async def issue(self, replica: Replica, issue: Issue) -> None:
        """Print what was refused and is kept for a person."""
        name = _name(issue.mine or issue.base)
        self.say(
            f"\n  {issue.table} {name!r}: {issue.kind.value} by the server, "
            "kept here as it was typed"
        )
        self.say(f"  the server says: {issue.message}")
        await self._side_by_side(replica, issue)

    async def _side_by_side(self, replica: Replica, entry: HistoryEntry | Issue) -> None:
        rows = (entry.base, entry.mine, entry.theirs)
        table = replica.table(entry.table)
        labels = [{} if row is None else await table.labels(row) for row in rows]
        grid = _grid("Column", "Before", "Here (mine)", "Office (theirs)")
        for column in _columns(entry):
            cells = (_cell(row, column, known) for row, known in zip(rows, labels, strict=True))
            grid.add_row(column, *cells)
        self.console.print(grid)


def _grid(*titles: str) -> Grid:
    grid = Grid(pad_edge=True, header_style="bold", show_edge=False)
    for title in titles:
        number = title in ("Rows", "Waiting")
        grid.add_column(title, justify="right" if number else "left", overflow="fold")
    return grid


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _deed(row: Row | None) -> str:
    return "deleted" if row is None else "edited"


def _name(row: Row | None) -> str:
    if row is None:
        return "?"
    return str(row[row.schema.primary_name or row.schema.primary_id])


def _columns(entry: HistoryEntry | Issue) -> Sequence[str]:
    rows = [row for row in (entry.base, entry.mine, entry.theirs) if row is not None]
    names = [name for name in rows[0] if name not in _NOISE and not name.endswith("_base")]
    return [name for name in names if len({repr(row[name]) for row in rows}) > 1][:6] or [
        rows[0].schema.primary_name or rows[0].schema.primary_id
    ]


def _cell(row: Row | None, column: str, labels: Mapping[str, str]) -> str:
    if row is None:
        return "(deleted)"
    value = row[column]
    if isinstance(value, Reference):
        return escape(labels.get(column, f"a {value.table} that is not here"))
    return "" if value is None else escape(labels.get(column, str(value)))
