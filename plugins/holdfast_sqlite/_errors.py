"""SQLite's and the operating system's errors as holdfast's, at the edge of the driver.

Invariant: a message names the file and what to do, never a value of a row.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from holdfast.errors import StorageDamaged, StorageError, StorageFull

#: NOTADB too: that the file begins as one of SQLite's was seen before SQLite opened it.
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY: Final = 0xFF  # an extended result code keeps the primary one in its low byte
_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "is held by another program; close that and try again",
    sqlite3.SQLITE_LOCKED: "is held by another program; close that and try again",
    sqlite3.SQLITE_IOERR: "could not be read or written; check the disk",
    sqlite3.SQLITE_READONLY: "may not be written; check its permissions",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that its folder is there and may be written",
    sqlite3.SQLITE_NOMEM: "needs more memory than there is; close something and try again",
}

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def primary_code(error: Exception) -> int | None:
    """Return the primary result code; None for an error that did not come from SQLite."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def is_disk_failure(error: sqlite3.Error) -> bool:
    """Tell whether the connection must not be trusted any more."""
    return primary_code(error) in (sqlite3.SQLITE_IOERR, *_DAMAGE)


def explain(error: Exception, location: str) -> StorageError:
    """Return the error to raise."""
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in _FULL:
        return StorageFull(location)
    if code in _DAMAGE:
        return StorageDamaged(location, str(error))
    advice = _ADVICE.get(code) if code is not None else None
    if advice is not None:
        return StorageError(f"{location} {advice} ({error})")
    if isinstance(error, IsADirectoryError):
        return StorageError(f"{location} is a folder; name a file in it")
    if isinstance(error, OSError):
        return StorageError(f"{location} cannot be used: {error.strerror}; check its folder")
    if isinstance(error, UnicodeError | OverflowError):
        return StorageError(
            f"{location} cannot hold this value: {type(error).__name__}; write another"
        )
    return StorageError(f"{location} did not do what was asked: {error}; try again")


@contextmanager
def translated(location: str) -> Iterator[None]:
    """Raise foreign errors as holdfast's."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeError, OverflowError) as error:
        raise explain(error, location) from error
