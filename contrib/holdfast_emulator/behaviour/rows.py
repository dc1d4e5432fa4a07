"""Where rows are kept: the seam, and the store in memory.

Invariant: a store knows ids, versions and cells, no rules; the version is also the cell of the
field ``versionnumber``. A row is found by id, rows come in the order of their ids, and changes come
in the order of their versions without reading the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from holdfast_emulator.behaviour.pictures import attributes_of, copied
from holdfast_emulator.behaviour.row import Cells

#: So many rows are taken at a time from a table that may change between two of them.
_STRIDE: Final = 1000


class RowStore(ABC):
    """Rows and tombstones of all tables."""

    @abstractmethod
    def prepare(self, table: str, fields: Sequence[str]) -> None:
        """Make room for a table; if it has rows with fewer fields, the new ones are null.

        :raises ValueError: the stored rows have other fields
        """

    @abstractmethod
    def reshape(self, table: str, fields: Sequence[str]) -> None:
        """Give the rows of a table other fields: those of the same name keep their cells.

        The versions stay; a field that no row has had is null.
        """

    @abstractmethod
    def drop(self, table: str) -> None:
        """Forget a table with its rows and tombstones."""

    @abstractmethod
    def note(self, name: str, text: str) -> None:
        """Keep a text beside the rows, in the place of the one with this name."""

    @abstractmethod
    def noted(self, name: str) -> str | None:
        """Return the text that was kept under this name."""

    @abstractmethod
    def get(self, table: str, row_id: str) -> Cells | None:
        """Return the cells of a row."""

    @abstractmethod
    def put(self, table: str, row_id: str, version: int, cells: Cells) -> None:
        """Insert or replace a row."""

    def put_all(self, table: str, rows: Iterable[tuple[str, int, Cells]]) -> None:
        """Insert many rows; a store may be quicker at it than row by row."""
        for row_id, version, cells in rows:
            self.put(table, row_id, version, cells)

    @abstractmethod
    def remove(self, table: str, row_id: str) -> None:
        """Take a row away; without a tombstone."""

    @abstractmethod
    def scan(self, table: str, after: str = "") -> Iterator[Cells]:
        """Yield the rows with greater ids, by id; writes between two rows are allowed."""

    @abstractmethod
    def count(self, table: str) -> int:
        """Return the number of rows."""

    @abstractmethod
    def changed(self, table: str, since: int, until: int, limit: int) -> list[Cells]:
        """Return rows with ``since < version <= until``, by version, at most ``limit``."""

    @abstractmethod
    def bury(self, table: str, row_id: str, version: int) -> None:
        """Note a deletion."""

    @abstractmethod
    def unbury(self, table: str, version: int) -> None:
        """Forget the deletion that was noted with this version."""

    @abstractmethod
    def buried(self, table: str, since: int, until: int, limit: int) -> list[tuple[int, str]]:
        """Return deletions as version and id, bounded and ordered as :meth:`changed`."""

    @abstractmethod
    def clear_buried(self) -> None:
        """Forget all deletions."""

    @abstractmethod
    def last_version(self) -> int:
        """Return the greatest version of any row or tombstone; 0 in an empty store."""

    @abstractmethod
    def tables(self) -> Mapping[str, Sequence[str]]:
        """Return the tables that there is room for, with their fields."""

    @abstractmethod
    def keep(self, name: str) -> None:
        """Keep all rows, tombstones and layouts as they are now, under a name, at once."""

    @abstractmethod
    def give_back(self, name: str) -> None:
        """Put everything back as it was kept; it stays kept."""

    @abstractmethod
    def touched(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield table and id of each row that is not as it was kept."""

    @abstractmethod
    def let_go(self, name: str) -> None:
        """Keep it no longer."""

    @abstractmethod
    def clear(self) -> None:
        """Take everything away, the layouts, too."""

    def flush(self) -> None:  # noqa: B027  memory has nothing to flush
        """Keep everything until now, even if the process is killed."""

    def close(self) -> None:  # noqa: B027  memory has nothing to close
        """Let go of files."""


