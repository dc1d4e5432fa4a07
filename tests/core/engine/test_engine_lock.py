"""The lock of the store is held for reading, planning and writing, and never for anybody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from holdfast import hookimpl
from holdfast.contracts import Change
from holdfast.model import Conflict, KeepLocal, Policy, Resolution
from holdfast.testing import MemoryServer
from support.world import ACCOUNT, CONTACT, World


class _Server(MemoryServer):
    """Asks, with every request, whether the lock is held."""

    def __init__(self) -> None:
        super().__init__([ACCOUNT, CONTACT], page_size=3)
        self.lock = asyncio.Lock()
        self.held: dict[str, bool] = {}

    async def travel(self, request: str) -> None:
        self.held[request] = self.held.get(request, False) or self.lock.locked()
        await super().travel(request)


@pytest.fixture
def server() -> _Server:
    return _Server()


@pytest.fixture
def world(server: _Server) -> World:
    tables: list[dict[str, Any]] = [
        {"name": "account"},
        {"name": "contact", "related": ["account_primary_contact"]},
    ]
    return World(server, tables=tables)


async def test_nobody_else_runs_while_the_lock_is_held_and_nothing_is_written_without_it(
    world: World, server: _Server, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere: dict[str, bool] = {}
    bare: list[list[str]] = []
    async with world.replica() as replica:
        lock = server.lock = replica._store.lock
        write = replica._store.storage.write

        class Plugin:
            @hookimpl
            async def holdfast_resolve_conflict(
                self, policy: Policy, conflict: Conflict
            ) -> Resolution:
                elsewhere["resolver"] = lock.locked()
                return KeepLocal()

        async def watched(changes: list[Change]) -> None:
            if not lock.locked():
                bare.append([change.table for change in changes])
            await write(changes)

        replica._engine.plugins.register(Plugin(), "watching")
        monkeypatch.setattr(replica._store.storage, "write", watched)
        await replica.download()
        kari = server.create("contact", {"fullname": "Kari"})
        table = replica.table("account")
        await table.update(accounts[0], {"telephone1": "mine"})
        server.update("account", accounts[0], {"telephone1": "theirs"})
        server.update("account", accounts[1], {"primarycontactid": kari})
        server.refuse(accounts[2])
        await table.update(accounts[2], {"telephone1": "refused"})
        await replica.sync()
        server.expire_checkpoints()
        server.delete("account", accounts[3])
        await replica.sync()
        (issue,) = await replica.issues()
        await replica.discard(issue.id)
        (entry,) = await replica.history()
        await replica.take_theirs(entry.id)
        async for _ in table.query():
            elsewhere["consumer"] = lock.locked()
    asked = {"identity", "schema", "views", "count", "pull", "push", "fetch"}
    assert server.held == dict.fromkeys(asked, False)
    assert elsewhere == {"resolver": False, "consumer": False}
    assert bare == []
