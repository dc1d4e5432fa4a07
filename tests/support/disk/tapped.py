"""A file system that tells of every operation before it does it and after it is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import apsw


class Operation(Enum):
    """What SQLite asks of a file system."""

    OPEN = "xOpen"
    READ = "xRead"
    WRITE = "xWrite"
    TRUNCATE = "xTruncate"
    SYNC = "xSync"
    LOCK = "xLock"
    DELETE = "xDelete"


@dataclass(frozen=True, slots=True)
class Created:
    """A file was made."""

    name: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """A file was given another name."""

    old: str
    name: str


@dataclass(frozen=True, slots=True)
class Removed:
    """A file was removed; ``synced``: and its folder flushed."""

    name: str
    synced: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """The folder was flushed: the names in it are safe."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """Bytes were written."""

    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A file was cut to a size."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Synced:
    """A file was flushed; ``folder``: and its name with it."""

    name: str
    folder: bool


@dataclass(frozen=True, slots=True)
class Unsynced:
    """Flushing failed, and what waited will never reach the platter: the system forgot it."""

    name: str


Event: TypeAlias = Created | Renamed | Removed | Listed | Wrote | Cut | Synced | Unsynced
#: The files whose name is flushed too when a connection flushes them for the first time.
_NAMED: Final = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class Listener(Protocol):
    """Who is told."""

    def before(self, operation: Operation, name: str) -> None:
        """Let an operation happen, or raise ``apsw.Error`` in its stead."""

    def after(self, event: Event) -> None:
        """Take note of what has happened."""


class _TappedFile(apsw.VFSFile):
    def __init__(
        self, name: apsw.URIFilename | str | None, flags: list[int], tap: Listener
    ) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(path or "").name
        self._tap = tap
        is_new = path is not None and not Path(path).exists()
        super().__init__("", name, flags)
        if is_new:
            self._note(Created(self._name))
        self._unnamed = bool(flags[0] & _NAMED and flags[0] & apsw.SQLITE_OPEN_CREATE)

    def _note(self, event: Event) -> None:
        if self._name:  # else: for sorting; gone with the process
            self._tap.after(event)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._tap.before(Operation.READ, self._name)
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._tap.before(Operation.WRITE, self._name)
        super().xWrite(data, offset)
        self._note(Wrote(self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._tap.before(Operation.TRUNCATE, self._name)
        super().xTruncate(newsize)
        self._note(Cut(self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Flush nothing: nobody pulls the plug of this machine."""
        try:
            self._tap.before(Operation.SYNC, self._name)
        except apsw.Error:
            self._note(Unsynced(self._name))
            raise
        self._note(Synced(self._name, self._unnamed))
        self._unnamed = False

    def xLock(self, level: int) -> None:  # noqa: N802
        self._tap.before(Operation.LOCK, self._name)
        super().xLock(level)


class TappedFileSystem(apsw.VFS):
    """The system's own file system, tapped; SQLite knows it by ``name`` until ``unregister()``.

    The memory that connections share (``-shm``) goes past it: it is no part of what is durable.
    """

    def __init__(self, name: str, tap: Listener) -> None:
        self._tap = tap
        super().__init__(name, "")

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._tap.before(Operation.OPEN, Path(path or "").name)
        return _TappedFile(name, flags, self._tap)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self._tap.before(Operation.DELETE, Path(filename).name)
        super().xDelete(filename, syncdir)
        self._tap.after(Removed(Path(filename).name, syncdir))
