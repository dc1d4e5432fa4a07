"""The emulator on a socket: sign-in, limits, faults, compression.

Invariant: a fault, a refused token and a limit act before the organisation is asked, or after it
has answered; never in between.
"""

from __future__ import annotations

import asyncio
import time
import uuid
import zlib
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from aiohttp import web

from holdfast.contracts import FilterLanguage
from holdfast.discovery import FILTERS, Catalogue
from holdfast.errors import UsageError
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault, deadlock, expired_version
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.control.injection import Fault, FaultKind, FaultPlan
from holdfast_emulator.control.limits import TOO_MANY_REQUESTS, Limits, ServiceProtection, throttled
from holdfast_emulator.control.pages import ControlPages
from holdfast_emulator.wire.api import WebApi
from holdfast_emulator.wire.batch_run import Interrupted
from holdfast_emulator.wire.calls import Call, Reply, adding, bad_query, refusal
from holdfast_emulator.wire.urls import VERSIONS

_MAX_URL: Final = 32_768
_MAX_BODY: Final = 120 * 1024 * 1024
_WORTH_COMPRESSING: Final = 1024
_PORTAL: Final = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head>"
    b"<body><h1>Welcome to the hotel network</h1></body></html>"
)
_BEFORE: Final = frozenset(
    {
        FaultKind.LOSE_REQUEST,
        FaultKind.THROTTLE,
        FaultKind.UNAVAILABLE,
        FaultKind.DEADLOCK,
        FaultKind.CAPTIVE_PORTAL,
        FaultKind.EXPIRE_TOKEN,
        FaultKind.EXPIRE_DELTA,
    }
)


