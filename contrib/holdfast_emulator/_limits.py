"""Service protection: how often and how much at once one user may ask.

Invariant: a refused request is not counted, so whoever waits as told gets through.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from holdfast_emulator._wire import Reply, adding, refusal
from holdfast_emulator.faults import DataverseFault

TOO_MANY_REQUESTS: Final = "0x80072322"
TOO_MANY_AT_ONCE: Final = "0x80072326"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one user is allowed, by default as much as at Dataverse."""

    requests: int = 6000
    window: float = 300.0
    concurrent: int = 52


@dataclass(slots=True)
class _Usage:
    """What one user did lately."""

    times: deque[float] = field(default_factory=deque)
    running: int = 0


class ServiceProtection:
    """Counts requests per user in a sliding window, and those that are running."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._usage: defaultdict[str, _Usage] = defaultdict(_Usage)

    def refuse(self, user: str) -> Reply | None:
        """Return the 429 that this user's next request gets, or None when it may run."""
        usage, limits, now = self._usage[user], self._limits, self._clock()
        while usage.times and usage.times[0] <= now - limits.window:
            usage.times.popleft()
        if usage.running >= limits.concurrent:
            return throttled(
                1,
                TOO_MANY_AT_ONCE,
                f"Number of concurrent requests exceeded the limit of {limits.concurrent}.",
            )
        if len(usage.times) >= limits.requests:
            return throttled(
                max(1, math.ceil(usage.times[0] + limits.window - now)),
                TOO_MANY_REQUESTS,
                f"Number of requests exceeded the limit of {limits.requests} over time window of "
                f"{limits.window:g} seconds.",
            )
        return None

    @contextmanager
    def running(self, user: str) -> Iterator[int]:
        """Count one request while it runs; yields how many are left in the window."""
        usage = self._usage[user]
        usage.times.append(self._clock())
        usage.running += 1
        try:
            yield self._limits.requests - len(usage.times)
        finally:
            usage.running -= 1

    def clear(self) -> None:
        """Forget what was done so far; requests that are running stay counted."""
        for usage in self._usage.values():
            usage.times.clear()


def throttled(seconds: int, code: str, message: str) -> Reply:
    """Return a 429 that asks to wait."""
    return adding(refusal(DataverseFault(429, code, message)), {"Retry-After": str(seconds)})
