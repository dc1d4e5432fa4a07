"""The socket of a server that goes away and is stopped while it comes back."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest
from aiohttp import web

from holdfast_emulator._listener import Listener


async def at_once(_: float) -> None:
    """Wait for nothing."""


@pytest.mark.parametrize("steps", range(16))
async def test_a_server_that_is_stopped_while_it_comes_back_leaves_no_socket(steps: int) -> None:
    listener = Listener("127.0.0.1", 0, at_once)
    await listener.start(web.Application(), 8190)
    listener.go_away(0)
    for _ in range(steps):
        await asyncio.sleep(0)
    await listener.stop()
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    assert [str(one.message) for one in left] == []
