"""m24: what reading everything did not bring goes, although ops of it wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from holdfast._membership import Membership
from holdfast._quarantine import Fetched
from holdfast._scopes import TableScope
from holdfast._store import Writes
from holdfast._tables import ScopeState


@contextmanager
def planted() -> Iterator[None]:
    """Break the engine inside the block."""
    right = Membership._settle_missing

    async def settle_missing(
        self: Membership, scope: TableScope, state: ScopeState, ids: Sequence[str], fetched: Fetched
    ) -> None:
        await right(self, scope, state, ids, fetched)
        writes = Writes()
        writes.delete(scope.name, *(row_id for row_id in ids if row_id not in fetched.records))
        await self._store.commit(writes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Membership, "_settle_missing", settle_missing)
        yield
