"""An emulator on loopback, and a client for it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json import dumps
from typing import Any

import aiohttp
import pytest
from yarl import URL

from holdfast_emulator import Dataverse, EmulatorServer

TOKEN = "demo-token"
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str
    json: Any = field(default=None)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def value(self) -> list[dict[str, Any]]:
        value: list[dict[str, Any]] = self.json["value"]
        return value


@dataclass
class Client:
    """Sends requests below the service root."""

    session: aiohttp.ClientSession
    server: EmulatorServer

    @property
    def root(self) -> str:
        return f"{self.server.url}/api/data/v9.2/"

    async def __call__(
        self,
        method: str,
        target: str,
        json: object = None,
        *,
        data: str | bytes | None = None,
        token: str | None = TOKEN,
        **headers: str,
    ) -> Answer:
        url = target if target.startswith("http") else self.root + target
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            named["Authorization"] = f"Bearer {token}"
        encoded = target.startswith("http")
        if json is not None:
            data = dumps(json)
            named.setdefault("Content-Type", "application/json")
        body = data.encode() if isinstance(data, str) else data
        sent = None if body is None else io.BytesIO(body)  # in one piece, aiohttp would warn
        async with self.session.request(
            method, URL(url, encoded=encoded), data=sent, headers=named
        ) as reply:
            text = await reply.text(encoding="utf-8")
            parsed = await reply.json() if reply.content_type == "application/json" else None
            return Answer(reply.status, reply.headers.copy(), text, parsed)

    async def create(self, entity_set: str, values: Mapping[str, object]) -> str:
        """Create a row and return its id."""
        made = await self("POST", entity_set, values)
        assert made.status == 204, made.text
        return made.headers["OData-EntityId"].rpartition("(")[2].rstrip(")")


@pytest.fixture
def dataverse() -> Dataverse:
    return Dataverse(clock=lambda: NOW)


@pytest.fixture
async def server(dataverse: Dataverse) -> AsyncIterator[EmulatorServer]:
    async with EmulatorServer(dataverse) as server:
        yield server


@pytest.fixture
async def client(server: EmulatorServer) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Client(session, server)
