"""Fixtures of the engine's tests."""

from __future__ import annotations

import pytest

from support.world import World


@pytest.fixture
def world() -> World:
    """A server with two empty tables."""
    return World()


@pytest.fixture
def accounts(world: World) -> list[str]:
    """Seven accounts on the server, their names ascending."""
    return [
        world.server.create("account", {"name": f"Account {n}", "address1_city": "Bergen"})
        for n in range(7)
    ]
