"""A ground to kill on: a server, a replica file, and a process that forks children."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.kills.ground import Ground, open_ground

collect_ignore_glob = [] if hasattr(os, "waitid") else ["test_killed_*.py", "test_planted_*.py"]


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    """A server with 195 rows in two tables; each test has its own, and a replica file."""
    async with open_ground(tmp_path, seed=4, rows=300) as made:
        yield made
