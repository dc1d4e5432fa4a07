"""What a conflict is, and what its resolution makes of the row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast._plan import rows
from holdfast._plan.rows import Author, RowState, changed_columns
from holdfast._tables import HistoryState, Image
from holdfast.model import (
    Conflict,
    Defer,
    KeepLocal,
    KeepRemote,
    Merge,
    OpState,
    Policy,
    Resolution,
    Row,
)
from holdfast.schema import TableSchema
from holdfast.status import Winner
from holdfast.values import Change, to_change


def is_open(state: RowState) -> bool:
    """Tell whether the row is known to conflict before anything of it is sent.

    An op whose outcome is unknown goes first: what moved the row may have been its own effect, and
    only the server can tell.
    """
    return state.dirty and state.moved and state.ops[0].state is OpState.PENDING


def is_agreed(state: RowState) -> bool:
    """Tell whether both sides did the same, so that nobody needs to win: the row is gone."""
    return state.local is None and state.remote is None


def describe(state: RowState, attempts: int) -> Conflict:
    """Return what a resolver is shown."""
    base = state.base.cells if state.base else None
    remote = state.remote.cells if state.remote else None
    return Conflict(
        table=state.table,
        row_id=state.row_id,
        base=row_of(state.schema, state.base),
        local=None if state.local is None else Row(state.schema, state.local, pending=True),
        remote=row_of(state.schema, state.remote),
        ops=state.ops,
        mine=changed_columns(state.schema, base, state.local),
        theirs=changed_columns(state.schema, base, remote),
        attempts=attempts,
    )


def row_of(schema: TableSchema, image: Image | None) -> Row | None:
    """Return an image as people see it."""
    return None if image is None else Row(schema, image.cells, version=image.version)


def settle(state: RowState, resolution: KeepLocal | KeepRemote | Merge, author: Author) -> RowState:
    """Apply a decided resolution.

    :raises ValueError: a merge names a value that does not fit its column
    """
    match resolution:
        case KeepLocal():
            return rows.keep_local(state, author)
        case KeepRemote():
            return rows.keep_remote(state)
        case Merge(values):
            changes = merged_changes(state, values)
            if not changes and state.remote is not None:
                return rows.keep_remote(state)
            return rows.merge(state, changes, author)


def merged_changes(state: RowState, values: Mapping[str, object]) -> dict[str, Change]:
    """Return what must be sent so that the server's row gets these values."""
    changes: dict[str, Change] = {}
    for name, value in values.items():
        column = state.schema.column(name)
        if column is None or not column.updatable:
            raise ValueError(f"a merge cannot set {state.table}.{name}")
        changes[name] = to_change(column, value)
    return changes


_WINNERS: Final = {KeepLocal: Winner.MINE, KeepRemote: Winner.THEIRS, Merge: Winner.MERGE}


def history(
    state: RowState, resolution: Resolution, policy: Policy, *, entry_id: str, now: str
) -> HistoryState:
    """Return what is kept of a settled conflict: all three rows, so the loser can come back."""
    assert not isinstance(resolution, Defer)
    winner = _WINNERS[type(resolution)]
    base = state.base.cells if state.base else None
    mine = None if state.local is None else Image(state.local, None)
    return HistoryState(
        id=entry_id,
        table=state.table,
        row_id=state.row_id,
        winner=winner,
        policy=policy.name,
        base=state.base,
        mine=mine,
        theirs=state.remote,
        changed=tuple(sorted(changed_columns(state.schema, base, state.local))),
        settled=now,
    )
