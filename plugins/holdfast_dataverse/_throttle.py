"""The pause that a server asks for, shared by all requests of a transport.

Invariant: while a pause lasts, no request of this transport starts.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from holdfast.errors import Throttled

#: Nobody can mean more than this; the next sync asks again.
LONGEST_PAUSE: Final = 3600.0


class Throttle:
    """One gate for all requests of one user to one server."""

    def __init__(self) -> None:
        self._opens = 0.0

    def pause(self, seconds: float) -> None:
        """Keep the gate closed for some seconds from now, or for longer if it already is."""
        self._opens = max(self._opens, asyncio.get_running_loop().time() + seconds)

    async def wait(self, deadline: float) -> None:
        """Wait until the gate is open.

        :param deadline: the loop time up to which waiting makes sense
        :raises Throttled: the pause goes on beyond the deadline
        """
        loop = asyncio.get_running_loop()
        while (rest := self._opens - loop.time()) > 0:  # it may be prolonged while we wait
            if self._opens > deadline:
                raise Throttled(rest)
            await asyncio.sleep(rest)


def seconds_to_wait(retry_after: str | None, now: datetime) -> float | None:
    """Read a ``Retry-After`` header: seconds or an HTTP date; None where it says nothing.

    What is negative counts as 0, what is absurd as ``LONGEST_PAUSE``.
    """
    if retry_after is None:
        return None
    seconds = _number(retry_after)
    if seconds is None:
        seconds = _until(retry_after, now)
    if seconds is None or seconds != seconds:  # noqa: PLR0124  NaN is the number unlike itself
        return None
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _until(text: str, now: datetime) -> float | None:
    moment = moment_of(text)
    return None if moment is None else (moment - now).total_seconds()


def moment_of(text: str) -> datetime | None:
    """Read an HTTP date; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
