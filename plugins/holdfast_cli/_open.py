"""Opening the replica that a verb works on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import holdfast
from holdfast.errors import NotDownloaded, StorageMissing


@asynccontextmanager
async def writing(profile: Path) -> AsyncIterator[holdfast.Replica]:
    """Open as the one process that writes.

    :raises StorageLocked: another process does
    """
    async with holdfast.open(profile) as replica:
        yield replica


@asynccontextmanager
async def reading(profile: Path) -> AsyncIterator[holdfast.Replica]:
    """Open beside a process that writes; a replica that nobody has opened yet is made first."""
    async with AsyncExitStack() as stack:
        try:
            reader = holdfast.open(profile, mode=holdfast.OpenMode.READER)
            replica = await stack.enter_async_context(reader)
        except (StorageMissing, NotDownloaded):
            replica = await stack.enter_async_context(holdfast.open(profile))
        yield replica
