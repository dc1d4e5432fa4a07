"""Who belongs to a table when other things happen meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from holdfast._store import Writes
from holdfast.errors import StorageFull
from holdfast.model import (
    Defer,
    Record,
    Scope,
    Unreadable,
)
from holdfast.schema import Column, ColumnType, Relationship, TableSchema
from holdfast.testing import MemoryServer
from holdfast.values import Reference
from support.world import ACCOUNT, CONTACT, ROW, World, answer_with, names


async def test_a_first_download_cut_after_its_last_page_still_drops_what_has_left_since(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tables = [{"name": "account", "filter": {"odata": "address1_city eq 'Bergen'"}}]
    async with world.replica() as replica:
        commit = replica._store.commit

        async def full(writes: Writes) -> None:
            if _finishes(writes):
                raise StorageFull("memory")
            await commit(writes)

        monkeypatch.setattr(replica._store, "commit", full)
        with pytest.raises(StorageFull):
            await replica.download()
    world.server.delete("account", accounts[0])
    world.server.update("account", accounts[1], {"address1_city": "Oslo"})
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica) == [f"Account {n}" for n in range(2, 7)]


def _finishes(writes: Writes) -> bool:
    """Tell whether this commit ends the download of a table."""
    return any(
        change.table == "_holdfast_scopes" and record[4]
        for change in writes.changes()
        for record in getattr(change, "records", ())
    )


async def test_a_row_given_to_the_server_leaves_when_the_filter_no_longer_admits_it(
    world: World, accounts: list[str]
) -> None:
    world.tables = [{"name": "account", "filter": {"odata": "address1_city eq 'Bergen'"}}]
    world.conflict_detection = True
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        world.server.update("account", accounts[0], {"address1_city": "Oslo"})
        await replica.download()
        await replica.sync()
        assert await replica.pending() == []
        assert "Account 0" not in await names(replica)


@pytest.mark.parametrize("how", ["discard", "take_theirs"])
async def test_a_discarded_row_leaves_when_the_filter_no_longer_admits_it(
    world: World, accounts: list[str], how: str
) -> None:
    world.tables = [{"name": "account", "filter": {"odata": "address1_city eq 'Bergen'"}}]
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        world.server.refuse(accounts[0])
        await replica.sync()
        world.server.update("account", accounts[0], {"address1_city": "Oslo"})
        await replica.sync()
        (issue,) = await replica.issues()
        await getattr(replica, how)(issue.id)
        await replica.sync()
        assert "Account 0" not in await names(replica)


CITY = TableSchema(
    "city",
    "cityid",
    "fullname",
    (
        Column("cityid", ColumnType.UNIQUEIDENTIFIER, updatable=False),
        Column("fullname", ColumnType.STRING),
    ),
)
HOME_CITY = Relationship("contact_city", "contact", "cityid", "city")
CITIZEN = replace(
    CONTACT,
    columns=(*CONTACT.columns, Column("cityid", ColumnType.LOOKUP, targets=("city",))),
    relationships=(*CONTACT.relationships, HOME_CITY),
)


@pytest.fixture
def chain() -> tuple[World, list[str], str]:
    """Accounts point to contacts, contacts to cities; only what is pointed to is kept."""
    server = MemoryServer([ACCOUNT, CITIZEN, CITY], page_size=3)
    world = World(
        server=server,
        tables=[
            {"name": "account"},
            {"name": "contact", "related": ["account_primary_contact"]},
            {"name": "city", "related": ["contact_city"]},
        ],
    )
    cities = [server.create("city", {"fullname": f"City {n}"}) for n in range(2)]
    contacts = [
        server.create("contact", {"fullname": f"P{n}", "cityid": cities[n]}) for n in range(2)
    ]
    account = server.create("account", {"name": "A", "primarycontactid": contacts[0]})
    return world, contacts, account


async def test_related_rows_of_related_rows_follow(
    chain: tuple[World, list[str], str],
) -> None:
    world, contacts, account = chain
    async with world.replica() as replica:
        await replica.download()
        assert await names(replica, "city") == ["City 0"]
        world.server.update("account", account, {"primarycontactid": contacts[1]})
        await replica.sync()
        assert await names(replica, "contact") == ["P1"]
        assert await names(replica, "city") == ["City 1"]
        world.server.delete("account", account)
        await replica.sync()
        assert await names(replica, "city") == []


async def test_related_rows_follow_an_edit_that_was_discarded(
    chain: tuple[World, list[str], str],
) -> None:
    world, contacts, account = chain
    async with world.replica() as replica:
        await replica.download()
        world.server.refuse(account)
        await replica.table("account").update(
            account, {"primarycontactid": Reference("contact", contacts[1])}
        )
        world.server.create("account", {"name": "makes the links due"})
        await replica.sync()
        assert await names(replica, "contact") == ["P1"]
        (issue,) = await replica.issues()
        await replica.discard(issue.id)
        await replica.sync()
        assert await names(replica, "contact") == ["P0"]
        assert await names(replica, "city") == ["City 0"]


async def test_links_that_come_due_while_their_table_is_read_are_not_forgotten(
    chain: tuple[World, list[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, contacts, account = chain
    async with world.replica() as replica:
        await replica.download()
        world.server.refuse(account)
        elsewhere = {"primarycontactid": Reference("contact", contacts[1])}
        await replica.table("account").update(account, elsewhere)
        world.server.create("account", {"name": "makes the links due"})
        await replica.sync()
        assert await names(replica, "contact") == ["P1"]
        (issue,) = await replica.issues()
        pull = replica._engine.transport.pull

        async def slow(scope: Scope, checkpoint: str | None) -> AsyncIterator[Any]:
            async for page in pull(scope, checkpoint):
                if scope.table == "contact" and await replica.issues():
                    await replica.discard(issue.id)
                yield page

        monkeypatch.setattr(replica._engine.transport, "pull", slow)
        await replica.sync()
        await replica.sync()
        assert await names(replica, "contact") == ["P0"]


async def test_a_row_in_an_issue_that_reading_anew_did_not_bring_is_known_to_be_gone(
    world: World,
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").create({"accountid": ROW, "name": "Mine"})
        world.server.create("account", {"name": "Theirs"}, row_id=ROW)
        answer_with(replica, Defer("ask"))
        await replica.sync()
        (issue,) = await replica.issues()
        world.server.delete("account", ROW)
        world.server.expire_checkpoints()
        await replica.sync()
        (issue,) = await replica.issues()
        assert issue.theirs is None
        await replica.take_theirs(issue.id)
        assert await names(replica) == []


async def test_rows_that_a_fetch_returns_unasked_are_left_alone(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        world.server.expire_checkpoints()
        pull = replica._engine.transport.pull
        fetch = replica._engine.transport.fetch

        async def shrunken(scope: Scope, checkpoint: str | None) -> AsyncIterator[Any]:
            async for page in pull(scope, checkpoint):
                yield replace(page, records=()) if checkpoint is None else page

        async def generous(scope: Scope, ids: Sequence[str]) -> Sequence[Record | Unreadable]:
            return await fetch(scope, accounts)

        monkeypatch.setattr(replica._engine.transport, "pull", shrunken)
        monkeypatch.setattr(replica._engine.transport, "fetch", generous)
        await replica.download()
        assert len(await names(replica)) == 7
