from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from holdfast._system import system_environment
from holdfast.contracts import Context, Layout, OpenMode, Put, Storage
from holdfast.errors import StorageError, StorageLocked
from holdfast.schema import Field, Kind
from holdfast.testing import MemoryDisk, MemoryStorage, Opener, StorageContract

LAYOUT = Layout("rows", (Field("id", Kind.KEY), Field("amount", Kind.DECIMAL)))


def opener_of(disk: MemoryDisk, name: str = "default") -> Opener:
    def open_storage(*, mode: OpenMode = OpenMode.OWNER) -> AbstractAsyncContextManager[Storage]:
        settings = MemoryStorage.Settings(name=name, disk=disk)
        return MemoryStorage.open(settings, Context(system_environment(), Path(), mode))

    return open_storage


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def opener(self) -> Opener:
        return opener_of(MemoryDisk())


async def test_names_are_apart_on_one_disk() -> None:
    disk = MemoryDisk()
    async with opener_of(disk, "one")() as one, opener_of(disk, "other")() as other:
        await one.migrate([LAYOUT], version=7)
        assert await other.version() == 0


async def test_settings_without_a_disk_have_a_fresh_one() -> None:
    assert MemoryStorage.Settings().disk is not MemoryStorage.Settings().disk


async def test_a_killed_owner_gives_up_its_lock_with_the_disk() -> None:
    disk = MemoryDisk()
    killed = opener_of(disk)()
    await killed.__aenter__()
    with pytest.raises(StorageLocked):
        await opener_of(disk)().__aenter__()
    disk.release()
    async with opener_of(disk)() as storage:
        assert await storage.version() == 0


async def test_a_closed_storage_says_so() -> None:
    async with opener_of(MemoryDisk())() as storage:
        pass
    with pytest.raises(StorageError, match="is closed"):
        await storage.version()


async def test_a_cell_of_another_kind_is_refused() -> None:
    async with opener_of(MemoryDisk())() as storage:
        await storage.migrate([LAYOUT], version=1)
        with pytest.raises(StorageError, match="takes decimal"):
            await storage.write([Put("rows", [("a", 1.5)])])
