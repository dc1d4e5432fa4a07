"""The token goes to the configured origin only, whatever an answer links to."""

from __future__ import annotations

import pytest
from aiohttp import web

from holdfast.errors import CheckpointExpired, UntrustedLink
from holdfast_dataverse._links import Origin
from support.dataverse import NAME_ONLY, Stub, account_row, page_answer, pulled, stub, transport_to

HOME = "https://contoso.crm.dynamics.com"
API = "/api/data/v9.2/accounts?$skiptoken=1"

HOSTILE = [
    f"http://contoso.crm.dynamics.com{API}",
    f"https://contoso.crm.dynamics.com:444{API}",
    f"https://contoso.crm.dynamics.com.evil.com{API}",
    f"https://evil.com/contoso.crm.dynamics.com{API}",
    f"https://contoso.crm.dynamics.com@evil.com{API}",
    f"https://user:pass@contoso.crm.dynamics.com{API}",
    f"https://@contoso.crm.dynamics.com{API}x@evil.com@",
    f"https://contoso.crm.dynamics.com.{API}",
    f"https://contoso.crm.dynamics.com\\@evil.com{API}",
    f"https:\\\\contoso.crm.dynamics.com{API}",
    f"//evil.com{API}",
    f"//contoso.crm.dynamics.com{API}",
    API,
    "accounts?$skiptoken=1",
    f"https:contoso.crm.dynamics.com{API}",
    f"https:///contoso.crm.dynamics.com{API}",
    f"https://127.0.0.1{API}",
    f"https://169.254.169.254{API}",
    f"https://2130706433{API}",
    f"https://[::1]{API}",
    f"https://contoso。crm。dynamics。com{API}",
    f"https://xn--contoso-cua.crm.dynamics.com{API}",
    f"https://contoso.crm.dynamics.com%2eevil.com{API}",
    f"https://contoso.crm.dynamics.com%00.evil.com{API}",
    f"https://contoso.crm.dynamics.com\t.evil.com{API}",
    f"https://contoso.crm.dynamics.com\r\nHost: evil.com{API}",
    f" https://contoso.crm.dynamics.com{API}",
    f"https://contoso.crm.dynamics.com:99999{API}",
    f"https://contoso.crm.dynamics.com:x{API}",
    f"https://contoso.crm.dynamics.com#@evil.com{API}",
    f"https://contoso.crm.dynamics.com?@evil.com{API}",
    "https://contoso.crm.dynamics.com/other/app",
    "ftp://contoso.crm.dynamics.com/api/data/v9.2/accounts",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("link", HOSTILE)
def test_a_link_that_leaves_the_origin_is_refused(link: str) -> None:
    with pytest.raises(UntrustedLink):
        Origin(HOME).trust(link)


@pytest.mark.parametrize(
    "link",
    [
        f"{HOME}{API}",
        f"https://contoso.crm.dynamics.com:443{API}",
        f"https://CONTOSO.crm.dynamics.com{API}",
        f"{HOME}/api/data/v9.2/accounts?$skiptoken=%3Ccookie%20pagingcookie=%22%253ccookie%22/%3E",
    ],
)
def test_a_link_within_the_origin_is_taken_byte_for_byte(link: str) -> None:
    trusted = Origin(HOME).trust(link)
    assert trusted.raw_path_qs == link[link.index("/api") :]


@pytest.mark.parametrize("kind", ["nextLink", "deltaLink"])
@pytest.mark.parametrize(
    "shape",
    [
        "http://{host}:{other}{api}",
        "http://localhost:{other}{api}",
        "http://{host}:{own}@{host}:{other}{api}",
        "http://{host}:{other}#{host}:{own}{api}",
        "https://{host}:{own}{api}",
        "//{host}:{other}{api}",
    ],
)
async def test_nothing_is_sent_where_a_hostile_answer_points_to(kind: str, shape: str) -> None:
    async def silence(_: web.Request) -> web.StreamResponse:
        return page_answer()

    async with stub(silence) as canary:
        other = canary.url.rpartition(":")[2]

        async def mislead(request: web.Request) -> web.StreamResponse:
            own = request.host.rpartition(":")[2]
            link = shape.format(host="127.0.0.1", own=own, other=other, api=API)
            return page_answer(account_row(1), **{kind: link})

        async with stub(mislead) as server, transport_to(server.url) as transport:
            with pytest.raises(UntrustedLink, match="nothing was sent"):
                await pulled(transport, NAME_ONLY)
            assert len(server.requests) == 1
    assert not canary.requests


async def test_a_stored_checkpoint_of_another_server_is_not_followed() -> None:
    async def silence(_: web.Request) -> web.StreamResponse:
        return page_answer()

    async with stub(silence) as canary, stub(silence) as server:
        link = f"{canary.url}{API}"
        checkpoint = '{"link":"' + link + '","delta":true,"midway":false}'
        async with transport_to(server.url) as transport:
            with pytest.raises(CheckpointExpired):
                await pulled(transport, NAME_ONLY, checkpoint)
    assert _nothing_came(canary)
    assert _nothing_came(server)


def _nothing_came(server: Stub) -> bool:
    return not server.requests
