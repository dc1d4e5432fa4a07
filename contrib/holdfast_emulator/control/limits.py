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

from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.wire.calls import Reply, adding, refusal

TOO_MANY_REQUESTS: Final = "0x80072322"
TOO_MUCH_TIME: Final = "0x80072321"
TOO_MANY_AT_ONCE: Final = "0x80072326"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one user is allowed, by default as much as at Dataverse.

    ``execution`` is how many seconds a user's requests may take together in one window.
    """

    requests: int = 6000
    execution: float = 1200.0
    window: float = 300.0
    concurrent: int = 52


@dataclass(slots=True)
class _Usage:
    """What one user did lately."""

    times: deque[float] = field(default_factory=deque)
    spent: deque[tuple[float, float]] = field(default_factory=deque)  # when, how long
    busy: float = 0.0  # the sum of ``spent``
    running: int = 0

    def forget(self, until: float) -> None:
        """Leave out what has slid out of the window."""
        while self.times and self.times[0] <= until:
            self.times.popleft()
        while self.spent and self.spent[0][0] <= until:
            self.busy -= self.spent.popleft()[1]


class ServiceProtection:
    """Counts requests per user in a sliding window, and those that are running."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._usage: defaultdict[str, _Usage] = defaultdict(_Usage)

    def refuse(self, user: str) -> Reply | None:
        """Return the 429 that this user's next request gets, or None when it may run."""
        usage, limits, now = self._usage[user], self._limits, self._clock()
        usage.forget(now - limits.window)
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
        if usage.spent and usage.busy >= limits.execution:
            return throttled(
                max(1, math.ceil(usage.spent[0][0] + limits.window - now)),
                TOO_MUCH_TIME,
                "Combined execution time of incoming requests exceeded limit of "
                f"{limits.execution * 1000:,.0f} milliseconds over time window of "
                f"{limits.window:g} seconds. Decrease number of concurrent requests or reduce the "
                "duration of requests and try again later.",
            )
        return None

    @contextmanager
    def running(self, user: str) -> Iterator[int]:
        """Count one request while it runs; yields how many are left in the window."""
        usage, started = self._usage[user], self._clock()
        usage.times.append(started)
        usage.running += 1
        try:
            yield self._limits.requests - len(usage.times)
        finally:
            usage.running -= 1
            ended = self._clock()
            usage.spent.append((ended, ended - started))
            usage.busy += ended - started


def throttled(seconds: int, code: str, message: str) -> Reply:
    """Return a 429 that asks to wait."""
    return adding(refusal(DataverseFault(429, code, message)), {"Retry-After": str(seconds)})
