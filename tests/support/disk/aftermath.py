"""What a disk that failed has left: whole writes only, and all that was acknowledged.

A write whose flush failed may be found done after a crash: SQLite had written it. Then it is there
whole, and it is the last one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from holdfast.testing.simulation import Contents
from support.disk.judging import INTEGRITY, Found, Opener, ahead, violations
from support.disk.machine import Machine, Mark, stored
from support.disk.platter import Files, Platter
from support.disk.tapped import Unsynced

HALF: Final = "P13 nothing half done"
TRUST: Final = "P13 not trusted again"


class Aftermath:
    """Looks at disks; one database that was seen is not opened again."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._images: list[tuple[bytes, Found]] = []

    def of(self, machine: Machine) -> Iterator[tuple[str, str]]:
        """Yield what is wrong: after a kill at the end, and wherever the power went."""
        yield from ((TRUST, text) for text in machine.wrong)
        before = Mark(0, self._look(machine.baseline, machine).contents)
        marks = {mark.event: mark for mark in (before, *machine.marks)}
        platter = Platter.holding(machine.baseline)
        forgotten = False
        for number, event in enumerate(machine.events, 1):
            platter.apply(event)
            forgotten = forgotten or isinstance(event, Unsynced)
            if forgotten and number in marks:
                found = self._look(platter.lost(), machine)
                yield from found.wrong.items()
                yield from violations(found.contents, marks[number].contents)
        for files in (platter.kept(), platter.lost()):
            yield from self._whole(self._look(files, machine), before, machine)

    def of_files(self, machine: Machine) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the files that a killed process has left."""
        yield from ((TRUST, text) for text in machine.wrong)
        before = Mark(0, self._look(machine.baseline, machine).contents)
        yield from self._whole(self._look(stored(machine.folder), machine), before, machine)

    def _whole(self, found: Found, before: Mark, machine: Machine) -> Iterator[tuple[str, str]]:
        last = (machine.marks or [before])[-1]
        yield from found.wrong.items()
        if INTEGRITY in found.wrong:
            return
        yield from violations(found.contents, last.contents)
        yield from ahead(found.contents, machine.server)
        whole = [_cells(contents) for contents in (last.contents, *machine.doubtful)]
        if _cells(found.contents) not in whole:
            yield HALF, f"{found.contents} were never there together"

    def _look(self, files: Files, machine: Machine) -> Found:
        image = self._opener.image(files)
        if image is None:
            return self._opener.look(files, machine.tables)
        known = next((found for seen, found in self._images if seen == image), None)
        if known is None:
            known = self._opener.look(files, machine.tables)
            self._images.append((image, known))
        return known


def _cells(contents: Contents) -> object:
    """Return what is stored, but for the order of columns and for those that are empty.

    A migration that failed may be found done as well: it makes room, and fills nothing.
    """
    return {
        (table, key): Counter(cell for cell in record if cell is not None)
        for table, records in contents.tables.items()
        for key, record in records.items()
    }
