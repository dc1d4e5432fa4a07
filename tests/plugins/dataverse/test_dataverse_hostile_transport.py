"""A hostile way to the server: links, certificates, redirects, identities, and what may be seen.

Test ids carry the number of the item of the security checklist that they hold.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import ValidationError

from holdfast.errors import ProtocolError, SignInNeeded, TransportError, Unreachable, UntrustedLink
from holdfast.model import Caller, Op, OpKind
from holdfast_dataverse import Settings, _credentials, _session
from holdfast_dataverse._session import CaptivePortal, NotSent, Request, open_session
from support.certificates import authority
from support.dataverse import (
    NAME_ONLY,
    TOKEN,
    World,
    account_id,
    context,
    gathered,
    pulled,
    settings_for,
    transport_to,
)
from support.hostile import Asked, Hostile, hostile, response, sending
from support.hostile_answers import CONNECTION

API = "/api/data/v9.2/accounts?$skiptoken=1"
#: ``own`` is the port of the server, ``other`` that of the canary on the same machine.
SHAPES = [
    *("http://127.0.0.1:{other}{api}", "http://localhost:{own}{api}", "HTTP:127.0.0.1{api}"),
    *("https://127.0.0.1:{own}{api}", "https://127.0.0.1:{other}{api}", "http://localhost{api}"),
    *("//127.0.0.1:{other}{api}", "//127.0.0.1:{own}{api}", "///127.0.0.1:{other}{api}"),
    *("http:///127.0.0.1:{other}{api}", "http:/127.0.0.1:{other}{api}", "{api}", "accounts?x"),
    "http://127.0.0.1:{own}@127.0.0.1:{other}{api}",
    "http://127.0.0.1:{own}%40127.0.0.1:{other}{api}",
    "http://user:pass@127.0.0.1:{own}{api}",
    "http://@127.0.0.1:{own}{api}",
    "http://127.0.0.1:{own}#@127.0.0.1:{other}{api}",
    "http://127.0.0.1:{other}#127.0.0.1:{own}{api}",
    "http://127.0.0.1:{other}?127.0.0.1:{own}{api}",
    "http://127.0.0.1:{other}/127.0.0.1:{own}{api}",
    "http://127.0.0.1:{own}\\@127.0.0.1:{other}{api}",
    "http://127.0.0.1:{other}\\@127.0.0.1:{own}{api}",
    "http:\\\\127.0.0.1:{other}{api}",
    "http://127.0.0.1:{own}:{other}{api}",
    "http://127.0.0.1:{own}0{api}",
    "http://127.0.0.1:0{other}{api}",
    "http://127.0.0.1:{own}.evil.example{api}",
    "http://127.0.0.1.evil.example:{own}{api}",
    "http://127.0.0.1.:{own}{api}",
    "http://127.1:{own}{api}",
    "http://2130706433:{own}{api}",
    "http://0x7f.0.0.1:{own}{api}",
    "http://0177.0.0.1:{own}{api}",
    "http://[::1]:{own}{api}",
    "http://[::ffff:127.0.0.1]:{other}{api}",
    "http://[::1:{own}{api}",
    "http://0.0.0.0:{other}{api}",
    "http://169.254.169.254{api}",
    "http://metadata.internal:{own}{api}",
    "http://127。0。0。1:{own}{api}",
    "http://127.0.0.\uff11:{own}{api}",
    "http://xn--127-0.0.1:{own}{api}",
    "http://127.0.0.1%2eevil.example:{own}{api}",
    "http://127.0.0.1%00.evil.example:{own}{api}",
    "http://127.0.0.1\t:{own}{api}",
    "http://127.0.0.1:{own}\r\nHost: evil.example\r\n{api}",
    " http://127.0.0.1:{other}{api}",
    "http://127.0.0.1:{own}/other/app",
    "http://127.0.0.1:{own}/..//127.0.0.1:{other}{api}",
    *("ws://127.0.0.1:{own}{api}", "ftp://127.0.0.1:{own}{api}", "file:///etc/passwd"),
    *("javascript:alert(1)", "data:application/json,x", "unix:/run/x.sock", "about:blank"),
]  # fmt: skip


class Names(AbstractResolver):
    """Knows every name, and remembers which it was asked for."""

    asked: list[str] = []  # noqa: RUF012  read by tests, reset by the fixture
    address = "127.0.0.1"

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        Names.asked.append(host)
        family = socket.AF_INET6 if ":" in Names.address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=Names.address, port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> type[Names]:
    monkeypatch.setattr(_session, "ThreadedResolver", Names)
    Names.asked = []
    return Names


@pytest.fixture
async def canary() -> AsyncIterator[Hostile]:
    """A server that nothing may be sent to."""
    async with hostile(sending(response(b'{"value":[]}'))) as server:
        yield server
        assert not server.asked, "the canary was asked"


def port_of(url: str) -> str:
    return url.rpartition(":")[2]


def quoted(text: str) -> bytes:
    import json

    return json.dumps(text).encode()


@pytest.mark.parametrize("kind", ["nextLink", "deltaLink"])
@pytest.mark.parametrize("shape", SHAPES, ids=[f"S-01 {number}" for number in range(len(SHAPES))])
async def test_no_link_leads_away(
    kind: str, shape: str, canary: Hostile, names: type[Names]
) -> None:
    async def mislead(asked: Asked) -> AsyncIterator[bytes]:
        own = port_of(asked.origin)
        link = shape.format(own=own, other=port_of(canary.url), api=API)
        yield response(b'{"value":[],"@odata.%b":%b}' % (kind.encode(), quoted(link)))

    async with hostile(mislead) as server, transport_to(server.url) as transport:
        with pytest.raises(UntrustedLink, match="nothing was sent there"):
            await pulled(transport, NAME_ONLY)
        assert len(server.asked) == 1
    assert names.asked == []


def test_there_are_enough_ways_to_mislead() -> None:
    assert len(set(SHAPES)) >= 40


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "401 X", "404 X", "503 X"])
async def test_no_header_and_no_annotation_leads_away(status: str, canary: Hostile) -> None:
    """S-01: what else could be taken for a link of the answer."""
    away = f"{canary.url}{API}"
    headers = [f"{name}: {away}" for name in ("Location", "OData-EntityId", "Content-Location")]
    headers += [f"Refresh: 0; url={away}", f'Link: <{away}>; rel="next"', f'Alt-Svc: h2="{away}"']
    headers.append(f'WWW-Authenticate: Bearer authorization_uri="{away}"')
    members = ("context", "id", "editLink", "readLink", "mediaReadLink", "associationLink")
    row = {f"@odata.{name}": away for name in members}
    row |= {"@odata.etag": "v", "accountid": account_id(1), "name": away}
    row |= {"name@odata.navigationLink": away, "nextLink": away, "Location": away}
    page = str([row]).replace("'", '"')
    body = f'{{"@odata.context":"{away}","nextLink":"{away}","value":{page}}}'.encode()
    async with hostile(sending(response(body, status, *headers))) as server:
        async with transport_to(server.url) as transport:
            with pytest.raises(TransportError):
                await pulled(transport, NAME_ONLY)
        assert all(one.target.startswith("/api/data/v9.2/accounts") for one in server.asked)


# S-02: certificates.

BAD = {
    "signed by nobody": lambda: authority().context(),
    "expired": lambda: authority().context(days=-1),
    "of another name": lambda: authority().context("evil.example"),
}
SWITCHES = {
    "PYTHONHTTPSVERIFY": "0",
    "REQUESTS_CA_BUNDLE": "",
    "CURL_CA_BUNDLE": "",
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
    "GIT_SSL_NO_VERIFY": "1",
    "AIOHTTP_NO_EXTENSIONS": "1",
    "AZURE_CLI_DISABLE_CONNECTION_VERIFICATION": "1",
}


@pytest.mark.parametrize("kind", BAD, ids=[f"S-02 {kind}" for kind in BAD])
async def test_a_certificate_that_does_not_verify_stops_everything(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SWITCHES.items():
        monkeypatch.setenv(name, value)
    async with hostile(sending(response(b"{}")), tls=BAD[kind]()) as server:
        async with transport_to(server.url) as transport:
            with pytest.raises(NotSent, match=r"certificate .* is not valid .*; nothing was sent"):
                await pulled(transport, NAME_ONLY)
            op = Op("o1", 1, OpKind.CREATE, "account", account_id(1), {"name": "A"})
            _, error = await gathered(transport, NAME_ONLY, op)
            assert isinstance(error, NotSent)
        assert server.asked == []


CHILD = """
import asyncio, sys
from support.dataverse import NAME_ONLY, pulled, transport_to
async def main():
    async with transport_to(sys.argv[1]) as transport:
        print(await transport.probe())
