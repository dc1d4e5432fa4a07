"""Kills between the reply and settling: the server has said it, the file does not know it."""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import Enum
from itertools import cycle

from support.kills.autopsy import Found
from support.kills.ground import Ground
from support.kills.nursery import KILLED, Life, Told

#: Lives that may be spent on a hit; one that has settled everything, or nothing yet, is none.
LIVES_A_HIT = 3
#: Hits that each aim must have.
EACH = 3


class Aim(Enum):
    """Where a kill is aimed at."""

    FIRST_REPLIES = "some replies were read, others are on their way"
    LAST_REPLY = "the last reply was read"
    COMMIT = "what settles them is being written"


def aimed(ground: Ground, aim: Aim) -> Life:
    """Start a life and have it killed."""
    delay = ground.choose.uniform(0, 0.0015)
    left: set[str] = set()
    read = 0

    def hear(told: Told) -> None:
        nonlocal read
        match told["what"]:
            case "push":
                left.update(told["ops"])
            case "outcome":
                read += 1
                left.discard(told["op"])
                if aim is Aim.FIRST_REPLIES or (aim is Aim.LAST_REPLY and not left):
                    kill()
            case "write" if read and not left and aim is Aim.COMMIT:
                kill()

    def kill() -> None:
        asyncio.get_running_loop().call_later(delay, life.kill)

    life = ground.live("sync", hear, writes=4, beside=ground.lives % 3)
    return life


def unsettled(life: Life, found: Found) -> list[str]:
    """Return the ops whose reply this life had read, and which the file has as sent."""
    read = {told["op"] for told in life.of("outcome") if told["kind"] == "Applied"}
    return sorted(read & {op.id for op in found.outbox if op.state == "sent"})


async def kill_settlings(ground: Ground, kills: int) -> Counter[str]:
    """Kill uploads until so many died with a reply that they had read; tell how often what."""
    ground.options = {"batch_size": 2, "concurrency": 2}
    await ground.unmolested("download")
    hits: Counter[str] = Counter()
    aims = cycle(Aim)
    while ground.lives < LIVES_A_HIT * kills and (
        hits["kills"] < kills or min(hits[aim.name] for aim in Aim) < EACH
    ):
        if ground.lives % 8 == 0:
            await ground.unmolested("sync", writes=3)
            continue
        aim = next(aims)
        life = aimed(ground, aim)
        found = await ground.examine(life)
        ground.office(3)
        if life.code == KILLED and unsettled(life, found):
            hits["kills"] += 1
            hits[aim.name] += 1
    return hits
