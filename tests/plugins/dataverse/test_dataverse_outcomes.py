"""What an answer means for an op: every status and code, for every kind of op."""

from __future__ import annotations

from itertools import product

import pytest

from holdfast.model import Applied, Conflicted, NotApplied, Op, OpKind, Outcome, Refused, Unknown
from holdfast_dataverse._outcomes import (
    Doubt,
    Look,
    Said,
    judge,
    judge_unit,
    settle,
    settle_unit,
    unread,
)

CREATE, UPDATE, DELETE = OpKind.CREATE, OpKind.UPDATE, OpKind.DELETE
ROW = ("id-1", "mine", "v2")
MISSING, STALE, TAKEN, UNIQUE = "0x80040217", "0x80060882", "0x80040237", "0x80060892"


def op(kind: OpKind, attempts: int = 1, row_id: str = "id-1") -> Op:
    return Op(f"op-{row_id}", 1, kind, "account", row_id, {}, "v1", attempts=attempts)


def verdict_of(kind: OpKind, said: Said) -> str:
    found = judge(op(kind), said, None)
    return found.doubt.value if isinstance(found, Look) else type(found).__name__


TABLE = [
    # status, code, create, update, delete
    (200, "", "done", "done", "Applied"),
    (201, "", "done", "done", "Applied"),
    (204, "", "done", "done", "Applied"),
    (400, "0x80044331", "Refused", "Refused", "Refused"),
    (400, "", "Refused", "Refused", "Refused"),
    (401, "", "NotApplied", "NotApplied", "NotApplied"),
    (403, "0x80040220", "Refused", "Refused", "Refused"),
    (403, "0x80048306", "Refused", "Refused", "Refused"),
    (404, MISSING, "Refused", "missing", "Applied"),
    (404, "0x80060891", "Refused", "missing", "Applied"),
    (404, "", "Refused", "missing", "Applied"),
    (404, "0x80060888", "Refused", "Refused", "Refused"),
    (404, "0x8006088a", "Refused", "Refused", "Refused"),
    (405, "0x80040227", "Refused", "Refused", "Refused"),
    (408, "", "Unknown", "Unknown", "Unknown"),
    (409, "", "taken", "moved", "moved"),
    (412, STALE, "Refused", "moved", "moved"),
    (412, TAKEN, "taken", "Refused", "Refused"),
    (412, UNIQUE, "taken", "Refused", "Refused"),
    (412, "0x80040333", "Refused", "Refused", "Refused"),
    (412, "", "taken", "moved", "moved"),
    (413, "", "Refused", "Refused", "Refused"),
    (425, "", "Unknown", "Unknown", "Unknown"),
    (429, "0x80072322", "NotApplied", "NotApplied", "NotApplied"),
    (500, "0x80040216", "Unknown", "Unknown", "Unknown"),
    (500, "0x80040224", "Unknown", "Unknown", "Unknown"),
    (501, "", "Unknown", "Unknown", "Unknown"),
    (502, "", "Unknown", "Unknown", "Unknown"),
    (503, "", "Unknown", "Unknown", "Unknown"),
    (504, "", "Unknown", "Unknown", "Unknown"),
    (302, "", "Unknown", "Unknown", "Unknown"),
]


@pytest.mark.parametrize(("status", "code", "create", "update", "delete"), TABLE)
def test_an_answer_means(status: int, code: str, create: str, update: str, delete: str) -> None:
    found = [verdict_of(kind, Said(status, code, "words")) for kind in (CREATE, UPDATE, DELETE)]
    assert found == [create, update, delete]


def test_a_row_that_came_along_is_the_record_of_what_was_applied() -> None:
    for kind in (CREATE, UPDATE):
        assert judge(op(kind), Said(200), ROW) == Applied("op-id-1", ROW)
    assert judge(op(DELETE), Said(204), None) == Applied("op-id-1", None)


@pytest.mark.parametrize("kind", list(OpKind))
def test_a_503_that_asks_to_wait_was_not_taken_up(kind: OpKind) -> None:
    assert isinstance(judge(op(kind), Said(503, retry_after=True), None), NotApplied)


@pytest.mark.parametrize("kind", list(OpKind))
def test_a_deadlock_passes_and_a_taken_value_does_not(kind: OpKind) -> None:
    deadlock = Said(500, "0x80044150", "Generic SQL error. Sql Number: 1205")
    unique = Said(500, "0x80044150", "Generic SQL error. Sql Number: 2627")
    assert isinstance(judge(op(kind), deadlock, None), NotApplied)
    expected = "taken" if kind is CREATE else "Refused"
    assert verdict_of(kind, unique) == expected


@pytest.mark.parametrize("kind", list(OpKind))
def test_only_a_crash_on_the_op_itself_counts_against_it(kind: OpKind) -> None:
    crash = judge(op(kind), Said(500, "0x80040224", "a plug-in failed"), None)
    assert isinstance(crash, Unknown)
    assert crash.crashed
    for gateway in (408, 502, 504):
        unheard = judge(op(kind), Said(gateway), None)
        assert isinstance(unheard, Unknown)
        assert not unheard.crashed