asyncio.run(main())
"""


async def in_a_process_of_its_own(url: str, **variables: str) -> str:
    """Probe from a process that starts with these variables; its path is this one's."""
    paths = os.pathsep.join(path for path in sys.path if path)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD, url),
        env={**os.environ, "PYTHONPATH": paths, **variables},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return out.decode().strip()


@pytest.mark.parametrize(
    ("kind", "found"),
    [("good", "CONNECTED"), ("expired", "NO_ANSWER"), ("of another name", "NO_ANSWER")],
)
async def test_an_authority_may_be_added_and_nothing_else(
    kind: str, found: str, tmp_path: Path
) -> None:
    """S-02: with ``SSL_CERT_FILE`` the authority is known; the rest of a certificate still counts.

    So the three refusals above are for the reasons that they name.
    """
    me = b'{"UserId":"%b","OrganizationId":"%b"}' % ((account_id(1).encode(),) * 2)
    tls = BAD[kind]() if kind in BAD else authority().context()
    variables = {**SWITCHES, "SSL_CERT_FILE": str(authority().write(tmp_path))}
    async with hostile(sending(response(me)), tls=tls) as server:
        assert await in_a_process_of_its_own(server.url, **variables) == f"Connectivity.{found}"
        assert len(server.asked) == (found == "CONNECTED")


