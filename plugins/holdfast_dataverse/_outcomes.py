"""What became of an op, from the answer that the server gave to it. Pure.

Invariant: *applied* is said only of what the server has, *not applied* and *refused* only of what
it certainly did not take up; whatever else can have happened is *unknown*.

Some answers need a second look: a row that moved on may have been moved by our own earlier attempt
whose reply was lost. ``judge`` says so with a ``Look``, and ``settle`` decides once the row was
read.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from holdfast.model import (
    Applied,
    Conflicted,
    NotApplied,
    Op,
    OpKind,
    Outcome,
    Record,
    Refused,
    Unknown,
)

MISSING_ROW: Final = frozenset({"", "0x80040217", "0x80060891"})
STALE: Final = "0x80060882"
DUPLICATE_ROW: Final = frozenset({"0x80040237", "0x80060892"})
_SQL_ERROR: Final = "0x80044150"
_DEADLOCK: Final = "Sql Number: 1205"
_UNIQUE: Final = "Sql Number: 2627"


class Doubt(Enum):
    """Why an answer does not settle an op."""

    DONE = "done"  # it was applied, but the row did not come along
    MOVED = "moved"  # the row is at another version
    TAKEN = "taken"  # a row with this id, or with another unique value, is there
    MISSING = "missing"  # this row, or one that it points to, is not there


@dataclass(frozen=True, slots=True)
class Look:
    """Read the row, then ``settle``; ``code`` and ``message`` are what the server said."""

    doubt: Doubt
    code: str = ""
    message: str = ""


Verdict: TypeAlias = Outcome | Look


@dataclass(frozen=True, slots=True)
class Said:
    """The answer to one op: status, whether it asked to wait, and its error."""

    status: int
    code: str = ""
    message: str = ""
    retry_after: bool = False


def judge(op: Op, said: Said, record: Record | None) -> Verdict:
    """Tell what an answer means for an op; ``record`` is the row that came with it."""
    match said.status:
        case status if 200 <= status < 300:
            return _applied(op, record)
        case 404:
            return _missing(op, said)
        case 409 | 412:
            return _precondition(op, said)
        case 401 | 429:
            return NotApplied(op.id, f"HTTP {said.status}: {said.message}")
        case 503 if said.retry_after:
            return NotApplied(op.id, f"HTTP 503: {said.message}")
        case 408 | 425:
            return Unknown(op.id, f"HTTP {said.status}")
        case status if 400 <= status < 500:
            return Refused(op.id, said.code or f"HTTP {status}", said.message)
        case 500:
            return _crashed(op, said)
        case status:
            return Unknown(op.id, f"HTTP {status}: {said.message}")


def settle(op: Op, look: Look, found: Record | None, *, holds: bool) -> Outcome:
    """Tell what became of an op whose row was read.

    :param found: the row now; None when it is not there
    :param holds: whether it has every value that the op wanted
    """
    own = holds and op.attempts > 1  # an earlier attempt may have got through unheard
    match look.doubt:
        case Doubt.DONE:
            return Applied(op.id, found)  # it may be gone again, or out of the caller's sight
        case Doubt.MOVED if op.kind is OpKind.DELETE:
            return Applied(op.id, None) if found is None else Conflicted(op.id, found)
        case Doubt.MOVED:
            return Applied(op.id, found) if found and own else Conflicted(op.id, found)
        case Doubt.TAKEN if found is not None:
            return Applied(op.id, found) if own else Conflicted(op.id, found)
        case Doubt.MISSING if found is None:
            return Conflicted(op.id, None)
        case Doubt.TAKEN | Doubt.MISSING:
            return Refused(op.id, look.code, look.message)


def unread(op: Op, look: Look, reason: str) -> Outcome:
    """Tell what became of an op whose row could not be read when that was needed."""
    turned_down = look.doubt is not Doubt.DONE
    if turned_down and op.attempts <= 1:
        return NotApplied(op.id, reason)
    return Unknown(op.id, reason)


def judge_unit(ops: Sequence[Op], said: Said) -> list[Outcome] | None:
    """Tell what an error means for ops that were to be applied together; none of them was.

    None means: the error is that of one op, and only the rows tell of which; then ``settle_unit``.
    """
    verdicts = [judge(op, said, None) for op in ops]
    telling = said.status in (404, 409, 412) or any(isinstance(v, Look) for v in verdicts)
    if telling:
        return None
    return [verdict for verdict in verdicts if not isinstance(verdict, Look)]


def settle_unit(
    ops: Sequence[Op], said: Said, found: Mapping[str, Record], holding: Container[str]
) -> list[Outcome]:
    """Tell what became of ops that failed together, once their rows were read.

    :param found: the rows that are there, by id
    :param holding: the ids of the ops whose row has every value that they wanted
    """
    if all(_stands(op, found, holding) for op in ops):
        return [Applied(op.id, found.get(op.row_id)) for op in ops]
    blamed = [_blame(op, found.get(op.row_id)) for op in ops]
    if not any(blamed):
        return [Refused(op.id, said.code or f"HTTP {said.status}", said.message) for op in ops]
    innocent = "another change of its unit was turned down"
    return [outcome or NotApplied(op.id, innocent) for op, outcome in zip(ops, blamed, strict=True)]


def _stands(op: Op, found: Mapping[str, Record], holding: Container[str]) -> bool:
    """Tell whether an earlier attempt, whose reply was lost, did this."""
    if op.attempts <= 1:
        return False
    return op.row_id not in found if op.kind is OpKind.DELETE else op.id in holding


def _blame(op: Op, found: Record | None) -> Outcome | None:
    """Return the outcome of an op that made its unit fail, None for one that did not."""
    match op.kind:
        case OpKind.DELETE if found is None:
            return Applied(op.id, None)
        case OpKind.UPDATE if found is None:
            return Conflicted(op.id, None)
        case OpKind.CREATE:
            return None if found is None else Conflicted(op.id, found)
        case _:
            assert found is not None
            return None if found[-1] == op.version else Conflicted(op.id, found)


def _applied(op: Op, record: Record | None) -> Verdict:
    if op.kind is OpKind.DELETE:
        return Applied(op.id, None)
    return Look(Doubt.DONE) if record is None else Applied(op.id, record)


def _missing(op: Op, said: Said) -> Verdict:
    """Judge a 404: a missing row has its own codes, others mean a missing table or property."""
    refused = Refused(op.id, said.code or "HTTP 404", said.message)
    if said.code not in MISSING_ROW:
        return refused
    match op.kind:
        case OpKind.DELETE:
            return Applied(op.id, None)
        case OpKind.UPDATE:
            return Look(Doubt.MISSING, said.code, said.message)
        case OpKind.CREATE:
            return refused  # it points to a row that is not there


def _precondition(op: Op, said: Said) -> Verdict:
    """Judge a 412, whose meanings the code tells apart, or else what was asked."""
    duplicate = said.code in DUPLICATE_ROW
    if op.kind is OpKind.CREATE and (duplicate or not said.code or said.status == 409):
        return Look(Doubt.TAKEN, said.code or f"HTTP {said.status}", said.message)
    if op.kind is not OpKind.CREATE and said.code in ("", STALE):
        return Look(Doubt.MOVED, said.code, said.message)
    return Refused(op.id, said.code or f"HTTP {said.status}", said.message)


def _crashed(op: Op, said: Said) -> Verdict:
    """Judge a 500: the database says whether it was a deadlock, which passes."""
    if said.code == _SQL_ERROR and _DEADLOCK in said.message:
        return NotApplied(op.id, said.message)
    if said.code == _SQL_ERROR and _UNIQUE in said.message:
        if op.kind is OpKind.CREATE:
            return Look(Doubt.TAKEN, said.code, said.message)
        return Refused(op.id, said.code, said.message)
    return Unknown(op.id, f"HTTP 500: {said.message}", crashed=True)
