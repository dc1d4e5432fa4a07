"""What every measurement needs: programs of their own, turns, medians, one table.

Each run is a process of its own, so that its memory and what it has imported are its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

HERE: Final = Path(__file__).parent
RUNS: Final = 5
#: What is installed has its bytecode beside it, whatever a developer's shell says.
COMPILED: Final = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
Measured = dict[str, float]


@contextlib.contextmanager
def organisation(rows: int) -> Iterator[str]:
    """Run the server of ready-made bytes and yield its address."""
    command = [sys.executable, str(HERE / "organisation.py"), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=COMPILED) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def run(program: str, *options: str) -> Measured:
    """Run a part of a bench as a process, and return what it told in its last line."""
    command = [sys.executable, str(HERE / program), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=COMPILED, check=True)
    told: Measured = json.loads(done.stdout.splitlines()[-1])
    return told


def tell(**measured: float) -> None:
    """End a part: what it measured, and the most memory that it had, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**measured, "peak": peak}))


def interleaved(ways: Sequence[Callable[[], Measured]], runs: int = RUNS) -> list[Measured]:
    """Return the medians of what each way measures; they take turns, and the first warms up."""
    found: list[list[Measured]] = [[] for _ in ways]
    for turn in range(runs + 1):
        for way, one in zip(ways, found, strict=True):
            measured = way()
            if turn or not runs:
                one.append(measured)
    return [{k: statistics.median(m[k] for m in one) for k in one[0]} for one in found]


class Ticker:
    """Counts how late a millisecond's sleep ends while the block runs: what others wait for."""

    def __init__(self) -> None:
        self.late: list[float] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _tick(self) -> None:
        while True:
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            self.late.append(time.perf_counter() - due)

    def percentile(self, part: float) -> float:
        """Return the milliseconds that this part of the ticks was late at most."""
        ordered = sorted(self.late)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    value: str
    floor: str
    ratio: float
    most: float

    @property
    def met(self) -> bool:
        return self.ratio <= self.most

    def __str__(self) -> str:
        verdict = "" if self.met else "  MISSED"
        return (
            f"{self.name:46} {self.value:>12} {self.floor:>12} {self.ratio:8.2f}"
            f"  of {self.most:g}{verdict}"
        )


def against(
    name: str, value: float, floor: float, most: float, *, unit: str = "s", digits: int = 2
) -> Line:
    """Return the line of a figure and its floor, which it may exceed so many times."""
    shown, least = (f"{one:.{digits}f} {unit}" for one in (value, floor))
    return Line(name, shown, least, value / floor, most)


def within(name: str, value: float, most: float, unit: str, digits: int = 1) -> Line:
    """Return the line of a figure that has a limit instead of a floor."""
    return Line(name, f"{value:.{digits}f} {unit}", f"{most:g} {unit}", value / most, 1.0)
