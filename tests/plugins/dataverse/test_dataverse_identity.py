"""Whose days, fiscal years and people the caller's filters mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from aiohttp import web

from holdfast.model import CALENDAR_YEAR, FiscalCalendar, FiscalPeriod
from holdfast.values import Reference
from holdfast_dataverse._identity import iana_name
from support.dataverse import TOKEN, World, account_id, stub, transport_to

USER, ORGANIZATION = account_id(1), account_id(2)
TEAMS, SETTINGS, ORGANIZATIONS, REPORTS = range(4)


def test_a_time_zone_of_windows_has_a_name_elsewhere() -> None:
    assert iana_name("W. Europe Standard Time") == "Europe/Berlin"
    assert iana_name("Middle-earth Standard Time") is None
    assert iana_name(17) is None


async def test_the_settings_of_the_caller_are_read(world: World) -> None:
    org = world.dataverse
    user = org.security.user_of(TOKEN)
    assert user is not None
    own = {"systemuserid": user.id, "uilanguageid": 1044, "timezonecode": 110}
    org.create(org.system, "usersettings", own)
    fiscal = {"fiscalcalendarstart": "2026-04-01T00:00:00", "fiscalperiodtype": 2003}
    org.update(org.system, "organization", org.organization_id, fiscal)
    below = org.create(org.system, "systemuser", {"parentsystemuserid": as_user(user.id)}).id
    async with world.open() as transport:
        caller = await transport.identity()
    assert caller.language == 1044
    assert caller.fiscal == FiscalCalendar(4, 1, FiscalPeriod.MONTHLY)
    assert caller.reports == (below,)


def as_user(user_id: str) -> Reference:
    return Reference("systemuser", user_id)


class Server:
    """Answers the questions of an identity as it is told, and counts them."""

    def __init__(self, **parts: object) -> None:
        self.parts: Mapping[str, object] = parts
        self.zones: object = {"value": [{"standardname": "Tokyo Standard Time"}]}
        self.requests: list[str] = []

    async def give(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path.rpartition("/")[2])
        match self.requests[-1]:
            case "WhoAmI":
                return web.json_response({"UserId": USER, "OrganizationId": ORGANIZATION})
            case "timezonedefinitions":
                return answer(self.zones)
            case "$batch":
                return self.batch()
            case _:
                return web.json_response({"value": [{"teamid": account_id(9)}]})

    def batch(self) -> web.Response:
        names = ("teams", "settings", "organizations", "reports")
        parts = [answered(self.parts.get(name, 404)) for name in names]
        body = "".join(f"--batchresponse_b\r\n{part}\r\n" for part in parts)
        kind = "multipart/mixed; boundary=batchresponse_b"
        return web.Response(text=body + "--batchresponse_b--\r\n", headers={"Content-Type": kind})


def answer(given: object) -> web.Response:
    return web.Response(status=given) if isinstance(given, int) else web.json_response(given)


def answered(given: object) -> str:
    status, body = (given, "{}") if isinstance(given, int) else (200, json.dumps(given))
    return (
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\r\n{body}"
    )


async def test_a_later_question_of_the_session_costs_what_it_did() -> None:
    server = Server(settings={"timezonecode": 235, "uilanguageid": 0, "localeid": 1041})
    async with stub(server.give) as http, transport_to(http.url) as transport:
        first = await transport.identity()
        assert server.requests == ["WhoAmI", "$batch", "timezonedefinitions"]
        server.requests.clear()
        later = await transport.identity()
        assert server.requests == ["WhoAmI", "teammembership_association"]
    assert (first.time_zone, first.language) == ("Asia/Tokyo", 1041)
    assert (later.time_zone, later.language) == ("Asia/Tokyo", 1041)
    assert later.teams == (account_id(9),), "teams are asked for every time"


@pytest.mark.parametrize(
    "parts",
    [
        {},
        dict.fromkeys(("teams", "settings", "organizations", "reports"), 403),
        {"settings": ["no object"], "organizations": {"value": 3}, "reports": {"value": [3, {}]}},
        {
            "settings": {"timezonecode": "x", "uilanguageid": True},
            "organizations": {"value": [{"organizationid": ORGANIZATION, "fiscalperiodtype": 7}]},
            "reports": {"value": [{"systemuserid": "nobody"}]},
        },
    ],
)
async def test_what_is_not_told_is_as_in_a_new_organisation(parts: dict[str, Any]) -> None:
    server = Server(**parts)
    async with stub(server.give) as http, transport_to(http.url) as transport:
        caller = await transport.identity()
    assert (caller.organization, caller.user) == (ORGANIZATION, USER)
    assert (caller.language, caller.time_zone, caller.reports) == (None, "UTC", ())
    assert caller.fiscal == CALENDAR_YEAR


async def test_a_zone_that_nobody_knows_is_utc() -> None:
    server = Server(settings={"timezonecode": 1})
    told: list[object] = [404, {"value": []}, {"value": [{"standardname": "Nowhere"}]}]
    for zones in (*told, {"value": [{}]}):
        server.zones = zones
        async with stub(server.give) as http, transport_to(http.url) as transport:
            assert (await transport.identity()).time_zone == "UTC"


def test_the_first_day_of_a_fiscal_year_is_read() -> None:
    from holdfast_dataverse._identity import _day

    assert _day("2026-07-01T00:00:00Z") == date(2026, 7, 1)
    assert _day(None) == date(2000, 1, 1)
