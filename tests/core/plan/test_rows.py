"""The state machine of one row: whatever happens in whatever order, nothing typed disappears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast._plan import rows
from holdfast._plan.coalescing import is_fresh
from holdfast._plan.rows import Author, RowState
from holdfast._tables import Image, Place
from holdfast.model import Op, OpKind, OpState
from holdfast.schema import Column, ColumnType, Fill, TableSchema
from holdfast.values import Cell, Change, Reference

SCHEMA = TableSchema(
    "thing",
    "thingid",
    "name",
    (
        Column("thingid", ColumnType.UNIQUEIDENTIFIER, updatable=False),
        Column("name", ColumnType.STRING),
        Column("size", ColumnType.INTEGER, default=1),
        Column("owner", ColumnType.LOOKUP, targets=("user", "team"), fill=Fill.CALLER),
        Column("parent", ColumnType.LOOKUP, targets=("thing",)),
        Column("once", ColumnType.STRING, updatable=False),
        Column("made", ColumnType.DATETIME, creatable=False, updatable=False, fill=Fill.NOW),
    ),
)
ME = Author("me", "user")
ROW = "11111111-2222-4333-8444-555555555555"
NOW = "2024-01-01T00:00:00Z"


def image(version: str, **cells: Cell) -> Image:
    blank: dict[str, Cell] = dict.fromkeys(f.name for f in SCHEMA.fields)
    return Image({**blank, "thingid": ROW, **cells}, version)


def blank() -> RowState:
    return RowState(SCHEMA, ROW)


def clean(found: Image) -> RowState:
    return rows.seen(blank(), found, 1)


def make_op(number: int, kind: OpKind, **changes: Change) -> Op:
    return Op(f"op{number}", number, kind, "thing", ROW, changes, created=NOW)


def edited(state: RowState, *ops: Op) -> RowState:
    for op in ops:
        state = rows.edit(state, op, ME)
    return state


UPDATE = make_op(1, OpKind.UPDATE, name="mine")
DELETE = make_op(2, OpKind.DELETE)
CREATE = make_op(1, OpKind.CREATE, name="made here", once="x")


class OneRow(RuleBasedStateMachine):
    """One row and its server, driven in any order.

    Everything the engine does to a row is a rule; ``typed`` holds every op ever made, ``places``
    where each one that left the outbox went.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = blank()
        self.typed: dict[str, Op] = {}
        self.places: dict[str, Place] = {}
        self.versions = 0
        self.given_up = False

    # What happens.

    def _image(self, name: str) -> Image:
        self.versions += 1
        return image(f"v{self.versions}", name=name, size=self.versions)

    def _next(self, after: RowState) -> None:
        for op, place in after.settled:
            assert op.id not in self.places, "an op is settled once"
            self.places[op.id] = place
        self.state = replace(after, settled=())

    @initialize(there=st.booleans())
    def start(self, there: bool) -> None:
        if there:
            self._next(rows.seen(self.state, self._image("first"), 1))

    def _type(self, kind: OpKind, **changes: Change) -> None:
        op = make_op(len(self.typed) + 1, kind, **changes)
        self.typed[op.id] = op
        before = self.state
        self._next(rows.edit(self.state, op, ME))
        assert self.state.base == before.base
        assert self.state.remote == before.remote

    @precondition(lambda self: self.state.local is None)
    @rule(name=st.text(max_size=2))
    def create(self, name: str) -> None:
        self._type(OpKind.CREATE, name=name)

    @precondition(lambda self: self.state.local is not None)
    @rule(name=st.text(max_size=2))
    def update(self, name: str) -> None:
        self._type(OpKind.UPDATE, name=name)
        assert self.state.local is not None
        assert self.state.local["name"] == name

    @precondition(lambda self: self.state.local is not None)
    @rule()
    def point(self) -> None:
        self._type(OpKind.UPDATE, parent=Reference("thing", ROW))

    @precondition(lambda self: self.state.local is not None)
    @rule()
    def delete(self) -> None:
        self._type(OpKind.DELETE)
        assert self.state.local is None

    @rule(name=st.text(max_size=2), gone=st.booleans())
    def pull(self, name: str, gone: bool) -> None:
        before = self.state
        found = None if gone else self._image(name)
        self._next(rows.seen(self.state, found, 2))
        assert self.state.remote == found
        if before.dirty:
            assert self.state.local == before.local, "a pull never changes what was typed"
            assert self.state.base == before.base

    @precondition(lambda self: self.state.dirty)
    @rule()
    def pull_nothing_new(self) -> None:
        self._next(rows.seen(self.state, self.state.base, 2))
        assert not self.state.moved

    @property
    def first(self) -> Op:
        return self.state.ops[0]

    def _may_join(self) -> bool:
        fresh = [op for op in self.state.ops if is_fresh(op)]
        kinds = [op.kind for op in fresh]
        joins = kinds[:2] in ([OpKind.CREATE, OpKind.UPDATE], [OpKind.UPDATE, OpKind.UPDATE])
        return joins and fresh == list(self.state.ops)

    @precondition(_may_join)
    @rule()
    def join(self) -> None:
        before = self.state
        self._next(rows.joined(self.state, self.state.ops[:2]))
        assert self.state.local == before.local
        assert self.first.id == before.ops[0].id
        under = before.base.cells if before.base else None
        assert rows.overlay(SCHEMA, under, self.state.ops, ME) == rows.overlay(
            SCHEMA, under, before.ops, ME
        )
        assert self.places[before.ops[1].id] is Place.MERGED

    def _is_void(self) -> bool:
        kinds = [op.kind for op in self.state.ops]
        untouched = self.state.base is None and self.state.remote is None
        return untouched and kinds[:1] == [OpKind.CREATE] and kinds.count(OpKind.DELETE) == 1

    @precondition(_is_void)
    @rule()
    def let_go(self) -> None:
        if self.state.ops[-1].kind is OpKind.DELETE and all(map(is_fresh, self.state.ops)):
            gone = [op.id for op in self.state.ops]
            self._next(rows.voided(self.state))
            assert self.state.local is None
            assert all(self.places[op_id] is Place.VOID for op_id in gone)

    def _may_send(self) -> bool:
        return self.state.dirty and self.first.state is not OpState.HELD

    @precondition(_may_send)
    @rule()
    def send(self) -> None:
        attempts = self.first.attempts
        self._next(rows.sending(self.state, self.first.id))
        assert (self.first.state, self.first.attempts) == (OpState.SENT, attempts + 1)
        base = self.state.base
        assert self.first.version == (base.version if base else None)

    def _is_sent(self) -> bool:
        return self.state.dirty and self.first.state is OpState.SENT

    @precondition(_is_sent)
    @rule(name=st.text(max_size=2))
    def applied(self, name: str) -> None:
        gone = self.first.kind is OpKind.DELETE
        after = None if gone else self._image(name)
        self._next(rows.applied(self.state, self.first, after, ME))
        assert self.state.base == after

    @precondition(_is_sent)
    @rule()
    def applied_with_nothing_to_show(self) -> None:
        before = self.state
        self._next(rows.applied(self.state, self.first, None, ME))
        if self.state.dirty and before.ops[0].kind is not OpKind.DELETE:
            assert self.state.local == before.local
            assert self.state.moved

    @precondition(_is_sent)
    @rule(name=st.text(max_size=2), gone=st.booleans())
    def conflict(self, name: str, gone: bool) -> None:
        found = None if gone else self._image(name)
        before = self.state
        self._next(rows.conflicted(self.state, self.first, found))
        assert self.state.local == before.local
        assert (self.first.state, self.state.moved) == (OpState.PENDING, True)

    @precondition(_is_sent)
    @rule()
    def refused(self) -> None:
        self._next(rows.held(self.state, [self.first.id]))

    @precondition(_is_sent)
    @rule()
    def not_applied(self) -> None:
        earlier = self.first.attempts - 1
        self._next(rows.returned(self.state, self.first))
        assert self.first.attempts == earlier
        assert self.first.state is (OpState.SENT if earlier else OpState.PENDING)

    def _is_open(self) -> bool:
        return self.state.dirty and self.state.moved and self.first.state is OpState.PENDING

    @precondition(_is_open)
    @rule()
    def defer(self) -> None:
        self._next(rows.held(self.state, [op.id for op in self.state.ops]))

    @precondition(_is_open)
    @rule()
    def server_wins(self) -> None:
        dropped = {op.id for op in self.state.ops}
        self._next(rows.keep_remote(self.state))
        assert not self.state.dirty
        assert all(self.places[op_id] is Place.LOST for op_id in dropped)

    def _client_wins(self) -> None:
        before = self.state
        self._next(rows.keep_local(self.state, ME))
        if before.local is None and before.remote is None:
            assert not self.state.dirty
            return
        assert not self.state.moved
        assert self.state.base == before.remote
        assert all(o.state is OpState.PENDING and not o.attempts for o in self.state.ops)
        kind = self.first.kind
        assert (kind is OpKind.CREATE) is (before.remote is None)
        if before.local is None:
            assert self.state.local is None
        else:
            assert self.state.local is not None
            typed = {name for op in before.ops for name in op.changes}
            for name in typed:
                assert self.state.local[name] == before.local[name]

    @precondition(_is_open)
    @rule()
    def client_wins(self) -> None:
        self._client_wins()

    @precondition(_is_open)
    @rule(name=st.text(max_size=2))
    def merge(self, name: str) -> None:
        carried = {op.id for op in self.state.ops[1:]}
        self._next(rows.merge(self.state, {"name": name}, ME))
        gone = self.state.base is None
        assert [op.kind for op in self.state.ops] == [OpKind.CREATE if gone else OpKind.UPDATE]
        assert self.state.local is not None
        assert self.state.local["name"] == name
        assert all(self.places[op_id] is Place.MERGED for op_id in carried)

    def _is_held(self) -> bool:
        return self.state.dirty and self.first.state is OpState.HELD

    def _held(self) -> list[str]:
        return [op.id for op in self.state.ops if op.state is OpState.HELD]

    @precondition(_is_held)
    @rule()
    def retry(self) -> None:
        before = self.state
        self._next(rows.released(self.state, self._held()))
        for old, new in zip(before.ops, self.state.ops, strict=True):
            assert new.state is not OpState.HELD
            assert (new.state is OpState.SENT) is (old.attempts > 1)

    @precondition(_is_held)
    @rule()
    def take_mine(self) -> None:
        self._client_wins()

    @precondition(_is_held)
    @rule()
    def discard(self) -> None:
        dropped = self._held()
        self._next(rows.discard(self.state, dropped, ME))
        assert all(self.places[op_id] is Place.DISCARDED for op_id in dropped)
        if not self.state.dirty:
            assert self.state.base == self.state.remote

    # What must always hold.

    @invariant()
    def each_op_is_in_exactly_one_place(self) -> None:
        waiting = [op.id for op in self.state.ops]
        assert len(set(waiting)) == len(waiting)
        assert not set(waiting) & set(self.places)
        assert set(waiting) | set(self.places) == set(self.typed)

    @invariant()
    def ops_keep_their_order(self) -> None:
        order = [op.sequence for op in self.state.ops]
        assert order == sorted(order)

    @invariant()
    def a_clean_row_is_the_servers(self) -> None:
        if self.state.dirty:
            return
        remote = self.state.remote
        assert self.state.base == remote
        assert self.state.local == (remote.cells if remote else None)
        assert not self.state.moved

    @invariant()
    def only_the_first_op_may_be_on_its_way(self) -> None:
        assert all(op.state is not OpState.SENT for op in self.state.ops[1:])

    @invariant()
    def what_the_user_sees_ends_with_what_was_typed_last(self) -> None:
        if not self.state.dirty:
            return
        last = self.state.ops[-1]
        assert (self.state.local is None) is (last.kind is OpKind.DELETE)
        if self.state.local is not None:
            for name, change in last.changes.items():
                wanted = change.id if isinstance(change, Reference) else change
                assert self.state.local[name] == wanted


