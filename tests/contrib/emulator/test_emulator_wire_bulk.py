"""Bulk messages over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

CRM = "Microsoft.Dynamics.CRM"
ID = "0a0a0a0a-0000-4000-8000-000000000001"
OTHER = "0a0a0a0a-0000-4000-8000-000000000002"


def account(**values: object) -> dict[str, object]:
    return {"@odata.type": f"{CRM}.account", **values}


def bulk_delete(operator: str, column: str, *values: str) -> dict[str, object]:
    condition = {
        "AttributeName": column,
        "Operator": operator,
        "Values": [{"Value": value, "Type": "System.Guid"} for value in values],
    }
    query = {"EntityName": "account", "Criteria": {"Conditions": [condition]}}
    return {"JobName": "clean up", "QuerySet": [query]}


async def test_ids_come_in_the_order_of_the_targets(client: Client) -> None:
    targets = [account(name="B", accountid=OTHER), account(name="A", accountid=ID)]
    answer = await client("POST", f"accounts/{CRM}.CreateMultiple", {"Targets": targets})
    assert (answer.status, answer.json["Ids"]) == (200, [OTHER, ID])


@pytest.mark.parametrize("message", ["CreateMultiple", "UpdateMultiple", "UpsertMultiple"])
async def test_one_wrong_target_undoes_all(client: Client, message: str) -> None:
    await client.create("accounts", {"accountid": ID, "name": "before"})
    right = account(name="after", **({} if message == "CreateMultiple" else {"accountid": ID}))
    wrong = account(name="x" * 161, accountid=ID)
    answer = await client("POST", f"accounts/{CRM}.{message}", {"Targets": [right, wrong]})
    assert answer.status in (400, 412)
    assert [row["name"] for row in (await client("GET", "accounts")).value] == ["before"]


async def test_an_update_of_many_needs_rows_that_are_there(client: Client) -> None:
    body = {"Targets": [account(name="A", accountid=ID)]}
    missing = await client("POST", f"accounts/{CRM}.UpdateMultiple", body)
    assert (missing.status, missing.code) == (404, "0x80040217")
    body = {"Targets": [account(**{"name": "A", "@odata.id": f"accounts({ID})"})]}
    made = await client("POST", f"accounts/{CRM}.UpsertMultiple", body)
    assert (made.status, made.text) == (204, "")
    assert (await client("GET", f"accounts({ID})")).json["name"] == "A"


@pytest.mark.parametrize(
    "targets",
    [None, {}, [1], [{"name": "A"}], [{"@odata.type": f"{CRM}.contact"}], [account(name="A")]],
)
async def test_targets_must_be_rows_of_the_table(client: Client, targets: object) -> None:
    answer = await client("POST", f"accounts/{CRM}.UpdateMultiple", {"Targets": targets})
    assert (answer.status, answer.code) == (400, "0x80048d19")


async def test_rows_are_deleted_by_a_list_of_ids(client: Client) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})
    job = await client("POST", "BulkDelete", bulk_delete("In", "accountid", ID, OTHER))
    assert (job.status, len(job.json["JobId"])) == (200, 36)
    assert (await client("GET", "accounts")).value == []


def query(table: str = "account", **members: object) -> dict[str, object]:
    return {"JobName": "j", "QuerySet": [{"EntityName": table, **members}]}


def where(operator: str, column: str, *values: object) -> dict[str, object]:
    return {"AttributeName": column, "Operator": operator, "Values": list(values)}


@pytest.mark.parametrize(
    ("criteria", "kept"),
    [
        (None, ""),
        ({"Conditions": [where("Equal", "name", "a")]}, "BC"),
        ({"Conditions": [where("NotIn", "name", "A", {"Value": "B"})]}, "AB"),
        ({"Conditions": [where("Contains", "name", "c")]}, "AB"),
        ({"Conditions": [where("GreaterThan", "numberofemployees", 1)]}, "A"),
        ({"Conditions": [where("Equal", "creditonhold", True)]}, "ABC"),
        ({"Conditions": [where("Null", "name")]}, "ABC"),
        ({"Conditions": [where("EqualUserId", "ownerid")]}, ""),
        ({"Conditions": [where("ThisYear", "createdon")]}, ""),
        (
            {
                "FilterOperator": "Or",
                "Conditions": [where("Equal", "name", "A")],
                "Filters": [{"Conditions": [where("BeginsWith", "name", "b")]}],
            },
            "C",
        ),
    ],
)
async def test_a_bulk_delete_goes_by_conditions(
    client: Client, criteria: object, kept: str
) -> None:
    for number, name in enumerate("ABC", 1):
        await client.create("accounts", {"name": name, "numberofemployees": number})
    answer = await client("POST", "BulkDelete", query(Criteria=criteria))
    assert answer.status == 200, answer.text
    left = (await client("GET", "accounts?$orderby=name")).value
    assert "".join(row["name"] for row in left) == kept


async def test_a_bulk_delete_goes_by_linked_rows(client: Client) -> None:
    account = await client.create("accounts", {"name": "A"})
    for lastname, parent in (("Bø", account), ("Aas", None)):
        bound = f"accounts({parent})" if parent else None
        body = {"lastname": lastname, "parentcustomerid_account@odata.bind": bound}
        await client.create("contacts", body)
    link = {
        "LinkFromEntityName": "contact",
        "LinkFromAttributeName": "parentcustomerid",
        "LinkToEntityName": "account",
        "LinkToAttributeName": "accountid",
        "JoinOperator": "Inner",
        "EntityAlias": "a",
        "LinkCriteria": {"Conditions": [where("Equal", "name", "A")]},
    }
    answer = await client("POST", "BulkDelete", query("contact", LinkEntities=[link]))
    assert answer.status == 200, answer.text
    assert [row["lastname"] for row in (await client("GET", "contacts")).value] == ["Aas"]


async def test_a_job_says_that_it_is_done_and_what_it_could_not_do(client: Client) -> None:
    team = await client.create("teams", {"name": "owner"})
    await client.create("accounts", {"ownerid@odata.bind": f"teams({team})"})
    await client.create("teams", {"name": "free"})
    answer = await client("POST", "BulkDelete", query("team"))
    job = (await client("GET", f"asyncoperations({answer.json['JobId']})")).json
    assert (job["name"], job["operationtype"]) == ("j", 13)
    assert (job["statecode"], job["statuscode"]) == (3, 31)
    assert job["message"].startswith(f"{team}: The object you tried to delete is associated")
    assert [row["name"] for row in (await client("GET", "teams")).value] == ["owner"]
    done = await client("POST", "BulkDelete", query("account"))
    job = (await client("GET", f"asyncoperations({done.json['JobId']})")).json
    assert (job["statecode"], job["statuscode"], job["message"]) == (3, 30, None)


async def test_standard_tables_have_no_delete_of_many(client: Client) -> None:
    answer = await client("POST", f"accounts/{CRM}.DeleteMultiple", {"Targets": []})
    assert answer.status == 400
    assert "DeleteMultiple has not yet been implemented." in answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (bulk_delete("In", "accountid", "nonsense"), 400),
        (query(Criteria={"Conditions": [where("Nonsense", "name", "x")]}), 400),
        (query(Criteria={"Conditions": [where("Equal", "nonsense", "x")]}), 400),
        (query(Criteria={"Conditions": [where("Equal", "name")]}), 400),
        (query(Criteria={"Conditions": [where("Equal", "name", None)]}), 400),
        (query(Criteria={"Conditions": [where("Equal", "name", [1])]}), 400),
        (query(Criteria={"Conditions": [{"AttributeName": "name"}]}), 400),
        (query(Criteria={"Conditions": {}}), 400),
        (query(Criteria={"FilterOperator": "Xor"}), 400),
        (query(Criteria=[]), 400),
        (query(TopCount="1"), 400),
        (query(LinkEntities=[{"JoinOperator": "Sideways"}]), 400),
        (query(LinkEntities=[{}]), 400),
        (query(LinkEntities=1), 400),
        (query("nonsense"), 404),
        (query(Orders=[{"AttributeName": "name"}]), 501),
        ({**query(), "RecurrencePattern": "FREQ=DAILY"}, 501),
        ({"JobName": "j", "QuerySet": [{"@odata.type": f"{CRM}.FetchExpression"}]}, 501),
        ({"JobName": 1, "QuerySet": []}, 400),
        ({"JobName": "j"}, 400),
        ({}, 400),
    ],
)
async def test_a_bulk_delete_that_is_not_understood_is_refused(
    client: Client, body: dict[str, object], status: int
) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})
    answer = await client("POST", "BulkDelete", body)
    assert answer.status == status, answer.text
    assert len((await client("GET", "accounts")).value) == 1


async def test_filters_inside_filters_are_bounded(client: Client) -> None:
    criteria: dict[str, object] = {}
    for _ in range(30):
        criteria = {"Filters": [criteria]}
    assert (await client("POST", "BulkDelete", query(Criteria=criteria))).status == 400
    many = {"Conditions": [where("NotNull", "name")] * 501}
    assert (await client("POST", "BulkDelete", query(Criteria=many))).status == 400
