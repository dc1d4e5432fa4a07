"""Letting rows go that no rule admits any more, unless so many would that a person is asked.

Invariant. That a row must go is noted in the row, in the commit of whatever said so; it goes only
here, at the end of a table's turn, when all that will go is known. A row with unsettled ops stays.
So neither a page nor an interruption can make many removals look like few, and none is lost while
it waits: the checkpoint never passes a deletion that is not noted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Final

from holdfast._engine import Engine
from holdfast._plan import guards
from holdfast._plan.guards import Verdict
from holdfast._scopes import TableScope
from holdfast._store import Writes
from holdfast._tables import (
    ISSUES,
    PENDING_FIELD,
    RULES_FIELD,
    SCOPES,
    IssueState,
    ScopeState,
)
from holdfast.contracts import Query
from holdfast.errors import IssueNotFound
from holdfast.filters import (
    EVERYTHING,
    And,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    Literal,
)
from holdfast.schema import Kind
from holdfast.status import Cause, Extent, IssueKind, TableReport

#: How many ids are asked for, or written, at a time.
CHUNK: Final = 500
_RULES: Final = ColumnRef(RULES_FIELD.name, Kind.INTEGER)
_GONE: Final = Compare(Comparison.LT, _RULES, Literal(0))
_CLEAN: Final = Compare(Comparison.EQ, ColumnRef(PENDING_FIELD.name, Kind.BOOLEAN), Literal(False))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the rows that must go: ``held`` is the question that they wait for, if any.

    ``raised`` tells that it is new.
    """

    held: IssueState | None = None
    raised: bool = False


