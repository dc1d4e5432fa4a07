"""An event loop in virtual time, in which a tape decides who goes first.

Invariant: with the same tape and the same program, everything happens in the same order at the same
virtual times, on every machine. There is no selector, so no socket can sneak in, and no thread.

It stands on private parts of ``asyncio.BaseEventLoop`` (``_run_once``, ``_ready``, ``_scheduled``),
which a test pins for each Python version.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, NoReturn, TypeVar
from weakref import WeakSet

from holdfast.testing._mixing import mix
from holdfast.testing.simulation._tape import Tape

T = TypeVar("T")

#: The machine that a task runs on: what :meth:`SimLoop.abandon` kills.
HOST: Final[ContextVar[str | None]] = ContextVar("holdfast_simulated_host", default=None)
_TICKS: Final = 2**20  # of a virtual second, for the trace
_PATIENCE: Final = 100  # times that a buried coroutine may await once more


class Deadlock(AssertionError):
    """Raised when nobody can go on and no timer will change that: a liveness bug was found."""


class Livelock(AssertionError):
    """Raised when the step limit is reached: somebody works and gets nowhere."""


class SimLoop(asyncio.BaseEventLoop):
    """Runs one ready callback at a time, and jumps to the next timer when none is ready.

    ``trace`` is a digest of every choice and its time: two runs with equal traces went the same
    way. :param step_limit: callbacks after which the run is given up.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _stopping: bool

    def __init__(self, tape: Tape, *, step_limit: int = 5_000_000) -> None:
        super().__init__()
        self.tape = tape
        self.steps = 0
        self.trace = 0
        self._step_limit = step_limit
        self._now = 0.0
        self._abandoned: set[str | None] = set()
        self._tasks: dict[str | None, WeakSet[asyncio.Task[Any]]] = {}
        self._graveyard: list[asyncio.Task[Any]] = []
        self._burying = False

    def time(self) -> float:
        """Return the virtual time in seconds since the loop was made."""
        return self._now

    # Hosts.

    def spawn(self, host: str, main: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task on a host; all that it starts belongs to the host too.

        :raises ValueError: the host was abandoned; what is left of it would come to life again
        """
        if host in self._abandoned:
            raise ValueError(f"host {host!r} was killed; give its successor another name")
        context = copy_context()
        context.run(HOST.set, host)
        return self.create_task(main, context=context)

    def abandon(self, host: str) -> None:
        """Kill a host as ``kill -9`` does: its tasks are never stepped again.

        They are not cancelled, and kept, because a cancelled or collected task would run its
        ``finally`` blocks. Whoever kills its own host goes on until its next ``await``. Who waits
        for a task of a killed host waits for ever.
        """
        self._abandoned.add(host)
        self._graveyard.extend(self._tasks.pop(host, ()))
        self._ready = deque(handle for handle in self._ready if self._lives(handle))
        for timer in self._scheduled:
            if not self._lives(timer):
                timer.cancel()

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        context: Context | None = None,
        **options: Any,  # Any: passed through; Python versions differ
    ) -> asyncio.Task[T]:
        """Start a task and note its host."""
        task = super().create_task(coro, context=context, **options)
        host = (context or copy_context()).get(HOST)
        self._tasks.setdefault(host, WeakSet()).add(task)
        return task

    def _lives(self, handle: asyncio.Handle) -> bool:
        context: Context = handle._context  # type: ignore[attr-defined]  # noqa: SLF001  pinned by a test
        return context.get(HOST) not in self._abandoned

    # One step.

    def _run_once(self) -> None:
        self._drop_cancelled_timers()
        if not self._ready and not self._stopping:
            self._jump()
        self._wake()
        if self._ready:
            self._step()

    def _drop_cancelled_timers(self) -> None:
        while self._scheduled and self._scheduled[0].cancelled():
            _take(self._scheduled)

    def _jump(self) -> None:
        if not self._scheduled:
            raise Deadlock(f"nothing is ready and no timer is set at {self._now:.3f} s")
        self._now = max(self._now, self._scheduled[0].when())

    def _wake(self) -> None:
        while self._scheduled and self._scheduled[0].when() <= self._now:
            timer = _take(self._scheduled)
            if not timer.cancelled():
                self._ready.append(timer)

    def _step(self) -> None:
        if self.steps >= self._step_limit:
            raise Livelock(f"{self.steps} steps and still at {self._now:.3f} s")
        self.steps += 1
        count = len(self._ready)
        choice = self.tape.pick("schedule", count)
        self.trace = mix(self.trace ^ mix(int(self._now * _TICKS) << 32 ^ count << 16 ^ choice))
        handle = self._ready[choice]
        del self._ready[choice]
        if not handle.cancelled() and self._lives(handle):
            handle._run()  # noqa: SLF001  what the base class does with it

    # What a simulation does not have.

    def run_in_executor(
        self,
        executor: object,
        func: Callable[..., object],
        *args: object,
    ) -> NoReturn:
        """Refuse: virtual time would stop for a thread, or run away from it."""
        del executor, args
        raise RuntimeError(f"{func!r} wants a thread; a simulation has Environment.threads only")

    def _process_events(self, event_list: object) -> None:
        """There are no events from outside."""

    def _write_to_self(self) -> None:
        """There is no selector to wake."""

    # The end.

    def close(self) -> None:
        """Close the loop and, now that nobody looks any more, everything that was left behind."""
        if self.is_closed():
            return
        self._burying = True
        while self._graveyard or any(self._tasks.values()):
            self._graveyard += [task for tasks in self._tasks.values() for task in tasks]
            self._tasks.clear()
            while self._graveyard:
                _bury(self._graveyard.pop())
        super().close()

    def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        if not self._burying:
            super()._asyncgen_finalizer_hook(agen)  # type: ignore[misc]  # private, pinned by a test


def simulate(main: Callable[[SimLoop], Coroutine[Any, Any, T]], loop: SimLoop) -> T:
    """Run ``main`` to its end and close the loop.

    The cyclic garbage collector rests meanwhile: it would close generators at times of its own.

    :raises Deadlock: everybody waits for ever
    :raises Livelock: the step limit is reached
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        loop.close()
        if collecting:
            gc.enable()


def _take(timers: list[asyncio.TimerHandle]) -> asyncio.TimerHandle:
    timer = heapq.heappop(timers)
    timer._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001  or cancel() would count it
    return timer


def _bury(task: asyncio.Task[Any]) -> None:
    """Close the coroutine of a task that never ends; what it says about that interests nobody."""
    if task.done():
        return
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001  it is meant to be
    coroutine = task.get_coro()
    for _ in range(_PATIENCE):
        try:
            if coroutine is not None:
                coroutine.close()
        except BaseException:  # noqa: BLE001, S112  a dead host's last words
            continue
        return
