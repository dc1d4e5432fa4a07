"""Downloads: membership, resuming, reading anew, and rows with unsettled ops in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import pytest

from holdfast._store import Writes
from holdfast.contracts import Layout
from holdfast.errors import ProfileError, Unreachable
from holdfast.model import Outcome, Page, Scope, Unit
from holdfast.status import Availability, Downloaded, Downloading, Event
from support.world import World, names


def _bergen(world: World) -> None:
    world.tables = [{"name": "account", "filter": {"odata": "address1_city eq 'bergen'"}}]


async def test_only_rows_that_match_the_filter_are_kept(world: World, accounts: list[str]) -> None:
    _bergen(world)
    world.server.create("account", {"name": "Elsewhere", "address1_city": "Oslo"})
    async with world.replica() as replica:
        await replica.download()
        assert len(await names(replica)) == 7
        assert "address1_city" in replica.table("account").schema.by_name


async def test_a_row_that_stops_matching_leaves_and_one_that_starts_arrives(
    world: World, accounts: list[str]
) -> None:
    _bergen(world)
    oslo = world.server.create("account", {"name": "Elsewhere", "address1_city": "Oslo"})
    async with world.replica() as replica:
        await replica.download()
        world.server.update("account", accounts[0], {"address1_city": "Oslo"})
        world.server.update("account", oslo, {"address1_city": "Bergen"})
        report = await replica.sync()
        here = await names(replica)
    assert "Account 0" not in here
    assert "Elsewhere" in here
    assert report.tables["account"].removed == 1


async def test_a_row_with_unsettled_ops_stays_though_it_stopped_matching(
    world: World, accounts: list[str]
) -> None:
    _bergen(world)
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "1"})
        world.server.update("account", accounts[0], {"address1_city": "Oslo"})
        await replica.download()
        assert "Account 0" in await names(replica)
        await replica.sync()
        assert "Account 0" not in await names(replica)
    assert world.stored("account", accounts[0])["telephone1"] == "1"


async def test_a_row_created_here_outside_the_filter_is_sent_and_then_leaves(world: World) -> None:
    _bergen(world)
    async with world.replica() as replica:
        await replica.download()
        row = await replica.table("account").create({"name": "Far", "address1_city": "Oslo"})
        assert await names(replica) == ["Far"]
        await replica.sync()
        assert await names(replica) == []
    assert world.server.get("account", row) is not None


@pytest.fixture
def people(world: World) -> tuple[list[str], str]:
    """Three contacts; the first account points to the first of them."""
    world.tables = [
        {"name": "contact", "related": ["account_primary_contact"]},
        {"name": "account", "columns": ["name"]},
    ]
    contacts = [world.server.create("contact", {"fullname": f"P{n}"}) for n in range(3)]
    account = world.server.create("account", {"name": "A", "primarycontactid": contacts[0]})
    return contacts, account


async def test_related_rows_are_those_that_kept_rows_point_to(
    world: World, people: tuple[list[str], str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica, "contact") == ["P0"]
        assert "primarycontactid" not in replica.table("account").schema.by_name


async def test_related_rows_come_and_go_with_the_rows_that_point_to_them(
    world: World, people: tuple[list[str], str]
) -> None:
    contacts, account = people
    async with world.replica() as replica:
        await replica.download()
        world.server.update("account", account, {"primarycontactid": contacts[1]})
        await replica.sync()
        assert await names(replica, "contact") == ["P1"]
        world.server.delete("account", account)
        await replica.sync()
        assert await names(replica, "contact") == []


async def test_a_related_row_created_here_never_vanishes_on_its_way(
    world: World, people: tuple[list[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tables[1]["columns"] = ["name", "primarycontactid"]
    seen: list[bool] = []
    async with world.replica() as replica:
        await replica.download()
        person = await replica.table("contact").create({"fullname": "New"})
        await replica.table("account").create({"name": "B", "primarycontactid": person})
        original = replica._engine.store.commit

        async def watched(writes: Writes) -> None:
            await original(writes)
            seen.append(bool(await replica._store.storage.read("contact", [person])))

        monkeypatch.setattr(replica._engine.store, "commit", watched)
        await replica.sync()
        assert await names(replica, "contact") == ["New", "P0"]
    assert all(seen)


async def test_both_rules_must_admit_a_row_when_match_is_all(
    world: World, people: tuple[list[str], str]
) -> None:
    world.tables[0] |= {"filter": {"odata": "startswith(fullname,'p0')"}, "match": "all"}
    contacts, _account = people
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica, "contact") == ["P0"]
        world.server.update("contact", contacts[0], {"fullname": "Q0"})
        await replica.sync()
        assert await names(replica, "contact") == []


async def test_an_interrupted_first_download_goes_on_from_the_last_stored_page(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        pull = replica._engine.transport.pull

        def cut(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
            return _first_pages(pull(scope, checkpoint), 2)

        monkeypatch.setattr(replica._engine.transport, "pull", cut)
        with pytest.raises(Unreachable):
            await replica.download()
        status = await replica.status()
        assert status.tables[0].availability is Availability.INITIALIZING
        assert status.tables[0].received == 6
        assert _layout(world, "account").filling
    asked: list[str | None] = []
    async with world.replica() as replica:
        pull = replica._engine.transport.pull

        def noted(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
            asked.append(checkpoint)
            return pull(scope, checkpoint)

        monkeypatch.setattr(replica._engine.transport, "pull", noted)
        report = await replica.download()
        assert len(await names(replica)) == 7
        assert not _layout(world, "account").filling  # its indexes are due now, and stay
    assert asked[0] is not None
    assert report.tables["account"].received == 1
    async with world.replica():
        assert not _layout(world, "account").filling


def _layout(world: World, table: str) -> Layout:
    tables = world.disk.file("default").tables
    assert tables is not None
    return tables[table].layout


async def _first_pages(pages: AsyncIterator[Page], count: int) -> AsyncIterator[Page]:
    async for page in pages:
        yield page
        count -= 1
        if not count:
            raise Unreachable("the cable was cut; try again")


async def test_an_expired_checkpoint_is_read_anew_without_a_gap(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[1], {"telephone1": "mine"})
        world.server.delete("account", accounts[0])
        world.server.update("account", accounts[2], {"name": "Changed"})
        world.server.expire_checkpoints()
        smallest: list[int] = []
        original = replica._engine.store.commit

        async def watched(writes: Writes) -> None:
            await original(writes)
            smallest.append(await replica.table("account").count())

        monkeypatch.setattr(replica._engine.store, "commit", watched)
        await replica.download()
        here = await names(replica)
        row = await replica.table("account").get(accounts[1])
    assert min(smallest) >= 6
    assert "Account 0" not in here
    assert "Changed" in here
    assert row["telephone1"] == "mine"


async def test_a_dirty_row_that_reading_anew_did_not_bring_is_known_to_be_gone(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").delete(accounts[0])
        await replica.table("account").update(accounts[1], {"telephone1": "mine"})
        for account in accounts[:2]:
            world.server.delete("account", account)
        world.server.expire_checkpoints()
        await replica.download()
        assert (await replica.table("account").get(accounts[1]))["telephone1"] == "mine"
        report = await replica.sync()
        assert report.complete
        (entry,) = await replica.history()
    assert entry.row_id == accounts[1]
    assert entry.theirs is None


async def test_a_shrunken_answer_is_asked_about_before_anything_goes(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        world.server.expire_checkpoints()
        pull = replica._engine.transport.pull

        async def shrunken(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
            async for page in pull(scope, checkpoint):
                yield page if checkpoint else _emptied(page)

        monkeypatch.setattr(replica._engine.transport, "pull", shrunken)
        await replica.download()
        assert len(await names(replica)) == 7


def _emptied(page: Page) -> Page:
    return replace(page, records=())


async def test_a_changed_filter_brings_the_new_rows_and_drops_the_old(
    world: World, accounts: list[str]
) -> None:
    world.server.create("account", {"name": "Elsewhere", "address1_city": "Oslo"})
    _bergen(world)
    async with world.replica() as replica:
        await replica.download()
    world.tables[0]["filter"] = {"odata": "address1_city eq 'Oslo'"}
    async with world.replica() as replica:
        await replica.sync()
        assert await names(replica) == ["Elsewhere"]


async def test_a_new_column_and_a_new_table_come_with_the_next_sync(
    world: World, accounts: list[str]
) -> None:
    world.tables = [{"name": "account", "columns": ["telephone1"]}]
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
    world.tables = [{"name": "account", "columns": ["telephone1", "address1_city"]}]
    world.tables.append({"name": "contact"})
    world.server.create("contact", {"fullname": "Kari"})
    async with world.replica() as replica:
        row = await replica.table("account").get(accounts[0])
        assert (row["telephone1"], row["address1_city"]) == ("mine", None)
        assert (await replica.sync()).complete
        row = await replica.table("account").get(accounts[0])
        assert row["address1_city"] == "Bergen"
        assert await names(replica, "contact") == ["Kari"]
    assert world.stored("account", accounts[0])["telephone1"] == "mine"


async def test_work_on_a_table_that_left_the_profile_is_still_sent(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
    world.tables = [{"name": "contact"}]
    async with world.replica() as replica:
        await replica.download()
        assert len(await replica.pending()) == 1
        assert (await replica.sync()).complete
    assert world.stored("account", accounts[0])["telephone1"] == "mine"


async def test_every_mistake_that_the_server_shows_is_named(world: World) -> None:
    world.tables = [
        {"name": "acount"},
        {"name": "account", "columns": ["nme"], "filter": {"odata": "cty eq 'x'"}},
        {"name": "contact", "related": ["account_primary_contct"]},
    ]
    async with world.replica() as replica:
        with pytest.raises(ProfileError) as caught:
            await replica.download()
    keys = [problem.key for problem in caught.value.problems]
    assert keys == [
        "profile.tables[0].name",
        "profile.tables[1].columns[0]",
        "profile.tables[1].filter.odata",
        "profile.tables[2].related[0]",
    ]


async def test_a_lost_reply_is_recognised_and_is_no_conflict(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        created = await table.create({"name": "New"})
        await table.update(accounts[0], {"telephone1": "1"})
        await table.delete(accounts[1])
        effects = len(world.server.effects)
        push = replica._engine.transport.push

        def losing(units: Sequence[Unit], scopes: Mapping[str, Scope]) -> AsyncIterator[Outcome]:
            if units[0].ops[0].attempts == 1:
                world.server.lose_reply(3)
            return push(units, scopes)

        monkeypatch.setattr(replica._engine.transport, "push", losing)
        report = await replica.sync()
        assert report.complete
        assert await replica.history() == []
    assert len(world.server.effects) == effects + 3
    assert world.stored("account", created)["name"] == "New"


async def test_an_edit_made_while_its_row_is_on_the_way_stays_on_top(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        await table.update(accounts[0], {"telephone1": "first"})
        push = replica._engine.transport.push

        async def slow(
            units: Sequence[Unit], scopes: Mapping[str, Scope]
        ) -> AsyncIterator[Outcome]:
            outcomes = [outcome async for outcome in push(units, scopes)]
            if units[0].ops[0].changes["telephone1"] == "first":
                await table.update(accounts[0], {"telephone1": "second"})
            for outcome in outcomes:
                yield outcome
            row = await table.get(accounts[0])
            assert row["telephone1"] == "second"

        monkeypatch.setattr(replica._engine.transport, "push", slow)
        assert (await replica.sync()).complete
    assert world.stored("account", accounts[0])["telephone1"] == "second"


async def test_events_tell_how_far_a_download_has_come(world: World, accounts: list[str]) -> None:
    seen: list[Event] = []
    async with world.replica() as replica:

        async def watch() -> None:
            async for event in replica.events():
                seen.append(event)  # noqa: PERF401  the stream has no end

        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(watch())
            await asyncio.sleep(0)
            await replica.download()
            watcher.cancel()
    progress = [event.received for event in seen if isinstance(event, Downloading)]
    assert progress[:3] == [3, 6, 7]
    assert Downloaded("account", 7, 0) in seen
