from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast._system import system_environment
from holdfast.contracts import Context, Transport
from holdfast.errors import ProtocolError, SignInNeeded, Throttled, TransportError, Unreachable
from holdfast.model import (
    Applied,
    Connectivity,
    Op,
    OpKind,
    Outcome,
    Refused,
    Scope,
    Unit,
    Unknown,
    Unreadable,
)
from holdfast.schema import Column, ColumnType, DateBehavior, TableSchema
from holdfast.testing import MemoryServer, MemoryTransport, TransportContract, TransportHarness
from holdfast.values import Change, Reference

ACCOUNT = TableSchema(
    "account",
    "accountid",
    "name",
    (
        Column("accountid", ColumnType.UNIQUEIDENTIFIER),
        Column("name", ColumnType.STRING, max_length=100),
        Column("employees", ColumnType.INTEGER),
        Column("revenue", ColumnType.MONEY),
        Column("rating", ColumnType.DOUBLE),
        Column("active", ColumnType.BOOLEAN),
        Column("colours", ColumnType.CHOICES),
        Column("met", ColumnType.DATETIME),
        Column("opens", ColumnType.DATETIME, behavior=DateBehavior.TIME_ZONE_INDEPENDENT),
        Column("founded", ColumnType.DATETIME, behavior=DateBehavior.DATE_ONLY),
        Column("parent", ColumnType.LOOKUP, targets=("account",)),
        Column("customer", ColumnType.LOOKUP, targets=("account", "contact")),
    ),
)


class MemoryHarness(TransportHarness):
    table = "account"
    page_size = 3

    def __init__(self) -> None:
        self.server = MemoryServer([ACCOUNT], page_size=self.page_size)

    def open(self) -> AbstractAsyncContextManager[Transport]:
        settings = MemoryTransport.Settings(server=self.server)
        return MemoryTransport.open(settings, Context(system_environment(), Path()))

    def sample(self, number: int) -> dict[str, object]:
        moment = datetime(2024, 2, 29, 23, 59, 59, 120_000, UTC) + timedelta(hours=number)
        somebody = f"00000000-0000-4000-8000-{number:012d}"
        return {
            "name": f"Fjord Marine Ø{number}",
            "employees": number,
            "revenue": Decimal("12345678901.1234567891") + number,
            "rating": 0.1 + number,
            "active": number % 2 == 0,
            "colours": (9, 1, number + 10),
            "met": moment,
            "opens": moment.replace(tzinfo=None),
            "founded": date(1999, 1, 1) + timedelta(days=number),
            "parent": Reference("account", somebody),
            "customer": Reference("contact", somebody),
        }

    def unacceptable(self) -> dict[str, object]:
        return {"name": "x" * 101}

    async def server_create(self, values: object) -> str:
        assert isinstance(values, dict)
        return self.server.create("account", values)

    async def server_update(self, row_id: str, values: object) -> None:
        assert isinstance(values, dict)
        self.server.update("account", row_id, values)

    async def server_delete(self, row_id: str) -> None:
        self.server.delete("account", row_id)

    async def server_garble(self, row_id: str) -> bool:
        self.server.garbled[row_id] = Unreadable(row_id, "it is not what it was", "{}")
        self.server.update("account", row_id, {})
        return True

    async def server_get(self, row_id: str) -> dict[str, object] | None:
        row = self.server.get("account", row_id)
        return None if row is None else dict(row)

    def lose_next_reply(self) -> None:
        self.server.lose_reply()

    def expire_checkpoints(self) -> None:
        self.server.expire_checkpoints()


class TestMemoryTransport(TransportContract):
    @pytest.fixture
    def harness(self) -> TransportHarness:
        return MemoryHarness()


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer([ACCOUNT])


@pytest.fixture
async def transport(server: MemoryServer) -> AsyncIterator[Transport]:
    settings = MemoryTransport.Settings(server=server, user="kari")
    async with MemoryTransport.open(settings, Context(system_environment(), Path())) as transport:
        yield transport


