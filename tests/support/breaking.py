"""Ways in which what a replica stands on gives way, for the length of a block."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from holdfast import Replica
from holdfast.contracts import Change
from holdfast.errors import StorageFull, Unreachable
from holdfast.model import Page, Scope


@contextmanager
def cable_cut(replica: Replica, behind: Callable[[Page], bool]) -> Iterator[None]:
    """Cut the cable behind the first page of which this is true."""
    transport = replica._engine.transport
    pull = transport.pull

    async def cut(scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
        async for page in pull(scope, checkpoint):
            yield page
            if behind(page):
                raise Unreachable("the cable was cut")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "pull", cut)
        yield


@contextmanager
def disk_full(replica: Replica, at_write: int) -> Iterator[None]:
    """Let one write find no room, by its number; those before and behind it do."""
    storage = replica._engine.store.storage
    write, written = storage.write, 0

    async def full(changes: Sequence[Change]) -> None:
        nonlocal written
        written += 1
        if written == at_write:
            raise StorageFull("memory")
        await write(changes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "write", full)
        yield
