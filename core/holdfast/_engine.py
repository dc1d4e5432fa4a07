"""What the executors share: the store, the transport, the scopes, the seams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from holdfast._events import Broadcast
from holdfast._plan.rows import Author, RowState
from holdfast._prepare import Preparation
from holdfast._rules import Views
from holdfast._scopes import TableScope
from holdfast._setup import Setup
from holdfast._store import Store, Writes
from holdfast._tables import SCOPES, IssueState
from holdfast.contracts import Environment, Transport
from holdfast.errors import NotDownloaded, StorageError, UnknownTable
from holdfast.model import Asking, Caller, Op, Scope
from holdfast.plugins import Plugins
from holdfast.schema import TableSchema
from holdfast.status import Extent, IssueKind
from holdfast.values import instant_cell

T = TypeVar("T")
#: Where the caller is noted, as the server described it last.
CALLER: Final = "caller"
#: Where the saved views are noted: texts by name by table.
VIEWS: Final = "views"
_CALLER: Final = TypeAdapter(Caller)


def caller_text(caller: Caller) -> str:
    """Return the text that is stored."""
    return _CALLER.dump_json(caller).decode()


@dataclass
class Engine:
    """One open replica, seen from inside.

    ``scopes`` are the profile's tables as last bound to the server's schemas, in download order.
    ``links_noted`` has the tables whose links came due while a download may already be past them,
    ``asked`` those about which a person is asked something, or that have rows put aside, as a
    download found it and has changed it since.
    """

    setup: Setup
    store: Store
    transport: Transport
    environment: Environment
    read_only: bool = False
    meta: dict[str, str] = field(default_factory=dict)
    scopes: Mapping[str, TableScope] = field(default_factory=dict)
    events: Broadcast = field(default_factory=Broadcast)
    links_noted: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)

    @property
    def plugins(self) -> Plugins:
        """The typed face of all hooks."""
        return self.setup.plugins

    def now(self) -> str:
        """Return the time as a cell, in whole seconds."""
        return instant_cell(self.environment.clock.now().replace(microsecond=0))

    def asking(self) -> Asking:
        """Return who asks, as the server said last, and when: for one whole question."""
        now = self.environment.clock.now()
        known = self.meta.get(CALLER)
        if known is not None:
            return Asking(now, _CALLER.validate_json(known))
        bare = "user" in self.meta  # a replica from before settings were kept
        caller = Caller(self.meta["organization"], self.meta["user"]) if bare else None
        return Asking(now, caller)

    def preparation(self) -> Preparation:
        """Return what makes expressions ready for a question that is asked now."""
        return Preparation(self.store, self.asking(), self.plugins.functions)

    def views(self) -> Views:
        """Return the saved views of the kept tables, as the server described them last."""
        views: dict[str, dict[str, str]] = json.loads(self.meta.get(VIEWS, "{}"))
        return views

    def must_own(self) -> None:
        """Make sure that this process may write.

        :raises StorageError: the replica is open read-only
        """
        if self.read_only:
            raise StorageError("the replica is open read-only; do it in the process that owns it")

    @property
    def author(self) -> Author:
        """Who writes locally."""
        return Author(self.meta.get("user", ""))

    def issue(
        self,
        kind: IssueKind,
        table: str,
        message: str,
        *,
        row_id: str = "",
        ops: Iterable[Op] = (),
        code: str = "",
        extent: Extent | None = None,
        subject: str | None = None,
    ) -> IssueState:
        """Return a new issue, raised now; whoever makes it stores it."""
        return IssueState(
            id=self.environment.ids.new(),
            kind=kind,
            table=table,
            row_id=row_id,
            ops=tuple(op.id for op in ops),
            code=code,
            message=message,
            raised=self.now(),
            extent=extent,
            subject=subject,
        )

    def scope(self, table: str) -> TableScope:
        """Return the scope of a table.

        :raises UnknownTable: the profile does not have it
        :raises NotDownloaded: the server has not described it yet
        """
        found = self.scopes.get(table)
        if found is not None:
            return found
        known = [rule.name for rule in self.setup.profile.profile.tables]
        if table in known:
            raise NotDownloaded(table)
        raise UnknownTable(table, known)

    def wire_scope(self, table: str) -> Scope:
        """Return the scope that outcomes of a table are read with.

        A table that left the profile keeps the schema its rows were stored with while ops of it
        wait.
        """
        found = self.scopes.get(table)
        return found.scope if found else Scope(self.store.schemas[table])

    @property
    def schemas(self) -> dict[str, TableSchema]:
        """The schemas of the tables that the profile keeps, each with the columns kept."""
        return {name: scope.schema for name, scope in self.scopes.items()}

    def schema(self, table: str) -> TableSchema:
        """Return the schema that a table's rows are stored with."""
        return self.store.schemas[table]

    def admitted(self, state: RowState) -> RowState:
        """Return a settled row with the bits of its own filter as the server's values have them.

        Bits of related rules stay until the links are looked at again at the end of a download;
        so a row created here does not vanish between its own settling and its parent's. So does the
        bit of a filter that only the server can judge, until its next list. Where there are none, a
        row that the filter does not admit leaves now: no page may bring it again.
        """
        scope = self.scopes.get(state.table)
        if scope is None or scope.test is None or state.dirty or state.remote is None:
            return state
        cells = [state.remote.cells.get(f.name) for f in scope.schema.fields]
        own = scope.filter_bit if scope.test(cells) else 0
        rules = (state.rules & ~scope.filter_bit) | own
        stays = bool(scope.links) or scope.admits(rules)
        return replace(state, rules=rules, local=state.local if stays else None)

    async def commit_rows(
        self, changes: Sequence[tuple[RowState, RowState]], writes: Writes
    ) -> None:
        """Write transitions of rows together with ``writes``; call with the lock held."""
        for before, after in changes:
            writes.row(before, self.admitted(after), self.now())
        settled = {after.table for _, after in changes if not after.dirty}
        await self.links_due(settled, writes, themselves=True)
        await self.store.commit(writes)

    async def links_due(
        self, tables: Collection[str], writes: Writes, *, themselves: bool = False
    ) -> None:
        """Note, with a change of these tables, that those reached from them must look again.

        :param themselves: those of them that are reached from others must look again, too
        """
        due = [
            scope.name
            for scope in self.scopes.values()
            if any(link.source in tables for link in scope.links)
            or (themselves and scope.links and scope.name in tables)
        ]
        states = await self.store.scope_states() if due else {}
        self.links_noted.update(due)
        for name in due:
            if name in states:
                writes.put(SCOPES, replace(states[name], membership_due=True).record())


def moment(text: str | None) -> datetime | None:
    """Read a stored time."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


async def unbroken(work: Coroutine[Any, Any, T]) -> T:  # Any: what a coroutine sends is asyncio's
    """Run ``work`` to its end though the caller is cancelled meanwhile; then obey.

    For steps that change storage and memory together. A second cancellation is obeyed at once.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()  # done, unless the caller was cancelled twice
        if not task.cancelled():
            task.exception()  # the cancellation counts; nothing is left unretrieved
        raise
