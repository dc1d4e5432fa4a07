"""One row between here and the server, as a state machine of pure functions.

A row is *clean* when it has no unsettled ops: then what the user sees is what the server had.
Otherwise it is *dirty*: ``base`` is the server's row that the first op was made on and stays where
it is, ``remote`` is the newest server row seen, and what the user sees is the ops laid over one of
them. Every transition keeps this; writing the difference of two states is the caller's only task.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from holdfast._tables import GONE, Image, Place
from holdfast.model import Op, OpKind, OpState, Record
from holdfast.schema import Column, ColumnType, Fill, TableSchema
from holdfast.values import Cell, Change, Reference, from_cells, to_cells

Cells = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class RowState:
    """All that is known of one row. ``local`` is None when the user does not see it.

    ``settled`` collects the ops that left the outbox in this transition, and where they went.
    """

    schema: TableSchema
    row_id: str
    local: Cells | None = field(default=None, repr=False)
    base: Image | None = None
    remote: Image | None = None
    moved: bool = False
    ops: tuple[Op, ...] = ()
    generation: int = 0
    rules: int = 0
    settled: tuple[tuple[Op, Place], ...] = ()

    @property
    def table(self) -> str:
        """The table's name."""
        return self.schema.name

    @property
    def dirty(self) -> bool:
        """Whether there are unsettled ops."""
        return bool(self.ops)

    @property
    def leaving(self) -> bool:
        """Whether it is noted that the server no longer has the row."""
        return self.rules < 0


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes locally: what the server will put into new rows."""

    user: str
    table: str = "systemuser"


def image_of(schema: TableSchema, record: Record) -> Image:
    """Return a server record as an image."""
    names = [f.name for f in schema.fields]
    version = record[len(names)]
    return Image(dict(zip(names, record, strict=False)), None if version is None else str(version))


def overlay(
    schema: TableSchema, under: Cells | None, ops: Sequence[Op], author: Author
) -> Cells | None:
    """Return the row as the user sees it: the ops, in order, over the server's row."""
    cells = under
    for op in ops:
        match op.kind:
            case OpKind.CREATE:
                cells = {**_new_row(schema, op, author), **_flat(schema, op.changes, {})}
            case OpKind.UPDATE if cells is not None:
                cells = {**cells, **_flat(schema, op.changes, cells)}
            case OpKind.DELETE:
                cells = None
            case _:
                pass
    return cells


def _flat(schema: TableSchema, changes: Mapping[str, Change], under: Cells) -> dict[str, Cell]:
    flat: dict[str, Cell] = {}
    for name, change in changes.items():
        column = schema.column(name)
        if column is None:
            continue
        cells = dict(zip((f.name for f in column.fields), to_cells(column, change), strict=True))
        if column.name_field and cells[name] == under.get(name):
            cells[column.name_field] = under.get(column.name_field)  # same row, same name
        flat.update(cells)
    return flat


def _new_row(schema: TableSchema, op: Op, author: Author) -> dict[str, Cell]:
    cells: dict[str, Cell] = dict.fromkeys(f.name for f in schema.fields)
    cells[schema.primary_id] = op.row_id
    for column in schema.columns:
        given: Change = column.default
        if column.fill is Fill.NOW:
            given = op.created
        elif column.fill is Fill.CALLER:
            given = Reference(author.table, author.user)
        if given is not None:
            cells.update(_flat(schema, {column.name: given}, {}))
    return cells


def edit(state: RowState, op: Op, author: Author) -> RowState:
    """Lay a new local op on top; the first one fixes the base.

    The note that the server has the row no longer stands in the row; one that is deleted here has
    no place for it, so it becomes what is known of the server's row.
    """
    if op.kind is OpKind.DELETE and state.leaving:
        state = replace(state, remote=None, moved=True)
    return replace(
        state,
        local=overlay(state.schema, state.local, [op], author),
        ops=(*state.ops, op),
    )


def seen(state: RowState, image: Image | None, generation: int) -> RowState:
    """Take note of the server's row, None when it is gone; a dirty row keeps the user's values."""
    state = _alive(state) if image is not None else state
    if not state.dirty:
        return _clean(replace(state, base=image, remote=image, moved=False, generation=generation))
    moved = not _same_version(state.base, image)
    return replace(state, remote=image, moved=moved, generation=generation)


def gone(state: RowState, generation: int) -> RowState:
    """Note that the server no longer has a clean row, which stays as it is until it may go."""
    return replace(state, rules=GONE, generation=generation)


