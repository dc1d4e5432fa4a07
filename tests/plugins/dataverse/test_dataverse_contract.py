"""The transport keeps the promises of all transports, against the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from holdfast.contracts import Transport
from holdfast.testing import TransportContract, TransportHarness
from holdfast.values import Reference, from_cells, to_change, to_value
from holdfast_emulator import Dataverse, EmulatorServer, Fault, FaultKind
from support.dataverse import NOW, transport_to


class EmulatorHarness(TransportHarness):
    """Acts on the organisation directly, as its own user."""

    table = "account"
    page_size = 3
    garbled = "numberofemployees"

    def __init__(self, server: EmulatorServer, dataverse: Dataverse) -> None:
        self.server = server
        self.dataverse = dataverse
        self.user = dataverse.system
        self.schema = dataverse.metadata.tables[self.table].schema

    def open(self) -> AbstractAsyncContextManager[Transport]:
        return transport_to(self.server.url, page_size=self.page_size)

    def sample(self, number: int) -> Mapping[str, object]:
        return {
            "name": f"Fjord Marine {number}",
            "description": f'line one\nline two «{number}» \\ " --batch_ {number * "!"}',
            "telephone1": f"+47 55 00 00 {number:02}",
            "numberofemployees": number,
            "revenue": Decimal("1000.25") + number,
            "new_loyaltyscore": Decimal("-3.1415") + number,
            "address1_latitude": 60.5 + number / 1000,
            "creditonhold": number % 2 == 0,
            "industrycode": (1, 2, 6, 12)[number % 4],
            "new_services": (1, 3) if number % 2 else (2, 9, 12),
            "lastonholdtime": datetime(2026, 2, 1, 12, number % 60, tzinfo=UTC),
            "new_opensat": datetime(2026, 7, 1, 8, number % 60),  # noqa: DTZ001  a wall-clock reading
            "stageid": f"0a000000-0000-4000-8000-{number:012x}",
            "ownerid": self._owner(number),
        }

    def _owner(self, number: int) -> Reference:
        if number % 2:
            return Reference("team", self.dataverse.seed.team_id)
        return Reference("systemuser", self.user.id)

    def nullable(self) -> Sequence[str]:
        return [name for name in self.sample(0) if name != "ownerid"]

    def unacceptable(self) -> Mapping[str, object]:
        return {"name": "x" * 1000}

    async def server_create(self, values: Mapping[str, object]) -> str:
        return self.dataverse.create(self.user, self.table, self._written(values)).id

    async def server_update(self, row_id: str, values: Mapping[str, object]) -> None:
        self.dataverse.update(self.user, self.table, row_id, self._written(values))

    async def server_delete(self, row_id: str) -> None:
        self.dataverse.delete(self.user, self.table, row_id)

    async def server_garble(self, row_id: str) -> bool:
        """Let the database hold what its column cannot."""
        name = self.garbled
        self.dataverse.update(self.user, self.table, row_id, {name: None})
        row = self.dataverse.find(self.table, row_id)
        assert row is not None
        cells = list(row.cells)
        cells[row.definition.positions[name]] = "not what it was"
        self.dataverse._store.put(self.table, row_id, row.version, tuple(cells))
        return True

    async def server_get(self, row_id: str) -> Mapping[str, object] | None:
        row = self.dataverse.find(self.table, row_id)
        if row is None:
            return None
        values = {}
        for name in self.sample(0):
            found = row[name]
            change = found if isinstance(found, Reference) else None
            column = self.schema.by_name[name]
            values[name] = to_value(column, change or from_cells(column, {name: found}))  # type: ignore[dict-item]  # a lookup is a reference or null
        return values

    def lose_next_reply(self) -> None:
        self.server.faults.add(Fault(FaultKind.LOSE_REPLY, method="POST", path=r"\$batch"))

    def expire_checkpoints(self) -> None:
        self.server.faults.add(Fault(FaultKind.EXPIRE_DELTA, path="deltatoken"))

    def _written(self, values: Mapping[str, object]) -> dict[str, object]:
        by_name = self.schema.by_name
        return {name: to_change(by_name[name], value) for name, value in values.items()}


class ContactHarness(EmulatorHarness):
    """A table with a date, and with lookups of one target and of several."""

    table = "contact"
    garbled = "birthdate"

    def __init__(self, server: EmulatorServer, dataverse: Dataverse) -> None:
        super().__init__(server, dataverse)
        made = [dataverse.create(self.user, "account", {"name": f"Parent {n}"}) for n in range(2)]
        self.parents = [row.id for row in made]

    def sample(self, number: int) -> Mapping[str, object]:
        return {
            "lastname": f"Nordmann {number}",
            "birthdate": date(1990, 1, 1 + number % 28),
            "parentcustomerid": Reference("account", self.parents[number % 2]),
            "annualincome": Decimal(number) / 4,
        }

    def unacceptable(self) -> Mapping[str, object]:
        return {"lastname": "y" * 1000}


@pytest.fixture
async def server() -> AsyncIterator[EmulatorServer]:
    async with EmulatorServer(Dataverse(lambda: NOW)) as running:
        yield running


class TestDataverseAccounts(TransportContract):
    @pytest.fixture
    def harness(self, server: EmulatorServer) -> TransportHarness:
        return EmulatorHarness(server, server.dataverse)


class TestDataverseContacts(TransportContract):
    @pytest.fixture
    def harness(self, server: EmulatorServer) -> TransportHarness:
        return ContactHarness(server, server.dataverse)
