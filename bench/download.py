"""A first download, beside two programs that do nothing else.

python bench/download.py              100,000 rows, and then 1,000,000
python bench/download.py 20000        so many rows
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import measuring
from measuring import Line, Measured, against, interleaved, within
from organisation import COLUMNS

MOST_MEMORY: Final = 150  # MiB
MOST_LATE: Final = 20  # ms


def profile(
    origin: str, folder: Path, *, tables: Sequence[str] = ("account",), batch_size: int = 200
) -> Path:
    """Write the profile of one replica: thirty columns of accounts, all of other tables."""
    path = folder / "holdfast.toml"
    columns = ", ".join(f'"{name}"' for name in COLUMNS[1:])
    kept = [
        f'[[profile.tables]]\nname = "{name}"\n'
        + (f"columns = [{columns}]\n" if name == "account" else "")
        for name in tables
    ]
    path.write_text(
        f"""
        [storage]
        driver = "sqlite"
        path = "replica.db"
        [transport]
        driver = "dataverse"
        url = "{origin}"
        credential = "token"
        token = "demo-token"
        batch_size = {batch_size}
        [profile]
        """
        + "".join(kept),
        encoding="utf-8",
    )
    return path


async def _ours(origin: str, folder: Path, *, ticking: bool) -> None:
    import holdfast

    ticker = measuring.Ticker()
    async with holdfast.open(profile(origin, folder)) as replica:
        start, used = time.perf_counter(), time.process_time()
        if ticking:
            async with ticker:
                await replica.download()
        else:
            await replica.download()
    seconds = time.perf_counter() - start  # closing moves what is in the log into the file
    late = ticker.percentile(0.99) if ticking else 0.0
    measuring.tell(seconds=seconds, cpu=time.process_time() - used, late=late)


async def _floor(name: str, origin: str, folder: Path) -> None:
    import floors

    way = floors.plain if name == "plain" else floors.tuned
    start, used = time.perf_counter(), time.process_time()
    await way(origin, folder / "floor.db")
    measuring.tell(seconds=time.perf_counter() - start, cpu=time.process_time() - used)


def part(name: str, origin: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if name in ("ours", "ticking"):
            asyncio.run(_ours(origin, Path(folder), ticking=name == "ticking"))
        else:
            asyncio.run(_floor(name, origin, Path(folder)))


def measured(rows: int, runs: int) -> tuple[list[Line], Measured]:
    with measuring.organisation(rows) as origin:
        ways = [
            partial(measuring.run, "download.py", "part", name, origin)
            for name in ("ours", "plain", "tuned")
        ]
        ours, plain, tuned = interleaved(ways, runs)
        ticking = measuring.run("download.py", "part", "ticking", origin)
    named = f"first download, {rows:,} rows"
    return [
        against(f"{named}: plain", ours["seconds"], plain["seconds"], 1.0),
        against(f"{named}: tuned", ours["seconds"], tuned["seconds"], 1.5),
        within(f"{named}: ticker late, p99", ticking["late"], MOST_LATE, "ms"),
        within(f"{named}: peak memory", ours["peak"], MOST_MEMORY, "MiB"),
    ], ours


def main() -> int:
    sizes = [int(sys.argv[1])] if len(sys.argv) > 1 else [100_000, 1_000_000]
    fine = True
    peaks: list[float] = []
    for rows in sizes:
        lines, ours = measured(rows, measuring.RUNS if rows <= 100_000 else 1)
        peaks.append(ours["peak"])
        for line in lines:
            print(line, flush=True)
            fine &= line.met
    if len(peaks) > 1:
        line = against(
            "peak memory: of the few rows", peaks[1], peaks[0], 1.1, unit="MiB", digits=0
        )
        print(line)
        fine &= line.met
    return 0 if fine else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["part"]:
        part(*sys.argv[2:])
    else:
        sys.exit(main())
