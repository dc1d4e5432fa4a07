"""Holding deletes back when so many wait that nobody meant it, perhaps.

Invariant: deletes that a person has not agreed to are held before any of them is marked sent, and
only they: whatever does not depend on them goes its way. Held ops wait by :mod:`_plan.lanes`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Final, TypeAlias

from holdfast._engine import Engine
from holdfast._plan import guards, rows
from holdfast._plan.guards import Deletes, Verdict
from holdfast._plan.rows import RowState
from holdfast._store import Writes
from holdfast._tables import ISSUES, IssueState, row_key
from holdfast.model import Op, OpKind
from holdfast.profile import Limit
from holdfast.status import Extent, IssueKind

Transition: TypeAlias = Callable[[RowState, Collection[str]], RowState]
#: How many rows are settled in one commit.
_CHUNK: Final = 200


class Deletion:
    """One run over the deletes of the outbox; knows what it has let go, and what was made here."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store
        self._sent: dict[str, set[str]] = defaultdict(set)
        self._made: set[str] = set()

    async def hold(self, ops: Sequence[Op]) -> list[IssueState] | None:
        """Hold deletes of which there are too many to go unasked.

        :param ops: the whole outbox
        :returns: the new issues; None where the outbox is as it was
        """
        self._made |= guards.created(ops)
        if not any(op.kind is OpKind.DELETE for op in ops):
            return None
        open_issues = [
            issue for issue in await self._store.issues() if issue.kind is IssueKind.DELETION
        ]
        asked = {op_id for issue in open_issues for op_id in issue.ops}
        changed: list[IssueState] | None = None
        for table, deletes in guards.deletes(ops, asked, self._made).items():
            known = next((issue for issue in open_issues if issue.table == table), None)
            if known is not None and self._agreed(known):
                await self.settle(known, rows.allowed)
                changed = changed or []
                continue
            issue = await self._judge(table, deletes, known)
            changed = [*(changed or []), issue] if issue is not None else changed
        return changed

    def _agreed(self, issue: IssueState) -> bool:
        """Tell whether the profile has come to allow what a person was asked about."""
        limit, extent = self._limit(issue.table), issue.extent
        return limit is None or (extent is not None and limit.allows(extent.rows, extent.of))

    def sending(self, ops: Sequence[Op]) -> None:
        """Note what is about to be sent."""
        for op in ops:
            own = row_key(op.table, op.row_id) in self._made
            if op.kind is OpKind.DELETE and not (op.allowed or own):
                self._sent[op.table].add(op.row_id)

    async def _judge(
        self, table: str, deletes: Deletes, known: IssueState | None
    ) -> IssueState | None:
        """Hold the deletes of one table if they are too many; return the issue if it is new."""
        limit = self._limit(table)
        count = len(self._sent[table].union(op.row_id for op in deletes.ops))
        if limit is None or count <= limit.rows:
            return None
        of = await self._store.count(table) + count
        asked = known.extent if known is not None else None
        verdict = guards.judge(limit, count, of, asked)
        if verdict is Verdict.GO or (verdict is Verdict.WAIT and not deletes.waiting):
            return None
        extent = Extent(count, of)
        message = guards.deletion(extent)
        issue = self._engine.issue(
            IssueKind.DELETION, table, message, ops=deletes.ops, extent=extent
        )
        await self._hold(issue, deletes.waiting, known)
        return issue

    async def _hold(self, issue: IssueState, ops: Sequence[Op], known: IssueState | None) -> None:
        """Hold all of them and ask, in one commit: a crash must not let the rest look like few."""
        schema = self._engine.schema(issue.table)
        async with self._store.lock:
            writes = Writes()
            states = await self._store.rows(schema, list({op.row_id: None for op in ops}))
            for before in states.values():
                mine = [op.id for op in ops if op.row_id == before.row_id]
                writes.row(before, rows.held(before, mine), self._engine.now())
            if known is not None:
                writes.delete(ISSUES, known.id)
            writes.put(ISSUES, issue.record())
            await self._store.commit(writes)

    async def settle(self, issue: IssueState, transition: Transition) -> None:
        """Do the same to all deletes of an issue, some at a time, and close it with the last.

        Broken off, it leaves the issue open, and what is done is done.
        """
        waiting: dict[str, list[str]] = defaultdict(list)
        for op in await self._store.outbox():
            if op.id in set(issue.ops):
                waiting[op.row_id].append(op.id)
        left = iter(waiting.items())
        schema = self._engine.schema(issue.table)
        while True:
            chunk = dict(islice(left, _CHUNK))
            async with self._store.lock:
                writes = Writes()
                if not chunk:
                    writes.delete(ISSUES, issue.id)
                states = await self._store.rows(schema, list(chunk))
                changes = [(s, transition(s, chunk[i])) for i, s in states.items() if s.dirty]
                await self._engine.commit_rows(changes, writes)
            if not chunk:
                return

    def _limit(self, table: str) -> Limit | None:
        """Return the limit of a table; one that left the profile while ops wait has the usual."""
        for rule in self._engine.setup.profile.profile.tables:
            if rule.name == table:
                return rule.delete_limit
        return Limit()
