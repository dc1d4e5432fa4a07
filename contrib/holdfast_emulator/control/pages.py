"""The pages under ``/_emulator/``: all that steers the emulator from outside.

Invariant: nothing here is part of Dataverse; no token is asked for, nothing is counted, and what is
not understood is a 400 that says why, with nothing changed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias, TypeVar

import msgspec
from aiohttp import web

from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.keeping import Versions
from holdfast_emulator.control import rules, users
from holdfast_emulator.control.injection import FaultPlan, describe, read_fault
from holdfast_emulator.control.kinds import kinds
from holdfast_emulator.control.limits import ServiceProtection
from holdfast_emulator.control.snapshot import read_snapshot, write_snapshot
from holdfast_emulator.control.trace import Trace, shown
from holdfast_emulator.control.trace_query import read_wanted

T = TypeVar("T")
_PATIENCE: Final = 60.0


class Emulator(Protocol):
    """What the pages steer."""

    faults: FaultPlan
    requests: Trace
    protection: ServiceProtection

    @property
    def dataverse(self) -> Dataverse:
        """The organisation that answers."""

    def reset(self, baseline: str | None = None, versions: Versions = ...) -> bool:
        """Forget faults, limits and trace, and go back."""


class NotThere(Exception):
    """Raised for a name that nothing has."""


_Page: TypeAlias = Callable[["ControlPages", web.Request, str], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class _Clock:
    now: datetime | None = None
    running: bool | None = None
    speed: float | None = None
    advance: float | None = None


@dataclass(frozen=True, slots=True)
class _Reset:
    baseline: str | None = None
    versions: Versions = Versions.FORWARD


@dataclass(frozen=True, slots=True)
class _Days:
    days: int


@dataclass(frozen=True, slots=True)
class ControlPages:
    """Answers requests for the control pages of one emulator."""

    emulator: Emulator

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        what, name = request.match_info.get("what", ""), request.match_info.get("name", "")
        page = _PAGES.get((request.method, f"{what}/{name}" if name else what))
        page = page or _PAGES.get((request.method, f"{what}/"))
        if page is None:
            return _json({"error": "there is no such page", "pages": _index()}, 404)
        try:
            return await page(self, request, name)
        except NotThere as error:
            return _json({"error": f"nothing is called {error}"}, 404)
        except DataverseFault as fault:
            return _json({"error": str(fault)}, 400)
        except ValueError as error:
            return _json({"error": str(error)}, 400)

    @property
    def _dataverse(self) -> Dataverse:
        return self.emulator.dataverse

    async def index(self, _: web.Request, __: str) -> web.Response:
        """List the pages."""
        return _json(_index())

    async def add_fault(self, request: web.Request, _: str) -> web.Response:
        """Add a fault."""
        self.emulator.faults.add(read_fault(await request.read()))
        return self._pending()

    async def faults(self, _: web.Request, __: str) -> web.Response:
        """List the faults that are still to come."""
        return self._pending()

    async def clear_faults(self, _: web.Request, __: str) -> web.Response:
        """Forget them."""
        self.emulator.faults.clear()
        return self._pending()

    async def kinds(self, _: web.Request, __: str) -> web.Response:
        """List the kinds of fault."""
        return _json(kinds())

    async def trace(self, request: web.Request, _: str) -> web.Response:
        """List requests, or wait until there are so many."""
        wanted, count, seconds = read_wanted(request.query, self._dataverse)
        trace = self.emulator.requests
        found = await trace.wait(wanted, count, min(seconds, _PATIENCE))
        missing = sorted({one.unsupported for one in found if one.unsupported})
        return _json(
            {
                "count": len(found),
                "requests": [shown(one) for one in found],
                "unsupported": missing,
            }
        )

    async def clear_trace(self, _: web.Request, __: str) -> web.Response:
        """Forget the trace."""
        self.emulator.requests.clear()
        return _json({"count": 0})

    async def reset(self, request: web.Request, _: str) -> web.Response:
        """Forget faults, limits and trace, and go back."""
        wanted = _read(_Reset, await request.read())
        self._known(wanted.baseline)
        return _json({"rows": self.emulator.reset(wanted.baseline, wanted.versions)})

    async def baselines(self, _: web.Request, __: str) -> web.Response:
        """List the baselines."""
        return _json(list(self._dataverse.keeper.names()))

    async def keep(self, _: web.Request, name: str) -> web.Response:
        """Keep everything as it is under a name."""
        self._dataverse.keeper.keep(name)
        return _json(list(self._dataverse.keeper.names()))

    async def give_back(self, request: web.Request, name: str) -> web.Response:
        """Put everything back as it was kept."""
        self._known(name)
        wanted = _read(_Reset, await request.read())
        self._dataverse.keeper.give_back(name, wanted.versions)
        return _json({"baseline": name, "version": self._dataverse.version})

    async def let_go(self, _: web.Request, name: str) -> web.Response:
        """Keep it no longer."""
        if not self._dataverse.keeper.let_go(name):
            raise NotThere(name)
        return _json(list(self._dataverse.keeper.names()))

    async def snapshot(self, _: web.Request, __: str) -> web.Response:
        """Return the organisation as one file."""
        return web.Response(
            body=write_snapshot(self._dataverse),
            content_type="application/gzip",
            headers={"Content-Disposition": 'attachment; filename="organisation.snapshot"'},
        )

    async def load_snapshot(self, request: web.Request, _: str) -> web.Response:
        """Put the organisation in a file in the place of this one."""
        read_snapshot(self._dataverse, await request.read())
        return _json({"version": self._dataverse.version})

    async def clock(self, _: web.Request, __: str) -> web.Response:
        """Tell the time."""
        return self._time()

    async def set_clock(self, request: web.Request, _: str) -> web.Response:
        """Set, stop or move the clock."""
        wanted, clock = _read(_Clock, await request.read()), self._dataverse.clock
        running = clock.running if wanted.running is None else wanted.running
        if wanted != _Clock():
            advance = wanted.advance or 0.0
            clock.set(wanted.now, running=running, speed=wanted.speed, advance=advance)
        return self._time()

    async def follow_clock(self, _: web.Request, __: str) -> web.Response:
        """Let the clock tell real time again."""
        self._dataverse.clock.follow()
        return self._time()

    async def limits(self, _: web.Request, __: str) -> web.Response:
        """Tell the limits of a user."""
        return _json(asdict(self.emulator.protection.limits))

    async def set_limits(self, request: web.Request, _: str) -> web.Response:
        """Set limits; those that are not mentioned stay."""
        protection = self.emulator.protection
        given = _read(dict[str, Any], await request.read())
        merged = asdict(protection.limits) | given
        protection.limits = replace(_convert(type(protection.limits), merged))
        return _json(asdict(protection.limits))

    async def rules(self, _: web.Request, __: str) -> web.Response:
        """List the rules."""
        return _json(rules.registered(self._dataverse))

    async def put_rule(self, request: web.Request, name: str) -> web.Response:
        """Register a rule under a name."""
        rules.register(self._dataverse, name, rules.read_rule(await request.read()))
        return _json(rules.registered(self._dataverse))

    async def remove_rule(self, _: web.Request, name: str) -> web.Response:
        """Take a rule away."""
        if not rules.remove(self._dataverse, name):
            raise NotThere(name)
        return _json(rules.registered(self._dataverse))

    async def users(self, _: web.Request, __: str) -> web.Response:
        """List who can sign in."""
        return _json(users.listed(self._dataverse))

    async def put_user(self, request: web.Request, name: str) -> web.Response:
        """Add a user, or change one."""
        settings = users.read_settings(await request.read())
        user = users.put_user(self._dataverse, name, settings)
        return _json({"id": user.id, "name": user.name})

    async def remove_user(self, _: web.Request, name: str) -> web.Response:
        """Let no token sign a user in any more."""
        if not users.remove_tokens(self._dataverse, name):
            raise NotThere(name)
        return _json(users.listed(self._dataverse))

    async def changes(self, _: web.Request, __: str) -> web.Response:
        """Tell the newest version, and how many days delta tokens live."""
        return _json({"version": self._dataverse.version, "days": self._dataverse.expire_days})

    async def set_days(self, request: web.Request, _: str) -> web.Response:
        """Set how many days delta tokens live."""
        days = _read(_Days, await request.read()).days
        if not 0 <= days <= 365:
            raise ValueError("days is between 0 and 365")
        self._dataverse.expire_days = days
        return await self.changes(request, "")

    async def forget_changes(self, request: web.Request, _: str) -> web.Response:
        """Let every delta token that was given out expire."""
        self._dataverse.purge_changes()
        return await self.changes(request, "")

    def _known(self, name: str | None) -> None:
        if name is not None and name not in self._dataverse.keeper.names():
            raise NotThere(name)

    def _pending(self) -> web.Response:
        return _json([describe(fault) for fault in self.emulator.faults.pending])

    def _time(self) -> web.Response:
        clock = self._dataverse.clock
        told = {"now": clock(), "running": clock.running, "speed": clock.speed, "set": clock.is_set}
        return _json(told)


def _index() -> list[str]:
    return [f"{method} /_emulator/{what}{'{name}' * what.endswith('/')}" for method, what in _PAGES]


def _read(wanted: type[T], content: bytes) -> T:
    """Return what a JSON body describes; an empty one is an empty object.

    :raises ValueError: it describes something else
    """
    try:
        given = msgspec.json.decode(content.strip() or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return _convert(wanted, given)


def _convert(wanted: type[T], given: Mapping[str, Any]) -> T:  # Any: JSON
    known = getattr(wanted, "__slots__", given)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"there is no {', '.join(sorted(unknown))} here")
    return msgspec.convert(given, wanted)


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(content), content_type="application/json"
    )


_PAGES: Final[Mapping[tuple[str, str], _Page]] = {
    ("GET", ""): ControlPages.index,
    ("GET", "faults"): ControlPages.faults,
    ("POST", "faults"): ControlPages.add_fault,
    ("DELETE", "faults"): ControlPages.clear_faults,
    ("GET", "faults/kinds"): ControlPages.kinds,
    ("GET", "trace"): ControlPages.trace,
    ("DELETE", "trace"): ControlPages.clear_trace,
    ("POST", "reset"): ControlPages.reset,
    ("GET", "baselines"): ControlPages.baselines,
    ("PUT", "baselines/"): ControlPages.keep,
    ("POST", "baselines/"): ControlPages.give_back,
    ("DELETE", "baselines/"): ControlPages.let_go,
    ("GET", "snapshot"): ControlPages.snapshot,
    ("PUT", "snapshot"): ControlPages.load_snapshot,
    ("GET", "clock"): ControlPages.clock,
    ("PUT", "clock"): ControlPages.set_clock,
    ("DELETE", "clock"): ControlPages.follow_clock,
    ("GET", "limits"): ControlPages.limits,
    ("PUT", "limits"): ControlPages.set_limits,
    ("GET", "changes"): ControlPages.changes,
    ("PUT", "changes"): ControlPages.set_days,
    ("DELETE", "changes"): ControlPages.forget_changes,
    ("GET", "rules"): ControlPages.rules,
    ("PUT", "rules/"): ControlPages.put_rule,
    ("DELETE", "rules/"): ControlPages.remove_rule,
    ("GET", "users"): ControlPages.users,
    ("PUT", "users/"): ControlPages.put_user,
    ("DELETE", "users/"): ControlPages.remove_user,
}
