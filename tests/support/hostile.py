"""A server that answers with any bytes at any pace, alone or between a client and a good server.

Invariant: a script says what is sent and when; the server adds nothing, and keeps what it was
asked. Where a script has no end the client's limits have to end it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    raw: bytes

    @property
    def origin(self) -> str:
        """The address that the client used."""
        return f"http://{self.headers['host']}"


#: Yields what is sent, piece by piece; the connection is closed after it.
Script: TypeAlias = Callable[[Asked], AsyncIterator[bytes]]


def sending(*pieces: bytes) -> Script:
    """Return the script that sends these."""

    async def script(_: Asked) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return script


def dripping(head: bytes, piece: bytes) -> Script:
    """Return the script that sends a head, and then the same little piece for ever."""

    async def script(_: Asked) -> AsyncIterator[bytes]:
        yield head
        while True:
            yield piece
            await asyncio.sleep(0)

    return script


async def silence(_: Asked) -> AsyncIterator[bytes]:
    """Send nothing, and never hang up."""
    await asyncio.Event().wait()
    yield b""


def response(body: bytes, status: str = "200 OK", *headers: str, kind: str = "json") -> bytes:
    """Return a response that is right as HTTP."""
    media = {"json": "application/json", "html": "text/html"}.get(kind, kind)
    head = (f"HTTP/1.1 {status}", f"Content-Type: {media}", f"Content-Length: {len(body)}")
    return "\r\n".join((*head, *headers, "", "")).encode("latin-1") + body


@dataclass
class Hostile:
    """A listening server; ``script`` may be changed while it runs.

    With ``upstream``, requests go there as they are, but for those that ``struck`` says: these get
    the script's answer, ``after`` the good server has carried them out, or instead of that.
    """

    script: Script
    upstream: str = ""
    struck: Callable[[Asked], bool] = lambda _: True
    after: bool = False
    asked: list[Asked] = field(default_factory=list)
    hits: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        with contextlib.suppress(OSError, EOFError, ValueError), contextlib.closing(writer):
            asked = await _read(reader)
            self.asked.append(asked)
            if self.upstream and not self.struck(asked):
                writer.write(await self._forwarded(asked))
                await writer.drain()
            else:
                self.hits += 1
                if self.after:
                    await self._forwarded(asked)
                async for piece in self.script(asked):
                    writer.write(piece)
                    await writer.drain()

    async def _forwarded(self, asked: Asked) -> bytes:
        parts = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head, _, body = asked.raw.partition(b"\r\n\r\n")
        writer.write(head + b"\r\nConnection: close\r\n\r\n" + body)
        answer = await reader.read()
        writer.close()
        return answer


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").splitlines()
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, head + body)


@asynccontextmanager
async def hostile(
    script: Script,
    *,
    upstream: str = "",
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[Hostile]:
    """Run a server whose every answer a script gives."""
    made = Hostile(script, upstream)
    busy: set[asyncio.Task[None]] = set()

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(made.serve(reader, writer))
        busy.add(task)
        task.add_done_callback(busy.discard)

    server = await asyncio.start_server(meet, host, 0, ssl=tls, limit=1 << 20)
    scheme = "https" if tls else "http"
    made.url = f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        for task in list(busy):
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        await server.wait_closed()
