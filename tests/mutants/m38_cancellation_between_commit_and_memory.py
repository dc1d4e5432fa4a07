"""m38: the last number of the outbox is counted on after the commit; a cancellation leaves it.

The next op then takes the number of the one before, and its place in the outbox: that op is never
sent, and the next page brings the row's old values back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast._store import Store, Writes
from holdfast._tables import OUTBOX
from holdfast.contracts import Put


@contextmanager
def planted() -> Iterator[None]:
    """Break the engine inside the block."""
    right_commit, right_sequence = Store.commit, Store.next_sequence

    async def next_sequence(self: Store) -> int:
        following = await right_sequence(self)
        self._last[OUTBOX] = following - 1
        return following

    async def commit(self: Store, writes: Writes) -> None:
        await right_commit(self, writes)
        puts = [c for c in writes.changes() if isinstance(c, Put) and c.table == OUTBOX]
        numbers = [int(str(record[0])) for put in puts for record in put.records]
        self._last[OUTBOX] = max([self._last.get(OUTBOX, 0), *numbers])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "next_sequence", next_sequence)
        patch.setattr(Store, "commit", commit)
        yield
