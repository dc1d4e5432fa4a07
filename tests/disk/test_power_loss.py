"""P1, P2, P11, P12, P22 when the power goes: after every event, everything that a disk may hold."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mutants import (
    m32_synchronous_normal,
    m33_synchronous_off,
    m49_migration_in_no_transaction,
)
from support.disk.judging import DURABLE, FORMAT, INTEGRITY, Verdict, judge
from support.disk.workloads import WORKLOADS, perform

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform == "win32", reason="files are looked at while they are open"),
]

#: How many of each mix are drawn after an event, and how many states that must make at least.
DRAWS = 9
EXPECTED = {
    "first open": 2700,
    "migration": 3000,
    "pages": 2400,
    "outbox": 5200,
    "checkpoint": 6800,
}
assert sum(EXPECTED.values()) >= 20_000

Planted = Callable[[], AbstractContextManager[None]]
KILLS: list[tuple[Planted, str, str]] = [
    (m32_synchronous_normal.planted, "outbox", DURABLE),
    (m33_synchronous_off.planted, "outbox", DURABLE),
    (m33_synchronous_off.planted, "checkpoint", INTEGRITY),
    (m49_migration_in_no_transaction.planted, "migration", FORMAT),
]


def pulled(workload: str, folder: Path, draws: int, until: str | None = None) -> Verdict:
    """Perform a workload, and judge what is on its disk wherever the power goes."""
    disk, again = folder / "disk", folder / "again"
    disk.mkdir()
    again.mkdir()
    return judge(perform(WORKLOADS[workload], disk), again, draws=draws, until=until)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_promise_holds_wherever_the_power_goes(
    workload: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """States with the same bytes are counted once."""
    verdict = pulled(workload, tmp_path, DRAWS)
    record_property("states", verdict.states)
    assert not verdict.bad, verdict
    assert verdict.states >= EXPECTED[workload], verdict


@pytest.mark.parametrize(
    ("planted", "workload", "check"),
    KILLS,
    ids=[f"{p.__module__.rpartition('.')[2][:3]}-{c.partition(' ')[0]}" for p, _, c in KILLS],
)
def test_a_planted_bug_is_found_by_the_check_named_for_it(
    planted: Planted, workload: str, check: str, tmp_path: Path
) -> None:
    with planted():
        verdict = pulled(workload, tmp_path, 1, check)
    assert verdict.bad[check], f"{verdict}: they are blind to it"
