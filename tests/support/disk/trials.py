"""A journey for each place where a disk may fail, and what is wrong after each."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any, Final, TypeAlias

from holdfast_sqlite import Database
from support.disk.aftermath import Aftermath
from support.disk.faults import FAULTS, Failing
from support.disk.journey import Journey
from support.disk.judging import Opener
from support.disk.machine import Machine, NotingServer
from support.disk.tapped import Operation
from support.disk.workloads import GROWN, Script, Workload, nothing, of_the_first_format, perform

#: What lies on the disk before, and the tables of the journey.
STARTS: Final[dict[str, tuple[Script, Sequence[Mapping[str, Any]] | None]]] = {
    "first day": (nothing, None),
    "older file": (of_the_first_format, GROWN),
}
#: Rows with this do not fit beside others: each takes pages of its own.
FILLING: Final = "x" * 40_000
#: For as long as it lasts, connections to a disk that has no more room than that.
Limits: TypeAlias = Callable[[], AbstractContextManager[Callable[[str], Database]]]


@dataclass
class Tally:
    """How many places were tried, in how many a call failed, and what was wrong after it."""

    tried: int = 0
    failed: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, place: str, found: Iterator[tuple[str, str]]) -> None:
        """Note what is wrong."""
        for name, text in found:
            self.bad[name] += 1
            self.examples.setdefault(name, f"{place}: {text}")

    def __str__(self) -> str:
        wrong = "".join(f"\n{name} ({n}): {self.examples[name]}" for name, n in self.bad.items())
        return f"{self.tried} tried, {self.failed} failed{wrong}"


class Trials:
    """Makes journeys from one start, each on a folder of its own that goes afterwards."""

    def __init__(self, home: Path, start: str, runner: asyncio.Runner) -> None:
        again = home / "again"
        again.mkdir()
        self.tally = Tally()
        self._disk = home / "disk"
        self._before, self._tables = STARTS[start]
        self._aftermath = Aftermath(Opener(again, NotingServer(), runner))

    def counted(self) -> Counter[Operation]:
        """Return how many operations of each kind a journey takes on a disk that does not fail."""
        failing = Failing()
        with self._journey(failing) as (machine, journey):
            assert not journey.failed, journey.failed
            assert not machine.wrong, machine.wrong
        return failing.counted

    def fail(self, kind: str, nth: int, *, for_good: bool, killed: bool = False) -> None:
        """Let the disk fail at one place, once or from then on."""
        failing = Failing(FAULTS[kind], nth, for_good=for_good)
        with self._journey(failing, killed=killed) as (machine, journey):
            assert failing.reached
            self._note(f"{kind} {nth}", journey, self._aftermath.of(machine))

    def limit(self, place: str, limits: Limits, lift: Callable[[], None] = lambda: None) -> bool:
        """Let the real driver find no room; tell whether it did.

        :param lift: called when a call has failed
        """
        with self._journey(None, limits, lift) as (machine, journey):
            self._note(place, journey, self._aftermath.of_files(machine))
        return bool(journey.failed)

    def _note(self, place: str, journey: Journey, found: Iterator[tuple[str, str]]) -> None:
        self.tally.tried += 1
        self.tally.failed += bool(journey.failed)
        self.tally.add(place, found)

    @contextmanager
    def _journey(
        self,
        failing: Failing | None,
        limits: Limits | None = None,
        lift: Callable[[], None] = lambda: None,
        *,
        killed: bool = False,
    ) -> Iterator[tuple[Machine, Journey]]:
        made: list[Journey] = []

        async def script(machine: Machine) -> None:
            filling = FILLING if limits else None
            made.append(Journey(machine, killed, self._tables, filling, lift))
            with limits() if limits else nullcontext() as machine.connector:
                await made[0].run()

        self._disk.mkdir()
        try:
            machine = perform(Workload(self._before, script), self._disk, failing)
            yield machine, made[0]
        finally:
            rmtree(self._disk)


def with_room(pages: Sequence[int]) -> Limits:
    """Return connections of the standard library to a file of so many pages: the last number."""

    def connect(uri: str) -> Database:
        database = sqlite3.connect(uri, uri=True, isolation_level=None)
        database.execute(f"PRAGMA max_page_count = {pages[-1]}").fetchone()
        return database

    return lambda: nullcontext(connect)
