"""An emulator in a thread of its own, for tests that are synchronous or asynchronous.

Invariant: everything that touches the organisation runs in the thread of the server, between two
requests, never during one. What one test does is gone before the next: rows, versions, security,
rules, clock, limits, faults and trace.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from holdfast_emulator._organisation import organisation
from holdfast_emulator._server import EmulatorServer
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.keeping import Versions
from holdfast_emulator.behaviour.seed import default_users
from holdfast_emulator.control.injection import Fault
from holdfast_emulator.control.limits import Limits
from holdfast_emulator.control.rules import RuleOfData, register, remove
from holdfast_emulator.control.trace import Wanted, shown
from holdfast_emulator.control.users import UserSettings, put_user

T = TypeVar("T")
_NEW: Final = "as new"
_START: Final = 30.0
_PATIENCE: Final = 60.0


class EmulatorThread:
    """A server with one organisation, in a thread of its own until :meth:`stop`.

    :param rows: how many sample rows the organisation has
    """

    def __init__(self, rows: int = 0) -> None:
        self._rows = rows
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="dataverse-emulator", daemon=True)
        self._thread.start()
        if not self._started.wait(_START) or self._failure is not None:
            raise RuntimeError("the emulator did not start") from self._failure

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the thread of the server, between two requests."""

        async def called() -> T:
            return function()

        return self.run(called())

    def run(self, waiting: Coroutine[Any, Any, T], timeout: float = _PATIENCE) -> T:
        """Run a coroutine in the loop of the server."""
        return asyncio.run_coroutine_threadsafe(waiting, self._loop).result(timeout)

    @contextmanager
    def test(self, baseline: str | None = None) -> Iterator[TestDataverse]:
        """Lend the emulator to one test; it is as new, or as a baseline, when the test begins."""
        self.call(lambda: self._go_back(baseline or _NEW))
        yield TestDataverse(self, self.server)

    def stop(self) -> None:
        """Stop the server and wait for it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_START)

    def _go_back(self, name: str) -> None:
        server = self.server
        if name not in server.dataverse.keeper.names():
            known = [one for one in server.dataverse.keeper.names() if one != _NEW]
            raise LookupError(f"no baseline is called {name!r}; there are {known}")
        server.reset(name, Versions.BACK)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001  the other thread raises it
            self._failure = error
            self._started.set()
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        dataverse = organisation(self._rows, 1, None)
        async with EmulatorServer(dataverse) as self.server:
            dataverse.keeper.keep(_NEW)
            self._started.set()
            await self._stop.wait()
        dataverse.close()


@dataclass(frozen=True, slots=True)
class TestClock:
    """The clock of the organisation; see ``docs/emulator.md``."""

    __test__ = False
    _emulator: EmulatorThread
    _server: EmulatorServer

    def now(self) -> datetime:
        """Tell the time."""
        return self._emulator.call(self._server.dataverse.clock)

    def set(
        self, now: datetime | None = None, *, running: bool = False, speed: float | None = None
    ) -> None:
        """Set it; it stands still from then on, unless it is to be running."""
        clock = self._server.dataverse.clock
        self._emulator.call(lambda: clock.set(now, running=running, speed=speed))

    def advance(self, seconds: float) -> None:
        """Move it."""
        self._emulator.call(lambda: self._server.dataverse.clock.advance(seconds))


@dataclass(frozen=True, slots=True)
class TestFaults:
    """What is to go wrong."""

    __test__ = False
    _emulator: EmulatorThread
    _server: EmulatorServer

    def add(self, *faults: Fault) -> None:
        """Let these go wrong, after those that were added before."""
        self._emulator.call(lambda: self._server.faults.add(*faults))

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._emulator.call(self._server.faults.clear)

    @property
    def pending(self) -> list[Fault]:
        """What is still to come."""
        return self._emulator.call(lambda: self._server.faults.pending)


@dataclass(frozen=True, slots=True)
class TestBaselines:
    """Named baselines. They outlive the test: a later one may start from them."""

    __test__ = False
    _emulator: EmulatorThread
    _server: EmulatorServer

    def keep(self, name: str) -> None:
        """Keep everything as it is now under a name."""
        self._emulator.call(lambda: self._server.dataverse.keeper.keep(name))

    def give_back(self, name: str, versions: Versions = Versions.FORWARD) -> None:
        """Put everything back as it was kept."""
        self._emulator.call(lambda: self._server.dataverse.keeper.give_back(name, versions))

    def names(self) -> tuple[str, ...]:
        """Return what is kept."""
        names = self._emulator.call(self._server.dataverse.keeper.names)
        return tuple(name for name in names if name != _NEW)


@dataclass(frozen=True, slots=True)
class TestDataverse:
    """What the fixture ``dataverse`` is: an emulator lent to one test."""

    __test__ = False
    _emulator: EmulatorThread
    _server: EmulatorServer

    @property
    def url(self) -> str:
        """The address of the organisation, without a path."""
        return self._server.url

    @property
    def api(self) -> str:
        """The address of the Web API."""
        return f"{self.url}/api/data/v9.2"

    @property
    def token(self) -> str:
        """The bearer token of the first user."""
        return default_users()[0][1]

    @property
    def headers(self) -> Mapping[str, str]:
        """The header that signs the first user in."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def faults(self) -> TestFaults:
        """What is to go wrong."""
        return TestFaults(self._emulator, self._server)

    @property
    def clock(self) -> TestClock:
        """The clock of the organisation."""
        return TestClock(self._emulator, self._server)

    @property
    def baselines(self) -> TestBaselines:
        """Named baselines."""
        return TestBaselines(self._emulator, self._server)

    def do(self, act: Callable[[Dataverse], T]) -> T:
        """Do something with the organisation itself, between two requests."""
        return self._emulator.call(lambda: act(self._server.dataverse))

    def create(self, table: str, **values: object) -> str:
        """Create a row as SYSTEM and return its id."""
        return self.do(lambda org: org.create(org.system, table, values).id)

    def rows(self, table: str) -> list[dict[str, object]]:
        """Return the rows of a table whoever asks, by id."""
        return self.do(lambda org: [dict(row) for row in org.scan(table)])

    def add_user(self, name: str, token: str, **settings: Any) -> str:
        """Add a user whom a token signs in, and return the id; see ``UserSettings``."""
        given = UserSettings(token=token, **settings)
        return self.do(lambda org: put_user(org, name, given).id)

    def add_rule(self, name: str, rule: RuleOfData) -> None:
        """Register a plug-in that is data."""
        self.do(lambda org: register(org, name, rule))

    def remove_rule(self, name: str) -> bool:
        """Take it away; tell whether it was there."""
        return self.do(lambda org: remove(org, name))

    def limit(self, **limits: Any) -> None:
        """Set service protection limits; those that are not mentioned stay."""

        def change() -> None:
            protection = self._server.protection
            protection.limits = Limits(**(asdict(protection.limits) | limits))

        self._emulator.call(change)

    def trace(self, wanted: Wanted | None = None) -> Sequence[Mapping[str, object]]:
        """Return the requests of this test, or those that are wanted."""
        asked = wanted or Wanted()
        return self._emulator.call(lambda: [shown(o) for o in self._server.requests.find(asked)])

    def wait_for(
        self, count: int = 1, wanted: Wanted | None = None, seconds: float = 10.0
    ) -> Sequence[Mapping[str, object]]:
        """Return as soon as there were so many requests.

        :raises TimeoutError: there were fewer in the end
        """
        waiting = self._server.requests.wait(wanted or Wanted(), count, seconds)
        found = self._emulator.run(waiting, seconds + _PATIENCE)
        if len(found) < count:
            raise TimeoutError(f"{len(found)} of {count} requests came in {seconds:g} seconds")
        return [shown(one) for one in found]

    def summary(self) -> list[str]:
        """Return a line for each request, for people."""
        return [_line(one) for one in self._emulator.call(lambda: [*self._server.requests.entries])]


def _line(entry: Any) -> str:  # Any: an entry of the trace
    indent = "  " if entry.batch else ""
    end = f"  ({entry.fault})" if entry.fault else ""
    end += f"  {entry.unsupported}" if entry.unsupported else ""
    return f"{indent}{entry.status or '---'} {entry.method} {entry.url}{end}"