@pytest.mark.parametrize(
    "key", ["verify", "verify_ssl", "ssl", "tls_verify", "insecure", "check_hostname", "ca_bundle"]
)
def test_no_setting_turns_certificates_off(key: str) -> None:
    """S-02."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        settings_for("https://contoso.example", **{key: False})
    assert not [name for name in Settings.model_fields if "ssl" in name or "verify" in name]


async def test_no_downgrade_when_tls_is_not_spoken() -> None:
    """S-02."""
    async with hostile(sending(response(b"{}"))) as server:
        url = server.url.replace("http:", "https:")
        async with transport_to(url, timeout=0.2) as transport:
            with pytest.raises(Unreachable):
                await pulled(transport, NAME_ONLY)
        assert not any(TOKEN.encode() in one.raw for one in server.asked)


@pytest.mark.parametrize(
    "answer", ["407 Proxy Authentication Required", "502 Bad Gateway", "200 OK"]
)
async def test_a_proxy_sees_no_token(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S-02: the proxy of the environment is asked for a tunnel, and gets no more without TLS."""
    async with hostile(sending(f"HTTP/1.1 {answer}\r\n\r\nhello".encode())) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        async with transport_to("https://contoso.example") as transport:
            with pytest.raises(Unreachable):
                await pulled(transport, NAME_ONLY)
        assert {one.method for one in proxy.asked} == {"CONNECT"}
        assert not any(TOKEN.encode() in one.raw for one in proxy.asked)


