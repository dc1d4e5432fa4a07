# ruff: noqa: ASYNC240  a test looks at files while nothing else runs
"""P13: damage is said, the file is kept to the byte, and what can be read of it is read."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from holdfast.contracts import Context, Layout, OpenMode, Put, Query, Storage
from holdfast.errors import HoldfastError, StorageDamaged, StorageError, StorageMissing
from holdfast.filters import ColumnRef, Compare, Comparison, Literal
from holdfast.model import Record
from holdfast.schema import Field, Kind
from holdfast.testing import system_environment
from holdfast_sqlite import SqliteSettings, SqliteStorage

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]
PAGE: Final = 16384
QUEUE: Final = Layout(
    "queue",
    (Field("sequence", Kind.INTEGER), Field("row", Kind.KEY), Field("text", Kind.TEXT)),
    ("row",),
)
NOBODY: Final = 65534


def queued(count: int) -> list[Record]:
    return [(at, f"account/{at}", f"{at} {'x' * 400}") for at in range(1, count + 1)]


async def fill(open_sqlite: Open, count: int = 300) -> None:
    async with open_sqlite() as storage:
        await storage.migrate([QUEUE], version=1)
        await storage.write([Put("queue", queued(count))])


async def everything(storage: Storage) -> list[Record]:
    return [tuple(record) async for record in storage.query(Query("queue"))]


async def salvaged(path: Path) -> tuple[list[Record], list[str], bool]:
    """Return what is rescued, the damage that is told of, and whether something was missed."""
    before = path.read_bytes()
    context = Context(system_environment(), path.parent)
    found = await SqliteStorage.salvage(SqliteSettings(path=path), context, [QUEUE])
    assert path.read_bytes() == before
    records: list[Record] = [tuple(record) for record in found.records["queue"]]
    return records, list(found.damage), "queue" in found.missed


def leaves(path: Path, name: str) -> list[int]:
    """Return the numbers, from 0, of the pages that hold the rows of a table or index."""
    with closing(sqlite3.connect(path)) as database:
        (root,) = database.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)
        ).fetchone()
    content = path.read_bytes()
    page = content[(root - 1) * PAGE : root * PAGE]
    assert page[0] in (2, 5)  # an inner page: the tree has leaves
    cells = int.from_bytes(page[3:5], "big")
    starts = [int.from_bytes(page[12 + 2 * at : 14 + 2 * at], "big") for at in range(cells)]
    children = [int.from_bytes(page[start : start + 4], "big") for start in starts]
    return [child - 1 for child in [*children, int.from_bytes(page[8:12], "big")]]


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


# --- each kind of damage --------------------------------------------------------------------------


async def test_a_header_that_was_overwritten_is_refused(open_sqlite: Open, path: Path) -> None:
    await fill(open_sqlite)
    for at, content, words in (
        (0, b"\0" * 16, "no SQLite file"),
        (16, b"\xff\xff", "damaged"),  # the size of a page
        (100, b"\xff" * 200, "damaged"),  # the root of the schema
    ):
        whole = path.read_bytes()
        overwrite(path, at, content)
        broken = path.read_bytes()
        for mode in OpenMode:
            with pytest.raises(StorageError, match=words):
                async with open_sqlite(mode):
                    pass
            assert path.read_bytes() == broken
        with pytest.raises(StorageError):
            await salvaged(path)
        path.write_bytes(whole)


@pytest.mark.parametrize("kept", [3 * PAGE, 5 * PAGE + 100, 2 * PAGE - 1])
async def test_a_file_that_was_cut_is_damaged(open_sqlite: Open, path: Path, kept: int) -> None:
    await fill(open_sqlite)
    cut = path.read_bytes()[:kept]
    path.write_bytes(cut)
    with pytest.raises(StorageDamaged, match="damaged"):
        async with open_sqlite() as storage:
            await everything(storage)
    assert path.read_bytes() == cut


async def test_a_page_in_the_middle_ends_the_writing_and_costs_its_own_rows(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    middle = leaves(path, "queue")[3]
    overwrite(path, middle * PAGE, b"\xff" * PAGE)
    broken = path.read_bytes()
    async with open_sqlite() as storage:
        await storage.write([Put("queue", [(1, "account/1", "changed")])])  # not known yet
        with pytest.raises(StorageDamaged, match="damaged") as caught:
            await everything(storage)
        assert caught.value.location == str(path)
        log = path.with_name("replica.db-wal").read_bytes()
        with pytest.raises(StorageDamaged, match="damaged"):
            await storage.write([Put("queue", [(2, "account/2", "changed")])])
        with pytest.raises(StorageDamaged, match="damaged"):
            await storage.migrate([QUEUE], version=2)
    assert path.read_bytes() == broken
    assert path.with_name("replica.db-wal").read_bytes() == log
    records, damage, missed = await salvaged(path)
    lost = {int(str(r[0])) for r in queued(300)} - {int(str(r[0])) for r in records}
    assert missed
    assert damage
    assert records[0] == (1, "account/1", "changed")
    assert 0 < len(lost) < 45
    assert max(lost) - min(lost) == len(lost) - 1
    assert records[1:] == [r for r in queued(300)[1:] if r[0] not in lost]


async def test_what_stands_between_two_damaged_pages_is_read_too(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    pages = leaves(path, "queue")
    for page in (pages[2], pages[5]):
        overwrite(path, page * PAGE, b"\xff" * PAGE)
    records, _, missed = await salvaged(path)
    numbers = [int(str(r[0])) for r in records]
    assert missed
    assert numbers == sorted(numbers)
    assert sum(two > one + 1 for one, two in pairwise(numbers)) == 2
    assert len(numbers) > 300 - 2 * 45


async def test_an_index_that_disagrees_is_told_and_costs_no_row(
    open_sqlite: Open, path: Path
) -> None:
    """Nothing that is read as usual shows it: the index answers, and answers wrongly."""
    await fill(open_sqlite, 3000)
    leaf = leaves(path, "queue.row")[1]
    content = path.read_bytes()
    page = content[leaf * PAGE : (leaf + 1) * PAGE]
    overwrite(path, leaf * PAGE, page.replace(b"account/", b"account!"))
    records, damage, missed = await salvaged(path)
    assert (records, missed) == (queued(3000), False)
    assert any("missing from index queue.row" in line for line in damage)
    assert not any("xxx" in line for line in damage)


async def test_a_schema_that_makes_no_sense_is_refused_and_rescued_from(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            "UPDATE sqlite_schema SET sql = NULL, name = 'sqlite_autoindex_queue_9' "
            "WHERE name = 'queue.row'"
        )
    with pytest.raises(StorageDamaged, match="malformed database schema"):
        async with open_sqlite():
            pass
    records, damage, missed = await salvaged(path)
    assert (records, missed) == (queued(300), False)
    assert damage


async def test_a_leaf_of_an_index_that_is_damaged_costs_no_row(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite, 3000)
    overwrite(path, leaves(path, "queue.row")[1] * PAGE, b"\xff" * PAGE)
    key = ColumnRef("row", Kind.KEY)
    async with open_sqlite() as storage:
        failed = 0
        for number in range(1, 3000, 50):
            try:
                wanted = Compare(Comparison.EQ, key, Literal(f"account/{number}"))
                assert await storage.count("queue", wanted) == 1
            except StorageDamaged:
                failed += 1
        assert failed
        with pytest.raises(StorageDamaged):
            await storage.write([Put("queue", queued(1))])
    records, damage, missed = await salvaged(path)
    assert (records, missed) == (queued(3000), False)
    assert damage


async def test_a_whole_file_is_read_whole(open_sqlite: Open, path: Path) -> None:
    await fill(open_sqlite)
    assert await salvaged(path) == (queued(300), [], False)


async def test_bytes_that_are_no_text_are_rescued_as_far_as_they_are(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite, 3)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"2 xxx", b"2 \xff\xfex"))
    records, _, missed = await salvaged(path)
    assert not missed
    assert str(records[1][2]).startswith("2 ��x")


async def test_nothing_can_be_rescued_from_what_is_not_there_or_not_ours(path: Path) -> None:
    path.parent.mkdir()
    context = Context(system_environment(), path.parent)
    with pytest.raises(StorageMissing):
        await SqliteStorage.salvage(SqliteSettings(path=path), context, [QUEUE])
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA application_id = 7")
    with pytest.raises(StorageError, match="another program"):
        await salvaged(path)


async def test_a_table_that_somebody_replaced_by_a_view_is_not_read(
    open_sqlite: Open, path: Path
) -> None:
    await fill(open_sqlite)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE queue")
        database.execute("CREATE VIEW queue AS SELECT 1 AS sequence, 2 AS row, 3 AS text")
    with pytest.raises(StorageDamaged, match="there is no table 'queue'"):
        await salvaged(path)


# --- the write-ahead log --------------------------------------------------------------------------


def killed(path: Path, into: Path) -> Path:
    """Copy the files of a storage that is open, as a kill would leave them."""
    into.mkdir()
    for each in path.parent.iterdir():
        (into / each.name).write_bytes(each.read_bytes())
    return into / path.name


async def opened_records(path: Path, mode: OpenMode = OpenMode.OWNER) -> list[Record]:
    context = Context(system_environment(), path.parent, mode)
    async with SqliteStorage.open(SqliteSettings(path=path), context) as storage:
        return await everything(storage)


async def copy_of_a_killed_owner(open_sqlite: Open, path: Path, into: Path) -> Path:
    """Return a file whose last change is in the log alone."""
    await fill(open_sqlite, 3)
    async with open_sqlite() as storage:
        await storage.write([Put("queue", [(4, "account/4", "in the log")])])
        return killed(path, into)


async def test_what_is_in_the_log_alone_is_read_and_rescued(
    open_sqlite: Open, path: Path, tmp_path: Path
) -> None:
    copy = await copy_of_a_killed_owner(open_sqlite, path, tmp_path / "copy")
    records, damage, missed = await salvaged(copy)
    assert (len(records), damage, missed) == (4, [], False)
    assert len(await opened_records(copy)) == 4


async def test_a_log_that_is_gone_is_told_and_what_is_left_opens(
    open_sqlite: Open, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The file is sound, and a change that was acknowledged is not in it: somebody must hear so."""
    copy = await copy_of_a_killed_owner(open_sqlite, path, tmp_path / "copy")
    copy.with_name("replica.db-wal").unlink()
    assert await opened_records(copy) == queued(3)
    (told,) = caplog.records
    assert told.levelno == logging.WARNING
    assert "replica.db was not closed, and its write-ahead log is gone" in told.getMessage()
    caplog.clear()
    assert await opened_records(copy) == queued(3)
    assert caplog.records == []


