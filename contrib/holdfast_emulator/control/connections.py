"""Faults of the connection: what comes over it, how slowly, how often, or not at all.

Invariant: an action ends the request; what is written past the HTTP server is written here, byte
by byte as it is meant, and the connection is closed after it.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeAlias

from aiohttp import web

from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.control.injection import Asked, Fault
from holdfast_emulator.control.kinds import FaultKind
from holdfast_emulator.wire.batch_run import Interrupted
from holdfast_emulator.wire.calls import Reply

_MIB: Final = 1 << 20
_BOMB: Final = 200 * _MIB


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request with its fault, and what can be done about it.

    ``carry_out`` answers it, the batch in it only as far as it is told.
    """

    request: web.Request
    asked: Asked
    fault: Fault
    dataverse: Dataverse
    carry_out: Callable[[int | None], Awaitable[Reply]]
    send: Callable[[Reply], Awaitable[web.StreamResponse]]
    wait: Callable[[float], Awaitable[None]]
    refuse_others: Callable[[float], None]
    late: list[Late]


@dataclass(frozen=True, slots=True)
class Late:
    """A request that is carried out when another one like it has been answered."""

    asked: Asked
    carry_out: Callable[[int | None], Awaitable[Reply]] = field(repr=False)

    def follows(self, asked: Asked) -> bool:
        """Tell whether a request is the one after which it arrives."""
        return (self.asked.method, self.asked.target) == (asked.method, asked.target)


Action: TypeAlias = Callable[[Exchange], Awaitable[web.StreamResponse]]


def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _lose_request(exchange: Exchange) -> web.StreamResponse:
    return hang_up(exchange.request)


async def _refuse_connection(exchange: Exchange) -> web.StreamResponse:
    exchange.refuse_others(exchange.fault.seconds or 1.0)
    return hang_up(exchange.request)


async def _lose_reply(exchange: Exchange) -> web.StreamResponse:
    with suppress(Interrupted):
        await exchange.carry_out(exchange.fault.operations)
    return hang_up(exchange.request)


def _lose_reply_and(meddle: Callable[[Dataverse, str, str], None]) -> Action:
    async def act(exchange: Exchange) -> web.StreamResponse:
        dataverse = exchange.dataverse
        before = dataverse.version
        await _lose_reply(exchange)
        for table, row_id, there in dataverse.keeper.changed_since(before):
            if there:
                with suppress(DataverseFault):
                    meddle(dataverse, table, row_id)
        return hang_up(exchange.request)

    return act


def _edit(dataverse: Dataverse, table: str, row_id: str) -> None:
    name = dataverse.metadata.tables[table].primary_name
    if name:
        dataverse.update(dataverse.system, table, row_id, {name: "edited by somebody else"})


def _delete(dataverse: Dataverse, table: str, row_id: str) -> None:
    dataverse.delete(dataverse.system, table, row_id)


async def _late_request(exchange: Exchange) -> web.StreamResponse:
    await exchange.request.read()  # it has arrived somewhere; the rest is a matter of time
    exchange.late.append(Late(exchange.asked, exchange.carry_out))
    return hang_up(exchange.request)


async def _duplicate(exchange: Exchange) -> web.StreamResponse:
    reply = await exchange.carry_out(None)
    await exchange.carry_out(None)
    return await exchange.send(reply)


async def _delay(exchange: Exchange) -> web.StreamResponse:
    await exchange.wait(exchange.fault.seconds)
    return await exchange.send(await exchange.carry_out(None))


async def _slow_body(exchange: Exchange) -> web.StreamResponse:
    reply = await exchange.carry_out(None)
    _write(exchange, _head(reply, {"Content-Length": str(len(reply.body))}))
    for at in range(len(reply.body)):
        _write(exchange, reply.body[at : at + 1])
        await exchange.wait(exchange.fault.seconds or 1.0)
        if exchange.request.transport is None or exchange.request.transport.is_closing():
            break  # the client has had enough
    return _close(exchange)


def _measured(length: Callable[[bytes], int], part: Callable[[bytes], bytes]) -> Action:
    """Return the action that declares one length and sends another."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        reply = await exchange.carry_out(None)
        _write(exchange, _head(reply, {"Content-Length": str(length(reply.body))}))
        _write(exchange, part(reply.body))
        return _close(exchange)

    return act


async def _bad_chunk(exchange: Exchange) -> web.StreamResponse:
    reply = await exchange.carry_out(None)
    half = reply.body[: len(reply.body) // 2] or b"{"
    _write(exchange, _head(reply, {"Transfer-Encoding": "chunked"}))
    _write(exchange, f"{len(half):x}\r\n".encode() + half + b"\r\nno length\r\n")
    return _close(exchange)


async def _gzip_bomb(exchange: Exchange) -> web.StreamResponse:
    await exchange.carry_out(None)
    body = bomb(exchange.fault.size or _BOMB)
    headers = {"Content-Encoding": "gzip", "Content-Length": str(len(body))}
    _write(exchange, _head(Reply(200), headers) + body)
    return _close(exchange)


def bomb(size: int) -> bytes:
    """Return gzip of a JSON object with about ``size`` blanks in it.

    A block that was flushed whole can be repeated, so nothing of that size is ever packed.
    """
    blank = b" " * _MIB
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(b'{"value":[') + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(blank) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.compress(b"]}") + packer.flush(zlib.Z_FINISH)
    blocks = max(1, size // _MIB)
    check = zlib.crc32(b'{"value":[')
    for _ in range(blocks):
        check = zlib.crc32(blank, check)
    check = zlib.crc32(b"]}", check)
    length = len(b'{"value":[]}') + blocks * _MIB
    trailer = check.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + start + block * blocks + end + trailer


def _head(reply: Reply, headers: Mapping[str, str]) -> bytes:
    named = {"Content-Type": reply.type, **reply.headers, **headers}
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in named.items()]
    return "\r\n".join((*lines, "", "")).encode()


def _write(exchange: Exchange, content: bytes) -> None:
    if exchange.request.transport is not None:
        exchange.request.transport.write(content)


def _close(exchange: Exchange) -> web.StreamResponse:
    """Close the connection when all was sent; what is returned goes nowhere."""
    if exchange.request.transport is not None:
        exchange.request.transport.close()
    return web.Response(status=500)


ACTIONS: Final[Mapping[FaultKind, Action]] = {
    FaultKind.REFUSE_CONNECTION: _refuse_connection,
    FaultKind.LOSE_REQUEST: _lose_request,
    FaultKind.LOSE_REPLY: _lose_reply,
    FaultKind.LOSE_REPLY_AND_EDIT: _lose_reply_and(_edit),
    FaultKind.LOSE_REPLY_AND_DELETE: _lose_reply_and(_delete),
    FaultKind.LATE_REQUEST: _late_request,
    FaultKind.DUPLICATE_REQUEST: _duplicate,
    FaultKind.DELAY: _delay,
    FaultKind.SLOW_BODY: _slow_body,
    FaultKind.CUT_BODY: _measured(lambda body: len(body) or 1, lambda body: body[: len(body) // 2]),
    FaultKind.SHORT_LENGTH: _measured(lambda body: len(body) // 2, lambda body: body),
    FaultKind.LONG_LENGTH: _measured(lambda body: len(body) + 100, lambda body: body),
    FaultKind.BAD_CHUNK: _bad_chunk,
    FaultKind.GZIP_BOMB: _gzip_bomb,
}