OneRow.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestOneRow = OneRow.TestCase


# The corners by hand.


def test_a_new_row_shows_defaults_and_what_the_server_fills_in() -> None:
    state = edited(blank(), CREATE)
    assert state.local is not None
    assert state.local["size"] == 1
    assert state.local["made"] == NOW
    assert (state.local["owner"], state.local["_holdfast_owner_table"]) == ("me", "user")
    assert (state.base, state.remote, state.moved) == (None, None, False)


@pytest.mark.parametrize("before", [[], [UPDATE]])
def test_a_delete_of_a_row_that_is_noted_to_go_knows_that_the_server_has_none(
    before: list[Op],
) -> None:
    state = rows.gone(clean(image("1", name="old")), 2)
    after = edited(state, *before, DELETE)
    assert (after.remote, after.moved) == (None, True)
    assert after.base == state.base
    assert rows.discard(after, [op.id for op in after.ops], ME).local is None


def test_only_changed_columns_cover_the_servers() -> None:
    state = edited(clean(image("1", name="old", size=5)), UPDATE)
    sent = rows.sending(state, "op1")
    assert sent.ops[0].version == "1"
    after = rows.applied(sent, sent.ops[0], image("2", name="mine", size=9), ME)
    assert after.local is not None
    assert (after.local["name"], after.local["size"]) == ("mine", 9)
    assert [(op.id, place) for op, place in after.settled] == [("op1", Place.APPLIED)]


