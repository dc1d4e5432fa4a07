"""Microsoft's own client and a replica meet at the same server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient

from holdfast import Reference
from support.field import Field

NEVER = 4_000_000_000


class _Credential:
    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken("office-token", NEVER)


async def _office(field: Field, scenario: Callable[[Any], Any]) -> Any:
    """Run a scenario of Microsoft's client, as somebody at the office."""

    def in_thread() -> Any:
        with DataverseClient("https://placeholder.invalid", _Credential()) as client:
            client._base_url = field.url  # its constructor insists on https
            return scenario(client.records)

    return await asyncio.to_thread(in_thread)


async def test_what_the_sdk_writes_a_replica_syncs_and_the_other_way_round(field: Field) -> None:
    contact = await _office(
        field, lambda records: records.create("contact", {"firstname": "Åse", "lastname": "Bø"})
    )
    written = {
        "name": "Ærø Marine",
        "revenue": 1250000.75,
        "primarycontactid@odata.bind": f"/contacts({contact})",
    }
    account = await _office(field, lambda records: records.create("account", written))
    async with field.replica() as replica:
        await replica.download()
        accounts = replica.table("account")
        row = await accounts.get(account)
        assert row["name"] == "Ærø Marine"
        assert row["revenue"] == Decimal("1250000.75")
        assert row["primarycontactid"] == Reference("contact", contact)

        await replica.go_offline()
        mine = await accounts.create({"name": "Fjord Marine AS", "primarycontactid": contact})
        await accounts.update(account, {"telephone1": "+47 55", "revenue": Decimal("2.5")})
        await replica.table("contact").update(contact, {"jobtitle": "Käufer"})
        theirs = {"jobtitle": "Technician"}
        await _office(field, lambda records: records.update("contact", contact, theirs))
        report = await replica.go_online()
        assert report.complete
        assert len(report.conflicts) == 1

    def read_back(records: Any) -> None:
        pushed = records.retrieve("account", mine)
        assert pushed["name"] == "Fjord Marine AS"
        assert pushed["_primarycontactid_value"] == contact
        changed = records.retrieve("account", account)
        assert (changed["telephone1"], changed["revenue"]) == ("+47 55", 2.5)
        assert records.retrieve("contact", contact)["jobtitle"] == "Käufer"

    await _office(field, read_back)


async def test_rows_that_the_sdk_deletes_leave_the_replica(field: Field) -> None:
    async with field.replica() as replica:
        await replica.download()
        before = await replica.table("task").count()
        victims = [row.id async for row in replica.table("task").query(top=3)]
        await _office(field, lambda records: [records.delete("task", row_id) for row_id in victims])
        report = await replica.sync()
        assert report.tables["task"].removed == 3
        assert await replica.table("task").count() == before - 3
