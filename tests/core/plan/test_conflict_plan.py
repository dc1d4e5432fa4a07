"""What a conflict is, and what each resolution makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast._plan import conflicts, rows
from holdfast._plan.rows import Author, RowState
from holdfast._tables import Image, Place
from holdfast.model import KeepLocal, KeepRemote, Merge, Op, OpKind, OpState, Policy
from holdfast.schema import Column, ColumnType, TableSchema
from holdfast.values import Cell, Change

SCHEMA = TableSchema(
    "thing",
    "thingid",
    "name",
    (
        Column("thingid", ColumnType.UNIQUEIDENTIFIER, updatable=False),
        Column("name", ColumnType.STRING),
        Column("size", ColumnType.INTEGER),
        Column("made", ColumnType.DATETIME, creatable=False, updatable=False),
    ),
)
ME = Author("me")
ROW = "11111111-2222-4333-8444-555555555555"


def image(version: str, **cells: Cell) -> Image:
    return Image({"thingid": ROW, "name": None, "size": None, "made": None, **cells}, version)


def make_op(kind: OpKind, **changes: Change) -> Op:
    return Op("op1", 1, kind, "thing", ROW, changes)


def state(here: Op, there: Image | None) -> RowState:
    """Return a row that was edited here and then changed there."""
    blank = RowState(SCHEMA, ROW)
    if here.kind is not OpKind.CREATE:
        blank = rows.seen(blank, image("1", name="old", size=1), 1)
    return rows.seen(rows.edit(blank, here, ME), there, 2)


MINE = make_op(OpKind.UPDATE, name="mine")
THEIRS = image("2", name="theirs", size=2)


def test_a_change_there_opens_a_conflict_and_none_does_not() -> None:
    assert conflicts.is_open(state(MINE, THEIRS))
    assert conflicts.is_open(state(MINE, None))
    assert not conflicts.is_open(state(MINE, image("1", name="old", size=1)))
    assert not conflicts.is_open(rows.seen(RowState(SCHEMA, ROW), THEIRS, 1))


@pytest.mark.parametrize("waiting", [OpState.SENT, OpState.HELD])
def test_a_conflict_waits_while_its_op_is_on_its_way_or_with_a_person(waiting: OpState) -> None:
    found = state(MINE, THEIRS)
    found = rows.sending(found, "op1") if waiting is OpState.SENT else rows.held(found, ["op1"])
    assert not conflicts.is_open(found)


def test_a_resolver_sees_three_rows_and_what_changed_on_each_side() -> None:
    conflict = conflicts.describe(state(MINE, THEIRS), 3)
    assert conflict.base is not None
    assert conflict.local is not None
    assert conflict.remote is not None
    names = (conflict.base["name"], conflict.local["name"], conflict.remote["name"])
    assert names == ("old", "mine", "theirs")
    assert conflict.mine == frozenset({"name"})
    assert conflict.theirs == frozenset({"name", "size"})
    assert (conflict.base.version, conflict.remote.version) == ("1", "2")
    assert (conflict.attempts, conflict.local.pending) == (3, True)


def test_a_row_that_is_not_there_is_none() -> None:
    made = conflicts.describe(state(make_op(OpKind.CREATE, name="m"), THEIRS), 1)
    gone = conflicts.describe(state(MINE, None), 1)
    dropped = conflicts.describe(state(make_op(OpKind.DELETE), THEIRS), 1)
    assert (made.base, gone.remote, dropped.local) == (None, None, None)
    assert made.mine == {"thingid", "name"}  # all that is not null


@pytest.mark.parametrize(
    ("here", "there", "agreed"),
    [
        (make_op(OpKind.DELETE), None, True),
        (make_op(OpKind.DELETE), THEIRS, False),
        (MINE, None, False),
        (MINE, THEIRS, False),
    ],
)
def test_only_two_deletes_agree(here: Op, there: Image | None, agreed: bool) -> None:
    assert conflicts.is_agreed(state(here, there)) is agreed


@pytest.mark.parametrize("here", [MINE, make_op(OpKind.DELETE), make_op(OpKind.CREATE, name="m")])
@pytest.mark.parametrize("there", [THEIRS, None])
@pytest.mark.parametrize("resolution", [KeepLocal(), KeepRemote(), Merge({"name": "both"})])
def test_every_resolution_of_every_conflict_closes_it(
    here: Op, there: Image | None, resolution: Any
) -> None:
    before = state(here, there)
    after = conflicts.settle(before, resolution, ME)
    assert not after.moved
    if isinstance(resolution, KeepRemote):
        assert (after.dirty, after.local) == (False, there.cells if there else None)
    if isinstance(resolution, KeepLocal) and after.dirty:
        assert (after.local is None) is (before.local is None)
    if isinstance(resolution, Merge):
        assert after.local is not None
        assert after.local["name"] == "both"
        assert after.ops[0].kind is (OpKind.UPDATE if there else OpKind.CREATE)
        assert there is None or after.local["size"] == 2


def test_a_merge_that_changes_nothing_is_the_servers_row() -> None:
    after = conflicts.settle(state(MINE, THEIRS), Merge({}), ME)
    assert not after.dirty
    assert [place for _, place in after.settled] == [Place.LOST]


@pytest.mark.parametrize("values", [{"nope": 1}, {"made": None}, {"thingid": ROW}, {"size": "x"}])
def test_a_merge_of_what_cannot_be_written_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"cannot set|wanted"):
        conflicts.settle(state(MINE, THEIRS), Merge(values), ME)


@pytest.mark.parametrize(
    ("resolution", "winner"),
    [(KeepLocal(), "mine"), (KeepRemote(), "theirs"), (Merge({}), "merge")],
)
def test_the_history_keeps_all_three_rows(resolution: Any, winner: str) -> None:
    found = state(MINE, THEIRS)
    entry = conflicts.history(found, resolution, Policy("p"), entry_id="h", now="t")
    assert (entry.winner.value, entry.policy, entry.settled) == (winner, "p", "t")
    assert entry.base is not None
    assert entry.mine is not None
    assert (entry.base.cells["name"], entry.mine.cells["name"]) == ("old", "mine")
    assert (entry.theirs, entry.changed) == (THEIRS, ("name",))
