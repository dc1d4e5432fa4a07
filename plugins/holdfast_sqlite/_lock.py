"""One process owns a replica's writes.

Invariant: the lock is the operating system's, on ``<path>.lock``, and dies with the process; the
pid in ``<path>.owner`` is only for people. It has a file of its own because Windows lets nobody
read a locked one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from holdfast.errors import StorageLocked
from holdfast_sqlite._file import PRIVATE, open_private


@contextmanager
def owner_lock(path: Path) -> Iterator[None]:
    """Own ``path`` until the block ends.

    :raises StorageLocked: another process, or another part of this one, owns it
    """
    lock = FileLock(f"{path}.lock", timeout=0, mode=PRIVATE, thread_local=False)
    note = path.with_name(f"{path.name}.owner")
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


def _write_pid(note: Path) -> None:
    with os.fdopen(open_private(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w") as file:
        file.write(str(os.getpid()))


def _read_pid(note: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(note.read_text("ascii"))
    return None
