"""The one module that touches the machine's clock, ids, randomness and threads.

Everything else gets them as an :class:`~holdfast.contracts.Environment`; the simulator puts its own
in the place of this one.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from holdfast.contracts import Environment

T = TypeVar("T")
_RANDOM_BITS = (1 << 74) - 1


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)


class SystemIds:
    """UUIDs of version 7 (RFC 9562): ids made later sort later, within this process strictly."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        """Return a fresh id."""
        milliseconds = time.time_ns() // 1_000_000
        drawn = milliseconds << 74 | int.from_bytes(os.urandom(10)) & _RANDOM_BITS
        self._last = max(drawn, self._last + 1)
        return str(uuid.UUID(int=_with_marks(self._last)))


def _with_marks(number: int) -> int:
    """Spread 122 bits around the version, 7, and the variant, binary 10."""
    low = number & (1 << 62) - 1
    middle = number >> 62 & (1 << 12) - 1
    high = number >> 74
    return high << 80 | 0x7 << 76 | middle << 64 | 0b10 << 62 | low


class SystemRandom:
    """The machine's randomness."""

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return random.random()  # noqa: S311  jitter, not a secret


class SystemThreads:
    """asyncio's default executor."""

    async def run(self, function: Callable[[], T]) -> T:
        """Run ``function`` in a thread."""
        return await asyncio.to_thread(function)


def system_environment() -> Environment:
    """Return the seams of a real machine."""
    return Environment(SystemClock(), SystemIds(), SystemRandom(), SystemThreads())
