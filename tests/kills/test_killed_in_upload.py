"""P3: each op that was acknowledged has one effect on the server, whenever its upload dies."""

from __future__ import annotations

import pytest

from support.kills.ground import Ground
from support.kills.sending import CASES, kill_sendings
from support.kills.settling import EACH, Aim, kill_settlings

KILLS = 50


@pytest.mark.timeout(300)
async def test_a_kill_between_marked_sent_and_the_reply_neither_loses_nor_doubles(
    ground: Ground,
) -> None:
    """A hit is a kill that left an op as sent whose reply was not read, done there or not."""
    hits = await kill_sendings(ground, KILLS)
    assert hits["kills"] >= KILLS, hits
    assert hits["the server did it"] >= 15, hits
    assert hits["the server did not"] >= 15, hits
    assert min(hits[one] for one in CASES) >= 1, hits
    assert hits["most sendings"] >= 3, "no op was on its way at several deaths"
    await ground.conclude()


@pytest.mark.timeout(300)
async def test_a_kill_between_the_reply_and_settling_neither_loses_nor_doubles(
    ground: Ground,
) -> None:
    """A hit is a kill that left an op as sent whose reply was read."""
    hits = await kill_settlings(ground, KILLS)
    assert hits["kills"] >= KILLS, hits
    assert min(hits[aim.name] for aim in Aim) >= EACH, hits
    await ground.conclude()
