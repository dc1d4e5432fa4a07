"""m02: "sent" is remembered, not stored, before the ops leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from holdfast._store import Store, Writes
from holdfast._upload import Upload
from holdfast.model import Unit


@contextmanager
def planted() -> Iterator[None]:
    """Break the engine inside the block."""
    right = Upload._mark_sent

    async def mark_sent(self: Upload, units: Sequence[Unit]) -> list[Unit]:
        async def forget(self: Store, writes: Writes) -> None:
            pass

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "commit", forget)
            return await right(self, units)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Upload, "_mark_sent", mark_sent)
        yield
