"""Progress on stderr while a sync runs: bars on a terminal, now and then a line elsewhere.

Invariant: progress is only watched; it never makes a sync wait, and it is gone when the sync ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from holdfast.errors import HoldfastError
from holdfast.status import Downloaded, Downloading, Event, IssueRaised, Uploading
from holdfast_cli._plain import console, one_line, say
from holdfast_cli._render import counted, number

T = TypeVar("T")
_SECONDS_BETWEEN_LINES: Final = 1.0
_SECONDS_BETWEEN_FRAMES: Final = 0.1
_SENDING: Final = "sending changes"


class Watched(Protocol):
    """What has events: a replica."""

    def events(self) -> AsyncIterator[Event]:
        """Yield events until the consumer stops."""
        ...


class View(Protocol):
    """Shows how far something is: ``done`` of ``total``, None where that is unknown."""

    def advance(self, name: str, done: int, total: int | None) -> None:
        """Show how far ``name`` is."""
        ...

    def finish(self, name: str, done: int) -> None:
        """Show that ``name`` is done."""
        ...


@dataclass(slots=True)
class Follower:
    """Feeds events to a view, and remembers what was stored."""

    view: View
    stored: dict[str, int] = field(default_factory=dict)

    async def follow(self, events: AsyncIterator[Event]) -> None:
        """Follow until cancelled."""
        async for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Downloading(table, received, expected):
                self.stored[table] = received
                self.view.advance(table, received, expected)
            case Downloaded(table, received):
                self.stored[table] = received
                self.view.finish(table, received)
            case Uploading(done, total) if done < total:
                self.view.advance(_SENDING, done, total)
            case Uploading(done):
                self.view.finish(_SENDING, done)
            case IssueRaised():
                pass  # the report tells it, with what can be done

    def summary(self) -> str:
        """Say what was stored, for somebody who stopped half-way."""
        parts = [f"{name} {counted(rows, 'row')}" for name, rows in self.stored.items() if rows]
        return f"stored so far: {', '.join(parts) or 'no new rows'}"


async def with_progress(replica: Watched, run: Callable[[], Awaitable[T]]) -> T:
    """Run something on a replica and show its events meanwhile.

    :raises HoldfastError: what ``run`` raised, as it is
    """
    screen, view = _view()
    follower = Follower(view)
    failure: HoldfastError | None = None
    with screen:
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(follower.follow(replica.events()))
            await asyncio.sleep(0)  # it watches before anything happens
            try:
                result = await run()
            except HoldfastError as error:  # a task group would wrap it
                failure = error
            except asyncio.CancelledError:
                say(follower.summary())
                raise
            finally:
                watcher.cancel()
    if failure is not None:
        if follower.stored:
            say(follower.summary())
        raise failure
    return result


def _view() -> tuple[AbstractContextManager[object], View]:
    screen = console(sys.stderr)
    clock = asyncio.get_running_loop().time
    if not screen.is_terminal:
        return nullcontext(), Lines(say, clock)
    bars = Bars(screen, clock)
    return bars.progress, bars


class _Rows(ProgressColumn):
    """``1,200 / ~5,000``: what came and what is roughly expected."""

    def render(self, task: Task) -> Text:
        """Render the counts."""
        total = f" / {number(int(task.total))}" if task.total is not None else ""
        return Text(f"{number(int(task.completed))}{total}")


class _Rate(ProgressColumn):
    """``340/s``."""

    def render(self, task: Task) -> Text:
        """Render the rate, once there is one."""
        return Text(f"{number(int(task.speed))}/s" if task.speed else "")


class Bars:
    """A bar per table, with rate and time left; drawn when events come, by no thread."""

    def __init__(self, screen: Console, clock: Callable[[], float]) -> None:
        self.progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            _Rows(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=screen,
            get_time=clock,
            auto_refresh=False,
            transient=True,
        )
        self._clock = clock
        self._drawn = float("-inf")
        self._tasks: dict[str, TaskID] = {}

    def advance(self, name: str, done: int, total: int | None) -> None:
        """Move the bar; drawing is limited, counting is not."""
        self.progress.update(self._task(name), completed=done, total=total)
        now = self._clock()
        if now - self._drawn >= _SECONDS_BETWEEN_FRAMES:
            self._drawn = now
            self.progress.refresh()

    def finish(self, name: str, done: int) -> None:
        """Fill the bar."""
        self.progress.update(self._task(name), completed=done, total=done)
        self.progress.refresh()

    def _task(self, name: str) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self.progress.add_task(one_line(name), total=None)
        return self._tasks[name]


class Lines:
    """A line a second and name at most, for logs and pipes; what is quickly done has none."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._first: dict[str, tuple[float, int]] = {}
        self._last: dict[str, float] = {}

    def advance(self, name: str, done: int, total: int | None) -> None:
        """Write a line unless one was just written."""
        now = self._clock()
        started, _ = self._first.setdefault(name, (now, done))
        if now - self._last.get(name, started) < _SECONDS_BETWEEN_LINES:
            return
        self._last[name] = now
        of = "" if total is None else f" of about {number(total)}"
        self._write(f"{name}: {number(done)}{of}{self._speed(name, now, done, total)}")

    def finish(self, name: str, done: int) -> None:
        """Write the last line, where there were others."""
        self._first.pop(name, None)
        if self._last.pop(name, None) is not None:
            self._write(f"{name}: {number(done)}, done")

    def _speed(self, name: str, now: float, done: int, total: int | None) -> str:
        since, had = self._first[name]
        rate = (done - had) / (now - since) if now > since else 0.0
        if rate <= 0:
            return ""
        left = "" if total is None else f", {max(total - done, 0) / rate:.0f} s left"
        return f", {number(int(rate))} a second{left}"
