"""The socket that the emulator listens on, which may go away for a while.

Invariant: the port is chosen once; whoever listens again listens there. Nothing that was started
here outlives :meth:`Listener.stop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from holdfast.errors import UsageError


class Listener:
    """Listens on a port of this machine.

    :param wait: waits so many seconds, by whatever clock
    """

    def __init__(self, host: str, port: int, wait: Callable[[float], Awaitable[None]]) -> None:
        self._host = host
        self._port = port
        self._wait = wait
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._away: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The address."""
        return f"http://{self._host}:{self._port}"

    async def start(self, application: web.Application, longest_line: int) -> None:
        """Listen, and give requests to an application.

        :raises UsageError: the port cannot be listened on
        """
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=1.0, max_line_size=longest_line
        )
        await self._runner.setup()
        try:
            await self._listen(self._runner)
        except (OSError, OverflowError) as error:
            await self._runner.cleanup()
            raise UsageError(
                f"port {self._port} of {self._host} cannot be listened on: {error}; "
                "take another, or 0 for any that is free"
            ) from error
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close everything."""
        for task in self._away:
            task.cancel()
        if self._away:
            await asyncio.wait(self._away)
        if self._runner is not None:
            await self._runner.cleanup()

    def go_away(self, seconds: float) -> None:
        """Refuse connections for so long, and break those there are."""
        task = asyncio.get_running_loop().create_task(self._stay_away(seconds))
        self._away.add(task)
        task.add_done_callback(self._away.discard)

    async def _stay_away(self, seconds: float) -> None:
        assert self._runner is not None, "requests come from those who listen"
        if self._site is None:  # away already
            return
        site, self._site = self._site, None
        await site.stop()
        server = self._runner.server
        for connection in server.connections if server else ():
            if connection.transport is not None:
                connection.transport.abort()
        await self._wait(seconds)
        back = asyncio.ensure_future(self._listen(self._runner))
        try:
            await asyncio.shield(back)
        except asyncio.CancelledError:
            await back  # half open, it would be nobody's to close
            raise

    async def _listen(self, runner: web.AppRunner) -> None:
        self._site = web.TCPSite(runner, self._host, self._port)
        await self._site.start()
