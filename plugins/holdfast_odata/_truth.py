"""Negations brought to the leaves, without changing on which rows anything is true.

Invariant: what comes out is true exactly where what went in has the wanted truth. It holds ``And``
and ``Or``, never empty ones inside others, and leaves; a ``Not`` stands only over what a filter
writes with the word ``not``: a period, a caller or tree without a negative function, related rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from holdfast.filters import (
    EVERYTHING,
    And,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    HasOption,
    In,
    InHierarchy,
    IsCaller,
    IsNull,
    Like,
    Not,
    Or,
    Related,
    negate,
)
from holdfast_odata._names import REVERSIBLE

NOTHING: Final = Or()


def where(expression: Expression, *, truth: bool = True, known: bool = True) -> Expression:
    """Return what is true exactly where the expression has this truth.

    :param known: False wants also the rows on which the expression is unknown
    """
    match expression:
        case Not(part):
            return where(part, truth=not truth, known=known)
        case And(parts) | Or(parts):
            inner = [where(part, truth=truth, known=known) for part in parts]
            return conjoin(inner) if isinstance(expression, And) is truth else disjoin(inner)
        case Related():
            inside = where(expression.where)
            if inside == NOTHING:
                return NOTHING if truth else EVERYTHING
            related = replace(expression, where=inside)
            return related if truth else Not(related)
        case _:
            return _leaf(expression, truth=truth, known=known)


def conjoin(parts: Iterable[Expression]) -> Expression:
    """Return all parts, but those that are always true."""
    kept = [part for part in parts if part != EVERYTHING]
    if NOTHING in kept:
        return NOTHING
    return kept[0] if len(kept) == 1 else And(tuple(kept))


def disjoin(parts: Iterable[Expression]) -> Expression:
    """Return any of the parts, but those that are never true."""
    kept = [part for part in parts if part != NOTHING]
    if EVERYTHING in kept:
        return EVERYTHING
    return kept[0] if len(kept) == 1 else Or(tuple(kept))


def _leaf(leaf: Expression, *, truth: bool, known: bool) -> Expression:
    """Return the leaf or its opposite, and make sure of what null does to it."""
    columns = _columns(leaf)
    if _never_unknown(leaf):
        return _same(leaf) if truth else _opposite(leaf, columns)
    if truth:
        return _same(leaf) if known else disjoin((_same(leaf), *map(IsNull, columns)))
    opposite = _opposite(leaf, columns)
    if known:
        present = (IsNull(column, negated=True) for column in columns)
        return conjoin((opposite, *present)) if _takes_null(leaf) else opposite
    if not _takes_null(leaf):
        return disjoin((opposite, *map(IsNull, columns)))
    both = len(columns) > 1  # ``ne`` leaves out the rows where both are null
    return disjoin((opposite, conjoin(map(IsNull, columns)))) if both else opposite


def _never_unknown(leaf: Expression) -> bool:
    match leaf:
        case Compare(operator):
            return operator is Comparison.NE
        case Like() | In() | HasOption() | IsCaller() | InHierarchy():
            return leaf.negated
        case _:
            return isinstance(leaf, IsNull)


def _takes_null(leaf: Expression) -> bool:
    """Tell whether the opposite of a leaf that may be unknown is true for null."""
    match leaf:
        case Compare(operator):
            return operator is Comparison.EQ
        case IsCaller(who=meaning) | InHierarchy(branch=meaning):
            return meaning in REVERSIBLE
        case _:
            return isinstance(leaf, Like | In | HasOption)


def _same(leaf: Expression) -> Expression:
    """Return the leaf as a filter says it: one without a negative function with ``not``."""
    match leaf:
        case In(cells=cells) if not any(cell is not None for cell in cells):
            return EVERYTHING if leaf.negated else NOTHING
        case HasOption(options=()):
            return EVERYTHING if leaf.negated else NOTHING
        case IsCaller(who=meaning) | InHierarchy(branch=meaning) if leaf.negated:
            if meaning not in REVERSIBLE:
                return Or((Not(replace(leaf, negated=False)), IsNull(leaf.column)))
        case _:
            pass
    return leaf


def _opposite(leaf: Expression, columns: tuple[ColumnRef, ...]) -> Expression:
    match leaf:
        case Compare(Comparison.NE) if len(columns) > 1:
            return Or((negate(leaf), And(tuple(map(IsNull, columns)))))
        case IsCaller(who=meaning) | InHierarchy(branch=meaning):
            if not leaf.negated and meaning not in REVERSIBLE:
                return Not(leaf)
        case _:
            pass
    return _same(negate(leaf))


def _columns(leaf: Expression) -> tuple[ColumnRef, ...]:
    match leaf:
        case Compare(_, left, right):
            return tuple(side for side in (left, right) if isinstance(side, ColumnRef))
        case Not() | And() | Or() | Related():
            raise AssertionError("only leaves come here")
        case _:
            column = getattr(leaf, "column", None)
            return () if column is None else (column,)
