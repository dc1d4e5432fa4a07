"""Conditional headers, and what else a write of one row obeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast_emulator.behaviour.dataverse import DuplicateRule, Operation

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client
    from holdfast.values import Cell, Reference
    from holdfast_emulator import Dataverse
    from holdfast_emulator.behaviour.security import User

ID = "0a0a0a0a-0000-4000-8000-000000000001"
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"
STALE = 'W/"1"'
EXISTS = (412, "0x80040237")
MOVED_ON = (412, "0x80060882")
AWAY = (404, "0x80040217")
DONE = (204, "")


@pytest.fixture(autouse=True)
async def rows(client: Client) -> None:
    """An account and a contact."""
    await client.create("accounts", {"accountid": ID, "name": "A", "fax": "1"})
    await client.create("contacts", {"contactid": ID, "lastname": "Bø"})


WRITES = {
    "patch": ("PATCH", "accounts({})", {"name": "B"}),
    "delete": ("DELETE", "accounts({})", None),
    "put": ("PUT", "accounts({})/name", {"value": "B"}),
    "clear": ("DELETE", "accounts({})/fax", None),
    "refer": ("PUT", "accounts({})/primarycontactid/$ref", {"@odata.id": f"contacts({ID})"}),
    "unrefer": ("DELETE", "accounts({})/primarycontactid/$ref", None),
    "add": (
        "POST",
        "accounts({})/contact_customer_accounts/$ref",
        {"@odata.id": f"contacts({ID})"},
    ),
    "take": ("DELETE", f"accounts({{}})/contact_customer_accounts({ID})/$ref", None),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    ("condition", "there", "away"),
    [
        (("If-None-Match", "null"), DONE, None),
        (("If-Match", "null"), DONE, None),
        (("If-Match", "*"), DONE, AWAY),
        (("If-Match", STALE), MOVED_ON, AWAY),
        (("If-Match", "current"), DONE, AWAY),
        (("If-None-Match", "*"), EXISTS, None),
        (("If-None-Match", STALE), DONE, None),
        (("If-None-Match", "current"), MOVED_ON, None),
        (("If-Match", "nonsense"), (400, "0x80060888"), (400, "0x80060888")),
        (("If-None-Match", "nonsense"), (400, "0x80060888"), (400, "0x80060888")),
    ],
)
async def test_every_write_obeys_its_conditions(
    client: Client,
    write: str,
    condition: tuple[str, str],
    there: tuple[int, str],
    away: tuple[int, str] | None,
) -> None:
    """Without a condition of its own a missing row is created by PATCH, and else missing."""
    method, target, body = WRITES[write]
    header, value = condition
    if value == "current":
        value = (await client("GET", f"accounts({ID})")).headers["ETag"]
    expected = away or (DONE if write == "patch" else AWAY)
    for row, outcome in ((MISSING, expected), (ID, there)):
        answer = await client(method, target.format(row), body, **{header: value})
        code = answer.code if answer.json else ""
        assert (answer.status, code) == outcome, answer.text


async def test_a_read_obeys_a_condition(client: Client) -> None:
    current = (await client("GET", f"accounts({ID})")).headers["ETag"]
    stale = await client("GET", f"accounts({ID})", If_Match=STALE)
    assert (stale.status, stale.code) == MOVED_ON
    assert (await client("GET", f"accounts({ID})", If_Match=current)).status == 200
    assert (await client("GET", f"accounts({ID})", If_None_Match=current)).status == 304


@pytest.mark.parametrize(
    ("header", "status"), [({"If_Match": STALE}, 400), ({"If_Match": "*"}, 400),
                           ({"If_None_Match": STALE}, 400), ({"If_None_Match": "null"}, 204),
                           ({"If_None_Match": "*"}, 204)],
)  # fmt: skip
async def test_a_create_has_no_condition_on_a_version(
    client: Client, header: dict[str, str], status: int
) -> None:
    assert (await client("POST", "accounts", {"name": "B"}, **header)).status == status


async def test_duplicates_are_detected_on_demand(client: Client, dataverse: Dataverse) -> None:
    dataverse.duplicate_rules.append(DuplicateRule("names", "account", ("name",)))
    header = {"MSCRM.SuppressDuplicateDetection": "false"}
    for method, target in (("POST", "accounts"), ("PATCH", f"accounts({MISSING})")):
        found = await client(method, target, {"name": "a"}, **header)
        assert (found.status, found.code) == (412, "0x80040333")
    for value in ("true", "null"):
        suppressed = {"MSCRM.SuppressDuplicateDetection": value}
        assert (await client("POST", "accounts", {"name": "A"}, **suppressed)).status == 204
    assert (await client("PATCH", f"accounts({ID})", {"name": "A"}, **header)).status == 204


async def test_state_and_owner_beside_other_columns_are_two_messages(
    client: Client, dataverse: Dataverse
) -> None:
    heard: list[list[str]] = []

    def rule(
        _: User, table: str, values: dict[str, Cell | Reference], operation: Operation
    ) -> None:
        if table == "account" and operation is Operation.UPDATE:
            heard.append(sorted(values))

    dataverse.rules.append(rule)
    team = await client.create("teams", {"name": "T"})
    body = {"name": "B", "statecode": 1, "ownerid@odata.bind": f"teams({team})"}
    assert (await client("PATCH", f"accounts({ID})", body)).status == 204
    assert heard == [["name"], ["ownerid", "statecode"]]
    row = (await client("GET", f"accounts({ID})")).json
    assert (row["name"], row["statecode"], row["statuscode"]) == ("B", 1, 2)
    assert (row["_ownerid_value"], row["_owninguser_value"]) == (team, None)
    heard.clear()
    await client("PATCH", f"accounts({ID})", {"statecode": 0})
    assert heard == [["statecode"]]


@pytest.mark.parametrize(
    ("column", "sent", "kept"),
    [
        ("birthdate", "1990-05-06", "1990-05-06"),
        ("birthdate", "1990-05-06T08:00:00", "1990-05-06"),
        ("birthdate", "1990-05-06T08:00:00.123", "1990-05-06"),
        ("birthdate", "1990-05-06T08:00:00Z", "1990-05-06"),
    ],
)
async def test_a_day_may_be_written_as_a_local_time(
    client: Client, column: str, sent: str, kept: str
) -> None:
    assert (await client("PATCH", f"contacts({ID})", {column: sent})).status == 204
    assert (await client("GET", f"contacts({ID})")).json[column] == kept


async def test_what_only_the_server_writes_is_passed_over(client: Client) -> None:
    body = {"fullname": "x", "createdon": 7, "versionnumber": "x", "lastname": "Aas"}
    assert (await client("PATCH", f"contacts({ID})", body)).status == 204
    row = (await client("GET", f"contacts({ID})")).json
    assert (row["fullname"], row["createdon"]) == ("Aas", "2026-03-01T08:00:00Z")


async def test_an_update_is_returned_as_asked_for(client: Client) -> None:
    answer = await client(
        "PATCH", f"accounts({ID})?$select=name", {"name": "B"}, Prefer="return=representation"
    )
    assert (answer.status, answer.json["name"]) == (200, "B")
    assert answer.headers["ETag"] == answer.json["@odata.etag"]
    assert set(answer.json) == {"@odata.context", "@odata.etag", "name", "accountid"}
    assert answer.headers["Preference-Applied"] == "return=representation"
    assert "OData-EntityId" not in answer.headers


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("_primarycontactid_value", 400),
        ("primarycontactid", 400),
        ("Account_Tasks", 400),
        ("nonsense", 404),
    ],
)
async def test_a_pointer_is_no_single_property(
    client: Client, method: str, name: str, status: int
) -> None:
    body = {"value": ID} if method == "PUT" else None
    assert (await client(method, f"accounts({ID})/{name}", body)).status == status


async def test_what_is_shown_is_checked_before_anything_is_written(client: Client) -> None:
    for method, target in (("POST", "accounts"), ("PATCH", f"accounts({ID})")):
        answer = await client(
            method, f"{target}?$select=nonsense", {"name": "B"}, Prefer="return=representation"
        )
        assert answer.status == 400
    assert [row["name"] for row in (await client("GET", "accounts")).value] == ["A"]


async def test_nothing_is_expanded_after_an_update(client: Client) -> None:
    answer = await client(
        "PATCH",
        f"accounts({ID})?$select=name&$expand=primarycontactid",
        {"primarycontactid@odata.bind": f"contacts({ID})"},
        Prefer="return=representation",
    )
    assert answer.status == 200
    assert "primarycontactid" not in answer.json


async def test_a_property_is_not_cleared_by_mistake(client: Client) -> None:
    assert (await client("PUT", f"accounts({ID})/fax", {"Value": "2"})).status == 400
    assert (await client("PUT", f"accounts({ID})/fax", {"value": None})).status == 204
    assert (await client("GET", f"accounts({ID})")).json["fax"] is None
