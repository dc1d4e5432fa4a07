"""An emulator on loopback for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.dataverse import World, new_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with new_world() as one:
        yield one
