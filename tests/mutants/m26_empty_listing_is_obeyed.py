"""m26: what a full reading, or a list of ids, leaves out is gone; nobody is asked.

``planted`` believes a full reading without asking for the rows that it left out, ``once`` an empty
list of ids without a second one, and ``unasked`` takes any number of rows from a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from holdfast._listing import Listing
from holdfast._plan import guards
from holdfast._plan.guards import Verdict
from holdfast._quarantine import Fetched, Quarantine
from holdfast._scopes import TableScope
from holdfast.profile import Limit
from holdfast.status import Extent


@contextmanager
def planted() -> Iterator[None]:
    """Break the engine inside the block."""

    async def fetch(self: Quarantine, scope: TableScope, ids: Sequence[str]) -> Fetched:
        return Fetched({}, {}, whole=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Quarantine, "fetch", fetch)
        yield


@contextmanager
def once() -> Iterator[None]:
    """Break the engine inside the block."""

    async def ids(self: Listing, scope: TableScope, here: set[str]) -> frozenset[str]:
        return await self._listed(scope, await self._condition(scope))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Listing, "ids", ids)
        yield


@contextmanager
def unasked() -> Iterator[None]:
    """Break the engine inside the block."""

    def judge(limit: Limit | None, count: int, of: int, asked: Extent | None) -> Verdict:
        return Verdict.GO

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guards, "judge", judge)
        yield
