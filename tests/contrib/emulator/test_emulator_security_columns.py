"""Secured columns: who reads them, who writes them, and what queries see of them."""

from __future__ import annotations

import pytest

from contrib.emulator.conftest import Answer, Client
from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour.column_security import OPEN, ColumnAccess, ColumnProfile
from holdfast_emulator.behaviour.security import User

FAX = ("account", "fax")


@pytest.fixture
def bo(dataverse: Dataverse) -> User:
    bo = dataverse.security.user_of("office-token")
    assert bo
    return bo


@pytest.fixture
async def row(client: Client) -> str:
    return await client.create("accounts", {"name": "A", "fax": "1", "telephone1": "1"})


async def fax(client: Client, row: str, token: str = "office-token") -> object:
    return (await client("GET", f"accounts({row})?$select=fax", token=token)).json["fax"]


async def write(client: Client, row: str, token: str = "office-token") -> tuple[int, str]:
    answer = await client("PATCH", f"accounts({row})", {"fax": "2"}, token=token)
    return answer.status, "" if answer.status == 204 else answer.code


async def create(client: Client) -> tuple[int, str]:
    answer = await client("POST", "accounts", {"fax": "2"}, token="office-token")
    return answer.status, "" if answer.status == 204 else answer.code


async def test_a_column_is_secured_against_all_but_administrators(
    client: Client, dataverse: Dataverse, row: str
) -> None:
    dataverse.secure(*FAX)
    assert await fax(client, row) is None
    assert await write(client, row) == (403, "0x8004f507")
    assert await create(client) == (403, "0x8004f506")
    assert await fax(client, row, "demo-token") == "1"
    assert await write(client, row, "demo-token") == (204, "")


async def test_reading_creating_and_updating_are_apart(
    client: Client, dataverse: Dataverse, row: str, bo: User
) -> None:
    dataverse.secure(*FAX, hidden_from=bo, access=ColumnAccess(read=True))
    assert await fax(client, row) == "1"
    assert await write(client, row) == (403, "0x8004f507")
    assert await create(client) == (403, "0x8004f506")
    dataverse.secure(*FAX, hidden_from=bo, access=ColumnAccess(create=True))
    assert await fax(client, row) is None
    assert await create(client) == (204, "")
    dataverse.secure(*FAX, hidden_from=bo, access=ColumnAccess(update=True))
    assert await write(client, row) == (204, "")
    assert await create(client) == (403, "0x8004f506")


async def test_profiles_open_what_is_secured(
    client: Client, dataverse: Dataverse, row: str, bo: User
) -> None:
    dataverse.secure(*FAX)
    team = dataverse.people.add_team("Trusted")
    profiles = dataverse.security.columns.profiles
    profiles["readers"] = ColumnProfile({FAX: ColumnAccess(read=True)}, frozenset({bo.id}))
    profiles["all"] = ColumnProfile({FAX: OPEN}, frozenset({team}))
    assert await fax(client, row) == "1"
    assert await write(client, row) == (403, "0x8004f507")
    dataverse.people.join(dataverse.system, team, [bo.id])
    assert await write(client, row) == (204, "")
    assert await create(client) == (204, "")


async def test_a_hidden_column_is_null_for_filters_and_orders(
    client: Client, dataverse: Dataverse, row: str, bo: User
) -> None:
    await client.create("accounts", {"name": "B", "fax": "0", "telephone1": "2"})
    dataverse.secure(*FAX, hidden_from=bo)

    async def names(query: str, token: str = "office-token") -> list[str]:
        return [
            one["name"] for one in (await client("GET", f"accounts?{query}", token=token)).value
        ]

    assert await names("$filter=fax eq '1'") == []
    assert sorted(await names("$filter=fax eq null")) == ["A", "B"]
    assert await names("$filter=fax eq '1'", "demo-token") == ["A"]
    assert await names("$orderby=fax desc,telephone1") == ["A", "B"]
    assert await names("$orderby=fax", "demo-token") == ["B", "A"]
    count = await client("GET", "accounts/$count?$filter=fax ne null", token="office-token")
    assert count.text.endswith("0")


