"""Kills between "marked sent" and the reply, when nobody here knows what happened there.

One replica file lives through all kills; so what one death left is recovered by a life that may die
itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import Enum
from itertools import cycle

from support.kills.autopsy import Found
from support.kills.gate import Moment, Passing
from support.kills.ground import Ground
from support.kills.nursery import KILLED, Life, Told

#: Lives that may be spent on a hit; one that dies with nothing on its way, or not at all, is none.
LIVES_A_HIT = 3


class Aim(Enum):
    """Where a kill is aimed at."""

    REQUEST_GONE = Moment.ARRIVED
    SERVER_DONE = Moment.ANSWERED
    IN_THE_REPLY = Moment.HALFWAY
    AFTER_MARKING = "push"  # up to some milliseconds after the ops were marked
    ANYWHERE = "alive"  # from the first statement on


def aimed(ground: Ground, aim: Aim) -> Life:
    """Start a life and have it killed."""
    nth = ground.choose.randrange(1, 4)
    delay = ground.choose.uniform(0, 0.15 if aim is Aim.ANYWHERE else 0.03)

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
        if told["what"] == aim.value:
            asyncio.get_running_loop().call_later(delay, life.kill)

    ground.gate.watch = watch
    life = ground.live("sync", hear, writes=3, beside=ground.lives % 3)
    return life


def unheard(life: Life, found: Found) -> list[str]:
    """Return the ops that this life sent, by what the file says, and had no reply to."""
    pushed = {op for told in life.of("push") for op in told["ops"]}
    heard = {told["op"] for told in life.of("outcome")}
    sent = {op.id for op in found.outbox if op.state == "sent"}
    return sorted((sent & pushed) - heard)


def case(kind: str, *, done: bool) -> str:
    """Name what may have become of an op of some kind."""
    return f"{kind}, {'done' if done else 'not done'}"


#: Each kind of op is to be on its way when its sender dies, done by the server and not done.
CASES = [case(kind, done=done) for kind in ("create", "update", "delete") for done in (True, False)]


async def kill_sendings(ground: Ground, kills: int) -> Counter[str]:
    """Kill uploads until so many died with ops on their way; tell how often what."""
    ground.options = {"batch_size": 2, "concurrency": 2}
    await ground.unmolested("download")
    hits: Counter[str] = Counter()
    aims = cycle(Aim)
    while hits["kills"] < kills and ground.lives < LIVES_A_HIT * kills:
        if ground.lives % 8 == 0:
            await ground.unmolested("sync", writes=3)
            continue
        life = aimed(ground, next(aims))
        found = await ground.examine(life)
        ground.office(3)
        ops = unheard(life, found)
        if life.code == KILLED and ops:
            done = {(op, bool(ground.effects[ground.known[op]])) for op in ops}
            hits["kills"] += 1
            hits.update({"the server did it" if was else "the server did not" for _, was in done})
            hits.update({case(ground.known[op][0], done=was) for op, was in done})
            attempts = max(op.attempts for op in found.outbox if op.id in ops)
            hits["most sendings"] = max(hits["most sendings"], attempts)
    return hits
