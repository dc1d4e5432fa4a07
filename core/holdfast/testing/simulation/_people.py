"""Those who do something in a run: the user, readers, the sync in the background, other users.

Invariant: every call into the API stands in the history twice, with how it began and how it ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final, TypeAlias, TypeVar

from holdfast._tables import row_key
from holdfast.errors import HoldfastError, NotDownloaded, RowNotFound
from holdfast.model import Row
from holdfast.replica import Replica
from holdfast.status import Issue
from holdfast.table import Table
from holdfast.testing.simulation._device import Device
from holdfast.testing.simulation._faults import COLUMNS, ITEM, Faults, SimServer
from holdfast.testing.simulation._history import (
    Answered,
    Failed,
    Happened,
    History,
    Invoked,
    Rows,
    Sampled,
    Unsure,
)
from holdfast.testing.simulation._tape import Tape

T = TypeVar("T")
#: A call into the API, in words and as it is made.
Action: TypeAlias = tuple[str, Callable[[], Awaitable[object]]]
_ROWS: Final = 5  # few, so that people meet
_LATEST_CANCEL: Final = 10  # milliseconds into a call
_PAUSE: Final = 50  # milliseconds between two actions, at most


class Numbers:
    """Numbers that only grow, so that whoever reads a smaller one than before knows."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """Return a number larger than all before."""
        self._last += 1
        return self._last


class Person:
    """What all have in common: a tape to choose by, a history to note in."""

    def __init__(self, name: str, tape: Tape, history: History, numbers: Numbers) -> None:
        self.name = name
        self.tape = tape
        self.history = history
        self._numbers = numbers

    async def pause(self, longest: int = _PAUSE) -> None:
        """Do nothing for a while."""
        await asyncio.sleep(self.tape.pick(f"{self.name}.pause", longest + 1) / 1000)

    def values(self) -> dict[str, int]:
        """Return new numbers for one or both columns."""
        chosen = self.tape.pick(f"{self.name}.columns", 3)
        names = COLUMNS if chosen == 2 else COLUMNS[chosen : chosen + 1]
        return {name: self._numbers.next() for name in names}

    def new_row(self) -> dict[str, int]:
        """Return numbers for a new row."""
        return {name: self._numbers.next() for name in COLUMNS}

    def choose(self, rows: list[str]) -> str | None:
        """Return one of these rows, if there is any."""
        return rows[self.tape.pick(f"{self.name}.row", len(rows))] if rows else None


class Application(Person):
    """One task that uses a replica: calls may be cancelled at any moment."""

    def __init__(
        self, name: str, tape: Tape, history: History, numbers: Numbers, device: Device
    ) -> None:
        super().__init__(name, tape, history, numbers)
        self._device = device

    async def call(
        self, what: str, action: Callable[[], Awaitable[T]], *, writes: bool, cancelled: float
    ) -> T | None:
        """Call the API; return None where it failed or was cancelled."""
        call = self.history.next_call()
        self.history.add(self.name, Invoked(call, what, writes))
        limit = None
        if self.tape.chance(f"{self.name}.cancelled", cancelled):
            limit = self.tape.pick(f"{self.name}.cancelled after", _LATEST_CANCEL + 1) / 1000
        try:
            with self._device.calling(call) as ops:
                async with asyncio.timeout(limit):
                    result = await action()
        except TimeoutError:
            self.history.add(self.name, Unsure(call))
        except asyncio.CancelledError:
            self.history.add(self.name, Unsure(call))
            raise
        except HoldfastError as error:
            self.history.add(self.name, Failed(call, str(error)))
        else:
            self.history.add(self.name, Answered(call, tuple(ops), str(result or "")))
            return result
        return None

    async def get(self, table: Table, row_id: str) -> None:
        """Read one row."""
        began = len(self.history)
        try:
            row = numbers_of(await table.get(row_id))
        except RowNotFound:
            row = None
        self.history.add(self.name, Sampled(began, {row_key(ITEM.name, row_id): row}))

    async def list(self, table: Table) -> list[str]:
        """Read all rows and return their ids."""
        began = len(self.history)
        rows = [row async for row in table.query()]
        self.history.add(self.name, Sampled(began, as_rows(rows), whole=True))
        return [row.id for row in rows]


class User(Application):
    """Creates, changes, deletes and reads rows, one after the other."""

    async def work(self, replica: Replica, actions: int, cancelled: float) -> None:
        """Do so many things; ``cancelled`` is how often one is given up."""
        for _ in range(actions):
            await self.pause()
            try:
                table = replica.table(ITEM.name)
            except NotDownloaded:
                continue
            dice = self.tape.pick("user.action", 12)
            chosen = await self._decision(replica, dice)
            what, action = chosen or await self._edit(table, dice)
            writes = not what.startswith(("retry", "discard"))
            await self.call(what, action, writes=writes, cancelled=cancelled)

    async def _edit(self, table: Table, dice: int) -> Action:
        rows = await self.list(table)
        row_id = self.choose(rows)
        if row_id is None or (dice == 9 and len(rows) < _ROWS):
            values = self.new_row()
            return f"create {values}", lambda: table.create(values)
        if dice == 8:
            return f"delete {row_id[:8]}", lambda: table.delete(row_id)
        values = self.values()
        return f"update {row_id[:8]} {values}", lambda: table.update(row_id, values)

    async def _decision(self, replica: Replica, dice: int) -> Action | None:
        """Settle an issue, or bring a side of a settled conflict back, if there is any."""
        if dice == 10 and (issues := await replica.issues()):
            return decision(self.tape, replica, issues[0])
        if dice == 11 and (entries := await replica.history()):
            entry = entries[self.tape.pick("user.entry", len(entries))]
            verb = ("take_mine", "take_theirs")[self.tape.pick("user.side", 2)]
            return f"{verb} {entry.row_id[:8]}", partial(getattr(replica, verb), entry.id)
        return None


class Reader(Application):
    """Reads rows all the time, one by one and all together."""

    async def work(self, replica: Replica) -> None:
        """Read until the session ends."""
        rows: list[str] = []
        while True:
            await self.pause()
            try:
                table = replica.table(ITEM.name)
            except NotDownloaded:
                continue
            row_id = self.choose(rows)
            if row_id is None or self.tape.chance("reader.all", 0.5):
                rows = await self.list(table)
            else:
                await self.get(table, row_id)


class Background(Application):
    """Syncs again and again, and settles the issues that come of it."""

    async def work(self, replica: Replica, cancelled: float) -> None:
        """Sync until the session ends; ``cancelled`` is how often one is given up."""
        while True:
            await self.call("sync", replica.sync, writes=False, cancelled=cancelled)
            await self.pause()

    async def settle(self, replica: Replica) -> None:
        """Retry or discard each open issue."""
        for issue in await replica.issues():
            what, action = decision(self.tape, replica, issue)
            await self.call(what, action, writes=False, cancelled=0)


class Others(Person):
    """Other users, who work on the server."""

    async def work(self, server: SimServer, faults: Faults) -> None:
        """Edit until everybody goes home, more or less busily."""
        leisure = (1, 4, 20)[self.tape.pick("others.leisure", 3)]
        while True:
            await self.pause(longest=_PAUSE * leisure)
            self.history.add(self.name, Happened(self._edit(server)))
            if self.tape.chance("expire", faults.checkpoints_expired):
                server.expire_checkpoints()
                self.history.add(self.name, Happened("all checkpoints expire"))

    def _edit(self, server: SimServer) -> str:
        rows = server.ids(ITEM.name)
        row_id = self.choose(rows)
        dice = self.tape.pick("others.action", 10)
        if row_id is None or (dice == 9 and len(rows) < _ROWS):
            values = self.new_row()
            return f"create {server.create(ITEM.name, values)[:8]} {values}"
        if dice == 8:
            server.delete(ITEM.name, row_id)
            return f"delete {row_id[:8]}"
        values = self.values()
        server.update(ITEM.name, row_id, values)
        return f"update {row_id[:8]} {values}"


def decision(tape: Tape, replica: Replica, issue: Issue) -> Action:
    """Return what a person decides about an issue."""
    verb = ("retry", "discard")[tape.pick("decision", 2)]
    return f"{verb} {issue.row_id[:8]}", partial(getattr(replica, verb), issue.id)


def numbers_of(row: Row) -> dict[str, int | None]:
    """Return the columns that are compared."""
    return {name: None if row[name] is None else int(str(row[name])) for name in COLUMNS}


def as_rows(rows: Iterable[Row]) -> Rows:
    """Return rows by their keys."""
    return {row_key(ITEM.name, row.id): numbers_of(row) for row in rows}
