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


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (bulk_delete("In", "name", ID), 501),
        (bulk_delete("NotIn", "accountid", ID), 501),
        (bulk_delete("In", "accountid", "nonsense"), 400),
        ({"QuerySet": [{"EntityName": "nonsense"}]}, 404),
        ({"QuerySet": [{"EntityName": "account"}]}, 501),
        ({}, 400),
    ],
)
async def test_a_bulk_delete_by_anything_else_is_refused(
    client: Client, body: dict[str, object], status: int
) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})
    assert (await client("POST", "BulkDelete", body)).status == status
    assert len((await client("GET", "accounts")).value) == 1
