"""One request and its answer: token, origin check, pauses, retries.

Invariants: the token goes to the configured origin only, and once the caller is known, only a token
of that caller. A request is sent twice only when it cannot be felt twice: it is ``repeatable``, or
the server said that it did not take it up.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from holdfast.contracts import Context, Environment
from holdfast.errors import (
    AccessDenied,
    ProtocolError,
    SignInNeeded,
    Throttled,
    Unreachable,
)
from holdfast_dataverse._answers import Answer, Identity, asks_to_wait, identity_of
from holdfast_dataverse._credentials import Credential, open_credential
from holdfast_dataverse._links import Origin
from holdfast_dataverse._quiet import quiet_others
from holdfast_dataverse._settings import Settings
from holdfast_dataverse._throttle import Throttle, moment_of, seconds_to_wait
from holdfast_dataverse._token import authorization
from holdfast_dataverse._unpacking import read_body

_log = logging.getLogger(__name__)
_RETRIES: Final = 3
_PAUSES: Final = 10
_FIRST_BACK_OFF: Final = 0.5
_LONGEST_BACK_OFF: Final = 30.0
_PASSING: Final = frozenset({408, 425, 500, 502, 503, 504})
_HEADERS: Final[Mapping[str, str]] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "OData-MaxVersion": "4.0",
    "OData-Version": "4.0",
    "User-Agent": "holdfast",
}


class NotSent(Unreachable):
    """Raised when no connection came about: the server has not seen the request."""


class CaptivePortal(Unreachable):
    """Raised when somebody else answered: a sign-in page of the network, a proxy."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to send; ``link`` is checked when it is sent, not before.

    ``anybody`` lets it go with a token of whom it may be: it asks who that is.
    """

    link: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True
    extra_time: float = 0.0
    anybody: bool = False


@dataclass(slots=True)
class _Tries:
    """What has been tried for one request."""

    deadline: float
    failures: int = 0
    pauses: int = 0
    refreshed: bool = False


class Session:
    """The way to one server, as one user."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        settings: Settings,
        credential: Credential,
        environment: Environment,
    ) -> None:
        self.origin = Origin(settings.url)
        self.ids = environment.ids
        self.hint: int | None = None
        self._http = http
        self._settings = settings
        self._credential = credential
        self._environment = environment
        self._throttle = Throttle()
        self._proxy = _proxy(settings.url)
        self._owner: Identity | None = None
        self._vetted = ""  # the token that is known to be the owner's
        self._last_token = ""
        self._vetting = asyncio.Lock()

    async def who_am_i(self) -> Answer:
        """Ask whom the token signs in, whoever that is."""
        return await self.send(Request(self.link("WhoAmI"), anybody=True))

    def act_for(self, owner: Identity) -> None:
        """Send nothing as anybody else from now on; ``who_am_i`` has just found out who this is."""
        self._owner, self._vetted = owner, self._last_token

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Read a resource; ``path`` is below the API and already encoded."""
        return await self.send(Request(self.link(path), headers=headers or {}))

    def link(self, path: str) -> str:
        """Return the link of a resource; ``path`` is below the API and already encoded."""
        return str(self.origin.resource(path))

    async def send(self, request: Request) -> Answer:
        """Send a request and return the answer, whatever its status.

        :raises UntrustedLink: the link leads elsewhere; nothing was sent
        :raises NotSent: no connection came about
        :raises Unreachable: no usable answer came; a request that is not repeatable may have been
            carried out
        :raises Throttled: the server kept asking to wait
        :raises SignInNeeded: the token was refused, and so was a fresh one
        :raises ProtocolError: the answer exceeds the limits
        """
        started = asyncio.get_running_loop().time()
        tries = _Tries(started + self._settings.max_wait)
        while True:
            await self._throttle.wait(tries.deadline)
            answer = await self._attempt(request, tries)
            if answer is not None:
                self._note_hint(answer)
                return answer

    async def _attempt(self, request: Request, tries: _Tries) -> Answer | None:
        """Send once; None means that it is worth sending again now."""
        token = await self._token(request)
        try:
            answer = await self._exchange(request, token)
        except NotSent:
            raise
        except Unreachable:
            if not await self._may_repeat(request, tries):
                raise
            return None
        self._last_token = token
        if answer.status == 401:
            self._sign_in_again(token, tries)
            return None
        if asks_to_wait(answer):
            self._pause(answer, tries)
            return None
        if answer.status in _PASSING and await self._may_repeat(request, tries):
            return None
        return answer

    async def _token(self, request: Request) -> str:
        """Return a token that this request may go with.

        :raises NotSent: there is none for now
        """
        try:
            token = await self._credential.token()
            while self._owner is not None and token != self._vetted and not request.anybody:
                await self._vet(self._owner)
                token = await self._credential.token()
        except NotSent:
            raise
        except Unreachable as error:
            raise NotSent(str(error)) from error
        return token

    async def _vet(self, owner: Identity) -> None:
        """Make sure that a new token is the owner's: somebody else may have signed in meanwhile."""
        async with self._vetting:
            if await self._credential.token() == self._vetted:
                return
            try:
                found = identity_of(await self.who_am_i())
            except (AccessDenied, ProtocolError) as error:
                raise SignInNeeded(
                    f"the server does not say whose the new token is ({error}); sign in again"
                ) from error
            if found != owner:
                raise SignInNeeded(
                    "the new token belongs to another user; nothing was sent as that user, "
                    "sign in as the owner of the replica"
                )
            self._vetted = self._last_token

    def _sign_in_again(self, token: str, tries: _Tries) -> None:
        self._credential.forget(token)
        if tries.refreshed:
            raise SignInNeeded("the server refused the token; sign in again")
        tries.refreshed = True

    async def _may_repeat(self, request: Request, tries: _Tries) -> bool:
        """Wait a little, if the request may be sent again."""
        if not request.repeatable or tries.failures >= _RETRIES:
            return False
        await asyncio.sleep(self._back_off(tries.failures))
        tries.failures += 1
        return True

    def heed(self, answer: Answer) -> None:
        """Hold up all requests if an answer, perhaps to a part of a batch, asks to wait."""
        if asks_to_wait(answer):
            self._throttle.pause(self._asked(answer))

    def _asked(self, answer: Answer) -> float:
        """Return for how many seconds an answer asks to wait."""
        # A date is read by the server's clock: that of a device may be years off.
        now = moment_of(answer.headers.get("date", "")) or self._environment.clock.now()
        return seconds_to_wait(answer.headers.get("retry-after"), now) or 0.0

    def _pause(self, answer: Answer, tries: _Tries) -> None:
        seconds = max(self._asked(answer), self._back_off(tries.pauses))
        self._throttle.pause(seconds)
        tries.pauses += 1
        _log.info(
            "the server asks to wait %.0f s",
            seconds,
            extra={"event": "holdfast.dataverse.throttled"},
        )
        if tries.pauses > _PAUSES:
            raise Throttled(max(seconds, 1.0))

    def _back_off(self, failures: int) -> float:
        longest: float = min(_FIRST_BACK_OFF * 2**failures, _LONGEST_BACK_OFF)
        return longest * self._environment.random.fraction()

    def _note_hint(self, answer: Answer) -> None:
        hint = answer.headers.get("x-ms-dop-hint", "")
        if hint.isdecimal():
            self.hint = max(1, int(hint[:4]))

    async def _exchange(self, request: Request, token: str) -> Answer:
        url = self.origin.trust(request.link)
        try:
            async with asyncio.timeout(self._settings.timeout + request.extra_time):
                return await self._converse(url, request, token)
        except (aiohttp.ClientError, TimeoutError, OSError, zlib.error) as error:
            refusal = self._what_broke(error)
        # Raised out here, without the error as its context: aiohttp's may carry the request with
        # its headers, and the token would be wherever the exception is shown.
        raise refusal

    def _what_broke(self, error: Exception) -> NotSent | Unreachable:
        """Say what became of a request whose answer did not come whole."""
        match error:
            case aiohttp.ConnectionTimeoutError():
                return NotSent(
                    f"{self.origin.url} did not take up the connection in time; "
                    "the next sync tries again"
                )
            case TimeoutError():
                return Unreachable(
                    "the server did not answer in time; the next sync tries again, "
                    "or raise `timeout`"
                )
            case aiohttp.ClientConnectorCertificateError():
                return NotSent(
                    f"the certificate of {self.origin.url} is not valid "
                    f"({error.certificate_error}); nothing was sent, check the URL, the clock "
                    "and the network"
                )
            case aiohttp.ClientConnectorError() | aiohttp.ClientHttpProxyError():
                return NotSent(
                    f"{self.origin.url} cannot be reached ({type(error).__name__}); "
                    "check the URL and the network"
                )
            case _:
                return Unreachable(
                    f"the answer broke off ({type(error).__name__}); the next sync tries again"
                )

    async def _converse(self, url: URL, request: Request, token: str) -> Answer:
        async with self._http.request(
            request.method,
            url,
            # Not in a variable: a traceback may show those.
            headers={**_HEADERS, **request.headers, **authorization(token)},
            data=request.body,
            allow_redirects=False,
            proxy=self._proxy,
        ) as response:
            names = {name.lower(): value for name, value in response.headers.items()}
            _refuse_strangers(response.status, names)
            return Answer(response.status, names, await read_body(response, names))


