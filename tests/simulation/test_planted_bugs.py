"""Each planted bug is found by the checker that is meant to find it, and nothing is found without.

A bug that no seed of the budget shows means that the simulator has become blind.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache

import pytest

from holdfast.testing.simulation import (
    Checker,
    Conservation,
    LocalAtomicity,
    ScenarioFailed,
    Sessions,
    run_scenario,
)
from mutants import (
    m01_row_and_outbox_in_two_transactions,
    m08_push_reply_overwrites_newer_edit,
    m10_page_overwrites_dirty_row,
    m38_cancellation_between_commit_and_memory,
)

Planted = Callable[[], AbstractContextManager[None]]
BUDGET = 100

KILLS: list[tuple[Planted, type[Checker]]] = [
    (m01_row_and_outbox_in_two_transactions.planted, Conservation),
    (m01_row_and_outbox_in_two_transactions.planted, LocalAtomicity),
    (m01_row_and_outbox_in_two_transactions.planted, Sessions),
    (m08_push_reply_overwrites_newer_edit.planted, Sessions),
    (m10_page_overwrites_dirty_row.planted, Sessions),
    (m38_cancellation_between_commit_and_memory.planted, Sessions),
]


def first_kill(checker: type[Checker]) -> ScenarioFailed | None:
    """Run seeds until one fails, or none of the budget is left."""
    for seed in range(BUDGET):
        try:
            run_scenario(seed, checkers=[checker])
        except ScenarioFailed as failed:
            return failed
    return None


@cache
def judged_clean(seed: int) -> bool:
    """Judge a seed of the engine as it is."""
    return len(run_scenario(seed).history) > 0


@pytest.mark.parametrize(
    ("planted", "checker"),
    KILLS,
    ids=[f"{p.__module__.rpartition('.')[2][:3]}-{c.__name__}" for p, c in KILLS],
)
def test_a_planted_bug_is_found_by_the_checker_named_for_it(
    planted: Planted, checker: type[Checker], record_property: Callable[[str, object], None]
) -> None:
    with planted():
        failed = first_kill(checker)
    assert failed is not None, f"{BUDGET} seeds are blind to it"
    assert failed.checker == checker.name
    record_property("seed", failed.seed)
    assert judged_clean(failed.seed)


def test_the_engine_as_it_is_stays_clean_over_the_same_seeds() -> None:
    assert all(judged_clean(seed) for seed in range(BUDGET))


def test_a_failing_seed_tells_its_story() -> None:
    with m01_row_and_outbox_in_two_transactions.planted():
        failed = first_kill(LocalAtomicity)
    assert failed is not None
    first, last = str(failed).splitlines()[0], str(failed).splitlines()[-1]
    assert first.startswith(f"seed {failed.seed} (client-wins): C2 local atomicity: item/")
    assert "marked as pending" in first
    assert last == (
        f"replay: run_scenario({failed.seed}, policy='client-wins') with the same medium"
    )
    assert 3 < len(str(failed).splitlines()) <= 43
