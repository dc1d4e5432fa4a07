"""What may be sent now, compared with a naive reading of the rules."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast._plan.lanes import Wave, next_wave
from holdfast.model import Op, OpKind, OpState
from holdfast.values import Change, Reference

A, B, C = "aaaa", "bbbb", "cccc"


def make_op(
    number: int,
    kind: OpKind,
    row: str,
    *targets: str,
    state: OpState = OpState.PENDING,
) -> Op:
    changes: dict[str, Change] = {f"to{n}": Reference("t", t) for n, t in enumerate(targets)}
    return Op(f"op{number}", number, kind, "t", row, changes, state=state)


def create(number: int, row: str, *targets: str, state: OpState = OpState.PENDING) -> Op:
    return make_op(number, OpKind.CREATE, row, *targets, state=state)


def update(number: int, row: str, *targets: str, state: OpState = OpState.PENDING) -> Op:
    return make_op(number, OpKind.UPDATE, row, *targets, state=state)


def delete(number: int, row: str, *, state: OpState = OpState.PENDING) -> Op:
    return make_op(number, OpKind.DELETE, row, state=state)


def ids(wave: Wave) -> list[str]:
    return [op.id for unit in wave.units for op in unit.ops]


def points(**bases: str) -> dict[str, dict[str, str]]:
    """Say what the base of each row points to, in column ``to0``."""
    return {f"t/{row}": {"to0": f"t/{target}"} for row, target in bases.items()}


def test_independent_rows_go_together() -> None:
    wave = next_wave([update(1, A), update(2, B), create(3, C)], {})
    assert ids(wave) == ["op1", "op2", "op3"]
    assert wave.waiting == {}


def test_one_op_of_a_row_at_a_time() -> None:
    wave = next_wave([update(1, A), update(2, A), delete(3, A)], {})
    assert ids(wave) == ["op1"]
    assert wave.waiting == {"op2": "op1", "op3": "op2"}


def test_a_parent_is_made_before_its_children() -> None:
    ops = [create(1, A), create(2, B, A), create(3, C, B)]
    assert ids(next_wave(ops, {})) == ["op1"]
    assert ids(next_wave(ops[1:], {})) == ["op2"]
    assert ids(next_wave(ops[2:], {})) == ["op3"]


def test_a_reference_to_a_settled_row_is_no_dependency() -> None:
    ops = [update(1, A), update(2, B, A)]
    assert ids(next_wave(ops, {})) == ["op1", "op2"]


def test_children_are_deleted_before_their_parent() -> None:
    ops = [delete(1, A), delete(2, B)]
    assert ids(next_wave(ops, points(bbbb=A))) == ["op2"]


def test_a_row_that_is_left_by_an_edit_is_deleted_after_the_edit() -> None:
    ops = [update(1, B, C), delete(2, A)]
    wave = next_wave(ops, points(bbbb=A))
    assert ids(wave) == ["op1"]
    assert wave.waiting == {"op2": "op1"}


def test_an_edit_of_another_column_does_not_hold_a_delete_back() -> None:
    ops = [Op("op1", 1, OpKind.UPDATE, "t", B, {"other": "x"}), delete(2, A)]
    assert ids(next_wave(ops, points(bbbb=A))) == ["op1", "op2"]


def test_a_row_that_points_to_itself_does_not_wait_for_itself() -> None:
    assert ids(next_wave([create(1, A, A), delete(2, B)], points(bbbb=B))) == ["op1", "op2"]


def test_a_held_op_stops_only_what_depends_on_it() -> None:
    ops = [create(1, A, state=OpState.HELD), create(2, B, A), update(3, B), update(4, C)]
    wave = next_wave(ops, {})
    assert ids(wave) == ["op4"]
    assert wave.waiting == {"op2": "op1", "op3": "op2"}


def test_a_parked_op_stops_only_what_depends_on_it() -> None:
    ops = [update(1, A), update(2, A), update(3, B)]
    assert ids(next_wave(ops, {}, parked=["op1"])) == ["op3"]


def test_an_op_whose_outcome_is_unknown_is_sent_again() -> None:
    assert ids(next_wave([update(1, A, state=OpState.SENT)], {})) == ["op1"]


def test_a_circle_sends_its_oldest_op() -> None:
    ops = [create(1, A, B), create(2, B, A), update(3, B)]
    assert ids(next_wave(ops, {})) == ["op1"]


def test_a_circle_behind_a_held_op_waits() -> None:
    ops = [create(1, C, state=OpState.HELD), create(2, A, B, C), create(3, B, A)]
    assert ids(next_wave(ops, {})) == []


def test_a_circle_whose_oldest_op_was_refused_waits() -> None:
    ops = [create(1, A, B, state=OpState.HELD), create(2, B, A)]
    assert ids(next_wave(ops, {})) == []


def test_the_same_id_in_two_tables_is_two_rows() -> None:
    ops = [update(1, A), Op("op2", 2, OpKind.UPDATE, "u", A)]
    assert ids(next_wave(ops, {})) == ["op1", "op2"]


# Any outbox that the replica can make.

_ROWS = (A, B, C, "dddd")


@st.composite
def outboxes(draw: st.DrawFn) -> tuple[list[Op], dict[str, dict[str, str]]]:
    """Draw an outbox that obeys the replica: no edit of what is deleted, none before its create."""
    there = {row: draw(st.booleans(), label=f"{row} is there") for row in _ROWS}
    targets = st.sampled_from(_ROWS)
    bases = points(**{row: draw(targets) for row in _ROWS if there[row] and draw(st.booleans())})
    ops: list[Op] = []
    for number in range(draw(st.integers(0, 9))):
        row = draw(st.sampled_from(_ROWS))
        state = draw(st.sampled_from([OpState.PENDING, OpState.PENDING, OpState.HELD]))
        if not there[row]:
            kind = OpKind.CREATE
        else:
            kind = draw(st.sampled_from([OpKind.UPDATE, OpKind.UPDATE, OpKind.DELETE]))
        alive = [target for target in _ROWS if there[target] and target != row]
        pointed = draw(st.lists(st.sampled_from(alive), max_size=1)) if alive else []
        if kind is OpKind.DELETE:
            pointed = []
        ops.append(make_op(number, kind, row, *pointed, state=state))
        there[row] = kind is not OpKind.DELETE
    return ops, bases


def _blockers(op: Op, ops: Sequence[Op], bases: dict[str, dict[str, str]]) -> set[str]:
    """Say naively which ops must be settled before this one."""
    pointed = {c.id for c in op.changes.values() if isinstance(c, Reference)}
    found: set[str] = set()
    for other in ops:
        earlier = other.sequence < op.sequence
        if other.row_id == op.row_id and earlier:
            found.add(other.id)
        if other.row_id in pointed - {op.row_id} and earlier and other.kind is OpKind.CREATE:
            found.add(other.id)
        if op.kind is OpKind.DELETE and earlier and other.row_id != op.row_id:
            left = bases.get(f"t/{other.row_id}", {}).get("to0") == f"t/{op.row_id}"
            drops = other.kind is OpKind.DELETE or "to0" in other.changes
            points_here = any(
                isinstance(c, Reference) and c.id == op.row_id for c in other.changes.values()
            )
            if (left and drops) or points_here:
                found.add(other.id)
    return found


@settings(max_examples=400, deadline=None)
@given(outboxes())
def test_nothing_is_sent_before_what_it_depends_on(
    drawn: tuple[list[Op], dict[str, dict[str, str]]],
) -> None:
    ops, bases = drawn
    wave = next_wave(ops, bases)
    sent = ids(wave)
    by_id = {op.id: op for op in ops}
    assert len({by_id[op_id].row_id for op_id in sent}) == len(sent)
    assert all(by_id[op_id].state is not OpState.HELD for op_id in sent)
    circle = len(sent) == 1 and sent[0] in wave.waiting
    for op_id in [] if circle else sent:
        assert not _blockers(by_id[op_id], ops, bases)


@settings(max_examples=400, deadline=None)
@given(outboxes())
def test_everything_is_sent_in_the_end_but_what_waits_for_a_held_op(
    drawn: tuple[list[Op], dict[str, dict[str, str]]],
) -> None:
    ops, bases = drawn
    left = list(ops)
    for _ in range(len(ops) + 1):
        wave = next_wave(left, bases)
        if not wave.units:
            break
        sent = ids(wave)
        left = [op for op in left if op.id not in sent]
    stopped = {op.id for op in left if op.state is OpState.HELD}
    assert all(_reaches(op, stopped, left, bases) for op in left)


def _reaches(
    op: Op, stopped: Collection[str], ops: Sequence[Op], bases: dict[str, dict[str, str]]
) -> bool:
    waiting = next_wave(ops, bases).waiting
    at = op.id
    for _ in ops:
        if at in stopped:
            return True
        at = waiting.get(at, "")
    return bool(stopped)  # it waits in a circle, and that waits for a held op
