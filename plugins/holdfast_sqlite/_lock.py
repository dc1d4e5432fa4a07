"""One process owns a replica's writes.

Invariant: the lock is the operating system's, on ``<path>.lock``, and dies with the process; the
pid in ``<path>.owner`` is only for people. It has a file of its own because Windows lets nobody
read a locked one.

A process that is killed leaves its note. It says whether it had committed something, and so whether
a write-ahead log must be there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from holdfast.errors import StorageLocked
from holdfast_sqlite._file import PRIVATE, open_private

_COMMITTED: Final = " committed"


@contextmanager
def owner_lock(path: Path) -> Iterator[None]:
    """Own ``path`` until the block ends.

    :raises StorageLocked: another process, or another part of this one, owns it
    """
    lock = FileLock(f"{path}.lock", timeout=0, mode=PRIVATE, thread_local=False)
    note = _note(path)
    try:
        lock.acquire()
    except Timeout:
        raise StorageLocked(str(path), _read_pid(note)) from None
    try:
        _write_pid(note)
        yield
    finally:
        with suppress(OSError):  # it is only for people
            note.unlink(missing_ok=True)  # first: the next owner writes its own
        lock.release()


def expect_log(path: Path) -> None:
    """Add to the note, if there is one, that something was committed."""
    with (
        suppress(OSError),  # the commit stands; and another kind of lock has no note
        os.fdopen(open_private(_note(path), os.O_WRONLY | os.O_APPEND), "w") as file,
    ):
        file.write(_COMMITTED)


def log_is_expected(path: Path) -> bool:
    """Tell whether the last owner committed something and was killed."""
    with suppress(OSError, ValueError):
        return _note(path).read_text("ascii").endswith(_COMMITTED)
    return False


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.owner")


def _write_pid(note: Path) -> None:
    with os.fdopen(open_private(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w") as file:
        file.write(str(os.getpid()))


def _read_pid(note: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(note.read_text("ascii").split()[0])
    return None
