"""A gate between a replica and its server, which knows how far each request has come.

It carries requests over unchanged, and asks at three moments whether to go on. Whoever kills the
client at one of them and says no knows what the server did, and what the client did not hear.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Final, Self, TypeAlias

import aiohttp
from aiohttp import web
from yarl import URL

#: What only a batch that writes has in its body.
_WRITES: Final = re.compile(rb"\r\n\r\n(?:POST|PATCH|DELETE) /")
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})


class Moment(Enum):
    """How far a request has come."""

    ARRIVED = "all of it has left the client; the server knows nothing of it"
    ANSWERED = "the server has done it and answered; the client knows nothing of it"
    HALFWAY = "half of the reply is on its way to the client"


@dataclass(frozen=True, slots=True)
class Passing:
    """A request in the gate."""

    path: str
    body: bytes

    @property
    def writes(self) -> bool:
        """Whether it is a batch with changes."""
        return _WRITES.search(self.body) is not None


Watch: TypeAlias = Callable[[Moment, Passing], Awaitable[bool]]


async def let_pass(moment: Moment, passing: Passing) -> bool:
    """Let everything pass."""
    del moment, passing
    return True


class Gate:
    """Open as a context manager; ``watch`` is asked at each moment, False ends the exchange."""

    def __init__(self, upstream: str) -> None:
        self.watch: Watch = let_pass
        self._upstream = upstream
        self._inside = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(auto_decompress=False)
        application = web.Application(client_max_size=1 << 26)
        application.router.add_route("*", "/{path:.*}", self._carry)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()
        await self._http.close()

    async def quiet(self) -> None:
        """Wait until nothing is on its way any more: a server goes on when its client has died."""
        async with asyncio.timeout(30):
            await self._quiet.wait()

    async def _carry(self, request: web.Request) -> web.StreamResponse:
        self._inside += 1
        self._quiet.clear()
        try:
            return await self._carried(request)
        except ConnectionError:  # the client is dead
            return _broken(request)
        finally:
            self._inside -= 1
            if not self._inside:
                self._quiet.set()

    async def _carried(self, request: web.Request) -> web.StreamResponse:
        passing = Passing(request.raw_path, await request.read())
        if not await self.watch(Moment.ARRIVED, passing):
            return _broken(request)
        async with self._http.request(
            request.method,
            URL(self._upstream + request.raw_path, encoded=True),
            headers=request.headers,
            data=passing.body,
            allow_redirects=False,
        ) as reply:
            content = await reply.read()
        if not await self.watch(Moment.ANSWERED, passing):
            return _broken(request)
        headers = {k: v for k, v in reply.headers.items() if k.lower() not in _HOP_BY_HOP}
        response = web.StreamResponse(status=reply.status, headers=headers)
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        if not await self.watch(Moment.HALFWAY, passing):
            return _broken(request)
        await response.write(content[len(content) // 2 :])
        return response


def _broken(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)
