"""Sending the outbox: plan a wave, mark it sent, push it, settle each outcome, and again.

Invariants. "Sent" is durable before a byte leaves. Of each outcome, op, row and issue change in one
transaction. A resolver runs outside transactions, and its answer counts only if local and
remote are still those that it saw.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Final

from holdfast._coalescing import Coalescing
from holdfast._deletion import Deletion
from holdfast._engine import Engine
from holdfast._plain import plain
from holdfast._plan import conflicts, pages, rows
from holdfast._plan.lanes import BaseReferences, next_wave
from holdfast._plan.rows import RowState, image_of
from holdfast._store import Writes
from holdfast._tables import HISTORY, ISSUES, IssueState, row_key
from holdfast.errors import PluginError, TransportError
from holdfast.model import (
    Applied,
    Conflicted,
    Defer,
    KeepLocal,
    Merge,
    NotApplied,
    Op,
    Outcome,
    Policy,
    Refused,
    Resolution,
    Unit,
    Unknown,
)
from holdfast.schema import ColumnType
from holdfast.status import IssueKind, IssueRaised, SyncReport, Uploading
from holdfast.values import Reference, from_cells

_logger = logging.getLogger(__name__)

#: How often a row may be settled and conflict again before a person is asked.
MAX_ROUNDS: Final = 5
#: How often an op whose outcome is unknown is sent in one run.
MAX_SENDS: Final = 3
#: How often an op may have been sent when the server fails on it once more, before a person is
#: asked: one op must not be sent for ever.
MAX_CRASHES: Final = 6
#: How long a resolver may think, in seconds.
RESOLVER_DEADLINE: Final = 30.0
#: How many outcomes are settled in one commit.
GROUP: Final = 100


class Upload:
    """One run over the outbox. Never two at once: the replica holds its sync lock."""

    def __init__(self, engine: Engine, report: SyncReport) -> None:
        self._engine = engine
        self._store = engine.store
        self._report = report
        self._coalescing = Coalescing(engine)
        self._deletion = Deletion(engine)
        self._rounds: Counter[str] = Counter()
        self._sends: Counter[str] = Counter()
        self._parked: set[str] = set()
        self._total = 0
        self._done = 0

    async def run(self) -> None:
        """Send all that may be sent.

        :raises TransportError: the server cannot be reached; what was settled stays settled
        :raises PluginError: the transport has a bug; the same holds
        """
        while True:
            ops = await self._store.outbox()
            if not ops:
                break
            states = await self._store.states(ops)
            references = _base_references(states.values())
            if await self._coalescing.run(ops, references):
                continue
            self._total = max(self._total, len(ops))
            held = await self._deletion.hold(ops)
            if held is not None:
                for issue in held:
                    self._raised(issue)
                continue
            if await self._resolve_open(states):
                continue
            wave = next_wave(ops, references, self._parked)
            if not wave.units:
                break
            await self._send(wave.units)

    async def _send(self, units: Sequence[Unit]) -> None:
        self._deletion.sending([op for unit in units for op in unit.ops])
        marked = await self._mark_sent(units)
        if not marked:
            return
        open_ops = {op.id: op for unit in marked for op in unit.ops}
        tables = {op.table for op in open_ops.values()}
        scopes = {table: self._engine.wire_scope(table) for table in tables}
        group: list[tuple[Op, Outcome]] = []
        try:
            outcomes = self._engine.transport.push(marked, scopes)
            async with aclosing(outcomes):  # type: ignore[type-var]  # as every async generator
                async for outcome in outcomes:
                    op = open_ops.pop(outcome.op_id, None)
                    if op is not None:
                        group.append((op, outcome))
                    if len(group) >= GROUP:
                        await self._settle(group)
                        group = []
        except (TransportError, PluginError):
            self._parked.update(open_ops)
            await self._settle(group)
            raise
        silent = "the transport said nothing about it"  # as if the reply was lost
        group.extend((op, Unknown(op.id, silent)) for op in open_ops.values())
        await self._settle(group)

    async def _mark_sent(self, units: Sequence[Unit]) -> list[Unit]:
        """Store that these ops may leave now; return them as they are to be sent."""
        async with self._store.lock:
            states = await self._store.states([op for unit in units for op in unit.ops])
            writes = Writes()
            marked: list[Unit] = []
            for unit in units:
                sent: list[Op] = []
                for op in unit.ops:
                    before = states[row_key(op.table, op.row_id)]
                    after = rows.sending(before, op.id)
                    current = next((o for o in after.ops if o.id == op.id), None)
                    if current is not None:
                        writes.row(before, after, self._engine.now())
                        sent.append(current)
                if len(sent) == len(unit.ops):
                    marked.append(Unit(tuple(sent)))
            await self._store.commit(writes)
        self._sends.update(op.id for unit in marked for op in unit.ops)
        return marked

    async def _settle(self, group: Sequence[tuple[Op, Outcome]]) -> None:
        """Settle outcomes in one commit; each op's own changes are all in it."""
        issues: list[IssueState] = []
        async with self._store.lock:
            states = await self._store.states([op for op, _ in group])
            before = dict(states)
            writes = Writes()
            for op, outcome in group:
                key = row_key(op.table, op.row_id)
                if any(known.id == op.id for known in states[key].ops):  # else: discarded meanwhile
                    states[key] = self._outcome(states[key], op, outcome, issues)
            writes.put(ISSUES, *(issue.record() for issue in issues))
            await self._engine.commit_rows([(before[k], s) for k, s in states.items()], writes)
        for issue in issues:
            self._raised(issue)
        self._done += len(group)
        if group:
            self._engine.events.emit(Uploading(min(self._done, self._total), self._total))

    def _outcome(
        self, state: RowState, op: Op, outcome: Outcome, issues: list[IssueState]
    ) -> RowState:
        """Return what an outcome makes of its row; note the issue that it raises."""
        match _sound(state, outcome):
            case Applied(record=record):
                self._report.applied += 1
                image = None if record is None else image_of(state.schema, record)
                return rows.applied(state, op, image, self._engine.author)
            case Conflicted(record=record):
                image = None if record is None else image_of(state.schema, record)
                return rows.conflicted(state, op, image)
            case Refused(code=code, message=message):
                issues.append(self._issue(IssueKind.REFUSED, state, [op], code, message))
                return rows.held(state, [op.id])
            case NotApplied():
                self._parked.add(op.id)
                return rows.returned(state, op)
            case Unknown(crashed=True, reason=reason) if op.attempts >= MAX_CRASHES:
                issues.append(self._crash(state, op, reason))
                return rows.held(state, [op.id])
            case Unknown():
                if self._sends[op.id] >= MAX_SENDS:
                    self._parked.add(op.id)
                return state  # stays sent

    def _crash(self, state: RowState, op: Op, reason: str) -> IssueState:
        """Return the issue of an op that the server fails on whenever it is sent."""
        message = f"the server failed on it {op.attempts} times ({reason}); retry it or discard it"
        return self._issue(IssueKind.REFUSED, state, [op], "", message)

    def _issue(
        self, kind: IssueKind, state: RowState, ops: Sequence[Op], code: str, message: str
    ) -> IssueState:
        return self._engine.issue(
            kind, state.table, message, row_id=state.row_id, ops=ops, code=code
        )

    def _raised(self, issue: IssueState) -> None:
        self._report.issues.append(issue.id)
        self._engine.events.emit(IssueRaised(issue.id, issue.table, issue.row_id))

    async def _resolve_open(self, states: dict[str, RowState]) -> bool:
        """Resolve every conflict that is known; tell whether there was any."""
        found = [(key, state) for key, state in states.items() if conflicts.is_open(state)]
        for key, state in found:
            self._rounds[key] += 1
            policy = self._engine.setup.profile.policy(state.table)
            resolution = await self._decide(policy, state, self._rounds[key])
            await self._conclude(state, policy, resolution)
        return bool(found)

    async def _decide(self, policy: Policy, state: RowState, attempts: int) -> Resolution:
        if conflicts.is_agreed(state):
            return KeepLocal()
        if attempts > MAX_ROUNDS:
            return Defer(f"it changed on the server {MAX_ROUNDS} times while it was being settled")
        conflict = conflicts.describe(state, attempts)
        try:
            async with asyncio.timeout(RESOLVER_DEADLINE):
                answer = await self._engine.plugins.resolve_conflict(policy, conflict)
        except TimeoutError:
            return Defer(f"policy {policy.name!r} did not answer in {RESOLVER_DEADLINE:.0f} s")
        except Exception as error:  # noqa: BLE001  a plugin's failure must not stop the sync
            failure = PluginError(
                policy.name, f"failed: {type(error).__name__}; report it to the plugin's author"
            )
            _logger.warning("%s", plain(failure), extra={"event": "holdfast.resolver.failed"})
            return Defer(str(failure))
        return _checked(policy, answer)

    async def _conclude(self, seen: RowState, policy: Policy, resolution: Resolution) -> None:
        issue: IssueState | None = None
        async with self._store.lock:
            before = await self._store.row(seen.schema, seen.row_id)
            if (before.local, before.remote, before.ops) != (seen.local, seen.remote, seen.ops):
                return  # it moved while the resolver thought; the next round asks again
            writes = Writes()
            if not isinstance(resolution, Defer):
                try:
                    after = conflicts.settle(before, resolution, self._engine.author)
                except ValueError as error:
                    resolution = Defer(f"policy {policy.name!r} answered wrongly: {error}")
            if isinstance(resolution, Defer):
                ops = before.ops
                after = rows.held(before, [op.id for op in ops])
                issue = self._issue(IssueKind.CONFLICT, before, ops, "", resolution.reason)
                writes.put(ISSUES, issue.record())
            elif not conflicts.is_agreed(before):
                entry = conflicts.history(
                    before,
                    resolution,
                    policy,
                    entry_id=self._engine.environment.ids.new(),
                    now=self._engine.now(),
                )
                writes.append(HISTORY, entry.record())
                self._report.conflicts.append(entry.id)
            await self._engine.commit_rows([(before, after)], writes)
        if issue is not None:
            self._raised(issue)


