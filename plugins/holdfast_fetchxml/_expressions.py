"""Small steps on expressions: joining them, and the sources of their columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from holdfast.filters import (
    EVERYTHING,
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    During,
    Expression,
    InState,
    IsNull,
    Not,
    Operand,
    Or,
    Related,
)

NOTHING: Final = Or()


def all_of(parts: Iterable[Expression]) -> Expression:
    """Return what is true when every part is, without needless nesting."""
    kept = tuple(inner for part in parts for inner in flat(part))
    return kept[0] if len(kept) == 1 else And(kept)


def any_of(parts: Iterable[Expression]) -> Expression:
    """Return what is true when one part is, without needless nesting."""
    kept = tuple(
        inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))
    )
    if EVERYTHING in kept:
        return EVERYTHING
    return kept[0] if len(kept) == 1 else Or(kept)


def flat(expression: Expression) -> Iterator[Expression]:
    """Yield the parts that must all hold; nothing for what is always true."""
    if isinstance(expression, And):
        for part in expression.parts:
            yield from flat(part)
    else:
        yield expression


def refs(leaf: Expression) -> Iterator[ColumnRef]:
    """Yield the columns of this row that a leaf reads."""
    match leaf:
        case And() | Or() | Not() | InState():
            return
        case Compare(_, left, right):
            yield from (side for side in (left, right) if isinstance(side, ColumnRef))
        case Call(_, operands):
            yield from (side for side in operands if isinstance(side, ColumnRef))
        case Related(own=column):
            yield column
        case _:
            yield leaf.column


def sources(expression: Expression) -> frozenset[str]:
    """Return the sources of the columns that an expression reads."""
    match expression:
        case And(parts) | Or(parts):
            return frozenset().union(*map(sources, parts))
        case Not(part):
            return sources(part)
        case _:
            return frozenset(ref.source for ref in refs(expression))


def bare(expression: Expression) -> Expression:
    """Return the expression as one about a row of its only source."""
    match expression:
        case And(parts):
            return And(tuple(map(bare, parts)))
        case Or(parts):
            return Or(tuple(map(bare, parts)))
        case Not(part):
            return Not(bare(part))
        case Compare(_, left, right):
            return replace(expression, left=_bare(left), right=_bare(right))
        case Call(_, operands):
            return replace(expression, operands=tuple(map(_bare, operands)))
        case Related(own=column):
            return replace(expression, own=replace(column, source=""))
        case InState():
            return expression
        case _:
            return replace(expression, column=replace(expression.column, source=""))


def _bare(operand: Operand) -> Operand:
    return replace(operand, source="") if isinstance(operand, ColumnRef) else operand


def on_nulls(expression: Expression) -> bool | None:
    """Return what an expression is when every column of its row is null."""
    match expression:
        case And(parts):
            return _joined(map(on_nulls, parts), decisive=False)
        case Or(parts):
            return _joined(map(on_nulls, parts), decisive=True)
        case Not(part):
            truth = on_nulls(part)
            return None if truth is None else not truth
        case Compare(Comparison.NE, ColumnRef(), ColumnRef()):
            return False
        case Compare(operator):
            return True if operator is Comparison.NE else None
        case IsNull(_, negated):
            return not negated
        case Related() | InState():
            return False
        case Call() | During():
            return None
        case _:
            return True if expression.negated else None


def _joined(truths: Iterable[bool | None], *, decisive: bool) -> bool | None:
    known = list(truths)
    if decisive in known:
        return decisive
    return None if None in known else not decisive
