"""Drivers with bugs: what they raise names them, loses nothing, and stops no more than it must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

from holdfast._download import Download
from holdfast._store import Writes
from holdfast._system import system_environment
from holdfast.contracts import Change, Context, Storage, Transport
from holdfast.errors import CheckpointExpired, PluginError
from holdfast.model import OpState, Outcome, Page, Scope, Unit
from holdfast.plugins import Plugins
from holdfast.status import SyncReport, TableReport
from holdfast.testing import MemoryServer, MemoryStorage, MemoryTransport
from support.world import ACCOUNT, CONTACT, World, names


class _Bug(Exception):
    """What a driver should have turned into an error of holdfast's."""


@dataclass
class _Buggy:
    """What the transport stumbles over: kinds of request, tables and rows."""

    requests: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)


class _Server(MemoryServer):
    """A server whose transport has bugs."""

    def __init__(self) -> None:
        super().__init__([ACCOUNT, CONTACT], page_size=3)
        self.bugs = _Buggy()

    async def travel(self, request: str) -> None:
        if request in self.bugs.requests:
            raise _Bug("s3cret")
        await super().travel(request)

    def page(self, scope: Scope, checkpoint: str | None) -> Page:
        if scope.table in self.bugs.tables:
            raise _Bug("s3cret")
        return super().page(scope, checkpoint)

    def apply(self, unit: Unit, scopes: Any, user: str) -> list[Outcome]:
        applied = super().apply(unit, scopes, user)
        if unit.ops[0].row_id in self.bugs.rows:
            raise _Bug("s3cret")
        return applied


@pytest.fixture
def server() -> _Server:
    return _Server()


@pytest.fixture
def world(server: _Server) -> World:
    return World(server)


