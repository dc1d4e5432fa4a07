"""The clock of an organisation: real time, until somebody sets it.

Invariant: until it is set, it tells what the clock below tells; from then on it goes from where it
was set, as fast as it was told, or stands still. Nobody's wait is ended by anything but this clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

_FIRST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class VirtualClock:
    """A clock that a tester sets, stops and moves.

    :param below: the clock that it follows
    """

    below: Callable[[], datetime]
    on_move: list[Callable[[], None]] = field(default_factory=list)
    _set_to: datetime | None = None
    _set_at: datetime | None = None  # what the clock below told then
    _speed: float = 1.0
    _running: bool = True

    def __call__(self) -> datetime:
        """Tell the time."""
        now = self.below()
        if self._set_to is None or self._set_at is None:
            return now
        if not self._running:
            return self._set_to
        passed = (now - self._set_at) * self._speed
        return min(self._set_to + passed, _LAST)

    @property
    def is_set(self) -> bool:
        """Whether it goes its own way."""
        return self._set_to is not None

    @property
    def running(self) -> bool:
        """Whether time passes by itself."""
        return self._running

    @property
    def speed(self) -> float:
        """How many of its seconds pass in one real second."""
        return self._speed

    def set(
        self,
        now: datetime | None = None,
        *,
        running: bool = True,
        speed: float | None = None,
        advance: float = 0.0,
    ) -> None:
        """Set it; without ``now`` it goes on from where it is, ``advance`` seconds on.

        :raises ValueError: the time is naive or out of bounds, or the speed is not above zero
        """
        try:
            to = (self() if now is None else now) + timedelta(seconds=advance)
        except (OverflowError, ValueError) as error:
            raise ValueError("that is out of bounds") from error
        if to.tzinfo is None or not _FIRST <= to <= _LAST:
            raise ValueError("now is a time with an offset, between the years 1900 and 9000")
        if speed is not None and not 0 < speed <= 1e6:
            raise ValueError("speed is above 0, and 1000000 at most")
        self._set_to, self._set_at = to.astimezone(UTC), self.below()
        self._running = running
        self._speed = self._speed if speed is None else speed
        self._tell()

    def advance(self, seconds: float) -> None:
        """Move it, and stop it where it arrives if it was standing still.

        :raises ValueError: that is out of bounds
        """
        self.set(running=self._running, advance=seconds)

    def follow(self) -> None:
        """Let it tell real time again."""
        self._set_to = self._set_at = None
        self._running, self._speed = True, 1.0
        self._tell()

    def picture(self) -> tuple[datetime, bool, float] | None:
        """Return what :meth:`put_back` takes; None while it tells real time."""
        return (self(), self._running, self._speed) if self.is_set else None

    def put_back(self, picture: tuple[datetime, bool, float] | None) -> None:
        """Let it go on from where it was."""
        if picture is not None:
            now, running, speed = picture
            self.set(now, running=running, speed=speed)
        elif self.is_set:
            self.follow()

    def _tell(self) -> None:
        for heard in tuple(self.on_move):
            heard()
