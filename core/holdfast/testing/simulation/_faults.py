"""What goes wrong in a run, and the server behind the network where most of it does.

Invariant: how often each thing goes wrong is drawn once a run, and is exactly never for many: a
rare interplay shows where not everything else breaks as well.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from typing import Final

from holdfast.schema import Column, ColumnType, TableSchema
from holdfast.testing._server import Fate, MemoryServer
from holdfast.testing.simulation._tape import Tape

#: The table that everything happens in: numbers that only grow, each written once.
ITEM: Final = TableSchema(
    "item",
    "itemid",
    None,
    (
        Column("itemid", ColumnType.UNIQUEIDENTIFIER, updatable=False),
        Column("one", ColumnType.INTEGER),
        Column("two", ColumnType.INTEGER),
    ),
)
COLUMNS: Final = ("one", "two")
_OFTEN: Final = (0.0, 0.02, 0.1, 0.3)
_SLOWEST: Final = 8  # milliseconds that a request or its reply takes


@dataclass(frozen=True, slots=True)
class Faults:
    """How often things go wrong, each between 0 and 1."""

    request_lost: float = 0
    reply_lost: float = 0
    call_cancelled: float = 0  # of what the application asks for
    sync_cancelled: float = 0
    device_killed: float = 0  # a session, for each draw; see Scenario
    unreachable: float = 0  # at each look of the nemesis
    checkpoints_expired: float = 0
    row_refused: float = 0

    @classmethod
    def drawn(cls, tape: Tape) -> Faults:
        """Draw each rate from a few, of which one is never."""
        names = [each.name for each in fields(cls)]
        rates = {name: _OFTEN[tape.pick(f"rate.{name}", len(_OFTEN))] for name in names}
        rates["device_killed"] *= 3  # there are few sessions
        return cls(**rates)


class SimServer(MemoryServer):
    """The server in memory behind a network that takes time and loses things, by the tape."""

    def __init__(self, tape: Tape, faults: Faults) -> None:
        super().__init__([ITEM], page_size=1 + tape.pick("page size", 4))
        self._tape = tape
        self._faults = faults

    async def travel(self, request: str) -> None:
        """Take up to some milliseconds."""
        await asyncio.sleep(self._tape.pick(f"delay.{request}", _SLOWEST + 1) / 1000)

    def fate(self, request: str) -> Fate:
        """Lose a request or a reply."""
        if self._tape.chance(f"request lost.{request}", self._faults.request_lost):
            return Fate.REQUEST_LOST
        if self._tape.chance(f"reply lost.{request}", self._faults.reply_lost):
            return Fate.REPLY_LOST
        return Fate.ANSWERED

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self._faults = Faults()
        self.unreachable = False
        self._refusals.clear()
