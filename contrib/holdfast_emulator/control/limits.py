"""Service protection: how often and how much at once one user may ask.

Invariant: a refused request takes no place in the window, so whoever waits as told gets through;
who asks again before that is told to wait longer.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.wire.calls import Reply, adding, refusal

TOO_MANY_REQUESTS: Final = "0x80072322"
TOO_MUCH_TIME: Final = "0x80072321"
TOO_MANY_AT_ONCE: Final = "0x80072326"
#: How many seconds longer who does not wait has to wait, each time.
_LONGER: Final = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one user is allowed, by default as much as at Dataverse.

    ``execution`` is how many seconds a user's requests may take together in one window.
    """

    requests: int = 6000
    execution: float = 1200.0
    window: float = 300.0
    concurrent: int = 52

    def __post_init__(self) -> None:
        if self.requests < 0 or self.concurrent < 0:
            raise ValueError("requests and concurrent are not below 0")
        if not (0 < self.window <= 1e6 and 0 <= self.execution <= 1e9):
            raise ValueError("window is above 0 seconds, execution is not below")


@dataclass(slots=True)
class _Usage:
    """What one user did lately."""

    times: deque[float] = field(default_factory=deque)
    spent: deque[tuple[float, float]] = field(default_factory=deque)  # when, how long
    busy: float = 0.0  # the sum of ``spent``
    running: int = 0
    blocked_until: float = -math.inf

    def forget(self, until: float, now: float) -> None:
        """Leave out what has slid out of the window, and all of it when the clock went back."""
        if self.times and self.times[-1] > now:
            self.times.clear()
            self.spent.clear()
            self.busy, self.blocked_until = 0.0, -math.inf
        while self.times and self.times[0] <= until:
            self.times.popleft()
        while self.spent and self.spent[0][0] <= until:
            self.busy -= self.spent.popleft()[1]


class ServiceProtection:
    """Counts requests per user in a sliding window, and those that are running.

    :param clock: tells the seconds in which windows slide
    :param stopwatch: measures how long a request takes; by default the clock does
    """

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float],
        stopwatch: Callable[[], float] | None = None,
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._stopwatch = stopwatch or clock
        self._usage: defaultdict[str, _Usage] = defaultdict(_Usage)

    def clear(self) -> None:
        """Forget what everybody did, but for what is running."""
        for usage in self._usage.values():
            usage.forget(math.inf, math.inf)
            usage.blocked_until = -math.inf

    def refuse(self, user: str) -> Reply | None:
        """Return the 429 that this user's next request gets, or None when it may run."""
        usage, limits, now = self._usage[user], self.limits, self._clock()
        usage.forget(now - limits.window, now)
        if usage.running >= limits.concurrent:
            return throttled(
                1,
                TOO_MANY_AT_ONCE,
                f"Number of concurrent requests exceeded the limit of {limits.concurrent}.",
            )
        if len(usage.times) >= limits.requests:
            first = usage.times[0] if usage.times else now
            return throttled(
                self._wait(usage, first, now),
                TOO_MANY_REQUESTS,
                f"Number of requests exceeded the limit of {limits.requests} over time window of "
                f"{limits.window:g} seconds.",
            )
        if usage.spent and usage.busy >= limits.execution:
            return throttled(
                self._wait(usage, usage.spent[0][0], now),
                TOO_MUCH_TIME,
                "Combined execution time of incoming requests exceeded limit of "
                f"{limits.execution * 1000:,.0f} milliseconds over time window of "
                f"{limits.window:g} seconds. Decrease number of concurrent requests or reduce the "
                "duration of requests and try again later.",
            )
        return None

    @contextmanager
    def running(self, user: str) -> Iterator[Mapping[str, str]]:
        """Count one request while it runs; yields the headers that tell what is left."""
        usage, started = self._usage[user], self._stopwatch()
        usage.times.append(self._clock())
        usage.running += 1
        try:
            yield {
                "x-ms-ratelimit-burst-remaining-xrm-requests": str(
                    max(0, self.limits.requests - len(usage.times))
                ),
                "x-ms-ratelimit-time-remaining-xrm-requests": (
                    f"{max(0.0, self.limits.execution - usage.busy):,.2f}"
                ),
            }
        finally:
            usage.running -= 1
            taken = self._stopwatch() - started
            usage.spent.append((self._clock(), taken))
            usage.busy += taken

    def _wait(self, usage: _Usage, first: float, now: float) -> int:
        """Return how many seconds to wait until the window has a place again, or longer."""
        until = first + self.limits.window
        if usage.blocked_until > now:
            until = min(usage.blocked_until + _LONGER, now + self.limits.window)
        usage.blocked_until = max(until, usage.blocked_until)
        return max(1, math.ceil(usage.blocked_until - now))


def throttled(seconds: int, code: str, message: str) -> Reply:
    """Return a 429 that asks to wait."""
    return adding(refusal(DataverseFault(429, code, message)), {"Retry-After": str(seconds)})
