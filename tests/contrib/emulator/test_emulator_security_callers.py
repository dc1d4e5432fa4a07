"""Signing in, impersonating others, passing plug-ins by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from contrib.emulator.conftest import Client
from holdfast.values import Cell, Reference
from holdfast_emulator import Dataverse, EmulatorServer
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.ledger import Operation
from holdfast_emulator.behaviour.people import NewUser
from holdfast_emulator.behaviour.security import Depth, Grant, Privilege, User

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"
ENTRA = "e39c5d16-675b-48d1-8e67-667427e9c084"
BYPASS = "MSCRM.BypassCustomPluginExecution"
LOGIC = "MSCRM.BypassBusinessLogicExecution"


@pytest.fixture
def ann(dataverse: Dataverse) -> User:
    ann = dataverse.security.user_of("demo-token")
    assert ann
    return ann


@pytest.fixture
def kari(dataverse: Dataverse) -> User:
    return dataverse.people.add_user(NewUser("Kari Nordmann", "kari", entra_id=ENTRA))


async def as_other(client: Client, header: str, value: str, token: str = "demo-token") -> str:
    answer = await client("GET", "WhoAmI", token=token, **{header: value})
    return str(answer.json["UserId"]) if answer.status == 200 else f"{answer.status} {answer.code}"


async def test_both_headers_impersonate(client: Client, kari: User) -> None:
    assert await as_other(client, "CallerObjectId", ENTRA.upper()) == kari.id
    assert await as_other(client, "MSCRMCallerID", f"{{{kari.id}}}") == kari.id


async def test_what_is_written_for_another_names_both(
    client: Client, ann: User, kari: User
) -> None:
    made = await client("POST", "accounts", {"name": "A"}, CallerObjectId=ENTRA)
    url = made.headers["OData-EntityId"]
    row = (await client("GET", url)).json
    names = ("_createdby_value", "_createdonbehalfby_value", "_ownerid_value")
    assert [row[name] for name in names] == [kari.id, ann.id, kari.id]
    assert (row["_modifiedby_value"], row["_modifiedonbehalfby_value"]) == (kari.id, ann.id)
    await client("PATCH", url, {"name": "B"})
    row = (await client("GET", url)).json
    assert (row["_modifiedby_value"], row["_modifiedonbehalfby_value"]) == (ann.id, None)
    assert row["_createdonbehalfby_value"] == ann.id


@pytest.mark.usefixtures("kari")
async def test_who_impersonates_needs_the_privilege(
    client: Client, dataverse: Dataverse, ann: User
) -> None:
    refused = await client("GET", "WhoAmI", token="office-token", CallerObjectId=ENTRA)
    assert (refused.status, refused.code) == (403, "0x80040220")
    assert "is missing prvActOnBehalfOfAnotherUser privilege" in refused.text
    bo = dataverse.security.user_of("office-token")
    assert bo
    assert await as_other(client, "MSCRMCallerID", bo.id, "office-token") == bo.id, "themselves"
    dataverse.security.grants.give(bo.id, Grant.ACT_ON_BEHALF)
    assert await as_other(client, "MSCRMCallerID", ann.id, "office-token") == ann.id
    dataverse.security.grants.take(bo.id, Grant.ACT_ON_BEHALF)
    assert await as_other(client, "MSCRMCallerID", ann.id, "office-token") == "403 0x80040220"


async def test_whom_nobody_knows_nobody_impersonates(
    client: Client, dataverse: Dataverse, kari: User
) -> None:
    assert await as_other(client, "CallerObjectId", MISSING) == "403 0x80072560"
    assert await as_other(client, "MSCRMCallerID", MISSING) == "404 0x80040217"
    for value in ("", "x", "null", "7"):
        assert await as_other(client, "CallerObjectId", value) == "400 0x80060888"
    dataverse.update(dataverse.system, "systemuser", kari.id, {"isdisabled": True})
    assert await as_other(client, "CallerObjectId", ENTRA) == "403 0x80040225"


async def test_privileges_are_those_of_both(
    client: Client, dataverse: Dataverse, ann: User, kari: User
) -> None:
    dataverse.security.limit(ann, "account", Depth.NONE, [Privilege.CREATE])
    dataverse.security.limit(kari, "account", Depth.BASIC, [Privilege.READ])
    refused = await client("POST", "accounts", {"name": "A"}, CallerObjectId=ENTRA)
    assert (refused.status, refused.code) == (403, "0x80040220")
    await client("POST", "accounts", {"name": "Bo's"}, token="office-token")
    assert (await client("GET", "accounts", CallerObjectId=ENTRA)).value == []
    assert len((await client("GET", "accounts")).value) == 1


async def test_the_parts_of_a_batch_impersonate_one_by_one(
    client: Client, ann: User, kari: User
) -> None:
    def part(*headers: str) -> str:
        lines = ["--b", "Content-Type: application/http", "", "GET WhoAmI HTTP/1.1", *headers]
        return "\r\n".join([*lines, "", ""])

    body = part(f"CallerObjectId: {ENTRA}") + part() + "\r\n--b--"
    kind = "multipart/mixed; boundary=b"
    answer = await client("POST", "$batch", data=body, Content_Type=kind)
    assert answer.text.index(kari.id) < answer.text.index(ann.id)
    whole = await client("POST", "$batch", data=body, Content_Type=kind, MSCRMCallerID=kari.id)
    assert whole.text.count(kari.id) == 2


def stamp(_user: User, _table: str, values: dict[str, Cell | Reference], _what: Operation) -> None:
    values["description"] = "stamped"


async def test_plug_ins_are_passed_by_where_a_header_says_so(
    client: Client, dataverse: Dataverse
) -> None:
    dataverse.rules.append(stamp)

    async def made(token: str = "demo-token", **headers: str) -> object:
        answer = await client(
            *("POST", "accounts?$select=description", {"name": "A"}),
            token=token,
            Prefer="return=representation",
            **headers,
        )
        return answer.json["description"] if answer.status == 201 else (answer.status, answer.code)

    assert await made() == "stamped"
    assert await made(**{BYPASS: "true"}) is None
    assert await made(**{BYPASS: "false"}) == "stamped"
    assert await made(**{LOGIC: "CustomSync,CustomAsync"}) is None
    assert await made(**{LOGIC: "CustomAsync"}) == "stamped", "plug-ins are synchronous here"
    assert await made(**{BYPASS: "maybe"}) == (400, "0x80060888")
    assert await made(**{LOGIC: "Everything"}) == (400, "0x80060888")
    for header in ({BYPASS: "true"}, {LOGIC: "CustomSync"}):
        assert await made("office-token", **header) == (403, "0x80040220")
    steps = {"MSCRM.BypassBusinessLogicExecutionStepIds": MISSING}
    assert await made(**steps) == (501, "0x80004001")
    ignored = {"MSCRM.SuppressCallbackRegistrationExpanderJob": "true"}
    assert await made(**ignored, **{"MSCRM.SolutionUniqueName": "x"}) == "stamped"


async def test_a_delete_passes_plug_ins_by_too(client: Client, dataverse: Dataverse) -> None:
    def forbid(_user: User, _table: str, _values: object, what: Operation) -> None:
        if what is Operation.DELETE:
            raise DataverseFault(400, "0x80040265", "no")

    row = await client.create("accounts", {"name": "A"})
    dataverse.rules.append(forbid)
    assert (await client("DELETE", f"accounts({row})")).code == "0x80040265"
    assert (await client("DELETE", f"accounts({row})", **{BYPASS: "true"})).status == 204


async def test_who_is_not_a_user_is_told_so(client: Client, dataverse: Dataverse) -> None:
    dataverse.security.admit("stranger", User(MISSING, "Stranger", ""))
    answer = await client("GET", "WhoAmI", token="stranger")
    assert (answer.status, answer.code) == (403, "0x80072560")
    assert answer.json["error"]["message"] == "The user is not a member of the organization."


async def test_a_disabled_user_is_told_so(client: Client, dataverse: Dataverse, kari: User) -> None:
    assert (await client("GET", "WhoAmI", token="kari")).status == 200
    await client("PATCH", f"systemusers({kari.id})", {"isdisabled": True})
    answer = await client("GET", "WhoAmI", token="kari")
    assert (answer.status, answer.code) == (403, "0x80040225")
    assert dataverse.security.user_of("kari"), "the token is good; the user is not"


async def test_an_application_user_is_a_user(client: Client, dataverse: Dataverse) -> None:
    dataverse.people.add_user(NewUser("Robot", "robot", application_id=ENTRA))
    me = (await client("GET", "WhoAmI", token="robot")).json["UserId"]
    row = (await client("GET", f"systemusers({me})")).json
    assert row["applicationid"] == ENTRA


@dataclass
class Hours:
    """A clock that a test turns."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
