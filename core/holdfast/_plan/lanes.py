"""Which ops may be sent now: a pure function over the outbox.

An op waits for an earlier op of its row, for a pending create of a row that it points to, and, when
it deletes a row, for pending ops that still point to that row: parents before children, children's
deletes before parents'. A lane is a connected part of that graph; whatever stops in one lane leaves
the others alone. A reference to a settled row is no dependency.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from holdfast._tables import row_key
from holdfast.model import Op, OpKind, OpState, Unit
from holdfast.values import Reference

#: The rows that the base of a row points to, by column; both as row keys.
BaseReferences = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Wave:
    """What may be sent now, and for the rest the op that it waits for, both by op id."""

    units: tuple[Unit, ...]
    waiting: Mapping[str, str]


def next_wave(ops: Sequence[Op], references: BaseReferences, parked: Collection[str] = ()) -> Wave:
    """Plan what to send.

    :param ops: the whole outbox, in order
    :param references: for rows with ops, what their base points to
    :param parked: ids of ops that are not to be sent in this run
    """
    waits = dependencies(ops, references)
    free: list[Op] = []
    waiting: dict[str, str] = {}
    for op in ops:
        blocker = next(iter(waits[op.id]), None)
        if blocker is not None:
            waiting[op.id] = blocker
        elif op.state is not OpState.HELD and op.id not in parked:
            free.append(op)
    if not free and waiting:
        free = _first_of_a_cycle(ops, waits, parked)
    return Wave(tuple(Unit((op,)) for op in free), waiting)


def dependencies(ops: Sequence[Op], references: BaseReferences) -> dict[str, list[str]]:
    """Return the ops that each op waits for, both by op id."""
    of_row: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        of_row[row_key(op.table, op.row_id)].append(op)
    waits: dict[str, list[str]] = defaultdict(list)
    for own, chain in of_row.items():
        for earlier, later in pairwise(chain):
            waits[later.id].append(earlier.id)
        for op in chain:
            for target in targets(op):
                if target != own:
                    _order_reference(op, of_row.get(target, ()), waits)
            for target in _left_targets(op, references.get(own, {})):
                delete = _first_delete(of_row.get(target, ()))
                if delete is not None and target != own:
                    waits[delete.id].append(op.id)
    return waits


def _order_reference(op: Op, chain: Sequence[Op], waits: dict[str, list[str]]) -> None:
    """Put an op between what makes the row that it points to and what deletes it.

    :param chain: the ops of that row; it may be deleted and made again
    """
    creates = [other for other in chain if other.kind is OpKind.CREATE]
    earlier = [create for create in creates if create.sequence < op.sequence]
    if earlier:
        waits[op.id].append(earlier[-1].id)
    elif creates and creates[0] is chain[0]:
        waits[op.id].append(creates[0].id)
    delete = _first_delete([other for other in chain if other.sequence > op.sequence])
    if delete is not None:
        waits[delete.id].append(op.id)


def _first_delete(chain: Sequence[Op]) -> Op | None:
    return next((op for op in chain if op.kind is OpKind.DELETE), None)


def targets(op: Op) -> list[str]:
    """Return the rows that an op makes its row point to, as row keys."""
    return [
        row_key(change.table, change.id)
        for change in op.changes.values()
        if isinstance(change, Reference)
    ]


def _left_targets(op: Op, base: Mapping[str, str]) -> list[str]:
    """Return the rows that this op stops pointing to."""
    if op.kind is OpKind.DELETE:
        return list(base.values())
    return [target for column, target in base.items() if column in op.changes]


def _first_of_a_cycle(
    ops: Sequence[Op], waits: Mapping[str, Sequence[str]], parked: Collection[str]
) -> list[Op]:
    """Return the oldest op of a cycle, so that it reaches the server, which can say what is wrong.

    Ops that wait, directly or not, for a held or parked one are not in a cycle: they just wait.
    """
    followers: dict[str, list[str]] = defaultdict(list)
    for follower, blockers in waits.items():
        for blocker in blockers:
            followers[blocker].append(follower)
    stopped = [op.id for op in ops if op.state is OpState.HELD or op.id in parked]
    stuck = {*stopped, *_reached(stopped, followers)}
    left = (op for op in ops if op.id not in stuck)
    return next(([op] for op in left if op.id in _reached([op.id], waits)), [])


def _reached(start: Sequence[str], edges: Mapping[str, Sequence[str]]) -> set[str]:
    """Return everything that the edges lead to."""
    reached: set[str] = set()
    frontier = list(start)
    while frontier:
        for target in edges.get(frontier.pop(), ()):
            if target not in reached:
                reached.add(target)
                frontier.append(target)
    return reached
