"""What a person settles: issues are retried, discarded or decided; settled conflicts come back.

Invariant: an issue leaves together with the change that settles it. Whatever brings a loser back is
an ordinary local edit, made on the row as it is now. A yes to many rows counts for those that were
shown, and no sync runs meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

from holdfast._deletion import Deletion
from holdfast._engine import Engine, moment
from holdfast._plan import rows
from holdfast._plan.conflicts import history, row_of
from holdfast._plan.rows import RowState, changed_columns
from holdfast._quarantine import Quarantine
from holdfast._removal import Removal
from holdfast._store import Writes
from holdfast._tables import HISTORY, ISSUES, HistoryState, Image, IssueState
from holdfast.errors import IssueNotFound
from holdfast.model import KeepLocal, KeepRemote, Op, OpKind, OpState, Policy, Resolution, Row
from holdfast.schema import TableSchema
from holdfast.status import HistoryEntry, Issue, IssueKind
from holdfast.values import Change, from_cells

Transition: TypeAlias = Callable[[RowState, IssueState], RowState]
#: What stands in the history in place of a policy's name when a person has decided.
A_PERSON: Final = "a person"
#: What else can be done to an issue that does not take what was asked.
_WAYS: Final = {
    IssueKind.CONFLICT: "a conflict is decided: take mine or theirs, retry or discard",
    IssueKind.REFUSED: "the server refused it: retry or discard it",
    IssueKind.REMOVAL: "it asks whether rows may go from here: allow it or retry",
    IssueKind.DELETION: "it asks whether rows may be deleted on the server: allow or discard it",
    IssueKind.UNREADABLE: "a row came that makes no sense: retry, once the server's is mended",
}
#: Issues about rows, each with its ops.
_OF_ROWS: Final = (IssueKind.CONFLICT, IssueKind.REFUSED)


class Issues:
    """Reads and settles the issues and the history of a replica.

    :param syncing: held while a sync runs
    """

    def __init__(self, engine: Engine, syncing: asyncio.Lock) -> None:
        self._engine = engine
        self._store = engine.store
        self._syncing = syncing
        self._removal = Removal(engine)
        self._deletion = Deletion(engine)
        self._quarantine = Quarantine(engine)

    async def list(self) -> list[Issue]:
        """Return the open issues, oldest first."""
        states = sorted(await self._store.issues(), key=lambda state: (state.raised, state.id))
        return [await self._issue(state) for state in states]

    async def get(self, issue_id: str) -> Issue:
        """Return one issue.

        :raises IssueNotFound: there is none
        """
        return await self._issue(await self._open(issue_id))

    async def history(self, limit: int) -> Sequence[HistoryEntry]:
        """Return the settled conflicts, newest first."""
        return [self._entry(entry) for entry in await self._store.history(limit)]

    async def _issue(self, state: IssueState) -> Issue:
        schema = self._engine.schema(state.table)
        row = await self._store.row(schema, state.row_id)
        base = row.base.cells if row.base else None
        raised = moment(state.raised)
        assert raised is not None
        return Issue(
            id=state.id,
            kind=state.kind,
            table=state.table,
            row_id=state.row_id,
            message=state.message,
            code=state.code,
            raised=raised,
            base=row_of(schema, row.base),
            mine=None if row.local is None else Row(schema, row.local, pending=row.dirty),
            theirs=row_of(schema, row.remote),
            columns=tuple(sorted(changed_columns(schema, base, row.local))),
            ops=state.ops,
            extent=state.extent,
            payload=await self._quarantine.payload(state),
        )

    def _entry(self, entry: HistoryState) -> HistoryEntry:
        schema = self._engine.schema(entry.table)
        settled = moment(entry.settled)
        assert settled is not None
        return HistoryEntry(
            id=entry.id,
            table=entry.table,
            row_id=entry.row_id,
            winner=entry.winner,
            policy=entry.policy,
            settled=settled,
            base=row_of(schema, entry.base),
            mine=row_of(schema, entry.mine),
            theirs=row_of(schema, entry.theirs),
            columns=entry.changed,
        )

    async def _open(self, issue_id: str, *kinds: IssueKind) -> IssueState:
        """Return an open issue, of one of these kinds if any are given.

        :raises IssueNotFound: there is none, or it is of another kind
        """
        state = await self._store.issue(issue_id)
        if state is None:
            raise IssueNotFound(issue_id)
        if kinds and state.kind not in kinds:
            raise IssueNotFound(issue_id, _WAYS[state.kind])
        return state

    async def allow(self, issue_id: str) -> None:
        """Let as many rows go as an issue says, here or on the server.

        :raises IssueNotFound: there is none, it asks something else, or more would go now
        """
        async with self._alone():
            issue = await self._open(issue_id, IssueKind.REMOVAL, IssueKind.DELETION)
            if issue.kind is IssueKind.REMOVAL:
                await self._removal.allow(issue)
            else:
                await self._deletion.settle(issue, rows.allowed)

    async def retry(self, issue_id: str) -> None:
        """Let the ops of an issue be sent again; of one without ops, have the server asked again.

        :raises IssueNotFound: there is none, or this cannot be done to it
        """
        issue = await self._open(issue_id, *_OF_ROWS, IssueKind.REMOVAL, IssueKind.UNREADABLE)
        if issue.kind in _OF_ROWS:
            await self._settle(issue_id, lambda row, issue: rows.released(row, issue.ops))
            return
        async with self._alone():
            issue = await self._open(issue_id, issue.kind)  # a sync may have settled it
            if issue.kind is IssueKind.REMOVAL:
                await self._removal.ask_again(issue)
            else:
                await self._quarantine.retry(issue)

    async def discard(self, issue_id: str) -> None:
        """Drop the ops of an issue; the row becomes the server's, with what is left on top.

        :raises IssueNotFound: there is none, or this cannot be done to it
        """
        issue = await self._open(issue_id, *_OF_ROWS, IssueKind.DELETION)
        if issue.kind in _OF_ROWS:
            await self._settle(issue_id, self._dropped, KeepRemote())
            return
        async with self._alone():
            issue = await self._open(issue_id, issue.kind)
            await self._deletion.settle(issue, self._undone)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Wait for a sync that runs, and let none begin."""
        self._engine.must_own()
        async with self._syncing:
            yield

    def _undone(self, row: RowState, op_ids: Collection[str]) -> RowState:
        return rows.discard(row, [op.id for op in row.ops if op.id in op_ids], self._author)

    async def take_mine(self, entry_id: str) -> None:
        """Let what was typed here win: in an issue by sending it, after the fact by editing anew.

        :raises IssueNotFound: there is neither an issue nor a settled conflict with this id
        """
        entry = await self._store.history_entry(entry_id)
        if entry is not None:
            await self._bring_back(entry, entry.mine)
        elif (await self._open(entry_id)).kind is IssueKind.DELETION:
            await self.allow(entry_id)
        else:
            await self._settle(entry_id, self._kept, KeepLocal())

    async def take_theirs(self, entry_id: str) -> None:
        """Let the server's row win: in an issue by dropping the ops, after the fact by an edit.

        :raises IssueNotFound: there is neither an issue nor a settled conflict with this id
        """
        entry = await self._store.history_entry(entry_id)
        if entry is None:
            await self.discard(entry_id)
        else:
            await self._bring_back(entry, entry.theirs)

    @property
    def _author(self) -> rows.Author:
        return self._engine.author

    def _dropped(self, row: RowState, issue: IssueState) -> RowState:
        """Drop all ops of a conflict, since they were made on the row that loses."""
        ops = [op.id for op in row.ops] if issue.kind is IssueKind.CONFLICT else issue.ops
        return rows.discard(row, ops, self._author)

    def _kept(self, row: RowState, issue: IssueState) -> RowState:
        if issue.kind is IssueKind.CONFLICT:
            return rows.keep_local(row, self._author)
        return rows.released(row, issue.ops)

    async def _settle(
        self, issue_id: str, transition: Transition, decision: Resolution | None = None
    ) -> None:
        """Change the row and close its issue in one commit; what a decision gives up is kept."""
        self._engine.must_own()
        async with self._store.lock:
            issue = await self._open(issue_id, *_OF_ROWS)
            before = await self._store.row(self._engine.schema(issue.table), issue.row_id)
            writes = Writes()
            after = before
            if before.dirty:
                after = transition(before, issue)
                if decision is not None and issue.kind is IssueKind.CONFLICT:
                    writes.append(HISTORY, self._decided(before, decision).record())
            for other in await self._store.issues_of(issue.table, issue.row_id):
                open_ops = {op.id for op in after.ops if op.state is OpState.HELD}
                if other.id == issue.id or not open_ops & set(other.ops):
                    writes.delete(ISSUES, other.id)
            await self._engine.commit_rows([(before, after)], writes)

    def _decided(self, row: RowState, decision: Resolution) -> HistoryState:
        entry_id = self._engine.environment.ids.new()
        now = self._engine.now()
        return history(row, decision, Policy(A_PERSON), entry_id=entry_id, now=now)

    async def _bring_back(self, entry: HistoryState, image: Image | None) -> None:
        """Edit the row as it is now into what it was then; only the conflict's columns."""
        self._engine.must_own()
        async with self._store.lock:
            schema = self._engine.schema(entry.table)
            before = await self._store.row(schema, entry.row_id)
            edit = self._edit_towards(schema, entry, before, image)
            if edit is None:
                raise IssueNotFound(entry.id, "the row already is as wanted")
            kind, changes = edit
            op = Op(
                id=self._engine.environment.ids.new(),
                sequence=await self._store.next_sequence(),
                kind=kind,
                table=entry.table,
                row_id=entry.row_id,
                changes=changes,
                created=self._engine.now(),
            )
            writes = Writes()
            writes.row(before, rows.edit(before, op, self._author), self._engine.now())
            await self._store.commit(writes)

    def _edit_towards(
        self,
        schema: TableSchema,
        entry: HistoryState,
        before: RowState,
        image: Image | None,
    ) -> tuple[OpKind, dict[str, Change]] | None:
        if image is None:
            return None if before.local is None else (OpKind.DELETE, {})
        if before.local is None:
            return OpKind.CREATE, rows.creatable(schema, image.cells)
        wanted = rows.updatable(schema, image.cells)
        now = before.local
        changes = {
            name: change
            for name, change in wanted.items()
            if name in entry.changed and from_cells(schema.by_name[name], now) != change
        }
        return (OpKind.UPDATE, changes) if changes else None
