"""``not``, brought down to the operators.

Invariant: what has an opposite is turned into it, and a negative operator matches null; only a test
without an opposite, and a row that is somewhere or not, stay negated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, assert_never

from holdfast_emulator.queries.conditions import (
    All,
    Any,
    Condition,
    Negated,
    Operator,
    Related,
    Test,
)
from holdfast_emulator.queries.operators import OPPOSITES

_OPPOSITES: Final[Mapping[Operator, Operator]] = {
    **OPPOSITES,
    **{positive: negative for negative, positive in OPPOSITES.items()},
    Operator.GT: Operator.LE,
    Operator.LE: Operator.GT,
    Operator.GE: Operator.LT,
    Operator.LT: Operator.GE,
}


def negate(condition: Condition) -> Condition:
    """Return the condition that holds where this one does not."""
    match condition:
        case All(parts):
            return Any(tuple(negate(part) for part in parts))
        case Any(parts):
            return All(tuple(negate(part) for part in parts))
        case Negated(part):
            return part
        case Related():
            return Negated(condition)
        case Test(operator=operator):
            opposite = _OPPOSITES.get(operator)
            return Negated(condition) if opposite is None else replace(condition, operator=opposite)
        case _:
            assert_never(condition)
