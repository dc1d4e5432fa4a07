"""The query functions of Dataverse and the string functions of OData.

Invariant: what is not listed here is no function of Dataverse, and is refused by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault
from holdfast_emulator.queries.conditions import Operator
from holdfast_emulator.queries.literals import operand_counts

NAMESPACE: Final = "Microsoft.Dynamics.CRM."

#: The string functions, each with what precedes and follows its text in a pattern.
STRING_FUNCTIONS: Final[Mapping[str, Operator]] = {
    "contains": Operator.LIKE,
    "startswith": Operator.BEGINS_WITH,
    "endswith": Operator.ENDS_WITH,
}
_NAMES: Final[Mapping[str, Operator]] = {
    "Above": Operator.ABOVE,
    "AboveOrEqual": Operator.EQ_OR_ABOVE,
    "Between": Operator.BETWEEN,
    "ContainValues": Operator.CONTAIN_VALUES,
    "DoesNotContainValues": Operator.NOT_CONTAIN_VALUES,
    "EqualBusinessId": Operator.EQ_BUSINESS_ID,
    "EqualUserId": Operator.EQ_USER_ID,
    "EqualUserLanguage": Operator.EQ_USER_LANGUAGE,
    "EqualUserOrUserHierarchy": Operator.EQ_USER_OR_USER_HIERARCHY,
    "EqualUserOrUserHierarchyAndTeams": Operator.EQ_USER_OR_USER_HIERARCHY_AND_TEAMS,
    "EqualUserOrUserTeams": Operator.EQ_USER_OR_USER_TEAMS,
    "EqualUserTeams": Operator.EQ_USER_TEAMS,
    "In": Operator.IN,
    "InFiscalPeriod": Operator.IN_FISCAL_PERIOD,
    "InFiscalPeriodAndYear": Operator.IN_FISCAL_PERIOD_AND_YEAR,
    "InFiscalYear": Operator.IN_FISCAL_YEAR,
    "InOrAfterFiscalPeriodAndYear": Operator.IN_OR_AFTER_FISCAL_PERIOD_AND_YEAR,
    "InOrBeforeFiscalPeriodAndYear": Operator.IN_OR_BEFORE_FISCAL_PERIOD_AND_YEAR,
    "Last7Days": Operator.LAST_SEVEN_DAYS,
    "LastFiscalPeriod": Operator.LAST_FISCAL_PERIOD,
    "LastFiscalYear": Operator.LAST_FISCAL_YEAR,
    "LastMonth": Operator.LAST_MONTH,
    "LastWeek": Operator.LAST_WEEK,
    "LastXDays": Operator.LAST_X_DAYS,
    "LastXFiscalPeriods": Operator.LAST_X_FISCAL_PERIODS,
    "LastXFiscalYears": Operator.LAST_X_FISCAL_YEARS,
    "LastXHours": Operator.LAST_X_HOURS,
    "LastXMonths": Operator.LAST_X_MONTHS,
    "LastXWeeks": Operator.LAST_X_WEEKS,
    "LastXYears": Operator.LAST_X_YEARS,
    "LastYear": Operator.LAST_YEAR,
    "Next7Days": Operator.NEXT_SEVEN_DAYS,
    "NextFiscalPeriod": Operator.NEXT_FISCAL_PERIOD,
    "NextFiscalYear": Operator.NEXT_FISCAL_YEAR,
    "NextMonth": Operator.NEXT_MONTH,
    "NextWeek": Operator.NEXT_WEEK,
    "NextXDays": Operator.NEXT_X_DAYS,
    "NextXFiscalPeriods": Operator.NEXT_X_FISCAL_PERIODS,
    "NextXFiscalYears": Operator.NEXT_X_FISCAL_YEARS,
    "NextXHours": Operator.NEXT_X_HOURS,
    "NextXMonths": Operator.NEXT_X_MONTHS,
    "NextXWeeks": Operator.NEXT_X_WEEKS,
    "NextXYears": Operator.NEXT_X_YEARS,
    "NextYear": Operator.NEXT_YEAR,
    "NotBetween": Operator.NOT_BETWEEN,
    "NotEqualBusinessId": Operator.NE_BUSINESS_ID,
    "NotEqualUserId": Operator.NE_USER_ID,
    "NotIn": Operator.NOT_IN,
    "NotUnder": Operator.NOT_UNDER,
    "OlderThanXDays": Operator.OLDER_THAN_X_DAYS,
    "OlderThanXHours": Operator.OLDER_THAN_X_HOURS,
    "OlderThanXMinutes": Operator.OLDER_THAN_X_MINUTES,
    "OlderThanXMonths": Operator.OLDER_THAN_X_MONTHS,
    "OlderThanXWeeks": Operator.OLDER_THAN_X_WEEKS,
    "OlderThanXYears": Operator.OLDER_THAN_X_YEARS,
    "On": Operator.ON,
    "OnOrAfter": Operator.ON_OR_AFTER,
    "OnOrBefore": Operator.ON_OR_BEFORE,
    "ThisFiscalPeriod": Operator.THIS_FISCAL_PERIOD,
    "ThisFiscalYear": Operator.THIS_FISCAL_YEAR,
    "ThisMonth": Operator.THIS_MONTH,
    "ThisWeek": Operator.THIS_WEEK,
    "ThisYear": Operator.THIS_YEAR,
    "Today": Operator.TODAY,
    "Tomorrow": Operator.TOMORROW,
    "Under": Operator.UNDER,
    "UnderOrEqual": Operator.EQ_OR_UNDER,
    "Yesterday": Operator.YESTERDAY,
}
_LISTED: Final = frozenset(
    {
        Operator.IN,
        Operator.NOT_IN,
        Operator.BETWEEN,
        Operator.NOT_BETWEEN,
        Operator.CONTAIN_VALUES,
        Operator.NOT_CONTAIN_VALUES,
    }
)


def query_function(name: str) -> Operator:
    """Return the operator behind the whole name of a query function.

    :raises DataverseFault: there is none of this name
    """
    found = _NAMES.get(name.removeprefix(NAMESPACE)) if name.startswith(NAMESPACE) else None
    if found is None:
        raise unknown_function(name)
    return found


def unknown_function(name: str) -> DataverseFault:
    """Refuse a function that Dataverse does not have."""
    hint = f" Its whole name is '{NAMESPACE}{name}'." if name in _NAMES else ""
    return DataverseFault(
        400,
        BAD_QUERY,
        f"An unknown function with name '{name[:200]}' was found. This may also be a function "
        f"import or a key lookup on a navigation property, which is not allowed.{hint}",
    )


def parameters(operator: Operator) -> tuple[str, ...]:
    """Return the names of a query function's parameters; the first names the column."""
    if operator in _LISTED:
        return "PropertyName", "PropertyValues"
    least, _ = operand_counts(operator)
    numbered = ("PropertyValue1", "PropertyValue2")
    return "PropertyName", *(("PropertyValue",) if least == 1 else numbered[:least])