def test_the_name_of_a_looked_up_row_stays_only_while_the_row_stays() -> None:
    names: Mapping[str, Any] = {"parent": "p1", "_holdfast_parent_name": "Parent"}
    state = clean(image("1", **names))
    same = edited(state, make_op(1, OpKind.UPDATE, parent=Reference("thing", "p1")))
    other = edited(state, make_op(1, OpKind.UPDATE, parent=Reference("thing", "p2")))
    assert same.local is not None
    assert other.local is not None
    assert same.local["_holdfast_parent_name"] == "Parent"
    assert other.local["_holdfast_parent_name"] is None


def test_a_row_deleted_there_is_made_again_as_the_user_sees_it() -> None:
    state = edited(clean(image("1", name="old", size=5)), UPDATE, make_op(2, OpKind.UPDATE, size=6))
    gone = rows.seen(state, None, 2)
    assert gone.moved
    again = rows.keep_local(gone, ME)
    (op,) = again.ops
    assert (op.kind, op.changes["name"], op.changes["size"]) == (OpKind.CREATE, "mine", 6)
    assert "made" not in op.changes
    assert "thingid" not in op.changes
    assert [place for _, place in again.settled] == [Place.MERGED]


def test_a_create_of_a_row_that_is_there_becomes_an_update() -> None:
    sent = rows.sending(edited(blank(), CREATE), "op1")
    met = rows.conflicted(sent, sent.ops[0], image("7", name="theirs", size=3))
    kept = rows.keep_local(met, ME)
    assert kept.ops[0].kind is OpKind.UPDATE
    assert kept.ops[0].changes == {"name": "made here"}
    assert rows.sending(kept, "op1").ops[0].version == "7"
    assert kept.local is not None
    assert (kept.local["name"], kept.local["size"]) == ("made here", 3)


