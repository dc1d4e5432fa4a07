"""Every removal and every delete is a question: the promises hold through crashes all the same."""

from __future__ import annotations

from functools import cache, partial

import pytest

from holdfast import Replica
from holdfast import profile as profiles
from holdfast.status import Issue, IssueKind
from holdfast.testing.simulation import Tape, run_scenario
from holdfast.testing.simulation._faults import ITEM
from holdfast.testing.simulation._people import Action, decision

NEVER_UNASKED = {"rows": 0, "percent": 0}
#: What a person may say to a question about many rows.
ANSWERS = {IssueKind.REMOVAL: ("allow", "retry"), IssueKind.DELETION: ("allow", "discard")}
#: A yes takes a sync of its own.
CYCLES = 12
SEEDS = 100


@cache
def asking(policy: str) -> profiles.Profile:
    """Return the simulation's profile, with limits that let nothing go unasked."""
    limits = {"removal_limit": NEVER_UNASKED, "delete_limit": NEVER_UNASKED}
    sections = {
        "storage": {"driver": "simulated"},
        "transport": {"driver": "memory"},
        "profile": {"tables": [{"name": ITEM.name, "resolver": policy, **limits}]},
    }
    return profiles.parse("the simulation", sections)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Let every removal and every delete be asked about; count the answers."""
    said: dict[str, int] = {}

    def answer(tape: Tape, replica: Replica, issue: Issue) -> Action:
        if issue.kind not in ANSWERS:
            return decision(tape, replica, issue)
        verb = ANSWERS[issue.kind][tape.pick("answer", 5) // 4]
        key = f"{issue.kind.value}: {verb}"
        said[key] = said.get(key, 0) + 1
        return f"retry or {verb} {key}", partial(getattr(replica, verb), issue.id)

    monkeypatch.setattr("holdfast.testing.simulation._device._profile", asking)
    monkeypatch.setattr("holdfast.testing.simulation._people.decision", answer)
    monkeypatch.setattr("holdfast.testing.simulation._scenario.CYCLES", CYCLES)
    return said


@pytest.mark.parametrize("policy", ["client-wins", "server-wins"])
def test_every_promise_holds_though_nothing_goes_unasked(
    policy: str, answered: dict[str, int]
) -> None:
    for seed in range(SEEDS):
        run_scenario(seed, policy=policy)
    assert sum(answered.values()) > 10
    assert {f"{kind.value}: allow" for kind in ANSWERS} <= set(answered)
