"""m49: each statement of an upgrade of the file is committed by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from holdfast_sqlite import Database, _pool

T = TypeVar("T")


@contextmanager
def planted() -> Iterator[None]:
    """Break the storage inside the block."""

    def one_by_one(database: Database, begin: str, work: Callable[[Database], T]) -> T:
        del begin
        return work(database)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pool, "in_transaction", one_by_one)
        yield
