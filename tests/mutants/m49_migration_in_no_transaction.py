"""m49: a file is brought to the newest format statement by statement, each one durable alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast_sqlite import _storage
from holdfast_sqlite._connection import Database


@contextmanager
def planted() -> Iterator[None]:
    """Break the storage inside the block."""
    right = _storage._upgrade

    def upgrade(database: Database) -> None:
        database.execute("COMMIT")
        right(database)
        database.execute("BEGIN IMMEDIATE")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_storage, "_upgrade", upgrade)
        yield
