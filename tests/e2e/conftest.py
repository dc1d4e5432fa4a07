"""The bundled parts together: the emulator over real HTTP, a SQLite file, the real transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast_emulator import Dataverse, EmulatorServer, Sample
from support.field import Field

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def dataverse() -> Dataverse:
    """A server with 300 sample rows."""
    server = Dataverse(clock=lambda: NOW)
    Sample(300, NOW).load(server)
    return server


@pytest.fixture
async def field(dataverse: Dataverse, tmp_path: Path) -> AsyncIterator[Field]:
    """A field worker's profile against that server."""
    async with EmulatorServer(dataverse, port=0) as server:
        yield Field(server.url, dataverse, tmp_path / "field.db")