class _Log:
    """Versions and ids in the order of versions; entries of rows that moved on are stale.

    Two parallel columns, because a million tuples would take 100 MB.
    """

    def __init__(self) -> None:
        self.versions: array[int] = array("q")
        self.ids: list[str] = []

    def add(self, version: int, row_id: str) -> None:
        """Add an entry; only an undone change is not the newest."""
        if not self.versions or version > self.versions[-1]:
            self.versions.append(version)
            self.ids.append(row_id)
            return
        at = bisect_left(self.versions, version)
        while at < len(self.versions) and self.versions[at] == version:
            if self.ids[at] == row_id:
                return
            at += 1
        self.versions.insert(at, version)
        self.ids.insert(at, row_id)

    def drop(self, version: int) -> None:
        """Take out what has this version."""
        start, stop = bisect_left(self.versions, version), bisect_right(self.versions, version)
        del self.versions[start:stop]
        del self.ids[start:stop]

    def between(self, since: int, until: int) -> Iterator[tuple[int, str]]:
        """Yield the entries with ``since < version <= until``."""
        stop = bisect_right(self.versions, until)
        for at in range(bisect_right(self.versions, since), stop):
            yield self.versions[at], self.ids[at]

    def __len__(self) -> int:
        return len(self.ids)

    def copy(self) -> _Log:
        """Return one that later entries do not reach."""
        made = _Log()
        made.versions, made.ids = self.versions[:], self.ids[:]
        return made


class _Table:
    """The rows of one table in memory."""

    def __init__(self, fields: Sequence[str]) -> None:
        self.shared = False  # somebody keeps it as it is: write to a copy
        self.fields = tuple(fields)
        self._version_at = self.fields.index("versionnumber")
        self.rows: dict[str, Cells] = {}
        self.log = _Log()
        self.graves = _Log()
        self._order: list[str] = []
        self._fresh: list[str] = []  # ids not yet in the order

    def copy(self) -> _Table:
        """Return one that may be written to."""
        made = _Table(self.fields)
        for name, value in attributes_of(self).items():
            setattr(made, name, copied(value))
        made.log, made.graves = self.log.copy(), self.graves.copy()
        made.shared = False
        return made

    def put(self, row_id: str, version: int, cells: Cells) -> None:
        if row_id not in self.rows:
            self._fresh.append(row_id)
        self.rows[row_id] = cells
        self.log.add(version, row_id)
        if len(self.log) > 2 * len(self.rows) + 1000:
            self._compact()

    def remove(self, row_id: str) -> None:
        order = self.order()
        del order[bisect_left(order, row_id)]
        del self.rows[row_id]

    def order(self) -> list[str]:
        """Return the ids in order; sorting is put off, because a load is a million inserts."""
        if len(self._fresh) > 50:
            self._order.extend(self._fresh)
            self._order.sort()
        else:
            for row_id in self._fresh:
                insort(self._order, row_id)
        self._fresh.clear()
        return self._order

    def widen(self, fields: Sequence[str]) -> None:
        missing = (None,) * (len(fields) - len(self.fields))
        self.fields = tuple(fields)
        if missing:
            self.rows = {row_id: cells + missing for row_id, cells in self.rows.items()}

    def reshape(self, fields: Sequence[str]) -> None:
        moved = shifted(self.fields, fields)
        self.rows = {row_id: moved(cells) for row_id, cells in self.rows.items()}
        self.fields = tuple(fields)
        self._version_at = self.fields.index("versionnumber")

    def is_current(self, version: int, row_id: str) -> bool:
        """Tell whether the row is there and has not moved on."""
        cells = self.rows.get(row_id)
        return cells is not None and cells[self._version_at] == version

    def _compact(self) -> None:
        kept = _Log()
        for version, row_id in self.log.between(-1, self.log.versions[-1]):
            if self.is_current(version, row_id):
                kept.add(version, row_id)
        self.log = kept


