"""Sign-in, limits, compression, faults by switch, and the control pages."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
import pytest

from holdfast.errors import UsageError
from holdfast_emulator import (
    Dataverse,
    DataverseFault,
    EmulatorServer,
    Fault,
    FaultKind,
    Limits,
)
from holdfast_emulator.control.limits import ServiceProtection

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

ID = "0a0a0a0a-0000-4000-8000-000000000001"
ACCOUNT = {"accountid": ID, "name": "A"}


@pytest.mark.parametrize("token", [None, "nobody"])
async def test_without_a_known_token_nothing_is_answered(client: Client, token: str | None) -> None:
    answer = await client("GET", "WhoAmI", token=token)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")


async def test_each_token_signs_its_user_in(client: Client) -> None:
    ann = await client("GET", "WhoAmI", token="demo-token")
    bo = await client("GET", "WhoAmI", token="office-token")
    assert ann.json["UserId"] != bo.json["UserId"]
    assert ann.json["OrganizationId"] == bo.json["OrganizationId"]


async def test_requests_and_replies_may_be_compressed(client: Client) -> None:
    packed = gzip.compress(json.dumps({"name": "A", "description": "x" * 2000}).encode())
    made = await client(
        "POST", "accounts", data=packed, Content_Type="application/json", Content_Encoding="gzip"
    )
    assert made.status == 204
    plain = await client("GET", "accounts", Accept_Encoding="identity")
    small = await client("GET", "accounts", Accept_Encoding="gzip")
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert plain.json == small.json


async def test_every_reply_has_a_request_id(client: Client) -> None:
    answer = await client("GET", "WhoAmI")
    assert answer.headers["x-ms-service-request-id"] == answer.headers["REQ_ID"]


async def test_impersonation_is_not_ignored(client: Client) -> None:
    assert (await client("GET", "accounts", MSCRMCallerID=ID)).status == 404


async def test_long_urls_are_read(client: Client) -> None:
    answer = await client("GET", f"accounts?$filter=name eq '{'x' * 30_000}'")
    assert answer.status == 200


async def test_a_user_who_asks_too_often_has_to_wait(dataverse: Dataverse) -> None:
    limits = Limits(requests=2, window=1000)
    async with EmulatorServer(dataverse, limits=limits) as server, aiohttp.ClientSession() as http:
        url = f"{server.url}/api/data/v9.2/WhoAmI"
        statuses = []
        for token in ("demo-token", "demo-token", "demo-token", "office-token"):
            async with http.get(url, headers={"Authorization": f"Bearer {token}"}) as reply:
                statuses.append(reply.status)
                if reply.status == 429:
                    assert 0 < int(reply.headers["Retry-After"]) <= 1000
                    assert (await reply.json())["error"]["code"] == "0x80072322"
        assert statuses == [200, 200, 429, 200]


def test_a_user_who_keeps_the_server_busy_has_to_wait() -> None:
    now = 0.0
    limits = Limits(execution=20, window=300)
    protection = ServiceProtection(limits, lambda: now)
    for _ in range(2):
        assert protection.refuse("ann") is None
        with protection.running("ann"):
            now += 10
    refused = protection.refuse("ann")
    assert refused
    assert (refused.status, refused.headers["Retry-After"]) == (429, "290")
    assert b"0x80072321" in refused.body
    assert b"exceeded limit of 20,000 milliseconds" in refused.body
    assert protection.refuse("bo") is None
    now += 290
    assert protection.refuse("ann") is None


async def test_a_deadlock_says_so(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.DEADLOCK))
    answer = await client("POST", "accounts", ACCOUNT)
    assert answer.code == "0x80044150"
    assert "Sql Number: 1205" in answer.json["error"]["message"]


def test_a_fault_strikes_at_least_once() -> None:
    with pytest.raises(ValueError, match="at least once"):
        Fault(FaultKind.DELAY, times=0)


async def test_a_port_that_is_taken_is_named(server: EmulatorServer, dataverse: Dataverse) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1 cannot be listened on"):
        async with EmulatorServer(dataverse, port=port):
            pass


async def test_a_user_may_have_only_so_many_requests_running(dataverse: Dataverse) -> None:
    async with (
        EmulatorServer(dataverse, limits=Limits(concurrent=1)) as server,
        aiohttp.ClientSession(headers={"Authorization": "Bearer demo-token"}) as http,
    ):
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def slow_body() -> AsyncIterator[bytes]:
            yield b'{"name":'
            entered.set()
            await go_on.wait()
            yield b'"A"}'

        async def create() -> int:
            url = f"{server.url}/api/data/v9.2/accounts"
            async with http.post(url, data=slow_body()) as reply:
                return reply.status

        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(create())
            await entered.wait()
            while True:  # until the server has begun to read the body
                async with http.get(f"{server.url}/api/data/v9.2/WhoAmI") as reply:
                    if reply.status == 429:
                        assert (await reply.json())["error"]["code"] == "0x80072326"
                        break
            go_on.set()
        assert first.result() == 204


async def test_a_lost_reply_was_carried_out_and_a_lost_request_was_not(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.LOSE_REPLY, method="POST", path="^accounts"))
    with pytest.raises(aiohttp.ClientError):
        await client("POST", "accounts", ACCOUNT)
    assert (await client("GET", f"accounts({ID})")).status == 200
    # more than once, because aiohttp repeats what is idempotent on a connection that it reused
    client.server.faults.add(Fault(FaultKind.LOSE_REQUEST, method="DELETE", times=None))
    with pytest.raises(aiohttp.ClientError):
        await client("DELETE", f"accounts({ID})")
    client.server.faults.clear()
    assert (await client("GET", f"accounts({ID})")).status == 200
    assert (await client("DELETE", f"accounts({ID})")).status == 204


async def test_a_body_may_be_cut(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.CUT_BODY))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client("GET", "WhoAmI")
    assert (await client("GET", "WhoAmI")).status == 200


@pytest.mark.parametrize(
    ("kind", "status", "retry_after"),
    [
        (FaultKind.THROTTLE, 429, "7"),
        (FaultKind.UNAVAILABLE, 503, "7"),
        (FaultKind.DEADLOCK, 500, None),
        (FaultKind.EXPIRE_TOKEN, 401, None),
        (FaultKind.CAPTIVE_PORTAL, 200, None),
    ],
)
async def test_a_fault_takes_the_place_of_the_answer(
    client: Client, kind: FaultKind, status: int, retry_after: str | None
) -> None:
    client.server.faults.add(Fault(kind, times=2, retry_after=7))
    for _ in range(2):
        answer = await client("POST", "accounts", ACCOUNT)
        assert answer.status == status
        assert answer.headers.get("Retry-After") == retry_after
    assert (await client("POST", "accounts", ACCOUNT)).status == 204


async def test_a_captive_portal_answers_with_its_own_page(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.CAPTIVE_PORTAL))
    answer = await client("GET", "WhoAmI")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "hotel" in answer.text


async def test_an_expired_delta_link_looks_like_a_real_one(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.EXPIRE_DELTA))
    start = await client("GET", "accounts", Prefer="odata.track-changes")
    answer = await client("GET", start.json["@odata.deltaLink"])
    assert (answer.status, answer.code) == (400, "0x80044352")


async def test_a_fault_strikes_the_requests_it_describes(client: Client) -> None:
    fault = Fault(FaultKind.UNAVAILABLE, times=1, method="get", path=r"^contacts\b", skip=1)
    client.server.faults.add(fault)
    statuses = [
        (await client("GET", target)).status
        for target in ("contacts", "accounts", "contacts", "contacts")
    ]
    assert statuses == [200, 200, 503, 200]


async def test_a_fault_without_a_count_lasts_until_it_is_cleared(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.UNAVAILABLE, times=None))
    assert [(await client("GET", "WhoAmI")).status for _ in range(3)] == [503] * 3
    client.server.faults.clear()
    assert (await client("GET", "WhoAmI")).status == 200


async def test_a_delayed_reply_comes(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.DELAY, seconds=0.01))
    assert (await client("GET", "WhoAmI")).status == 200


async def test_a_batch_may_be_lost_in_the_middle(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.LOSE_REPLY, path=r"^\$batch", operations=2))
    part = (
        "--b\r\nContent-Type: application/http\r\n\r\n"
        'POST accounts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{"name":"A"}\r\n'
    )
    with pytest.raises(aiohttp.ClientError):
        await client(
            "POST", "$batch", data=part * 3 + "--b--", Content_Type="multipart/mixed; boundary=b"
        )
    assert len((await client("GET", "accounts")).value) == 2


async def test_a_change_set_that_is_lost_in_the_middle_leaves_nothing(client: Client) -> None:
    client.server.faults.add(Fault(FaultKind.LOSE_REPLY, path=r"^\$batch", operations=1))
    parts = "".join(
        f"--c\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
        'POST accounts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{"name":"A"}\r\n'
        for number in (1, 2)
    )
    whole = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{parts}--c--\r\n--b--"
    with pytest.raises(aiohttp.ClientError):
        await client("POST", "$batch", data=whole, Content_Type="multipart/mixed; boundary=b")
    assert (await client("GET", "accounts")).value == []


async def test_faults_are_switched_over_http(client: Client) -> None:
    control = f"{client.server.url}/_emulator/faults"
    added = await client("POST", control, {"kind": "unavailable", "times": 2, "path": "^WhoAmI"})
    assert added.json[0]["kind"] == "unavailable"
    assert (await client("GET", "WhoAmI")).status == 503
    assert [one["times"] for one in (await client("GET", control)).json] == [1]
    assert (await client("DELETE", control)).json == []
    assert (await client("GET", "WhoAmI")).status == 200
    for wrong in (
        {"kind": "nonsense"},
        {},
        {"kind": "delay", "path": "("},
        {"kind": "delay", "x": 1},
    ):
        assert (await client("POST", control, wrong)).status == 400


async def test_the_trace_lists_requests_and_what_was_unsupported(client: Client) -> None:
    await client("GET", "WhoAmI")
    await client("GET", "accounts?$apply=compute(x)")
    report = (await client("GET", f"{client.server.url}/_emulator/trace")).json
    assert [(one["method"], one["url"], one["status"]) for one in report["requests"]] == [
        ("GET", "WhoAmI", 200),
        ("GET", "accounts?$apply=compute(x)", 501),
    ]
    assert report["unsupported"] == ["the emulator does not support compute() in $apply"]
    assert (await client("GET", f"{client.server.url}/_emulator/nonsense")).status == 404


async def test_a_reset_forgets_what_happened(client: Client) -> None:
    await client.create("accounts", ACCOUNT)
    client.server.faults.add(Fault(FaultKind.UNAVAILABLE))
    answer = await client("POST", f"{client.server.url}/_emulator/reset")
    assert answer.json == {"rows": False}
    assert client.server.trace == []
    assert (await client("GET", f"accounts({ID})")).status == 200


async def test_a_reset_renews_the_rows_where_it_can(dataverse: Dataverse) -> None:
    def renew() -> Dataverse:
        return Dataverse(clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))

    ann = dataverse.security.user_of("demo-token")
    assert ann is not None
    dataverse.create(ann, "account", {"name": "A"})
    async with EmulatorServer(dataverse, renew=renew) as server, aiohttp.ClientSession() as http:
        async with http.post(f"{server.url}/_emulator/reset") as reply:
            assert await reply.json() == {"rows": True}
        assert server.dataverse is not dataverse


async def test_a_delta_link_from_before_a_reset_has_expired(dataverse: Dataverse) -> None:
    """However much is written after it: what the link would miss cannot be told."""

    def renew() -> Dataverse:
        return Dataverse(clock=lambda: datetime(2026, 3, 1, 8, 0, tzinfo=UTC))

    ann = dataverse.security.user_of("demo-token")
    assert ann is not None
    dataverse.create(ann, "account", ACCOUNT)
    dataverse.delete(ann, "account", ID)
    before = dataverse.track(ann, "account").token
    async with EmulatorServer(dataverse, renew=renew) as server:
        assert server.reset()
        for _ in range(20):
            server.dataverse.create(ann, "account", {"name": "B"})
        with pytest.raises(DataverseFault, match="has expired"):
            server.dataverse.track(ann, "account", token=before)
        after = server.dataverse.track(ann, "account").token
        assert server.dataverse.track(ann, "account", token=after).rows == []