def torn(state: RowState, generation: int) -> RowState:
    """Note that the server has the row, in a form that makes no sense: what is here stays."""
    return replace(state, generation=generation)


def applied(state: RowState, op: Op, image: Image | None, author: Author) -> RowState:
    """Settle an op that the server took; edits made meanwhile stay on top.

    Where the server took it but has no row to show, what stays on top has nothing to lie on: that
    is a conflict with a row that is gone.
    """
    state = _alive(state) if image is not None else state
    rest = tuple(other for other in state.ops if other.id != op.id)
    settled = (*state.settled, (op, Place.APPLIED))
    if rest and image is None and op.kind is not OpKind.DELETE:
        return replace(state, remote=None, moved=True, ops=rest, settled=settled)
    after = replace(state, base=image, remote=image, moved=False, ops=rest, settled=settled)
    return _clean(after) if not rest else _laid(after, author)


def conflicted(state: RowState, op: Op, image: Image | None) -> RowState:
    """Note that the server's row is not the one that the op was made on."""
    state = _alive(state) if image is not None else state
    return replace(_restated(state, op.id, OpState.PENDING), remote=image, moved=True)


def held(state: RowState, op_ids: Sequence[str]) -> RowState:
    """Let ops wait for a person; the user keeps seeing what was typed."""
    for op_id in op_ids:
        state = _restated(state, op_id, OpState.HELD)
    return state


def joined(state: RowState, ops: Sequence[Op]) -> RowState:
    """Let the first of these ops, which follow one another, carry the others."""
    first = replace(ops[0], changes={k: v for op in ops for k, v in op.changes.items()})
    carried = {op.id for op in ops[1:]}
    rest = tuple(first if op.id == first.id else op for op in state.ops if op.id not in carried)
    merged = tuple((op, Place.MERGED) for op in ops[1:])
    return replace(state, ops=rest, settled=(*state.settled, *merged))


def voided(state: RowState) -> RowState:
    """Let go of a row that was made and deleted here, and of which no server has heard."""
    return _clean(_settle_all(state, Place.VOID))


def released(state: RowState, op_ids: Sequence[str]) -> RowState:
    """Let ops be sent again; what they are held for was the end of their last sending."""
    ops = tuple(_unsent(op) if op.id in op_ids else op for op in state.ops)
    return replace(state, ops=ops)


def allowed(state: RowState, op_ids: Collection[str]) -> RowState:
    """Let held ops go, and remember that a person said so."""
    ops = tuple(
        replace(op, state=OpState.PENDING, allowed=True)
        if op.id in op_ids and op.state is OpState.HELD
        else op
        for op in state.ops
    )
    return replace(state, ops=ops)


def keep_local(state: RowState, author: Author) -> RowState:
    """Rebase the ops onto the server's row as it was just seen.

    A row that is gone there is created again as the user sees it; a create of a row that exists
    there becomes an update; a delete goes on.
    """
    rebased = replace(state, base=state.remote, moved=False)
    first = state.ops[0]
    if state.remote is None and state.local is None:
        return _clean(_settle_all(rebased, Place.APPLIED))  # gone on both sides: nothing to send
    if state.remote is None and first.kind is not OpKind.CREATE:
        carried = creatable(state.schema, state.local or {})
        again = replace(
            first, kind=OpKind.CREATE, changes=carried, state=OpState.PENDING, attempts=0
        )
        return _laid(_carried(rebased, again), author)
    if state.remote is not None and first.kind is OpKind.CREATE:
        update = replace(first, kind=OpKind.UPDATE, changes=_as_update(state, first), attempts=0)
        rebased = replace(rebased, ops=(update, *state.ops[1:]))
    fresh = tuple(replace(op, state=OpState.PENDING, attempts=0) for op in rebased.ops)
    return _laid(replace(rebased, ops=fresh), author)


def keep_remote(state: RowState) -> RowState:
    """Let the server's row stand; the caller keeps what is lost in the history."""
    return _clean(_settle_all(replace(state, base=state.remote, moved=False), Place.LOST))


def merge(state: RowState, changes: Mapping[str, Change], author: Author) -> RowState:
    """Lay these changes on top of the server's row; one that is gone is made again with them."""
    kind, carried = OpKind.UPDATE, dict(changes)
    if state.remote is None:
        kind, carried = OpKind.CREATE, {**creatable(state.schema, state.local or {}), **changes}
    first = replace(state.ops[0], kind=kind, changes=carried, state=OpState.PENDING, attempts=0)
    rebased = replace(state, base=state.remote, moved=False)
    return _laid(_carried(rebased, first), author)


