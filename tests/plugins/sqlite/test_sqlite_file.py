# ruff: noqa: ASYNC240  a test looks at files while nothing else runs
from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from pydantic import ValidationError

import holdfast_sqlite
from holdfast.contracts import Layout, OpenMode, Put, Query, Storage
from holdfast.errors import ReplicaTooNew, StorageError, StorageMissing
from holdfast.filters import ColumnRef, Compare, Comparison, Literal
from holdfast.schema import Field, Kind
from holdfast_sqlite import (
    Connect,
    Connection,
    Database,
    SqliteStorage,
    connect_in_thread,
    connect_inline,
)

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]
NAME: Final = ColumnRef("name", Kind.TEXT)
APPLICATION_ID: Final = 0x686F6C64
ACCOUNT: Final = Layout(
    "account",
    (
        Field("accountid", Kind.KEY),
        Field("_holdfast_version", Kind.KEY),
        Field("name", Kind.TEXT),
        Field("revenue", Kind.DECIMAL),
        Field("statecode", Kind.INTEGER),
        Field("creditonhold", Kind.BOOLEAN),
        Field("modifiedon", Kind.DATETIME),
        Field("address1_latitude", Kind.REAL),
    ),
    ("statecode", "modifiedon", "name"),
)
FJORD: Final = (
    "a1",
    "W/1",
    "Fjord Marine",
    Decimal("12345678901.1234567891"),
    0,
    True,
    "2024-06-12T14:13:17Z",
    60.39,
)


async def fill(open_sqlite: Open) -> None:
    async with open_sqlite() as storage:
        await storage.migrate([ACCOUNT], version=7)
        await storage.write([Put("account", [FJORD])])


def look(path: Path, sql: str) -> list[Any]:
    """Ask as any SQLite tool would: without a function of ours."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


# --- what other tools see -------------------------------------------------------------------------


async def test_the_file_reads_as_a_plain_one(open_sqlite: Open, path: Path) -> None:
    await fill(open_sqlite)
    assert [row[1:3] for row in look(path, "PRAGMA table_info(account)")] == [
        ("accountid", "TEXT"),
        ("name", "TEXT"),
        ("revenue", "TEXT"),
        ("statecode", "INTEGER"),
        ("creditonhold", "INTEGER"),
        ("modifiedon", "TEXT"),
        ("address1_latitude", "REAL"),
        ("_holdfast_version", "TEXT"),
        ("_holdfast_sqlite_key_name", "TEXT"),
    ]
    assert look(path, "SELECT name, revenue, statecode FROM account") == [
        ("Fjord Marine", "12345678901.1234567891", 0)
    ]
    assert look(path, "PRAGMA integrity_check") == [("ok",)]
    assert look(path, "PRAGMA page_size") == [(16384,)]
    assert look(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


async def test_the_schema_names_no_function_or_collation_of_ours(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    schema = "\n".join(sql for (sql,) in look(path, "SELECT sql FROM sqlite_schema") if sql)
    assert "holdfast_fold(" not in schema
    assert "COLLATE" not in schema
    assert "WITHOUT ROWID" not in schema
    change(path, "INSERT INTO account (accountid, name) VALUES ('a2', 'Ø')", "REINDEX")


INDEXES: Final = """
    SELECT l.name, group_concat(coalesce(x.name, 'an expression'), ', ')
    FROM sqlite_schema AS l, pragma_index_info(l.name) AS x
    WHERE l.type = 'index' AND l.sql IS NOT NULL GROUP BY l.name ORDER BY l.name
