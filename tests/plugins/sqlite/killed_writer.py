"""Writes in a loop, is killed, and starts over; run as ``killed_writer.py FILE LIVES``.

Each life is a forked process that writes the next number to a pipe only when its write has
returned. The parent kills it at some moment after a few of them, and prints every number that was
acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from holdfast.contracts import Context, Environment, Layout, Put
from holdfast.schema import Field, Kind
from holdfast_sqlite import SqliteSettings, SqliteStorage

LAYOUT = Layout("log", (Field("number", Kind.INTEGER), Field("note", Kind.TEXT)))
PAIR = Layout("pair", LAYOUT.fields)
NO_SEAMS = Environment(None, None, None, None)  # type: ignore[arg-type]  # the storage uses none


async def write(path: Path, pipe: int, start: int) -> None:
    settings = SqliteSettings(path=path)
    async with SqliteStorage.open(settings, Context(NO_SEAMS, path.parent)) as storage:
        await storage.migrate([LAYOUT, PAIR], version=1)
        number = start
        while True:
            record = (number, "x" * (number * 37 % 4000))
            await storage.write([Put("log", [record]), Put("pair", [record])])
            os.write(pipe, b"%d\n" % number)
            number += 1


def live(path: Path, start: int, acknowledgements: int) -> list[int]:
    """Let one process live until it has acknowledged so much, and a little longer."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        asyncio.run(write(path, into, start))
    os.close(into)
    with os.fdopen(out) as lines:
        acknowledged = [int(lines.readline()) for _ in range(acknowledgements)]
        os.kill(child, signal.SIGKILL)
        acknowledged += [int(line) for line in lines]
    os.waitpid(child, 0)
    return acknowledged


def main() -> None:
    start = 0
    for number in range(int(sys.argv[2])):
        acknowledged = live(Path(sys.argv[1]), start, 1 + number * 7 % 23)
        print(*acknowledged, sep="\n", flush=True)
        start = acknowledged[-1] + 2  # the next one may be there or not


if __name__ == "__main__":
    main()
