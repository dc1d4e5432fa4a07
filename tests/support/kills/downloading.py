"""Kills in download: a page's rows and its checkpoint are there together, or neither is."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import cycle

from support.kills.autopsy import Found, autopsy
from support.kills.ground import Ground
from support.kills.nursery import KILLED, Life, Told
from support.kills.pages import CAUGHT, Pages

PHASES = FIRST, ANEW, CHANGES = "first reading", "reading anew", "changes"
#: Hits that each phase must have, and each place of a page that a kill comes upon.
EACH = 5
#: Local writes that wait all the while.
WRITES = 6
#: Lives that may be spent on a hit; one that is cut short in no phase, or not at all, is none.
LIVES_A_HIT = 3


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


async def read_to_the_end(ground: Ground, pages: Pages, hits: Counter[str], limit: int) -> None:
    """Kill one download after the other until one comes to its end."""
    first = not hits
    while ground.lives < limit:
        life = doomed(ground)
        found = await ground.examine(life)
        caught = pages.follow(life, found)
        if life.code != KILLED:
            break
        now = phases(found, first=first)
        hits.update(now)
        hits["kills"] += bool(now)
        hits.update(caught)


def _least(hits: Counter[str]) -> int:
    return min(hits[what] for what in (*PHASES, *CAUGHT))


async def kill_downloads(ground: Ground, kills: int) -> Counter[str]:
    """Kill downloads until there were so many hits, of each phase too; tell how often what."""
    ground.options = {"page_size": 8}
    hits: Counter[str] = Counter()
    pages, limit = Pages(ground.dataverse), LIVES_A_HIT * kills
    await read_to_the_end(ground, pages, hits, limit)
    await ground.unmolested("look", writes=WRITES)
    pages.follow(Life(), autopsy(ground.path))
    anew = cycle([False, True])
    while ground.lives < limit and (
        hits["kills"] < kills or min(hits[what] for what in (*PHASES, *CAUGHT)) < EACH
    ):
        news(ground, forgotten=next(anew))
        await read_to_the_end(ground, pages, hits, limit)
    assert len(autopsy(ground.path).outbox) == WRITES
    return hits
