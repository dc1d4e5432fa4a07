"""Which waiting ops one op can carry, so that ten edits of a row are one request: a pure function.

An op that was never sent may join the one before it of its row: an update joins a create or an
update. A row that was made and deleted here, and that nothing points to, needs no request at all.

What joins moves forward, to the place of the first. So an op joins only if it waits for nothing but
that: it never overtakes what it depends on, and what depends on it only comes later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast._plan.lanes import BaseReferences, dependencies, targets
from holdfast._tables import row_key
from holdfast.model import Op, OpKind, OpState
from holdfast.schema import TableSchema


@dataclass(frozen=True, slots=True)
class Joined:
    """Ops of one row of which the first carries the others; where ``void``, nobody is needed."""

    ops: tuple[Op, ...]
    void: bool = False


def joined(
    ops: Sequence[Op], references: BaseReferences, schemas: Mapping[str, TableSchema]
) -> list[Joined]:
    """Return what can be put together.

    :param ops: the whole outbox, in order
    :param references: for rows with ops, what their base points to
    :param schemas: by table, to know what a create may carry
    """
    chains: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        chains[row_key(op.table, op.row_id)].append(op)
    if len(chains) == len(ops):
        return []
    waits = dependencies(ops, references)
    pointed_to = {target for op in ops for target in targets(op)}
    found: list[Joined] = []
    for key, chain in chains.items():
        if key not in pointed_to and _is_void(chain):
            found.append(Joined(tuple(chain), void=True))
        else:
            runs = _runs(chain, waits, schemas[chain[0].table])
            found.extend(Joined(tuple(run)) for run in runs if len(run) > 1)
    return found


def is_fresh(op: Op) -> bool:
    """Tell whether an op was never sent and waits for nobody's decision."""
    return op.state is OpState.PENDING and not op.attempts


def _is_void(chain: Sequence[Op]) -> bool:
    kinds = [op.kind for op in chain]
    return (
        kinds[0] is OpKind.CREATE
        and kinds[-1] is OpKind.DELETE
        and kinds.count(OpKind.DELETE) == 1
        and all(map(is_fresh, chain))
    )


def _runs(
    chain: Sequence[Op], waits: Mapping[str, Sequence[str]], schema: TableSchema
) -> Iterator[list[Op]]:
    creatable = {column.name for column in schema.columns if column.creatable}
    run: list[Op] = []
    for op in chain:
        first = run[0] if run else None
        if (
            first is not None
            and op.kind is OpKind.UPDATE
            and is_fresh(op)
            and set(waits[op.id]) == {run[-1].id}
            and (first.kind is OpKind.UPDATE or creatable.issuperset(op.changes))
        ):
            run.append(op)
            continue
        yield run
        run = [op] if is_fresh(op) and op.kind is not OpKind.DELETE else []
    yield run
