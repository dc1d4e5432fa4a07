"""A file's schema, compared with the one that we would have made.

Invariant: nothing that SQL runs by itself is left in a file that is used: no trigger, view or
virtual table, no generated column, no default or check, no expression in an index but ours. The
text of every table and index is one that this storage writes for the layouts that the file names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, TypeAlias

from holdfast.contracts import Layout
from holdfast.errors import StorageDamaged, StorageError
from holdfast_sqlite._connection import Database
from holdfast_sqlite._file import check_identity, statements
from holdfast_sqlite._layouts import (
    create_sql,
    index_name,
    index_sql,
    index_sql_without_key,
    keyed_fields,
    stored_layouts,
)

#: Type, name and text, as SQLite keeps them; an index that SQLite made has no text.
_Object: TypeAlias = tuple[str, str, str | None]
#: What SQLite itself makes in a file that somebody analyses.
_STATISTICS: Final = (
    "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
    "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
)


def check_schema(database: Database, path: Path) -> int:
    """Refuse what the header does not show, and return the format; 0 is a file without tables.

    The newest header may still be in the write-ahead log.
    """
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    check_identity(path, application=application, version=version)
    objects = database.execute("SELECT s.type, s.name, s.sql FROM sqlite_schema AS s").fetchall()
    if not objects:
        return int(version)
    if application == 0:
        raise StorageError(f"{path} belongs to another program; choose another path")
    _refuse_what_runs(path, objects)
    # Nothing of the file is read as a table before that one is known to be ours.
    own = _own_tables(version)
    _refuse_strangers(path, [one for one in objects if one[1] in own], set(own.values()))
    if missing := own.keys() - {name for _, name, _ in objects}:
        raise StorageDamaged(str(path), f"there is no table {min(missing)!r}")
    known = {*own.values(), *map(_squeezed, _STATISTICS)}
    there = {name for _, name, _ in objects}
    for layout in _layouts(database, path):
        known.update(map(_squeezed, _texts(layout, there)))
    _refuse_strangers(path, objects, known)
    return int(version)


def _refuse_what_runs(path: Path, objects: Sequence[_Object]) -> None:
    for kind, name, sql in objects:
        virtual = str(sql).upper().startswith("CREATE VIRTUAL")
        if kind not in ("table", "index") or virtual:
            raise _stranger(path, "virtual table" if virtual else kind, name)


def _refuse_strangers(path: Path, objects: Sequence[_Object], known: set[str]) -> None:
    for kind, name, sql in objects:
        if sql is not None and _squeezed(sql) not in known:
            raise _stranger(path, kind, name)


def _stranger(path: Path, kind: str, name: str) -> StorageError:
    return StorageError(
        f"{path} has a {kind} {name[:80]!r} that holdfast did not make, or not so; "
        "drop it, or move the file away and download anew"
    )


def _own_tables(version: int) -> dict[str, str]:
    """Return the texts of the bookkeeping tables of a format, as SQLite comes to keep them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as blank:
        for statement in statements(0, version):
            blank.execute(statement)
        listed = blank.execute("SELECT s.name, s.sql FROM sqlite_schema AS s").fetchall()
        return {name: _squeezed(sql) for name, sql in listed if sql is not None}


def _layouts(database: Database, path: Path) -> list[Layout]:
    try:
        return list(stored_layouts(database).values())
    except ValueError:  # a kind of column that there is not
        raise StorageDamaged(str(path), "its own list of columns makes no sense") from None


def _texts(layout: Layout, there: Collection[str]) -> Iterator[str]:
    """Yield what a table and its indexes may read, in this format and the first one."""
    for keyed in (keyed_fields(layout), ()):
        yield create_sql(layout, layout.table, keyed)
    for field in layout.fields:
        if index_name(layout, field) in there:
            yield index_sql(layout, field)
            yield index_sql_without_key(layout, field)


def _squeezed(sql: str) -> str:
    """Return a text as SQLite keeps it, without white space: its versions differ there."""
    return "".join(sql.replace("CREATE INDEX IF NOT EXISTS", "CREATE INDEX", 1).split())
