"""m45: a body is unpacked as far as it goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast_dataverse._unpacking import _Limit


@contextmanager
def planted() -> Iterator[None]:
    """Break the transport inside the block."""

    def count(self: _Limit, chunk: bytes) -> None:
        self.reached += len(chunk)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Limit, "count", count)
        yield
