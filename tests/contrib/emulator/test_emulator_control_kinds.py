"""Every kind of fault, seen over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from holdfast_emulator import Dataverse, Fault, FaultKind
from holdfast_emulator.control.connections import ACTIONS, bomb
from holdfast_emulator.control.play import CHANGES
from holdfast_emulator.control.replacements import REPLACEMENTS, Struck
from holdfast_emulator.control.spoilers import SPOILERS
from holdfast_emulator.wire.calls import Reply

if TYPE_CHECKING:
    from contrib.emulator.conftest import Answer, Client

IDS = [f"0a0a0a0a-0000-4000-8000-00000000000{number}" for number in range(1, 4)]
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def accounts(dataverse: Dataverse) -> None:
    for number, row_id in enumerate(IDS):
        dataverse.create(
            dataverse.system, "account", {"accountid": row_id, "name": f"Account {number}"}
        )


async def struck(client: Client, kind: FaultKind, target: str = "accounts", **more: Any) -> Answer:
    """Ask once under a fault."""
    client.server.faults.add(Fault(kind, **more))
    answer = await client("GET", target)
    assert not client.server.faults.pending
    assert client.server.trace[-1]["fault"] == kind.value
    return answer


def test_every_kind_has_one_place_and_one_line() -> None:
    places = [*ACTIONS, *CHANGES, *REPLACEMENTS, *SPOILERS, FaultKind.EXPIRE_TOKEN]
    assert len(places) == len(set(places))
    assert set(places) == set(FaultKind)
    assert all(kind.line and "\n" not in kind.line for kind in FaultKind)


async def test_the_kinds_are_listed(client: Client) -> None:
    listed = (await client("GET", f"{client.server.url}/_emulator/faults/kinds")).json
    assert [one["kind"] for one in listed] == [kind.value for kind in FaultKind]
    assert listed[1]["does"] == "the connection closes before anything is carried out"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.REFUSE, 400, "0x80040265"),
        (FaultKind.FORBID_TABLE, 403, "0x80040220"),
        (FaultKind.FORBID_ROW, 403, "0x80040220"),
        (FaultKind.LOSE_TABLE, 404, "0x80060888"),
        (FaultKind.LOSE_ROW, 404, "0x80040217"),
        (FaultKind.REFUSE_VALUES, 400, "0x80044331"),
        (FaultKind.REFUSE_VERSION, 412, "0x80060882"),
        (FaultKind.DUPLICATE_ID, 412, "0x80040237"),
        (FaultKind.DUPLICATE_KEY, 412, "0x80060892"),
        (FaultKind.TOO_LARGE, 413, "0x80060888"),
        (FaultKind.DEADLOCK, 500, "0x80044150"),
        (FaultKind.THROTTLE, 429, "0x80072322"),
    ],
)
async def test_a_refusal_has_the_code_of_dataverse(
    client: Client, kind: FaultKind, status: int, code: str
) -> None:
    client.server.faults.add(Fault(kind))
    refused = await client("PATCH", f"accounts({IDS[0]})", {"name": "B"})
    assert (refused.status, refused.code) == (status, code)
    assert (await client("GET", f"accounts({IDS[0]})")).json["name"] == "Account 0"


async def test_a_refusal_may_be_anything(client: Client) -> None:
    answer = await struck(
        client, FaultKind.REFUSE, status=409, code="0x80048d00", message="No, not today."
    )
    assert (answer.status, answer.code) == (409, "0x80048d00")
    assert answer.json["error"]["message"] == "No, not today."


async def test_forbidding_names_the_table(client: Client) -> None:
    answer = await struck(client, FaultKind.FORBID_TABLE)
    assert "prvReadAccount" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.TOO_LONG, 414),
        (FaultKind.UNAVAILABLE, 503),
        (FaultKind.CAPTIVE_PORTAL, 200),
        (FaultKind.EXPIRE_TOKEN, 401),
    ],
)
async def test_somebody_else_answers_in_html(client: Client, kind: FaultKind, status: int) -> None:
    answer = await struck(client, kind)
    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("text/html")


async def test_a_redirect_leads_to_another_host(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.REDIRECT, url="https://elsewhere.invalid/x"))
    async with client.session.get(client.root + "accounts", allow_redirects=False) as reply:
        assert (reply.status, reply.headers["Location"]) == (302, "https://elsewhere.invalid/x")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.THROTTLE, "30"),
        (FaultKind.THROTTLE_UNTIL, "Sun, 01 Mar 2026 08:00:30 GMT"),
        (FaultKind.THROTTLE_ABSURDLY, "99999999999"),
        (FaultKind.THROTTLE_SILENTLY, None),
    ],
)
async def test_throttling_asks_to_wait_in_four_ways(
    client: Client, kind: FaultKind, expected: str | None
) -> None:
    answer = await struck(client, kind, retry_after=30)
    assert (answer.status, answer.headers.get("Retry-After")) == (429, expected)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.ERROR_AFTER, 500),
        (FaultKind.BAD_GATEWAY_AFTER, 502),
        (FaultKind.TIMEOUT_AFTER, 504),
    ],
)
async def test_a_server_may_fail_after_it_did_the_work(
    client: Client, kind: FaultKind, status: int
) -> None:
    client.server.faults.add(Fault(kind))
    answer = await client("PATCH", f"accounts({IDS[0]})", {"name": "B"})
    assert answer.status == status
    assert (await client("GET", f"accounts({IDS[0]})")).json["name"] == "B"


async def test_flapping_is_every_second_request(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.UNAVAILABLE, times=None, every=2))
    assert [(await client("GET", "WhoAmI")).status for _ in range(4)] == [200, 503, 200, 503]


@pytest.mark.parametrize(
    ("kind", "there"),
    [(FaultKind.LOSE_REPLY_AND_EDIT, True), (FaultKind.LOSE_REPLY_AND_DELETE, False)],
)
async def test_somebody_else_may_come_after_a_lost_reply(
    client: Client, kind: FaultKind, there: bool
) -> None:
    client.server.faults.add(Fault(kind, method="POST"))
    made = {"accountid": "0a0a0a0a-0000-4000-8000-0000000000ff", "name": "B"}
    with pytest.raises(aiohttp.ClientError):
        await client("POST", "accounts", made)
    answer = await client("GET", f"accounts({made['accountid']})")
    assert answer.status == (200 if there else 404)
    if there:
        assert answer.json["name"] == "edited by somebody else"


async def test_a_late_request_arrives_after_the_one_that_replaced_it(client: Client) -> None:
    """Two creates without an id: both are carried out, the late one last."""
    client.server.faults.add(Fault(FaultKind.LATE_REQUEST, method="POST"))
    with pytest.raises(aiohttp.ClientError):
        await client("POST", "accounts", {"name": "first"})
    assert len((await client("GET", "accounts")).value) == 3
    assert (await client("POST", "accounts", {"name": "second"})).status == 204
    names = [row["name"] for row in (await client("GET", "accounts")).value]
    assert {"first", "second"} <= set(names)
    assert len(names) == 5


async def test_several_late_requests_arrive_once_each(client: Client) -> None:
    """Each that arrives is a request like the others, too."""
    client.server.faults.add(Fault(FaultKind.LATE_REQUEST, method="POST", times=3))
    for name in ("first", "second", "third"):
        with pytest.raises(aiohttp.ClientError):
            await client("POST", "accounts", {"name": name})
    assert (await client("POST", "accounts", {"name": "fourth"})).status == 204
    names = [row["name"] for row in (await client("GET", "accounts")).value]
    assert len(names) == 3 + 4
    assert {"first", "second", "third", "fourth"} <= set(names)


async def test_a_conditional_late_request_does_nothing(client: Client) -> None:
    row = await client("GET", f"accounts({IDS[0]})")
    etag = row.headers["ETag"]
    client.server.faults.add(Fault(FaultKind.LATE_REQUEST, method="PATCH"))
    with pytest.raises(aiohttp.ClientError):
        await client("PATCH", f"accounts({IDS[0]})", {"name": "old"}, If_Match=etag)
    done = await client("PATCH", f"accounts({IDS[0]})", {"name": "new"}, If_Match=etag)
    assert done.status == 204
    assert (await client("GET", f"accounts({IDS[0]})")).json["name"] == "new"


async def test_a_proxy_may_send_a_request_twice(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.DUPLICATE_REQUEST, method="POST"))
    assert (await client("POST", "accounts", {"name": "twice"})).status == 204
    names = [row["name"] for row in (await client("GET", "accounts")).value]
    assert names.count("twice") == 2


async def raw(client: Client, target: str = "WhoAmI") -> tuple[dict[str, str], bytes]:
    """Ask over a bare socket and return headers and all bytes that came after them."""
    host, port = client.server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET /api/data/v9.2/{target} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        "Authorization: Bearer demo-token\r\nConnection: close\r\n\r\n".encode()
    )
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    lines = head.decode().split("\r\n")[1:]
    return dict(line.lower().split(": ", 1) for line in lines), body


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        (FaultKind.CUT_BODY, lambda declared, came: came == declared // 2),
        (FaultKind.SHORT_LENGTH, lambda declared, came: came >= 2 * declared),
        (FaultKind.LONG_LENGTH, lambda declared, came: declared == came + 100),
    ],
)
async def test_a_length_may_be_wrong(
    client: Client, kind: FaultKind, fits: Callable[[int, int], bool]
) -> None:
    client.server.faults.add(Fault(kind))
    headers, body = await raw(client)
    assert fits(int(headers["content-length"]), len(body))
    assert body.startswith(b'{"')


async def test_a_chunk_may_have_no_length(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.BAD_CHUNK))
    headers, body = await raw(client)
    assert headers["transfer-encoding"] == "chunked"
    assert body.endswith(b"\r\nno length\r\n")
    client.server.faults.add(Fault(FaultKind.BAD_CHUNK))
    with pytest.raises(aiohttp.ClientError):
        await client("GET", "WhoAmI")


async def test_a_body_may_come_byte_by_byte_on_a_clock_that_nobody_waits_for(
    client: Client,
) -> None:
    """A body of 300 bytes takes five minutes, on a clock that is a million times as fast."""
    client.server.dataverse.clock.set(NOW, speed=1e6)
    client.server.faults.add(Fault(FaultKind.SLOW_BODY))
    answer = await client("GET", "WhoAmI")
    assert answer.json["OrganizationId"] == client.server.dataverse.organization_id


async def test_a_slow_body_waits_for_a_clock_that_stands_still(client: Client) -> None:
    clock = client.server.dataverse.clock
    clock.set(NOW, running=False)
    client.server.faults.add(Fault(FaultKind.SLOW_BODY, seconds=2))
    async with client.session.get(
        client.root + "WhoAmI", headers={"Authorization": "Bearer demo-token"}
    ) as reply:
        assert await reply.content.read(10) == b"{"
        clock.advance(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reply.content.read(10), 0.05)
        clock.advance(1)
        assert await reply.content.read(10) == b'"'
        clock.follow()


async def test_connections_may_be_refused_for_a_while(client: Client) -> None:
    clock = client.server.dataverse.clock
    clock.set(NOW, running=False)
    client.server.faults.add(Fault(FaultKind.REFUSE_CONNECTION, seconds=10, times=1))
    with pytest.raises(aiohttp.ClientError):
        await client("POST", "accounts", {"name": "B"})
    with pytest.raises(aiohttp.ClientConnectorError):
        await client("GET", "WhoAmI")
    clock.advance(10)
    while True:
        with contextlib.suppress(aiohttp.ClientConnectorError):
            assert (await client("GET", "WhoAmI")).status == 200
            break
    assert len((await client("GET", "accounts")).value) == 3


async def test_a_small_body_may_be_large_inside(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.GZIP_BOMB))
    headers, body = await raw(client)
    assert headers["content-encoding"] == "gzip"
    assert int(headers["content-length"]) == len(body) < 300_000
    inflating = zlib.decompressobj(31)
    length = 0
    while not inflating.eof:
        length += len(inflating.decompress(body, 1 << 20))
        body = inflating.unconsumed_tail
    assert length == 200 * (1 << 20) + len('{"value":[]}')


def test_a_bomb_is_json_inside() -> None:
    assert json.loads(zlib.decompress(bomb(1 << 20), 31)) == {"value": []}


async def test_every_delta_token_may_expire_at_once(client: Client) -> None:
    start = await client("GET", "accounts", Prefer="odata.track-changes")
    assert (await struck(client, FaultKind.FORGET_CHANGES, "contacts")).status == 200
    for _ in range(2):
        assert (await client("GET", start.json["@odata.deltaLink"])).code == "0x80044352"


async def test_a_delta_link_may_be_gone(client: Client) -> None:
    start = await client("GET", "accounts", Prefer="odata.track-changes")
    answer = await struck(client, FaultKind.DELTA_GONE, start.json["@odata.deltaLink"])
    assert answer.status == 410


async def test_a_backup_takes_versions_back(client: Client) -> None:
    keeper = client.server.dataverse.keeper
    keeper.keep("monday")
    before = (await client("GET", f"accounts({IDS[0]})")).headers["ETag"]
    await client("PATCH", f"accounts({IDS[0]})", {"name": "tuesday"})
    answer = await struck(
        client, FaultKind.RESTORE_BACKUP, f"accounts({IDS[0]})", baseline="monday"
    )
    assert (answer.headers["ETag"], answer.json["name"]) == (before, "Account 0")
    assert (await struck(client, FaultKind.RESTORE_BACKUP, baseline="none")).status == 409


async def test_an_organisation_may_be_another_one(client: Client) -> None:
    mine = (await client("GET", "WhoAmI")).json["OrganizationId"]
    assert (await struck(client, FaultKind.REMAKE_ORGANISATION, "WhoAmI")).json[
        "OrganizationId"
    ] != mine


async def test_the_date_of_a_reply_may_be_wrong(client: Client) -> None:
    answer = await struck(client, FaultKind.SKEW_DATE, seconds=-86400)
    assert parsedate_to_datetime(answer.headers["Date"]) == NOW - timedelta(days=1)


async def test_a_page_may_have_no_body(client: Client) -> None:
    answer = await struck(client, FaultKind.EMPTY_BODY)
    assert (answer.status, answer.text) == (200, "")
    answer = await struck(client, FaultKind.NO_CONTENT)
    assert (answer.status, answer.text) == (204, "")


async def test_a_page_may_be_empty(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.EMPTY_PAGE))
    answer = await client("GET", "accounts", Prefer="odata.maxpagesize=1")
    assert answer.value == []
    assert "@odata.nextLink" not in answer.json


async def test_half_of_the_json_may_come_with_its_right_length(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.CUT_JSON))
    async with client.session.get(
        client.root + "WhoAmI", headers={"Authorization": "Bearer demo-token"}
    ) as reply:
        body = await reply.read()
        assert (reply.status, len(body)) == (200, int(reply.headers["Content-Length"]))
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(body)


async def test_a_next_link_may_lead_back(client: Client) -> None:
    target = client.root + "accounts?$select=name"
    assert (await struck(client, FaultKind.LOOP_LINK, target)).json["@odata.nextLink"] == target


async def test_a_next_link_may_lead_elsewhere(client: Client) -> None:
    answer = await struck(client, FaultKind.FOREIGN_LINK, url="http://127.0.0.1:1/x")
    assert answer.json["@odata.nextLink"] == "http://127.0.0.1:1/x"


@pytest.mark.parametrize("target", ["accounts", "accounts?$select=name"])
async def test_a_next_link_may_lead_on_for_ever(client: Client, target: str) -> None:
    client.server.faults.add(Fault(FaultKind.ENDLESS_LINK, times=None))
    links = [client.root + target]
    for _ in range(3):
        answer = await client("GET", links[-1])
        assert len(answer.value) == 3
        links.append(answer.json["@odata.nextLink"])
    assert len(set(links)) == 4


async def test_a_row_may_move_between_pages(client: Client) -> None:
    async def read() -> list[str]:
        ids, link = [], "accounts?$select=name"
        while link:
            page = await client("GET", link, Prefer="odata.maxpagesize=1")
            ids += [row["accountid"] for row in page.value]
            link = page.json.get("@odata.nextLink")
        return ids

    client.server.faults.add(Fault(FaultKind.SKIP_ROW, skip=1))
    assert await read() == [IDS[0], IDS[2]]
    client.server.faults.add(Fault(FaultKind.REPEAT_ROW, times=2))
    assert await read() == [IDS[0], IDS[0], IDS[1], IDS[2]]


async def test_rows_may_stand_on_a_page_twice(client: Client) -> None:
    answer = await struck(client, FaultKind.DUPLICATE_ROWS)
    assert [row["accountid"] for row in answer.value] == [i for i in IDS for _ in (1, 2)]


async def test_a_delta_may_delete_what_it_should_not(client: Client) -> None:
    start = await client("GET", "accounts", Prefer="odata.track-changes")
    link = start.json["@odata.deltaLink"]
    await client("PATCH", f"accounts({IDS[0]})", {"name": "B"})
    unknown = await struck(client, FaultKind.DELETE_UNKNOWN, link)
    assert unknown.value[-1]["reason"] == "deleted"
    assert unknown.value[-1]["id"] not in IDS
    living = await struck(client, FaultKind.DELETE_LIVING, link)
    assert (living.value[0]["accountid"], living.value[-1]["id"]) == (IDS[0], IDS[0])
    context = living.value[-1]["@odata.context"]
    assert context == f"{client.root}$metadata#accounts/$deletedEntity"


async def test_rows_may_be_fat(client: Client) -> None:
    answer = await struck(client, FaultKind.FAT_ROWS, "accounts?$select=name", size=5000)
    assert [len(row["name"]) for row in answer.value] == [5000] * 3


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        (FaultKind.LOSE_KEY, "accountid"),
        (FaultKind.LOSE_ETAG, "@odata.etag"),
        (FaultKind.LOSE_COLUMN, "name"),
    ],
)
async def test_the_first_row_may_lack_something(client: Client, kind: FaultKind, gone: str) -> None:
    rows = (await struck(client, kind, "accounts?$select=name")).value
    assert gone not in rows[0]
    assert gone in rows[1]


async def test_a_row_may_have_a_column_that_nobody_knows(client: Client) -> None:
    rows = (await struck(client, FaultKind.UNKNOWN_COLUMN)).value
    assert [len(row.keys() - rows[1].keys()) for row in rows] == [1, 0, 0]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FaultKind.WRONG_TYPE, b'"name":4711'),
        (FaultKind.LONE_SURROGATE, rb'"name":"\ud800"'),
        (FaultKind.NUL_CHARACTER, rb'"name":"a\u0000b"'),
        (FaultKind.BAD_UTF8, b'"name":"\xff\xfe"'),
        (FaultKind.BIG_INTEGER, b'"name":9223372036854775808'),
        (FaultKind.NOT_A_NUMBER, b'"name":NaN'),
        (FaultKind.HUGE_NUMBER, b'"name":1e400'),
        (FaultKind.DUPLICATE_MEMBER, b'"name":"first","name":"second"'),
        (FaultKind.DEEP_NESTING, b'"name":' + b"[" * 100_000 + b"]"),
        (FaultKind.LONG_TEXT, b'"name":"' + b"x" * (1 << 20) + b'"'),
    ],
)
async def test_a_value_may_be_poison(client: Client, kind: FaultKind, body: bytes) -> None:
    for target in ("accounts?$select=name", f"accounts({IDS[0]})?$select=name"):
        client.server.faults.add(Fault(kind))
        async with client.session.get(
            client.root + target, headers={"Authorization": "Bearer demo-token"}
        ) as reply:
            found = await reply.read()
        assert found.count(body) == 1
        assert reply.status == 200


async def test_poison_goes_into_the_column_that_is_named(client: Client) -> None:
    target = "accounts?$select=name,numberofemployees"
    rows = (await struck(client, FaultKind.WRONG_TYPE, target, column="numberofemployees")).value
    assert (rows[0]["numberofemployees"], rows[0]["name"]) == ("no number", "Account 0")


def test_xml_may_declare_entities() -> None:
    fault = Fault(FaultKind.XML_ENTITIES)
    asked = Struck(fault, "http://x", "http://x/$metadata", NOW, "")
    spoil = SPOILERS[FaultKind.XML_ENTITIES]
    xml = Reply(200, b'<?xml version="1.0"?><edmx/>', type="application/xml")
    assert b'?><!DOCTYPE lolz [<!ENTITY a "lol">' in spoil(asked, xml).body
    assert spoil(asked, Reply(200, b"{}")) == Reply(200, b"{}")


@pytest.mark.parametrize(
    ("kind", "order"),
    [
        (FaultKind.BATCH_FEWER, [0, 1]),
        (FaultKind.BATCH_MORE, [0, 1, 2, 2]),
        (FaultKind.BATCH_ORDER, [2, 1, 0]),
    ],
)
async def test_a_batch_may_be_answered_with_other_parts(
    client: Client, kind: FaultKind, order: list[int]
) -> None:
    parts = "".join(
        f"--b\r\nContent-Type: application/http\r\n\r\nGET accounts({row_id}) HTTP/1.1\r\n\r\n"
        for row_id in IDS
    )
    client.server.faults.add(Fault(kind))
    answer = await client(
        "POST", "$batch", data=parts + "--b--", Content_Type="multipart/mixed; boundary=b"
    )
    boundary = answer.headers["Content-Type"].partition("boundary=")[2]
    found = answer.text.split(f"--{boundary}")
    assert found[-1].startswith("--")
    assert [next(i for i, row in enumerate(IDS) if row in part) for part in found[1:-1]] == order
