"""Which rows a condition matches.

Invariant: nothing here uses the evaluation of :mod:`holdfast.filters`, so that a rule that is wrong
there does not agree with itself. The rules are those of Dataverse: text without regard to case, a
comparison with null unknown, and every negative operator true for null.

Three-valued logic is two questions with two answers each: whether a condition is true, and whether
it is false. What is unknown is neither; a negation asks the other question of its part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar, assert_never

from holdfast.values import Cell
from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault
from holdfast_emulator.behaviour.row import Cells, Row
from holdfast_emulator.queries.conditions import (
    All,
    Any,
    Condition,
    Negated,
    Operator,
    Related,
    Test,
)
from holdfast_emulator.queries.operators import OPPOSITES, cell_test, compared
from holdfast_emulator.queries.scope import Asking, Bound, Scope, TableScope

__all__ = ["Asking", "Bound", "Scope", "TableScope", "matcher"]

AtHand = TypeVar("AtHand")
_Answer: TypeAlias = Callable[[AtHand], bool]


def matcher(condition: Condition, scope: Scope[AtHand], asking: Asking) -> Callable[[AtHand], bool]:
    """Return the function that tells whether what is at hand meets a condition.

    :raises DataverseFault: the condition asks for what is not there, or cannot be asked
    """
    match condition:
        case All(parts):
            return _every([matcher(part, scope, asking) for part in parts])
        case Any(parts):
            return _some([matcher(part, scope, asking) for part in parts])
        case Negated(part):
            return _refuter(part, scope, asking)
        case Test():
            return _test(condition, scope, asking)
        case Related():
            return _related(condition, scope, asking)
        case _:
            assert_never(condition)


def _refuter(
    condition: Condition, scope: Scope[AtHand], asking: Asking
) -> Callable[[AtHand], bool]:
    """Return the function that tells whether a condition is false, which unknown is not."""
    match condition:
        case All(parts):
            return _some([_refuter(part, scope, asking) for part in parts])
        case Any(parts):
            return _every([_refuter(part, scope, asking) for part in parts])
        case Negated(part):
            return matcher(part, scope, asking)
        case Test():
            return _test_false(condition, scope, asking)
        case Related():
            found = _related(condition, scope, asking)
            return lambda at_hand: not found(at_hand)
        case _:
            assert_never(condition)


def _every(answers: Sequence[_Answer[AtHand]]) -> _Answer[AtHand]:
    if not answers:  # asked of every row of a page without a filter
        return lambda _: True
    if len(answers) == 1:
        return answers[0]
    if len(answers) == 2:
        first, second = answers
        return lambda at_hand: first(at_hand) and second(at_hand)
    return lambda at_hand: all(answer(at_hand) for answer in answers)


def _some(answers: Sequence[_Answer[AtHand]]) -> _Answer[AtHand]:
    if len(answers) == 1:
        return answers[0]
    return lambda at_hand: any(answer(at_hand) for answer in answers)


def _test(test: Test, scope: Scope[AtHand], asking: Asking) -> _Answer[AtHand]:
    if test.other is not None:
        return _between_columns(test, scope)
    read, passes, negative = _parts(test, scope, asking)
    if negative:
        return lambda at_hand: (cell := read(at_hand)) is None or not passes(cell)
    return lambda at_hand: (cell := read(at_hand)) is not None and passes(cell)


def _test_false(test: Test, scope: Scope[AtHand], asking: Asking) -> _Answer[AtHand]:
    """Return when a test is false: like its opposite, but never for null."""
    negative = test.operator in OPPOSITES
    if test.other is not None and not negative:
        return _between_columns(test, scope, falsely=True)
    if negative or test.operator is Operator.NOT_NULL:
        truth = _test(test, scope, asking)
        return lambda at_hand: not truth(at_hand)
    read, passes, _ = _parts(test, scope, asking)
    return lambda at_hand: (cell := read(at_hand)) is not None and not passes(cell)


def _parts(
    test: Test, scope: Scope[AtHand], asking: Asking
) -> tuple[Callable[[AtHand], Cell], Callable[[Cell], bool], bool]:
    bound = scope.bind(test.field)
    negative = test.operator in OPPOSITES
    positive = OPPOSITES.get(test.operator, test.operator)
    passes = cell_test(positive, bound.column, bound.table, test.values, asking)
    return bound.read, passes, negative


def _between_columns(test: Test, scope: Scope[AtHand], *, falsely: bool = False) -> _Answer[AtHand]:
    """Return the comparison of two columns; ``ne`` holds where exactly one of them is null."""
    assert test.other is not None
    left, right = scope.bind(test.field), scope.bind(test.other)
    read, other = left.read, right.read
    negative = test.operator is Operator.NE
    positive = OPPOSITES.get(test.operator, test.operator)
    order = compared(positive, left.column.type)
    reverse = negative or falsely

    def answer(at_hand: AtHand) -> bool:
        one, two = read(at_hand), other(at_hand)
        if one is None or two is None:
            return negative and (one is not None or two is not None)
        try:
            return order(one, two) is not reverse
        except TypeError:
            raise DataverseFault(
                400, BAD_QUERY, "A binary operator with incompatible types was detected."
            ) from None

    return answer


def _related(condition: Related, scope: Scope[AtHand], asking: Asking) -> Callable[[AtHand], bool]:
    """Return whether a row at the end of a hop, which the asker may read, meets the condition."""
    hop = condition.hop
    row_of, follow, readable = scope.row(), asking.navigator.follow, asking.readable
    target = asking.navigator.metadata.tables[hop.target]
    asking.admit(target)
    if hop.hidden(asking.hidden):
        return lambda _: False
    inner: Callable[[Cells], bool] = matcher(condition.where, TableScope(target, asking), asking)

    def meets(found: Row) -> bool:
        return readable(found) and inner(found.cells)

    def related(at_hand: AtHand) -> bool:
        row = row_of(at_hand)
        return row is not None and any(meets(found) for found in follow(hop, row))

    return related
