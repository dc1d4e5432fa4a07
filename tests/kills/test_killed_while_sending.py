"""Between "marked sent" and the reply: the one instant when nobody here knows what happened there.

One replica file lives through all kills; so what one death left is recovered by a life that may die
itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import Enum

import pytest

from support.kills.autopsy import Found
from support.kills.gate import Moment, Passing
from support.kills.ground import Ground
from support.kills.nursery import KILLED, Life, Told

KILLS = 50
#: Lives that may be spent on so many hits; each that is not cut short is none.
LIVES = 90


class Aim(Enum):
    """Where a kill is aimed at."""

    REQUEST_GONE = Moment.ARRIVED
    SERVER_DONE = Moment.ANSWERED
    IN_THE_REPLY = Moment.HALFWAY
    ANY_INSTANT = None  # up to some milliseconds after the ops were marked


def aimed(ground: Ground, aim: Aim) -> Life:
    """Start a life and have it killed."""
    nth, delay = ground.choose.randrange(1, 4), ground.choose.uniform(0, 0.03)

    async def watch(moment: Moment, passing: Passing) -> bool:
        nonlocal nth
        if moment is aim.value and passing.writes:
            nth -= 1
            if nth == 0:
                life.kill()
            if nth <= 0:
                await life.end()
                return False
        return True

    def hear(told: Told) -> None:
        if aim is Aim.ANY_INSTANT and told["what"] == "push":
            asyncio.get_running_loop().call_later(delay, life.kill)

    ground.gate.watch = watch
    life = ground.live("sync", hear, writes=3)
    return life


def unheard(life: Life, found: Found) -> list[str]:
    """Return the ops that this life sent, by what the file says, and had no reply to."""
    pushed = {op for told in life.of("push") for op in told["ops"]}
    heard = {told["op"] for told in life.of("outcome")}
    sent = {op.id for op in found.outbox if op.state == "sent"}
    return sorted((sent & pushed) - heard)


@pytest.mark.timeout(120)
async def test_a_kill_between_marked_sent_and_the_reply_neither_loses_nor_doubles(
    ground: Ground,
) -> None:
    ground.options = {"batch_size": 2, "concurrency": 2}
    await ground.unmolested("download")
    hits: Counter[str] = Counter()
    aims = list(Aim)
    while hits["kills"] < KILLS and ground.lives < LIVES:
        if ground.lives % 8 == 0:
            await ground.unmolested("sync", writes=3)
            continue
        life = aimed(ground, aims[ground.lives % len(aims)])
        found = await ground.examine(life)
        ground.office(3)
        ops = unheard(life, found)
        if life.code == KILLED and ops:
            done = {bool(ground.effects[ground.known[op]]) for op in ops}
            hits["kills"] += 1
            hits["with an op that the server did"] += True in done
            hits["with an op that it did not"] += False in done
            attempts = max(op.attempts for op in found.outbox if op.id in ops)
            hits["most sendings"] = max(hits["most sendings"], attempts)
    assert hits["kills"] >= KILLS
    assert hits["with an op that the server did"] >= 15
    assert hits["with an op that it did not"] >= 15
    assert hits["most sendings"] >= 3, "no op was ever killed on its way twice"
    await ground.conclude()
