from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from holdfast.contracts import Context, OpenMode, Storage
from holdfast.testing import Opener, StorageContract, system_environment
from holdfast_sqlite import SqliteStorage, connect_inline


def opener_of(driver: type[SqliteStorage], folder: Path) -> Opener:
    settings = driver.Settings(path=Path("replica.db"))

    def open_storage(*, mode: OpenMode = OpenMode.OWNER) -> AbstractAsyncContextManager[Storage]:
        return driver.open(settings, Context(system_environment(), folder, mode))

    return open_storage


class TestSqliteOnAThread(StorageContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return opener_of(SqliteStorage, tmp_path)


class TestSqliteInline(StorageContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Opener:
        return opener_of(SqliteStorage.with_seams(connect=connect_inline), tmp_path)
