"""What a disk may hold after the power went: the rules of file systems, over recorded events.

Invariant: what was flushed is there. Of what was not, anything may be: nothing, all, some of it,
some of it in another order, a write that ended in the middle, a name without its file's content.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from support.disk.tapped import (
    Created,
    Cut,
    Event,
    Listed,
    Removed,
    Renamed,
    Synced,
    Unsynced,
    Wrote,
)

#: The least that a disk writes as one.
SECTOR: Final = 512
Files: TypeAlias = Mapping[str, bytes]
Pending: TypeAlias = Wrote | Cut
_KEPT: Final = (0.1, 0.5, 0.9)
_TORN: Final = 0.15


@dataclass
class _File:
    """The bytes that are safe, and what was done to them since."""

    safe: bytes = b""
    pending: list[Pending] = field(default_factory=list)


@dataclass
class Platter:
    """A folder with its files, as it is after the events that were applied."""

    _now: dict[str, _File] = field(default_factory=dict)
    _safe: dict[str, _File] = field(default_factory=dict)
    _names: list[Created | Renamed | Removed] = field(default_factory=list)
    _made: dict[int, _File] = field(default_factory=dict)

    @classmethod
    def holding(cls, files: Files) -> Platter:
        """Return a platter on which these files are safe."""
        there = {name: _File(content) for name, content in files.items()}
        return cls(dict(there), dict(there))

    def apply(self, event: Event) -> None:
        """Let an event happen."""
        match event:
            case Created(name):
                self._now[name] = self._made[id(event)] = _File()
                self._names.append(event)
            case Renamed(old, name):
                self._now[name] = self._made[id(event)] = self._now.pop(old)
                self._names.append(event)
            case Removed(name, synced):
                self._now.pop(name, None)
                self._names.append(event)
                if synced:
                    self._flush_names()
            case Listed():
                self._flush_names()
            case Wrote(name) | Cut(name):
                self._now[name].pending.append(event)
            case Synced(name, folder):
                file = self._now[name]
                file.safe, file.pending = _written(file.safe, file.pending), []
                if folder:
                    self._flush_names()
            case Unsynced(name):
                self._now[name].pending.clear()

    def _flush_names(self) -> None:
        self._safe = dict(self._now)
        self._names.clear()
        self._made.clear()

    def lost(self) -> Files:
        """Return what is safe."""
        return {name: file.safe for name, file in self._safe.items()}

    def kept(self) -> Files:
        """Return all: what a killed process leaves."""
        return {name: _written(file.safe, file.pending) for name, file in self._now.items()}

    def torn(self, rng: random.Random) -> Files | None:
        """Return all but some sectors of the last write; None if that is safe."""
        last = [
            (n, f) for n, f in self._now.items() if f.pending and isinstance(f.pending[-1], Wrote)
        ]
        if not last:
            return None
        files = dict(self.kept())
        name, file = rng.choice(last)
        write = file.pending[-1]
        assert isinstance(write, Wrote)
        if rng.random() < 0.5:
            parts = _torn(write, lambda _: rng.random() < 0.5)
        else:
            end = write.offset + SECTOR * rng.randrange(1 + len(write.data) // SECTOR)
            parts = _torn(write, lambda at: at < end)
        files[name] = _written(file.safe, [*file.pending[:-1], *parts])
        return files

    def some(self, rng: random.Random) -> Files:
        """Return a random part of what is not safe, names and sectors included."""
        share = rng.choice(_KEPT)
        return {
            name: _written(file.safe, list(_some(file.pending, share, rng)))
            for name, file in self._named(lambda _: rng.random() < share).items()
        }

    def reordered(self, rng: random.Random) -> Files:
        """Return what is there if it is written in another order, and the power goes meanwhile."""
        there = self._named(lambda _: True) if rng.random() < 0.8 else self._safe
        return {
            name: _written(file.safe, rng.sample(file.pending, rng.randint(0, len(file.pending))))
            for name, file in there.items()
        }

    def _named(self, keep: Callable[[Event], bool]) -> Mapping[str, _File]:
        """Return the files by the names that are there if these changes of names are kept."""
        names = dict(self._safe)
        for change in self._names:
            if not keep(change):
                continue
            if isinstance(change, Removed):
                names.pop(change.name, None)
            else:
                names[change.name] = self._made[id(change)]
            if isinstance(change, Renamed):
                names.pop(change.old, None)
        return names


def _some(pending: Sequence[Pending], share: float, rng: random.Random) -> Iterator[Pending]:
    for change in pending:
        if rng.random() >= share:
            continue
        if isinstance(change, Wrote) and rng.random() < _TORN:
            yield from _torn(change, lambda _: rng.random() < 0.5)
        else:
            yield change


def _torn(write: Wrote, keep: Callable[[int], bool]) -> Iterator[Wrote]:
    """Yield the sectors of a write that are kept; sectors are the disk's, not the write's."""
    at, end = write.offset, write.offset + len(write.data)
    while at < end:
        following = min(end, at - at % SECTOR + SECTOR)
        if keep(at):
            start = at - write.offset
            yield Wrote(write.name, at, write.data[start : start + following - at])
        at = following


def _written(safe: bytes, pending: Sequence[Pending]) -> bytes:
    if not pending:
        return safe
    content = bytearray(safe)
    for change in pending:
        if isinstance(change, Cut):
            content[change.size :] = bytes(max(0, change.size - len(content)))
        else:
            if change.offset > len(content):
                content.extend(bytes(change.offset - len(content)))
            content[change.offset : change.offset + len(change.data)] = change.data
    return bytes(content)
