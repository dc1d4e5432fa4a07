"""Fifty thousand spoiled answers: what comes of each is sound, or one of holdfast's own errors.

``python -m fuzz.hostile_bodies --minutes N`` does the same for longer, with other numbers.
"""

from __future__ import annotations

import pytest

from fuzz.hostile_bodies import run
from holdfast.values import canonical_id
from holdfast_dataverse import _columns, _identity
from support.replayed import USES, recorded

#: One case in twenty spoils the status or the headers alone.
CASES, BODIES = 54_000, 50_000
#: Blocks, so that every core has some.
BLOCK = 2_000
#: A push says it of each op; the others do without.
NEVER_FAIL = ("push", "views", "count")


@pytest.mark.parametrize("first", range(0, CASES, BLOCK))
async def test_a_spoiled_answer_is_sound_or_refused_in_words(first: int) -> None:
    report = await run(range(first, first + BLOCK))
    assert not report.broken, report.broken[0]
    assert report.ends.total() == BLOCK
    assert report.bodies >= BODIES * BLOCK / CASES
    for name, *_ in USES:
        ends = {end for end in report.ends if end.startswith(f"{name}:")}
        assert f"{name}: good" in ends, "nothing gets through any more"
        assert len(ends) > 1 or name in NEVER_FAIL, "nothing is found out any more"


async def test_a_case_is_the_same_each_time_whatever_came_before() -> None:
    numbers = range(600)
    assert await run(numbers) == await run(reversed(numbers))


async def test_what_is_recorded_is_good_before_it_is_spoiled() -> None:
    known, talks = await recorded()
    assert [talk.name for talk in talks] == [name for name, *_ in USES]
    assert all(200 <= answer.status < 300 for talk in talks for answer in talk.answers)
    assert len(known.accounts) > 3


@pytest.mark.parametrize("broken", ["keeps what is no id", "lets an exception through"])
async def test_the_fuzz_sees_a_planted_bug(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if broken == "keeps what is no id":
        monkeypatch.setattr(_columns, "canonical_id", lambda text: text)
    else:
        monkeypatch.setattr(_identity, "_id", canonical_id)
    assert (await run(range(BLOCK))).broken