@pytest.mark.parametrize("ops", [(DELETE,), (UPDATE, DELETE)])
def test_gone_on_both_sides_leaves_nothing_to_send(ops: tuple[Op, ...]) -> None:
    state = rows.seen(edited(clean(image("1")), *ops), None, 2)
    after = rows.keep_local(state, ME)
    assert (after.ops, after.local, after.remote) == ((), None, None)


def test_discarding_a_create_takes_along_what_was_laid_on_it() -> None:
    state = edited(blank(), CREATE, make_op(2, OpKind.UPDATE, size=2))
    after = rows.discard(rows.held(state, ["op1"]), ["op1"], ME)
    assert (after.dirty, after.local) == (False, None)
    assert len(after.settled) == 2


def test_discarding_edits_of_a_row_that_vanished_takes_along_those_that_lie_on_nothing() -> None:
    first, second = make_op(2, OpKind.UPDATE, name="a"), make_op(3, OpKind.UPDATE, name="b")
    state = rows.sending(edited(blank(), CREATE, first), "op1")
    state = rows.held(rows.applied(state, state.ops[0], None, ME), ["op2"])
    after = rows.discard(edited(state, second), ["op2"], ME)
    assert (after.ops, after.local, after.remote) == ((), None, None)
    assert [(op.id, place) for op, place in after.settled[1:]] == [
        ("op2", Place.DISCARDED),
        ("op3", Place.DISCARDED),
    ]


