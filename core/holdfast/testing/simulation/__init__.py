"""A deterministic simulator: a loop in virtual time, a tape of choices, a story, and its judges.

::

    run_scenario(seed=7)                        # one story; raises the promise that it broke

    tape = Tape(seed=7)                         # or one of your own
    simulate(scenario, SimLoop(tape))           # raises what the scenario finds
    simulate(scenario, SimLoop(Tape.replaying(tape.recorded)))  # again, the same way
"""

from __future__ import annotations

from holdfast.testing.simulation._checkers import (
    CHECKERS,
    Checker,
    Conservation,
    Convergence,
    LocalAtomicity,
    Sessions,
    Violation,
)
from holdfast.testing.simulation._contents import Contents
from holdfast.testing.simulation._device import MakeMedium, Medium, MemoryMedium
from holdfast.testing.simulation._environment import (
    BEGINNING,
    SimClock,
    SimIds,
    SimRandom,
    SimThreads,
    sim_environment,
)
from holdfast.testing.simulation._history import Event, History
from holdfast.testing.simulation._loop import HOST, Deadlock, Livelock, SimLoop, simulate
from holdfast.testing.simulation._scenario import Run, ScenarioFailed, run_scenario
from holdfast.testing.simulation._tape import Tape
from holdfast.testing.simulation._watched import WatchedStorage, Watcher

__all__ = [
    "BEGINNING",
    "CHECKERS",
    "HOST",
    "Checker",
    "Conservation",
    "Contents",
    "Convergence",
    "Deadlock",
    "Event",
    "History",
    "Livelock",
    "LocalAtomicity",
    "MakeMedium",
    "Medium",
    "MemoryMedium",
    "Run",
    "ScenarioFailed",
    "Sessions",
    "SimClock",
    "SimIds",
    "SimLoop",
    "SimRandom",
    "SimThreads",
    "Tape",
    "Violation",
    "WatchedStorage",
    "Watcher",
    "run_scenario",
    "sim_environment",
    "simulate",
]