"""


async def test_an_index_is_on_what_is_compared_and_then_on_the_key(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    assert look(path, INDEXES) == [
        ("account.modifiedon", "an expression, accountid"),
        ("account.name", "_holdfast_sqlite_key_name, accountid"),
        ("account.statecode", "statecode, accountid"),
    ]
    assert look(path, "SELECT name, key_column FROM _holdfast_sqlite_field WHERE indexed") == [
        ("name", "_holdfast_sqlite_key_name"),
        ("statecode", None),
        ("modifiedon", None),
    ]


async def test_an_index_that_is_added_is_filled_and_one_that_goes_takes_its_column_along(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    wanted = Layout("account", ACCOUNT.fields, ("name", "revenue"))
    other = ("a2", "W/2", "ØRSTED", None, 0, None, None, None)
    keys = (
        "SELECT _holdfast_sqlite_key_name, _holdfast_sqlite_key_revenue FROM account "
        "ORDER BY accountid"
    )
    async with open_sqlite() as storage:
        await storage.write([Put("account", [other])])
        await storage.migrate([wanted], version=8)
        assert look(path, keys) == [
            ("fjord marine", "\u07db12345678901.1234567891"),
            ("ørsted", None),
        ]
        await storage.write(
            [Put("account", [(*other[:2], "Straße", Decimal("-1.50"), *other[4:])])]
        )
        assert look(path, keys)[1] == ("strasse", "\u07cf8.4~")
        await storage.migrate([Layout("account", ACCOUNT.fields)], version=9)
        assert await anext(storage.query(Query("account"))) == FJORD
    assert look(path, INDEXES) == []
    assert len(look(path, "PRAGMA table_info(account)")) == len(ACCOUNT.fields)


async def test_a_table_that_is_filling_gets_its_keys_at_once_and_its_indexes_at_the_end(
    open_sqlite: Open, path: Path
) -> None:
    filling = replace(ACCOUNT, filling=True)
    async with open_sqlite() as storage:
        await storage.migrate([filling], version=7)
        await storage.write([Put("account", [FJORD])])
        assert look(path, INDEXES) == []
        assert look(path, "SELECT _holdfast_sqlite_key_name FROM account") == [("fjord marine",)]
        fjord = Compare(Comparison.EQ, ColumnRef("name", Kind.TEXT), Literal("FJORD marine"))
        assert [r async for r in storage.query(Query("account", fjord))] == [FJORD]
        await storage.migrate([ACCOUNT], version=7)
        made = look(path, INDEXES)
        assert len(made) == len(ACCOUNT.indexes)
        await storage.migrate([filling], version=7)  # as after a crash that forgot the end
        assert look(path, INDEXES) == made
        assert [r async for r in storage.query(Query("account", fjord))] == [FJORD]


def as_format_1(path: Path) -> None:
    """Make the file what the first format was: indexes on the column alone, none on text."""
    change(
        path,
        'DROP INDEX "account.name"',
        'DROP INDEX "account.statecode"',
        'CREATE INDEX "account.statecode" ON "account" ("statecode")',
        "ALTER TABLE account DROP COLUMN _holdfast_sqlite_key_name",
        "ALTER TABLE _holdfast_sqlite_field DROP COLUMN key_column",
        "ALTER TABLE _holdfast_sqlite_state DROP COLUMN unicode",
        "PRAGMA user_version = 1",
    )


async def test_a_file_of_the_first_format_gets_its_keys_when_its_owner_opens_it(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    as_format_1(path)
    with pytest.raises(StorageError, match="written by an older version; open it once to write"):
        async with open_sqlite(OpenMode.READER):
            pass
    async with open_sqlite() as storage:
        assert await storage.version() == 7
        assert [record async for record in storage.query(Query("account"))] == [FJORD]
    assert look(path, "SELECT _holdfast_sqlite_key_name FROM account") == [("fjord marine",)]
    assert ("account.statecode", "statecode, accountid") in look(path, INDEXES)


async def test_keys_of_another_unicode_are_not_trusted_and_made_anew_by_the_owner(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    change(
        path,
        "UPDATE _holdfast_sqlite_state SET unicode = '1.0'",
        "UPDATE account SET _holdfast_sqlite_key_name = 'as folded long ago'",
    )
    named = Query("account", Compare(Comparison.EQ, NAME, Literal("FJORD MARINE")))
    async with open_sqlite(OpenMode.READER) as reader:
        assert [record async for record in reader.query(named)] == [FJORD]
    async with open_sqlite() as storage:
        assert [record async for record in storage.query(named)] == [FJORD]
    assert look(path, "SELECT _holdfast_sqlite_key_name FROM account") == [("fjord marine",)]


async def test_a_wrong_cell_is_refused_and_not_bent(open_sqlite: Open) -> None:
    await fill(open_sqlite)
    async with open_sqlite() as storage:
        for at, cell in ((4, "not a number"), (3, Decimal("NaN")), (3, Decimal("1E+999999"))):
            wrong = [*FJORD[:at], cell, *FJORD[at + 1 :]]
            with pytest.raises(StorageError):
                await storage.write([Put("account", [wrong])])
        assert [record async for record in storage.query(Query("account"))] == [FJORD]


# --- settings of each connection ------------------------------------------------------------------

EXPECTED: Final = {
    "journal_mode": "wal",
    "synchronous": 2,
    "fullfsync": 1,
    "checkpoint_fullfsync": 1,
    "trusted_schema": 0,
    "busy_timeout": 5000,
}


@pytest.mark.parametrize("connect", [connect_in_thread, connect_inline])
async def test_every_connection_is_set_up_for_durability(
    open_sqlite: Open, connect: Connect
) -> None:
    made: list[Connection] = []

    async def recorded(uri: str, prepare: Callable[[Database], None]) -> Connection:
        made.append(await connect(uri, prepare))
        return made[-1]

    def pragmas(database: Database) -> dict[str, object]:
        return {
            name: database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in (*EXPECTED, "query_only")
        }

    async with open_sqlite(connect=recorded) as storage:
        await storage.migrate([ACCOUNT], version=1)
        await storage.count("account")
        async with open_sqlite(OpenMode.READER, connect=recorded) as reader:
            await reader.count("account")
            assert await reader.version() == await storage.version() == 1
            found = [await each.run(pragmas) for each in made if not each.closed]
    assert len(found) == 5
    assert [each.pop("query_only") for each in found].count(0) == 1
    assert found == [EXPECTED] * len(found)


# --- who may read the file ------------------------------------------------------------------------


async def test_folder_and_files_are_for_their_owner_alone(open_sqlite: Open, path: Path) -> None:
    before = os.umask(0)
    try:
        async with open_sqlite() as storage:
            await storage.migrate([ACCOUNT], version=1)
            await storage.count("account")
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert {"replica.db", "replica.db-wal", "replica.db.lock", "replica.db.owner"} <= modes.keys()


@pytest.mark.parametrize("mode", list(OpenMode))
async def test_a_symlink_in_the_place_of_the_file_is_refused(
    open_sqlite: Open, path: Path, tmp_path: Path, mode: OpenMode
) -> None:
    path.parent.mkdir()
    for target in (tmp_path / "other.db", tmp_path / "missing.db"):
        if target.name == "other.db":
            target.write_bytes(b"")
        path.symlink_to(target)
        with pytest.raises(StorageError, match="symbolic link"):
            async with open_sqlite(mode):
                pass
        path.unlink()
    assert not (tmp_path / "missing.db").exists()


# --- files of others ------------------------------------------------------------------------------


async def refused(open_sqlite: Open, path: Path, error: type[StorageError], match: str) -> None:
    """Expect both modes to refuse the file, and every byte of it to stay."""
    before = path.read_bytes()
    for mode in OpenMode:
        with pytest.raises(error, match=match):
            async with open_sqlite(mode):
                pass
        assert path.read_bytes() == before


async def test_a_file_of_a_newer_holdfast_is_refused_untouched(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    change(path, "PRAGMA user_version = 99")
    await refused(open_sqlite, path, ReplicaTooNew, "format 99")
    assert not path.with_name("replica.db-wal").exists()


async def test_a_newer_format_is_seen_in_the_log_too(open_sqlite: Open, path: Path) -> None:
    """A newer holdfast that was killed leaves it there; the header of the file is the old one."""
    await fill(open_sqlite)
    log = path.with_name("replica.db-wal")
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
        content, newest = path.read_bytes(), log.read_bytes()
    path.write_bytes(content)
    log.write_bytes(newest)
    await refused(open_sqlite, path, ReplicaTooNew, "format 99")
    assert log.read_bytes() == newest


@pytest.mark.parametrize(
    "statements",
    [
        ["PRAGMA application_id = 7"],
        ["CREATE TABLE theirs (x)"],
        ["PRAGMA user_version = 3"],
    ],
    ids=["id", "table", "version"],
)
async def test_a_file_of_another_program_is_refused_untouched(
    open_sqlite: Open, path: Path, statements: list[str]
) -> None:
    path.parent.mkdir()
    change(path, *statements)
    await refused(open_sqlite, path, StorageError, "another program")


@pytest.mark.parametrize("content", [b"not a database", b"x" * 5000, b"SQLite format 3\0"])
async def test_what_is_no_sqlite_file_is_refused_untouched(
    open_sqlite: Open, path: Path, content: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    await refused(open_sqlite, path, StorageError, "no SQLite file")


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER planted AFTER INSERT ON account BEGIN DELETE FROM account; END",
        "CREATE VIEW planted AS SELECT * FROM account",
        "CREATE VIRTUAL TABLE planted USING fts5(x)",
    ],
    ids=["trigger", "view", "virtual"],
)
async def test_a_planted_schema_is_refused(open_sqlite: Open, path: Path, planted: str) -> None:
    await fill(open_sqlite)
    change(path, planted)
    await refused(open_sqlite, path, StorageError, "did not make")


async def test_a_start_that_was_cut_short_goes_on(open_sqlite: Open, path: Path) -> None:
    """The file is there, perhaps in WAL mode, and holds nothing."""
    path.parent.mkdir()
    path.write_bytes(b"")
    await fill(open_sqlite)
    path.unlink()
    change(path, "PRAGMA journal_mode = WAL")
    await fill(open_sqlite)
    assert look(path, "SELECT count(*) FROM account") == [(1,)]


async def test_a_reader_says_what_to_do_about_a_file_that_is_missing_or_empty(
    open_sqlite: Open, path: Path
) -> None:
    with pytest.raises(StorageMissing, match=r"no replica at .* yet; run a download"):
        async with open_sqlite(OpenMode.READER):
            pass
    assert not path.parent.exists()
    path.parent.mkdir()
    path.write_bytes(b"")
    with pytest.raises(StorageError, match="written by an older version; open it once to write"):
        async with open_sqlite(OpenMode.READER):
            pass
    assert path.read_bytes() == b""


async def test_a_reader_is_told_that_it_cannot_write(open_sqlite: Open) -> None:
    await fill(open_sqlite)
    async with open_sqlite(OpenMode.READER) as reader:
        with pytest.raises(StorageError, match="only its owner writes"):
            await reader.write([Put("account", [FJORD])])


async def test_a_reader_follows_a_migration_of_its_owner(open_sqlite: Open) -> None:
    await fill(open_sqlite)
    key, _, name, *_ = ACCOUNT.fields
    async with open_sqlite() as storage, open_sqlite(OpenMode.READER) as reader:
        assert await reader.read("account", ["a1"]) == [FJORD]
        await storage.migrate([Layout("account", (key, name))], version=8)
        assert await reader.read("account", ["a1"]) == [("a1", "Fjord Marine")]
        assert await reader.version() == 8


async def test_a_folder_that_is_none_is_said_to_be_so(open_sqlite: Open, path: Path) -> None:
    path.parent.write_text("a file in the place of the folder")
    with pytest.raises(StorageError, match="check its folder"):
        async with open_sqlite():
            pass


# --- closing --------------------------------------------------------------------------------------


async def test_closing_leaves_one_file_and_no_thread(open_sqlite: Open, path: Path) -> None:
    before = threading.active_count()
    async with open_sqlite() as storage:
        await storage.migrate([ACCOUNT], version=1)
        await storage.write([Put("account", [FJORD])])
        for _ in range(3):
            await storage.count("account")
        assert threading.active_count() > before
        size = await storage.size()
        log = path.with_name("replica.db-wal")
        assert size == path.stat().st_size + log.stat().st_size
    assert threading.active_count() == before
    assert {each.name for each in path.parent.iterdir()} <= {"replica.db", "replica.db.lock"}


async def test_closing_beside_a_reader_still_moves_the_log_into_the_file(
    open_sqlite: Open, path: Path
) -> None:
    async with open_sqlite() as storage:
        await storage.migrate([ACCOUNT], version=1)
        reader = open_sqlite(OpenMode.READER)
        async with reader as beside:
            await storage.write([Put("account", [FJORD])])
            assert await beside.count("account") == 1
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    assert look(copy, "SELECT count(*) FROM account") == [(1,)]


async def test_an_opening_that_fails_or_is_cancelled_leaves_no_thread(
    open_sqlite: Open, path: Path
) -> None:
    before = threading.active_count()

    def fail(_: Database) -> None:
        raise sqlite3.OperationalError("planted")

    async def failing(uri: str, _: Callable[[Database], None]) -> Connection:
        return await connect_in_thread(uri, fail)

    with pytest.raises(StorageError, match="planted"):
        async with open_sqlite(connect=failing):
            pass

    async def run() -> None:
        async with open_sqlite():
            await asyncio.Event().wait()

    for steps in range(40):
        task = asyncio.ensure_future(run())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await fill(open_sqlite)
    for thread in threading.enumerate()[before:]:
        thread.join(10)
    assert threading.active_count() == before
    assert path.exists()


# --- the public face ------------------------------------------------------------------------------


def test_settings_know_the_path_and_nothing_else() -> None:
    assert SqliteStorage.Settings(path=Path("field.db")).path == Path("field.db")
    with pytest.raises(ValidationError):
        SqliteStorage.Settings.model_validate({"path": "field.db", "durabilty": "fast"})


def test_all_public_names_are_there() -> None:
    assert all(hasattr(holdfast_sqlite, name) for name in holdfast_sqlite.__all__)
    assert sorted(holdfast_sqlite.__all__) == list(holdfast_sqlite.__all__)
