"""One filter, three evaluations: the predicate, SQLite and the emulator agree on every row.

The emulator has an evaluator of its own and is asked in OData and FetchXML by turns, so that also
what the languages write and read back is judged. A difference is shrunk.
Keep it in ``test_kept.py``.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from holdfast.filters import (
    And,
    Branch,
    Compare,
    Comparison,
    Expression,
    Period,
    Related,
    Who,
    _predicate,
    _settle,
    like_regex,
)
from holdfast_sqlite import _render
from support.differential import filters, judges, rows
from support.differential.runs import LANGUAGES, filters_of, run_of

SEEDS: Final = range(100)
FILTERS: Final = 500  # a seed


@pytest.mark.parametrize("seed", SEEDS)
async def test_all_agree(seed: int, tmp_path: Path) -> None:
    telling = 0
    asked: Counter[str] = Counter()
    async with run_of(seed, tmp_path) as run:
        for number in range(FILTERS):
            expression = run.maker.filter()
            languages = (LANGUAGES[number % len(LANGUAGES)],)
            wanted, difference, able = await run.compare(expression, languages)
            telling += 0 < len(wanted) < rows.ROWS["thing"]
            asked.update(able)
            if difference is not None:
                shrunk = await run.shrunk(difference, languages)
                pytest.fail(f"seed {seed}: {shrunk.story(run.world)}")
    assert telling >= 0.2 * FILTERS, "too many answers are empty or everything"
    assert asked["sqlite"] >= 0.9 * FILTERS
    for language in LANGUAGES:
        assert asked[language.name] >= 0.9 * FILTERS / len(LANGUAGES)


def test_every_operator_is_tried_often_and_deep() -> None:
    dataverse = judges.organisation()
    people = judges.people_of(dataverse)
    dataverse.close()
    made = [e for seed in SEEDS for e in filters_of(seed, FILTERS, people)]
    found = sum((filters.operators(expression) for expression in made), Counter[str]())
    expected = {
        *(f"{c.value} {side}" for c in Comparison for side in ("value", "column")),
        *(period.value for period in Period),
        *(f"eq-{who.value}" for who in Who if who is not Who.LANGUAGE),
        *("ne-userid", "ne-businessid", *(branch.value for branch in Branch), "not-under"),
        *("IsNull", "not IsNull", "Like", "not Like", "In", "not In"),
        *("HasOption", "not HasOption", "And", "Or", "Not", "Related", "Across"),
    }
    assert expected - found.keys() == set()
    assert {name: count for name, count in found.items() if count < 200} == {}
    assert len(made) >= 50_000
    assert sum(filters.mentions(e, Related) for e in made) >= 0.2 * len(made)
    assert max(filters.depth_of(expression) for expression in made) >= filters.DEPTH


def test_a_third_of_the_values_is_null_or_foreign() -> None:
    dataverse = judges.organisation()
    people = judges.people_of(dataverse)
    dataverse.close()
    shares = [
        rows.share_of_nulls_and_foreign(rows.rows_of(random.Random(seed), people)) for seed in SEEDS
    ]
    assert sum(null for null, _ in shares) / len(shares) >= 0.3
    assert sum(foreign for _, foreign in shares) / len(shares) >= 0.3


# Planted bugs: the test above would find each of them.


def _case_counts(text: str) -> str:
    return text


def _ends_included(node: Any, here: Any) -> Expression:
    settled = _DURING(node, here)
    if isinstance(settled, And):
        since, before = settled.parts
        assert isinstance(before, Compare)
        return And((since, Compare(Comparison.LE, before.left, before.right)))
    return settled


def _without_parentheses(parts: Any, word: str, empty: str, *rest: Any) -> str:
    return _JOINED(parts, word, empty, *rest).removeprefix("(").removesuffix(")")


def _underscore_is_a_letter(pattern: str) -> re.Pattern[str]:
    return like_regex(pattern.replace("_", "[_]"))


_DURING = _settle._during
_JOINED = _render._joined
BUGS: Final[dict[str, tuple[object, str, object]]] = {
    "case": (_predicate, "fold", _case_counts),
    "null in ne": (_render, "_SQL", {**_render._SQL, Comparison.NE: "<>"}),
    "wildcards": (_predicate, "like_regex", _underscore_is_a_letter),
    "half-open dates": (_settle, "_during", _ends_included),
    "a dropped parenthesis": (_render, "_joined", _without_parentheses),
}


@pytest.mark.parametrize("bug", BUGS)
async def test_a_planted_bug_is_caught(
    bug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, name, replacement = BUGS[bug]
    assert await _agree(tmp_path / "before") is True
    monkeypatch.setattr(where, name, replacement)
    assert await _agree(tmp_path / "after") is False


async def _agree(folder: Path, *, seeds: int = 2, count: int = 250) -> bool:
    for seed in range(seeds):
        (folder / str(seed)).mkdir(parents=True)
        async with run_of(seed, folder / str(seed)) as run:
            for _ in range(count):
                _, difference, _ = await run.compare(run.maker.filter())
                if difference is not None:
                    return False
    return True
