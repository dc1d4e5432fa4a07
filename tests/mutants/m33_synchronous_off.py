"""m33: nothing is ever flushed, as ``synchronous = OFF`` says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast_sqlite import _storage


@contextmanager
def planted() -> Iterator[None]:
    """Break the storage inside the block."""
    right = "synchronous = FULL"
    assert right in _storage._WRITER_PRAGMAS
    wrong = tuple("synchronous = OFF" if p == right else p for p in _storage._WRITER_PRAGMAS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_storage, "_WRITER_PRAGMAS", wrong)
        yield
