"""What a replica does while the power may go: the five things that a file must survive."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from holdfast.replica import Replica
from holdfast.testing.simulation import SimLoop, Tape, sim_environment, simulate
from holdfast.values import Reference
from holdfast_sqlite import Database
from support.disk.machine import FILE, Machine, NotingServer
from support.disk.tapped import Operation

Script: TypeAlias = Callable[[Machine], Coroutine[Any, Any, None]]
_NARROW: Final = (
    {"name": "account", "columns": ["name", "statecode"], "indexes": ["name"]},
    {"name": "contact"},
)
#: More columns and another index than before: what a changed profile asks for.
GROWN: Final = (
    {"name": "account", "indexes": ["name", "address1_city"]},
    {"name": "contact"},
)


async def first_open(machine: Machine) -> None:
    """Make the file, in a folder that has none, and open it again."""
    async with machine.open():
        pass
    async with machine.open() as replica:
        await replica.download()


async def migration(machine: Machine) -> None:
    """Bring a file of the first format forward, then lay the tables out for a wider profile."""
    async with machine.open():
        pass
    async with machine.open(GROWN) as replica:
        await replica.download()


async def pages(machine: Machine) -> None:
    """Download pages, first everything and then what changed, under rows that wait."""
    server = machine.server
    async with machine.open() as replica:
        await replica.download()
        accounts = replica.table("account")
        await accounts.update(_of(machine, 1), {"name": "edited here"})
        await accounts.delete(_of(machine, 2))
        for number in (0, 1, 3, 4, 5):
            server.update("account", _of(machine, number), {"name": f"edited there {number}"})
        server.delete("account", _of(machine, 6))
        for number in range(3):
            server.create("contact", {"fullname": f"late {number}"})
        await replica.download()


async def outbox(machine: Machine) -> None:
    """Write rows, then drain the outbox through refusals, conflicts and lost replies."""
    server = machine.server
    async with machine.open() as replica:
        await _edits(replica, machine)
        server.update("account", _of(machine, 0), {"name": "theirs"})
        server.lose_reply()
        await replica.sync()
        await replica.sync()
        for issue in await replica.issues():
            await replica.discard(issue.id)
        await replica.sync()


async def checkpoint(machine: Machine) -> None:
    """Move the log into the file: by itself, by closing, and beside a reader that holds it back.

    The reader outlives the owner; so the next one finds a log.
    """
    uri = f"{(machine.folder / FILE).as_uri()}?mode=ro"
    for day in range(3):
        async with machine.open() as replica:
            accounts = replica.table("account")
            for at in range(4):
                await accounts.create({"name": f"row {at} " * 3})
            if day == 1:
                await machine.connect(uri, _look)
            for at in range(4):
                await accounts.update(_of(machine, at), {"name": f"again {day} {at}"})


def _look(database: Database) -> None:
    """Begin to read, and do not end."""
    database.execute("BEGIN")
    database.execute("SELECT count(*) FROM account").fetchall()


async def _edits(replica: Replica, machine: Machine) -> None:
    accounts, contacts = replica.table("account"), replica.table("contact")
    new = await accounts.create({"name": "made here"})
    await accounts.update(new, {"telephone1": "47"})
    child = await contacts.create(
        {"fullname": "of it", "parentcustomerid": Reference("account", new)}
    )
    refused = await contacts.create({"fullname": "nobody wants it"})
    machine.server.refuse(refused)
    await accounts.update(_of(machine, 0), {"name": "mine"})
    await accounts.update(_of(machine, 3), {"name": "mine alone"})
    await accounts.delete(_of(machine, 4))
    await contacts.delete(child)


def _of(machine: Machine, number: int) -> str:
    """Return the id of one of the accounts that were there at first."""
    made = [effect.row_id for effect in machine.server.effects if effect.table == "account"]
    return list(dict.fromkeys(made))[number]


# What lies on the disk before.


async def nothing(machine: Machine) -> None:
    """Leave the folder empty."""


async def _opened(machine: Machine) -> None:
    async with machine.open():
        pass


async def _downloaded(machine: Machine) -> None:
    async with machine.open() as replica:
        await replica.download()


async def of_the_first_format(machine: Machine) -> None:
    """Leave rows and an outbox in a file as the first holdfast wrote it."""
    async with machine.open(_NARROW) as replica:
        await replica.download()
        accounts = replica.table("account")
        await accounts.create({"name": "made before"})
        await accounts.update(_of(machine, 1), {"name": "edited before"})
        await accounts.delete(_of(machine, 2))
    with closing(sqlite3.connect(machine.folder / FILE)) as database:
        for statement in (
            'DROP INDEX "account.name"',
            "ALTER TABLE account DROP COLUMN _holdfast_sqlite_key_name",
            "ALTER TABLE _holdfast_sqlite_field DROP COLUMN key_column",
            "ALTER TABLE _holdfast_sqlite_state DROP COLUMN unicode",
            "PRAGMA user_version = 1",
        ):
            database.execute(statement)


@dataclass(frozen=True, slots=True)
class Workload:
    """A script, and the one before it whose writes are safe."""

    before: Script
    script: Script


WORKLOADS: Final = {
    "first open": Workload(nothing, first_open),
    "migration": Workload(of_the_first_format, migration),
    "pages": Workload(_opened, pages),
    "outbox": Workload(_downloaded, outbox),
    "checkpoint": Workload(_downloaded, checkpoint),
}


def perform(
    workload: Workload, folder: Path, operations: Callable[[Operation, str], None] | None = None
) -> Machine:
    """Run a workload on a machine of its own, and return that with what it recorded."""
    server = NotingServer()
    for number in range(9):
        server.create("account", {"name": f"account {number}", "revenue": number})
    for number in range(5):
        server.create("contact", {"fullname": f"contact {number}"})
    machine = Machine(folder, server)
    for number, script in enumerate((workload.before, workload.script)):
        machine.operations = operations if number else None
        loop = SimLoop(Tape(number))
        with machine.recording(sim_environment(loop, loop.tape)):
            simulate(partial(_performed, script, machine), loop)
    return machine


async def _performed(script: Script, machine: Machine, loop: SimLoop) -> None:
    await script(machine)