async def test_a_push_that_fails_keeps_its_ops_and_the_download_goes_on(
    world: World, server: _Server, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        await table.update(accounts[0], {"telephone1": "0"})
        await table.update(accounts[1], {"telephone1": "1"})
        server.create("contact", {"fullname": "Kari"})
        server.bugs.rows = {accounts[1]}
        report = await replica.sync()
        assert isinstance(report.failure, PluginError)
        assert report.failure.plugin == "memory"
        assert "failed in push: _Bug" in str(report.failure)
        assert "s3cret" not in str(report.failure)
        assert report.applied == 1
        assert await names(replica, "contact") == ["Kari"]
        (op,) = await replica.pending()
        assert (op.row_id, op.state) == (accounts[1], OpState.SENT)
        assert (await replica.status()).problem == str(report.failure)
        server.bugs.rows = set()
        assert (await replica.sync()).complete
        assert await replica.history() == []
        assert (await replica.status()).synced
    effects = [effect.op_id for effect in server.effects if effect.op_id is not None]
    assert len(effects) == len(set(effects)) == 2


async def test_a_table_whose_pull_fails_does_not_stop_the_others(
    world: World, server: _Server, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        server.create("contact", {"fullname": "Kari"})
        server.bugs.tables = {"account"}
        report = await replica.sync()
        assert report.failure is None
        assert not report.complete
        assert "'memory': failed in pull: _Bug" in (report.tables["account"].problem or "")
        assert await names(replica, "contact") == ["Kari"]
        assert await replica.pending() == []
        await replica.table("account").update(accounts[0], {"telephone1": "again"})
        server.bugs.tables = set()
        assert (await replica.sync()).complete


async def test_a_table_whose_checkpoints_are_void_at_once_does_not_stop_the_others(
    world: World, server: _Server, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        server.create("contact", {"fullname": "Kari"})
        page = server.page

        def void(scope: Scope, checkpoint: str | None) -> Page:
            if scope.table == "account":
                raise CheckpointExpired("the checkpoint is void; read the scope anew")
            return page(scope, checkpoint)

        monkeypatch.setattr(server, "page", void)
        report = await replica.sync()
        assert report.failure is None
        assert "void" in (report.tables["account"].problem or "")
        assert await names(replica, "contact") == ["Kari"]
        assert len(await names(replica)) == 7


@pytest.mark.parametrize("request_", ["identity", "schema"])
async def test_a_failure_before_anything_is_sent_is_reported(
    world: World, server: _Server, request_: str
) -> None:
    async with world.replica() as replica:
        server.bugs.requests = {request_}
        report = await replica.sync()
        assert f"failed in {request_}: _Bug" in str(report.failure)
        with pytest.raises(PluginError, match=f"failed in {request_}: _Bug"):
            await replica.download()
        server.bugs.requests = set()
        assert (await replica.sync()).complete
        assert (await replica.status()).problem is None


async def test_a_row_that_cannot_be_asked_for_stays(
    world: World, server: _Server, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        server.expire_checkpoints()
        server.delete("account", accounts[0])
        server.bugs.requests = {"fetch", "count"}
        report = await replica.sync()
        assert "failed in count: _Bug" in (report.tables["account"].problem or "")
        assert len(await names(replica)) == 7
        server.bugs.requests = {"fetch"}
        report = await replica.sync()
        assert "failed in fetch: _Bug" in (report.tables["account"].problem or "")
        assert len(await names(replica)) == 7
        server.bugs.requests = set()
        assert (await replica.sync()).complete
        assert len(await names(replica)) == 6


@pytest.mark.parametrize("nonsense", [None, "page", 7])
async def test_nonsense_is_not_stored(world: World, server: _Server, nonsense: Any) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").create({"name": "New"})
        inner = replica._engine.transport._inner  # type: ignore[attr-defined]  # around the driver

        async def babble(*_: object) -> AsyncIterator[Any]:
            yield nonsense

        inner.pull = inner.push = babble
        report = await replica.sync()
        assert "failed in push: TypeError" in str(report.failure)
        assert "failed in pull: TypeError" in (report.tables["account"].problem or "")
        del inner.pull, inner.push
        assert (await replica.sync()).complete


class _Pages:
    """An iterator that is no generator: nothing closes it."""

    def __init__(self, pages: list[Page]) -> None:
        self._pages = pages

    def __aiter__(self) -> _Pages:
        return self

    async def __anext__(self) -> Page:
        if not self._pages:
            raise StopAsyncIteration
        return self._pages.pop(0)


async def test_pages_may_come_from_any_iterator(world: World, accounts: list[str]) -> None:
    async with world.replica() as replica:
        inner = replica._engine.transport._inner  # type: ignore[attr-defined]  # around the driver
        pull = inner.pull
        pages = {
            schema.name: [page async for page in pull(Scope(schema), None)]
            for schema in (ACCOUNT, CONTACT)
        }
        inner.pull = lambda scope, _: _Pages(pages[scope.table])
        assert (await replica.sync()).complete
        assert len(await names(replica)) == 7


async def test_a_storage_that_fails_while_outcomes_are_settled_neither_loses_nor_doubles_an_op(
    world: World, server: _Server, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        storage = replica._store.storage
        write = storage.write

        async def failing(changes: list[Change]) -> None:
            if any(change.table == "_holdfast_ledger" for change in changes):
                raise _Bug
            await write(changes)

        monkeypatch.setattr(storage, "write", failing)
        with pytest.raises(_Bug):
            await replica.sync()
        monkeypatch.undo()
        assert not replica._store.lock.locked()
        (op,) = await replica.pending()
        assert op.state is OpState.SENT
        assert (await replica.sync()).complete
    assert len([effect for effect in server.effects if effect.op_id == op.id]) == 1


class _FailsAtOpening:
    """Raises at once, or when what it gave is entered."""

    at_once = True

    @classmethod
    def open(cls, settings: Any, context: Context) -> AbstractAsyncContextManager[Any]:
        del settings, context
        if cls.at_once:
            raise _Bug
        return cls.later()

    @staticmethod
    @asynccontextmanager
    async def later() -> AsyncIterator[NoReturn]:
        raise _Bug
        yield  # pragma: no cover  makes it a generator


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_driver_that_fails_at_opening_is_named(at_once: bool) -> None:
    class Kept(_FailsAtOpening, MemoryStorage):  # type: ignore[misc]  # gives nothing at all
        pass

    class Spoken(_FailsAtOpening, MemoryTransport):  # type: ignore[misc]  # the same
        pass

    Kept.at_once = Spoken.at_once = at_once
    plugins = Plugins()
    plugins.use_storage("kept", Kept)
    plugins.use_transport("spoken", Spoken)
    context = Context(system_environment(), Path())
    with pytest.raises(PluginError, match="'kept': failed at opening: _Bug"):
        async with plugins.open_storage("kept", None, context):
            pass
    with pytest.raises(PluginError, match="'spoken': failed at opening: _Bug"):
        async with plugins.open_transport("spoken", None, context):
            pass


async def test_what_an_application_raises_while_a_driver_is_open_stays_what_it_is(
    world: World,
) -> None:
    with pytest.raises(_Bug):
        async with world.replica():
            raise _Bug


async def test_every_call_of_a_transport_is_contained(world: World) -> None:
    async with world.replica() as replica:
        around = type(replica._engine.transport)
    calls = {name for name, call in vars(Transport).items() if name[0] != "_" and callable(call)}
    assert calls | {"location", "open"} <= set(vars(around))
    assert not issubclass(around, Storage)


async def test_noting_what_is_wrong_with_a_table_takes_back_nothing_noted_meanwhile(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tables = [
        {"name": "account"},
        {"name": "contact", "related": ["account_primary_contact"]},
    ]
    async with world.replica() as replica:
        await replica.download()
        engine, store = replica._engine, replica._store
        state_of = store.scope_state
        meanwhile: list[asyncio.Task[None]] = []

        async def links_come_due() -> None:
            async with store.lock:
                monkeypatch.undo()
                writes = Writes()
                await engine.links_due(["account"], writes)
                await store.commit(writes)

        async def slow(table: str) -> Any:
            found = await state_of(table)
            meanwhile.append(asyncio.create_task(links_come_due()))
            for _ in range(20):
                await asyncio.sleep(0)
            return found

        monkeypatch.setattr(store, "scope_state", slow)
        download = Download(engine, SyncReport(), replica._describe)
        await download._note_problem("contact", TableReport(problem="may not be read"))
        for task in meanwhile:
            await task
        state = await state_of("contact")
        assert (state.problem, state.membership_due) == ("may not be read", True)
