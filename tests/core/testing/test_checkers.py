"""What the checkers accept and refuse, on histories written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast._tables import LEDGER, OUTBOX, Place, op_record
from holdfast.contracts import Put
from holdfast.model import Op, OpKind
from holdfast.testing.simulation import Conservation, Contents, History, Sessions, Violation
from holdfast.testing.simulation._faults import ITEM
from holdfast.testing.simulation._history import Answered, Committed, Invoked, Sampled, Writing

ROW = "item/r"
WRITTEN = Op("op-1", 1, OpKind.UPDATE, ITEM.name, "r", {"one": 5})


def holding(*ops: Op, settled: Place | None = None) -> Contents:
    contents = Contents(_schemas={ITEM.name: ITEM})
    contents.apply([Put(OUTBOX, [op_record(op) for op in ops])])
    if settled is not None:
        contents.apply([Put(LEDGER, [(WRITTEN.id, settled.value, ITEM.name, "r", "now")])])
    return contents


class Story:
    """A history that one checker judges."""

    def __init__(self, checker: Conservation | Sessions) -> None:
        self.history = History(lambda: 0.0, [checker.see])

    def commit(self, contents: Contents) -> None:
        self.history.add("device", Writing())
        self.history.add("device", Committed(contents, frozenset({ROW})))

    def read(self, one: int | None, *, began: int | None = None) -> None:
        cells = None if one is None else {"one": one}
        since = len(self.history) if began is None else began
        self.history.add("reader", Sampled(since, {ROW: cells}))


def test_a_read_that_goes_back_breaks_the_session() -> None:
    story = Story(Sessions())
    story.read(7)
    with pytest.raises(Violation, match="one went back to 6, it was 7"):
        story.read(6)


def test_reads_at_the_same_time_may_see_older_and_newer() -> None:
    story = Story(Sessions())
    story.read(7)
    story.read(6, began=0)


def test_an_own_write_may_be_smaller_and_is_read_until_it_is_settled() -> None:
    story = Story(Sessions())
    story.read(7)
    story.commit(holding(WRITTEN))
    story.read(7, began=0)
    story.read(5)
    with pytest.raises(Violation, match="is 8, the waiting op op-1 wrote 5"):
        story.read(8)


def test_a_row_with_a_waiting_edit_does_not_vanish() -> None:
    story = Story(Sessions())
    story.commit(holding(WRITTEN))
    with pytest.raises(Violation, match="is gone, against the waiting op"):
        story.read(None)


def test_what_another_op_carries_is_read_until_that_is_settled() -> None:
    first = replace(WRITTEN, id="op-0", changes={"one": 3})
    story = Story(Sessions())
    story.commit(holding(first))
    story.commit(holding(first, replace(WRITTEN, sequence=2)))
    carrying = replace(first, changes=WRITTEN.changes)
    story.commit(holding(carrying, settled=Place.MERGED))
    story.read(5)
    with pytest.raises(Violation, match="is 8, the waiting op op-0 wrote 5"):
        story.read(8)


@pytest.mark.parametrize("place", [Place.LOST, Place.DISCARDED])
def test_a_write_that_lost_may_go_back(place: Place) -> None:
    story = Story(Sessions())
    story.commit(holding(WRITTEN))
    story.read(5)
    story.commit(holding(settled=place))
    story.read(3)


def test_a_write_that_was_applied_may_not_go_back() -> None:
    story = Story(Sessions())
    story.commit(holding(WRITTEN))
    story.commit(holding(settled=Place.APPLIED))
    story.read(6)
    with pytest.raises(Violation, match="went back to 4, it was 6"):
        story.read(4)


def test_an_acknowledged_op_is_in_one_place() -> None:
    story = Story(Conservation())
    story.history.add("user", Invoked(1, "update", writes=True))
    story.history.add("user", Answered(1, (WRITTEN.id,)))
    story.commit(holding(WRITTEN))
    story.commit(holding(replace(WRITTEN, attempts=1)))
    story.commit(holding(settled=Place.APPLIED))
    with pytest.raises(Violation, match="in 2 places"):
        story.commit(holding(WRITTEN, settled=Place.APPLIED))
    with pytest.raises(Violation, match="acknowledged by call 1, is nowhere"):
        story.commit(holding())


def test_an_acknowledged_write_has_queued_an_op() -> None:
    story = Story(Conservation())
    story.history.add("user", Invoked(1, "update", writes=True))
    with pytest.raises(Violation, match="queued no op"):
        story.history.add("user", Answered(1))
