"""The emulator as a program."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

import holdfast_emulator
from holdfast.errors import StorageError
from holdfast_emulator._organisation import organisation

MAIN = "import sys; from holdfast_cli import main; sys.exit(main(['emulator', *sys.argv[1:]]))"


@asynccontextmanager
async def running(*options: str) -> AsyncIterator[tuple[Process, str]]:
    """Start ``holdfast emulator`` and yield it with its address; nothing of it stays."""
    command = (sys.executable, "-c", MAIN, "--port", "0", *options)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    assert process.stdout
    assert process.stderr
    try:
        line = (await process.stdout.readline()).decode()
        assert "http://127.0.0.1:" in line, (await process.stderr.read()).decode()
        assert "demo-token" in (await process.stdout.readline()).decode()
        yield process, line.split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def count(url: str) -> int:
    headers = {"Authorization": "Bearer demo-token"}
    target = f"{url}/api/data/v9.2/accounts/$count"
    async with aiohttp.ClientSession() as http, http.get(target, headers=headers) as reply:
        return int(await reply.text(encoding="utf-8-sig"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_sample_rows_until_it_is_told_to_stop(number: signal.Signals) -> None:
    async with running("--rows", "100") as (process, url):
        assert await count(url) == 30
        process.send_signal(number)
        assert await process.wait() == 0


async def test_a_file_keeps_the_organisation(tmp_path: Path) -> None:
    file = str(tmp_path / "organisation.db")
    for _ in range(2):
        async with running("--rows", "10", "--file", file) as (process, url):
            before = await count(url)
            headers = {"Authorization": "Bearer demo-token"}
            target = f"{url}/api/data/v9.2/accounts"
            async with (
                aiohttp.ClientSession(headers=headers) as http,
                http.post(target, json={"name": "A"}) as reply,
            ):
                assert reply.status == 204
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
    assert before == 4


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "organisation.db"
    file.write_text("no database")
    with pytest.raises(
        StorageError, match=r"cannot use .*organisation\.db: file is not a database"
    ):
        organisation(1, 1, file)
    file.unlink()
    first = organisation(1, 1, file)
    with pytest.raises(StorageError, match="database is locked"):
        organisation(1, 1, file)
    first.close()


def test_the_package_says_what_is_public() -> None:
    for name in holdfast_emulator.__all__:
        assert getattr(holdfast_emulator, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        holdfast_emulator.nonsense  # noqa: B018


def test_nobody_who_only_reads_rows_waits_for_what_they_do_not_ask() -> None:
    heavy = (
        *("pydantic", "rich.table", "holdfast.replica", "holdfast.profile"),
        *("holdfast_emulator.wire.definition_writes", "holdfast_emulator.queries.sql"),
        *("holdfast_emulator.queries.aggregate", "holdfast_emulator.control.snapshot"),
    )
    code = (
        "import sys; from holdfast_cli._app import run; run(['emulator', '--rows', 'many']); "
        "import holdfast_emulator._organisation, holdfast_emulator.wire.api; "
        f"print(sorted(set({heavy!r}) & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    assert found.stdout.strip() == "[]"
