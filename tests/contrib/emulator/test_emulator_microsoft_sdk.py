"""Microsoft's own client judges the emulator, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import pytest
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.aio.async_client import AsyncDataverseClient
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.filters import col
from PowerPlatform.Dataverse.models.upsert import UpsertItem

if TYPE_CHECKING:
    from holdfast_emulator import EmulatorServer

FORMATTED = "OData.Community.Display.V1.FormattedValue"
NEVER = 4_000_000_000


class Credential:
    """Hands out the demo token."""

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken("demo-token", NEVER)


class AsyncCredential:
    """The same, for the asynchronous client."""

    async def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken("demo-token", NEVER)

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


async def run(server: EmulatorServer, scenario: Callable[[Any], None]) -> None:
    """Run a scenario of the synchronous client in a thread."""

    def in_thread() -> None:
        with DataverseClient("https://placeholder.invalid", Credential()) as client:
            client._base_url = server.url  # its constructor insists on https
            scenario(client)

    await asyncio.to_thread(in_thread)
    unsupported = [one for one in server.trace if one["unsupported"]]
    assert unsupported == []


async def test_the_sdk_creates_reads_updates_and_deletes(server: EmulatorServer) -> None:
    def scenario(client: Any) -> None:
        records = client.records
        row_id = records.create("account", {"name": "Ærø Marine", "industrycode": "Accounting"})
        row = records.retrieve("account", row_id, select=["name", "industrycode"])
        assert (row["name"], row["industrycode"]) == ("Ærø Marine", 1)
        records.update("account", row_id, {"name": "Bodø Bygg", "revenue": 12.5})
        row = records.retrieve("account", row_id, include_annotations=FORMATTED)
        assert (row["name"], row[f"revenue@{FORMATTED}"]) == ("Bodø Bygg", "$12.50")
        records.delete("account", row_id)
        assert records.retrieve("account", row_id) is None
        with pytest.raises(HttpError) as refused:
            records.update("account", row_id, {"name": "C"})
        assert refused.value.status_code == 404

    await run(server, scenario)


async def test_the_sdk_writes_in_bulk(server: EmulatorServer) -> None:
    def scenario(client: Any) -> None:
        records = client.records
        ids = records.create("contact", [{"lastname": f"Bø {n}"} for n in range(20)])
        assert len(set(ids)) == 20
        assert records.retrieve("contact", ids[7])["lastname"] == "Bø 7"
        records.update("contact", ids, {"jobtitle": "Technician"})
        records.update("contact", ids[:2], [{"jobtitle": "Käufer"}, {"jobtitle": None}])
        assert len(records.list("contact", filter="jobtitle eq 'technician'")) == 18
        assert records.delete("contact", ids[:19])
        assert [row["contactid"] for row in records.list("contact")] == ids[19:]
        with pytest.raises(HttpError):
            records.create("contact", [{"lastname": "x"}, {"lastname": "y" * 51}])
        assert len(records.list("contact")) == 1

    await run(server, scenario)


async def test_the_sdk_queries_with_filter_order_top_and_pages(server: EmulatorServer) -> None:
    def scenario(client: Any) -> None:
        records = client.records
        contact = records.create("contact", {"firstname": "Åse", "lastname": "Bø"})
        rows = [{"name": f"Account {n:02}", "numberofemployees": n % 3} for n in range(20)]
        rows[5]["primarycontactid@odata.bind"] = f"/contacts({contact})"
        records.create("account", rows)
        found = records.list(
            "account",
            filter=(col("numberofemployees") == 1) & ~(col("name") == "Account 01"),
            select=["name"],
            orderby=["name desc"],
            top=2,
        )
        assert [row["name"] for row in found] == ["Account 19", "Account 16"]
        pages = list(
            records.list_pages(
                "account", select=["name"], orderby=["name"], page_size=6, count=True
            )
        )
        assert [len(page) for page in pages] == [6, 6, 6, 2]
        assert [row["name"] for page in pages for row in page] == [str(r["name"]) for r in rows]
        some = records.list("account", filter=col("numberofemployees").in_([1, 2]))
        assert len(some) == 13
        (expanded,) = records.list(
            "account",
            filter=f"_primarycontactid_value eq {contact}",
            expand=["primarycontactid"],
            include_annotations="*",
        )
        assert expanded["primarycontactid"]["fullname"] == "Åse Bø"
        assert expanded[f"_primarycontactid_value@{FORMATTED}"] == "Åse Bø"
        with pytest.raises(HttpError) as refused:
            records.list("account", filter="nonsense eq 1")
        assert refused.value.status_code == 400

    await run(server, scenario)


async def test_the_sdk_upserts(server: EmulatorServer) -> None:
    ids = [str(uuid.UUID(int=number)) for number in (1, 2, 3)]

    def scenario(client: Any) -> None:
        records = client.records
        for name in ("created", "updated"):
            one = UpsertItem(alternate_key={"accountid": uuid.UUID(ids[0])}, record={"name": name})
            records.upsert("account", [one])
            assert records.retrieve("account", ids[0])["name"] == name
        records.upsert(
            "account",
            [
                UpsertItem(alternate_key={"accountid": row_id}, record={"name": "all"})
                for row_id in ids
            ],
        )
        assert [row["name"] for row in records.list("account")] == ["all"] * 3

    await run(server, scenario)


async def test_the_sdk_sends_batches_with_change_sets(server: EmulatorServer) -> None:
    def scenario(client: Any) -> None:
        batch = client.batch.new()
        batch.records.create("account", {"name": "Alone"})
        with batch.changeset() as changes:
            contact = changes.records.create("contact", {"lastname": "O'Neil"})
            account = changes.records.create(
                "account", {"name": "A & B", "primarycontactid@odata.bind": contact}
            )
            changes.records.update("contact", contact, {"firstname": "Åse"})
            changes.records.update("account", account, {"fax": "47"})
        batch.records.create("task", [{"subject": "one"}, {"subject": "two"}])
        result = batch.execute()
        assert not result.has_errors, [one.error_message for one in result.failed]
        assert len(result.responses) == 6
        row_id = client.records.list("account", filter="name eq 'A & B'")[0]["accountid"]
        row = client.records.retrieve("account", row_id, expand=["primarycontactid"])
        assert row["primarycontactid"]["fullname"] == "Åse O'Neil"
        assert row["fax"] == "47"

    await run(server, scenario)


async def test_the_sdk_sees_which_operation_of_a_batch_failed(server: EmulatorServer) -> None:
    def scenario(client: Any) -> None:
        # The client takes 200 and 400 for a batch, not the 404 that a missing row would make it.
        for goes_on, statuses in ((False, [400]), (True, [400, 204])):
            batch = client.batch.new()
            batch.records.create("account", {"name": "x" * 161})
            batch.records.create("account", {"name": "A"})
            result = batch.execute(continue_on_error=goes_on)
            assert [one.status_code for one in result.responses] == statuses
            assert result.failed[0].error_code == "0x80044331"
        batch = client.batch.new()
        with batch.changeset() as changes:
            changes.records.create("account", {"name": "undone"})
            changes.records.create("account", {"nonsense": 1})
        assert batch.execute().has_errors
        assert len(client.records.list("account")) == 1

    await run(server, scenario)


async def test_the_asynchronous_sdk_does_the_same(server: EmulatorServer) -> None:
    async with AsyncDataverseClient(server.url, AsyncCredential()) as client:
        records = client.records
        row_id = await records.create("account", {"name": "Ærø"})
        await records.update("account", row_id, {"telephone1": "47"})
        row = await records.retrieve("account", row_id, select=["telephone1"])
        assert row is not None
        assert row["telephone1"] == "47"
        ids = await records.create("account", [{"name": f"n{number}"} for number in range(5)])
        pages = [
            [row["name"] for row in page]
            async for page in records.list_pages(
                "account", filter="startswith(name,'n')", orderby=["name desc"], page_size=2
            )
        ]
        assert pages == [["n4", "n3"], ["n2", "n1"], ["n0"]]
        batch = client.batch.new()
        batch.records.delete("account", ids[0])
        async with batch.changeset() as changes:
            contact = changes.records.create("contact", {"lastname": "Bø"})
            changes.records.update("account", ids[1], {"primarycontactid@odata.bind": contact})
        result = await batch.execute()
        assert not result.has_errors
        await records.delete("account", row_id)
        assert await records.retrieve("account", row_id) is None
    assert [one for one in server.trace if one["unsupported"]] == []
