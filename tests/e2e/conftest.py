"""The bundled parts together: the emulator over real HTTP, a SQLite file, the real transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast_emulator import Dataverse, Effect, EmulatorServer, Sample
from support.field import Field

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
async def field(tmp_path: Path) -> AsyncIterator[Field]:
    """A field worker's profile against a server with 300 sample rows."""
    listeners: list[Field] = []

    def hear(effect: Effect) -> None:
        for listener in listeners:
            listener.hear(effect)

    dataverse = Dataverse(clock=lambda: NOW, on_effect=hear)
    Sample(300, NOW).load(dataverse)
    async with EmulatorServer(dataverse, port=0) as server:
        made = Field(server, tmp_path / "field.db")
        listeners.append(made)
        yield made