async def test_who_impersonates_sees_what_both_see(
    client: Client, dataverse: Dataverse, row: str, bo: User
) -> None:
    ann = dataverse.security.user_of("demo-token")
    assert ann
    dataverse.secure(*FAX, hidden_from=ann)
    assert await fax(client, row) == "1"
    seen = await client("GET", f"accounts({row})", MSCRMCallerID=bo.id)
    assert seen.json["fax"] is None


async def test_a_hidden_lookup_leads_nowhere_from_its_other_end(
    client: Client, dataverse: Dataverse, row: str, bo: User
) -> None:
    bind = {"lastname": "X", "parentcustomerid_account@odata.bind": f"/accounts({row})"}
    contact = await client.create("contacts", bind)
    dataverse.secure("contact", "parentcustomerid", hidden_from=bo)
    path = f"accounts({row})/contact_customer_accounts"

    async def ask(target: str) -> Answer:
        return await client("GET", target, token="office-token")

    expanded = await ask(f"accounts({row})?$select=name&$expand=contact_customer_accounts")
    assert expanded.json["contact_customer_accounts"] == []
    assert (await ask(path)).value == []
    assert (await ask(f"{path}/$ref")).value == []
    assert (await ask(f"{path}/$count")).text.endswith("0")
    assert (await ask(f"{path}({contact})")).status == 404
    assert len((await client("GET", path)).value) == 1


async def test_what_is_made_of_a_hidden_column_is_hidden_with_it(
    client: Client, dataverse: Dataverse, row: str, bo: User
) -> None:
    await client("PATCH", f"accounts({row})", {"revenue": 100})
    dataverse.secure("account", "revenue", hidden_from=bo)
    dataverse.secure("account", "entityimage", hidden_from=bo)
    seen = await client("GET", f"accounts({row})", token="office-token")
    assert (seen.json["revenue"], seen.json["revenue_base"]) == (None, None)
    assert dataverse.security.hidden(bo, "account") == {
        *("revenue", "revenue_base", "entityimage"),
        *("entityimageid", "entityimage_timestamp", "entityimage_url"),
    }
    found = await client("GET", "accounts?$filter=revenue_base eq 100", token="office-token")
    assert found.value == []


async def test_a_hidden_name_is_not_told_by_lookups_to_its_row(
    client: Client, dataverse: Dataverse, row: str, bo: User
) -> None:
    bind = {"name": "B", "parentaccountid@odata.bind": f"/accounts({row})"}
    await client.create("accounts", bind)
    dataverse.secure("account", "name", hidden_from=bo)
    label = "_parentaccountid_value@OData.Community.Display.V1.FormattedValue"
    every = 'odata.include-annotations="*"'
    fetch = "accounts?fetchXml=<fetch><entity name='account'><attribute name='parentaccountid'/>"
    by_id = f"{fetch}<filter><condition attribute='parentaccountid' operator='not-null'/>"
    by_name = f"{fetch}<filter><condition attribute='parentaccountidname' operator='not-null'/>"
    end = "</filter></entity></fetch>"

    async def labels(query: str, token: str) -> list[object]:
        found = await client("GET", query, token=token, Prefer=every)
        return [one.get(label) for one in found.value]

    for query, seen in (
        ("accounts?$filter=parentaccountid/accountid ne null", [None]),
        (by_id + end, [None]),
        (by_name + end, []),
    ):
        assert await labels(query, "demo-token") == ["A"]
        assert await labels(query, "office-token") == seen


async def test_a_hierarchy_over_a_hidden_lookup_is_not_seen(
    client: Client, dataverse: Dataverse, row: str, bo: User
) -> None:
    bind = {"name": "B", "parentaccountid@odata.bind": f"/accounts({row})"}
    await client.create("accounts", bind)
    dataverse.secure("account", "parentaccountid", hidden_from=bo)
    call = f"(PropertyName='accountid',PropertyValue='{row}')"
    for name, number in (("Under", 0), ("UnderOrEqual", 1), ("NotUnder", 1)):
        query = f"accounts?$filter=Microsoft.Dynamics.CRM.{name}{call}"
        assert len((await client("GET", query, token="office-token")).value) == number
