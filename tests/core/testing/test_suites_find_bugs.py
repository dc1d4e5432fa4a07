"""A suite that passes everything is worth nothing: each of these drivers has one bug."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

import holdfast.testing
from holdfast._system import system_environment
from holdfast.contracts import Change, Context, Key, OpenMode, Order, Put, Query, Storage, Transport
from holdfast.errors import HoldfastError, ProtocolError
from holdfast.filters import EVERYTHING, Expression
from holdfast.model import (
    Applied,
    Op,
    OpKind,
    Outcome,
    Page,
    Record,
    Refused,
    Scope,
    Unit,
    Unreadable,
)
from holdfast.schema import Column, ColumnType, Fill, Kind, TableSchema
from holdfast.testing import (
    MemoryDisk,
    MemoryServer,
    MemoryStorage,
    MemoryTransport,
    Opener,
    StorageContract,
    TransportContract,
    TransportHarness,
)
from holdfast.values import Reference

# Storages.


class WritesOneByOne(MemoryStorage):
    async def write(self, changes: Sequence[Change]) -> None:
        for change in changes:
            await super().write([change])


class WritesRecordByRecord(MemoryStorage):
    async def write(self, changes: Sequence[Change]) -> None:
        for change in changes:
            parts = (
                [replace(change, records=[r]) for r in change.records]
                if isinstance(change, Put)
                else [change]
            )
            for part in parts:
                await super().write([part])


class KeepsDecimalsAsFloats(MemoryStorage):
    async def read(self, table: str, keys: Sequence[Key]) -> list[Record]:
        def float_of(cell: Any) -> Any:
            return Decimal(float(cell)) if isinstance(cell, Decimal) else cell

        return [tuple(map(float_of, record)) for record in await super().read(table, keys)]


class KeepsBooleansAsNumbers(MemoryStorage):
    async def read(self, table: str, keys: Sequence[Key]) -> list[Record]:
        def number_of(cell: Any) -> Any:
            return int(cell) if isinstance(cell, bool) else cell

        return [tuple(map(number_of, record)) for record in await super().read(table, keys)]


class CountsItsWayThrough(MemoryStorage):
    """Each part of an answer starts behind as many records as were read, whichever they are now."""

    async def query(self, query: Query) -> AsyncIterator[Record]:
        seen = 0
        while part := [record async for record in super().query(query)][seen : seen + 100]:
            for record in part:
                seen += 1
                yield record


class OrdersTextAsItIsSpelled(MemoryStorage):
    async def query(self, query: Query) -> AsyncIterator[Record]:
        order = tuple(
            Order(replace(o.field, kind=Kind.KEY), o.descending) if o.field.kind is Kind.TEXT else o
            for o in query.order
        )
        async for record in super().query(replace(query, order=order)):
            yield record


class LimitsBeforeItOrders(MemoryStorage):
    async def query(self, query: Query) -> AsyncIterator[Record]:
        some = replace(query, order=())
        taken = {record[0] async for record in super().query(some)}
        async for record in super().query(replace(query, limit=None)):
            if record[0] in taken:
                yield record


class CountsEverything(MemoryStorage):
    async def count(self, table: str, where: Expression = EVERYTHING) -> int:
        await super().count(table, where)
        return await super().count(table)


class HasNoLock(MemoryStorage):
    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Any, context: Context) -> AsyncIterator[MemoryStorage]:
        settings.disk.release()
        async with super().open(settings, context) as storage:
            yield storage


def opener_of(driver: type[MemoryStorage]) -> Opener:
    disk = MemoryDisk()

    def open_storage(*, mode: OpenMode = OpenMode.OWNER) -> AbstractAsyncContextManager[Storage]:
        context = Context(system_environment(), Path(), mode)
        return driver.open(driver.Settings(disk=disk), context)

    return open_storage


suite = StorageContract()
STORAGES: list[tuple[type[MemoryStorage], Callable[[Opener], Awaitable[None]]]] = [
    (
        WritesOneByOne,
        lambda o: suite.test_a_bad_record_undoes_the_whole_write(o, Put("nowhere", [])),
    ),
    (WritesRecordByRecord, suite.test_nobody_sees_half_a_write),
    (KeepsDecimalsAsFloats, lambda o: suite.test_every_cell_comes_back_as_it_was(o, Kind.DECIMAL)),
    (KeepsBooleansAsNumbers, lambda o: suite.test_every_cell_comes_back_as_it_was(o, Kind.BOOLEAN)),
    (CountsItsWayThrough, suite.test_an_open_query_does_not_hold_up_a_write),
    (
        OrdersTextAsItIsSpelled,
        lambda o: suite.test_order_is_that_of_the_kind(o, Kind.TEXT, descending=False),
    ),
    (LimitsBeforeItOrders, suite.test_a_limit_cuts_after_the_order),
    (CountsEverything, lambda o: suite.test_a_count_is_the_number_of_records(o, Kind.REAL)),
    (HasNoLock, suite.test_a_second_owner_is_told_who_the_first_is),
]


@pytest.mark.parametrize(("driver", "check"), STORAGES, ids=[d.__name__ for d, _ in STORAGES])
async def test_the_suite_finds_the_bug_of_a_storage(
    driver: type[MemoryStorage], check: Callable[[Opener], Awaitable[None]]
) -> None:
    await check(opener_of(MemoryStorage))
    with pytest.raises((AssertionError, HoldfastError, pytest.fail.Exception, ExceptionGroup)):
        await check(opener_of(driver))


# Transports.

TABLE = TableSchema(
    "thing",
    "thingid",
    "name",
    (
        Column("thingid", ColumnType.UNIQUEIDENTIFIER),
        Column("name", ColumnType.STRING, max_length=10),
        Column("price", ColumnType.DECIMAL),
    ),
)


def changed(unit: Unit, **values: Any) -> Unit:
    return Unit(tuple(replace(op, **values) for op in unit.ops))


class IgnoresVersions(MemoryServer):
    def apply(self, unit: Unit, scopes: Mapping[str, Scope], user: str) -> list[Outcome]:
        [op] = unit.ops
        row = self.get(op.table, op.row_id)
        return super().apply(changed(unit, version=row.version if row else None), scopes, user)


class KnowsNoRetries(MemoryServer):
    def apply(self, unit: Unit, scopes: Mapping[str, Scope], user: str) -> list[Outcome]:
        return super().apply(changed(unit, attempts=1), scopes, user)


class TakesEveryRetryForItsOwn(MemoryServer):
    def apply(self, unit: Unit, scopes: Mapping[str, Scope], user: str) -> list[Outcome]:
        outcomes = super().apply(unit, scopes, user)
        retried = unit.ops[0].attempts > 1
        return [Applied(o.op_id, None) if retried else o for o in outcomes]


class AppliesRetriesAgain(IgnoresVersions):
    """An update without a precondition: the same values, and a second effect."""


class WritesWholeRows(MemoryServer):
    def apply(self, unit: Unit, scopes: Mapping[str, Scope], user: str) -> list[Outcome]:
        [op] = unit.ops
        whole: Mapping[str, Any] = {"name": None, "price": None, **op.changes}
        return super().apply(changed(unit, changes=whole), scopes, user)


class IsNotAtomic(MemoryServer):
    def apply(self, unit: Unit, scopes: Mapping[str, Scope], user: str) -> list[Outcome]:
        return [
            o for op in unit.ops for o in super(IsNotAtomic, self).apply(Unit((op,)), scopes, user)
        ]


class ForgetsTombstones(MemoryServer):
    def page(self, scope: Scope, checkpoint: str | None) -> Page:
        return replace(super().page(scope, checkpoint), tombstones=())


class ForgetsPagesOfADelta(MemoryServer):
    """Its checkpoints inside a delta are those of its end."""

    def page(self, scope: Scope, checkpoint: str | None) -> Page:
        page = last = super().page(scope, checkpoint)
        while not last.last:
            last = super().page(scope, last.checkpoint)
        return page if checkpoint is None else replace(page, checkpoint=last.checkpoint)


class StartsTheDeltaAtTheEnd(MemoryServer):
    """A change during the first pull is before its checkpoint."""

    def page(self, scope: Scope, checkpoint: str | None) -> Page:
        page = super().page(scope, checkpoint)
        if not page.last:
            return page
        epoch, table, first, _, until, after = page.checkpoint.split("|", 5)
        late = str(len(self.effects))
        return replace(page, checkpoint=f"{epoch}|{table}|{first}|{late}|{until}|{after}")


class NeverForgetsACheckpoint(MemoryServer):
    def expire_checkpoints(self) -> None:
        pass


class SendsFloats(MemoryServer):
    def records(self, scope: Scope, ids: Any) -> list[Any]:
        def float_of(cell: Any) -> Any:
            return float(cell) if isinstance(cell, Decimal) else cell

        found: list[Any] = super().records(scope, ids)
        return [tuple(map(float_of, record)) for record in found]


class LeavesOutWhatMakesNoSense(MemoryServer):
    def records(self, scope: Scope, ids: Any) -> list[Record | Unreadable]:
        return [row for row in super().records(scope, ids) if not isinstance(row, Unreadable)]


class RefusesAPageForOneRow(MemoryServer):
    def page(self, scope: Scope, checkpoint: str | None) -> Page:
        page = super().page(scope, checkpoint)
        if page.unreadable:
            raise ProtocolError("a row makes no sense")
        return page


class ListsIdsAsTheyCame(MemoryServer):
    def ids(self, table: str) -> list[str]:
        return super().ids(table)[::-1]


class Harness(TransportHarness):
    table = "thing"
    page_size = 3

    def __init__(self, server: type[MemoryServer]) -> None:
        self.server = server([TABLE], page_size=self.page_size)

    def open(self) -> AbstractAsyncContextManager[Transport]:
        settings = MemoryTransport.Settings(server=self.server)
        return MemoryTransport.open(settings, Context(system_environment(), Path()))

    def sample(self, number: int) -> Mapping[str, object]:
        return {"name": f"thing {number}", "price": Decimal("0.1") + number}

    def unacceptable(self) -> Mapping[str, object]:
        return {"name": "x" * 11}

    async def server_create(self, values: Mapping[str, object]) -> str:
        return self.server.create("thing", values)

    async def server_update(self, row_id: str, values: Mapping[str, object]) -> None:
        self.server.update("thing", row_id, values)

    async def server_delete(self, row_id: str) -> None:
        self.server.delete("thing", row_id)

    async def server_garble(self, row_id: str) -> bool:
        self.server.garbled[row_id] = Unreadable(row_id, "it is not what it was", "{}")
        self.server.update("thing", row_id, {})
        return True

    async def server_get(self, row_id: str) -> Mapping[str, object] | None:
        return self.server.get("thing", row_id)

    def lose_next_reply(self) -> None:
        self.server.lose_reply()

    def expire_checkpoints(self) -> None:
        self.server.expire_checkpoints()


way = TransportContract()
SERVERS: list[tuple[type[MemoryServer], Callable[[TransportHarness], Awaitable[None]]]] = [
    (LeavesOutWhatMakesNoSense, way.test_a_row_that_makes_no_sense_comes_aside),
    (LeavesOutWhatMakesNoSense, way.test_a_row_that_makes_no_sense_is_not_one_that_is_not_there),
    (RefusesAPageForOneRow, way.test_a_row_that_makes_no_sense_comes_aside),
    (IgnoresVersions, way.test_an_update_on_a_stale_version_is_a_conflict),
    (KnowsNoRetries, way.test_a_create_whose_reply_was_lost_is_recognised),
    (KnowsNoRetries, way.test_an_update_whose_reply_was_lost_is_recognised),
    (TakesEveryRetryForItsOwn, way.test_a_retry_that_was_never_applied_is_a_conflict_when_stale),
    (
        TakesEveryRetryForItsOwn,
        way.test_a_create_of_an_id_that_somebody_else_has_is_a_conflict,
    ),
    (AppliesRetriesAgain, way.test_an_update_whose_reply_was_lost_is_recognised),
    (WritesWholeRows, way.test_an_update_leaves_the_other_columns),
    (IsNotAtomic, way.test_a_unit_with_a_bad_op_is_not_applied_at_all),
    (ForgetsTombstones, way.test_a_delta_has_what_changed_and_tombstones),
    (ForgetsTombstones, way.test_a_row_deleted_during_a_pull_is_not_kept),
    (ForgetsPagesOfADelta, way.test_a_delta_resumes_after_every_page),
    (StartsTheDeltaAtTheEnd, way.test_a_change_during_a_pull_is_not_lost),
    (NeverForgetsACheckpoint, way.test_an_expired_checkpoint_is_said_to_be_void),
    (SendsFloats, way.test_every_column_arrives_as_the_canonical_cell),
    (ListsIdsAsTheyCame, way.test_list_ids_yields_all_ids_ascending),
]


@pytest.mark.parametrize(
    ("server", "check"), SERVERS, ids=[f"{s.__name__}-{n}" for n, (s, _) in enumerate(SERVERS)]
)
async def test_the_suite_finds_the_bug_of_a_transport(
    server: type[MemoryServer], check: Callable[[TransportHarness], Awaitable[None]]
) -> None:
    await check(Harness(MemoryServer))
    with pytest.raises((AssertionError, pytest.fail.Exception, ProtocolError)):
        await check(Harness(server))


# The package.


def test_the_drivers_in_memory_do_not_need_pytest() -> None:
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from holdfast.testing import MemoryStorage, MemoryTransport, MemoryServer, MemoryDisk\n"
        "import holdfast.testing.simulation"
    )
    run([sys.executable, "-c", code], check=True, timeout=30)


def test_every_public_name_is_there_and_no_other() -> None:
    for name in holdfast.testing.__all__:
        assert hasattr(holdfast.testing, name)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = holdfast.testing.Nothing  # type: ignore[attr-defined]  # it is not there


def test_a_server_fills_in_what_the_schema_says() -> None:
    table = TableSchema(
        "task",
        "taskid",
        None,
        (
            Column("taskid", ColumnType.UNIQUEIDENTIFIER),
            Column("statecode", ColumnType.STATE, default=0),
            Column("ownerid", ColumnType.LOOKUP, fill=Fill.CALLER),
            Column("createdon", ColumnType.DATETIME, fill=Fill.NOW),
        ),
    )
    server = MemoryServer([table])
    row = server.get("task", server.create("task", {}, user="kari"))
    assert row is not None
    assert row["statecode"] == 0
    assert row["ownerid"] == Reference("systemuser", "kari")
    assert row["createdon"] is not None


async def test_a_rule_of_the_server_refuses_a_row_until_it_is_lifted() -> None:
    harness = Harness(MemoryServer)
    row_id = await harness.server_create(harness.sample(1))
    scopes = {"thing": Scope(TABLE)}
    row = harness.server.get("thing", row_id)
    assert row is not None
    op = Op("o", 1, OpKind.UPDATE, "thing", row_id, {"name": "new"}, row.version)
    harness.server.refuse(row_id, "locked", "the period is closed")
    assert harness.server.apply(Unit((op,)), scopes, "kari") == [
        Refused("o", "locked", "the period is closed")
    ]
    harness.server.accept(row_id)
    [outcome] = harness.server.apply(Unit((op,)), scopes, "kari")
    assert isinstance(outcome, Applied)
    assert [effect.user for effect in harness.server.effects] == ["somebody-else", "kari"]
