"""What a person decides, and what a reader may not."""

from __future__ import annotations

import pytest

from holdfast.contracts import OpenMode
from holdfast.errors import StorageError
from holdfast.model import (
    Defer,
)
from support.world import World, answer_with


async def test_a_reader_can_settle_nothing_and_is_told_so(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "1"})
        world.server.refuse(accounts[0])
        await replica.sync()
        async with world.replica(mode=OpenMode.READER) as reader:
            (issue,) = await reader.issues()
            for act in (reader.retry, reader.discard, reader.take_mine, reader.take_theirs):
                with pytest.raises(StorageError, match="read-only"):
                    await act(issue.id)
            with pytest.raises(StorageError, match="read-only"):
                await reader.go_offline()
            with pytest.raises(StorageError, match="read-only"):
                await reader.go_online()
        assert [i.id for i in await replica.issues()] == [issue.id]


async def test_an_edit_of_a_row_in_an_issue_waits_with_it_and_goes_with_it(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        await table.update(accounts[0], {"telephone1": "mine"})
        world.server.update("account", accounts[0], {"telephone1": "theirs"})
        answer_with(replica, Defer("ask"))
        await replica.sync()
        await table.update(accounts[0], {"address1_city": "Voss"})
        (issue,) = await replica.issues()
        await replica.sync()
        assert len(await replica.pending()) == 2
        await replica.take_theirs(issue.id)
        row = await table.get(accounts[0])
        assert (row["telephone1"], row["address1_city"]) == ("theirs", "Bergen")
        assert await replica.issues() == []


@pytest.mark.parametrize("mine", [False, True])
async def test_what_loses_when_a_person_decides_can_be_brought_back(
    world: World, accounts: list[str], mine: bool
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        world.server.update("account", accounts[0], {"telephone1": "theirs"})
        answer_with(replica, Defer("ask"))
        await replica.sync()
        (issue,) = await replica.issues()
        await (replica.take_mine if mine else replica.take_theirs)(issue.id)
        assert (await replica.sync()).complete
        (entry,) = await replica.history()
        assert (entry.winner.value, entry.policy) == ("mine" if mine else "theirs", "a person")
        await (replica.take_theirs if mine else replica.take_mine)(entry.id)
        assert (await replica.sync()).complete
    assert world.stored("account", accounts[0])["telephone1"] == ("theirs" if mine else "mine")


async def test_a_row_that_is_gone_there_is_made_again_when_a_person_wants_it(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        world.server.delete("account", accounts[0])
        answer_with(replica, Defer("ask"))
        await replica.sync()
        (issue,) = await replica.issues()
        assert issue.theirs is None
        await replica.take_mine(issue.id)
        assert (await replica.sync()).complete
    stored = world.stored("account", accounts[0])
    assert (stored["name"], stored["telephone1"]) == ("Account 0", "mine")


async def test_a_delete_taken_back_while_it_waits_leaves_the_row_as_wanted(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        world.server.update("account", accounts[0], {"telephone1": "theirs"})
        await replica.sync()
        (entry,) = await replica.history()
        await replica.table("account").delete(accounts[0])
        await replica.take_theirs(entry.id)
        assert (await replica.sync()).complete
    assert world.stored("account", accounts[0])["telephone1"] == "theirs"
