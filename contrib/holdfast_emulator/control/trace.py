"""The trace: every request, what was missing for it, how long it took, and what struck it.

Invariant: entries are numbered from 1 since the last reset, in the order in which they were
answered; the parts of a batch come one by one before the whole.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from holdfast_emulator.wire.api import Traced

_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries of the trace somebody asks for; what is None does not matter.

    ``path`` is a regular expression searched for in the URL; ``user`` an id; ``since`` a number.
    """

    path: str | None = None
    method: str | None = None
    user: str | None = None
    status: int | None = None
    unsupported: bool | None = None
    batch: bool | None = None
    fault: str | None = None
    since: int = 0

    def fits(self, entry: Traced) -> bool:
        """Tell whether an entry is wanted."""
        return (
            entry.number > self.since
            and (self.path is None or re.search(self.path, entry.url) is not None)
            and (self.method is None or self.method.upper() == entry.method)
            and (self.user is None or self.user == entry.user)
            and (self.status is None or self.status == entry.status)
            and (self.unsupported is None or self.unsupported == bool(entry.unsupported))
            and (self.batch is None or self.batch == entry.batch)
            and (self.fault is None or self.fault == entry.fault)
        )


@dataclass(slots=True)
class Seen:
    """What is known of a request beside its operations."""

    method: str
    target: str
    request_id: str
    user: str = ""
    received: int = 0
    fault: str | None = None
    noted: bool = False


@dataclass
class Trace:
    """The newest entries; ``operations`` is where the Web API leaves them."""

    operations: deque[Traced] = field(default_factory=deque)
    entries: deque[Traced] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _number: int = 0
    _grown: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, request: Seen, status: int, seconds: float, sent: int) -> None:
        """Enter what a request left; one that was not carried out leaves itself."""
        done = list(self.operations) or [
            Traced(request.method, request.target, status, request.user, batch=False)
        ]
        self.operations.clear()
        request.noted = True
        parts = sum(one.batch for one in done)
        for one in done:
            self._number += 1
            self.entries.append(
                replace(
                    one,
                    number=self._number,
                    request_id=request.request_id,
                    seconds=seconds,
                    received=0 if one.batch else request.received,
                    sent=0 if one.batch else sent,
                    parts=0 if one.batch else parts,
                    fault=request.fault,
                )
            )
        self._grown.set()

    def find(self, wanted: Wanted) -> Iterator[Traced]:
        """Yield the entries that are wanted, the oldest first."""
        return (one for one in self.entries if wanted.fits(one))

    async def wait(self, wanted: Wanted, count: int, seconds: float) -> list[Traced]:
        """Return what is wanted as soon as there are so many, or what there is in the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(found := list(self.find(wanted))) < count:
                    self._grown.clear()
                    await self._grown.wait()
                return found
        return list(self.find(wanted))

    def clear(self) -> None:
        """Forget everything; the next number is 1."""
        self.entries.clear()
        self.operations.clear()
        self._number = 0


def shown(entry: Traced) -> Mapping[str, object]:
    """Return an entry as the control pages show it."""
    return asdict(entry)
