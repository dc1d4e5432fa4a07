"""Rows by alternate key: in URLs, in references and in bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast_emulator.behaviour.metadata import KeyDefinition

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client
    from holdfast_emulator import Dataverse

CRM = "Microsoft.Dynamics.CRM"
ID = "0a0a0a0a-0000-4000-8000-000000000001"
OTHER = "0a0a0a0a-0000-4000-8000-000000000002"
MISSING = (404, "0x80060891")


@pytest.fixture(autouse=True)
def keys(dataverse: Dataverse) -> None:
    """An account by its number, or by name and rating; one by its contact."""
    for name, columns in (
        ("new_number", ("accountnumber",)),
        ("new_size", ("name", "numberofemployees")),
        ("new_contact", ("primarycontactid",)),
    ):
        dataverse.add_key("account", KeyDefinition(name, name.title(), columns, name))


@pytest.fixture(autouse=True)
async def rows(client: Client) -> None:
    """One account with all keys, and the contact it points to."""
    await client.create("contacts", {"contactid": ID, "lastname": "Bø"})
    account = {
        "accountid": ID,
        "accountnumber": "O'Neil 1",
        "name": "A",
        "numberofemployees": 7,
        "primarycontactid@odata.bind": f"contacts({ID})",
    }
    await client.create("accounts", account)


@pytest.mark.parametrize(
    "key",
    [
        "accountnumber='O''Neil 1'",
        "accountnumber='o''NEIL 1'",
        "accountnumber='O''Neil%201'",
        "name='A',numberofemployees=7",
        "numberofemployees=7,name='A'",
        f"_primarycontactid_value={ID}",
        f"accountid={ID}",
    ],
)
async def test_a_row_is_found_by_its_key(client: Client, key: str) -> None:
    answer = await client("GET", f"{client.root}accounts({key})?$select=name".replace(" ", "%20"))
    assert (answer.status, answer.json["accountid"]) == (200, ID)


async def test_everything_below_a_row_is_reached_by_its_key(client: Client) -> None:
    row = "accounts(accountnumber='O''Neil 1')"
    assert (await client("GET", f"{row}/name")).json["value"] == "A"
    assert (await client("PUT", f"{row}/name", {"value": "B"})).status == 204
    assert (await client("DELETE", f"{row}/primarycontactid/$ref")).status == 204
    shown = (await client("GET", f"accounts({ID})")).json
    assert (shown["name"], shown["_primarycontactid_value"]) == ("B", None)
    assert (await client("DELETE", row)).status == 204
    assert (await client("GET", f"accounts({ID})")).status == 404


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "", {}),
        ("DELETE", "", {}),
        ("PATCH", "", {"If_Match": "*"}),
        ("PATCH", "", {"If_Match": 'W/"1"'}),
        ("GET", "/name", {}),
        ("PUT", "/name", {}),
        ("DELETE", "/primarycontactid/$ref", {}),
    ],
)
async def test_a_key_that_no_row_has_is_missing(
    client: Client, method: str, target: str, headers: dict[str, str]
) -> None:
    body = {"value": "B"} if method == "PUT" else {"name": "B"} if method == "PATCH" else None
    answer = await client(method, f"accounts(accountnumber='x'){target}", body, **headers)
    assert (answer.status, answer.code) == MISSING
    assert "does not exist in account entity" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "key",
    [
        "fax='x'",
        "nonsense='x'",
        "name='A'",
        "name='A',numberofemployees=7,fax='1'",
        "accountnumber=7",
        "accountnumber=null",
        "numberofemployees='7',name='A'",
        f"primarycontactid={ID}",
        "_primarycontactid_value=7",
        "accountid='x'",
        "accountnumber='x',accountnumber='y'",
        "'x'",
    ],
)
async def test_a_wrong_key_is_refused(client: Client, key: str) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        answer = await client(method, f"accounts({key})", {} if method == "PATCH" else None)
        assert answer.status == 400, answer.text
    assert "key" in answer.json["error"]["message"] or "literal" in answer.json["error"]["message"]


@pytest.mark.parametrize("character", "/<>*%&:\\?+")
async def test_some_characters_break_a_key_in_a_path_only(client: Client, character: str) -> None:
    await client.create("accounts", {"accountid": OTHER, "accountnumber": f"a{character}b"})
    escaped = f"accounts(accountnumber='a%{ord(character):02X}b')"
    for method in ("GET", "PATCH"):
        body = {"fax": "1"} if method == "PATCH" else None
        assert (await client(method, f"{client.root}{escaped}", body)).status == 400
    bound = {"parentaccountid@odata.bind": f"/{escaped}"}
    assert (await client("PATCH", f"accounts({ID})", bound)).status == 204


async def test_an_upsert_by_key_updates_without_the_key(client: Client) -> None:
    target = "accounts(accountnumber='O''Neil 1')"
    body = {"accountnumber": "other", "accountid": OTHER, "fax": "1"}
    answer = await client("PATCH", target, body)
    assert (answer.status, answer.headers["OData-EntityId"]) == (
        204,
        f"{client.root}accounts(accountnumber='O''Neil%201')",
    )
    row = (await client("GET", f"accounts({ID})")).json
    assert (row["accountnumber"], row["fax"]) == ("O'Neil 1", "1")


async def test_an_upsert_by_key_creates_what_is_missing(client: Client) -> None:
    answer = await client("PATCH", "accounts(name='New',numberofemployees=3)", {"fax": "1"})
    assert answer.headers["OData-EntityId"].endswith("accounts(name='New',numberofemployees=3)")
    row = await client("GET", "accounts(name='New',numberofemployees=3)")
    assert (row.json["name"], row.json["numberofemployees"], row.json["fax"]) == ("New", 3, "1")
    bound = f"accounts(_primarycontactid_value={await client.create('contacts', {})})"
    assert (await client("PATCH", bound, {"name": "C"})).status == 204
    assert (await client("GET", f"{bound}?$select=name")).json["name"] == "C"


async def test_the_body_of_a_create_by_key_wins(client: Client) -> None:
    made = await client(
        "PATCH",
        "accounts(accountnumber='x')?$select=accountnumber",
        {"accountnumber": "y"},
        Prefer="return=representation",
    )
    assert (made.status, made.json["accountnumber"]) == (201, "y")
    again = await client(
        "PATCH", "accounts(accountnumber='y')", {"fax": "1"}, Prefer="return=representation"
    )
    assert again.status == 200


async def test_a_conditional_upsert_by_key(client: Client) -> None:
    there, away = "accounts(accountnumber='O''Neil 1')", "accounts(accountnumber='x')"
    refused = await client("PATCH", there, {"fax": "1"}, If_None_Match="*")
    assert (refused.status, refused.code) == (412, "0x80040237")
    assert (await client("PATCH", away, {"fax": "1"}, If_None_Match="*")).status == 204
    stale = await client("PATCH", there, {"fax": "1"}, If_Match='W/"1"')
    assert (stale.status, stale.code) == (412, "0x80060882")


async def test_keys_are_unique(client: Client) -> None:
    taken = {"accountnumber": "o'neil 1 "}
    made = await client("POST", "accounts", taken)
    assert (made.status, made.code) == (412, "0x80060892")
    assert made.json["error"]["message"].startswith(
        "Entity Key new_number violated. A record with the same value for Account Number already"
    )
    await client.create("accounts", {"accountid": OTHER, "numberofemployees": 7})
    for values in (taken, {"name": "A"}, {"primarycontactid@odata.bind": f"contacts({ID})"}):
        answer = await client("PATCH", f"accounts({OTHER})", values)
        assert (answer.status, answer.code) == (412, "0x80060892")
    same = await client("PATCH", f"accounts({ID})", {"accountnumber": "O'NEIL 1", "name": "A"})
    assert same.status == 204


async def test_references_and_bindings_name_rows_by_key(client: Client) -> None:
    key = "accounts(accountnumber='O''Neil 1')"
    bound = await client.create("accounts", {"parentaccountid@odata.bind": f"/{key}"})
    referred = await client.create("accounts", {})
    reference = {"@odata.id": f"{client.root}{key.replace(' ', '%20')}"}
    answer = await client("PUT", f"accounts({referred})/parentaccountid/$ref", reference)
    assert answer.status == 204, answer.text
    for child in (bound, referred):
        assert (await client("GET", f"accounts({child})")).json["_parentaccountid_value"] == ID
    missing = {"parentaccountid@odata.bind": "accounts(accountnumber='x')"}
    answer = await client("POST", "accounts", missing)
    assert (answer.status, answer.code) == MISSING


async def test_many_are_upserted_by_key(client: Client) -> None:
    targets = [
        {"@odata.type": f"{CRM}.account", "@odata.id": f"accounts(accountnumber='{key}')", "fax": f}
        for key, f in (("O''Neil 1", "1"), ("new", "2"), ("new", "3"))
    ]
    answer = await client("POST", f"accounts/{CRM}.UpsertMultiple", {"Targets": targets})
    assert (answer.status, answer.text) == (204, "")
    assert (await client("GET", f"accounts({ID})")).json["fax"] == "1"
    assert (await client("GET", "accounts(accountnumber='new')")).json["fax"] == "3"
    targets[1]["@odata.id"] = "accounts(accountnumber='missing')"
    answer = await client("POST", f"accounts/{CRM}.UpdateMultiple", {"Targets": targets})
    assert (answer.status, answer.code) == MISSING


async def test_the_key_of_a_user_is_called_ownerid(client: Client) -> None:
    user = (await client("GET", "WhoAmI")).json["UserId"]
    for key in (user, f"ownerid={user}"):
        found = await client("GET", f"systemusers({key})?$select=fullname")
        assert found.json["systemuserid"] == found.json["ownerid"] == user
    refused = await client("GET", f"systemusers(systemuserid={user})")
    assert (refused.status, refused.code) == (400, "0x80060888")
    assert "Microsoft.Dynamics.CRM.systemuser" in refused.json["error"]["message"]
