"""Conflicts: four kinds, two policies, nothing lost."""

from __future__ import annotations

import pytest

import holdfast
from holdfast import hookimpl
from holdfast.errors import IssueNotFound
from holdfast.model import Conflict, Defer, KeepLocal, Merge, Policy, Resolution
from support.world import World, present


async def _edited_on_both_sides(world: World, row: str, replica: holdfast.Replica) -> None:
    await replica.download()
    await replica.table("account").update(row, {"telephone1": "mine"})
    world.server.update("account", row, {"telephone1": "theirs", "address1_city": "Oslo"})


async def test_client_wins_lays_the_edit_on_the_version_it_has_seen(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await _edited_on_both_sides(world, accounts[0], replica)
        report = await replica.sync()
        row = await replica.table("account").get(accounts[0])
        (entry,) = await replica.history()
    assert report.complete
    assert row["telephone1"] == "mine"
    assert row["address1_city"] == "Oslo"
    assert world.stored("account", accounts[0])["telephone1"] == "mine"
    assert (entry.winner.value, entry.policy) == ("mine", "client-wins")
    assert present(entry.base)["telephone1"] is None
    assert present(entry.mine)["telephone1"] == "mine"
    assert present(entry.theirs)["telephone1"] == "theirs"
    assert entry.columns == ("telephone1",)


async def test_server_wins_keeps_what_was_typed_in_the_history(
    world: World, accounts: list[str]
) -> None:
    world.conflict_detection = True
    async with world.replica() as replica:
        await _edited_on_both_sides(world, accounts[0], replica)
        report = await replica.sync()
        row = await replica.table("account").get(accounts[0])
        assert row["telephone1"] == "theirs"
        assert not row.pending
        (entry,) = await replica.history()
        assert report.conflicts == [entry.id]
        await replica.take_mine(entry.id)
        assert (await replica.sync()).complete
    assert world.stored("account", accounts[0])["telephone1"] == "mine"


async def test_the_loser_of_client_wins_can_be_brought_back(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await _edited_on_both_sides(world, accounts[0], replica)
        await replica.sync()
        (entry,) = await replica.history()
        await replica.take_theirs(entry.id)
        await replica.sync()
        with pytest.raises(IssueNotFound, match="already is as wanted"):
            await replica.take_theirs(entry.id)
    assert world.stored("account", accounts[0])["telephone1"] == "theirs"


@pytest.mark.parametrize("server_wins", [False, True])
async def test_update_here_and_delete_there(
    world: World, accounts: list[str], server_wins: bool
) -> None:
    world.conflict_detection = server_wins
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        world.server.delete("account", accounts[0])
        assert (await replica.sync()).complete
        stored = world.server.get("account", accounts[0])
        if server_wins:
            assert stored is None
            assert await replica.table("account").count() == 6
        else:
            assert present(stored)["telephone1"] == "mine"
            assert present(stored)["name"] == "Account 0"
        (entry,) = await replica.history()
        assert entry.theirs is None


@pytest.mark.parametrize("server_wins", [False, True])
async def test_delete_here_and_update_there(
    world: World, accounts: list[str], server_wins: bool
) -> None:
    world.conflict_detection = server_wins
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").delete(accounts[0])
        world.server.update("account", accounts[0], {"telephone1": "theirs"})
        assert (await replica.sync()).complete
        stored = world.server.get("account", accounts[0])
        if server_wins:
            assert present(stored)["telephone1"] == "theirs"
            assert (await replica.table("account").get(accounts[0]))["telephone1"] == "theirs"
        else:
            assert stored is None
        (entry,) = await replica.history()
        assert entry.mine is None
        if not server_wins:
            await replica.take_theirs(entry.id)
            await replica.sync()
            assert world.stored("account", accounts[0])["telephone1"] == "theirs"


async def test_deleted_on_both_sides_is_no_conflict(world: World, accounts: list[str]) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").delete(accounts[0])
        world.server.delete("account", accounts[0])
        report = await replica.sync()
        assert report.complete
        assert await replica.history() == []


@pytest.mark.parametrize("server_wins", [False, True])
async def test_create_of_a_row_that_exists_there(world: World, server_wins: bool) -> None:
    world.conflict_detection = server_wins
    row_id = "11111111-2222-4333-8444-555555555555"
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").create({"accountid": row_id, "name": "Mine"})
        world.server.create("account", {"name": "Theirs", "telephone1": "7"}, row_id=row_id)
        assert (await replica.sync()).complete
        stored = world.server.get("account", row_id)
    assert present(stored)["name"] == ("Theirs" if server_wins else "Mine")
    assert present(stored)["telephone1"] == "7"


async def test_a_conflict_that_a_pull_has_shown_is_settled_before_anything_is_sent(
    world: World, accounts: list[str]
) -> None:
    world.conflict_detection = True
    async with world.replica() as replica:
        await _edited_on_both_sides(world, accounts[0], replica)
        await replica.download()
        row = await replica.table("account").get(accounts[0])
        assert row["telephone1"] == "mine"  # a pull never takes away what was typed
        effects = len(world.server.effects)
        await replica.sync()
    assert len(world.server.effects) == effects


async def test_each_table_uses_its_own_policy(world: World, accounts: list[str]) -> None:
    contact = world.server.create("contact", {"fullname": "Old"})
    world.tables = [{"name": "account"}, {"name": "contact", "resolver": "server-wins"}]
    async with world.replica() as replica:
        await replica.download()
        await replica.table("contact").update(contact, {"fullname": "Mine"})
        await replica.table("account").update(accounts[0], {"name": "Mine"})
        world.server.update("contact", contact, {"fullname": "Theirs"})
        world.server.update("account", accounts[0], {"name": "Theirs"})
        await replica.sync()
    assert world.stored("contact", contact)["fullname"] == "Theirs"
    assert world.stored("account", accounts[0])["name"] == "Mine"


class _Scripted:
    """A resolver plugin that steps in before the table's policy."""

    def __init__(self, answer: Resolution | Exception) -> None:
        self.answer = answer
        self.seen: list[Conflict] = []

    async def __call__(self, conflict: Conflict) -> Resolution:
        self.seen.append(conflict)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _step_in(replica: holdfast.Replica, script: _Scripted) -> _Scripted:

    class Plugin:
        @hookimpl
        async def holdfast_resolve_conflict(self, policy: Policy, conflict: Conflict) -> Resolution:
            return await script(conflict)

    replica._engine.plugins.register(Plugin(), "scripted")
    return script


async def test_a_merge_is_sent_as_one_update(world: World, accounts: list[str]) -> None:
    async with world.replica() as replica:
        await _edited_on_both_sides(world, accounts[0], replica)
        script = _step_in(replica, _Scripted(Merge({"telephone1": "both"})))
        assert (await replica.sync()).complete
    (conflict,) = script.seen
    assert conflict.mine == {"telephone1"}
    assert conflict.theirs == {"telephone1", "address1_city"}
    stored = world.server.get("account", accounts[0])
    assert (present(stored)["telephone1"], present(stored)["address1_city"]) == ("both", "Oslo")


@pytest.mark.parametrize(
    "answer",
    [Defer("ask Kari"), RuntimeError("boom"), Merge({"nonsense": 1}), Merge({"telephone1": 7})],
)
async def test_what_no_policy_settles_becomes_an_issue_and_the_row_stays(
    world: World, accounts: list[str], answer: Resolution | Exception
) -> None:
    async with world.replica() as replica:
        await _edited_on_both_sides(world, accounts[0], replica)
        _step_in(replica, _Scripted(answer))
        report = await replica.sync()
        (issue,) = await replica.issues()
        assert report.issues == [issue.id]
        assert not report.complete
        assert (present(issue.mine)["telephone1"], present(issue.theirs)["telephone1"]) == (
            "mine",
            "theirs",
        )
        assert (await replica.table("account").get(accounts[0]))["telephone1"] == "mine"
        assert not (await replica.status()).synced
        await replica.take_mine(issue.id)
        assert await replica.issues() == []
        assert (await replica.sync()).complete
    assert world.stored("account", accounts[0])["telephone1"] == "mine"


async def test_an_issue_can_be_given_to_the_server(world: World, accounts: list[str]) -> None:
    async with world.replica() as replica:
        await _edited_on_both_sides(world, accounts[0], replica)
        _step_in(replica, _Scripted(Defer("ask")))
        await replica.sync()
        (issue,) = await replica.issues()
        await replica.take_theirs(issue.id)
        row = await replica.table("account").get(accounts[0])
        assert row["telephone1"] == "theirs"
        assert (await replica.status()).synced


async def test_a_row_that_keeps_changing_there_is_given_to_a_person(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await _edited_on_both_sides(world, accounts[0], replica)

        class Busy(_Scripted):
            async def __call__(self, conflict: Conflict) -> Resolution:
                theirs = {"telephone1": f"theirs {conflict.attempts}"}
                world.server.update("account", accounts[0], theirs)
                return await super().__call__(conflict)

        _step_in(replica, Busy(KeepLocal()))
        await replica.sync()
        (issue,) = await replica.issues()
    assert "changed on the server 5 times" in issue.message


async def test_a_refused_edit_stays_and_holds_only_what_depends_on_it(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        contact = await replica.table("contact").create({"fullname": "Bad"})
        child = await replica.table("account").create({"name": "C", "primarycontactid": contact})
        await replica.table("account").update(accounts[0], {"telephone1": "1"})
        world.server.refuse(contact, "0x80040265", "the plug-in says no")
        report = await replica.sync()
        (issue,) = await replica.issues()
        assert (issue.kind.value, issue.code) == ("refused", "0x80040265")
        assert report.applied == 1
        assert report.waiting == 2
        assert (await replica.table("contact").get(contact))["fullname"] == "Bad"
        assert world.server.get("account", child) is None
        world.server.accept(contact)
        await replica.retry(issue.id)
        assert (await replica.sync()).complete
        assert await replica.issues() == []
    assert world.server.get("account", child) is not None


async def test_discarding_a_refused_edit_gives_the_row_back(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "bad"})
        world.server.refuse(accounts[0], "0x1", "no")
        await replica.sync()
        await replica.table("account").update(accounts[0], {"address1_city": "Voss"})
        (issue,) = await replica.issues()
        world.server.accept(accounts[0])
        await replica.discard(issue.id)
        row = await replica.table("account").get(accounts[0])
        assert row["telephone1"] is None
        assert row["address1_city"] == "Voss"
        assert (await replica.sync()).complete
    assert world.stored("account", accounts[0])["address1_city"] == "Voss"
