"""Lives that are cut short: for each order on stdin a child is forked, and its end is told.

Run as ``python -m support.kills.lives``; orders are JSON, a line each, and so is what is told. The
children are forked after the imports, so that a life costs milliseconds; no thread and no loop runs
here when they are.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from importlib import import_module
from itertools import count, islice
from random import Random
from typing import Any, Final, TypeAlias

import holdfast
from support.kills.mortal import mortal
from support.kills.witness import VALUE, tell

Order: TypeAlias = Mapping[str, Any]  # Any: JSON
#: What rows that were made here are called; only those are deleted again.
MADE: Final = "made in life"


async def download(order: Order) -> None:
    """Fetch."""
    async with holdfast.open(order["profile"]) as replica:
        await replica.download()


async def sync(order: Order) -> None:
    """Write a little, then send and fetch while more is written."""
    async with holdfast.open(order["profile"]) as replica, asyncio.TaskGroup() as beside:
        writer = await Writer.of(replica, order["life"])
        await writer.write(order.get("writes", 0))
        beside.create_task(writer.write(order.get("beside", 0)))
        report = await replica.sync()
        tell("synced", complete=report.complete, waiting=report.waiting)


async def look(order: Order) -> None:
    """Open and write a little."""
    async with holdfast.open(order["profile"]) as replica:
        await (await Writer.of(replica, order["life"])).write(order["writes"])


async def opening(order: Order) -> None:
    """Open, and close again."""
    async with holdfast.open(order["profile"]):
        pass


class Writer:
    """Creates, updates and deletes accounts, and tells of each write once it is acknowledged.

    Every value is written only once, in whatever life.
    """

    def __init__(self, accounts: holdfast.Table, life: int, names: dict[str, str]) -> None:
        self._accounts = accounts
        self._values = (f"{life}-{number}" for number in count())
        self._choose = Random(life)
        self._names = names

    @classmethod
    async def of(cls, replica: holdfast.Replica, life: int) -> Writer:
        """Return a writer that knows what rows there are."""
        accounts = replica.table("account")
        names = {row.id: str(row["name"]) async for row in accounts.query(order_by="accountid")}
        return cls(accounts, life, names)

    async def write(self, number: int) -> None:
        """Write so many times."""
        for value in islice(self._values, number):
            kind, row_id = await self._write(value)
            tell("ack", does=(kind, row_id, None if kind == "delete" else value))

    async def _write(self, value: str) -> tuple[str, str]:
        dice = self._choose.random()
        made = [row_id for row_id, name in self._names.items() if name.startswith(MADE)]
        if dice < 0.4:
            row_id = await self._accounts.create({"name": f"{MADE} {value}", VALUE: value})
            self._names[row_id] = MADE
            return "create", row_id
        if dice < 0.6 and made:
            row_id = self._choose.choice(made)
            del self._names[row_id]
            await self._accounts.delete(row_id)
            return "delete", row_id
        row_id = self._choose.choice(list(self._names))
        await self._accounts.update(row_id, {VALUE: value})
        return "update", row_id


ACTS: Final[Mapping[str, Callable[[Order], Awaitable[None]]]] = {
    "download": download,
    "sync": sync,
    "look": look,
    "open": opening,
}


def planted(mutant: str) -> AbstractContextManager[None]:
    """Return the block in which holdfast has a bug; see ``tests/mutants``."""
    bug: AbstractContextManager[None] = import_module(f"mutants.{mutant}").planted()
    return bug


def live(order: Order) -> None:
    """Do what the order says, and never return."""
    try:
        tell("alive")
        mortal.statement = order.get("statement", 0)
        with ExitStack() as stack:
            if "mutant" in order:
                stack.enter_context(planted(order["mutant"]))
            asyncio.run(ACTS[order["act"]](order))  # type: ignore[arg-type]  # a coroutine
    except BaseException:  # noqa: BLE001  the parent sees the status
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def warm_up() -> None:
    """Import what a life will need; nothing of it stays open."""

    async def open_once(folder: str) -> None:
        data = {
            "storage": {"driver": "sqlite", "path": f"{folder}/warm.db"},
            "transport": {
                "driver": "dataverse",
                "url": "http://127.0.0.1:9",
                "credential": "token",
                "token": "none",
            },
            "profile": {"tables": [{"name": "account"}]},
        }
        async with holdfast.open(data) as replica:
            await replica.pending()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(open_once(folder))
    gc.collect()
    gc.freeze()


def main() -> None:
    """Fork a child for each order, one after the other.

    A dead child is reaped when the parent has heard of its death: until then its pid is its own, so
    that a late kill strikes nobody else.
    """
    warm_up()
    child = 0
    for line in sys.stdin:
        if child:
            os.waitpid(child, 0)
        order = json.loads(line)
        if "mutant" in order:
            planted(order["mutant"])  # imported here, once
        assert threading.active_count() == 1
        child = os.fork()
        if child == 0:
            live(order)
        tell("born", pid=child)
        end = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert end is not None
        tell("dead", code=end.si_status if end.si_code == os.CLD_EXITED else -end.si_status)


if __name__ == "__main__":
    main()
