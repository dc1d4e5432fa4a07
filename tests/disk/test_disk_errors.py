"""P13: a disk that fails, or is full, at any operation: it is said, and nothing is half done."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from mutants import m34_full_disk_swallowed, m35_flush_tried_again
from support.disk.aftermath import TRUST
from support.disk.faults import FAULTS
from support.disk.judging import ATOMIC, DURABLE
from support.disk.trials import Tally, Trials, with_room

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform == "win32", reason="files are looked at while they are open"),
]

Planted = Callable[[], AbstractContextManager[None]]
#: At how many places of a kind the disk fails, at most: evenly spread over the whole journey.
PLACES = {"first day": 75, "older file": 15}
#: More pages than the file ever takes.
PLENTY = 1000


@contextmanager
def trials(home: Path, start: str = "first day") -> Iterator[Trials]:
    with asyncio.Runner() as runner:
        yield Trials(home, start, runner)


def failing(
    home: Path,
    kind: str,
    start: str,
    *,
    for_good: bool,
    killed: bool = False,
    until: str | None = None,
) -> Tally:
    """Make the disk fail at the first, second, third … operation of a kind until none is left.

    :param until: the check that ends it when it has found something
    """
    with trials(home, start) as made:
        total = made.counted()[FAULTS[kind].operation]
        step = -(-total // PLACES[start])
        for nth in range(1, total + 1, step):
            made.fail(kind, nth, for_good=for_good, killed=killed)
            if until in made.tally.bad:
                break
        return made.tally


@pytest.mark.parametrize("start", PLACES)
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_disk_that_fails_anywhere_is_said_and_nothing_is_half_done(
    kind: str,
    start: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    *,
    for_good: bool,
) -> None:
    tally = failing(tmp_path, kind, start, for_good=for_good)
    record_property("places", tally.tried)
    assert not tally.bad, tally
    assert tally.tried > 0


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_what_a_failed_flush_forgot_harms_nothing_that_a_restarted_process_writes(
    tmp_path: Path, record_property: Callable[[str, object], None], *, for_good: bool
) -> None:
    """The process is killed as soon as a call has failed; later, the power goes."""
    tally = failing(tmp_path, "sync", "first day", for_good=for_good, killed=True)
    record_property("places", tally.tried)
    assert not tally.bad, tally


def full(home: Path, *, for_good: bool) -> Tally:
    """Leave the real driver room for one page, then two … until the journey ends well."""
    with trials(home) as made:
        for pages in range(1, PLENTY):
            room = [pages]
            lift = partial(room.append, pages if for_good else PLENTY)
            if not made.limit(f"{pages} pages", with_room(room), lift):
                break
        return made.tally


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_a_disk_that_is_full_after_any_page_is_said_and_nothing_is_half_done(
    tmp_path: Path, record_property: Callable[[str, object], None], *, for_good: bool
) -> None:
    tally = full(tmp_path, for_good=for_good)
    record_property("places", tally.tried)
    assert not tally.bad, tally
    assert tally.failed == tally.tried - 1 > 30


def test_files_that_may_not_grow_are_said_and_nothing_is_half_done(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The system limits the size of a process's files: all of them, the log included."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("limited_files.py")), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    record_property("places", told["tried"])
    assert told["bad"] == {}, told
    assert told["failed"] > 20


KILLS: list[tuple[Planted, Callable[[Path], Tally], str]] = [
    (m34_full_disk_swallowed.planted, lambda home: full(home, for_good=True), ATOMIC),
    (
        m35_flush_tried_again.planted,
        lambda home: failing(home, "sync", "first day", for_good=False, until=DURABLE),
        DURABLE,
    ),
    (
        m35_flush_tried_again.planted_whole,
        lambda home: failing(home, "sync", "first day", for_good=False, until=TRUST),
        TRUST,
    ),
    (
        m35_flush_tried_again.planted_restart,
        lambda home: failing(home, "sync", "first day", for_good=False, killed=True, until=DURABLE),
        DURABLE,
    ),
]


@pytest.mark.parametrize(
    ("planted", "search", "check"),
    KILLS,
    ids=[
        f"{p.__module__.rpartition('.')[2][:3]}-{p.__name__}-{c.partition(' ')[0]}"
        for p, _, c in KILLS
    ],
)
def test_a_planted_bug_is_found_by_the_check_named_for_it(
    planted: Planted, search: Callable[[Path], Tally], check: str, tmp_path: Path
) -> None:
    with planted():
        tally = search(tmp_path)
    assert tally.bad[check], f"{tally}: they are blind to it"
