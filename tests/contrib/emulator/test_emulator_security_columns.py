"""Secured columns: who reads them, who writes them, and what queries see of them."""

from __future__ import annotations

import pytest

from contrib.emulator.conftest import Client
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
