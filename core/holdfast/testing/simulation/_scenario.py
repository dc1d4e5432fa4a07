"""One run: a device that works, syncs and crashes, while others edit and the network fails.

Invariant: everything that happens follows from the tape, so a seed tells the whole story. At the
end everything heals, and after a few syncs every promise must hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from holdfast.testing.simulation._checkers import CHECKERS, Checker, Violation
from holdfast.testing.simulation._device import Device, MakeMedium, MemoryMedium
from holdfast.testing.simulation._faults import ITEM, Faults, SimServer
from holdfast.testing.simulation._history import Event, Finished, Happened, History
from holdfast.testing.simulation._loop import Deadlock, Livelock, SimLoop, simulate
from holdfast.testing.simulation._people import (
    Background,
    Numbers,
    Others,
    Reader,
    User,
    as_rows,
)
from holdfast.testing.simulation._tape import Tape

_SESSIONS: Final = 3
_ACTIONS: Final = 20
_LATEST_KILL: Final = 600  # milliseconds into a session
#: Syncs that may be needed when nothing fails and nobody writes any more.
CYCLES: Final = 4
_STEPS: Final = 500_000


@dataclass(frozen=True, slots=True)
class Run:
    """How a run without a violation went."""

    trace: int
    steps: int
    seconds: float
    history: History


class ScenarioFailed(AssertionError):
    """Raised when a run broke a promise; says which, what was before, and how to see it again."""

    def __init__(self, seed: int, policy: str, cause: BaseException, history: History) -> None:
        self.seed = seed
        self.history = history
        self.checker = cause.checker if isinstance(cause, Violation) else type(cause).__name__
        lines = [
            f"seed {seed} ({policy}): {cause}",
            "the last events:",
            *history.tail(),
            f"replay: run_scenario({seed}, policy={policy!r}) with the same medium",
        ]
        super().__init__("\n".join(lines))


class _Watchers:
    """Shows each event to the checkers and keeps the first violation, whoever swallows it."""

    def __init__(self, checkers: Sequence[Checker]) -> None:
        self._checkers = checkers
        self.violation: Violation | None = None

    def see(self, event: Event, position: int) -> None:
        if self.violation is not None:
            return  # what comes now is its end
        try:
            for checker in self._checkers:
                checker.see(event, position)
        except Violation as violation:
            self.violation = violation
            raise


def run_scenario(
    seed: int,
    *,
    medium: MakeMedium = MemoryMedium,
    policy: str = "client-wins",
    checkers: Sequence[type[Checker]] = CHECKERS,
    tape: Tape | None = None,
) -> Run:
    """Run one scenario.

    :param medium: makes what the device keeps its data on
    :param policy: the name of an installed resolver
    :param checkers: who judges
    :param tape: plays another tape than the seed's, a recorded one
    :raises ScenarioFailed: a promise was broken, or the engine failed
    """
    loop = SimLoop(tape or Tape(seed), step_limit=_STEPS)
    watchers = _Watchers([checker() for checker in checkers])
    history = History(loop.time, [watchers.see])
    scenario = _Scenario(loop, medium, policy, history)
    cause: BaseException | None = None
    try:
        simulate(scenario.run, loop)
    except (Exception, Deadlock, Livelock) as error:  # noqa: BLE001  whatever it is, the seed is told
        cause = error
    if watchers.violation is not None or cause is not None:
        reason = watchers.violation or cause
        assert reason is not None
        raise ScenarioFailed(seed, policy, reason, history) from cause
    return Run(loop.trace, loop.steps, loop.time(), history)


class _Scenario:
    """The story: sessions of one device, one after the other, until the end."""

    def __init__(self, loop: SimLoop, medium: MakeMedium, policy: str, history: History) -> None:
        tape = loop.tape
        self._loop = loop
        self._tape = tape
        self._history = history
        self._faults = Faults.drawn(tape)
        self._server = SimServer(tape, self._faults)
        self._device = Device(loop, medium(), self._server, policy, history)
        numbers = Numbers()
        self._user = User("user", tape, history, numbers, self._device)
        self._reader = Reader("reader", tape, history, numbers, self._device)
        self._background = Background("sync", tape, history, numbers, self._device)
        self._others = Others("others", tape, history, numbers)

    async def run(self, loop: SimLoop) -> None:
        """Let it all happen."""
        self._note(str(self._faults))
        async with asyncio.TaskGroup() as group:
            troubles = [
                group.create_task(self._others.work(self._server, self._faults)),
                group.create_task(self._nemesis()),
            ]
            for number in range(1 + self._tape.pick("sessions", _SESSIONS)):
                await self._session(number)
            for trouble in troubles:
                trouble.cancel()
        self._server.heal()
        self._note("everything heals")
        await loop.spawn("the last device", self._finish())

    async def _session(self, number: int) -> None:
        """Use the device to the session's end, or kill it on the way."""
        host = f"device-{number}"
        limit = None
        if self._tape.chance("killed", self._faults.device_killed):
            limit = self._tape.pick("killed after", _LATEST_KILL) / 1000
        session = self._loop.spawn(host, self._use())
        done, _ = await asyncio.wait([session], timeout=limit)
        if done:
            session.result()
            self._note("the session ends")
            return
        self._loop.abandon(host)
        self._device.medium.crash()
        self._note("the device is killed")

    async def _use(self) -> None:
        async with self._device.open() as replica, asyncio.TaskGroup() as group:
            company = [
                group.create_task(self._reader.work(replica)),
                group.create_task(self._background.work(replica, self._faults.sync_cancelled)),
            ]
            actions = 1 + self._tape.pick("actions", _ACTIONS)
            await self._user.work(replica, actions, self._faults.call_cancelled)
            for other in company:
                other.cancel()

    async def _nemesis(self) -> None:
        """Cut the device off now and then, and let the server refuse a row for a while."""
        while True:
            await asyncio.sleep(self._tape.pick("nemesis.pause", 100) / 1000)
            self._server.unreachable = self._tape.chance("unreachable", self._faults.unreachable)
            if self._tape.chance("refuse", self._faults.row_refused):
                self._refuse()

    def _refuse(self) -> None:
        rows = [op.row_id for op in self._device.contents.ops()] or self._server.ids(ITEM.name)
        if rows:
            row_id = rows[self._tape.pick("refuse.row", len(rows))]
            self._server.refuse(row_id)
            self._note(f"the server will refuse {row_id[:8]}")

    async def _finish(self) -> None:
        """Sync until both sides are the same, but not for ever; then let everything be judged."""
        async with self._device.open() as replica:
            for cycle in range(1, CYCLES + 1):
                await self._background.settle(replica)
                report = await replica.sync()
                table = replica.table(ITEM.name)
                here = as_rows([row async for row in table.query()])
                there = as_rows(self._server.rows(ITEM.name).values())
                if report.complete and here == there:
                    break
                self._note(f"after sync {cycle} there is more to do: {report}")
            finished = Finished(self._device.contents, cycle, report.complete, here, there)
            self._history.add("check", finished)

    def _note(self, what: str) -> None:
        self._history.add("world", Happened(what))
