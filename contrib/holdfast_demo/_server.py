"""The emulated server of the demo, in a process of its own, and the other people who work on it."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

_URL: Final = re.compile(r"http://127\.0\.0\.1:\d+")
_START_SECONDS: Final = 60
_OTHERS_TOKEN: Final = "office-token"  # noqa: S105  the emulator's second user


class DemoFailed(Exception):
    """Raised when the demo's own surroundings do not work."""


@asynccontextmanager
async def emulator(rows: int) -> AsyncIterator[str]:
    """Run ``holdfast emulator`` and yield its URL; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast_cli", "emulator", "--port", "0", "--rows", str(rows)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield await _url(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(_START_SECONDS):
            async for line in process.stdout:
                if found := _URL.search(line.decode()):
                    return found[0]
            said = (await process.stderr.read()).decode().strip()
    except TimeoutError:
        said = f"it said nothing for {_START_SECONDS} s"
    raise DemoFailed(f"the emulator did not start: {said}")


class Colleague:
    """Somebody at the office, who edits the same rows while the replica is offline."""

    def __init__(self, url: str) -> None:
        self._root = f"{url}/api/data/v9.2"
        self._headers = {"Authorization": f"Bearer {_OTHERS_TOKEN}", "If-Match": "*"}

    async def update(self, entity_set: str, row_id: str, values: Mapping[str, object]) -> None:
        """Change columns of a row."""
        await self._send("PATCH", f"{entity_set}({row_id})", values)

    async def delete(self, entity_set: str, row_id: str) -> None:
        """Delete a row."""
        await self._send("DELETE", f"{entity_set}({row_id})", None)

    async def _send(self, method: str, path: str, body: Mapping[str, object] | None) -> None:
        async with (
            aiohttp.ClientSession(headers=self._headers) as session,
            session.request(method, f"{self._root}/{path}", json=body) as answer,
        ):
            if answer.status != 204:
                raise DemoFailed(f"{method} {path}: {answer.status} {await answer.text()}")