async def timed(hours: Hours) -> AsyncIterator[Client]:
    org = Dataverse(clock=hours)
    org.people.add_user(NewUser("Kari", "kari", lifetime=timedelta(minutes=60)))
    async with EmulatorServer(org) as server, aiohttp.ClientSession() as session:
        yield Client(session, server)


async def test_a_token_lives_as_long_as_it_lives(timed: Client, hours: Hours) -> None:
    assert (await timed("GET", "WhoAmI", token="kari")).status == 200
    hours.now += timedelta(minutes=60)
    answer = await timed("GET", "WhoAmI", token="kari")
    assert answer.status == 401
    assert "Bearer" in answer.headers["WWW-Authenticate"]
    security = timed.server.dataverse.security
    renewed = security.directory.user(security.tokens.user_ids()[-1])
    assert renewed
    security.admit("kari", renewed, timedelta(minutes=60))
    assert (await timed("GET", "WhoAmI", token="kari")).status == 200
    assert (await timed("GET", "WhoAmI", token="demo-token")).status == 200, "it never expires"


async def test_a_user_belongs_to_a_unit(client: Client, dataverse: Dataverse) -> None:
    north = dataverse.people.add_unit("North")
    dataverse.add_user("Nils", token="nils", business_unit=north)
    me = (await client("GET", "WhoAmI", token="nils")).json
    assert me["BusinessUnitId"] == north
    made = await client("POST", "accounts", {"name": "A"}, token="nils")
    row = (await client("GET", made.headers["OData-EntityId"])).json
    assert row["_owningbusinessunit_value"] == north
