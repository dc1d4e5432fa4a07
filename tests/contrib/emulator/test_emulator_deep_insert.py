"""One body that makes several rows, or joins the new one with others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.batches import batch, change_set, part

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client
    from holdfast_emulator import Dataverse

CRM = "Microsoft.Dynamics.CRM"
ID = "0a0a0a0a-0000-4000-8000-000000000001"
OTHER = "0a0a0a0a-0000-4000-8000-000000000002"
THIRD = "0a0a0a0a-0000-4000-8000-000000000003"


def counts(dataverse: Dataverse) -> dict[str, int]:
    return {name: len(list(dataverse.scan(name))) for name in ("account", "contact", "task")}


async def test_rows_are_made_inside_each_other(client: Client, dataverse: Dataverse) -> None:
    body = {
        "accountid": ID,
        "primarycontactid": {
            "contactid": ID,
            "lastname": "Bø",
            "Contact_Tasks": [{"activityid": ID, "subject": "below the contact"}],
        },
        "Account_Tasks": [
            {"activityid": OTHER, "subject": "one"},
            {"activityid": THIRD, "subject": "two"},
        ],
        "contact_customer_accounts": [
            {"contactid": OTHER, "parentcustomerid_contact@odata.bind": None}
        ],
    }
    made = await client("POST", "accounts", body)
    assert made.headers["OData-EntityId"].endswith(f"accounts({ID})")
    assert counts(dataverse) == {"account": 1, "contact": 2, "task": 3}
    assert (await row(client, f"accounts({ID})"))["_primarycontactid_value"] == ID
    assert (await row(client, f"contacts({OTHER})"))["_parentcustomerid_value"] == ID
    regarding = [
        (await row(client, f"tasks({one})"))["_regardingobjectid_value"]
        for one in (ID, OTHER, THIRD)
    ]
    assert regarding == [ID, ID, ID]


async def row(client: Client, target: str) -> dict[str, Any]:
    answer = await client("GET", target)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.parametrize(
    "inner",
    [
        {"Account_Tasks": [{"subject": "fine"}, {"subject": "x" * 201}]},
        {"Account_Tasks": [{"subject": "fine"}, {"activityid": ID}, {"activityid": ID}]},
        {"Account_Tasks@odata.bind": [f"tasks({OTHER})"]},
        {"primarycontactid": {"lastname": "fine"}, "name": "x" * 161},
    ],
)
async def test_one_refused_row_undoes_all(
    client: Client, dataverse: Dataverse, inner: dict[str, object]
) -> None:
    before = counts(dataverse)
    answer = await client("POST", "accounts", inner)
    assert answer.status in (400, 404, 412), answer.text
    assert counts(dataverse) == before


async def test_a_new_row_is_joined_with_rows_that_are_there(
    client: Client, dataverse: Dataverse
) -> None:
    tasks = [await client.create("tasks", {"subject": name}) for name in "ab"]
    user = dataverse.security.user_of("demo-token")
    assert user
    urls = [f"/tasks({tasks[0]})", f"{client.root}tasks({tasks[1]})"]
    await client.create("accounts", {"accountid": ID, "Account_Tasks@odata.bind": urls})
    for task in tasks:
        assert (await row(client, f"tasks({task})"))["_regardingobjectid_value"] == ID
    members = {"teammembership_association@odata.bind": [f"systemusers({user.id})"]}
    team = await client.create("teams", {"name": "T", **members})
    (pair,) = dataverse.scan("teammembership")
    assert (pair["teamid"], pair["systemuserid"]) == (team, user.id)


async def test_many_to_many_rows_are_made_and_joined(client: Client, dataverse: Dataverse) -> None:
    unit = f"businessunits({dataverse.seed.business_unit_id})"
    inner = {"lastname": "New", "businessunitid@odata.bind": unit}
    await client.create("teams", {"teamid": ID, "teammembership_association": [inner]})
    (pair,) = dataverse.scan("teammembership")
    assert (await row(client, f"systemusers({pair['systemuserid']})"))["lastname"] == "New"


async def test_a_change_set_refers_to_rows_from_inside_a_body(client: Client) -> None:
    deep = {"accountid": ID, "Account_Tasks@odata.bind": ["$1"], "primarycontactid": {}}
    body = batch(
        change_set(part("POST", "tasks", {"activityid": ID}), part("POST", "accounts", deep))
    )
    kind = 'multipart/mixed; boundary="batch_b"'
    assert (await client("POST", "$batch", data=body, Content_Type=kind)).status == 200
    assert (await row(client, f"tasks({ID})"))["_regardingobjectid_value"] == ID


async def test_many_rows_are_made_with_their_children(client: Client, dataverse: Dataverse) -> None:
    targets = [
        {"@odata.type": f"{CRM}.account", "Account_Tasks": [{"subject": "t"}]} for _ in range(3)
    ]
    answer = await client("POST", f"accounts/{CRM}.CreateMultiple", {"Targets": targets})
    assert len(answer.json["Ids"]) == 3
    assert counts(dataverse)["task"] == 3


async def test_an_upsert_makes_rows_inside_only_when_it_creates(client: Client) -> None:
    body = {"Account_Tasks": [{"subject": "t"}]}
    assert (await client("PATCH", f"accounts({ID})", body)).status == 204
    bound = {"Account_Tasks@odata.bind": [f"tasks({await client.create('tasks', {})})"]}
    for refused in (body, bound, {"primarycontactid": {"lastname": "x"}}):
        answer = await client("PATCH", f"accounts({ID})", refused)
        assert answer.status == 400
        assert "Deep update" in answer.text


@pytest.mark.parametrize(("levels", "status"), [(20, 204), (21, 400), (5000, 400)])
async def test_depth_is_bounded(client: Client, levels: int, status: int) -> None:
    text = '{"account_parent_account":[' * (levels - 1) + "{}" + "]}" * (levels - 1)
    answer = await client("POST", "accounts", data=text, Content_Type="application/json")
    assert answer.status == status, answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"account_tasks": [{}]},
        {"Account_Tasks": {}},
        {"Account_Tasks": None},
        {"Account_Tasks": [1]},
        {"Account_Tasks": [{"nonsense": 1}]},
        {"Account_Tasks": [{"@odata.id": f"tasks({ID})"}]},
        {"Account_Tasks": [{"@odata.type": f"#{CRM}.contact"}]},
        {"Account_Tasks@odata.bind": "tasks(1)"},
        {"Account_Tasks@odata.bind": [1]},
        {"Account_Tasks@odata.bind": [None]},
        {"Account_Tasks@odata.bind": ["accounts(1)"]},
        {"primarycontactid": []},
        {"primarycontactid": "x"},
        {"primarycontactid@odata.bind": []},
        {"PrimaryContactId@odata.bind": f"contacts({ID})"},
        {"ownerid": {"name": "which table?"}},
    ],
)
async def test_what_is_wrong_inside_is_refused(client: Client, body: dict[str, object]) -> None:
    answer = await client("POST", "accounts", body)
    assert answer.status == 400, answer.text


async def test_the_type_says_which_table_a_shared_property_means(
    client: Client, dataverse: Dataverse
) -> None:
    owner = {
        "@odata.type": f"#{CRM}.team",
        "name": "T",
        "businessunitid@odata.bind": f"businessunits({dataverse.seed.business_unit_id})",
    }
    made = await client(
        "POST", "accounts?$select=name", {"ownerid": owner}, Prefer="return=representation"
    )
    assert made.status == 201, made.text
    shown = await client("GET", f"accounts({made.json['accountid']})")
    assert shown.json["_owningteam_value"]


async def test_a_created_row_is_returned_with_what_it_points_to(client: Client) -> None:
    made = await client(
        "POST",
        "accounts?$select=name&$expand=primarycontactid($select=lastname)",
        {"name": "A", "primarycontactid": {"lastname": "Bø"}},
        Prefer="return=representation",
    )
    assert made.status == 201, made.text
    assert made.json["primarycontactid"]["lastname"] == "Bø"
    assert made.headers["ETag"] == made.json["@odata.etag"]


async def test_a_row_is_made_in_a_collection_of_another(
    client: Client, dataverse: Dataverse
) -> None:
    await client.create("accounts", {"accountid": ID})
    task = await client.create(f"accounts({ID})/Account_Tasks", {"subject": "t"})
    assert (await row(client, f"tasks({task})"))["_regardingobjectid_value"] == ID
    unit = f"businessunits({dataverse.seed.business_unit_id})"
    team = await client.create("teams", {"name": "T", "businessunitid@odata.bind": unit})
    made = await client(
        "POST",
        f"teams({team})/teammembership_association?$select=lastname",
        {"lastname": "New", "businessunitid@odata.bind": unit},
        Prefer="return=representation",
    )
    assert (made.status, made.json["lastname"]) == (201, "New")
    (pair,) = dataverse.scan("teammembership")
    assert pair["systemuserid"] == made.json["systemuserid"]


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        (f"accounts({ID})/Account_Tasks", {"subject": "x" * 201}, 400),
        (f"accounts({ID})/primarycontactid", {}, 405),
        (f"accounts({ID})/nonsense", {}, 404),
        (f"accounts({OTHER})/Account_Tasks", {}, 404),
    ],
)
async def test_a_wrong_row_in_a_collection_is_refused(
    client: Client, dataverse: Dataverse, target: str, body: dict[str, object], status: int
) -> None:
    await client.create("accounts", {"accountid": ID})
    assert (await client("POST", target, body)).status == status
    assert counts(dataverse)["task"] == 0
