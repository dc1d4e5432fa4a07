"""A simulated device: what outlives its crashes, and how the engine is started on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from pydantic import BaseModel

from holdfast import profile as profiles
from holdfast._setup import Setup
from holdfast.contracts import Context, OpenMode, Resolver, Storage
from holdfast.discovery import RESOLVERS, Catalogue
from holdfast.hookspecs import hookimpl
from holdfast.plugins import Plugins
from holdfast.replica import Replica, _opened
from holdfast.testing._server import MemoryServer
from holdfast.testing._storage import MemoryDisk, MemoryStorage
from holdfast.testing._transport import MemoryTransport
from holdfast.testing.simulation._contents import Contents
from holdfast.testing.simulation._environment import sim_environment
from holdfast.testing.simulation._faults import ITEM
from holdfast.testing.simulation._history import Committed, History, Opened, Writing
from holdfast.testing.simulation._loop import SimLoop
from holdfast.testing.simulation._tape import Tape
from holdfast.testing.simulation._watched import WatchedStorage

_SLOWEST: Final = 3  # milliseconds before a commit, and after it
#: The API call that a task is in.
_CALL: Final[ContextVar[int | None]] = ContextVar("holdfast_simulated_call", default=None)


class Medium(Protocol):
    """Where a device keeps its data; it outlives the process that writes it."""

    def open(self, context: Context) -> AbstractAsyncContextManager[Storage]:
        """Open the storage on it."""
        ...

    def crash(self) -> None:
        """Do what the system does for a killed process: release locks, close files as they are."""


#: Makes a fresh medium for a run.
MakeMedium: TypeAlias = Callable[[], Medium]


class MemoryMedium:
    """A disk in memory."""

    def __init__(self) -> None:
        self._disk = MemoryDisk()

    def open(self, context: Context) -> AbstractAsyncContextManager[Storage]:
        """Open the storage in memory."""
        return MemoryStorage.open(MemoryStorage.Settings(disk=self._disk), context)

    def crash(self) -> None:
        """Release the locks."""
        self._disk.release()


class _NoSettings(BaseModel):
    """The medium was made with all it needs."""


class Device:
    """One user's device. ``open()`` starts the engine on its medium, again and again."""

    def __init__(
        self, loop: SimLoop, medium: Medium, server: MemoryServer, policy: str, history: History
    ) -> None:
        self.medium = medium
        self.contents = Contents()
        self._loop = loop
        self._server = server
        self._policy = policy
        self._history = history
        self._queued: dict[int, list[str]] = {}
        self._known: set[str] = set()

    def open(self) -> AbstractAsyncContextManager[Replica]:
        """Start the engine."""
        setup = Setup(
            source="the simulation",
            profile=_profile(self._policy),
            plugins=self._plugins(),
            storage_settings=_NoSettings(),
            transport_settings=MemoryTransport.Settings(server=self._server),
            folder=Path(),
        )
        return _opened(setup, OpenMode.OWNER, sim_environment(self._loop, self._loop.tape))

    def _plugins(self) -> Plugins:
        plugins = Plugins()
        plugins.register(self, "simulated device")
        plugins.use_transport("memory", MemoryTransport)
        resolver = _resolver(self._policy)
        plugins.use_policy(_profile(self._policy).policy(ITEM.name), resolver)
        return plugins

    @hookimpl
    def holdfast_open_storage(self, context: Context) -> AbstractAsyncContextManager[Storage]:
        """Step in before any driver: open the medium, and watch it."""
        return self._watched(context)

    @asynccontextmanager
    async def _watched(self, context: Context) -> AsyncIterator[Storage]:
        async with self.medium.open(context) as inner:
            storage = await WatchedStorage.around(inner, self)
            self.contents = storage.contents
            self._known.update(op.id for op in self.contents.ops())
            self._history.add("device", Opened(self.contents))
            yield storage

    async def wait(self) -> None:
        """Let the disk take its time."""
        await asyncio.sleep(self._tape.pick("disk", _SLOWEST + 1) / 1000)

    def writing(self) -> None:
        """Show that a write begins."""
        self._history.add("device", Writing())

    def committed(self, contents: Contents, rows: frozenset[str]) -> None:
        """Note which call queued which ops, and show the commit to the checkers."""
        self.contents = contents
        fresh = [op for op in contents.ops() if op.id not in self._known]
        self._known.update(op.id for op in fresh)
        call = _CALL.get()
        if call is not None:
            self._queued.setdefault(call, []).extend(op.id for op in fresh)
        ops = [f"{o.kind.value} {o.row_id[:8]} {dict(o.changes)} as op {o.id[:8]}" for o in fresh]
        what = ", ".join([*ops, f"{len(rows)} rows", str(contents)])
        self._history.add("device", Committed(contents, rows, what))

    @contextmanager
    def calling(self, call: int) -> Iterator[list[str]]:
        """Attribute what this task commits inside the block to a call; give the ops it queued."""
        queued = self._queued.setdefault(call, [])
        token = _CALL.set(call)
        try:
            yield queued
        finally:
            _CALL.reset(token)

    @property
    def _tape(self) -> Tape:
        return self._loop.tape


@cache
def _profile(policy: str) -> profiles.Profile:
    table = {"name": ITEM.name, "resolver": policy}
    sections = {
        "storage": {"driver": "simulated"},
        "transport": {"driver": "memory"},
        "profile": {"tables": [table]},
    }
    return profiles.parse("the simulation", sections)


@cache
def _resolver(policy: str) -> Resolver:
    driver = Catalogue().load_driver(RESOLVERS, policy, Resolver)
    made: Resolver = driver(driver.Settings())
    return made
