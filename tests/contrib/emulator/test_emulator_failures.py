"""What breaks in a plug-in, or in the emulator itself, is a 500 as Dataverse answers it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from holdfast_emulator import Dataverse, EmulatorServer, Operation, User
from support.batches import batch, change_set, operation, part, read

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

UNEXPECTED = "0x80040216"
KIND = {"Content_Type": "multipart/mixed; boundary=batch_b"}


@pytest.fixture
def broken(dataverse: Dataverse) -> None:
    def divide(user: User, table: str, values: dict[str, Any], operation: Operation) -> None:
        if values.get("name") == "broken":
            raise ZeroDivisionError("nothing to divide by")

    dataverse.rules.append(divide)


@pytest.mark.usefixtures("broken")
async def test_a_rule_that_breaks_is_a_500_in_the_form_of_dataverse(
    client: Client, server: EmulatorServer, caplog: pytest.LogCaptureFixture
) -> None:
    version = server.dataverse.version
    answer = await client("POST", "accounts", {"name": "broken"})
    assert (answer.status, answer.code) == (500, UNEXPECTED)
    assert "ZeroDivisionError: nothing to divide by" in answer.json["error"]["message"]
    assert answer.headers["Content-Type"].startswith("application/json")
    assert {"REQ_ID", "OData-Version"} <= answer.headers.keys()
    assert server.dataverse.version == version
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert record.exc_info
    assert vars(record)["event"] == "emulator.operation.broke"
    (entry,) = server.trace
    assert (entry["status"], entry["method"]) == (500, "POST")
    assert entry["error"] == "ZeroDivisionError('nothing to divide by')"
    assert (await client("POST", "accounts", {"name": "whole"})).status == 204


@pytest.mark.usefixtures("broken")
async def test_a_change_set_in_which_a_rule_breaks_is_undone(
    client: Client, dataverse: Dataverse
) -> None:
    wrong = change_set(
        part("POST", "accounts", {"name": "whole"}), part("POST", "accounts", {"name": "broken"})
    )
    sent = batch(wrong, operation("POST", "accounts", {"name": "after"}))
    answer = await client("POST", "$batch", data=sent, Prefer="odata.continue-on-error", **KIND)
    first, second = read(answer)
    assert (first.status, first.json["error"]["code"]) == (500, UNEXPECTED)
    assert second.status == 204
    assert [row["name"] for row in dataverse.scan("account")] == ["after"]


async def test_a_server_that_breaks_outside_of_the_web_api_says_so_too(
    client: Client,
    server: EmulatorServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("no faults today")

    monkeypatch.setattr(server.faults, "strike", fail)
    answer = await client("GET", "accounts")
    assert (answer.status, answer.code) == (500, UNEXPECTED)
    assert "emulator.request.broke" in {vars(one).get("event") for one in caplog.records}
    monkeypatch.setattr(server.requests, "clear", lambda: fail(None))
    page = await client("DELETE", f"{server.url}/_emulator/trace")
    assert (page.status, page.code) == (500, UNEXPECTED)


async def test_a_refused_image_leaves_nothing_behind(client: Client, dataverse: Dataverse) -> None:
    account = await client.create("accounts", {"name": "A"})
    before = dataverse.version
    named = {"x_ms_file_name": "a.png"}
    answer = await client("PATCH", f"accounts({account})/entityimage", data=b"no image", **named)
    assert answer.status == 400
    assert dataverse.version == before
    assert list(dataverse.scan("fileattachment")) == []


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("PATCH", "accounts({})/zznothing", 404),
        ("GET", "accounts({})?$select=name/zz", 400),
        ("GET", "accounts({})?$select=primarycontactid/zz", 400),
        ("GET", "accounts?sql=SELECT FROM account", 400),
        ("GET", "EntityDefinitions?$filter=LogicalName eq 5", 400),
        ("GET", "EntityDefinitions?$filter=IsCustomEntity ne 'x'", 400),
    ],
)
async def test_what_the_corpus_found(client: Client, method: str, target: str, status: int) -> None:
    account = await client.create("accounts", {"name": "A"})
    body = {"name": "x"} if method == "PATCH" else None
    answer = await client(method, target.format(account), body)
    assert answer.status == status, answer.text
