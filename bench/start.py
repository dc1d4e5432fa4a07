"""How long one waits before anything happens: imports, and the status of a replica.

python bench/start.py
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import measuring
from download import profile
from measuring import Measured, interleaved, within

MOST_IMPORT: Final = 150  # ms
MOST_STATUS: Final = 400


def timed(*command: str, folder: Path | None = None) -> Measured:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *command],
        stdout=subprocess.DEVNULL,
        env=measuring.COMPILED,
        check=True,
        cwd=folder,
    )
    return {"ms": (time.perf_counter() - start) * 1000}


async def downloaded(origin: str, folder: Path) -> None:
    import holdfast

    async with holdfast.open(profile(origin, folder)) as replica:
        await replica.download()


def main() -> int:
    with measuring.organisation(10_000) as origin, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(downloaded(origin, folder))
        ways: list[Callable[[], Measured]] = [
            partial(timed, "-c", "pass"),
            partial(timed, "-c", "import holdfast"),
            partial(timed, "-c", "import holdfast; holdfast.open"),
            partial(timed, "-m", "holdfast_cli", "status", folder=folder),
        ]
        nothing, lazy, whole, status = (one["ms"] for one in interleaved(ways))
    lines = [
        within("import holdfast", lazy, MOST_IMPORT, "ms", 0),
        within("  and what opens a replica", whole, MOST_IMPORT, "ms", 0),
        within("holdfast status", status, MOST_STATUS, "ms", 0),
    ]
    for line in lines:
        print(line)
    print(f"  of each {nothing:.0f} ms are Python's own start")
    return 0 if all(line.met for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