async def test_plain_http_on_this_machine_goes_through_no_proxy(
    canary: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-02."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, canary.url)
    async with hostile(CONNECTION["has no body"]) as server, transport_to(server.url) as transport:
        with pytest.raises(ProtocolError):
            await pulled(transport, NAME_ONLY)
        assert server.asked


# S-03: redirects.


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same", "other"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308], ids=lambda status: f"S-03 {status}")
async def test_no_redirect_is_followed(
    status: int, *, elsewhere: bool, method: str, canary: Hostile
) -> None:
    async def away(asked: Asked) -> AsyncIterator[bytes]:
        to = canary.url if elsewhere else asked.origin
        yield response(b"{}", f"{status} Moved", f"Location: {to}/api/data/v9.2/else")

    body = None if method == "GET" else b'{"name":"A"}'
    async with (
        hostile(away) as server,
        open_session(settings_for(server.url), context()) as session,
    ):
        link = session.link("accounts")
        with pytest.raises(CaptivePortal, match="redirect"):
            await session.send(Request(link, method, body=body, repeatable=method == "GET"))
        assert {one.target for one in server.asked} == {"/api/data/v9.2/accounts"}
        assert method == "GET" or len(server.asked) == 1


# S-04: names that lead inside.


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "::1", "10.0.0.1"])
async def test_a_name_from_an_answer_is_not_even_looked_up(
    address: str, names: type[Names], canary: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-04: whatever it would resolve to; only the host of the profile is looked up."""
    monkeypatch.setattr(Names, "address", address)
    for name in ("metadata.internal", "contoso.crm.dynamics.com", "localhost"):
        link = f"http://{name}:{port_of(canary.url)}{API}"
        page = response(b'{"value":[],"@odata.nextLink":%b}' % quoted(link))
        async with hostile(sending(page)) as server, transport_to(server.url) as transport:
            with pytest.raises(UntrustedLink):
                await pulled(transport, NAME_ONLY)
    assert names.asked == []
    monkeypatch.setattr(Names, "address", "127.0.0.1")
    async with hostile(CONNECTION["has no body"]) as server:
        named = f"http://localhost:{port_of(server.url)}"
        async with transport_to(named) as transport:
            with pytest.raises(ProtocolError):
                await pulled(transport, NAME_ONLY)
    assert set(names.asked) == {"localhost"}


# S-05 … S-08: where the token is, and whose.


@pytest.mark.parametrize("name", sorted(_credentials._AZURE_CLASSES))
def test_no_credential_keeps_tokens_on_the_disk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S-05: azure-identity keeps what it is given a cache for; it is given none."""
    import azure.identity

    given: dict[str, Any] = {}
    monkeypatch.setattr(
        azure.identity, _credentials._AZURE_CLASSES[name], lambda **options: given.update(options)
    )
    settings = Settings.model_validate({"url": "https://contoso.example", "credential": name})
    _credentials.open_credential(settings, context())
    assert set(given) <= {"prompt_callback", "tenant_id", "client_id"}


OTHERS = {
    "another user": b'{"UserId":"%b","OrganizationId":"%b"}'
    % (account_id(2).encode(), account_id(9).encode()),
    "another organisation": b'{"UserId":"%b","OrganizationId":"%b"}'
    % (account_id(1).encode(), account_id(8).encode()),
    "nobody": b'{"UserId":null,"OrganizationId":null}',
    "no JSON": b"<html>",
    "a list": b"[]",
}


@pytest.mark.parametrize("who", OTHERS, ids=[f"S-07 {who}" for who in OTHERS])
async def test_a_renewed_token_of_somebody_else_is_refused(who: str, tmp_path: Path) -> None:
    owner = b'{"UserId":"%b","OrganizationId":"%b"}' % (
        account_id(1).encode(),
        account_id(9).encode(),
    )
    token = tmp_path / "token"
    token.write_text("first")

    async def answer(asked: Asked) -> AsyncIterator[bytes]:
        renewed = asked.headers["authorization"] == "Bearer second"
        if asked.target.endswith("WhoAmI"):
            yield response(OTHERS[who] if renewed else owner)
        elif not renewed and "$batch" not in asked.target:
            token.write_text("second")
            yield response(b"", "401 Unauthorized")
        else:
            yield response(
                b'{"value":[]}', "404 Not Found" if "$batch" in asked.target else "200 X"
            )

    options = {"token": None, "token_file": str(token)}
    async with hostile(answer) as server, transport_to(server.url, **options) as transport:
        assert await transport.identity() == Caller(account_id(9), account_id(1))
        with pytest.raises(SignInNeeded):
            await pulled(transport, NAME_ONLY)
        op = Op("o1", 1, OpKind.CREATE, "account", account_id(1), {"name": "A"})
        _, error = await gathered(transport, NAME_ONLY, op)
        assert isinstance(error, SignInNeeded)
    as_second = [one for one in server.asked if one.headers["authorization"] == "Bearer second"]
    assert as_second
    assert {one.target for one in as_second} == {"/api/data/v9.2/WhoAmI"}


async def test_the_token_is_in_one_header_and_nowhere_else(world: World) -> None:
    """S-08: not in a URL, a body, the environment or the arguments of the process."""
    async with hostile(sending(), upstream=world.server.url) as between:
        between.struck = lambda _: False
        async with transport_to(between.url) as transport:
            await transport.identity()
            [schema] = await transport.schema(["account"])
            await pulled(transport, NAME_ONLY)
            await gathered(transport, NAME_ONLY, world.create_op("A"))
            assert schema.name == "account"
        assert len(between.asked) > 4
        for one in between.asked:
            assert one.headers.pop("authorization") == f"Bearer {TOKEN}"
            assert one.raw.count(TOKEN.encode()) == 1
    assert not any(TOKEN in text for text in (*sys.orig_argv, *os.environ.values()))


async def test_no_password_is_taken_from_a_netrc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-08: and no cookie of an answer is sent back."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    once = response(b"{}", "503 X", "Set-Cookie: a=b", "Set-Cookie: c=d; Domain=127.0.0.1")
    async with hostile(sending(once)) as server, transport_to(server.url) as transport:
        with pytest.raises(Unreachable):
            await pulled(transport, NAME_ONLY)
        assert len(server.asked) > 1
        assert all("cookie" not in one.headers for one in server.asked)
        assert {one.headers["authorization"] for one in server.asked} == {f"Bearer {TOKEN}"}


# S-09: data that poses as protocol.

NEXT_BOUNDARY = "batch_00000000-0000-7000-8000-00000000000{}"
FORGED = [
    "--batch",
    f"--{NEXT_BOUNDARY.format(1)}--",
    f"\r\n--{NEXT_BOUNDARY.format(1)}\r\nContent-Type: application/http\r\n\r\nDELETE /x HTTP/1.1",
    f"{NEXT_BOUNDARY.format(1)} {NEXT_BOUNDARY.format(2)}_0",
    "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}",
    "\r\nIf-Match: *\r\n",
    "Content-ID: 1\r\nContent-Length: 0\r\n\r\n",
    "$1",
    '"}\r\n--x',
]


@pytest.mark.parametrize("text", FORGED, ids=[f"S-09 {number}" for number in range(len(FORGED))])
async def test_a_row_that_looks_like_protocol_is_a_row(text: str, world: World) -> None:
    op = world.create_op(text)
    async with hostile(sending(), upstream=world.server.url) as between:
        between.struck = lambda _: False
        async with transport_to(between.url) as transport:
            outcomes, error = await gathered(transport, NAME_ONLY, op)
    assert error is None
    assert len(outcomes) == 1
    assert world.name(op.row_id) == text
    [sent] = [one for one in between.asked if one.target.endswith("$batch")]
    boundary = sent.headers["content-type"].partition("boundary=")[2].encode()
    _, _, body = sent.raw.partition(b"\r\n\r\n")
    assert body.count(boundary) == 2, "its beginning and its end, and nothing of the row"
