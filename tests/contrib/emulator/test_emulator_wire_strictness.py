"""What would change the meaning of a request is obeyed or refused, never passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client
    from holdfast_emulator import Dataverse

ID = "0a0a0a0a-0000-4000-8000-000000000001"
STALE = 'W/"1"'
ATTRIBUTE = "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='industrycode')"


@pytest.fixture(autouse=True)
async def contact(client: Client) -> str:
    """An account, and a contact that it may point to."""
    await client.create("accounts", {"accountid": ID, "name": "A", "telephone1": "1"})
    return await client.create("contacts", {"contactid": ID, "lastname": "Bø"})


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "?nonsense=1"),
        ("GET", "WhoAmI?nonsense=1"),
        ("GET", "WhoAmI/UserId"),
        ("POST", "$batch?nonsense=1"),
        ("POST", "BulkDelete?nonsense=1"),
        ("GET", f"accounts({ID})/name?fetchXml=x"),
        ("GET", f"accounts({ID})/$value"),
        ("DELETE", f"accounts({ID})/telephone1?nonsense=1"),
        ("DELETE", f"accounts({ID})/primarycontactid/$ref?nonsense=1"),
        ("GET", "EntityDefinitions(LogicalName='account')/EntitySetName/$value"),
        ("GET", f"{ATTRIBUTE}/SchemaName/$value"),
    ],
)
async def test_what_is_below_and_behind_a_resource_is_not_passed_over(
    client: Client, method: str, target: str
) -> None:
    answer = await client(method, target)
    assert (answer.status, answer.code) == (501, "0x80004001"), answer.text


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("GET", "accounts", {"Accept": "application/json;odata.metadata=full"}),
        ("GET", "accounts", {"MSCRM_BypassBusinessLogicExecutionStepIds": ID}),
    ],
)
async def test_headers_that_would_change_the_answer_are_refused(
    client: Client, method: str, target: str, header: dict[str, str]
) -> None:
    named = {name.replace("MSCRM_", "MSCRM."): value for name, value in header.items()}
    body = None if method == "GET" else {"value": "B"} if method == "PUT" else {}
    assert (await client(method, target, body, **named)).status == 501
    assert (await client("GET", f"accounts({ID})")).json["name"] == "A"


@pytest.mark.parametrize(
    "query",
    [
        "fetchXml=<fetch><entity name='account'/></fetch>",
        "$apply=aggregate($count as n)",
        "sql=SELECT name FROM account",
    ],
)
async def test_what_cannot_be_tracked_is_refused_and_never_said_to_be(
    client: Client, query: str
) -> None:
    answer = await client("GET", f"accounts?{query}", Prefer="odata.track-changes")
    assert answer.status == 501
    row = await client("GET", f"accounts({ID})", Prefer="odata.track-changes,odata.maxpagesize=2")
    assert (row.status, row.headers.get("Preference-Applied")) == (200, None)


async def test_an_empty_select_selects_everything(client: Client) -> None:
    assert (await client("GET", "accounts?$select=")).value[0]["name"] == "A"


async def test_properties_and_references_obey_an_etag(client: Client) -> None:
    reference = {"@odata.id": f"contacts({ID})"}
    for method, target, body in (
        ("PUT", f"accounts({ID})/name", {"value": "B"}),
        ("DELETE", f"accounts({ID})/telephone1", None),
        ("PUT", f"accounts({ID})/primarycontactid/$ref", reference),
        ("DELETE", f"accounts({ID})/primarycontactid/$ref", None),
    ):
        answer = await client(method, target, body, If_Match=STALE)
        assert (answer.status, answer.code) == (412, "0x80060882")
    row = (await client("GET", f"accounts({ID})")).json
    assert (row["name"], row["telephone1"], row["_primarycontactid_value"]) == ("A", "1", None)


async def test_a_count_of_changes_cannot_be_filtered(client: Client) -> None:
    start = await client("GET", "accounts", Prefer="odata.track-changes")
    link = start.json["@odata.deltaLink"].replace("accounts?", "accounts/$count?")
    answer = await client("GET", f"{link}&$filter=name%20eq%20'x'")
    assert answer.status == 400
    assert "isn't supported when Change Tracking is enabled" in answer.json["error"]["message"]


async def test_a_delta_link_from_the_future_has_expired(client: Client) -> None:
    """It was given out before a reset: what it would miss cannot be known."""
    token = quote("999999999!03/01/2026 08:00:00")
    for resource in ("accounts", "accounts/$count"):
        answer = await client("GET", f"{client.root}{resource}?$deltatoken={token}")
        assert (answer.status, answer.code) == (400, "0x80044352")


async def test_a_secured_column_is_null_and_not_to_be_written(
    client: Client, dataverse: Dataverse
) -> None:
    ann = dataverse.security.user_of("demo-token")
    assert ann
    start = await client("GET", "accounts", Prefer="odata.track-changes")
    dataverse.secure("account", "telephone1", hidden_from=ann)
    read = await client("GET", f"accounts({ID})")
    listed = await client("GET", "accounts")
    await client("PATCH", f"accounts({ID})", {"fax": "2"})
    delta = await client("GET", start.json["@odata.deltaLink"])
    written = await client("PATCH", f"accounts({ID})", {"fax": "3"}, Prefer="return=representation")
    for row in (read.json, listed.value[0], delta.value[0], written.json):
        assert row["telephone1"] is None
    assert (await client("GET", f"accounts({ID})/telephone1")).status == 204
    refused = await client("PATCH", f"accounts({ID})", {"telephone1": "2", "fax": "9"})
    assert (refused.status, refused.code) == (403, "0x8004f507")
    seen = await client("GET", f"accounts({ID})", token="office-token")
    assert (seen.json["telephone1"], seen.json["fax"]) == ("1", "3")
    attribute = await client(
        "GET",
        "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='telephone1')"
        "?$select=IsSecured",
    )
    assert attribute.json["IsSecured"] is True


async def test_metadata_filters_may_be_grouped(client: Client) -> None:
    names = "(LogicalName eq 'account' or LogicalName eq 'contact')"
    for source in (
        names,
        f"({names})",
        f"{names} and IsCustomEntity eq false",
        "(LogicalName eq 'account') or (LogicalName eq 'contact')",
        "OwnershipType eq Microsoft.Dynamics.CRM.OwnershipTypes'UserOwned' and " + names,
    ):
        answer = await client("GET", f"EntityDefinitions?$select=LogicalName&$filter={source}")
        assert answer.status == 200, answer.text
        assert [one["LogicalName"] for one in answer.value] == ["account", "contact"]


@pytest.mark.parametrize(
    ("method", "target", "json"),
    [
        ("POST", "accounts/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": [], "Target": 1}),
        ("POST", "accounts/Microsoft.Dynamics.CRM.UpdateMultiple", {"Targets": [], "Target": 1}),
        ("POST", "accounts/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": [], "Target": 1}),
        ("POST", "BulkDelete", {"JobName": "a", "QuerySet": [], "Recurrence": "DAILY"}),
        ("POST", "GrantAccess", {"Principal": {}}),
        ("POST", "WinOpportunity", {"Reason": 3}),
        ("GET", "WhoAmI(Of='me')", None),
        ("GET", "RetrieveTotalRecordCount(Names=@p)?@p=[]", None),
    ],
)
async def test_a_parameter_that_an_operation_does_not_have_is_refused(
    client: Client, method: str, target: str, json: object
) -> None:
    answer = await client(method, target, json)
    assert answer.status == 400, answer.text
    assert ("is not a valid parameter for the operation" in answer.text) == (method == "POST")
