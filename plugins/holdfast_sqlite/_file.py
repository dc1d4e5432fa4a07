"""The file itself: made for its user alone, recognised before anything is written to it.

Invariant: a file that another program or a newer holdfast wrote is refused unchanged; the upgrades
of this storage's own tables are numbered scripts, each one transaction.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from holdfast.errors import ReplicaTooNew, StorageDamaged, StorageError, StorageMissing
from holdfast_sqlite._connection import Database

#: "hold" in ASCII; `file` and SQLite's tools show it.
APPLICATION_ID: Final = 0x686F6C64
PRIVATE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700
_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 100  # bytes
_CHUNK: Final = 1 << 20
_SCRIPTS: Final = sorted(
    (
        entry
        for entry in files(__package__).joinpath("sql").iterdir()
        if entry.name.endswith(".sql")
    ),
    key=lambda entry: entry.name,
)
FORMAT: Final = len(_SCRIPTS)


def locate(folder: Path, path: Path) -> Path:
    """Return the absolute path; a symlink stays one, to be refused."""
    return Path(os.path.abspath(folder / path))  # noqa: PTH100  resolve() would follow it


def open_private(path: Path, flags: int) -> int:
    """Open without following a symlink; a new file is readable by its owner only."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), PRIVATE)


def create_folder(folder: Path) -> None:
    """Make the missing folders, for their owner only, and make their names durable."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for each in reversed(missing):
        each.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        _persist(each.parent)


def _persist(folder: Path) -> None:
    """Flush a folder's entries; SQLite does it for the files that it makes inside."""
    if os.name == "nt":  # folders cannot be opened there, and their entries are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def log_of(path: Path) -> Path:
    """Return where SQLite keeps what it has committed and not yet moved into the file."""
    return path.with_name(f"{path.name}-wal")


def log_size(path: Path) -> int:
    """Return the bytes of the write-ahead log; 0 where there is none."""
    log = log_of(path)
    return log.stat().st_size if log.exists() else 0


def refuse_lone_log(path: Path) -> None:
    """Refuse a log whose file is gone or empty: SQLite would throw it away, or mix it into another.

    :raises StorageDamaged: there is one
    """
    if not is_made(path) and log_size(path):
        raise StorageDamaged(str(path), "it is empty or gone, but its write-ahead log is not")


def is_made(path: Path) -> bool:
    """Tell whether something is there, be it ours or not; an empty file is nothing."""
    return os.path.lexists(path) and path.lstat().st_size > 0


@contextmanager
def making(path: Path) -> Iterator[Path]:
    """Give a path to make the file under, and rename it when the block has ended well.

    SQLite makes a file's first page through a journal. Under its own name, a crash in between would
    leave a file that nobody can read before somebody has written to it.
    """
    new = path.with_name(f"{path.name}.new")
    remains = (new, *(new.with_name(f"{new.name}-{kind}") for kind in ("journal", "wal", "shm")))
    for each in remains:
        each.unlink(missing_ok=True)
    try:
        os.close(open_private(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        yield new
        new.replace(path)
        _persist(path.parent)  # else a log of its new name may outlive the name
    finally:
        for each in remains:
            each.unlink(missing_ok=True)


def write_log_again(path: Path) -> None:
    """Make sure that what SQLite finds in a log that was left behind is on the disk.

    A flush that fails is told once: the system still shows what was written before it, and may have
    given it up. SQLite would take such a write for done, and all that follows it in the log would
    be lost with it when the power goes. Written once more, the same bytes are flushed.
    """
    log = log_of(path)
    if not is_made(log):
        return
    with os.fdopen(open_private(log, os.O_RDWR), "r+b") as file:
        at = 0
        while chunk := file.read(_CHUNK):
            file.seek(at)
            file.write(chunk)
            at += len(chunk)
            file.seek(at)
        file.flush()
        os.fsync(file.fileno())


def check_kind(path: Path) -> bytes:
    """Refuse what is no SQLite file of ours, and return its header; an empty file has none.

    :raises StorageDamaged: it is empty, and the log beside it is not
    :raises StorageMissing: it is not there
    :raises StorageError: it is not a file that holdfast wrote
    """
    if path.is_symlink():
        raise StorageError(f"{path} is a symbolic link; name the file it points to")
    refuse_lone_log(path)
    if not path.exists():
        raise StorageMissing(str(path))
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if not header:
        return header
    if not header.startswith(_MAGIC) or len(header) < _HEADER:
        raise StorageError(
            f"{path} is no SQLite file; choose another path, "
            "or put a copy from a backup there if it was one"
        )
    if int.from_bytes(header[68:72], "big") not in (0, APPLICATION_ID):
        raise StorageError(f"{path} belongs to another program; choose another path")
    return header


def check_header(path: Path) -> None:
    """Refuse by the first bytes what is not ours, before SQLite leaves a file beside it.

    :raises ReplicaTooNew: a newer holdfast wrote it
    :raises StorageError: as :func:`check_kind` does
    """
    header = check_kind(path)
    if header:
        check_identity(
            path,
            application=int.from_bytes(header[68:72], "big"),
            version=int.from_bytes(header[60:64], "big"),
        )


def check_identity(path: Path, *, application: int, version: int) -> None:
    """Refuse by the two numbers that SQLite keeps for its applications."""
    if application not in (0, APPLICATION_ID) or (application == 0 and version):
        raise StorageError(f"{path} belongs to another program; choose another path")
    if version > FORMAT:
        raise ReplicaTooNew(str(path), version, FORMAT)


def statements(first: int, last: int) -> Iterator[str]:
    """Yield what brings the own tables from one format to another."""
    for number in range(first, last):
        yield from _statements_of(number)


@cache
def _statements_of(number: int) -> Sequence[str]:
    """Read a script once: a process may lose the right to read its own program."""
    # executescript() would commit first.
    return tuple(_SCRIPTS[number].read_text("utf-8").split(";\n"))


def upgrade(database: Database) -> None:
    """Bring this storage's own tables to the newest format, inside the caller's transaction."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == FORMAT:
        return
    for statement in statements(version, FORMAT):
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {FORMAT}")
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
