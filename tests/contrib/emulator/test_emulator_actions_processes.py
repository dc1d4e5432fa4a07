"""The actions of sales and service, and what tools ask of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdfast_emulator import Dataverse, Depth

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

CRM = "Microsoft.Dynamics.CRM"
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"


async def opportunity(client: Client, **values: object) -> str:
    return await client.create("opportunities", {"name": "Deal", "estimatedvalue": 500, **values})


def closing(row_id: str, **values: object) -> dict[str, Any]:
    bound = f"/opportunities({row_id})"
    close = {"subject": "Done", "opportunityid@odata.bind": bound, **values}
    return {"Status": 3, "OpportunityClose": close}


async def test_winning_closes_and_leaves_an_activity(client: Client) -> None:
    row_id = await opportunity(client)
    done = await client("POST", "WinOpportunity", closing(row_id, actualrevenue=450.5))
    assert (done.status, done.text) == (204, "")
    row = (await client("GET", f"opportunities({row_id})")).json
    assert (row["statecode"], row["statuscode"], row["actualvalue"]) == (1, 3, 450.5)
    assert row["actualclosedate"] == "2026-03-01"
    (made,) = (await client("GET", "opportunitycloses")).value
    assert (made["subject"], made["actualrevenue"], made["statecode"]) == ("Done", 450.5, 1)
    assert made["_opportunityid_value"] == row_id
    again = await client("POST", "WinOpportunity", closing(row_id))
    assert again.status == 400
    assert len((await client("GET", "opportunitycloses")).value) == 1


async def test_losing_takes_an_entity_for_the_opportunity(client: Client) -> None:
    row_id = await opportunity(client)
    inner = {"opportunityid": row_id, "@odata.type": f"{CRM}.opportunity"}
    body = {"Status": -1, "OpportunityClose": {"opportunityid": inner}}
    assert (await client("POST", "LoseOpportunity", body)).status == 204
    row = (await client("GET", f"opportunities({row_id})")).json
    assert (row["statecode"], row["statuscode"], row["actualvalue"]) == (2, 4, 0)


async def test_a_closing_that_fails_leaves_nothing(client: Client, dataverse: Dataverse) -> None:
    row_id = await opportunity(client)
    wrong = {**closing(row_id), "Status": 5}  # a reason of another state
    assert (await client("POST", "WinOpportunity", wrong)).code == "0x80048408"
    assert (await client("GET", "opportunitycloses")).value == []
    office = dataverse.security.user_of("office-token")
    assert office
    dataverse.security.limit(office, "opportunity", Depth.BASIC)
    refused = await client("POST", "WinOpportunity", closing(row_id), token="office-token")
    assert refused.status == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Status": 3},
        {"Status": "3", "OpportunityClose": {}},
        {"Status": 3, "OpportunityClose": {"subject": "x"}},
        {"Status": 3, "OpportunityClose": {"nonsense": 1}},
        {"Status": 3, "OpportunityClose": [[]]},
        {"Status": 10**30, "OpportunityClose": {}},
        {"Status": 3, "OpportunityClose": {"@odata.type": f"{CRM}.account"}},
    ],
)
async def test_a_closing_that_makes_no_sense_is_refused(client: Client, body: object) -> None:
    answer = await client("POST", "WinOpportunity", body)
    assert answer.status == 400, answer.text


async def test_a_missing_opportunity_is_not_found(client: Client) -> None:
    assert (await client("POST", "WinOpportunity", closing(MISSING))).status == 404


async def test_a_case_is_resolved(client: Client) -> None:
    row_id = await client.create("incidents", {"title": "Leak"})
    body = {
        "Status": 5,
        "IncidentResolution": {
            "subject": "Fixed",
            "timespent": 30,
            "incidentid@odata.bind": f"/incidents({row_id})",
        },
    }
    assert (await client("POST", "CloseIncident", body)).status == 204
    row = (await client("GET", f"incidents({row_id})")).json
    assert (row["statecode"], row["statuscode"]) == (1, 5)
    (made,) = (await client("GET", "incidentresolutions")).value
    assert (made["timespent"], made["_incidentid_value"]) == (30, row_id)


async def test_a_lead_becomes_what_is_asked_for(client: Client) -> None:
    lead = await client.create(
        "leads",
        {
            "subject": "Boat",
            "firstname": "Åse",
            "lastname": "Bø",
            "companyname": "Ærø",
            "emailaddress1": "a@b.no",
        },
    )
    asked = dict.fromkeys(("CreateAccount", "CreateContact", "CreateOpportunity"), True)
    done = await client("POST", f"leads({lead})/{CRM}.QualifyLead", {**asked, "Status": 3})
    assert done.status == 200, done.text
    kinds = [row["@odata.type"].rpartition(".")[2] for row in done.value]
    assert kinds == ["account", "contact", "opportunity"]
    account, contact, deal = (
        row[key]
        for row, key in zip(done.value, ("accountid", "contactid", "opportunityid"), strict=True)
    )
    row = (await client("GET", f"leads({lead})")).json
    assert (row["statecode"], row["statuscode"]) == (1, 3)
    assert row["_qualifyingopportunityid_value"] == deal
    made = (await client("GET", f"contacts({contact})")).json
    assert (made["fullname"], made["_parentcustomerid_value"]) == ("Åse Bø", account)
    assert made["_originatingleadid_value"] == lead
    sold = (await client("GET", f"opportunities({deal})")).json
    assert (sold["name"], sold["_customerid_value"]) == ("Boat", account)
    again = await client("POST", f"leads({lead})/{CRM}.QualifyLead", {**asked, "Status": 3})
    assert again.status == 400


async def test_a_row_waits_in_one_queue(client: Client) -> None:
    one, other = [await client.create("queues", {"name": name}) for name in ("A", "B")]
    letter = await client.create("letters", {"subject": "Hi"})
    target = {"activityid": letter, "@odata.type": f"{CRM}.letter"}
    added = await client("POST", f"queues({one})/{CRM}.AddToQueue", {"Target": target})
    assert added.status == 200, added.text
    item = added.json["QueueItemId"]
    row = (await client("GET", f"queueitems({item})")).json
    assert (row["title"], row["_queueid_value"], row["_objectid_value"]) == ("Hi", one, letter)
    moved = await client("POST", f"queues({other})/{CRM}.AddToQueue", {"Target": target})
    assert moved.json["QueueItemId"] == item
    assert (await client("GET", f"queueitems({item})")).json["_queueid_value"] == other
    account = await client.create("accounts", {})
    wrong = {"Target": {"accountid": account, "@odata.type": f"{CRM}.account"}}
    assert (await client("POST", f"queues({one})/{CRM}.AddToQueue", wrong)).status == 400


async def test_the_namespace_belongs_to_what_is_bound(client: Client) -> None:
    queue = await client.create("queues", {"name": "A"})
    for target in (f"queues({queue})/AddToQueue", "accounts/CreateMultiple"):
        answer = await client("POST", target, {})
        assert answer.status == 400
        assert "unresolved parameters" in answer.json["error"]["message"]


async def test_deprecated_messages_are_unknown(client: Client) -> None:
    for name in ("SetState", "Assign"):
        assert (await client("POST", name, {})).status == 404


async def test_tools_ask_for_the_environment(client: Client) -> None:
    assert (await client("GET", "RetrieveVersion()")).json["Version"].startswith("9.2.")
    alias = f"{CRM}.EndpointAccessType'Default'"
    found = await client("GET", f"RetrieveCurrentOrganization(AccessType=@p1)?@p1={alias}")
    assert found.json["Detail"]["State"] == "Enabled"
    assert found.json["Detail"]["Endpoints"]["Count"] == 3
    await client.create("accounts", {})
    counted = await client("GET", 'RetrieveTotalRecordCount(EntityNames=@p1)?@p1=["account"]')
    assert counted.json["EntityRecordCountCollection"]["Values"] == [1]
    for names in ('["nothing"]', "5", "[1]"):
        target = f"RetrieveTotalRecordCount(EntityNames=@p1)?@p1={names}"
        assert (await client("GET", target)).status == 400
