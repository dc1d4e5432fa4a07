"""Fixed seeds: every promise holds through crashes, cancellations and a failing network."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from holdfast.testing.simulation import ScenarioFailed, Tape, run_scenario
from support.sqlite_medium import SqliteMedium, integrity

POLICIES = ["client-wins", "server-wins"]
GROUP = 50


@pytest.mark.parametrize("first", range(0, 200, GROUP))
@pytest.mark.parametrize("policy", POLICIES)
def test_every_promise_holds_over_the_storage_in_memory(policy: str, first: int) -> None:
    for seed in range(first, first + GROUP):
        run_scenario(seed, policy=policy)


@pytest.mark.parametrize("first", range(0, 60, 20))
@pytest.mark.parametrize("policy", POLICIES)
def test_every_promise_holds_over_sqlite(policy: str, first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 20):
        folder = tmp_path / str(seed)
        run_scenario(seed, policy=policy, medium=partial(SqliteMedium, folder))
        assert integrity(folder / "replica.db") == "ok"


@pytest.mark.parametrize("policy", POLICIES)
def test_a_seed_goes_the_same_way_in_another_process(policy: str) -> None:
    """Also with another order of hashes."""
    code = (
        "from holdfast.testing.simulation import run_scenario; "
        f"print([run_scenario(seed, policy={policy!r}).trace for seed in range(10)])"
    )
    traces = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert traces == {str([run_scenario(seed, policy=policy).trace for seed in range(10)])}


def test_another_seed_goes_another_way() -> None:
    assert len({run_scenario(seed).trace for seed in range(20)}) == 20


def test_a_recorded_tape_plays_the_same_run() -> None:
    tape = Tape(7)
    first = run_scenario(7, tape=tape)
    again = run_scenario(7, tape=Tape.load(tape.dump()))
    assert again.trace == first.trace
    assert again.history.tail() == first.history.tail()


def test_a_deadlock_is_told_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.testing.simulation._scenario._STEPS", 100)
    with pytest.raises(ScenarioFailed, match="seed 7") as caught:
        run_scenario(7)
    assert caught.value.checker == "Livelock"
