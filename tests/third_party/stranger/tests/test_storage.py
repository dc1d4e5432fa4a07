# ruff: noqa: ASYNC240  a test looks at files while nothing else runs
from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from stranger.storage import JournalStorage  # type: ignore[import-not-found]  # installed by the test

from holdfast.contracts import Context, Layout, OpenMode, Put, Query, Storage
from holdfast.errors import ReplicaTooNew, StorageError
from holdfast.schema import Field, Kind
from holdfast.testing import Opener, StorageContract

NOTES = Layout("notes", (Field("id", Kind.KEY), Field("text", Kind.TEXT)))


@pytest.fixture
def opener(contexts: Callable[..., Context]) -> Opener:
    return opener_of(contexts, filters=True)


def opener_of(contexts: Callable[..., Context], *, filters: bool) -> Opener:
    settings = JournalStorage.Settings(path=Path("replica.journal"), filters=filters)

    def open_storage(*, mode: OpenMode = OpenMode.OWNER) -> AbstractAsyncContextManager[Storage]:
        opened: AbstractAsyncContextManager[Storage] = JournalStorage.open(settings, contexts(mode))
        return opened

    return open_storage


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "replica.journal"


class TestJournal(StorageContract):
    pass


class TestJournalWithoutFilters(StorageContract):
    @pytest.fixture
    def opener(self, contexts: Callable[..., Context]) -> Opener:
        return opener_of(contexts, filters=False)


async def notes(storage: Storage) -> list[object]:
    return [record[1] async for record in storage.query(Query("notes"))]


async def test_a_commit_is_one_line_and_an_unfinished_line_is_none(
    opener: Opener, file: Path
) -> None:
    async with opener() as storage:
        await storage.migrate([NOTES], version=1)
        for number in range(3):
            await storage.write([Put("notes", [(str(number), f"note {number}")])])
        assert len(file.read_bytes().splitlines()) == 2 + 3
    content = file.read_bytes()
    for length in (len(content) - 1, len(content) - 20):
        file.write_bytes(content[:length])
        async with opener(mode=OpenMode.READER) as storage:
            assert await notes(storage) == ["note 0", "note 1"]
    async with opener() as storage:
        assert await notes(storage) == ["note 0", "note 1"]
        await storage.write([Put("notes", [("9", "after")])])
    async with opener() as storage:
        assert await notes(storage) == ["note 0", "note 1", "after"]


async def test_a_reader_follows_the_owner_into_a_new_file(opener: Opener) -> None:
    async with opener() as storage:
        await storage.migrate([NOTES], version=1)
        async with opener(mode=OpenMode.READER) as reader:
            await storage.write([Put("notes", [("1", "before")])])
            assert await notes(reader) == ["before"]
            await storage.migrate([NOTES, Layout("more", NOTES.fields)], version=2)
            await storage.write([Put("notes", [("2", "behind")])])
            assert await reader.version() == 2
            assert await notes(reader) == ["before", "behind"]


async def test_a_file_of_a_later_format_is_not_touched(opener: Opener, file: Path) -> None:
    file.write_text(json.dumps({"format": 2, "generation": "x"}) + "\n")
    for mode in OpenMode:
        with pytest.raises(ReplicaTooNew, match="has format 2, this holdfast knows 1"):
            await opener(mode=mode).__aenter__()
    assert file.read_text() == '{"format": 2, "generation": "x"}\n'


async def test_a_file_of_something_else_is_not_touched(opener: Opener, file: Path) -> None:
    file.write_text("[storage]\n")
    with pytest.raises(StorageError, match="cannot be read"):
        await opener().__aenter__()
    assert file.read_text() == "[storage]\n"


async def test_a_closed_storage_takes_nothing(opener: Opener) -> None:
    async with opener() as storage:
        await storage.migrate([NOTES], version=1)
    with pytest.raises(StorageError, match="close it and open it again"):
        await storage.write([Put("notes", [("1", "late")])])
