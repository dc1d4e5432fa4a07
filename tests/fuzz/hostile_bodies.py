"""Spoil answers of the server and feed them to the transport, without sockets.

    python -m fuzz.hostile_bodies --minutes 10 --start 1000000

Invariant: whatever an answer holds, what comes of it is pages, outcomes and the like whose every
cell is sound, or one of holdfast's own errors; each op has exactly one outcome; and the work is
bounded. A case has a number, and the same number is the same case.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final

from holdfast.errors import HoldfastError
from holdfast_dataverse._answers import Answer
from holdfast_dataverse._session import Request
from support.replayed import MOST_REQUESTS, USES, Known, Talk, fed, recorded
from support.sound import judge, judge_words
from support.spoiled import spoiled

#: One case of so many has its calls of functions counted, and may take so many of them.
SAMPLED: Final = 40
MOST_CALLS: Final = 200_000
_TURNS: Final = [name for name, _, weight in USES for _ in range(weight)]


class Fed:
    """Gives the recorded answers of a talk, one or two of them spoiled."""

    def __init__(self, talk: Talk, dice: Random) -> None:
        self._talk = talk
        self._dice = dice
        self._spoil = {dice.randrange(len(talk.answers))}
        if dice.random() < 0.15:
            self._spoil.add(dice.randrange(len(talk.answers)))
        self.asked = self.bodies = 0

    def ask(self, request: Request) -> Answer:
        number = self.asked
        self.asked += 1
        assert number < MOST_REQUESTS, "there is no end to it"
        at = min(number, len(self._talk.answers) - 1)
        good = self._talk.answers[at]
        answer = spoiled(good, self._dice) if at in self._spoil else good
        self.bodies += answer.body != good.body
        return answer


class Cases:
    """Every case of one recording."""

    def __init__(self, known: Known, talks: Sequence[Talk]) -> None:
        self._known = known
        self._talks = {talk.name: talk for talk in talks}
        self.bodies = 0  # that were spoiled, and asked for

    async def play(self, number: int) -> str:
        """Play a case; return how it ended.

        :raises Exception: it broke the invariant
        """
        dice = Random(number)
        talk = self._talks[dice.choice(_TURNS)]
        given = Fed(talk, dice)
        try:
            found = await talk.use(fed(given.ask), self._known)
        except HoldfastError as error:
            judge_words(str(error))
            return f"{talk.name}: {type(error).__name__}"
        finally:
            self.bodies += given.bodies
        judge(talk.name, found, self._known)
        return f"{talk.name}: good"

    async def counted(self, number: int) -> str:
        """Play a case, and see that its work is bounded: in calls, for time proves nothing."""
        calls = 0

        def tick(*_: object) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(tick)
        try:
            ended = await self.play(number)
        finally:
            sys.setprofile(None)
        assert calls < MOST_CALLS, f"{calls} calls"
        return ended


@dataclass
class Report:
    """How cases ended, how many bodies were spoiled, and what broke."""

    ends: Counter[str]
    bodies: int
    broken: list[str]


async def run(numbers: Iterable[int]) -> Report:
    """Play cases."""
    cases = Cases(*await recorded())
    ends: Counter[str] = Counter()
    broken: list[str] = []
    for number in numbers:
        play = cases.play if number % SAMPLED else cases.counted
        try:
            ends[await play(number)] += 1
        except Exception:  # noqa: BLE001  whatever else is raised is what is looked for
            broken.append(f"case {number}\n{traceback.format_exc()}")
    return Report(ends, cases.bodies, broken)


def _until(end: float, first: int) -> Iterator[int]:
    for number in count(first):
        if time.monotonic() > end:
            return
        yield number


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--start", type=int, default=time.time_ns(), help="the number to begin at")
    given = parser.parse_args(arguments)
    numbers = _until(time.monotonic() + 60 * given.minutes, given.start)
    report = asyncio.run(run(numbers))
    for text in report.broken:
        print(text)
    for end, often in sorted(report.ends.items()):
        print(f"{often:8} {end}")
    total = report.ends.total() + len(report.broken)
    print(f"{total} cases from {given.start}, {report.bodies} spoiled bodies")
    print(f"{len(report.broken)} broken")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