def create(values: dict[str, Change]) -> Op:
    return Op("op", 1, OpKind.CREATE, "account", "00000000-0000-4000-8000-000000000001", values)


async def push(transport: Transport, op: Op) -> list[Outcome]:
    return [o async for o in transport.push([Unit((op,))], {"account": Scope(ACCOUNT)})]


async def test_a_refused_connection_sends_nothing(
    server: MemoryServer, transport: Transport
) -> None:
    server.unreachable = True
    with pytest.raises(Unreachable, match="nothing was sent"):
        await push(transport, create({"name": "New"}))
    assert await transport.probe() is Connectivity.NO_ANSWER
    server.unreachable = False
    assert await transport.probe() is Connectivity.CONNECTED
    assert server.effects == []


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (SignInNeeded("the token has expired; sign in"), Connectivity.SIGN_IN_NEEDED),
        (Throttled(30), Connectivity.THROTTLED),
    ],
)
async def test_every_request_fails_as_told(
    server: MemoryServer, transport: Transport, error: TransportError, found: Connectivity
) -> None:
    server.failing = lambda: error
    with pytest.raises(type(error)):
        await transport.identity()
    assert await transport.probe() is found


async def test_a_lost_request_looks_like_a_lost_reply_and_has_no_effect(
    server: MemoryServer, transport: Transport
) -> None:
    op = create({"name": "New"})
    server.lose_request()
    assert await push(transport, op) == [Unknown("op", "no answer came")]
    assert server.effects == []
    server.lose_reply()
    assert await push(transport, op) == [Unknown("op", "no answer came")]
    assert [effect.op_id for effect in server.effects] == ["op"]
    assert isinstance((await push(transport, replace(op, attempts=3)))[0], Applied)
    assert [effect.user for effect in server.effects] == ["kari"]


async def test_a_lost_answer_to_a_question_is_unreachable(
    server: MemoryServer, transport: Transport
) -> None:
    server.lose_reply(2)
    for _ in range(2):
        with pytest.raises(Unreachable, match="no answer came"):
            await transport.count(Scope(ACCOUNT))
    assert await transport.count(Scope(ACCOUNT)) == 0


async def test_a_condition_is_refused(transport: Transport) -> None:
    with pytest.raises(ProtocolError, match="no filter language"):
        _ = [row_id async for row_id in transport.list_ids(Scope(ACCOUNT), "name eq 'x'")]


async def test_names_of_looked_up_rows_come_when_they_are_asked_for(
    server: MemoryServer, transport: Transport
) -> None:
    parent = server.create("account", {"name": "Parent"})
    child = server.create("account", {"name": "Child", "parent": Reference("account", parent)})
    gone = server.create(
        "account", {"parent": Reference("account", child.replace(child[:8], "00000000"))}
    )
    place = ACCOUNT.positions["_holdfast_parent_name"]
    for names, wanted in ((frozenset[str](), None), (frozenset({"parent"}), "Parent")):
        [record] = await transport.fetch(Scope(ACCOUNT, names), [child])
        assert not isinstance(record, Unreadable)
        assert record[place] == wanted
    [record] = await transport.fetch(Scope(ACCOUNT, frozenset({"parent"})), [gone])
    assert not isinstance(record, Unreadable)
    assert record[place] is None


async def test_versions_do_not_tell_their_order(server: MemoryServer) -> None:
    row_id = server.create("account", {"name": "0"})
    versions = []
    for number in range(50):
        server.update("account", row_id, {"name": str(number)})
        row = server.get("account", row_id)
        assert row is not None
        versions.append(row.version or "")
    assert len(set(versions)) == 50
    assert versions != sorted(versions)


async def test_a_table_or_column_that_is_not_there_is_refused(transport: Transport) -> None:
    op = create({"name": "New"})
    for bad in (replace(op, table="nothing"), replace(op, changes={"nothing": "x"})):
        assert isinstance((await push(transport, bad))[0], Refused)
