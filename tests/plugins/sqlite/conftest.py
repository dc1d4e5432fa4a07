from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest

from holdfast.contracts import Context, OpenMode, Storage
from holdfast.testing import system_environment
from holdfast_sqlite import Connect, SqliteSettings, SqliteStorage, connect_in_thread

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "replica.db"


@pytest.fixture
def open_sqlite(path: Path) -> Open:
    """Open the file at ``path``: ``open_sqlite(mode=..., connect=...)``."""

    def open_storage(
        mode: OpenMode = OpenMode.OWNER, connect: Connect = connect_in_thread
    ) -> AbstractAsyncContextManager[Storage]:
        driver = SqliteStorage.with_seams(connect=connect)
        settings = SqliteSettings(path=Path(path.name))
        return driver.open(settings, Context(system_environment(), path.parent, mode))

    return open_storage