def test_a_refusal_carries_the_servers_code_and_words() -> None:
    assert judge(op(UPDATE), Said(400, "0x1", "too long"), None) == Refused(
        "op-id-1", "0x1", "too long"
    )
    assert judge(op(UPDATE), Said(400, "", "bad"), None) == Refused("op-id-1", "HTTP 400", "bad")


def expected_settlement(kind: OpKind, doubt: Doubt, *, found: bool, own: bool) -> type[Outcome]:
    """Say it once more, in other words than the code does."""
    if doubt is Doubt.DONE:
        return Applied
    if doubt is Doubt.MOVED:
        if kind is DELETE:
            return Conflicted if found else Applied
        return Applied if found and own else Conflicted
    if doubt is Doubt.TAKEN:
        return (Applied if own else Conflicted) if found else Refused
    return Refused if found else Conflicted


@pytest.mark.parametrize(
    ("kind", "doubt", "found", "holds", "attempts"),
    [
        *product((UPDATE,), Doubt, (True, False), (True, False), (1, 2)),
        *product((DELETE,), (Doubt.MOVED,), (True, False), (True, False), (1, 2)),
        *product((CREATE,), (Doubt.DONE, Doubt.TAKEN), (True, False), (True, False), (1, 2)),
    ],
)
def test_a_second_look_settles_every_doubt(
    kind: OpKind, doubt: Doubt, *, found: bool, holds: bool, attempts: int
) -> None:
    if not found:
        holds = False
    row = ROW if found else None
    outcome = settle(op(kind, attempts), Look(doubt, "0x1", "words"), row, holds=holds)
    own = holds and attempts > 1
    assert type(outcome) is expected_settlement(kind, doubt, found=found, own=own)
    if isinstance(outcome, Conflicted) or (isinstance(outcome, Applied) and kind is not DELETE):
        assert outcome.record == row
    if isinstance(outcome, Refused):
        assert (outcome.code, outcome.message) == ("0x1", "words")


@pytest.mark.parametrize(
    ("doubt", "attempts", "kind"),
    [
        (Doubt.DONE, 1, Unknown),
        (Doubt.DONE, 2, Unknown),
        (Doubt.MOVED, 1, NotApplied),
        (Doubt.TAKEN, 1, NotApplied),
        (Doubt.MISSING, 1, NotApplied),
        (Doubt.MOVED, 2, Unknown),
        (Doubt.TAKEN, 2, Unknown),
    ],
)
def test_a_row_that_cannot_be_read_leaves_no_claim(
    doubt: Doubt, attempts: int, kind: type[Outcome]
) -> None:
    assert type(unread(op(UPDATE, attempts), Look(doubt), "offline")) is kind


def test_the_error_of_a_unit_that_concerns_all_is_that_of_all() -> None:
    ops = (op(CREATE, row_id="a"), op(UPDATE, row_id="b"), op(DELETE, row_id="c"))
    for said, kind in (
        (Said(400, "0x1"), Refused),
        (Said(403, "0x1"), Refused),
        (Said(429), NotApplied),
        (Said(500), Unknown),
    ):
        outcomes = judge_unit(ops, said)
        assert outcomes is not None
        assert {type(one) for one in outcomes} == {kind}
    for telling in (Said(412, STALE), Said(412, TAKEN), Said(404, MISSING), Said(409)):
        assert judge_unit(ops, telling) is None


def test_the_row_that_moved_is_to_blame_for_its_unit() -> None:
    ops = (op(CREATE, row_id="a"), op(UPDATE, row_id="b"), op(UPDATE, row_id="c"))
    rows = {"b": ("b", "x", "v9"), "c": ("c", "x", "v1")}
    outcomes = settle_unit(ops, Said(412, STALE), rows, set())
    assert [type(one) for one in outcomes] == [NotApplied, Conflicted, NotApplied]


def test_a_missing_row_is_to_blame_for_its_unit() -> None:
    ops = (op(UPDATE, row_id="a"), op(DELETE, row_id="b"), op(UPDATE, row_id="c"))
    outcomes = settle_unit(ops, Said(404, MISSING), {"c": ("c", "x", "v1")}, set())
    assert outcomes[0] == Conflicted("op-a", None)
    assert outcomes[1] == Applied("op-b", None)
    assert isinstance(outcomes[2], NotApplied)


def test_a_unit_that_was_applied_unheard_is_recognised_whole() -> None:
    ops = (op(CREATE, 2, "a"), op(UPDATE, 2, "b"), op(DELETE, 2, "c"))
    rows = {"a": ("a", "x", "v5"), "b": ("b", "x", "v6")}
    said = Said(412, TAKEN)
    assert settle_unit(ops, said, rows, {"op-a", "op-b"}) == [
        Applied("op-a", rows["a"]),
        Applied("op-b", rows["b"]),
        Applied("op-c", None),
    ]
    partly = settle_unit(ops, said, rows, {"op-a"})
    assert isinstance(partly[0], Conflicted)


def test_a_unit_with_nobody_to_blame_is_refused_with_the_servers_words() -> None:
    ops = (op(CREATE, row_id="a"), op(UPDATE, row_id="b"))
    outcomes = settle_unit(ops, Said(412, UNIQUE, "taken"), {"b": ("b", "x", "v1")}, set())
    assert outcomes == [Refused("op-a", UNIQUE, "taken"), Refused("op-b", UNIQUE, "taken")]