def discard(state: RowState, op_ids: Sequence[str], author: Author) -> RowState:
    """Drop these ops by the user's wish; what is left has a row to lie on, or goes with them.

    So with a create go all that follow it. The row becomes the server's with what is left on top.
    """
    dropped = set(op_ids)
    rest = tuple(op for op in state.ops if op.id not in dropped)
    created = any(op.kind is OpKind.CREATE and op.id in dropped for op in state.ops)
    if created or (rest and state.base is None and rest[0].kind is not OpKind.CREATE):
        dropped, rest = {op.id for op in state.ops}, ()
    gone = tuple((op, Place.DISCARDED) for op in state.ops if op.id in dropped)
    after = replace(state, ops=rest, settled=(*state.settled, *gone))
    return _clean(after) if not rest else _laid(after, author)


def sending(state: RowState, op_id: str) -> RowState:
    """Note, before a byte leaves, that an op may be on its way."""
    version = state.base.version if state.base else None
    ops = tuple(
        replace(op, state=OpState.SENT, attempts=op.attempts + 1, version=version)
        if op.id == op_id
        else op
        for op in state.ops
    )
    return replace(state, ops=ops)


def returned(state: RowState, op: Op) -> RowState:
    """Take back a sending that certainly did not happen."""
    ops = tuple(_unsent(other) if other.id == op.id else other for other in state.ops)
    return replace(state, ops=ops)


def _unsent(op: Op) -> Op:
    """Forget the last sending of an op; an earlier one may still have been applied."""
    state = OpState.SENT if op.attempts > 1 else OpState.PENDING
    return replace(op, state=state, attempts=max(op.attempts - 1, 0))


def _restated(state: RowState, op_id: str, new: OpState) -> RowState:
    ops = tuple(replace(op, state=new) if op.id == op_id else op for op in state.ops)
    return replace(state, ops=ops)


def _carried(state: RowState, first: Op) -> RowState:
    """Let one op carry the whole row; the others are settled as part of it."""
    merged = tuple((op, Place.MERGED) for op in state.ops[1:])
    return replace(state, ops=(first,), settled=(*state.settled, *merged))


def _settle_all(state: RowState, place: Place) -> RowState:
    gone = tuple((op, place) for op in state.ops)
    return replace(state, ops=(), settled=(*state.settled, *gone))


def _alive(state: RowState) -> RowState:
    """Forget that the row was gone; which rules admit it is for others to say."""
    return replace(state, rules=max(state.rules, 0))


def _clean(state: RowState) -> RowState:
    remote = state.remote
    return replace(state, local=remote.cells if remote else None, base=remote, moved=False)


def _laid(state: RowState, author: Author) -> RowState:
    under = state.base.cells if state.base else None
    return replace(state, local=overlay(state.schema, under, state.ops, author))


def _same_version(one: Image | None, other: Image | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.version == other.version


def creatable(schema: TableSchema, cells: Cells) -> dict[str, Change]:
    """Return all that a create may carry of a row."""
    return {
        column.name: change
        for column in schema.columns
        if column.creatable and _written(schema, column)
        if (change := from_cells(column, cells)) is not None
    }


def updatable(schema: TableSchema, cells: Cells) -> dict[str, Change]:
    """Return all that an update may carry of a row, its nulls too."""
    return {
        column.name: from_cells(column, cells)
        for column in schema.columns
        if column.updatable and _written(schema, column)
    }


def _written(schema: TableSchema, column: Column) -> bool:
    return column.name != schema.primary_id and column.type not in _NOT_WRITTEN


def _as_update(state: RowState, create: Op) -> dict[str, Change]:
    """Return what an update may carry of a create; the server knows what to do with the rest."""
    schema = state.schema
    fixed = {column.name for column in schema.columns if not column.updatable}
    return {name: change for name, change in create.changes.items() if name not in fixed}


_NOT_WRITTEN = frozenset({ColumnType.FILE, ColumnType.IMAGE})


def changed_columns(schema: TableSchema, one: Cells | None, other: Cells | None) -> frozenset[str]:
    """Return the columns whose values differ; all of them where a row exists on one side only."""
    if one is None and other is None:
        return frozenset()
    left, right = one or {}, other or {}
    return frozenset(
        column.name
        for column in schema.columns
        if from_cells(column, left) != from_cells(column, right)
    )
