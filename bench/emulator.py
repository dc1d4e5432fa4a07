"""How fast the emulator is, each figure beside a floor from the same run.

    python bench/emulator.py            all of it, about five minutes
    python bench/emulator.py pages      one of: pages, batch, start, load

The server is a process of its own, so that its core is its own; figures are medians of five runs,
interleaved with the floor's. A figure that misses its target by half makes the exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

TOKEN = {"Authorization": "Bearer demo-token"}
RUNS = 5
#: What is installed has its bytecode beside it, whatever a developer's shell says.
COMPILED = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Figure:
    """One line of the table; ``more`` says that a greater value is the better one."""

    name: str
    value: float
    unit: str
    target: float
    floor: str
    more: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.target if self.more else self.value <= self.target

    @property
    def missed_badly(self) -> bool:
        far = self.target / 1.5 if self.more else self.target * 1.5
        return self.value < far if self.more else self.value > far

    def __str__(self) -> str:
        sign = ">=" if self.more else "<="
        verdict = "" if self.met else "  MISSED"
        target = f"{sign} {self.target:,.0f}" if self.target > 10 else f"{sign} {self.target:g}"
        value = f"{self.value:,.0f}" if self.value > 100 else f"{self.value:.2f}"
        return f"{self.name:44} {value:>9} {self.unit:7} ({target})  {self.floor}{verdict}"


# --- processes ----------------------------------------------------------------------------------


@contextlib.contextmanager
def emulator(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``holdfast emulator`` and yield its address."""
    command = [sys.executable, "-m", "holdfast_cli", "emulator", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=COMPILED) as process:
        assert process.stdout
        try:
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found
            yield found[0], process
        finally:
            process.terminate()