class MemoryRows(RowStore):
    """Rows in dictionaries: one tuple each."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}
        self._kept: dict[str, tuple[dict[str, _Table], dict[str, str]]] = {}
        self._notes: dict[str, str] = {}

    def prepare(self, table: str, fields: Sequence[str]) -> None:
        """Make room for a table."""
        known = self._tables.get(table)
        if known is None:
            self._tables[table] = _Table(fields)
            return
        check_layout(table, known.fields, fields)
        if known.fields != tuple(fields):
            self._written(table).widen(fields)

    def reshape(self, table: str, fields: Sequence[str]) -> None:
        """Give the rows of a table other fields."""
        self._written(table).reshape(fields)

    def drop(self, table: str) -> None:
        """Forget a table."""
        self._tables.pop(table, None)

    def note(self, name: str, text: str) -> None:
        """Keep a text."""
        self._notes[name] = text

    def noted(self, name: str) -> str | None:
        """Return a text that was kept."""
        return self._notes.get(name)

    def get(self, table: str, row_id: str) -> Cells | None:
        """Return the cells of a row."""
        return self._tables[table].rows.get(row_id)

    def put(self, table: str, row_id: str, version: int, cells: Cells) -> None:
        """Insert or replace a row."""
        self._written(table).put(row_id, version, cells)

    def remove(self, table: str, row_id: str) -> None:
        """Take a row away."""
        self._written(table).remove(row_id)

    def scan(self, table: str, after: str = "") -> Iterator[Cells]:
        """Yield the rows with greater ids, by id."""
        while True:
            kept = self._tables[table]
            order = kept.order()
            start = bisect_right(order, after)
            ids = order[start : start + _STRIDE]
            if not ids:
                return
            for row_id in ids:
                cells = kept.rows.get(row_id)
                if cells is not None:
                    yield cells
            after = ids[-1]

    def count(self, table: str) -> int:
        """Return the number of rows."""
        return len(self._tables[table].rows)

    def changed(self, table: str, since: int, until: int, limit: int) -> list[Cells]:
        """Return the rows that changed, by version."""
        kept = self._tables[table]
        live = (
            kept.rows[row_id]
            for version, row_id in kept.log.between(since, until)
            if kept.is_current(version, row_id)
        )
        return list(islice(live, limit))

    def bury(self, table: str, row_id: str, version: int) -> None:
        """Note a deletion."""
        self._written(table).graves.add(version, row_id)

    def unbury(self, table: str, version: int) -> None:
        """Forget one deletion."""
        self._written(table).graves.drop(version)

    def buried(self, table: str, since: int, until: int, limit: int) -> list[tuple[int, str]]:
        """Return the deletions, by version."""
        return list(islice(self._tables[table].graves.between(since, until), limit))

    def clear_buried(self) -> None:
        """Forget all deletions."""
        for table in self._tables:
            self._written(table).graves = _Log()

    def last_version(self) -> int:
        """Return the greatest version of any row or tombstone."""
        logs = [log for kept in self._tables.values() for log in (kept.log, kept.graves)]
        return max((log.versions[-1] for log in logs if len(log)), default=0)

    def tables(self) -> Mapping[str, Sequence[str]]:
        """Return the tables that there is room for, with their fields."""
        return {name: kept.fields for name, kept in self._tables.items()}

    def keep(self, name: str) -> None:
        """Keep everything: a table is copied when it is next written to."""
        for kept in self._tables.values():
            kept.shared = True
        self._kept[name] = dict(self._tables), dict(self._notes)

    def give_back(self, name: str) -> None:
        """Put everything back as it was kept."""
        tables, notes = self._kept[name]
        self._tables, self._notes = dict(tables), dict(notes)

    def touched(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield table and id of each row that is not as it was kept."""
        before, _ = self._kept[name]
        for table in sorted(before.keys() | self._tables.keys()):
            then, now = before.get(table), self._tables.get(table)
            if then is now:
                continue
            old, new = then.rows if then else {}, now.rows if now else {}
            for row_id in sorted(old.keys() | new.keys()):
                if old.get(row_id) is not new.get(row_id):
                    yield table, row_id

    def let_go(self, name: str) -> None:
        """Keep it no longer."""
        self._kept.pop(name, None)

    def clear(self) -> None:
        """Take everything away."""
        self._tables, self._notes = {}, {}

    def _written(self, table: str) -> _Table:
        """Return a table that may be written to."""
        found = self._tables[table]
        if found.shared:
            found = self._tables[table] = found.copy()
        return found


def check_layout(table: str, stored: Sequence[str], wanted: Sequence[str]) -> None:
    """Refuse stored rows whose fields are not the first of those wanted.

    :raises ValueError: naming the table
    """
    if tuple(stored) != tuple(wanted[: len(stored)]):
        raise ValueError(f"the stored rows of {table} have other columns; start with a new file")


def shifted(before: Sequence[str], after: Sequence[str]) -> Callable[[Cells], Cells]:
    """Return what moves the cells of a row from the fields before to those after."""
    places = {name: index for index, name in enumerate(before)}
    taken = [places.get(name, -1) for name in after]
    return lambda cells: tuple(None if at < 0 else cells[at] for at in taken)
