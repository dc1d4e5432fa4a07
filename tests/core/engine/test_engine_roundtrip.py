"""Down, offline, up: the main job over the in-memory drivers."""

from __future__ import annotations

import pytest

from holdfast.contracts import OpenMode
from holdfast.errors import (
    InvalidValue,
    NotDownloaded,
    ReplicaMismatch,
    RowNotFound,
    StorageError,
    UnknownTable,
    WorkingOffline,
)
from holdfast.status import Availability
from holdfast.values import Reference
from support.world import World, present


async def test_a_download_brings_every_row_the_profile_selects(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        report = await replica.download()
        names = [row["name"] async for row in replica.table("account").query(order_by="name desc")]
    assert report.tables["account"].received == 7
    assert names == [f"Account {n}" for n in reversed(range(7))]


async def test_before_the_first_download_a_table_says_what_to_do(world: World) -> None:
    async with world.replica() as replica:
        with pytest.raises(NotDownloaded, match="run a download"):
            replica.table("account")
        with pytest.raises(UnknownTable, match="the profile has account, contact"):
            replica.table("lead")
        status = await replica.status()
    assert status.availability is Availability.NOT_DOWNLOADED
    assert not status.synced


async def test_offline_work_arrives_when_the_switch_is_turned_off(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.go_offline()
        table = replica.table("account")
        new = await table.create({"name": "Fjord Marine AS"})
        await table.update(accounts[0], {"telephone1": "+47 55"})
        await table.delete(accounts[1])
        with pytest.raises(WorkingOffline):
            await replica.sync()
        assert world.server.get("account", new) is None
        report = await replica.go_online()
        status = await replica.status()
    assert report.complete
    assert report.applied == 3
    assert status.synced
    assert world.stored("account", new)["name"] == "Fjord Marine AS"
    assert world.stored("account", accounts[0])["telephone1"] == "+47 55"
    assert world.server.get("account", accounts[1]) is None


async def test_work_survives_closing_and_opening(world: World, accounts: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.go_offline()
        await replica.table("account").update(accounts[0], {"revenue": 12.5})
    async with world.replica() as replica:
        assert (await replica.status()).working_offline
        row = await replica.table("account").get(accounts[0])
        assert row.pending
        assert str(row["revenue"]) == "12.5"
        await replica.go_online()
    assert str(world.stored("account", accounts[0])["revenue"]) == "12.5"


async def test_a_new_row_shows_what_the_server_will_fill_in(world: World) -> None:
    async with world.replica() as replica:
        await replica.download()
        row_id = await replica.table("account").create({"name": "Ny"})
        row = await replica.table("account").get(row_id)
    assert row["statecode"] == 0
    assert row.label("statecode") == "Active"
    assert row["ownerid"] == Reference("systemuser", "user-1")
    assert row["createdon"] is not None
    assert row.version is None


async def test_every_mistake_of_a_write_is_named_and_nothing_is_written(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        with pytest.raises(InvalidValue) as caught:
            await table.create(
                {
                    "nam": "x",
                    "telephone1": "1" * 21,
                    "revenue": -1,
                    "statecode": 5,
                    "primarycontactid": Reference("lead", accounts[0]),
                }
            )
        assert {problem.key for problem in caught.value.problems} == {
            "nam",
            "telephone1",
            "revenue",
            "statecode",
            "primarycontactid",
            "name",
        }
        with pytest.raises(InvalidValue, match="cannot be changed"):
            await table.update(accounts[0], {"createdon": None})
        with pytest.raises(InvalidValue, match="does not go with"):
            await table.update(accounts[0], {"statecode": 1, "statuscode": 1})
        with pytest.raises(RowNotFound):
            await table.delete("00000000-0000-0000-0000-000000000000")
        with pytest.raises(InvalidValue, match="nothing to change"):
            await table.update(accounts[0], {})
        assert await replica.pending() == []


async def test_a_create_carries_the_edits_that_followed_it(world: World) -> None:
    async with world.replica() as replica:
        await replica.download()
        contact = await replica.table("contact").create({"fullname": "Kari"})
        account = await replica.table("account").create({"name": "A", "primarycontactid": contact})
        await replica.table("account").update(account, {"telephone1": "1"})
        await replica.table("account").update(account, {"telephone1": "2"})
        report = await replica.sync()
    assert report.applied == 2
    stored = world.server.get("account", account)
    assert present(stored)["telephone1"] == "2"
    assert present(stored)["primarycontactid"] == Reference("contact", contact)


async def test_many_edits_of_a_row_are_one_request(world: World, accounts: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        before = len(world.server.effects)
        for number in range(5):
            await table.update(accounts[0], {"telephone1": f"{number}", "address1_city": "Voss"})
        await table.update(accounts[0], {"address1_city": None})
        await replica.sync()
        assert await replica.pending() == []
        assert (await table.get(accounts[0]))["telephone1"] == "4"
    (mine,) = [e for e in world.server.effects[before:] if e.op_id is not None]
    stored = world.stored("account", accounts[0])
    assert (mine.kind.value, stored["telephone1"]) == ("update", "4")
    assert stored["address1_city"] is None


async def test_a_row_made_and_deleted_offline_is_no_request(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        before = len(world.server.effects)
        row = await table.create({"name": "Never mind"})
        await table.update(row, {"telephone1": "1"})
        await table.delete(row)
        report = await replica.sync()
        assert (report.applied, report.waiting) == (0, 0)
        assert (await replica.status()).synced
    assert world.server.effects[before:] == []
    assert world.server.get("account", row) is None


async def test_a_second_user_cannot_use_the_replica(world: World, accounts: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
    world.user = "user-2"
    async with world.replica() as replica:
        with pytest.raises(ReplicaMismatch, match="user-1"):
            await replica.download()


async def test_a_reader_sees_the_rows_and_cannot_write(world: World, accounts: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        async with world.replica(mode=OpenMode.READER) as reader:
            assert await reader.table("account").count() == 7
            with pytest.raises(StorageError, match="read-only"):
                await reader.table("account").delete(accounts[0])
            with pytest.raises(StorageError, match="read-only"):
                await reader.sync()


async def test_an_unreachable_server_is_reported_and_the_work_stays(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").delete(accounts[0])
        world.server.unreachable = True
        report = await replica.sync()
        assert report.failure is not None
        assert report.waiting == 1
        world.server.unreachable = False
        assert (await replica.sync()).complete
        assert (await replica.status()).synced
    assert world.server.get("account", accounts[0]) is None


async def test_labels_name_options_and_looked_up_rows(world: World) -> None:
    contact = world.server.create("contact", {"fullname": "Åse Ødegård"})
    account = world.server.create("account", {"name": "A", "primarycontactid": contact})
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        labels = await table.labels(await table.get(account))
    assert labels["primarycontactid"] == "Åse Ødegård"


async def test_a_sync_that_was_stopped_is_not_called_synced(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        world.server.unreachable = True
        await replica.sync()
        status = await replica.status()
        assert not status.synced
        assert "nothing was sent" in str(status.problem)
    async with world.replica() as replica:
        assert not (await replica.status()).synced
        world.server.unreachable = False
        await replica.sync()
        assert (await replica.status()).synced
