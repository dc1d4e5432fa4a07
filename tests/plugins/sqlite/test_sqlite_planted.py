# ruff: noqa: ASYNC240  a test looks at files while nothing else runs
"""S-26: a file that somebody prepared is refused, in both modes, and not a byte of it changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from holdfast.contracts import Layout, OpenMode, Put, Storage
from holdfast.errors import StorageDamaged, StorageError
from holdfast.schema import Field, Kind
from holdfast_sqlite import Database, connect_inline

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]
FIELDS: Final = (
    Field("accountid", Kind.KEY),
    Field("name", Kind.TEXT),
    Field("revenue", Kind.DECIMAL),
    Field("modifiedon", Kind.DATETIME),
)
ACCOUNT: Final = Layout("account", FIELDS, ("name", "modifiedon"))
PEOPLE: Final = Layout("people", (Field("number", Kind.INTEGER), Field("name", Kind.TEXT)))


async def fill(open_sqlite: Open) -> None:
    async with open_sqlite() as storage:
        await storage.migrate([ACCOUNT, PEOPLE], version=1)
        await storage.write([Put("account", [("a", "Fjord", None, "2026-01-01T00:00:00Z")])])


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def rewrite(path: Path, name: str, old: str, new: str) -> None:
    """Change the text of a table where it stands, as no statement of SQL would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        changed = database.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ? AND instr(sql, ?)",
            (old, new, name, old),
        )
        assert changed.rowcount == 1
        database.execute("PRAGMA writable_schema = RESET")


async def refused(open_sqlite: Open, path: Path, match: str) -> None:
    before = path.read_bytes()
    for mode in OpenMode:
        with pytest.raises(StorageError, match=match):
            async with open_sqlite(mode):
                pass
        assert path.read_bytes() == before


PLANTED: Final = {
    "trigger": "CREATE TRIGGER planted AFTER INSERT ON account BEGIN DELETE FROM people; END",
    "instead of a view": "CREATE VIEW planted AS SELECT load_extension('evil') FROM account",
    "full text": "CREATE VIRTUAL TABLE planted USING fts5(x)",
    "tree": "CREATE VIRTUAL TABLE planted USING rtree(id, a, b)",
    "table": "CREATE TABLE planted (x)",
    "table with a default": "CREATE TABLE planted (x DEFAULT (randomblob(1000000000)))",
    "partial index": "CREATE INDEX planted ON account (name) WHERE abs(revenue) > 1",
    "index with an expression": "CREATE INDEX planted ON account (printf('%1000000d', name))",
    "plain index": "CREATE INDEX planted ON account (name)",
    "unique index": "CREATE UNIQUE INDEX planted ON account (name)",
    "virtual column": "ALTER TABLE account ADD COLUMN planted TEXT AS (hex(name)) VIRTUAL",
    "column": "ALTER TABLE account ADD COLUMN planted TEXT",
    "default": "ALTER TABLE people ADD COLUMN planted TEXT DEFAULT 'x'",
    "check": "ALTER TABLE people ADD COLUMN planted TEXT CHECK (planted <> 'x')",
    "reference": "ALTER TABLE people ADD COLUMN planted TEXT REFERENCES account ON DELETE CASCADE",
    "in the bookkeeping": "ALTER TABLE _holdfast_sqlite_field ADD COLUMN planted TEXT AS (1)",
    "a name like ours": "CREATE TABLE _holdfast_sqlite_new (x)",
    "a name to print": 'CREATE TABLE "\x1b[2J\u202eplanted" (x)',
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
async def test_what_was_planted_is_refused(open_sqlite: Open, path: Path, planted: str) -> None:
    await fill(open_sqlite)
    change(path, planted)
    await refused(open_sqlite, path, "that holdfast did not make")


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("people", '"name" TEXT', '"name" TEXT AS (hex("number"))'),
        ("people", '"name" TEXT', "\"name\" TEXT DEFAULT ('x')"),
        ("people", '"name" TEXT', '"name" TEXT CHECK (abs("name"))'),
        ("people", '"name" TEXT', '"name" TEXT COLLATE NOCASE'),
        ("people", ") STRICT", ")"),
        ("account.modifiedon", "rtrim", "ltrim"),
        ("_holdfast_sqlite_field", "kind TEXT NOT NULL", "kind TEXT AS ('text')"),
        ("_holdfast_sqlite_state", "CHECK (id = 1)", "CHECK (abs(id) = 1)"),
    ],
)
async def test_a_text_that_was_changed_in_place_is_refused(
    open_sqlite: Open, path: Path, table: str, old: str, new: str
) -> None:
    await fill(open_sqlite)
    rewrite(path, table, old, new)
    await refused(open_sqlite, path, "that holdfast did not make, or not so")


async def test_a_view_in_the_place_of_a_table_of_ours_is_not_read(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    change(
        path,
        "ALTER TABLE _holdfast_sqlite_field RENAME TO x",
        "CREATE VIEW _holdfast_sqlite_field AS SELECT * FROM x",
    )
    await refused(open_sqlite, path, "has a view '_holdfast_sqlite_field'")


async def test_a_list_of_columns_that_makes_no_sense_is_damage(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    change(path, "UPDATE _holdfast_sqlite_field SET kind = 'nonsense' WHERE name = 'revenue'")
    with pytest.raises(StorageDamaged, match="its own list of columns makes no sense"):
        async with open_sqlite():
            pass


async def test_a_name_in_that_list_never_becomes_sql(open_sqlite: Open, path: Path) -> None:
    await fill(open_sqlite)
    change(path, """UPDATE _holdfast_sqlite_field SET name = 'x" TEXT); DROP TABLE people; --'""")
    await refused(open_sqlite, path, "cannot be the name of a table or column")


async def test_a_table_that_is_gone_is_damage(open_sqlite: Open, path: Path) -> None:
    await fill(open_sqlite)
    change(path, "DROP TABLE _holdfast_sqlite_state")
    with pytest.raises(StorageDamaged, match="there is no table '_holdfast_sqlite_state'"):
        async with open_sqlite():
            pass


async def test_a_file_that_another_tool_analysed_and_packed_is_as_it_was(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    change(path, "ANALYZE", "VACUUM", "REINDEX")
    async with open_sqlite() as storage:
        assert len(await storage.read("account", ["a"])) == 1


async def test_every_connection_distrusts_the_file(open_sqlite: Open) -> None:
    """Where Python reaches them (3.12), SQLite's own switches stand too."""
    found: list[dict[str, Any]] = []

    async def connect(uri: str, prepare: Callable[[Database], None]) -> Any:
        connection = await connect_inline(uri, prepare)

        def look(database: Any) -> dict[str, Any]:
            pragmas = ("trusted_schema", "cell_size_check")
            seen = {p: database.execute(f"PRAGMA {p}").fetchone()[0] for p in pragmas}
            if hasattr(database, "getconfig"):
                names = ("DEFENSIVE", "ENABLE_TRIGGER", "ENABLE_VIEW", "DQS_DML", "DQS_DDL")
                for name in names:
                    code = getattr(sqlite3, f"SQLITE_DBCONFIG_{name}")
                    seen[name] = database.getconfig(code)
            return seen

        found.append(await connection.run(look))
        return connection

    async with open_sqlite(connect=connect) as storage:
        await storage.migrate([ACCOUNT], version=1)
    assert len(found) >= 3
    for seen in found:
        assert (seen.pop("trusted_schema"), seen.pop("cell_size_check")) == (0, 1)
        assert not seen or seen.pop("DEFENSIVE") is True
        assert not any(seen.values())
