"""Lets the system refuse to make files larger, at one size after the other.

Run as ``python limited_files.py FOLDER``; prints one JSON line. Python ignores the signal that
comes with it, so SQLite hears of an error.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from holdfast_sqlite import Database
from support.disk.trials import Trials

STEP = 12_000
LARGEST = 4_000_000


def connect(uri: str) -> Database:
    """Connect, and move the log into the file often, so that both grow."""
    database = sqlite3.connect(uri, uri=True, isolation_level=None)
    database.execute("PRAGMA wal_autocheckpoint = 24").fetchone()
    return database


@contextmanager
def limited(size: int) -> Iterator[Callable[[str], Database]]:
    """Let files of this process grow to so many bytes inside the block."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield connect
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def main(home: Path) -> None:
    """Try sizes until the journey ends well."""
    with asyncio.Runner() as runner:
        made = Trials(home, "first day", runner)
        for size in range(STEP, LARGEST, STEP):
            if not made.limit(f"{size} bytes", partial(limited, size)):
                break
    tally = made.tally
    print(json.dumps({"tried": tally.tried, "failed": tally.failed, "bad": tally.examples}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
