"""m02: "sent" is remembered, not stored, before the ops leave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast._store import Store, Writes
from holdfast._tables import OUTBOX
from holdfast.contracts import Change, Put
from holdfast.model import OpState

_STATE = 8


@contextmanager
def planted() -> Iterator[None]:
    """Break the engine inside the block."""
    right = Store.commit

    async def commit(self: Store, writes: Writes) -> None:
        if not any(_marks(change) for change in writes.changes()):
            await right(self, writes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "commit", commit)
        yield


def _marks(change: Change) -> bool:
    """Tell whether ops are marked as sent; nothing else is written along with that."""
    return (
        isinstance(change, Put)
        and change.table == OUTBOX
        and any(record[_STATE] == OpState.SENT.value for record in change.records)
    )
