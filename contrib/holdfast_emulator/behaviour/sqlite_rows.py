"""Rows in a SQLite file, for more of them than memory should hold.

Invariant: a row is one record with its cells as JSON, where an exact decimal is a list of its one
text. The file serves one emulator at a time. What was flushed survives a killed process, though not
a power cut.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from holdfast.values import Cell
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.behaviour.rows import RowStore, check_layout

_SCHEMA: Final = """
pragma journal_mode = wal;
pragma synchronous = off;
pragma locking_mode = exclusive;
pragma cache_size = -65536;
create table if not exists layout (name text primary key, number integer, fields text);
create table if not exists live (
    tbl integer, id text, version integer, cells text, primary key (tbl, id)
) without rowid;
create index if not exists live_version on live (tbl, version);
create table if not exists grave (
    tbl integer, version integer, id text, primary key (tbl, version)
) without rowid;
"""
_STRIDE: Final = 1000
_encoder: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=lambda number: [str(number)]
)


class SqliteRows(RowStore):
    """Rows in a file; tables are numbered in it in the order of their appearance."""

    def __init__(self, path: Path | str) -> None:
        # A test may build the store here and serve it from another thread, never from both at once.
        # Nobody else will let go of the file soon: it is not waited for.
        self._file = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._file.executescript(_SCHEMA)
            self._file.execute("begin immediate")
        except sqlite3.Error:
            self._file.close()
            raise
        self._numbers: dict[str, int] = {}
        self._widths: dict[str, int] = {}

    def prepare(self, table: str, fields: Sequence[str]) -> None:
        """Make room for a table; rows that are too short are widened when they are read."""
        found = self._file.execute(
            "select number, fields from layout where name = ?", (table,)
        ).fetchone()
        if found:
            check_layout(table, json.loads(found[1]), fields)
            number = found[0]
        else:
            number = self._one("select count(*) from layout")
        self._file.execute(
            "insert or replace into layout values (?, ?, ?)", (table, number, json.dumps(fields))
        )
        self._numbers[table] = number
        self._widths[table] = len(fields)

    def get(self, table: str, row_id: str) -> Cells | None:
        """Return the cells of a row."""
        found = self._file.execute(
            "select cells from live where tbl = ? and id = ?", (self._numbers[table], row_id)
        ).fetchone()
        return self._cells(table, found[0]) if found else None

    def put(self, table: str, row_id: str, version: int, cells: Cells) -> None:
        """Insert or replace a row."""
        self.put_all(table, [(row_id, version, cells)])

    def put_all(self, table: str, rows: Iterable[tuple[str, int, Cells]]) -> None:
        """Insert or replace many rows."""
        number = self._numbers[table]
        self._file.executemany(
            "insert or replace into live values (?, ?, ?, ?)",
            ((number, row_id, version, _encoder.encode(cells)) for row_id, version, cells in rows),
        )

    def remove(self, table: str, row_id: str) -> None:
        """Take a row away."""
        self._file.execute(
            "delete from live where tbl = ? and id = ?", (self._numbers[table], row_id)
        )

    def scan(self, table: str, after: str = "") -> Iterator[Cells]:
        """Yield the rows with greater ids, by id."""
        while True:
            some = self._file.execute(
                "select id, cells from live where tbl = ? and id > ? order by id limit ?",
                (self._numbers[table], after, _STRIDE),
            ).fetchall()
            if not some:
                return
            for _, text in some:
                yield self._cells(table, text)
            after = some[-1][0]

    def count(self, table: str) -> int:
        """Return the number of rows."""
        return self._one("select count(*) from live where tbl = ?", self._numbers[table])

    def changed(self, table: str, since: int, until: int, limit: int) -> list[Cells]:
        """Return the rows that changed, by version."""
        found = self._file.execute(
            "select cells from live where tbl = ? and version > ? and version <= ? "
            "order by version limit ?",
            (self._numbers[table], since, until, limit),
        )
        return [self._cells(table, text) for (text,) in found]

    def bury(self, table: str, row_id: str, version: int) -> None:
        """Note a deletion."""
        self._file.execute(
            "insert or replace into grave values (?, ?, ?)",
            (self._numbers[table], version, row_id),
        )

    def unbury(self, table: str, version: int) -> None:
        """Forget one deletion."""
        self._file.execute(
            "delete from grave where tbl = ? and version = ?", (self._numbers[table], version)
        )

    def buried(self, table: str, since: int, until: int, limit: int) -> list[tuple[int, str]]:
        """Return the deletions, by version."""
        return self._file.execute(
            "select version, id from grave where tbl = ? and version > ? and version <= ? "
            "order by version limit ?",
            (self._numbers[table], since, until, limit),
        ).fetchall()

    def clear_buried(self) -> None:
        """Forget all deletions."""
        self._file.execute("delete from grave")

    def last_version(self) -> int:
        """Return the greatest version of any row or tombstone."""
        numbers = range(self._one("select count(*) from layout"))
        versions = [
            self._one(f"select coalesce(max(version), 0) from {kept} where tbl = ?", number)  # noqa: S608  two fixed names
            for number in numbers
            for kept in ("live", "grave")
        ]
        return max(versions, default=0)

    def flush(self) -> None:
        """Commit, and begin the next transaction."""
        self._file.execute("commit")
        self._file.execute("begin")

    def close(self) -> None:
        """Flush and let go of the file."""
        self._file.execute("commit")
        self._file.close()

    def _one(self, statement: str, *parameters: object) -> int:
        return int(self._file.execute(statement, parameters).fetchone()[0])

    def _cells(self, table: str, text: str) -> Cells:
        cells: list[Cell] = [
            Decimal(cell[0]) if type(cell) is list else cell for cell in json.loads(text)
        ]
        missing = self._widths[table] - len(cells)
        return (*cells, *(None,) * missing) if missing else tuple(cells)
