"""Putting waiting ops of a row together before they are sent.

Invariant: what was planned is done only where its ops still stand as they were planned, in one
commit with what becomes of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast._engine import Engine
from holdfast._plan import coalescing, rows
from holdfast._plan.coalescing import Joined, is_fresh
from holdfast._plan.lanes import BaseReferences
from holdfast._plan.rows import RowState
from holdfast._store import Writes
from holdfast._tables import row_key
from holdfast.model import Op

#: How many rows change in one commit.
GROUP: Final = 500


class Coalescing:
    """Lets few ops carry what many say."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store

    async def run(self, ops: Sequence[Op], references: BaseReferences) -> bool:
        """Put together what can be; tell whether the outbox is another one now."""
        planned = coalescing.joined(ops, references, self._store.schemas)
        groups = [planned[at : at + GROUP] for at in range(0, len(planned), GROUP)]
        return any([await self._commit(group) for group in groups])

    async def _commit(self, planned: Sequence[Joined]) -> bool:
        async with self._store.lock:
            before = await self._store.states([one.ops[0] for one in planned])
            after = dict(before)
            for one in planned:
                key = row_key(one.ops[0].table, one.ops[0].row_id)
                after[key] = _done(after[key], one)
            changes = [(before[key], s) for key, s in after.items() if s is not before[key]]
            await self._engine.commit_rows(changes, Writes())
            return bool(changes)


def _done(state: RowState, planned: Joined) -> RowState:
    """Return the row with its ops put together, if they still stand as they were planned."""
    here = {op.id: op for op in state.ops}
    current = [here[op.id] for op in planned.ops if op.id in here and is_fresh(here[op.id])]
    if len(current) != len(planned.ops):
        return state
    if not planned.void:
        return rows.joined(state, current)
    untouched = state.remote is None and len(current) == len(state.ops)
    return rows.voided(state) if untouched else state
