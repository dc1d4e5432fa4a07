"""Disks that fail: the N-th operation of a kind, once or from then on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import apsw

from support.disk.tapped import Operation


@dataclass(frozen=True, slots=True)
class Fault:
    """What fails, and what SQLite is told: an extended result code."""

    operation: Operation
    code: int

    def error(self) -> apsw.Error:
        """Return what apsw takes for this code."""
        error = apsw.exception_for(self.code)
        assert isinstance(error, apsw.Error)
        return error


#: Everything that SQLite asks of a file system, and how that fails.
FAULTS: Final = {
    "open": Fault(Operation.OPEN, apsw.SQLITE_CANTOPEN),
    "read": Fault(Operation.READ, apsw.SQLITE_IOERR_READ),
    "write": Fault(Operation.WRITE, apsw.SQLITE_IOERR_WRITE),
    "full": Fault(Operation.WRITE, apsw.SQLITE_FULL),
    "truncate": Fault(Operation.TRUNCATE, apsw.SQLITE_IOERR_TRUNCATE),
    "sync": Fault(Operation.SYNC, apsw.SQLITE_IOERR_FSYNC),
    "lock": Fault(Operation.LOCK, apsw.SQLITE_IOERR_LOCK),
    "delete": Fault(Operation.DELETE, apsw.SQLITE_IOERR_DELETE),
}


class Failing:
    """Counts operations, and makes the N-th of a kind fail; with no fault it only counts."""

    def __init__(self, fault: Fault | None = None, nth: int = 0, *, for_good: bool = False) -> None:
        self.counted: Counter[Operation] = Counter()
        self._fault = fault
        self._nth = nth
        self._for_good = for_good

    def __call__(self, operation: Operation, name: str) -> None:
        """Let an operation happen, or not."""
        self.counted[operation] += 1
        if self._fault is None or operation is not self._fault.operation:
            return
        count = self.counted[operation]
        if count == self._nth or (self._for_good and count > self._nth):
            raise self._fault.error()

    @property
    def reached(self) -> bool:
        """Tell whether anything has failed."""
        return self._fault is not None and self.counted[self._fault.operation] >= self._nth
