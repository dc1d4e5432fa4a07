"""The parent's side: children to order, what they tell, and the kill."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

Told: TypeAlias = Mapping[str, Any]  # Any: JSON
#: How a process ends that was killed.
KILLED: Final = -signal.SIGKILL
#: A page of many rows is one line.
_LONGEST_LINE: Final = 1 << 24
_PLUGINS: Final = "witness", "mortal"


@dataclass
class Life:
    """One child, from its order to its death; ``told`` is all that it said, in order."""

    told: list[Told] = field(default_factory=list)
    code: int | None = None
    on_told: Callable[[Told], None] = lambda told: None
    _pid: int | None = None
    _doomed: bool = False
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, told: Told) -> None:
        """Take note of a line."""
        match told:
            case {"what": "born", "pid": pid}:
                self._pid = pid
                if self._doomed:
                    self.kill()
            case {"what": "dead", "code": code}:
                self.code = code
                self._over.set()
            case _:
                self.told.append(told)
                self.on_told(told)

    def kill(self) -> None:
        """Kill it now, or as soon as it is known; one that is dead stays dead."""
        self._doomed = True
        if self._pid is not None and self.code is None:
            os.kill(self._pid, signal.SIGKILL)  # not reaped yet: the pid is its own

    async def end(self) -> int:
        """Wait for the death, and tell how it came."""
        async with asyncio.timeout(30):
            await self._over.wait()
        assert self.code is not None
        return self.code

    def of(self, what: str) -> list[Told]:
        """Return what was told of one kind."""
        return [told for told in self.told if told["what"] == what]


class Nursery:
    """One process that forks children, one at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._life: Life | None = None

    def live(self, act: str, on_told: Callable[[Told], None] | None = None, **order: Any) -> Life:
        """Let a child do something; the one before must be dead."""
        assert self._life is None or self._life.code is not None
        assert self._process.stdin is not None
        self._life = Life(on_told=on_told or (lambda told: None))
        self._process.stdin.write(json.dumps({"act": act, **order}).encode() + b"\n")
        return self._life

    async def listen(self) -> None:
        """Hear what the children tell, until the process ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            assert self._life is not None
            self._life.hear(json.loads(line))


@asynccontextmanager
async def open_nursery(site: Path) -> AsyncIterator[Nursery]:
    """Start the process that forks children.

    :param site: a folder in which the plugins that watch them are installed
    """
    _install(site)
    paths = [str(site), str(Path(__file__).parents[2]), *filter(None, sys.path)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.kills.lives",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        limit=_LONGEST_LINE,
    )
    nursery = Nursery(process)
    listening = asyncio.create_task(nursery.listen())
    try:
        yield nursery
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await listening
        await process.wait()


def _install(site: Path) -> None:
    info = site / "watching_kills-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: watching-kills\nVersion: 1.0\n")
    entries = (f"{name} = support.kills.{name}:{name}\n" for name in _PLUGINS)
    (info / "entry_points.txt").write_text("[holdfast.plugins]\n" + "".join(entries))
