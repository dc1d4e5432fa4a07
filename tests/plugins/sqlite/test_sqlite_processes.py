from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import pytest

from holdfast.contracts import OpenMode, Query, Storage
from holdfast.errors import StorageLocked

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]
HERE = Path(__file__).parent
HOLD = """
import asyncio, sys
from pathlib import Path
from holdfast.contracts import Context
from holdfast_sqlite import SqliteSettings, SqliteStorage

async def hold():
    path = Path(sys.argv[1])
    async with SqliteStorage.open(SqliteSettings(path=path), Context(None, path.parent)):
        print("open", flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")


def run_script(name: str, *arguments: object) -> list[str]:
    command = [sys.executable, str(HERE / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


async def test_another_process_is_named_and_its_lock_dies_with_it(
    open_sqlite: Open, path: Path
) -> None:
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert other.stdout is not None
    assert await other.stdout.readline() == b"open\n"
    with pytest.raises(StorageLocked, match=f"in use by process {other.pid}") as caught:
        async with open_sqlite():
            pass
    assert caught.value.pid == other.pid
    async with open_sqlite(OpenMode.READER) as reader:
        assert await reader.version() == 0
    os.kill(other.pid, signal.SIGKILL)
    await other.wait()
    async with open_sqlite() as storage:
        assert await storage.version() == 0


async def test_no_acknowledged_write_is_lost_in_50_kills(open_sqlite: Open, path: Path) -> None:
    path.parent.mkdir()
    acknowledged = {int(line) for line in run_script("killed_writer.py", path, 50)}
    async with open_sqlite() as storage:
        found = {record[0]: record[1] async for record in storage.query(Query("log"))}
        pairs = {record[0]: record[1] async for record in storage.query(Query("pair"))}
    assert len(acknowledged) > 500
    assert acknowledged - found.keys() == set()
    assert found == pairs


def test_a_migration_killed_at_any_statement_is_done_or_not(path: Path) -> None:
    path.parent.mkdir()
    found = run_script("killed_migration.py", path)
    old = found.count("old")
    assert old > 10
    assert found == ["old"] * old + ["new"] * (len(found) - old)
    assert found[-1] == "new"
