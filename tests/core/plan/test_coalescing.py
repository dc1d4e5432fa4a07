"""What few ops carry is what many said, and nothing overtakes what it depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings

from core.plan.test_lanes import (
    A,
    B,
    C,
    _blockers,
    create,
    delete,
    ids,
    outboxes,
    points,
    update,
)
from holdfast._plan.coalescing import Joined, joined
from holdfast._plan.lanes import next_wave
from holdfast.model import Op, OpKind, OpState
from holdfast.schema import Column, ColumnType, TableSchema

THING = TableSchema(
    "t",
    "tid",
    None,
    (
        Column("tid", ColumnType.UNIQUEIDENTIFIER),
        Column("to0", ColumnType.LOOKUP, targets=("t",)),
        Column("name", ColumnType.STRING),
        Column("later", ColumnType.STRING, creatable=False),
    ),
)
SCHEMAS: Mapping[str, TableSchema] = {"t": THING}


def plan(
    ops: Sequence[Op], bases: Mapping[str, Mapping[str, str]] | None = None
) -> list[list[str]]:
    return [[op.id for op in one.ops] for one in joined(ops, {}, SCHEMAS)]


def test_edits_of_a_row_join_the_first() -> None:
    assert plan([update(1, A), update(2, B), update(3, A), update(4, A)]) == [["op1", "op3", "op4"]]
    assert plan([create(1, A), update(2, A)]) == [["op1", "op2"]]


def test_an_edit_joins_neither_what_was_sent_nor_what_waits_for_a_person() -> None:
    for state in (OpState.SENT, OpState.HELD):
        assert plan([update(1, A, state=state), update(2, A), update(3, A)]) == [["op2", "op3"]]
    tried = replace(update(1, A), attempts=1)
    assert plan([tried, update(2, A)]) == []


def test_an_edit_does_not_overtake_the_row_that_it_points_to() -> None:
    assert plan([update(1, A), create(2, B), update(3, A, B), update(4, A)]) == [["op3", "op4"]]
    # Joined, the two creates would wait for each other.
    assert plan([create(1, A), create(2, B, A), update(3, A, B)]) == []


def test_a_create_carries_only_what_a_create_may_say() -> None:
    later = Op("op2", 2, OpKind.UPDATE, "t", A, {"later": "x"})
    assert plan([create(1, A), later]) == []
    assert plan([update(1, A), later]) == [["op1", "op2"]]


def test_a_row_made_and_deleted_here_needs_nobody() -> None:
    ops = [create(1, A), update(2, A), delete(3, A)]
    assert joined(ops, {}, SCHEMAS) == [Joined(tuple(ops), void=True)]


def test_a_row_that_another_points_to_is_made_and_deleted_there_too() -> None:
    ops = [create(1, A), update(2, B, A), delete(3, A)]
    assert joined(ops, {}, SCHEMAS) == []


def test_a_row_that_may_be_there_is_deleted_there_too() -> None:
    sent = create(1, A, state=OpState.SENT)
    assert joined([sent, delete(2, A)], {}, SCHEMAS) == []
    assert joined([update(1, A), delete(2, A)], {}, SCHEMAS) == []
    assert joined([delete(1, A), create(2, A), delete(3, A)], {}, SCHEMAS) == []


def test_a_delete_still_waits_for_the_edit_that_leaves_its_row() -> None:
    bases = points(bbbb=C)
    ops = [update(1, B), update(2, B, A), delete(3, C)]
    (found,) = joined(ops, bases, SCHEMAS)
    carried = _carried(found)
    assert ids(next_wave([carried, ops[2]], bases)) == [carried.id]


def _carried(found: Joined) -> Op:
    changes = {k: v for op in found.ops for k, v in op.changes.items()}
    return replace(found.ops[0], changes=changes)


@settings(max_examples=1000, deadline=None)
@given(outboxes())
def test_every_op_still_comes_behind_what_it_depends_on(
    drawn: tuple[list[Op], dict[str, dict[str, str]]],
) -> None:
    ops, bases = drawn
    parts: dict[str, list[Op]] = {op.id: [op] for op in ops}
    left: dict[str, Op] = {op.id: op for op in ops}
    for found in joined(ops, bases, SCHEMAS):
        for op in found.ops if found.void else found.ops[1:]:
            del left[op.id]
        if not found.void:
            parts[found.ops[0].id] = list(found.ops)
            left[found.ops[0].id] = _carried(found)
    planned = list(left.values())
    settled = {op.id for op in ops} - {part.id for at in left for part in parts[at]}
    while wave := ids(next_wave(list(left.values()), bases)):
        circle = len(wave) == 1 and wave[0] in next_wave(list(left.values()), bases).waiting
        now = {part.id for op_id in wave for part in parts[op_id]}
        for op_id in [] if circle else wave:
            own = {part.id for part in parts[op_id]}
            for part in parts[op_id]:
                # What was overwritten is not sent: nothing waits for it, and it waits for nothing.
                said = {k: v for k, v in part.changes.items() if left[op_id].changes.get(k) == v}
                before = planned if part.kind is OpKind.DELETE else ops
                assert _blockers(replace(part, changes=said), before, bases) <= settled | own
        settled |= now
        for op_id in wave:
            del left[op_id]


@settings(max_examples=300, deadline=None)
@given(outboxes())
def test_putting_together_comes_to_an_end(
    drawn: tuple[list[Op], dict[str, dict[str, str]]],
) -> None:
    """Each look leaves fewer ops, so a sync does not go round in circles."""
    ops, bases = drawn
    while found := joined(ops, bases, SCHEMAS):
        left = {op.id: op for op in ops}
        for one in found:
            for op in one.ops:
                del left[op.id]
            if not one.void:
                left[one.ops[0].id] = _carried(one)
        assert len(left) < len(ops)
        ops = sorted(left.values(), key=lambda op: op.sequence)
