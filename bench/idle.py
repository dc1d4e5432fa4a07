"""A sync that finds nothing new in fifty tables, and a delta of ten changes beside many rows.

python bench/idle.py
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import measuring
from download import profile
from measuring import Line, Measured, against, interleaved, within
from organisation import CHANGES, FIRST_PAGE, TABLES

SYNCS: Final = 20
MOST_CPU: Final = 50  # ms
MOST: Final = 1.5
SIZES: Final = (10_000, 1_000_000)


async def _asked(origin: str) -> int:
    """Return how many pages were asked for since this was asked last."""
    async with aiohttp.ClientSession() as http, http.get(f"{origin}/asked") as reply:
        return int(await reply.text())


async def nothing(origin: str, folder: Path) -> None:
    import holdfast

    async with holdfast.open(profile(origin, folder, tables=TABLES)) as replica:
        await replica.download()
        await replica.sync()
        await _asked(origin)
        used = []
        for _ in range(SYNCS):
            start = time.process_time()
            report = await replica.sync()
            used.append(time.process_time() - start)
            assert report.failure is None
        asked = await _asked(origin)
    measuring.tell(cpu=statistics.median(used) * 1000, requests=asked / SYNCS / len(TABLES))


async def delta(origin: str, folder: Path) -> None:
    import holdfast

    async with holdfast.open(profile(origin, folder)) as replica:
        await replica.download()
        await replica.sync()
        await _asked(origin)
        taken = []
        for _ in range(SYNCS):
            start = time.perf_counter()
            report = await replica.sync()
            taken.append(time.perf_counter() - start)
            assert report.tables["account"].received == CHANGES
        asked = await _asked(origin)
    measuring.tell(ms=statistics.median(taken) * 1000, requests=asked / SYNCS)


async def floor(origin: str, folder: Path) -> None:
    import floors

    database = floors.connected(folder / "floor.db", "synchronous = FULL")
    taken = []
    async with floors.session() as http:
        link = await floors.read(http, database, origin + FIRST_PAGE)
        for _ in range(SYNCS):
            start = time.perf_counter()
            link = await floors.read(http, database, link)
            taken.append(time.perf_counter() - start)
    database.close()
    measuring.tell(ms=statistics.median(taken) * 1000)


def part(name: str, origin: str) -> None:
    ways: dict[str, Any] = {"nothing": nothing, "delta": delta, "floor": floor}
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(ways[name](origin, Path(folder)))


def changes(rows: int) -> tuple[Line, Measured]:
    with measuring.organisation(rows) as origin:
        ways = [
            partial(measuring.run, "idle.py", "part", one, origin) for one in ("delta", "floor")
        ]
        own, least = interleaved(ways, 3 if rows <= 100_000 else 1)
    assert own["requests"] == 1.0, own
    name = f"{CHANGES} changes beside {rows:,} rows"
    return against(name, own["ms"], least["ms"], MOST, unit="ms"), own


def main() -> int:
    with measuring.organisation(1_000) as origin:
        found = measuring.run("idle.py", "part", "nothing", origin)
    assert found["requests"] == 1.0, found
    lines = [within(f"{len(TABLES)} tables, nothing new: CPU", found["cpu"], MOST_CPU, "ms")]
    took = []
    for rows in SIZES:
        line, own = changes(rows)
        lines.append(line)
        took.append(own["ms"])
    lines.append(against("  the many rows beside the few", took[1], took[0], 1.1, unit="ms"))
    for line in lines:
        print(line)
    return 0 if all(line.met for line in lines) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["part"]:
        part(*sys.argv[2:])
    else:
        sys.exit(main())
