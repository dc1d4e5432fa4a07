"""The query functions of Dataverse, by name, and our own words beside them.

Invariant: what is not listed here is no function; each name means one node, and each node that
Dataverse can say has one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from holdfast.filters import Branch, Period, RowMark, Who

NAMESPACE: Final = "Microsoft.Dynamics.CRM."
OWN_NAMESPACE: Final = "holdfast."


class Listed(Enum):
    """What a list of values may be asked for."""

    AMONG = "In"
    BETWEEN = "Between"
    SELECTED = "ContainValues"


Meaning: TypeAlias = Listed | Period | Who | Branch


@dataclass(frozen=True, slots=True)
class Function:
    """What a query function asks of a column."""

    meaning: Meaning
    negated: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters beside ``PropertyName``."""
        match self.meaning:
            case Listed():
                return ("PropertyValues",)
            case Branch():
                return ("PropertyValue",)
            case Period() as period if period.numbers == 2:
                return ("PropertyValue1", "PropertyValue2")
            case Period() as period if period.numbers or period.takes_day:
                return ("PropertyValue",)
            case _:
                return ()


def _period_name(period: Period) -> str:
    name = "".join(word.capitalize() for word in period.value.split("-"))
    return name.replace("Seven", "7").replace("Olderthan", "OlderThan")


FUNCTIONS: Final[Mapping[str, Function]] = {
    **{_period_name(period): Function(period) for period in Period},
    "In": Function(Listed.AMONG),
    "NotIn": Function(Listed.AMONG, negated=True),
    "Between": Function(Listed.BETWEEN),
    "NotBetween": Function(Listed.BETWEEN, negated=True),
    "ContainValues": Function(Listed.SELECTED),
    "DoesNotContainValues": Function(Listed.SELECTED, negated=True),
    "EqualUserId": Function(Who.USER),
    "NotEqualUserId": Function(Who.USER, negated=True),
    "EqualBusinessId": Function(Who.BUSINESS_UNIT),
    "NotEqualBusinessId": Function(Who.BUSINESS_UNIT, negated=True),
    "EqualUserTeams": Function(Who.TEAMS),
    "EqualUserOrUserTeams": Function(Who.USER_OR_TEAMS),
    "EqualUserOrUserHierarchy": Function(Who.USER_OR_REPORTS),
    "EqualUserOrUserHierarchyAndTeams": Function(Who.USER_OR_REPORTS_OR_TEAMS),
    "EqualUserLanguage": Function(Who.LANGUAGE),
    "Above": Function(Branch.ABOVE),
    "AboveOrEqual": Function(Branch.ABOVE_OR_EQUAL),
    "Under": Function(Branch.UNDER),
    "UnderOrEqual": Function(Branch.UNDER_OR_EQUAL),
    "NotUnder": Function(Branch.UNDER_OR_EQUAL, negated=True),
}
NAMES: Final[Mapping[Function, str]] = {function: name for name, function in FUNCTIONS.items()}
#: What has a negative function; a ``not`` before any other leaves null out, as before a period.
REVERSIBLE: Final = frozenset(
    function.meaning for function in FUNCTIONS.values() if function.negated
)
STATES: Final[Mapping[str, RowMark]] = {mark.value: mark for mark in RowMark}
