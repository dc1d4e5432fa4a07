"""Kills in a migration: the file is the old one or a new one, whole, and opens."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from support.kills.anatomy import Anatomy, anatomy, restore
from support.kills.ground import Ground
from support.kills.nursery import KILLED, Life, Told


@dataclass
class Migration:
    """An older file, what opening it makes of it, and every state that a kill left.

    ``window`` are the statements of the transaction that makes tables. The file stays as a kill
    left it until it is not the old one any more; then that is put back.
    """

    ground: Ground
    profile: dict[str, Any]
    pristine: Path
    old: Anatomy
    new: Anatomy
    window: range
    states: list[Anatomy] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)

    async def at_every_statement(self) -> None:
        """Kill before each statement of the window, and of all that follows."""
        for number in count(self.window.start):
            if await self._killed("at a statement", statement=number) != KILLED:
                return

    async def at_any_instant(self, kills: int) -> None:
        """Kill so often while the window is open, every other time while it is committed."""
        choose = self.ground.choose
        for number in range(3 * kills):
            if self.hits["at any instant"] < kills:
                statement = choose.choice(self.window) if number % 2 else self.window[-1]
                hear = self._at(statement, choose.uniform(0, 0.003))
                await self._killed("at any instant", hear)

    def _at(self, number: int, delay: float) -> Callable[[Life, Told], None]:
        def hear(life: Life, told: Told) -> None:
            if told["what"] == "statement" and told["number"] == number:
                asyncio.get_running_loop().call_later(delay, life.kill)

        return hear

    async def _killed(
        self,
        how: str,
        hear: Callable[[Life, Told], None] | None = None,
        statement: int = 0,
    ) -> int:
        """Let a life open the file, and judge what it left."""
        life = await self._opened(hear, statement=statement, **self.ground.order)
        state = anatomy(self.ground.path)
        if life.code == KILLED and life.of("statement")[-1]["number"] in self.window:
            self.hits[how] += 1
        if state not in self.states:
            self.states.append(state)
            assert self.old.lost(state) == []
            await self._opened()
            assert anatomy(self.ground.path) == self.new, "it does not become the new one"
            restore(self.pristine, self.ground.path)
        elif state != self.old:
            restore(self.pristine, self.ground.path)
        assert life.code is not None
        return life.code

    async def _opened(self, hear: Callable[[Life, Told], None] | None = None, **order: Any) -> Life:
        return await opened(self.ground, self.profile, hear, **order)


async def opened(
    ground: Ground,
    profile: dict[str, Any],
    hear: Callable[[Life, Told], None] | None = None,
    **order: Any,
) -> Life:
    """Let a life open the file and die, by a kill or at its end."""

    def on_told(told: Told) -> None:
        if hear is not None:
            hear(life, told)

    life = ground.nursery.live("open", on_told, profile=profile, **order)
    assert await life.end() in (0, KILLED), "a life ended by itself; see its traceback"
    return life


async def migration_of(ground: Ground, tables: Sequence[dict[str, Any]]) -> Migration:
    """Take the file of the ground as the old one, and learn what opening it does.

    :param tables: what the profile is to keep then
    """
    pristine = ground.path.with_name("pristine.db")
    if ground.path.exists():
        shutil.copyfile(ground.path, pristine)
    old = anatomy(ground.path)
    profile = ground.profile("mortal", tables=tables)
    life = await opened(ground, profile)
    new, window = anatomy(ground.path), _window(life.of("statement"))
    restore(pristine, ground.path)
    return Migration(ground, profile, pristine, old, new, window)


def _window(statements: Sequence[Told]) -> range:
    """Return the numbers of the transaction that makes tables, but for its first statement."""
    making = next(told["number"] for told in statements if told["sql"].startswith("CREATE TABLE"))
    ends = [told["number"] for told in statements if told["sql"] == "COMMIT"]
    begins = [told["number"] for told in statements if told["sql"] == "BEGIN IMMEDIATE"]
    begin = max(number for number in begins if number < making)
    return range(begin + 1, min(number for number in ends if number > making) + 1)
