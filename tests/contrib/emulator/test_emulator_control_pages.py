"""The control pages: schedules of faults, trace, clock, limits, rules, users, delta tokens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from holdfast_emulator import Dataverse, Fault, FaultKind, Limits
from holdfast_emulator.behaviour.clock import VirtualClock
from holdfast_emulator.control.injection import Asked, FaultPlan
from holdfast_emulator.control.limits import ServiceProtection

if TYPE_CHECKING:
    from contrib.emulator.conftest import Answer, Client

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


async def page(client: Client, method: str, name: str, body: object = None) -> Answer:
    """Ask a control page."""
    return await client(method, f"{client.server.url}/_emulator/{name}", body, token=None)


async def test_the_pages_list_themselves(client: Client) -> None:
    listed = (await page(client, "GET", "")).json
    assert "PUT /_emulator/baselines/{name}" in listed
    assert (await page(client, "GET", "nonsense")).json["pages"] == listed
    for one in listed:
        method, _, path = one.partition(" ")
        url = client.server.url + path.replace("{name}", "nobody")
        if one == "GET /_emulator/snapshot":
            continue  # no text
        assert (await client(method, url)).status in (200, 400, 404), one


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b'{"x":1}', b"\xff", b"[" * 100_000])
async def test_nonsense_is_a_400_on_every_page(client: Client, body: bytes) -> None:
    listed = (await page(client, "GET", "")).json
    await page(client, "PUT", "baselines/any")
    for one in listed:
        method, _, path = one.partition(" ")
        if method in ("GET", "DELETE") or path == "/_emulator/baselines/{name}":
            continue
        url = client.server.url + path.replace("{name}", "any")
        assert (await client(method, url, data=body)).status == 400, one


# schedules


async def statuses(client: Client, *targets: str, token: str = "demo-token") -> list[int]:
    return [(await client("GET", target, token=token)).status for target in targets]


async def test_a_fault_may_be_meant_for_a_table(client: Client) -> None:
    await page(client, "POST", "faults", {"kind": "unavailable", "table": "contact", "times": None})
    found = await statuses(client, "contacts", "contacts/$count", "accounts", "contacts?$top=1")
    assert found == [503, 503, 200, 503]


@pytest.mark.parametrize("by", ["id", "name"])
async def test_a_fault_may_be_meant_for_a_user(client: Client, by: str) -> None:
    bo = client.server.dataverse.security.user_of("office-token")
    assert bo is not None
    client.server.faults.add(Fault(FaultKind.UNAVAILABLE, user=getattr(bo, by), times=None))
    assert await statuses(client, "WhoAmI") == [200]
    assert await statuses(client, "WhoAmI", token="office-token") == [503]


async def test_a_fault_may_begin_at_a_time_of_the_clock(client: Client) -> None:
    begin = (NOW + timedelta(hours=1)).isoformat()
    await page(client, "POST", "faults", {"kind": "unavailable", "since": begin})
    assert await statuses(client, "WhoAmI") == [200]
    await page(client, "PUT", "clock", {"advance": 3600})
    assert await statuses(client, "WhoAmI", "WhoAmI") == [503, 200]


def test_chance_has_a_seed() -> None:
    def struck(seed: int) -> list[bool]:
        plan = FaultPlan()
        plan.add(Fault(FaultKind.DELAY, times=None, probability=0.3, seed=seed))
        return [bool(plan.strike(Asked("GET", "accounts", NOW))) for _ in range(200)]

    assert struck(1) == struck(1) != struck(2)
    assert 30 < sum(struck(1)) < 90


def test_every_nth_and_skip_and_times_count_together() -> None:
    plan = FaultPlan()
    plan.add(Fault(FaultKind.DELAY, times=2, skip=1, every=3))
    struck = [bool(plan.strike(Asked("GET", "x", NOW))) for _ in range(12)]
    assert [number for number, hit in enumerate(struck) if hit] == [3, 6]
    assert plan.pending == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"every": 0},
        {"skip": -1},
        {"probability": 2},
        {"seconds": -1},
        {"seconds": 1e18},
        {"retry_after": -1},
        {"retry_after": 10**18},
        {"url": "http://x/\r\nSet-Cookie: a=b"},
        {"size": 1 << 40},
        {"status": 99},
        {"since": "2026-01-01T00:00:00"},
        {"times": 0},
        {"path": "("},
        {"operations": -1},
        {"kind": "restore-backup"},
    ],
)
async def test_a_schedule_that_makes_no_sense_is_refused(
    client: Client, wrong: dict[str, Any]
) -> None:
    answer = await page(client, "POST", "faults", {"kind": "delay"} | wrong)
    assert answer.status == 400
    assert answer.json["error"]
    assert (await page(client, "GET", "faults")).json == []


# trace


async def test_the_trace_can_be_searched(client: Client) -> None:
    await client("GET", "accounts?unknown=x")
    await client("GET", "WhoAmI", token="office-token")
    await client("POST", "accounts", {"name": "A"})
    client.server.faults.add(Fault(FaultKind.UNAVAILABLE))
    await client("GET", "contacts")

    async def found(query: str) -> list[str]:
        answer = await page(client, "GET", f"trace?{query}")
        return [one["url"] for one in answer.json["requests"]]

    assert await found("user=Bo%20Office") == ["WhoAmI"]
    assert await found("method=post") == ["accounts"]
    assert await found("path=%5Ecount|contacts") == ["contacts"]
    assert await found("fault=unavailable&status=503") == ["contacts"]
    assert await found("since=3") == ["contacts"]
    assert await found("unsupported=false&method=GET") == ["WhoAmI", "contacts"]
    numbers = ("status=high", "wait=-1", "wait=x", "seconds=nan", "status=1&status=2")
    for wrong in ("x=1", "path=(", *numbers):
        assert (await page(client, "GET", f"trace?{wrong}")).status == 400, wrong
    assert (await page(client, "DELETE", "trace")).json == {"count": 0}
    assert await found("") == []


async def test_the_trace_knows_bytes_ids_and_parts(client: Client) -> None:
    part = "--b\r\nContent-Type: application/http\r\n\r\nGET accounts HTTP/1.1\r\n\r\n"
    answer = await client(
        "POST", "$batch", data=part * 2 + "--b--", Content_Type="multipart/mixed; boundary=b"
    )
    first, second, whole = client.server.trace
    assert (whole["parts"], whole["batch"], first["batch"]) == (2, False, True)
    assert whole["received"] == len(part * 2 + "--b--")
    assert whole["sent"] == int(str(answer.headers["Content-Length"]))
    assert first["request_id"] == second["request_id"] == answer.headers["x-ms-service-request-id"]
    assert [one["number"] for one in (first, second, whole)] == [1, 2, 3]


async def test_somebody_may_wait_for_requests(client: Client) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(page(client, "GET", "trace?path=accounts&wait=2"))
        for _ in range(2):
            await client("GET", "WhoAmI")
            await client("GET", "accounts")
    assert waiting.result().json["count"] == 2
    late = await page(client, "GET", "trace?path=contacts&wait=1&seconds=0.01")
    assert late.json["count"] == 0


async def test_what_was_refused_is_in_the_trace_too(client: Client) -> None:
    await client("GET", "WhoAmI", token="nobody")
    assert [(one["url"], one["status"]) for one in client.server.trace] == [("WhoAmI", 401)]


# clock


async def test_the_clock_is_set_stopped_moved_and_let_go(client: Client) -> None:
    assert (await page(client, "GET", "clock")).json["set"] is False
    later = "2027-01-01T00:00:00Z"
    told = (await page(client, "PUT", "clock", {"now": later, "running": False})).json
    assert told == {"now": later, "running": False, "speed": 1.0, "set": True}
    await page(client, "PUT", "clock", {"advance": 90.5})
    made = await client.create("accounts", {"name": "A"})
    row = await client("GET", f"accounts({made})?$select=createdon")
    assert row.json["createdon"] == "2027-01-01T00:01:30Z"
    assert (await page(client, "DELETE", "clock")).json["now"] == "2026-03-01T08:00:00Z"
    for wrong in (
        *({"now": "noon"}, {"now": "2027-01-01T00:00:00"}, {"speed": 0}, {"advance": 1e20}),
        *({"now": later, "advance": 1e20}, {"now": later, "advance": 1e12}, {"now": 1}),
    ):
        assert (await page(client, "PUT", "clock", wrong)).status == 400, wrong
    assert (await page(client, "GET", "clock")).json["set"] is False


def test_a_clock_that_runs_follows_the_one_below_at_its_own_speed() -> None:
    below = [NOW]
    clock = VirtualClock(lambda: below[0])
    clock.set(NOW + timedelta(days=1), speed=60)
    below[0] += timedelta(seconds=10)
    assert clock() == NOW + timedelta(days=1, minutes=10)
    clock.set(running=False)
    below[0] += timedelta(seconds=10)
    assert clock() == NOW + timedelta(days=1, minutes=10)
    clock.follow()
    assert clock() == below[0]


async def test_a_delta_token_expires_by_the_clock(client: Client) -> None:
    start = await client("GET", "accounts", Prefer="odata.track-changes")
    link = start.json["@odata.deltaLink"]
    assert (await page(client, "PUT", "changes", {"days": 2})).json["days"] == 2
    assert (await client("GET", link)).status == 200
    await page(client, "PUT", "clock", {"advance": 2 * 86400 + 1})
    assert (await client("GET", link)).code == "0x80044352"
    assert (await page(client, "PUT", "changes", {"days": -1})).status == 400


async def test_the_clock_is_set_and_moved_in_one_request(client: Client) -> None:
    both = {"now": "2027-01-01T00:00:00Z", "advance": 60, "running": False}
    assert (await page(client, "PUT", "clock", both)).json["now"] == "2027-01-01T00:01:00Z"


async def test_all_delta_tokens_expire_at_once(client: Client) -> None:
    start = await client("GET", "accounts", Prefer="odata.track-changes")
    await page(client, "DELETE", "changes")
    assert (await client("GET", start.json["@odata.deltaLink"])).code == "0x80044352"


async def test_a_wait_ends_when_the_clock_was_moved_far_enough(client: Client) -> None:
    await page(client, "PUT", "clock", {"running": False})
    client.server.faults.add(Fault(FaultKind.DELAY, seconds=3600, path="WhoAmI"))
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(client("GET", "WhoAmI"))
        while client.server.faults.pending:
            await client("GET", "accounts")
        await page(client, "PUT", "clock", {"advance": 3599})
        assert not slow.done()
        await page(client, "PUT", "clock", {"advance": 1})
    assert slow.result().status == 200


# limits


async def test_limits_are_set_at_run_time_and_slide_by_the_clock(client: Client) -> None:
    assert (await page(client, "GET", "limits")).json["requests"] == 6000
    told = await page(client, "PUT", "limits", {"requests": 2, "window": 60})
    assert told.json == {"requests": 2, "execution": 1200.0, "window": 60.0, "concurrent": 52}
    assert await statuses(client, "WhoAmI", "WhoAmI", "WhoAmI") == [200, 200, 429]
    refused = await client("GET", "WhoAmI")
    assert refused.code == "0x80072322"
    assert "limit of 2 over time window of 60 seconds" in refused.text
    await page(client, "PUT", "clock", {"advance": int(refused.headers["Retry-After"])})
    assert await statuses(client, "WhoAmI") == [200]
    for wrong in ({"requests": -1}, {"window": 0}, {"speed": 1}, {"requests": "many"}):
        assert (await page(client, "PUT", "limits", wrong)).status == 400, wrong


async def test_no_one_at_all_may_be_let_in(client: Client) -> None:
    await page(client, "PUT", "limits", {"requests": 0})
    assert await statuses(client, "WhoAmI") == [429]
    await page(client, "PUT", "limits", {"requests": 10, "concurrent": 0})
    assert (await client("GET", "WhoAmI")).code == "0x80072326"


async def test_what_is_left_is_told(client: Client) -> None:
    headers = (await client("GET", "WhoAmI")).headers
    assert headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "5999"
    assert headers["x-ms-ratelimit-time-remaining-xrm-requests"] == "1,200.00"


def _asking(limits: Limits) -> tuple[ServiceProtection, list[float]]:
    now = [0.0]
    protection = ServiceProtection(limits, lambda: now[0])
    for _ in range(limits.requests):
        with protection.running("ann"):
            pass
    return protection, now


def _told(protection: ServiceProtection) -> int | None:
    refused = protection.refuse("ann")
    return None if refused is None else int(refused.headers["Retry-After"])


def test_who_keeps_pushing_waits_longer_and_who_waits_gets_through() -> None:
    protection, now = _asking(Limits(requests=3, window=10))
    now[0] = 6.0
    assert [_told(protection) for _ in range(4)] == [4, 5, 6, 7]
    now[0] += 7
    assert _told(protection) is None


def test_nobody_waits_longer_than_a_window() -> None:
    protection, _ = _asking(Limits(requests=1, window=5))
    assert [_told(protection) for _ in range(9)] == [5] * 9


def test_a_clock_that_was_set_back_forgets_who_asked() -> None:
    protection, now = _asking(Limits(requests=1, window=10))
    now[0] = -1000.0
    assert _told(protection) is None


# rules


async def rule(client: Client, name: str, **given: object) -> Answer:
    return await page(client, "PUT", f"rules/{name}", {"table": "account"} | given)


@pytest.mark.parametrize(
    ("given", "sent", "kept"),
    [
        ({"what": "trim", "columns": ["name"]}, {"name": "  A "}, {"name": "A"}),
        ({"what": "upper", "columns": ["name"]}, {"name": "a"}, {"name": "A"}),
        (
            {"what": "round", "columns": ["revenue"], "digits": -2},
            {"name": "A", "revenue": 1250.55},
            {"revenue": 1300.0},
        ),
        (
            {"what": "round", "columns": ["revenue"], "digits": 28},
            {"name": "A", "revenue": 99999999999.25},
            {"revenue": 99999999999.25},
        ),
        (
            {"what": "set", "columns": ["numberofemployees"], "value": 7},
            {"name": "A", "numberofemployees": 1},
            {"numberofemployees": 7},
        ),
        (
            {"what": "default", "columns": ["description"], "value": "none"},
            {"name": "A"},
            {"description": "none"},
        ),
        (
            {"what": "default", "columns": ["description"], "value": "none"},
            {"name": "A", "description": "some"},
            {"description": "some"},
        ),
    ],
)
async def test_a_rule_changes_what_is_written(
    client: Client, given: dict[str, Any], sent: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert (await rule(client, "one", **given)).status == 200
    made = await client.create("accounts", sent)
    row = (await client("GET", f"accounts({made})")).json
    assert {name: row[name] for name in kept} == kept


async def test_a_rule_refuses(client: Client) -> None:
    await rule(client, "no", what="refuse", columns=["fax"], message="No fax.", code="0x80040266")
    assert (await client("POST", "accounts", {"name": "A"})).status == 204
    refused = await client("POST", "accounts", {"name": "A", "fax": "1"})
    assert (refused.status, refused.code) == (400, "0x80040266")
    assert refused.json["error"]["message"] == "No fax."
    made = await client.create("accounts", {"name": "A"})
    await rule(client, "keep", what="refuse", when=["delete"], status=403)
    assert (await client("DELETE", f"accounts({made})")).status == 403
    assert list((await page(client, "GET", "rules")).json) == ["no", "keep"]
    assert list((await page(client, "DELETE", "rules/keep")).json) == ["no"]
    assert (await client("DELETE", f"accounts({made})")).status == 204
    assert (await page(client, "DELETE", "rules/keep")).status == 404


async def test_a_rule_writes_to_rows_along_a_relationship(client: Client) -> None:
    account = await client.create("accounts", {"name": "A"})
    bind = {"parentcustomerid_account@odata.bind": f"/accounts({account})"}
    contact = await client.create("contacts", {"lastname": "B", **bind})
    along = {"relationship": "contact_customer_accounts", "when": ["update"]}
    await rule(client, "write", what="write", values={"jobtitle": "moved"}, **along)
    await client("PATCH", f"accounts({account})", {"name": "C"})
    assert (await client("GET", f"contacts({contact})")).json["jobtitle"] == "moved"
    await rule(client, "write", what="delete", **along)
    await client("PATCH", f"accounts({account})", {"name": "D"})
    assert (await client("GET", f"contacts({contact})")).status == 404


async def test_a_rule_creates_rows_that_point_to_the_row(client: Client) -> None:
    given = {"relationship": "contact_customer_accounts", "values": {"lastname": "Made"}}
    await rule(client, "create", what="create", when=["create"], **given)
    account = await client.create("accounts", {"name": "A"})
    [contact] = (await client("GET", "contacts")).value
    assert (contact["lastname"], contact["_parentcustomerid_value"]) == ("Made", account)


async def test_a_write_whose_rule_fails_is_undone(client: Client) -> None:
    given = {"relationship": "contact_customer_accounts", "values": {"lastname": "x" * 5000}}
    await rule(client, "create", what="create", when=["create"], **given)
    assert (await client("POST", "accounts", {"name": "A"})).status == 400
    assert (await client("GET", "accounts")).value == []


async def test_rules_that_cause_each_other_end(client: Client) -> None:
    given = {"relationship": "account_parent_account", "values": {"name": "child"}}
    made = await rule(client, "endless", what="create", when=["create"], **given)
    assert made.status == 200
    refused = await client("POST", "accounts", {"name": "A"})
    assert (refused.status, refused.code) == (400, "0x80044182")
    assert (await client("GET", "accounts")).value == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"what": "trim", "columns": ["nonsense"]},
        {"what": "trim", "columns": []},
        {"what": "write", "relationship": "nonsense"},
        {"what": "nonsense"},
        {"what": "trim", "table": "nonsense"},
        {"what": "refuse", "status": 200},
        {"what": "round", "digits": 99},
        {"what": "trim", "x": 1},
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(client: Client, wrong: dict[str, Any]) -> None:
    assert (await rule(client, "wrong", **wrong)).status == 400
    assert (await page(client, "GET", "rules")).json == {}


async def test_rules_belong_to_a_baseline(client: Client) -> None:
    await rule(client, "one", what="trim", columns=["name"])
    await page(client, "PUT", "baselines/start")
    await page(client, "DELETE", "rules/one")
    await page(client, "POST", "baselines/start")
    assert list((await page(client, "GET", "rules")).json) == ["one"]


# users


async def test_a_user_is_set_up_over_http(client: Client, dataverse: Dataverse) -> None:
    given = {
        "token": "cy-token",
        "depths": {"contact": "None", "account": {"Read": "Basic"}},
        "hidden": {"account": ["fax"]},
    }
    made = await page(client, "PUT", "users/Cy%20New", given)
    who = (await client("GET", "WhoAmI", token="cy-token")).json
    assert who["UserId"] == made.json["id"]
    assert await statuses(client, "contacts", "accounts", token="cy-token") == [403, 200]
    await client.create("accounts", {"name": "of Ann"})
    assert (await client("GET", "accounts", token="cy-token")).value == []
    own = await client("POST", "accounts", {"name": "mine"}, token="cy-token")
    assert own.status == 204
    refused = await client("POST", "accounts", {"name": "A", "fax": "1"}, token="cy-token")
    assert refused.status == 403
    listed = (await page(client, "GET", "users")).json
    assert [one["tokens"] for one in listed if one["name"] == "Cy New"] == [["cy-token"]]
    assert (await page(client, "DELETE", "users/Cy%20New")).status == 200
    assert await statuses(client, "WhoAmI", token="cy-token") == [401]
    assert (await page(client, "DELETE", "users/Cy%20New")).status == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"depths": {"nonsense": "None"}},
        {"depths": {"account": "Deepest"}},
        {"hidden": {"account": ["nonsense"]}},
        {"hidden": {"nonsense": ["name"]}},
        {"business_unit": "0a0a0a0a-0000-4000-8000-000000000001"},
        {"teams": ["0a0a0a0a-0000-4000-8000-000000000001"]},
        {"lifetime": 0},
        {"token": ""},
        {"token": " t"},
        {"x": 1},
    ],
)
async def test_a_user_who_makes_no_sense_is_refused(client: Client, wrong: dict[str, Any]) -> None:
    before = (await page(client, "GET", "users")).json
    assert (await page(client, "PUT", "users/Cy", {"token": "t"} | wrong)).status == 400
    assert (await page(client, "GET", "users")).json == before


async def test_a_token_lives_by_the_clock(client: Client) -> None:
    await page(client, "PUT", "users/Cy", {"token": "t", "lifetime": 3600})
    assert await statuses(client, "WhoAmI", token="t") == [200]
    await page(client, "PUT", "clock", {"advance": 3601})
    assert await statuses(client, "WhoAmI", token="t") == [401]
