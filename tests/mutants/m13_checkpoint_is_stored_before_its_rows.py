"""m13: the checkpoint is committed, and then the rows of its page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast._store import Store, Writes
from holdfast._tables import NUMBER_FIELD, SCOPES


@contextmanager
def planted() -> Iterator[None]:
    """Break the engine inside the block."""

    async def commit_in_two(self: Store, writes: Writes) -> None:
        for log, record in writes.appended:
            writes.put(log, (*record, await self._next(log, NUMBER_FIELD)))
        changes = writes.changes()
        for scopes in (True, False):
            part = [change for change in changes if (change.table == SCOPES) is scopes]
            if part:
                await self.storage.write(part)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "commit", commit_in_two)
        yield