def _sound(state: RowState, outcome: Outcome) -> Outcome:
    """Return an outcome as it came, or as one that nobody understood if no storage takes its row.

    What the server did is then not known here: it stays sent, and a person is asked in the end.
    """
    if not isinstance(outcome, Applied | Conflicted) or outcome.record is None:
        return outcome
    reason = pages.fault(outcome.record, state.schema.fields)
    return outcome if reason is None else Unknown(outcome.op_id, reason, crashed=True)


def _checked(policy: Policy, answer: object) -> Resolution:
    """Return what a plugin answered if it is a resolution; a plugin may answer anything."""
    if answer is None:
        return Defer(f"policy {policy.name!r} left it open")
    kind = type(answer).__name__  # not the answer itself: values must not reach logs
    if not isinstance(answer, Resolution):
        return Defer(f"policy {policy.name!r} answered with no resolution but {kind}")
    if isinstance(answer, Merge) and not isinstance(answer.values, Mapping):
        return Defer(f"policy {policy.name!r} answered with a merge that names no columns")
    return answer


def _base_references(states: Iterable[RowState]) -> BaseReferences:
    """Return what the bases of rows point to, by row key and column."""
    references: dict[str, dict[str, str]] = {}
    for state in states:
        base = state.base
        if base is None:
            continue
        found: dict[str, str] = {}
        for column in state.schema.columns:
            if column.type is ColumnType.LOOKUP:
                target = from_cells(column, base.cells)
                if isinstance(target, Reference):
                    found[column.name] = row_key(target.table, target.id)
        references[row_key(state.table, state.row_id)] = found
    return references
