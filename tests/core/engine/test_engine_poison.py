"""One op that the server cannot digest stops only itself, and not for ever unheard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import pytest

from holdfast.model import Applied, Outcome, Scope, Unit, Unknown
from support.world import World


async def test_an_op_that_the_server_always_fails_on_becomes_an_issue(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "poison"})
        await replica.table("account").update(accounts[1], {"telephone1": "fine"})
        push = replica._engine.transport.push

        async def crashing(
            units: Sequence[Unit], scopes: Mapping[str, Scope]
        ) -> AsyncIterator[Outcome]:
            bad = [unit.ops[0] for unit in units if unit.ops[0].row_id == accounts[0]]
            async for outcome in push([u for u in units if u.ops[0] not in bad], scopes):
                yield outcome
            for op in bad:
                yield Unknown(op.id, "HTTP 500: plug-in", crashed=True)

        with monkeypatch.context() as patched:
            patched.setattr(replica._engine.transport, "push", crashing)
            first = await replica.sync()
            assert (first.applied, first.issues) == (1, [])
            await replica.sync()
        (issue,) = await replica.issues()
        assert "failed on it 6 times (HTTP 500: plug-in)" in issue.message
        row = await replica.table("account").get(accounts[0])
        assert row["telephone1"] == "poison"  # nothing is reverted
        await replica.retry(issue.id)
        assert (await replica.sync()).complete
    assert world.stored("account", accounts[0])["telephone1"] == "poison"


async def test_a_row_that_no_storage_takes_in_a_reply_stops_only_its_op(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "poison"})
        await replica.table("account").update(accounts[1], {"telephone1": "fine"})
        push = replica._engine.transport.push

        async def careless(
            units: Sequence[Unit], scopes: Mapping[str, Scope]
        ) -> AsyncIterator[Outcome]:
            async for outcome in push(units, scopes):
                record = getattr(outcome, "record", None)
                if isinstance(outcome, Applied) and record and record[0] == accounts[0]:
                    yield replace(outcome, record=(*record[:1], 5, *record[2:]))
                else:
                    yield outcome

        with monkeypatch.context() as patched:
            patched.setattr(replica._engine.transport, "push", careless)
            for _ in range(3):
                report = await replica.sync()
                assert report.failure is None
        (issue,) = await replica.issues()
        assert "gave name a cell that is no text" in issue.message
        assert (await replica.table("account").get(accounts[0]))["telephone1"] == "poison"
        await replica.retry(issue.id)
        assert (await replica.sync()).complete
    for row_id, text in zip(accounts, ("poison", "fine"), strict=False):
        assert world.stored("account", row_id)["telephone1"] == text


async def test_lost_replies_say_nothing_against_an_op(
    world: World, accounts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "1"})

        async def deaf(
            units: Sequence[Unit], scopes: Mapping[str, Scope]
        ) -> AsyncIterator[Outcome]:
            for unit in units:
                yield Unknown(unit.ops[0].id, "no answer came")

        with monkeypatch.context() as patched:
            patched.setattr(replica._engine.transport, "push", deaf)
            for _ in range(5):
                await replica.sync()
        assert await replica.issues() == []
        assert (await replica.sync()).complete
