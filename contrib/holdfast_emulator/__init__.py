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
    from holdfast_emulator._injection import Fault, FaultKind, FaultPlan
    from holdfast_emulator._limits import Limits
    from holdfast_emulator._server import EmulatorServer
    from holdfast_emulator.dataverse import Dataverse, Effect, Operation
    from holdfast_emulator.faults import DataverseFault
    from holdfast_emulator.sample import Sample
    from holdfast_emulator.security import Depth, User
    from holdfast_emulator.sqlite_rows import SqliteRows

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
    "Dataverse": "dataverse",
    "DataverseFault": "faults",
    "Depth": "security",
    "Effect": "dataverse",
    "EmulatorServer": "_server",
    "Fault": "_injection",
    "FaultKind": "_injection",
    "FaultPlan": "_injection",
    "Limits": "_limits",
    "Operation": "dataverse",
    "Sample": "sample",
    "SqliteRows": "sqlite_rows",
    "User": "security",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
