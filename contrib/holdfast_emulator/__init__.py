"""A Dataverse Web API on a local port: for demos, tests and development without a network.

``async with EmulatorServer(Dataverse(clock)) as server: server.url`` runs one in a program;
``holdfast emulator`` runs one on the command line.

Names are imported when they are used: holdfast loads this module for its verb alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from holdfast_emulator._cli import holdfast_register_cli

if TYPE_CHECKING:
    from holdfast_emulator._server import EmulatorServer
    from holdfast_emulator.behaviour.dataverse import Dataverse, Effect, Operation
    from holdfast_emulator.behaviour.faults import DataverseFault
    from holdfast_emulator.behaviour.security import Depth, User
    from holdfast_emulator.behaviour.sqlite_rows import SqliteRows
    from holdfast_emulator.control.injection import Fault, FaultKind, FaultPlan
    from holdfast_emulator.control.limits import Limits
    from holdfast_emulator.sample import Sample

__all__ = [
    "Dataverse",
    "DataverseFault",
    "Depth",
    "Effect",
    "EmulatorServer",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Limits",
    "Operation",
    "Sample",
    "SqliteRows",
    "User",
    "holdfast_register_cli",
]

_PLACES: Final = {
    "Dataverse": "behaviour.dataverse",
    "DataverseFault": "behaviour.faults",
    "Depth": "behaviour.security",
    "Effect": "behaviour.dataverse",
    "EmulatorServer": "_server",
    "Fault": "control.injection",
    "FaultKind": "control.injection",
    "FaultPlan": "control.injection",
    "Limits": "control.limits",
    "Operation": "behaviour.dataverse",
    "Sample": "sample",
    "SqliteRows": "behaviour.sqlite_rows",
    "User": "behaviour.security",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
