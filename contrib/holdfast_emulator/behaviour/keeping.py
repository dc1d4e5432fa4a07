"""Named baselines: an organisation as it was, kept in memory and given back at once.

Invariant: what is given back is everything that an organisation is: rows, tombstones, layouts,
metadata, security, rules and the clock. A baseline lives as long as the organisation is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from holdfast_emulator.behaviour.changes import Tracker
from holdfast_emulator.behaviour.clock import VirtualClock
from holdfast_emulator.behaviour.ledger import Ledger
from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import Metadata
from holdfast_emulator.behaviour.pictures import picture_of, put_back
from holdfast_emulator.behaviour.rows import RowStore


class Versions(Enum):
    """What becomes of versions when an organisation goes back to a baseline."""

    FORWARD = "forward"  # what goes back is a change like any other; deltas tell of it
    BACK = "back"  # they go back, too, as after a restore from a backup


@dataclass(frozen=True, slots=True)
class _Kept:
    version: int
    floors: Mapping[str, int]
    clock: tuple[datetime, bool, float] | None
    parts: Mapping[str, Mapping[str, object]]


@dataclass(slots=True)
class Keeper:
    """Keeps an organisation under names, and gives it back.

    :param parts: plain objects whose attributes are state; ``metadata`` is one of them
    """

    store: RowStore
    ledger: Ledger
    links: Links
    tracker: Tracker
    clock: VirtualClock
    parts: Mapping[str, object]
    _kept: dict[str, _Kept] = field(default_factory=dict)

    def names(self) -> tuple[str, ...]:
        """Return the names of what is kept, the oldest first."""
        return tuple(self._kept)

    def keep(self, name: str) -> None:
        """Keep everything as it is now under a name, in the place of what had it."""
        self._outside_transactions()
        self.let_go(name)
        self.store.keep(name)
        parts = {part: picture_of(thing) for part, thing in self.parts.items()}
        floors, clock = dict(self.tracker.floors), self.clock.picture()
        self._kept[name] = _Kept(self.ledger.version, floors, clock, parts)

    def give_back(self, name: str, versions: Versions = Versions.FORWARD) -> None:
        """Put everything back as it was kept.

        :raises KeyError: nothing has this name
        """
        self._outside_transactions()
        kept = self._kept[name]
        newest = self.ledger.version
        touched = self._touched(name, kept) if versions is Versions.FORWARD else ()
        self.store.give_back(name)
        for table in self.store.tables():
            self.links.forget(table)
        reshaped = self._put_back_parts(kept)
        if versions is Versions.BACK:
            self.ledger.version = kept.version
            self.tracker.floors.clear()
            self.tracker.floors.update(kept.floors)
            return
        self.ledger.version = newest
        for table, row_id in touched:
            self._move_on(table, row_id)
        if reshaped:
            self.tracker.floors[""] = self.ledger.next_version()
        self.store.flush()

    def let_go(self, name: str) -> bool:
        """Keep it no longer; tell whether it was kept."""
        if self._kept.pop(name, None) is None:
            return False
        self.store.let_go(name)
        return True

    def changed_since(self, version: int) -> list[tuple[str, str, bool]]:
        """Return table, id and "is there" of each row that was changed after a version."""
        found: list[tuple[int, str, str, bool]] = []
        for name in self.store.tables():
            table = self._metadata.tables.get(name)
            if table is None:
                continue
            at, key = table.positions["versionnumber"], table.positions[table.primary_id]
            rows = self.store.changed(name, version, self.ledger.version, 2**31)
            found.extend((int(str(cells[at])), name, str(cells[key]), True) for cells in rows)
            graves = self.store.buried(name, version, self.ledger.version, 2**31)
            found.extend((grave, name, row_id, False) for grave, row_id in graves)
        return [one[1:] for one in sorted(found)]

    @property
    def _metadata(self) -> Metadata:
        metadata = self.parts["metadata"]
        assert isinstance(metadata, Metadata)
        return metadata

    def _touched(self, name: str, kept: _Kept) -> list[tuple[str, str]]:
        """Return what is not as it was, and what came and went in between."""
        found = dict.fromkeys(self.store.touched(name))
        for table in self.store.tables():
            for _, row_id in self.store.buried(table, kept.version, self.ledger.version, 2**31):
                found[table, row_id] = None
        return list(found)

    def _put_back_parts(self, kept: _Kept) -> bool:
        """Put metadata and the other parts back; tell whether the metadata was another one.

        Its version never goes back: answers may have been kept by it.
        """
        metadata = self._metadata
        version = metadata.version
        self.clock.put_back(kept.clock)
        for part, picture in kept.parts.items():
            put_back(self.parts[part], picture)
        if metadata.version == version:
            return False
        metadata.version = version + 1
        return True

    def _move_on(self, name: str, row_id: str) -> None:
        """Give a row that went back a new version, or a new tombstone."""
        table = self._metadata.tables.get(name)
        if table is None:  # it came after the baseline, and is gone with its rows
            return
        cells = self.store.get(name, row_id)
        version = self.ledger.next_version()
        if cells is None:
            self.store.bury(name, row_id, version)
            return
        at = table.positions["versionnumber"]
        self.store.put(name, row_id, version, (*cells[:at], version, *cells[at + 1 :]))

    def _outside_transactions(self) -> None:
        if self.ledger.open:
            raise RuntimeError("a baseline is outside of transactions")