def test_discarding_an_edit_below_another_leaves_the_other() -> None:
    state = edited(clean(image("1", name="old")), UPDATE, make_op(2, OpKind.UPDATE, size=2))
    after = rows.discard(state, ["op1"], ME)
    assert after.local is not None
    assert (after.local["name"], after.local["size"]) == ("old", 2)
    assert [op.id for op in after.ops] == ["op2"]


def test_a_column_that_the_schema_lost_is_not_shown_and_still_carried() -> None:
    state = edited(clean(image("1")), make_op(1, OpKind.UPDATE, lost="x", name="n"))
    assert state.local is not None
    assert "lost" not in state.local
    assert state.ops[0].changes["lost"] == "x"


def test_the_columns_that_differ_are_all_where_one_side_has_no_row() -> None:
    cells = image("1", name="a").cells
    assert rows.changed_columns(SCHEMA, None, None) == frozenset()
    assert rows.changed_columns(SCHEMA, cells, cells) == frozenset()
    assert "name" in rows.changed_columns(SCHEMA, None, cells)
    other = image("1", name="a", owner="x", _holdfast_owner_table="team").cells
    same_id = image("1", name="a", owner="x", _holdfast_owner_table="user").cells
    assert rows.changed_columns(SCHEMA, other, same_id) == {"owner"}


# Rows that must go, and rows that came torn.


def test_a_row_that_is_gone_stays_as_it_is_until_the_server_shows_it_again() -> None:
    row = replace(clean(image("1", name="a")), rules=3)
    gone = rows.gone(row, 2)
    assert (gone.local, gone.base, gone.generation) == (row.local, row.base, 2)
    assert gone.leaving
    assert rows.torn(gone, 3) == replace(gone, generation=3)
    back = rows.seen(gone, image("2", name="b"), 3)
    assert not back.leaving
    assert back.rules == 0, "which rules admit it is for others to say"


@pytest.mark.parametrize("rules", [1, 7])
def test_no_bit_of_a_rule_makes_a_row_that_is_gone_one_that_is_there(rules: int) -> None:
    gone = rows.gone(clean(image("1")), 1)
    assert replace(gone, rules=gone.rules | rules).leaving
    assert replace(gone, rules=gone.rules & ~rules).leaving


def test_only_the_server_says_that_a_row_is_not_gone_after_all() -> None:
    dirty = edited(rows.gone(clean(image("1", name="a")), 2), UPDATE)
    assert dirty.leaving
    assert rows.discard(dirty, ["op1"], ME).leaving
    assert rows.seen(dirty, None, 3).leaving
    assert rows.conflicted(rows.sending(dirty, "op1"), UPDATE, None).leaving
    assert not rows.conflicted(rows.sending(dirty, "op1"), UPDATE, image("2")).leaving
    assert not rows.applied(dirty, UPDATE, image("2"), ME).leaving
    assert not rows.seen(dirty, image("2"), 3).leaving


def test_what_is_allowed_was_held_and_is_remembered() -> None:
    state = rows.held(edited(clean(image("1")), UPDATE, DELETE), ["op2"])
    first, second = rows.allowed(state, ["op1", "op2"]).ops
    assert (first.state, first.allowed) == (OpState.PENDING, False)
    assert (second.state, second.allowed, second.attempts) == (OpState.PENDING, True, 0)
