"""The seams of a simulated machine: its time is the loop's, its choices are the tape's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from holdfast.contracts import Environment
from holdfast.testing._mixing import guid
from holdfast.testing.simulation._loop import SimLoop
from holdfast.testing.simulation._tape import Tape

T = TypeVar("T")

#: When every simulation begins.
BEGINNING: Final = datetime(2024, 2, 29, 12, 0, 0, tzinfo=UTC)
_LONGEST_WAIT: Final = 4  # milliseconds that a thread keeps us waiting, at most


class SimClock:
    """Wall time that runs with the loop, and can be set wrong."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.error = timedelta()

    def now(self) -> datetime:
        """Return the virtual time, as wrong as this clock is."""
        return BEGINNING + timedelta(seconds=self._loop.time()) + self.error


class SimIds:
    """Ids that no other environment of the same tape makes; later ones sort later."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def new(self) -> str:
        """Return a fresh id."""
        return guid(self._tape.serial("ids") << 32, self._tape.seed)


class SimRandom:
    """Fractions from the tape."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return self._tape.fraction("random")


class SimThreads:
    """Runs functions here, with a wait before and a yield after: both are places to be killed."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    async def run(self, function: Callable[[], T]) -> T:
        """Run ``function`` after a delay that the tape chooses."""
        await asyncio.sleep(self._tape.pick("threads", _LONGEST_WAIT + 1) / 1000)
        result = function()
        await asyncio.sleep(0)
        return result


def sim_environment(loop: SimLoop, tape: Tape) -> Environment:
    """Return the seams of one simulated machine."""
    return Environment(SimClock(loop), SimIds(tape), SimRandom(tape), SimThreads(tape))
