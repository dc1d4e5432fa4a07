from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from stranger.server import FolderServer  # type: ignore[import-not-found]  # installed by the test
from stranger.transport import FolderTransport  # type: ignore[import-not-found]  # installed by the test

from holdfast.contracts import Context, Transport
from holdfast.errors import ProtocolError, Unreachable
from holdfast.model import Connectivity, Outcome, Scope, Unit, Unknown, Unreadable
from holdfast.testing import TransportContract, TransportHarness
from holdfast.values import Reference

TABLES = {
    "account": {
        "primary_id": "accountid",
        "primary_name": "name",
        "columns": {
            "accountid": {"type": "uniqueidentifier"},
            "name": {"type": "string", "max_length": 100},
            "employees": {"type": "integer"},
            "revenue": {"type": "money"},
            "rating": {"type": "double"},
            "active": {"type": "boolean"},
            "colours": {"type": "choices"},
            "met": {"type": "datetime"},
            "opens": {"type": "datetime", "behavior": "time-zone-independent"},
            "founded": {"type": "datetime", "behavior": "date-only"},
            "parent": {"type": "lookup", "targets": ["account"]},
            "customer": {"type": "lookup", "targets": ["account", "contact"]},
        },
    },
}


class HardOfHearing(FolderTransport):  # type: ignore[misc]  # mypy does not see its base
    """Misses the next outcome when told to."""

    deaf = False

    async def push(
        self, units: Sequence[Unit], scopes: Mapping[str, Scope]
    ) -> AsyncIterator[Outcome]:
        async for outcome in super().push(units, scopes):
            yield Unknown(outcome.op_id, "no answer came") if self.deaf else outcome
            self.deaf = False


class FolderHarness(TransportHarness):
    table = "account"
    page_size = 3

    def __init__(self, folder: Path, context: Context) -> None:
        self.server = FolderServer.found(folder, {"organization": "office", "tables": TABLES})
        self._context = context

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Transport]:
        settings = HardOfHearing.Settings(
            path=self.server.folder, user="kari", page_size=self.page_size
        )
        async with HardOfHearing.open(settings, self._context) as transport:
            assert isinstance(transport, HardOfHearing)
            self._transport = transport
            yield transport

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

    async def server_create(self, values: Mapping[str, object]) -> str:
        return str(self.server.add("account", values))

    async def server_update(self, row_id: str, values: Mapping[str, object]) -> None:
        self.server.edit("account", row_id, values)

    async def server_delete(self, row_id: str) -> None:
        self.server.discard("account", row_id)

    async def server_get(self, row_id: str) -> dict[str, object] | None:
        row = self.server.get("account", row_id)
        return None if row is None else dict(row)

    async def server_garble(self, row_id: str) -> bool:
        self.server.edit("account", row_id, {"employees": 0})
        path = self.server.folder / "account" / f"{row_id}.json"
        path.write_text(path.read_text("utf-8").replace('"employees": 0', '"employees": "0"'))
        return True

    def lose_next_reply(self) -> None:
        self._transport.deaf = True

    def expire_checkpoints(self) -> None:
        self.server.forget()


@pytest.fixture
def harness(tmp_path: Path, contexts: Callable[..., Context]) -> FolderHarness:
    return FolderHarness(tmp_path / "office", contexts())


class TestFolder(TransportContract):
    pass


async def scope_of(transport: Transport) -> Scope:
    [schema] = await transport.schema(["account"])
    return Scope(schema, frozenset({"parent"}))


async def test_the_name_of_a_row_that_is_pointed_to_comes_along(harness: FolderHarness) -> None:
    parent = harness.server.add("account", {"name": "Parent"})
    child = harness.server.add("account", {"parent": Reference("account", parent)})
    async with harness.open() as transport:
        scope = await scope_of(transport)
        [record] = await transport.fetch(scope, [child])
    assert not isinstance(record, Unreadable)
    assert record[scope.schema.positions["_holdfast_parent_name"]] == "Parent"


async def test_a_folder_that_is_away_is_unreachable(harness: FolderHarness) -> None:
    folder = harness.server.folder
    async with harness.open() as transport:
        folder.rename(folder.with_name("away"))
        with pytest.raises(Unreachable, match="mount it"):
            await transport.identity()
        assert await transport.probe() is Connectivity.NO_ANSWER
        folder.with_name("away").rename(folder)
        assert await transport.probe() is Connectivity.CONNECTED


async def test_a_row_that_is_no_row_comes_aside(harness: FolderHarness) -> None:
    row_id = harness.server.add("account", {"name": "Parent"})
    (harness.server.folder / "account" / f"{row_id}.json").write_text("[]")
    async with harness.open() as transport:
        scope = await scope_of(transport)
        [torn] = await transport.fetch(scope, [row_id])
        assert isinstance(torn, Unreadable)
        assert (torn.row_id, torn.payload) == (row_id, "[]")
        assert torn.reason == "its file holds something else: ValueError"
        with pytest.raises(ProtocolError, match="no filter language"):
            await anext(transport.list_ids(scope, "name = Parent"))
