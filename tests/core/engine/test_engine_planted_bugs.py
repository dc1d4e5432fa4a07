"""Each planted bug is found by the check that is named for it, and nothing is found without.

These need no simulator: each is about one rule that a plain story shows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest

import holdfast
from holdfast.model import Page, Scope
from holdfast.testing import MemoryServer
from holdfast_odata import ODataLanguage, ODataSettings
from mutants import (
    m21_one_bad_op_blocks_the_queue,
    m23_row_leaving_the_filter_stays,
    m24_sweep_removes_rows_with_pending_ops,
    m26_empty_listing_is_obeyed,
)
from support.world import ACCOUNT, CONTACT, World, names

Planted = Callable[[], AbstractContextManager[None]]
Check = Callable[[World, pytest.MonkeyPatch], Awaitable[None]]


def fill(world: World, count: int) -> list[str]:
    values = ({"name": f"A{n:03}", "address1_city": "Bergen"} for n in range(count))
    return [world.server.create("account", each) for each in values]


def empty(replica: holdfast.Replica, patch: pytest.MonkeyPatch) -> None:
    """Let every full reading come without a row."""
    pull = replica._engine.transport.pull

    async def silent(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
        async for page in pull(scope, checkpoint):
            yield replace(page, records=())

    patch.setattr(replica._engine.transport, "pull", silent)


async def liveness(world: World, patch: pytest.MonkeyPatch) -> None:
    """C8: what does not depend on a refused op arrives."""
    bad, good = fill(world, 2)
    world.server.refuse(bad)
    async with world.replica() as replica:
        await replica.download()
        for row_id in (bad, good):
            await replica.table("account").update(row_id, {"telephone1": "1"})
        await replica.sync()
        await replica.table("account").update(good, {"telephone1": "2"})
        await replica.sync()
    assert world.stored("account", good)["telephone1"] == "2"


async def membership(world: World, patch: pytest.MonkeyPatch) -> None:
    """C10: the rows that are here are those that the filter chooses."""
    ids = fill(world, 3)
    world.tables[0]["filter"] = {"odata": "address1_city eq 'Bergen'"}
    async with world.replica() as replica:
        await replica.download()
        world.server.update("account", ids[0], {"address1_city": "Oslo"})
        await replica.sync()
        assert await names(replica) == ["A001", "A002"]


async def conservation(world: World, patch: pytest.MonkeyPatch) -> None:
    """C1: what was written here is seen until it is settled, whatever a reading leaves out."""
    ids = fill(world, 3)
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(ids[0], {"telephone1": "mine"})
        world.server.delete("account", ids[0])
        world.server.delete("account", ids[1])
        world.server.expire_checkpoints()
        await replica.download()
        assert await names(replica) == ["A000", "A002"]
        assert len(await replica.pending()) == 1


async def doubt(world: World, patch: pytest.MonkeyPatch) -> None:
    """P16: a full reading that comes empty is asked about, however few rows it is about."""
    fill(world, 7)
    async with world.replica() as replica:
        await replica.download()
        world.server.expire_checkpoints()
        empty(replica, patch)
        await replica.download()
        assert await replica.table("account").count() == 7


async def second_list(world: World, patch: pytest.MonkeyPatch) -> None:
    """P16: so is a list of ids."""
    for number in range(7):
        world.server.create("account", {"name": f"A{number}"}, user=world.user)
    mine = "Microsoft.Dynamics.CRM.EqualUserId(PropertyName='ownerid')"
    world.tables[0]["filter"] = {"odata": mine}
    async with world.replica() as replica:
        await replica.download()
        assert await replica.table("account").count() == 7
        lists: Iterator[list[str]] = iter([[]])
        matching = world.server.matching

        def spoiled(*asked: Any) -> list[str]:
            return next(lists, matching(*asked))

        patch.setattr(world.server, "matching", spoiled)
        await replica.sync()
        assert await replica.table("account").count() == 7


async def question(world: World, patch: pytest.MonkeyPatch) -> None:
    """P16: more than fifty rows and a fifth of a table are a question, here and there."""
    ids = fill(world, 120)
    async with world.replica() as replica:
        await replica.download()
        for row_id in ids[:60]:
            world.server.delete("account", row_id)
        await replica.sync()
        assert await replica.table("account").count() == 120
        for row_id in ids[60:]:
            await replica.table("account").delete(row_id)
        await replica.sync()
        assert len(world.server.ids("account")) == 60


KILLS: list[tuple[Planted, Check]] = [
    (m21_one_bad_op_blocks_the_queue.planted, liveness),
    (m23_row_leaving_the_filter_stays.planted, membership),
    (m24_sweep_removes_rows_with_pending_ops.planted, conservation),
    (m26_empty_listing_is_obeyed.planted, doubt),
    (m26_empty_listing_is_obeyed.once, second_list),
    (m26_empty_listing_is_obeyed.unasked, question),
]


@pytest.mark.parametrize(
    ("planted", "check"),
    KILLS,
    ids=[f"{p.__module__.rpartition('.')[2][:3]}-{c.__name__}" for p, c in KILLS],
)
async def test_a_planted_bug_is_found_by_the_check_named_for_it(
    planted: Planted, check: Check
) -> None:
    def world() -> World:
        language = ODataLanguage(ODataSettings())
        server = MemoryServer([ACCOUNT, CONTACT], page_size=25)
        return World(server, language=language, user="00000000-0000-4000-8000-000000000001")

    with pytest.MonkeyPatch.context() as patch:
        await check(world(), patch)
    with planted(), pytest.MonkeyPatch.context() as patch, pytest.raises(AssertionError):
        await check(world(), patch)
