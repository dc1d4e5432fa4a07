"""A Dataverse Web API on a local port: for demos, tests and development without a network.

``async with EmulatorServer(Dataverse(clock)) as server: server.url`` runs one in a program;
``holdfast emulator`` runs one on the command line.

Names are imported when they are used: holdfast loads this module for its verb alone, and pytest on
the way to a plugin that most runs do not use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

import pluggy

if TYPE_CHECKING:
    from holdfast.hookspecs import CommandLine
    from holdfast_emulator._server import EmulatorServer
    from holdfast_emulator.behaviour.custom_api import (
        ApiEntity,
        ApiParameter,
        ApiRequest,
        ApiType,
        Binding,
        CustomApi,
    )
    from holdfast_emulator.behaviour.dataverse import Dataverse, Effect, Operation
    from holdfast_emulator.behaviour.faults import DataverseFault
    from holdfast_emulator.behaviour.keeping import Versions
    from holdfast_emulator.behaviour.security import Depth, User
    from holdfast_emulator.behaviour.sqlite_rows import SqliteRows
    from holdfast_emulator.control.injection import Fault, FaultKind, FaultPlan
    from holdfast_emulator.control.limits import Limits
    from holdfast_emulator.control.rules import RuleOfData, What, When
    from holdfast_emulator.control.trace import Wanted
    from holdfast_emulator.sample import Sample

__all__ = [
    "ApiEntity",
    "ApiParameter",
    "ApiRequest",
    "ApiType",
    "Binding",
    "CustomApi",
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
    "RuleOfData",
    "Sample",
    "SqliteRows",
    "User",
    "Versions",
    "Wanted",
    "What",
    "When",
    "holdfast_register_cli",
]

_PLACES: Final = {
    "ApiEntity": "behaviour.custom_api",
    "ApiParameter": "behaviour.custom_api",
    "ApiRequest": "behaviour.custom_api",
    "ApiType": "behaviour.custom_api",
    "Binding": "behaviour.custom_api",
    "CustomApi": "behaviour.custom_api",
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
    "RuleOfData": "control.rules",
    "Sample": "sample",
    "SqliteRows": "behaviour.sqlite_rows",
    "User": "behaviour.security",
    "Versions": "behaviour.keeping",
    "Wanted": "control.trace",
    "What": "control.rules",
    "When": "control.rules",
}


@pluggy.HookimplMarker("holdfast")
def holdfast_register_cli(commands: CommandLine) -> None:
    """Add the verb."""
    from holdfast_emulator._cli import emulator

    commands.add(emulator, name="emulator")


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