async def test_a_log_that_is_gone_is_nothing_where_nothing_was_committed_or_all_was_closed(
    open_sqlite: Open, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(open_sqlite, 3)
    async with open_sqlite():
        copy = killed(path, tmp_path / "copy")
    copy.with_name("replica.db-wal").unlink(missing_ok=True)
    assert await opened_records(copy) == queued(3)
    assert await opened_records(path) == queued(3)
    assert caplog.records == []


async def test_a_log_is_not_thrown_away_with_an_empty_file(
    open_sqlite: Open, path: Path, tmp_path: Path
) -> None:
    """SQLite removes the log of a file of no length; it may be all that is left."""
    for number in range(2):
        copy = await copy_of_a_killed_owner(open_sqlite, path, tmp_path / f"copy{number}")
        log = copy.with_name("replica.db-wal")
        kept = log.read_bytes()
        copy.unlink()
        if number:
            copy.write_bytes(b"")
        for mode in OpenMode:
            with pytest.raises(StorageDamaged, match="empty or gone, but its write-ahead log is"):
                await opened_records(copy, mode)
        assert log.read_bytes() == kept
        assert copy.exists() == bool(number)


async def test_a_log_that_was_cut_or_garbled_loses_what_stood_there_and_nothing_else(
    open_sqlite: Open, path: Path, tmp_path: Path
) -> None:
    """SQLite believes a log up to the first frame whose checksum is wrong."""
    for number in range(3):
        copy = await copy_of_a_killed_owner(open_sqlite, path, tmp_path / f"copy{number}")
        log = copy.with_name("replica.db-wal")
        content = log.read_bytes()
        log.write_bytes((content[: len(content) // 2], b"\xff" * len(content), b"x")[number])
        assert (await opened_records(copy))[:3] == queued(3)


# --- what may not be written ----------------------------------------------------------------------


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that another user may reach; those of pytest are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@contextmanager
def without_rights() -> Iterator[None]:
    """Be nobody for a while, where permissions are not asked of who we are."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


async def made_in(folder: Path, count: int = 3) -> Path:
    path = folder / "replica.db"
    context = Context(system_environment(), folder)
    async with SqliteStorage.open(SqliteSettings(path=path), context) as storage:
        await storage.migrate([QUEUE], version=1)
        await storage.write([Put("queue", queued(count))])
    for each in folder.iterdir():
        each.chmod(0o444)
    return path


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
async def test_a_file_that_may_not_be_written_is_said_to_be_so(shared: Path) -> None:
    path = await made_in(shared)
    (shared / "replica.db.lock").unlink(missing_ok=True)
    before = path.read_bytes()
    shared.chmod(0o777)
    context = Context(system_environment(), shared)
    with without_rights():
        async with SqliteStorage.open(SqliteSettings(path=path), context) as storage:
            assert await everything(storage) == queued(3)
            with pytest.raises(StorageError, match="may not be written; check its permissions"):
                await storage.write([Put("queue", queued(1))])
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o444


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
async def test_a_folder_that_may_not_be_written_is_said_to_be_so_and_can_be_rescued_from(
    shared: Path,
) -> None:
    path = await made_in(shared)
    before = {each.name: each.read_bytes() for each in shared.iterdir()}
    shared.chmod(0o555)
    with without_rights():
        with pytest.raises(StorageError, match="check"):
            await opened_records(path)
        context = Context(system_environment(), shared, OpenMode.READER)
        with suppress(HoldfastError):
            async with SqliteStorage.open(SqliteSettings(path=path), context) as reader:
                assert await everything(reader) == queued(3)
        assert (await salvaged(path))[0] == queued(3)
    assert {each.name: each.read_bytes() for each in shared.iterdir()} == before


@pytest.mark.skipif(os.name == "nt", reason="permissions are others there")
async def test_a_log_in_a_folder_that_may_not_be_written_must_be_copied_first(
    shared: Path,
) -> None:
    path = await made_in(shared)
    log = shared / "replica.db-wal"
    log.write_bytes(b"x" * 100)
    log.chmod(0o444)
    shared.chmod(0o555)
    with without_rights(), pytest.raises(StorageError, match="copy it, and the file that ends in"):
        await salvaged(path)


async def test_a_folder_in_the_place_of_the_file_is_said_to_be_one(
    open_sqlite: Open, path: Path
) -> None:
    path.mkdir(parents=True)
    for mode in OpenMode:
        with pytest.raises(StorageError, match="is a folder; name a file in it"):
            async with open_sqlite(mode):
                pass
    assert list(path.iterdir()) == []
