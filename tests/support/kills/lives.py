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
from random import Random
from typing import Any, Final, TypeAlias

import holdfast
from holdfast.model import OpKind
from support.kills.mortal import mortal
from support.kills.witness import tell

Order: TypeAlias = Mapping[str, Any]  # Any: JSON
#: What rows that were made here are called; only those are deleted again.
MADE: Final = "made in life"


async def download(order: Order) -> None:
    """Fetch, after a few local writes, if any, that stay where they are."""
    async with holdfast.open(order["profile"]) as replica:
        await _write(replica, order)
        await replica.download()


async def sync(order: Order) -> None:
    """Write a little, telling of each write that was acknowledged, then send and fetch."""
    async with holdfast.open(order["profile"]) as replica:
        await _write(replica, order)
        report = await replica.sync()
        tell("synced", complete=report.complete, waiting=report.waiting)


async def look(order: Order) -> None:
    """Open, write a little, and count what is there."""
    async with holdfast.open(order["profile"]) as replica:
        await _write(replica, order)
        counts = {name: await replica.table(name).count() for name in replica.tables}
        tell("counted", counts=counts, pending=len(await replica.pending()))


async def opening(order: Order) -> None:
    """Open, and close again."""
    async with holdfast.open(order["profile"]):
        pass


async def _write(replica: holdfast.Replica, order: Order) -> None:
    """Create, update and delete accounts; every value that is written is written only once."""
    if not order.get("writes"):
        return
    accounts, choose = replica.table("account"), Random(order["life"])
    names = {row.id: str(row["name"]) async for row in accounts.query(order_by="accountid")}
    for number in range(order["writes"]):
        made = [row_id for row_id, name in names.items() if name.startswith(MADE)]
        value = f"{order['life']}-{number}"
        dice = choose.random()
        if dice < 0.4:
            row_id = await accounts.create({"name": f"{MADE} {value}", "telephone1": value})
            names[row_id] = MADE
        elif dice < 0.6 and made:
            row_id = choose.choice(made)
            await accounts.delete(row_id)
            del names[row_id]
        else:
            row_id = choose.choice(list(names))
            await accounts.update(row_id, {"telephone1": value})
        await _acknowledge(replica, row_id)


async def _acknowledge(replica: holdfast.Replica, row_id: str) -> None:
    newest = (await replica.pending())[-1]
    assert newest.row_id == row_id
    value = None if newest.kind is OpKind.DELETE else newest.changes["telephone1"]
    tell("ack", op=newest.id, kind=newest.kind.value, row=row_id, value=value)


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
    """Fork a child for each order, one after the other."""
    warm_up()
    for line in sys.stdin:
        assert threading.active_count() == 1
        order = json.loads(line)
        if "mutant" in order:
            planted(order["mutant"])  # imported here, once
        child = os.fork()
        if child == 0:
            live(order)
        tell("born", pid=child)
        _, status = os.waitpid(child, 0)
        tell("dead", code=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