def peak_megabytes(process: subprocess.Popen[str]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024


@contextlib.asynccontextmanager
async def bare(body: bytes) -> AsyncIterator[str]:
    """Serve ready-made bytes from another process: the floor under every page."""
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import emulator; "
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program + f"emulator.serve_bytes({file.name!r})"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout
        port = int(await process.stdout.readline())
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            await process.wait()


def serve_bytes(path: str) -> None:
    body = Path(path).read_bytes()

    async def answer(_: web.Request) -> web.Response:
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        return web.Response(body=body, headers=headers)

    async def main() -> None:
        application = web.Application()
        application.router.add_get("/", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


async def interleaved(*acts: Callable[[], Awaitable[object]]) -> list[float]:
    """Return the median seconds of each act; the first round warms up."""
    seconds: list[list[float]] = [[] for _ in acts]
    for turn in range(RUNS + 1):
        for act, found in zip(acts, seconds, strict=True):
            begun = time.perf_counter()
            await act()
            if turn:
                found.append(time.perf_counter() - begun)
    return [statistics.median(found) for found in seconds]


# --- what is measured ---------------------------------------------------------------------------


async def thirty_columns(http: aiohttp.ClientSession, root: str) -> str:
    async with http.get(f"{root}accounts?$top=1") as reply:
        (row,) = (await reply.json())["value"]
    names = [name for name in row if "@" not in name and "image" not in name]
    return ",".join(names[:30])


async def page_of(http: aiohttp.ClientSession, url: str) -> bytes:
    headers = {"Prefer": "odata.maxpagesize=5000", "Accept-Encoding": "gzip"}
    async with http.get(url, headers=headers) as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        return await reply.read()


async def pages(folder: Path) -> AsyncIterator[Figure]:
    for name, options in (("in memory", ()), ("--file", ("--file", str(folder / "pages.db")))):
        with emulator("--rows", "20000", *options) as (url, _):
            root = f"{url}/api/data/v9.2/"
            async with aiohttp.ClientSession(auto_decompress=True, headers=TOKEN) as http:
                columns = await thirty_columns(http, root)
            async with aiohttp.ClientSession(auto_decompress=False, headers=TOKEN) as http:
                target = f"{root}accounts?$select={columns}"
                body = await page_of(http, target)
                async with bare(body) as floor:
                    one, other = await interleaved(
                        partial(page_of, http, target), partial(page_of, http, floor)
                    )
        yield Figure(
            *(f"pages of 5,000 x 30, gzip, {name}", 5000 / one, "rows/s", 50_000),
            f"the same bytes, ready-made: {5000 / other:,.0f} rows/s",
            more=True,
        )


def updates(ids: list[str], turn: int, *, change_set: bool) -> bytes:
    """Return a batch that updates each row; the values are new in each turn."""
    lines: list[str] = ["--b"]
    if change_set:
        lines += ["Content-Type: multipart/mixed; boundary=c", "", "--c"]
    delimiter = "--c" if change_set else "--b"
    for number, row_id in enumerate(ids, 1):
        lines += [
            *("Content-Type: application/http", "Content-Transfer-Encoding: binary"),
            *(f"Content-ID: {number}", "", f"PATCH accounts({row_id}) HTTP/1.1"),
            *("Content-Type: application/json", "If-Match: *", ""),
            *(json.dumps({"fax": f"{turn} {number}", "telephone1": "47"}), delimiter),
        ]
    lines[-1] += "--"
    return "\r\n".join([*lines, "--b--" if change_set else "", ""]).encode()


async def send(http: aiohttp.ClientSession, root: str, body: bytes) -> None:
    kind = {"Content-Type": "multipart/mixed; boundary=b"}
    async with http.post(f"{root}$batch", data=io.BytesIO(body), headers=kind) as reply:
        text = await reply.read()
        assert (reply.status, text.count(b" 204 ")) == (200, 1000), text[:500]


async def batch(folder: Path) -> AsyncIterator[Figure]:
    turns = itertools.count()
    for name, options in (("in memory", ()), ("--file", ("--file", str(folder / "batch.db")))):
        with emulator("--rows", "20000", *options) as (url, _):
            root = f"{url}/api/data/v9.2/"
            async with aiohttp.ClientSession(headers=TOKEN) as http:
                async with http.get(f"{root}accounts?$select=accountid&$top=1000") as reply:
                    ids = [row["accountid"] for row in (await reply.json())["value"]]
                acts = [
                    lambda whole=whole, http=http, root=root, ids=ids: send(
                        http, root, updates(ids, next(turns), change_set=whole)
                    )
                    for whole in (True, False)
                ]
                one, many = await interleaved(*acts)
        for what, seconds in (("one change set", one), ("on their own", many)):
            yield Figure(f"$batch of 1,000 updates, {what}, {name}", seconds, "s", 1.0, "")


async def start(_: Path) -> AsyncIterator[Figure]:
    async def whole() -> None:
        with emulator() as (url, _):
            async with (
                aiohttp.ClientSession(headers=TOKEN) as http,
                http.get(f"{url}/api/data/v9.2/accounts?$top=1") as reply,
            ):
                assert reply.status == 200

    async def floor() -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "import aiohttp.web"), env=COMPILED
        )
        await process.wait()

    one, other = await interleaved(whole, floor)
    yield Figure(
        *("start to first answer, 1,000 rows", one, "s", 1.5, f"import of aiohttp: {other:.2f} s")
    )


async def load(folder: Path) -> AsyncIterator[Figure]:
    for name, options in (("in memory", ()), ("--file", ("--file", str(folder / "load.db")))):
        begun = time.perf_counter()
        with emulator("--rows", "1000000", *options) as (_, process):
            seconds, peak = time.perf_counter() - begun, peak_megabytes(process)
        yield Figure(f"1,000,000 rows loaded, {name}", seconds, "s", 180, "")
        yield Figure(f"peak memory of that, {name}", peak, "MiB", 3 * 1024, "")


PARTS = {"pages": pages, "batch": batch, "start": start, "load": load}


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], default=[])
    wanted = parser.parse_args().part or list(PARTS)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for part in wanted:
            async for figure in PARTS[part](Path(folder)):
                print(figure, flush=True)
                failed |= figure.missed_badly
    return int(failed)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