class Removal:
    """Removes what a table's rules no longer admit."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store

    async def conclude(self, scope: TableScope, state: ScopeState, report: TableReport) -> Outcome:
        """Let the rows go that must, or say what a person is to be asked.

        A table that was never whole has nothing that anybody relied on; so nobody is asked.
        """
        causes = await self._causes(scope)
        if not any(causes.values()):
            return Outcome()
        chosen_anew = state.chosen not in (None, self.choice(scope))
        counted = guards.weighed(causes, chosen_anew=chosen_anew)
        count, of = sum(counted.values()), await self._store.count(scope.name)
        open_issue = await self._open(scope.name)
        asked = open_issue.extent if open_issue is not None else None
        before = of if state.rows is None else min(state.rows, of)
        verdict = guards.judge(scope.rule.removal_limit, count, before, asked)
        if verdict is Verdict.GO or not state.complete:
            await self._evict(scope, And((self._out(scope), _CLEAN)), report)
            return Outcome()
        if chosen_anew:
            await self._evict(scope, And((self._left(scope), _CLEAN)), report)
        if verdict is Verdict.WAIT:
            return Outcome(open_issue)
        question = self._question(scope.name, Extent(count, of, counted))
        return Outcome(question, raised=True)

    def choice(self, scope: TableScope) -> str:
        """Stand for what the profile chooses by: the table's rules, and those of what points to it.

        Whoever keeps fewer accounts has said so of the contacts that only those point to.
        """
        reached = {scope.name: scope}
        frontier = [scope]
        while frontier:
            for link in frontier.pop().links:
                source = self._engine.scopes.get(link.source)
                if source is not None and source.name not in reached:
                    reached[source.name] = source
                    frontier.append(source)
        return " ".join(f"{name}:{reached[name].chosen}" for name in sorted(reached))

    async def note(self, table: str, outcome: Outcome, writes: Writes) -> None:
        """Write the question that is open, and close those that are not."""
        for issue in await self._store.issues_about(table, IssueKind.REMOVAL):
            if outcome.held is None or issue.id != outcome.held.id:
                writes.delete(ISSUES, issue.id)
        if outcome.held is not None and outcome.raised:
            writes.put(ISSUES, outcome.held.record())

    async def allow(self, issue: IssueState) -> None:
        """Let the rows go that an issue is about; call while no sync runs.

        :raises IssueNotFound: more would go now than it said
        """
        scope = self._engine.scope(issue.table)
        state = await self._store.scope_state(issue.table)
        if state.fingerprint != scope.fingerprint:
            raise IssueNotFound(issue.id, guards.OVERTAKEN)
        now = sum((await self._causes(scope)).values())
        assert issue.extent is not None
        if now > issue.extent.rows:
            raise IssueNotFound(issue.id, guards.outgrown(issue.extent, now))
        await self._evict(scope, And((self._out(scope), _CLEAN)), TableReport())
        await self._answered(issue, lambda state: replace(state, leaving=False, problem=None))

    async def ask_again(self, issue: IssueState) -> None:
        """Have the table read anew; what the server then has stays, the rest is asked about."""
        text = "it is read anew with the next sync"
        await self._answered(
            issue, lambda state: replace(state.restarted(state.fingerprint), problem=text)
        )

    async def _answered(
        self, issue: IssueState, change: Callable[[ScopeState], ScopeState]
    ) -> None:
        async with self._store.lock:
            writes = Writes()
            state = await self._store.scope_state(issue.table)
            writes.put(SCOPES, change(state).record())
            writes.delete(ISSUES, issue.id)
            await self._store.commit(writes)

    async def _open(self, table: str) -> IssueState | None:
        return next(iter(await self._store.issues_about(table, IssueKind.REMOVAL)), None)

    def _question(self, table: str, extent: Extent) -> IssueState:
        message = guards.removal(extent)
        return self._engine.issue(IssueKind.REMOVAL, table, message, extent=extent)

    async def _causes(self, scope: TableScope) -> dict[Cause, int]:
        """Count the clean rows that no rule admits, by what has become of them."""
        count = self._store.count
        gone = await count(scope.name, And((_GONE, _CLEAN)))
        left = await count(scope.name, And((self._left(scope), _CLEAN)))
        return {Cause.DELETED: gone, _cause(scope): left}

    def _left(self, scope: TableScope) -> Expression:
        """Return the condition of rows that the server has and no rule admits."""
        if scope.rule.match == "any":
            return Compare(Comparison.EQ, _RULES, Literal(0))
        other = Compare(Comparison.NE, _RULES, Literal(scope.mask))
        return And((other, Compare(Comparison.GE, _RULES, Literal(0))))

    def _out(self, scope: TableScope) -> Expression:
        """Return the condition of rows that no rule admits, for whatever reason."""
        if scope.rule.match == "any":
            return Compare(Comparison.LE, _RULES, Literal(0))
        return Compare(Comparison.NE, _RULES, Literal(scope.mask))

    async def _evict(self, scope: TableScope, where: Expression, report: TableReport) -> None:
        async for ids in chunks(self._engine, scope.name, where):
            async with self._store.lock:
                states = await self._store.rows(scope.schema, ids)
                leaving = [i for i, s in states.items() if not s.dirty]
                writes = Writes()
                writes.delete(scope.name, *leaving)
                await self._engine.links_due([scope.name], writes)
                await self._store.commit(writes)
            report.removed += len(leaving)


def _cause(scope: TableScope) -> Cause:
    if scope.test is None:
        return Cause.UNLISTED
    return Cause.LEFT if scope.filter_bit else Cause.UNLINKED


async def chunks(engine: Engine, table: str, where: Expression) -> AsyncIterator[list[str]]:
    """Yield the ids of matching rows, some at a time, in key order.

    Each chunk is a query of its own: what the caller writes in between is seen, and no reading
    transaction stays open.
    """
    key = ColumnRef(engine.schema(table).primary_id, Kind.KEY)
    after: Expression = EVERYTHING
    while True:
        query = Query(table, And((where, after)), limit=CHUNK)
        ids = [str(record[0]) async for record in engine.store.query(query)]
        if not ids:
            return
        yield ids
        after = Compare(Comparison.GT, key, Literal(ids[-1]))
