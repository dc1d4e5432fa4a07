"""Updates that were made offline, sent; beside a program that only sends the same batches.

python bench/upload.py [updates]
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import measuring
from download import profile
from measuring import against, interleaved
from organisation import API, TOKEN

UPDATES: Final = 10_000
MOST: Final = 1.5
LEAST: Final = 10  # times as fast as one request after the other
ONE_BY_ONE: Final = 500  # of the updates: the rest would take as long


async def ours(origin: str, folder: Path, count: int) -> None:
    import holdfast

    async with holdfast.open(profile(origin, folder, batch_size=1_000)) as replica:
        await replica.download()
        table = replica.table("account")
        ids = [str(row["accountid"]) async for row in table.query(top=count)]
        for number, row_id in enumerate(ids):
            await table.update(row_id, {"fax": f"{number}"})
        await replica.sync()  # nothing is in the way of the second
        for number, row_id in enumerate(ids):
            await table.update(row_id, {"fax": f"again {number}"})
        await _ask(origin, "record")
        start, used = time.perf_counter(), time.process_time()
        report = await replica.sync()
        seconds, used = time.perf_counter() - start, time.process_time() - used
        assert report.applied == count, report
        assert not await replica.pending()
    measuring.tell(seconds=seconds, cpu=used)


async def _ask(origin: str, what: str) -> bytes:
    async with aiohttp.ClientSession() as http, http.get(f"{origin}/{what}") as reply:
        return await reply.read()


async def floor(origin: str, folder: Path, count: int) -> None:
    """Send what the run of ours before this has sent."""
    import floors

    del folder, count
    batches = json.loads(await _ask(origin, "recorded"))
    start, used = time.perf_counter(), time.process_time()
    await floors.send(origin, batches, at_once=4)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    measuring.tell(seconds=seconds, cpu=used)


async def singly(origin: str, folder: Path, count: int) -> None:
    """Send updates one request after the other, each awaited."""
    del folder
    ids: list[str] = json.loads(await _ask(origin, "ids"))[:ONE_BY_ONE]
    async with aiohttp.ClientSession(headers=TOKEN) as http:
        start = time.perf_counter()
        for number, row_id in enumerate(ids):
            url = f"{origin}{API}accounts({row_id})"
            async with http.patch(url, json={"fax": f"{number}"}) as reply:
                await reply.read()
    measuring.tell(seconds=(time.perf_counter() - start) / len(ids) * count)


def part(name: str, origin: str, count: str) -> None:
    ways = {"ours": ours, "floor": floor, "singly": singly}
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(ways[name](origin, Path(folder), int(count)))


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else UPDATES
    with measuring.organisation(count) as origin:
        ways = [
            partial(measuring.run, "upload.py", "part", one, origin, str(count))
            for one in ("ours", "floor", "singly")
        ]
        own, least, single = interleaved(ways)
    lines = [
        against(f"{count:,} updates, sent", own["seconds"], least["seconds"], MOST),
        against("  of one request each", own["seconds"], single["seconds"], 1 / LEAST),
    ]
    for line in lines:
        print(line)
    return 0 if all(line.met for line in lines) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["part"]:
        part(*sys.argv[2:])
    else:
        sys.exit(main())
