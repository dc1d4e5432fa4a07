"""Records out of a file that may be damaged.

Invariant: the file and its log keep every byte, and nothing that the file's schema says is run. A
record that cannot be read costs that record and no other, as far as SQLite can step over it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from holdfast.contracts import Layout, Salvage
from holdfast.errors import StorageDamaged, StorageError
from holdfast.model import Record
from holdfast.schema import Kind
from holdfast_sqlite import _file
from holdfast_sqlite._cells import Decoder
from holdfast_sqlite._connection import Connect, Database
from holdfast_sqlite._names import quoted

_DEFENSIVE: Final = "SQLITE_DBCONFIG_DEFENSIVE"
_FINDINGS: Final = 100  # more are no help
_SINGLE_STEPS: Final = 10_000
_LARGEST_KEY: Final = 2**63 - 1
_TEXTS: Final = frozenset({Kind.TEXT, Kind.KEY, Kind.DECIMAL, Kind.DATETIME})


async def salvage(connect: Connect, path: Path, layouts: Sequence[Layout]) -> Salvage:
    """Read what can be read of these tables."""
    _file.check_kind(path)
    try:
        connection = await connect(f"{path.as_uri()}?mode=ro", _prepare)
    except sqlite3.OperationalError:
        # The folder may not be written: SQLite cannot keep its index of the log there.
        if _file.log_size(path):
            raise StorageError(
                f"{path} cannot be read where it is; copy it, and the file that ends in -wal, "
                "to a folder that may be written"
            ) from None
        connection = await connect(f"{path.as_uri()}?immutable=1", _prepare)
    try:
        return await connection.run(lambda database: _salvage(database, path, layouts))
    finally:
        await connection.close()


def _prepare(database: Database) -> None:
    """Set up a connection that reads in spite of a schema that makes no sense.

    SQLite overlooks the faults of one whose text may be written; this connection cannot write.
    """
    configure = getattr(database, "setconfig", None)
    if configure is not None:  # since Python 3.12
        configure(getattr(sqlite3, _DEFENSIVE), False)
    for pragma in (
        "trusted_schema = OFF",
        "query_only = ON",
        "cell_size_check = ON",
        "writable_schema = ON",
    ):
        database.execute(f"PRAGMA {pragma}").fetchall()
    database.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # opens what can be opened


def _salvage(database: Database, path: Path, layouts: Sequence[Layout]) -> Salvage:
    records: dict[str, list[Record]] = {}
    missed: list[str] = []
    for layout in layouts:
        if not _is_plain_table(database, layout.table):
            raise StorageDamaged(str(path), f"there is no table {layout.table!r}")
        scan = _Scan(database, layout)
        records[layout.table] = list(Decoder.of([f.kind for f in layout.fields]).decode(scan.all()))
        if scan.missed:
            missed.append(layout.table)
    return Salvage(records, _damage(database), missed)


def _is_plain_table(database: Database, name: str) -> bool:
    """Tell whether it is what we made: a view or virtual table would run somebody else's SQL."""
    found = database.execute(
        "SELECT s.type, s.sql FROM sqlite_schema AS s WHERE s.name = ?", (name,)
    ).fetchall()
    return any(k == "table" and not str(sql).upper().startswith("CREATE V") for k, sql in found)


def _damage(database: Database) -> list[str]:
    try:
        lines = database.execute(f"PRAGMA integrity_check({_FINDINGS})").fetchall()
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [str(line) for (text,) in lines for line in str(text).splitlines() if line != "ok"]


class _Scan:
    """The rows of one table, by row number: up to the damage, behind it, and down to it."""

    def __init__(self, database: Database, layout: Layout) -> None:
        self._database = database
        there = {
            str(column[1])
            for column in database.execute(f"PRAGMA table_info({quoted(layout.table)})").fetchall()
        }
        cells = ", ".join(
            _cell(field.name, field.kind) if field.name in there else "NULL"
            for field in layout.fields
        )
        self._texts = [at for at, field in enumerate(layout.fields) if field.kind in _TEXTS]
        self._select = f"SELECT t.rowid, {cells} FROM {quoted(layout.table)} AS t NOT INDEXED"  # noqa: S608  identifiers are validated
        self._found: dict[int, Record] = {}
        self._last = 0
        self.missed = False

    def all(self) -> list[Record]:
        """Return every record that can be read, in order."""
        if not self._read("WHERE t.rowid > ? ORDER BY t.rowid", -_LARGEST_KEY):
            self.missed = True
            stopped = self._last
            self._read("WHERE t.rowid < ? ORDER BY t.rowid DESC", _LARGEST_KEY)
            self._step_over(stopped)
        return [self._found[key] for key in sorted(self._found)]

    def _step_over(self, key: int) -> None:
        """Go on behind the damage, first close to it and then ever farther, up to what was read."""
        behind = min((one for one in self._found if one > key), default=_LARGEST_KEY)
        step = 1
        for tried in range(_SINGLE_STEPS + 64):
            key += step
            if key >= behind:
                return
            self._last = key
            if self._read("WHERE t.rowid >= ? AND t.rowid < ? ORDER BY t.rowid", key, behind):
                return
            key = self._last
            if tried >= _SINGLE_STEPS:
                step *= 2

    def _read(self, condition: str, *parameters: int) -> bool:
        """Read on until the end or an error; tell whether it was the end."""
        try:
            cursor = self._database.execute(f"{self._select} {condition}", parameters)
            while (row := cursor.fetchone()) is not None:
                self._last = row[0]
                self._found[self._last] = self._decoded(row[1:])
        except sqlite3.DatabaseError:
            return False
        return True

    def _decoded(self, row: Sequence[object]) -> Record:
        cells = list(row)
        for at in self._texts:
            if isinstance(given := cells[at], bytes):
                cells[at] = given.decode("utf-8", "replace")
        return cells  # type: ignore[return-value]  # a STRICT table holds cells


def _cell(name: str, kind: Kind) -> str:
    """Return a column as SQL; a text as its bytes, which may be none of UTF-8 any more."""
    return f"CAST(t.{quoted(name)} AS BLOB)" if kind in _TEXTS else f"t.{quoted(name)}"
