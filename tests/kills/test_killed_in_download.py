"""P11: a durable checkpoint implies that all rows up to it are durable."""

from __future__ import annotations

import pytest

from support.kills.downloading import EACH, PHASES, kill_downloads
from support.kills.ground import Ground
from support.kills.pages import CAUGHT

KILLS = 50


@pytest.mark.timeout(300)
async def test_a_checkpoint_is_never_ahead_of_its_rows_whenever_a_download_dies(
    ground: Ground,
) -> None:
    """A hit is a kill that left a checkpoint in the middle of a table."""
    hits = await kill_downloads(ground, KILLS)
    assert hits["kills"] >= KILLS, hits
    assert min(hits[what] for what in (*PHASES, *CAUGHT)) >= EACH, hits
    await ground.conclude()