class EmulatorServer:
    """A Dataverse Web API on a port of this machine, while it is open as a context manager.

    :param port: 0 for any free one; :attr:`url` tells which
    :param dop_hint: how many requests at once clients are told to send
    :param renew: makes the organisation that a reset puts in the place of this one
    """

    def __init__(
        self,
        dataverse: Dataverse,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
        dop_hint: int = 4,
        renew: Callable[[], Dataverse] | None = None,
    ) -> None:
        self.faults = FaultPlan()
        self._language = _odata()
        self._api = WebApi(dataverse, self._language)
        self._limits = limits or Limits()
        self._protection = ServiceProtection(self._limits, time.monotonic)
        self._host = host
        self._port = port
        self._dop_hint = str(dop_hint)
        self._renew = renew
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """The address of the organisation, without a path."""
        return f"http://{self._host}:{self._port}"

    @property
    def dataverse(self) -> Dataverse:
        """The organisation that answers."""
        return self._api.dataverse

    @property
    def trace(self) -> list[Mapping[str, object]]:
        """What was asked since the last reset, the parts of batches one by one before the whole."""
        return [asdict(one) for one in self._api.trace]

    def reset(self) -> bool:
        """Forget faults, limits and trace; tell whether the rows were renewed too."""
        self.faults.clear()
        self._protection = ServiceProtection(self._limits, time.monotonic)
        if self._renew is None:
            self._api.trace.clear()
            return False
        renewed = self._renew()
        renewed.purge_changes(after=self.dataverse.version)
        self._api = WebApi(renewed, self._language)
        return True

    async def __aenter__(self) -> Self:
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            shutdown_timeout=1.0,
            max_line_size=_MAX_URL,
        )
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, self._host, self._port)
        try:
            await site.start()
        except (OSError, OverflowError) as error:
            await self._stack.aclose()
            raise UsageError(
                f"port {self._port} of {self._host} cannot be listened on: {error}; "
                "take another, or 0 for any that is free"
            ) from error
        self._port = runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_MAX_BODY)
        pages = ControlPages(self.faults, lambda: self.trace, self.reset)
        application.router.add_route("*", "/_emulator/{what}", pages.answer)
        application.router.add_route("*", "/{path:.*}", self._serve)
        return application

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of a client, with the fault that is due."""
        fault = self.faults.strike(request.method, _target(request))
        if fault is None:
            return await _send(request, await self._guarded(request))
        if fault.kind is FaultKind.DELAY:
            await asyncio.sleep(fault.seconds)
            return await _send(request, await self._guarded(request))
        if fault.kind in _BEFORE:
            return await self._stricken(request, fault)
        return await self._spoilt(request, fault)

    async def _stricken(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        """Let a fault take the place of the answer; nothing is carried out."""
        wait = {"Retry-After": str(fault.retry_after)}
        match fault.kind:
            case FaultKind.LOSE_REQUEST:
                return _hang_up(request)
            case FaultKind.THROTTLE:
                words = (
                    "Number of requests exceeded the limit of 6000 over time window of 300 seconds."
                )
                reply = throttled(fault.retry_after, TOO_MANY_REQUESTS, words)
            case FaultKind.UNAVAILABLE:
                reply = Reply(503, b"<h2>Our services aren't available</h2>", wait, "text/html")
            case FaultKind.DEADLOCK:
                reply = refusal(deadlock())
            case FaultKind.CAPTIVE_PORTAL:
                reply = Reply(200, _PORTAL, type="text/html")
            case FaultKind.EXPIRE_TOKEN:
                reply = _unauthorized(request)
            case _:
                reply = refusal(expired_version())
        return await _send(request, reply)

    async def _spoilt(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        """Carry the request out and lose the answer, or the second half of it."""
        try:
            reply = await self._guarded(request, fault.operations)
        except Interrupted:
            return _hang_up(request)
        if fault.kind is FaultKind.LOSE_REPLY:
            return _hang_up(request)
        return await _send(request, reply, cut=True)

    async def _guarded(self, request: web.Request, stop_after: int | None = None) -> Reply:
        """Answer after sign-in and limits."""
        user = self._user(request)
        if user is None:
            return _unauthorized(request)
        refused = self._protection.refuse(user.id)
        if refused is not None:
            return refused
        with self._protection.running(user.id) as left:
            try:
                call = _call(request, user, await request.read(), stop_after)
            except web.HTTPRequestEntityTooLarge:
                return refusal(DataverseFault(413, BAD_QUERY, "The request is too large."))
            except (web.RequestPayloadError, UnicodeError):
                return refusal(bad_query("The request cannot be decoded."))
            if call is None:
                return Reply(404, b"", type="text/html")
            reply = self._api.answer(call)
            return adding(reply, self._hints(left))

    def _user(self, request: web.Request) -> User | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self.dataverse.security.user_of(token.strip())

    def _hints(self, left: int) -> Mapping[str, str]:
        return {
            "x-ms-dop-hint": self._dop_hint,
            "x-ms-ratelimit-burst-remaining-xrm-requests": str(left),
        }


def _odata() -> FilterLanguage:
    driver = Catalogue().load_driver(FILTERS, "odata", FilterLanguage)
    language: FilterLanguage = driver(driver.Settings())
    return language


def _target(request: web.Request) -> str:
    """Return the path and query below the service root, as sent."""
    _, found, rest = request.raw_path.partition("/api/data/")
    return rest.partition("/")[2] if found else request.raw_path


def _call(request: web.Request, user: User, body: bytes, stop_after: int | None) -> Call | None:
    """Return the call that a request is; None outside the Web API.

    :raises UnicodeError: it is not UTF-8
    """
    path, _, query = request.raw_path.partition("?")
    parts = path.split("/", 4)
    if parts[:3] != ["", "api", "data"] or len(parts) < 4 or parts[3] not in VERSIONS:
        return None
    headers = {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
    "".join((request.raw_path, *headers.values())).encode()  # what is no UTF-8 fails here
    return Call(
        request.method,
        unquote(parts[4]) if len(parts) > 4 else "",
        query,
        f"{request.scheme}://{request.host}/api/data/{parts[3]}",
        user,
        headers,
        body,
        stop_after=stop_after,
    )


def _unauthorized(request: web.Request) -> Reply:
    challenge = (
        "Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize, "
        f"resource_id={request.scheme}://{request.host}/"
    )
    return Reply(401, b"", {"WWW-Authenticate": challenge}, "text/html")


def _hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _send(request: web.Request, reply: Reply, *, cut: bool = False) -> web.StreamResponse:
    """Write the reply; ``cut`` closes the connection in the middle of its body."""
    number = str(uuid.uuid4())
    headers = {**reply.headers, "x-ms-service-request-id": number, "REQ_ID": number}
    body = reply.body
    if body or reply.status not in (204, 304):
        headers["Content-Type"] = reply.type
    if len(body) > _WORTH_COMPRESSING and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = zlib.compress(body, level=1, wbits=31)
    if not cut:
        return web.Response(status=reply.status, body=body, headers=headers)
    return await _send_half(request, web.StreamResponse(status=reply.status, headers=headers), body)


async def _send_half(
    request: web.Request, response: web.StreamResponse, body: bytes
) -> web.StreamResponse:
    response.content_length = len(body) or 1
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
