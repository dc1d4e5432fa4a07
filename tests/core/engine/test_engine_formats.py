"""A replica of an earlier format is brought forward by its owner, with all that waits in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from holdfast._tables import FORMAT, QUARANTINE, SYSTEM_LAYOUTS, row_layout
from holdfast.contracts import Context, Layout, OpenMode
from holdfast.errors import ReplicaTooOld
from holdfast.testing import MemoryStorage, system_environment
from support.world import World, names

#: What the second format added.
ADDED = {"allowed", "leaving", "chosen", "rows", "extent", "subject"}


async def sent_back(world: World, tables: list[Layout]) -> None:
    """Make the replica one of the first format."""
    old = [
        replace(layout, fields=tuple(f for f in layout.fields if f.name not in ADDED))
        for layout in SYSTEM_LAYOUTS
        if layout.table != QUARANTINE
    ]
    settings = MemoryStorage.Settings(disk=world.disk)
    async with MemoryStorage.open(settings, Context(system_environment(), Path())) as storage:
        await storage.migrate([*old, *tables], version=1)


async def test_an_owner_brings_it_forward_and_nothing_is_lost(
    world: World, accounts: list[str]
) -> None:
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(accounts[0], {"telephone1": "1"})
        world.server.refuse(accounts[1])
        await replica.table("account").update(accounts[1], {"telephone1": "2"})
        await replica.sync()
        await replica.table("account").update(accounts[2], {"telephone1": "3"})
        tables = [row_layout(schema) for schema in replica._store.schemas.values()]
    await sent_back(world, tables)
    with pytest.raises(ReplicaTooOld, match="older version; open it once to write"):
        async with world.replica(mode=OpenMode.READER):
            pass
    async with world.replica() as replica:
        assert len(await names(replica)) == 7
        assert len(await replica.pending()) == 2
        assert len(await replica.issues()) == 1
        world.server.accept(accounts[1])
        await replica.retry((await replica.issues())[0].id)
        world.server.delete("account", accounts[3])
        assert (await replica.sync()).complete
        assert len(await names(replica)) == 6
        assert (await replica.status()).synced
    assert world.disk.file("default").version == FORMAT
    assert [world.stored("account", row_id)["telephone1"] for row_id in accounts[:3]] == [
        *("1", "2", "3")
    ]


async def test_one_that_was_never_downloaded_is_brought_forward_too(
    world: World, accounts: list[str]
) -> None:
    await sent_back(world, [])
    async with world.replica() as replica:
        await replica.download()
        assert len(await names(replica)) == 7
