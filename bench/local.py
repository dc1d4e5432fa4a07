"""Local updates, one after the other and each durable, beside SQLite doing the same statements.

python bench/local.py
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import measuring
from download import profile
from measuring import Line, against, interleaved, within

ROWS: Final = 1_000
UPDATES: Final = 3_000
DOWNLOADED: Final = 100_000  # beside the updates that are timed while a download runs
LEAST_A_SECOND: Final = 1_000
MOST: Final = 3.0
MOST_LATE: Final = 20  # ms

Statement = tuple[str, Sequence[Any]]  # Any: what SQLite binds


class Recording:
    """A connection's database that notes what it is told to do."""

    def __init__(self, database: Any, noted: list[Statement]) -> None:  # Any: a DB-API connection
        self._database = database
        self._noted = noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        self._noted.append((sql, tuple(parameters)))
        return self._database.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        given = [tuple(one) for one in parameters]
        self._noted += [(sql, one) for one in given]
        return self._database.executemany(sql, given)


def recorded_by_sqlite() -> list[Statement]:
    """Let every connection to SQLite note its statements from now on."""
    from holdfast_sqlite import _connection

    noted: list[Statement] = []
    run = _connection.ThreadConnection.run

    async def noting(self: Any, work: Callable[[Any], Any], *, interruptible: bool = False) -> Any:
        return await run(
            self, lambda database: work(Recording(database, noted)), interruptible=interruptible
        )

    _connection.ThreadConnection.run = noting  # type: ignore[method-assign]  # a bench may look inside
    return noted


async def ids_of(replica: Any) -> list[str]:
    return [str(row["accountid"]) async for row in replica.table("account").query(top=ROWS)]


async def update(replica: Any, ids: Sequence[str], count: int) -> list[float]:
    """Update rows in turn and return the seconds that each took."""
    table = replica.table("account")
    taken = []
    for number in range(count):
        start = time.perf_counter()
        await table.update(ids[number % len(ids)], {"fax": f"{number}"})
        taken.append(time.perf_counter() - start)
    return taken


def tell(taken: Sequence[float]) -> None:
    ordered = sorted(taken)
    measuring.tell(
        p50=statistics.median(ordered) * 1e6,
        p99=ordered[int(len(ordered) * 0.99)] * 1e3,
        rate=len(ordered) / sum(ordered),
    )


async def ours(origin: str, folder: Path) -> None:
    import holdfast

    async with holdfast.open(profile(origin, folder)) as replica:
        await replica.download()
        tell(await update(replica, await ids_of(replica), UPDATES))


async def floor(origin: str, folder: Path) -> None:
    import holdfast

    noted = recorded_by_sqlite()
    async with holdfast.open(profile(origin, folder)) as replica:
        await replica.download()
        ids = await ids_of(replica)
    shutil.copy(folder / "replica.db", folder / "floor.db")
    async with holdfast.open(profile(origin, folder)) as replica:
        noted.clear()
        await update(replica, ids, UPDATES)
        statements = list(noted)
    tell(again(folder / "floor.db", statements))


def again(path: Path, statements: Sequence[Statement]) -> list[float]:
    """Run the statements once more and return the seconds of each update: to the end of a write."""
    from holdfast_sqlite._functions import register_functions
    from holdfast_sqlite._storage import _WRITER_PRAGMAS

    database = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    for pragma in (*_WRITER_PRAGMAS, "journal_mode = WAL"):
        database.execute(f"PRAGMA {pragma}")
    register_functions(database)
    taken: list[float] = []
    writing = False
    start = time.perf_counter()
    for sql, parameters in statements:
        cursor = database.execute(sql, parameters)
        if cursor.description is not None:
            cursor.fetchall()
        writing |= sql.startswith("BEGIN IMMEDIATE")
        if writing and sql == "COMMIT":
            taken.append(time.perf_counter() - start)
            writing, start = False, time.perf_counter()
    database.close()
    return taken


async def beside(origin: str, folder: Path) -> None:
    """Time updates while a download of other rows runs."""
    import holdfast

    async with holdfast.open(profile(origin, folder)) as replica:
        events = replica.events()
        downloading = asyncio.create_task(replica.download())
        await anext(events)  # a page is here
        ids = await ids_of(replica)
        taken: list[float] = []
        while not downloading.done():
            taken += await update(replica, ids, 20)
        await downloading
    tell(taken)


def part(name: str, origin: str) -> None:
    ways = {"ours": ours, "floor": floor, "beside": beside}
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(ways[name](origin, Path(folder)))


def main() -> int:
    lines: list[Line] = []
    with measuring.organisation(ROWS) as origin:
        ways = [
            partial(measuring.run, "local.py", "part", one, origin) for one in ("ours", "floor")
        ]
        own, least = interleaved(ways)
    lines.append(against("a durable local update, p50", own["p50"], least["p50"], MOST, unit="µs"))
    lines.append(within("  and on average", 1e3 / own["rate"], 1.0, "ms", 2))
    with measuring.organisation(DOWNLOADED) as origin:
        beside = measuring.run("local.py", "part", "beside", origin)
    lines.append(within("while a download runs, p99", beside["p99"], MOST_LATE, "ms"))
    for line in lines:
        print(line)
    return 0 if all(line.met for line in lines) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["part"]:
        part(*sys.argv[2:])
    else:
        sys.exit(main())
