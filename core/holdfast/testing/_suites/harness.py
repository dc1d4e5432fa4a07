"""What the suite of transports stands on: a server to act on, and a session to look through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final

import pytest

from holdfast.contracts import Transport
from holdfast.errors import Unreachable
from holdfast.model import (
    Applied,
    Capabilities,
    Conflicted,
    Op,
    OpKind,
    Outcome,
    Page,
    Record,
    Scope,
    Unit,
    Unknown,
    Unreadable,
)
from holdfast.testing._mixing import guid, mix
from holdfast.values import Cell, Change, from_cells, to_change

Values = Mapping[str, object]

#: So many rows that a page of ``TransportHarness.page_size`` does not hold them.
PAGES: Final = 3


class TransportHarness(ABC):
    """One server for one test, with one table that starts empty, and another user of it.

    Values are those that an application writes: ``Decimal``, aware ``datetime``, ``Reference`` …
    """

    #: The table's name.
    table: str
    #: How many changes the transport brings in one page here; small, 2 to 10.
    page_size: int

    @abstractmethod
    def open(self) -> AbstractAsyncContextManager[Transport]:
        """Open a transport; a test may do so several times."""

    @abstractmethod
    def sample(self, number: int) -> Values:
        """Return values for a new row, for all columns to be tested, others for each number.

        At least two columns, each of them updatable; every type that the server has, if possible.
        """

    def nullable(self) -> Sequence[str]:
        """Return the columns of ``sample`` that the server takes null for."""
        return tuple(self.sample(0))

    @abstractmethod
    def unacceptable(self) -> Values:
        """Return values for a new row that the server refuses for good."""

    @abstractmethod
    async def server_create(self, values: Values) -> str:
        """Create a row as the other user, and return its id."""

    @abstractmethod
    async def server_update(self, row_id: str, values: Values) -> None:
        """Change some columns as the other user."""

    @abstractmethod
    async def server_delete(self, row_id: str) -> None:
        """Delete a row as the other user."""

    async def server_garble(self, row_id: str) -> bool:  # noqa: ARG002  for those that can
        """Change a row into one that makes no sense, and return True; False if that is not done.

        Say, with a text where a number belongs. It must still be known which row it is.
        """
        return False

    @abstractmethod
    async def server_get(self, row_id: str) -> Values | None:
        """Return a row, at least the columns of ``sample``; None if it is not there."""

    @abstractmethod
    def lose_next_reply(self) -> None:
        """Let the server do what the next write request says, and lose its reply."""

    @abstractmethod
    def expire_checkpoints(self) -> None:
        """Make every checkpoint handed out so far void."""


class Session:
    """An open transport with the scope of its test table, and what tests ask of the two."""

    def __init__(self, harness: TransportHarness, transport: Transport, scope: Scope) -> None:
        self.harness = harness
        self.transport = transport
        self.scope = scope

    @classmethod
    async def start(cls, harness: TransportHarness, transport: Transport) -> Session:
        [schema] = await transport.schema([harness.table])
        return cls(harness, transport, Scope(schema.only(harness.sample(0))))

    def changes(self, values: Values) -> dict[str, Change]:
        by_name = self.scope.schema.by_name
        return {name: to_change(by_name[name], value) for name, value in values.items()}

    def held(self, record: Record | None) -> dict[str, Change]:
        """Return what a record holds, as changes; a null column is left out."""
        assert record is not None
        assert len(record) == len(self.scope.fields) + 1, "a record has its fields and a version"
        cells = self.cells(record)
        columns = self.scope.schema.columns[1:]
        held = {column.name: from_cells(column, cells) for column in columns}
        return {name: change for name, change in held.items() if change is not None}

    def cells(self, record: Record) -> dict[str, Cell]:
        return {field.name: record[i] for i, field in enumerate(self.scope.fields)}

    def create(self, number: int, values: Values, *, attempts: int = 1) -> Op:
        row_id = guid(mix(number), mix(~number))
        return self.op(OpKind.CREATE, row_id, values=values, attempts=attempts)

    def op(
        self,
        kind: OpKind,
        row_id: str,
        *,
        values: Values | None = None,
        version: str | None = None,
        attempts: int = 1,
    ) -> Op:
        return Op(
            id=f"{kind.value}-{row_id}",
            sequence=1,
            kind=kind,
            table=self.scope.table,
            row_id=row_id,
            changes=self.changes(values or {}),
            version=version,
            attempts=attempts,
        )

    async def push(self, *units: Op | Unit) -> dict[str, Outcome]:
        """Push, and return the outcomes by op; check that each op has exactly one."""
        sent = [Unit((unit,)) if isinstance(unit, Op) else unit for unit in units]
        pushing = self.transport.push(sent, {self.scope.table: self.scope})
        outcomes = [outcome async for outcome in pushing]
        asked = sorted(op.id for unit in sent for op in unit.ops)
        assert sorted(outcome.op_id for outcome in outcomes) == asked
        return {outcome.op_id: _with_tuple(outcome) for outcome in outcomes}

    async def push_one(self, op: Op) -> Outcome:
        return (await self.push(op))[op.id]

    async def push_unheard(self, op: Op) -> None:
        """Push an op whose reply gets lost."""
        self.harness.lose_next_reply()
        try:
            outcome = await self.push_one(op)
        except Unreachable:
            return
        assert isinstance(outcome, Unknown | Applied), outcome

    async def pull(self, checkpoint: str | None) -> list[Page]:
        pages = [page async for page in self.transport.pull(self.scope, checkpoint)]
        assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
        return pages

    async def seen(self, row_id: str) -> Record | None:
        found = await self.fetch([row_id])
        assert len(found) <= 1
        return tuple(found[0]) if found else None

    async def fetch(self, ids: Sequence[str]) -> list[Record]:
        """Fetch rows, all of which must make sense."""
        found = await self.transport.fetch(self.scope, ids)
        records = [row for row in found if not isinstance(row, Unreadable)]
        assert len(records) == len(found)
        return records

    async def version(self, row_id: str) -> str:
        record = await self.seen(row_id)
        assert record is not None
        return str(record[-1])


def _with_tuple(outcome: Outcome) -> Outcome:
    """Return the outcome with its record, which may be any sequence, as a tuple to compare."""
    if isinstance(outcome, Applied | Conflicted) and outcome.record is not None:
        return replace(outcome, record=tuple(outcome.record))
    return outcome


def records_of(pages: Sequence[Page]) -> dict[str, Record]:
    """Return the records of some pages by id; later pages win."""
    return {str(record[0]): record for page in pages for record in page.records}


def torn_of(pages: Sequence[Page]) -> dict[str | None, Unreadable]:
    """Return the rows that made no sense by id."""
    return {row.row_id: row for page in pages for row in page.unreadable}


def tombstones_of(pages: Sequence[Page]) -> set[str]:
    """Return the ids of all tombstones."""
    return {row_id for page in pages for row_id in page.tombstones}


async def fill(harness: TransportHarness, count: int) -> list[str]:
    return [await harness.server_create(harness.sample(number)) for number in range(count)]


async def session_that(harness: TransportHarness, transport: Transport, *needs: str) -> Session:
    able: Capabilities = await transport.capabilities()
    for need in needs:
        if not getattr(able, need):
            pytest.skip(f"the transport says: no {need.replace('_', ' ')}")
    return await Session.start(harness, transport)


async def feed(harness: TransportHarness, transport: Transport) -> Session:
    return await session_that(harness, transport, "change_feed")


async def writer(harness: TransportHarness, transport: Transport) -> Session:
    return await session_that(harness, transport, "conditional_writes", "client_ids")


async def atomic(harness: TransportHarness, transport: Transport) -> Session:
    needs = ("conditional_writes", "client_ids", "atomic_units")
    return await session_that(harness, transport, *needs)


async def garbled(harness: TransportHarness, row_id: str) -> str:
    if not await harness.server_garble(row_id):
        pytest.skip("the harness garbles no rows")
    return row_id


async def server_has(session: Session, row_id: str) -> dict[str, Change]:
    found = await session.harness.server_get(row_id)
    assert found is not None
    return session.changes({name: found[name] for name in session.harness.sample(0)})
