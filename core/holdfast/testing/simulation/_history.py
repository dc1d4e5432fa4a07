"""What happened in a simulation, in order: the one thing that checkers look at.

Invariant: events are only appended, and an event's position is its number. Each is shown to every
checker at the moment it happens, so that what it refers to is still as it was then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from holdfast.testing.simulation._contents import Contents

#: The columns of a row that is read, None where there is no such row, by the row's key.
Rows: TypeAlias = Mapping[str, Mapping[str, int | None] | None]
_TAIL: Final = 40


@dataclass(frozen=True, slots=True)
class Invoked:
    """Somebody calls the API."""

    call: int
    what: str
    writes: bool = False

    def __str__(self) -> str:
        return f"call {self.call}: {self.what}"


@dataclass(frozen=True, slots=True)
class Answered:
    """A call returned. For one that writes this is the acknowledgement of ``ops``."""

    call: int
    ops: tuple[str, ...] = ()
    result: str = ""

    def __str__(self) -> str:
        ops = f"; op {', '.join(op[:8] for op in self.ops)}" if self.ops else ""
        return f"call {self.call}: ok {self.result}{ops}"


@dataclass(frozen=True, slots=True)
class Failed:
    """A call raised one of our errors: nothing was done."""

    call: int
    why: str

    def __str__(self) -> str:
        return f"call {self.call}: failed: {self.why}"


@dataclass(frozen=True, slots=True)
class Unsure:
    """A call was cancelled: it is done or not done."""

    call: int

    def __str__(self) -> str:
        return f"call {self.call}: cancelled"


@dataclass(frozen=True, slots=True)
class Sampled:
    """Rows were read, or the whole table; ``began`` is the event before the reading."""

    began: int
    rows: Rows
    whole: bool = False

    def __str__(self) -> str:
        parts = (
            f"{row.partition('/')[2][:8]} {'gone' if cells is None else dict(cells)}"
            for row, cells in self.rows.items()
        )
        return f"read since {self.began}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Writing:
    """The storage begins to write: until ``Committed``, readers may see it or not."""

    def __str__(self) -> str:
        return ""  # said by what follows


@dataclass(frozen=True, slots=True)
class Committed:
    """The storage committed a write; ``rows`` are the keys of the rows that it may concern."""

    contents: Contents = field(repr=False)
    rows: frozenset[str]
    what: str = ""

    def __str__(self) -> str:
        return f"commit: {self.what}"


@dataclass(frozen=True, slots=True)
class Opened:
    """The replica's storage was opened, for the first time or after a crash or an orderly end."""

    contents: Contents = field(repr=False)

    def __str__(self) -> str:
        return f"opened with {self.contents}"


@dataclass(frozen=True, slots=True)
class Finished:
    """All is healed and synced. ``cycles`` counts the syncs that this took."""

    contents: Contents = field(repr=False)
    cycles: int
    complete: bool
    here: Rows
    there: Rows

    def __str__(self) -> str:
        return f"finished after {self.cycles} syncs with {self.contents}"


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that no checker needs: what others did, faults, crashes, the ends of sessions."""

    what: str

    def __str__(self) -> str:
        return self.what


Storing: TypeAlias = Writing | Committed | Opened
Event: TypeAlias = Invoked | Answered | Failed | Unsure | Sampled | Storing | Finished | Happened


class History:
    """The events of one run, each shown to the watchers as it happens."""

    def __init__(
        self, time: Callable[[], float], watchers: Sequence[Callable[[Event, int], None]] = ()
    ) -> None:
        self._time = time
        self._watchers = watchers
        self._lines: list[tuple[float, str, str]] = []
        self._calls = 0

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, actor: str, event: Event) -> None:
        """Append an event.

        :raises Violation: it shows that a promise is broken
        """
        self._lines.append((self._time(), actor, str(event)))
        for watch in self._watchers:
            watch(event, len(self._lines))

    def next_call(self) -> int:
        """Return a number for a call."""
        self._calls += 1
        return self._calls

    def tail(self, count: int = _TAIL) -> list[str]:
        """Return the last events, a line each."""
        return [
            f"{number:5} {time:8.3f} s {actor:<7} {text}"
            for number, (time, actor, text) in enumerate(self._lines, 1)
            if text
        ][-count:]
