"""Plays a fault on a request: the one table in which every kind has its place.

Invariant: every kind of fault is in exactly one of the four tables: replacements of a reply,
spoilers of a reply, actions on the connection, and changes of the organisation before it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from aiohttp import web

from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.keeping import Versions
from holdfast_emulator.control.connections import ACTIONS, Exchange
from holdfast_emulator.control.injection import Fault
from holdfast_emulator.control.kinds import FaultKind
from holdfast_emulator.control.replacements import REPLACEMENTS, Struck
from holdfast_emulator.control.spoilers import SPOILERS
from holdfast_emulator.wire.calls import Reply, refusal

_Change: TypeAlias = Callable[[Dataverse, Fault], None]


def _forget(dataverse: Dataverse, _: Fault) -> None:
    dataverse.purge_changes()


def _restore(dataverse: Dataverse, fault: Fault) -> None:
    name = fault.baseline
    if name is None or name not in dataverse.keeper.names():
        raise DataverseFault(409, "0x80040203", f"There is no baseline {name!r} to restore.")
    dataverse.keeper.give_back(name, Versions.BACK)


CHANGES: Final[Mapping[FaultKind, _Change]] = {
    FaultKind.FORGET_CHANGES: _forget,
    FaultKind.RESTORE_BACKUP: _restore,
}


async def play(exchange: Exchange, struck: Struck, unauthorized: Reply) -> web.StreamResponse:
    """Let the fault of an exchange happen."""
    kind = exchange.fault.kind
    if kind is FaultKind.EXPIRE_TOKEN:
        return await exchange.send(unauthorized)
    if kind in REPLACEMENTS:
        return await exchange.send(REPLACEMENTS[kind](struck))
    if kind in ACTIONS:
        return await ACTIONS[kind](exchange)
    if kind in CHANGES:
        try:
            CHANGES[kind](exchange.dataverse, exchange.fault)
        except DataverseFault as fault:
            return await exchange.send(refusal(fault))
        return await exchange.send(await exchange.carry_out(None))
    return await exchange.send(SPOILERS[kind](struck, await exchange.carry_out(None)))
