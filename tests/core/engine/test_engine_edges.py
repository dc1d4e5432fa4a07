"""Wrong answers of policies and transports, and ops that may have been applied already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

import holdfast
from holdfast._plan import rows
from holdfast._store import Writes
from holdfast.errors import IssueNotFound
from holdfast.model import (
    Applied,
    Conflicted,
    KeepLocal,
    Merge,
    Op,
    OpKind,
    OpState,
    Outcome,
    Scope,
    Unit,
)
from support.world import ROW, World, answer_with


def _push_says(
    replica: holdfast.Replica, monkeypatch: pytest.MonkeyPatch, answers: Mapping[OpKind, Any]
) -> list[Op]:
    """Let the transport answer by kind of op without asking the server; return what was sent."""
    sent: list[Op] = []

    async def push(units: Sequence[Unit], scopes: Mapping[str, Scope]) -> AsyncIterator[Outcome]:
        for op in [op for unit in units for op in unit.ops]:
            sent.append(op)
            assert len(sent) < 100, "it goes on for ever"
            yield answers[op.kind](op.id)

    monkeypatch.setattr(replica._engine.transport, "push", push)
    return sent


# A resolver that answers nonsense.


@pytest.mark.parametrize("answer", ["mine", 7, object(), KeepLocal, Merge(None)])  # type: ignore[arg-type]  # nonsense on purpose
async def test_a_policy_that_answers_nonsense_leaves_an_issue_that_names_it(
    world: World, accounts: list[str], answer: Any
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "mine"})
        world.server.update("account", accounts[0], {"telephone1": "theirs"})
        answer_with(replica, answer)
        await replica.sync()
        (issue,) = await replica.issues()
        assert "'client-wins'" in issue.message
        assert (await replica.table("account").get(accounts[0]))["telephone1"] == "mine"


async def test_a_row_made_and_deleted_here_that_nobody_can_see_there_does_not_go_round_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        await table.create({"accountid": ROW, "name": "A"})
        await table.delete(ROW)
        _push_says(
            replica,
            monkeypatch,
            {
                OpKind.CREATE: lambda op_id: Conflicted(op_id, None),
                OpKind.DELETE: lambda op_id: Applied(op_id, None),
            },
        )
        async with asyncio.timeout(10):
            await replica.sync()
        assert await replica.pending() == []


async def test_an_edit_on_top_of_one_whose_row_then_vanished_is_not_lost(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        await table.update(accounts[0], {"telephone1": "first"})
        push = replica._engine.transport.push

        async def unreadable(
            units: Sequence[Unit], scopes: Mapping[str, Scope]
        ) -> AsyncIterator[Outcome]:
            async for outcome in push(units, scopes):
                first = "telephone1" in units[0].ops[0].changes
                if first and units[0].ops[0].kind is OpKind.UPDATE:
                    await table.update(accounts[0], {"address1_city": "Voss"})
                    world.server.delete("account", accounts[0])
                    yield Applied(outcome.op_id, None)
                else:
                    yield outcome

        monkeypatch.setattr(replica._engine.transport, "push", unreadable)
        await replica.sync()
        assert (await replica.table("account").get(accounts[0]))["address1_city"] == "Voss"
    assert world.stored("account", accounts[0])["address1_city"] == "Voss"


# Ops that may have been applied already.


async def test_a_refused_op_that_was_sent_before_is_still_recognised_after_a_retry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        row = await replica.table("account").create({"name": "New"})
        push = replica._engine.transport.push

        async def lost_then_refused(
            units: Sequence[Unit], scopes: Mapping[str, Scope]
        ) -> AsyncIterator[Outcome]:
            if units[0].ops[0].attempts == 1:
                world.server.lose_reply()
            else:
                world.server.refuse(row)
            async for outcome in push(units, scopes):
                yield outcome

        monkeypatch.setattr(replica._engine.transport, "push", lost_then_refused)
        await replica.sync()
        (issue,) = await replica.issues()
        monkeypatch.undo()
        world.server.accept(row)
        await replica.retry(issue.id)
        assert (await replica.sync()).complete
        assert await replica.history() == []


async def test_an_issue_that_was_settled_meanwhile_cannot_take_away_what_is_on_its_way(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "1"})
        world.server.refuse(accounts[0])
        await replica.sync()
        (issue,) = await replica.issues()
        async with asyncio.TaskGroup() as group:
            group.create_task(replica.retry(issue.id))
            late = group.create_task(_fails(replica, issue.id))
        assert late.result()
        (op,) = await replica.pending()
        assert op.state is OpState.PENDING


async def _fails(replica: holdfast.Replica, issue_id: str) -> bool:
    try:
        await replica.discard(issue_id)
    except IssueNotFound:
        return True
    return False


async def test_the_outcome_of_an_op_that_was_discarded_on_its_way_changes_nothing_else(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        table = replica.table("account")
        await table.update(accounts[0], {"telephone1": "1"})
        async with replica._store.lock:
            (op,) = await replica.pending()
        store = replica._store
        push = replica._engine.transport.push

        async def slow(
            units: Sequence[Unit], scopes: Mapping[str, Scope]
        ) -> AsyncIterator[Outcome]:
            outcomes = [outcome async for outcome in push(units, scopes)]
            async with store.lock:
                before = await store.row(replica._engine.schema("account"), accounts[0])
                writes = Writes()
                after = rows.discard(before, [op.id], replica._engine.author)
                writes.row(before, after, replica._engine.now())
                await store.commit(writes)
            for outcome in outcomes:
                yield outcome

        monkeypatch.setattr(replica._engine.transport, "push", slow)
        await replica.sync()
        assert (await table.get(accounts[0]))["telephone1"] == "1"
        assert (await replica.status()).synced
