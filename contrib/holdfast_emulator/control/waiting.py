"""Waiting by the clock of an organisation.

Invariant: while nobody has set the clock, a wait takes real time; once it is set, a wait ends when
that clock has passed, be it because time runs or because somebody moved it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from holdfast_emulator.behaviour.clock import VirtualClock


@dataclass
class Waiting:
    """Waits by the clock of the organisation that there is at the moment."""

    clock: Callable[[], VirtualClock]
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    def follow(self) -> None:
        """Hear of the moves of the clock; once for each clock is enough."""
        heard = self.clock().on_move
        if self._moved.set not in heard:
            heard.append(self._moved.set)

    def wake(self) -> None:
        """Let everybody look at the clock again: it may be another one."""
        self._moved.set()

    async def wait(self, seconds: float) -> None:
        """Return when so many seconds have passed."""
        self.follow()
        clock = self.clock()
        until = clock() + timedelta(seconds=seconds)
        while self.clock() is clock:
            left = (until - clock()).total_seconds()
            if left <= 0:
                return
            self._moved.clear()
            if not clock.running:
                await self._moved.wait()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(left / clock.speed):
                    await self._moved.wait()
                    continue
            return
