"""Actions and functions that a test registers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from holdfast_emulator import (
    ApiParameter,
    ApiRequest,
    ApiType,
    Binding,
    CustomApi,
    Dataverse,
    DataverseFault,
)

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

CRM = "Microsoft.Dynamics.CRM"


def approve(request: ApiRequest) -> Mapping[str, object]:
    assert request.row
    comment = request.arguments.get("Comment")
    values = {"creditonhold": True, "description": comment}
    request.dataverse.update(request.user, "account", request.row.id, values)
    if comment == "refuse":
        raise DataverseFault(400, "0x80040265", "No.")
    if comment == "crash":
        raise ZeroDivisionError("oops")
    return {"Approved": True, "Row": request.row, "Nothing": None} if comment != "bad" else {"X": 1}


@pytest.fixture(autouse=True)
def registered(dataverse: Dataverse) -> None:
    dataverse.register(
        CustomApi(
            *("new_Approve", approve, Binding.ENTITY, "account"),
            parameters=(ApiParameter("Comment", ApiType.STRING, optional=True),),
            results=tuple(
                ApiParameter(name, kind)
                for name, kind in (
                    ("Approved", ApiType.BOOLEAN),
                    ("Row", ApiType.ENTITY),
                    ("Nothing", ApiType.STRING),
                )
            ),
        )
    )
    every = [
        ApiParameter(kind.name, kind, optional=True) for kind in ApiType if kind.name != "ENTITY"
    ]
    dataverse.register(
        CustomApi(
            "new_Echo",
            lambda request: {
                n: v for n, v in request.arguments.items() if n != "ENTITY_COLLECTION"
            },
            parameters=tuple(every),
            results=tuple(every),
        )
    )
    dataverse.register(
        CustomApi(
            *("new_Double", lambda request: {"Sum": 2 * _whole(request.arguments["N"])}),
            function=True,
            parameters=(ApiParameter("N", ApiType.INTEGER),),
            results=(ApiParameter("Sum", ApiType.INTEGER),),
        )
    )


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


async def test_an_action_on_a_row_changes_the_organisation(client: Client) -> None:
    row_id = await client.create("accounts", {"name": "A"})
    target = f"accounts({row_id})/{CRM}.new_Approve"
    answer = await client("POST", target, {"Comment": "fine"})
    assert answer.status == 200, answer.text
    assert (answer.json["Approved"], answer.json["Row"]["accountid"]) == (True, row_id)
    row = (await client("GET", f"accounts({row_id})")).json
    assert (row["creditonhold"], row["description"]) == (True, "fine")
    assert (await client("POST", target)).status == 200  # a body may be missing


@pytest.mark.parametrize(
    ("comment", "status", "code"),
    [
        ("refuse", 400, "0x80040265"),
        ("crash", 500, "0x80040224"),
        ("bad", 500, "0x80040224"),
        (5, 400, "0x80048d19"),
    ],
)
async def test_an_action_that_fails_leaves_nothing(
    client: Client, comment: object, status: int, code: str
) -> None:
    row_id = await client.create("accounts", {"name": "A"})
    answer = await client("POST", f"accounts({row_id})/{CRM}.new_Approve", {"Comment": comment})
    assert (answer.status, answer.code) == (status, code)
    assert (await client("GET", f"accounts({row_id})")).json["creditonhold"] is False


async def test_a_function_is_called_with_get(client: Client) -> None:
    assert (await client("GET", "new_Double(N=21)")).json["Sum"] == 42
    assert (await client("GET", "new_Double(N=@p)?@p=4")).json["Sum"] == 8
    assert (await client("GET", "new_Double()")).status == 400
    assert (await client("GET", "new_Double(N='x')")).status == 400


async def test_values_go_through_as_they_are(client: Client) -> None:
    row_id = await client.create("accounts", {"name": "A"})
    body = {
        "BOOLEAN": False,
        "STRING": "ø",
        "STRING_ARRAY": ["a", "b"],
        "INTEGER": 2**53,
        "GUID": row_id.upper(),
        "BINARY": "QUJD",
        "DATETIME": "2026-01-01T00:00:00Z",
        "DECIMAL": 1.25,
        "FLOAT": 0.5,
        "ENTITY_REFERENCE": {"@odata.type": f"{CRM}.account", "accountid": row_id},
        "ENTITY_COLLECTION": [{"@odata.type": f"{CRM}.account", "name": "B"}],
    }
    answer = await client("POST", "new_Echo", body)
    assert answer.status == 200, answer.text
    found = {name: value for name, value in answer.json.items() if "@" not in name}
    reference = {"@odata.type": f"#{CRM}.account", "accountid": row_id}
    assert found == {name: value for name, value in body.items() if name != "ENTITY_COLLECTION"} | {
        "GUID": row_id,
        "ENTITY_REFERENCE": reference,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("BOOLEAN", 1), ("STRING", 1), ("STRING_ARRAY", [1]), ("STRING_ARRAY", "a")),
        *(("INTEGER", True), ("INTEGER", 1.5), ("INTEGER", 10**40), ("GUID", "x"), ("GUID", 5)),
        *(("BINARY", "*"), ("BINARY", 5), ("DATETIME", "soon"), ("DECIMAL", "1"), ("FLOAT", "1")),
        *(("ENTITY_REFERENCE", 1), ("ENTITY_REFERENCE", {}), ("ENTITY_COLLECTION", {})),
        *(("ENTITY_COLLECTION", [1]), ("Nonsense", 1)),
    ],
)
async def test_values_of_another_type_are_refused(client: Client, name: str, value: object) -> None:
    answer = await client("POST", "new_Echo", {name: value})
    assert answer.status == 400, answer.text


async def test_what_is_not_registered_is_not_supported(client: Client) -> None:
    assert (await client("POST", "new_Unknown", {})).status == 501
    contact = await client.create("contacts", {"lastname": "B"})
    assert (await client("POST", f"contacts({contact})/{CRM}.new_Approve", {})).status == 501
