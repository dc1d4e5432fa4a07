"""Writes to a replica in a child process, kills it, and counts what is there afterwards.

Run as ``python local_writer.py FOLDER KILLS``; prints one JSON line per kill. Forking after the
imports keeps a round short; the storage's thread lives only inside ``asyncio.run``.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import holdfast
from holdfast.testing import MemoryServer
from support.world import ACCOUNT


def profile(folder: Path) -> dict[str, Any]:
    return {
        "storage": {"driver": "sqlite", "path": str(folder / "replica.db")},
        "transport": {"driver": "memory", "server": MemoryServer([ACCOUNT])},
        "profile": {"tables": [{"name": "account"}]},
    }


async def write(folder: Path, acks: int) -> None:
    """Create, update and delete for ever; tell each change once it is acknowledged."""
    async with holdfast.open(profile(folder)) as replica:
        accounts = replica.table("account")
        number = 0
        while True:
            number += 1
            row_id = await accounts.create({"name": f"n{number}"})
            os.write(acks, f"create {row_id} n{number}\n".encode())
            if number % 2:
                await accounts.update(row_id, {"name": f"u{number}"})
                os.write(acks, f"update {row_id} u{number}\n".encode())
            if number % 5 == 0:
                await accounts.delete(row_id)
                os.write(acks, f"delete {row_id} -\n".encode())


async def check(folder: Path, acked: list[list[str]]) -> dict[str, int]:
    """Count acknowledged changes that are gone, and ops that stand without their row."""
    async with holdfast.open(profile(folder)) as replica:
        ops = [(op.kind.value, op.row_id) for op in await replica.pending()]
        rows = {row.id: row["name"] async for row in replica.table("account").query()}
    lost = sum(1 for kind, row_id, _ in acked if (kind, row_id) not in ops)
    last = {row_id: (kind, name) for kind, row_id, name in acked}
    for row_id, (kind, name) in last.items():
        newer = [k for k, i in ops if i == row_id][-1:]  # acknowledged or not, it may be there
        if newer == [kind] and rows.get(row_id, "-") != name:
            lost += 1
    doubled = len(ops) - len(set(ops))
    deleted = {row_id for kind, row_id in ops if kind == "delete"}
    orphans = sum(1 for _, row_id in ops if row_id not in rows and row_id not in deleted)
    return {"acked": len(acked), "lost": lost, "doubled": doubled, "orphans": orphans}


def one_kill(folder: Path, after: int) -> dict[str, int]:
    """Kill a writer once it has acknowledged ``after`` changes; the instant is the system's."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        asyncio.run(write(folder, writing))
    os.close(writing)
    told = b""
    while told.count(b"\n") < after and (chunk := os.read(reading, 4096)):
        told += chunk
    os.kill(child, signal.SIGKILL)
    while chunk := os.read(reading, 4096):
        told += chunk
    os.close(reading)
    os.waitpid(child, 0)
    acked = [line.split(" ") for line in told.decode().splitlines()]
    return asyncio.run(check(folder, acked))


async def download(folder: Path) -> None:
    """Make a replica that can be written to."""
    async with holdfast.open(profile(folder)) as replica:
        await replica.download()


def main(home: Path, kills: int) -> None:
    """Kill ``kills`` writers, each on a replica of its own."""
    for number in range(kills):
        folder = home / str(number)
        folder.mkdir()
        asyncio.run(download(folder))
        print(json.dumps(one_kill(folder, after=1 + number * 7 % 40)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
