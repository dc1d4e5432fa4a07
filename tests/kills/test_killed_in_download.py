"""In download: a page's rows and its checkpoint are there together, or neither is."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import cycle

import pytest

from support.kills.autopsy import Found, autopsy
from support.kills.ground import Ground
from support.kills.nursery import KILLED, Life, Told
from support.kills.pages import Pages

KILLS = 50
PHASES = FIRST, ANEW, CHANGES = "first reading", "reading anew", "changes"
LIVES = 110


def doomed(ground: Ground) -> Life:
    """Start a download and have it killed some steps after the first page was asked for."""
    steps, delay = ground.choose.randrange(1, 16), ground.choose.uniform(0, 0.003)
    reading = False

    def hear(told: Told) -> None:
        nonlocal reading, steps
        reading = reading or told["what"] == "pull"
        steps -= reading
        if steps == 0:
            asyncio.get_running_loop().call_later(delay, life.kill)

    life = ground.live("download", hear)
    return life


def news(ground: Ground, *, forgotten: bool) -> None:
    """Let the office change several pages of each table.

    :param forgotten: every checkpoint expires, too; all is read anew under the rows
    """
    office = ground.dataverse
    ground.office(36)
    ground.office(36, "contact")
    office.create(office.system, "account", {"name": "made at the office"})
    office.delete(office.system, "contact", ground.choose.choice(list(office.scan("contact"))).id)
    if forgotten:
        office.purge_changes()


def phases(found: Found, *, first: bool) -> set[str]:
    """Return what the file was in the middle of."""
    midway = [scope for scope in found.scopes.values() if scope.midway]
    reading = FIRST if first else ANEW
    return {CHANGES if scope.delta else reading for scope in midway}


async def read_to_the_end(ground: Ground, pages: Pages, hits: Counter[str], *, first: bool) -> None:
    """Kill one download after the other until one comes to its end."""
    while ground.lives < LIVES:
        life = doomed(ground)
        found = await ground.examine(life)
        caught = pages.follow(life, found)
        if life.code != KILLED:
            break
        now = phases(found, first=first)
        hits.update(now)
        hits["kills"] += bool(now)
        hits.update(caught)


@pytest.mark.timeout(120)
async def test_a_checkpoint_is_never_ahead_of_its_rows_whenever_a_download_dies(
    ground: Ground,
) -> None:
    ground.options = {"page_size": 8}
    hits: Counter[str] = Counter()
    pages = Pages(ground.dataverse)
    await read_to_the_end(ground, pages, hits, first=True)
    await ground.unmolested("look", writes=6)
    pages.follow(Life(), autopsy(ground.path))
    anew = cycle([False, True])
    while ground.lives < LIVES and (hits["kills"] < KILLS or min(hits[p] for p in PHASES) < 8):
        news(ground, forgotten=next(anew))
        await read_to_the_end(ground, pages, hits, first=False)
    assert hits["kills"] >= KILLS
    assert min(hits[phase] for phase in PHASES) >= 8
    assert hits["handed over, not stored"] >= 5
    assert hits["stored, not told"] >= 5
    assert len(autopsy(ground.path).outbox) == 6
    await ground.conclude()
