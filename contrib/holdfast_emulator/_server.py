"""The emulator on a socket: sign-in, limits, faults, compression.

Invariant: a fault, a refused token and a limit act before the organisation is asked, or after it
has answered; never in between. Every request leaves its place in the trace, whatever becomes of it.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from aiohttp import web

from holdfast_emulator._compression import WORTH_COMPRESSING, accepts_gzip, gzipped
from holdfast_emulator._failures import telling_failures
from holdfast_emulator._listener import Listener
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault
from holdfast_emulator.behaviour.keeping import Versions
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.control.connections import ACTIONS, Exchange, Late
from holdfast_emulator.control.injection import Asked, Fault, FaultKind, FaultPlan
from holdfast_emulator.control.limits import Limits, ServiceProtection
from holdfast_emulator.control.pages import ControlPages
from holdfast_emulator.control.play import play
from holdfast_emulator.control.replacements import NOBODY, Struck
from holdfast_emulator.control.spoilers import without_mark
from holdfast_emulator.control.trace import Seen, Trace, shown
from holdfast_emulator.control.waiting import Waiting
from holdfast_emulator.wire.api import WebApi
from holdfast_emulator.wire.calls import Call, Reply, adding, bad_query, refusal
from holdfast_emulator.wire.urls import VERSIONS

_ENTITY_SET: Final = re.compile(r"[^(/?]*")
_MAX_URL: Final = 32_768
_MAX_BODY: Final = 120 * 1024 * 1024


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
        self.requests = Trace()
        self._api = WebApi(dataverse, self.requests.operations)
        self._limits = limits or Limits()
        self.protection = self._protecting()
        self._waiting = Waiting(lambda: self.dataverse.clock)
        self._late: list[Late] = []
        self._memory: dict[str, object] = {}
        self._listener = Listener(host, port, self._waiting.wait)
        self._dop_hint = str(dop_hint)
        self._renew = renew

    @property
    def url(self) -> str:
        """The address of the organisation, without a path."""
        return self._listener.url

    @property
    def dataverse(self) -> Dataverse:
        """The organisation that answers."""
        return self._api.dataverse

    @property
    def trace(self) -> list[Mapping[str, object]]:
        """What was asked since the last reset, the parts of batches one by one before the whole."""
        return [shown(one) for one in self.requests.entries]

    def reset(self, baseline: str | None = None, versions: Versions = Versions.FORWARD) -> bool:
        """Forget faults, limits and trace; tell whether the rows were renewed too.

        :param baseline: go back to this one, instead of to how the organisation was made
        """
        self.faults.clear()
        self._late.clear()
        self._memory.clear()
        self.requests.clear()
        self.protection = self._protecting()
        if baseline is not None:
            self.dataverse.keeper.give_back(baseline, versions)
            return True
        if self._renew is None:
            return False
        renewed = self._renew()
        renewed.purge_changes(after=self.dataverse.version)
        self._api = WebApi(renewed, self.requests.operations)
        self._waiting.wake()
        return True

    async def __aenter__(self) -> Self:
        pages = ControlPages(self)
        application = web.Application(client_max_size=_MAX_BODY, middlewares=[telling_failures])
        application.router.add_route("*", "/_emulator", pages.answer)
        application.router.add_route("*", "/_emulator/", pages.answer)
        application.router.add_route("*", "/_emulator/{what}", pages.answer)
        application.router.add_route("*", "/_emulator/{what}/{name:.+}", pages.answer)
        application.router.add_route("*", "/{path:.*}", self._serve)
        await self._listener.start(application, _MAX_URL)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._listener.stop()

    def _protecting(self) -> ServiceProtection:
        def seconds() -> float:
            return self.dataverse.clock().timestamp()

        return ServiceProtection(self._limits, seconds, time.perf_counter)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of a client, with the fault that is due."""
        user = self._user(request)
        number = str(uuid.uuid4())
        seen = Seen(request.method, _target(request), number, user.id if user else "")
        asked = self._asked(seen, user)

        async def carry_out(stop_after: int | None) -> Reply:
            reply = await self._guarded(request, user, seen, stop_after)
            # Each brings the next along: it is a request like the others.
            late = next((one for one in self._late if one.follows(asked)), None)
            if late is not None:
                self._late.remove(late)
                await late.carry_out(None)
            return reply

        async def send(reply: Reply) -> web.StreamResponse:
            return _dressed(request, reply, number)

        fault = self.faults.strike(asked)
        if fault is None:
            return await send(await carry_out(None))
        seen.fault = fault.kind.value
        exchange = Exchange(
            request,
            asked,
            fault,
            self.dataverse,
            carry_out,
            send,
            self._waiting.wait,
            self._listener.go_away,
            self._late,
        )
        response = await play(exchange, self._struck(request, fault, asked), _unauthorized(request))
        if not seen.noted:
            self.requests.note(seen, 0 if fault.kind in ACTIONS else response.status, 0.0, 0)
        return response

    async def _guarded(
        self, request: web.Request, user: User | None, seen: Seen, stop_after: int | None
    ) -> Reply:
        """Answer after sign-in and limits, and leave a trace of it."""
        started = time.perf_counter()
        reply: Reply | None = None
        try:
            reply = await self._answered(request, user, seen, stop_after)
            return reply
        finally:
            status, sent = (reply.status, len(reply.body)) if reply else (0, 0)
            self.requests.note(seen, status, time.perf_counter() - started, sent)

    async def _answered(
        self, request: web.Request, user: User | None, seen: Seen, stop_after: int | None
    ) -> Reply:
        if user is None:
            return _unauthorized(request)
        refused = self.protection.refuse(user.id)
        if refused is not None:
            return refused
        with self.protection.running(user.id) as hints:
            try:
                body = await request.read()
                call = _call(request, user, body, stop_after)
            except web.HTTPRequestEntityTooLarge:
                return refusal(DataverseFault(413, BAD_QUERY, "The request is too large."))
            except (web.RequestPayloadError, UnicodeError):
                return refusal(bad_query("The request cannot be decoded."))
            if call is None:
                return Reply(404, b"", type="text/html")
            seen.received = len(body)
            if seen.fault == FaultKind.ENDLESS_LINK.value:
                call = replace(call, query=without_mark(call.query))
            reply = self._api.answer(call)
            return adding(reply, {"x-ms-dop-hint": self._dop_hint, **hints})

    def _asked(self, seen: Seen, user: User | None) -> Asked:
        """Return the request as schedules look at it."""
        table = self._table(seen.target)
        return Asked(
            seen.method,
            seen.target,
            self.dataverse.clock(),
            (user.id, user.name) if user else (None, None),
            table.name if table else None,
        )

    def _table(self, target: str) -> TableDefinition | None:
        return self.dataverse.metadata.entity_set(_ENTITY_SET.match(target)[0])  # type: ignore[index]  # it always matches

    def _struck(self, request: web.Request, fault: Fault, asked: Asked) -> Struck:
        root, _, _ = request.raw_path.removesuffix(asked.target).rpartition("/")
        host = f"{request.scheme}://{request.host}"
        return Struck(
            fault,
            host + root,
            host + without_mark(request.raw_path),
            self.dataverse.clock(),
            self.dataverse.organization_id,
            asked.user[0] or NOBODY,
            self._table(asked.target),
            self._memory,
        )

    def _user(self, request: web.Request) -> User | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return self.dataverse.security.user_of(token.strip())


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


def _dressed(request: web.Request, reply: Reply, number: str) -> web.Response:
    """Return the reply as it goes out: with the id of the request, compressed where it pays."""
    headers = {**reply.headers, "x-ms-service-request-id": number, "REQ_ID": number}
    body = reply.body
    if body or reply.status not in (204, 304):
        headers["Content-Type"] = reply.type
    wanted = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    if wanted and len(body) > WORTH_COMPRESSING:
        headers["Content-Encoding"] = "gzip"
        body = gzipped(body)
    return web.Response(status=reply.status, body=body, headers=headers)
