"""Progress: limited lines with rate and time left, bars on a terminal, nothing left behind."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import pytest

from holdfast.errors import Unreachable
from holdfast.status import Downloaded, Downloading, Event, IssueRaised, Uploading
from holdfast_cli._plain import console
from holdfast_cli._progress import Bars, Follower, Lines, with_progress


class Clock:
    """Loop time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Quiet:
    """A replica in which nothing happens; ``closed`` tells that nobody watches any more."""

    closed = False

    async def events(self) -> AsyncIterator[Event]:
        """Yield one event, then wait for ever."""
        import asyncio

        try:
            yield Downloading("account", 5, 10)
            await asyncio.Event().wait()
        finally:
            self.closed = True


def test_lines_come_once_a_second_and_table_at_most() -> None:
    clock, lines = Clock(), list[str]()
    follower = Follower(Lines(lines.append, clock))
    for step in range(1, 41):
        follower.take(Downloading("account", step * 100, 10_000))
        follower.take(Downloading("contact", step, None))
        clock.now += 0.125
    assert len([line for line in lines if line.startswith("account")]) == 4
    assert lines[0] == "account: 900 of about 10,000, 800 a second, 11 s left"
    assert lines[1] == "contact: 9, 8 a second"
    follower.take(Downloaded("account", 4000, 0))
    assert lines[-1] == "account: 4,000, done"
    assert follower.summary() == "stored so far: account 4,000 rows, contact 40 rows"


def test_what_is_quickly_done_has_no_line() -> None:
    lines = list[str]()
    follower = Follower(Lines(lines.append, Clock()))
    follower.take(Uploading(1, 2))
    follower.take(Uploading(2, 2))
    follower.take(Downloading("account", 3, 3))
    follower.take(Downloaded("account", 3, 0))
    follower.take(IssueRaised("1", "account", "2"))
    assert lines == []


def test_nothing_stored_is_said_so() -> None:
    assert Follower(Lines(print, Clock())).summary() == "stored so far: no new rows"


def test_bars_show_counts_rate_and_no_markup() -> None:
    clock, screen = Clock(), console(io.StringIO())
    bars = Bars(screen, clock)
    follower = Follower(bars)
    for step in range(1, 30):
        follower.take(Downloading("[red]account", step * 100, 10_000))
        clock.now += 0.5
    follower.take(Uploading(1, 4))
    with screen.capture() as capture:
        screen.print(bars.progress.get_renderable())
    drawn = capture.get()
    assert "[red]account" in drawn
    assert "2,900 / 10,000" in drawn
    assert "200/s" in drawn
    assert "1 / 4" in drawn


async def test_a_failure_comes_out_as_it_is_and_the_watcher_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fail() -> None:
        raise Unreachable("no answer came; try again")

    replica = Quiet()
    with pytest.raises(Unreachable):
        await with_progress(replica, fail)
    assert replica.closed
    assert "stored so far: account 5 rows" in capsys.readouterr().err


async def test_the_result_comes_out_and_the_watcher_ends() -> None:
    async def answer() -> int:
        return 42

    replica = Quiet()
    assert await with_progress(replica, answer) == 42
    assert replica.closed
