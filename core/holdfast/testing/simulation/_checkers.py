"""Who judges a history: one small class for each promise.

Invariant: a checker looks at events only, never at the engine; what it says is wrong, is wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeAlias

from holdfast._tables import Place, row_key
from holdfast.model import Op, OpKind
from holdfast.testing.simulation._contents import Contents
from holdfast.testing.simulation._history import (
    Answered,
    Committed,
    Event,
    Finished,
    Invoked,
    Opened,
    Sampled,
    Writing,
)


class Violation(AssertionError):
    """Raised when a promise is broken."""

    def __init__(self, checker: str, explanation: str) -> None:
        self.checker = checker
        self.explanation = explanation
        super().__init__(f"{checker}: {explanation}")


class Checker(ABC):
    """Sees every event at the moment it happens, with its position in the history."""

    name: ClassVar[str]

    @abstractmethod
    def see(self, event: Event, position: int) -> None:
        """Judge an event.

        :raises Violation: it shows that the promise is broken
        """

    def _say(self, explanation: str) -> Violation:
        return Violation(self.name, explanation)


class Conservation(Checker):
    """P1: an acknowledged write is durable, and its op is in exactly one place.

    Looks at the ops that were queued by the time a call returned, and, after every commit, every
    restart and at the end, at the outbox and the ledger.
    """

    name = "C1 conservation"

    def __init__(self) -> None:
        self._writing: dict[int, str] = {}
        self._acknowledged: dict[str, int] = {}

    def see(self, event: Event, position: int) -> None:
        """Note what is acknowledged; look for it whenever the storage has changed."""
        del position
        match event:
            case Invoked(call, what, writes=True):
                self._writing[call] = what
            case Answered(call, ops) if call in self._writing:
                if not ops:
                    raise self._say(f"{self._writing[call]} was acknowledged and queued no op")
                self._acknowledged.update(dict.fromkeys(ops, call))
            case Committed(contents) | Opened(contents) | Finished(contents):
                self._count(contents)
            case _:
                pass

    def _count(self, contents: Contents) -> None:
        places = Counter(op.id for op in contents.ops())
        places.update(op_id for op_id, _, _ in contents.settled())
        for op_id, call in self._acknowledged.items():
            if not places[op_id]:
                raise self._say(f"op {op_id[:8]}, acknowledged by call {call}, is nowhere")
        for op_id, count in places.items():
            if count > 1:
                raise self._say(f"op {op_id[:8]} is in {count} places: outbox and ledger")


class LocalAtomicity(Checker):
    """P2: a row, its ops and its base are committed together.

    Looks at the rows that a commit concerns, and at all of them when the replica was opened.
    """

    name = "C2 local atomicity"

    def see(self, event: Event, position: int) -> None:
        """Look at what a commit left."""
        del position
        match event:
            case Committed(contents, rows):
                self._check(contents, sorted(rows))
            case Opened(contents) | Finished(contents):
                self._check(contents, sorted(contents.rows()))
            case _:
                pass

    def _check(self, contents: Contents, rows: Sequence[str]) -> None:
        ops: dict[str, list[Op]] = {}
        for op in contents.ops():
            ops.setdefault(row_key(op.table, op.row_id), []).append(op)
        for row in rows:
            wrong = _wrong(contents, row, ops.get(row, []))
            if wrong:
                raise self._say(f"{row}: {wrong}")


def _wrong(contents: Contents, row: str, ops: Sequence[Op]) -> str | None:
    pending, shadow = contents.pending(row), contents.has_shadow(row)
    if pending and not ops:
        return "the row is marked as pending, and no op of it waits"
    if ops and pending is False:
        return f"{len(ops)} ops of it wait, and the row is not marked as pending"
    if ops and pending is None and ops[-1].kind is not OpKind.DELETE:
        return f"its last op is a {ops[-1].kind.value}, and the row is not there"
    if ops and pending is not None and ops[-1].kind is OpKind.DELETE:
        return "its last op is a delete, and the row is there"
    if bool(ops) != shadow:
        return "its base is kept without an op" if shadow else "ops of it wait without their base"
    return None


Value: TypeAlias = int | None
#: What stands for a row's being there, among its columns.
_THERE: Final = "is there"


@dataclass
class _Track:
    """What may be read of one column of one row, since ``changed``: own writes and resets.

    ``mine`` is what an unsettled own op wrote. ``floor`` holds what was read, with its position.
    """

    changed: int = 0
    op: str | None = None
    mine: Value = None
    floor: list[tuple[int, int]] = field(default_factory=list)

    def write(self, position: int, op: str, value: Value) -> None:
        self.changed, self.op, self.mine = position, op, value
        self.floor = [] if value is None else [(position, value)]

    def settle(self, position: int, *, forget: bool) -> None:
        self.changed, self.op = position, None
        if forget:
            self.floor = []

    def floor_at(self, position: int) -> int | None:
        return max((value for at, value in self.floor if at <= position), default=None)


class Sessions(Checker):
    """P9: own writes are read until they are settled, and what was read does not go backwards.

    Everybody writes numbers that only grow, so any step back shows at once. It is allowed after a
    local write of a smaller number (drawn before a larger one arrived), and where an own write
    lost by the user's decision or by policy. Looks at what is read, and at the ops of each commit.
    """

    name = "C11 sessions"

    def __init__(self) -> None:
        self._tracks: dict[str, dict[str, _Track]] = {}
        self._known: set[str] = set()
        self._settled: set[str] = set()
        self._writing = False

    def see(self, event: Event, position: int) -> None:
        """Follow own ops, judge reads."""
        match event:
            case Writing():
                self._writing = True
            case Committed(contents) | Opened(contents) | Finished(contents):
                self._writing = False
                self._follow(contents, position)
            case Sampled(began, rows, whole) if not self._writing:
                missing = set(self._tracks) - set(rows) if whole else ()
                for row in [*rows, *sorted(missing)]:
                    self._judge(row, rows.get(row), began, position)
            case _:
                pass

    def _follow(self, contents: Contents, position: int) -> None:
        ops = list(contents.ops())
        for op in ops:
            if op.id not in self._known:
                self._known.add(op.id)
                self._write(op, position)
        for op_id, place, row in contents.settled():
            if op_id not in self._settled:
                self._settled.add(op_id)
                if place is Place.MERGED:
                    self._hand_over(op_id, row, ops)
                self._settle(op_id, place, row, position)

    def _write(self, op: Op, position: int) -> None:
        tracks = self._tracks.setdefault(row_key(op.table, op.row_id), {})
        for column, change in op.changes.items():
            if isinstance(change, int):
                tracks.setdefault(column, _Track()).write(position, op.id, change)
        there = int(op.kind is not OpKind.DELETE)
        tracks.setdefault(_THERE, _Track()).write(position, op.id, there)

    def _hand_over(self, op_id: str, row: str, ops: Sequence[Op]) -> None:
        """Let the op that carries another answer for what that one wrote."""
        tracks = self._tracks.get(row, {})
        for op in ops:
            if row_key(op.table, op.row_id) != row:
                continue
            for column in {*op.changes, _THERE} & tracks.keys():
                if tracks[column].op == op_id:
                    tracks[column].op = op.id

    def _settle(self, op_id: str, place: Place, row: str, position: int) -> None:
        lost = place in (Place.LOST, Place.DISCARDED)
        for track in self._tracks.get(row, {}).values():
            if lost or track.op == op_id:
                track.settle(position, forget=lost)

    def _judge(
        self, row: str, cells: Mapping[str, Value] | None, began: int, position: int
    ) -> None:
        tracks = self._tracks.setdefault(row, {})
        there = tracks.get(_THERE)
        if there and there.op and there.changed <= began and there.mine != int(cells is not None):
            seen = "gone" if cells is None else "still there"
            raise self._say(f"{row} is {seen}, against the waiting op {there.op[:8]}")
        for column, value in (cells or {}).items():
            track = tracks.setdefault(column, _Track())
            if track.changed <= began:
                self._judge_value(f"{row}.{column}", track, value, began)
                if value is not None:
                    track.floor.append((position, value))

    def _judge_value(self, name: str, track: _Track, value: Value, began: int) -> None:
        if track.op and value != track.mine:
            raise self._say(f"{name} is {value}, the waiting op {track.op[:8]} wrote {track.mine}")
        floor = track.floor_at(began)
        if floor is not None and (value is None or value < floor):
            raise self._say(f"{name} went back to {value}, it was {floor}")


class Convergence(Checker):
    """P6: when faults and writes have stopped, a few syncs make the replica what the server is.

    Looks at the end only: nothing waits any more, and both sides hold the same rows.
    """

    name = "C7 convergence"

    def see(self, event: Event, position: int) -> None:
        """Compare both sides."""
        del position
        if not isinstance(event, Finished):
            return
        if not event.complete:
            raise self._say(f"{event.cycles} syncs without faults did not complete")
        for row in sorted(set(event.here) | set(event.there)):
            here, there = event.here.get(row), event.there.get(row)
            if here != there:
                raise self._say(f"{row} is {here} here and {there} on the server")


#: Every checker there is.
CHECKERS: Final[tuple[type[Checker], ...]] = (
    Conservation,
    LocalAtomicity,
    Sessions,
    Convergence,
)