@asynccontextmanager
async def open_session(settings: Settings, context: Context) -> AsyncIterator[Session]:
    """Open a session; nothing is sent yet.

    :raises PluginError: the credential needs something that is not installed
    """
    quiet_others()
    credential = open_credential(settings, context)
    # The threaded resolver is named: with aiodns installed aiohttp would take that one, which
    # ignores hosts files and keeps failures for too long.
    connector = aiohttp.TCPConnector(resolver=ThreadedResolver())
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(30, settings.timeout)),
    ) as http:
        yield Session(http, settings, credential, context.environment)


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for https.

    aiohttp's ``trust_env`` would read passwords from ~/.netrc too, and would show the token of a
    plain-http loopback server to a proxy.
    """
    origin = URL(url)
    if origin.scheme != "https" or proxy_bypass(origin.host or ""):
        return None
    return getproxies().get("https")


def _refuse_strangers(status: int, headers: Mapping[str, str]) -> None:
    """Raise when it was not the Web API that answered; it neither redirects nor writes pages."""
    media_type = headers.get("content-type", "").lower()
    redirected = 300 <= status < 400 and status != 304
    if redirected or status in (407, 511) or (status < 400 and media_type.startswith("text/html")):
        raise CaptivePortal(
            f"a web page or redirect came instead of the server's answer (HTTP {status}); "
            "open a browser, the network may want a sign-in"
        )
