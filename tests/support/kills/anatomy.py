"""Everything that stands in a file, so that two states of it can be told apart, and older files.

An older file is made from a new one, as that format was: scripts that only lead forward have no
other witness.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.kills.autopsy import copied

#: Tables that tell of the others; they change whenever those do.
_OF_THE_LAYOUT: Final = ("_holdfast_sqlite_", "_holdfast_schemas")


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The format, the schema, and the rows of each table in an order that says nothing."""

    format: int
    schema: frozenset[tuple[str, str]]
    rows: Mapping[str, Sequence[Mapping[str, Any]]]  # Any: as SQLite gives it

    def lost(self, later: Anatomy) -> list[str]:
        """Return the tables of which a value that was here is not there any more."""
        return [
            table
            for table, rows in self.rows.items()
            if not table.startswith(_OF_THE_LAYOUT)
            and rows
            and _values(rows, list(rows[0])) != _values(later.rows[table], list(rows[0]))
        ]


def _values(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Counter[str]:
    return Counter(repr([row[name] for name in columns]) for row in rows)


def anatomy(path: Path) -> Anatomy:
    """Read all of a file, as it would be found by the next who opens it; none is an empty one.

    :raises AssertionError: SQLite finds something wrong with it
    """
    with copied(path) as database:
        database.row_factory = sqlite3.Row
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        (number,) = database.execute("PRAGMA user_version").fetchone()
        schema = database.execute(
            "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
        ).fetchall()
        tables = sorted(name for kind, name, _ in schema if kind == "table")
        rows = {t: [dict(row) for row in database.execute(f'SELECT * FROM "{t}"')] for t in tables}
        for found in rows.values():
            found.sort(key=repr)
        return Anatomy(number, frozenset((name, sql) for _, name, sql in schema), rows)


def restore(pristine: Path, path: Path) -> None:
    """Put a closed file, or none if there was none, in the place of another one and its log."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    if pristine.exists():
        shutil.copyfile(pristine, path)


def as_format_1(path: Path) -> None:
    """Make the file what the first format was: no key columns, indexes on a column alone."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN")
        for table, field, key in database.execute(
            "SELECT table_name, name, key_column FROM _holdfast_sqlite_field WHERE indexed"
        ).fetchall():
            database.execute(f'DROP INDEX IF EXISTS "{table}.{field}"')
            if key is not None:
                database.execute(f'ALTER TABLE "{table}" DROP COLUMN "{key}"')
            else:
                database.execute(f'CREATE INDEX "{table}.{field}" ON "{table}" ("{field}")')
        database.execute("ALTER TABLE _holdfast_sqlite_field DROP COLUMN key_column")
        database.execute("ALTER TABLE _holdfast_sqlite_state DROP COLUMN unicode")
        database.execute("PRAGMA user_version = 1")
        database.execute("COMMIT")
