"""What each operator asks of one cell.

Invariant: a positive operator never holds for null; a negative one is the opposite of a positive
one, and holds for null. Only ``eq`` and ``ne`` of two columns look at two cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

from holdfast.folding import fold
from holdfast.schema import ColumnType, DateBehavior
from holdfast.values import Cell
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.queries.conditions import Operator
from holdfast_emulator.queries.dates import Moment, day_span, is_relative, span
from holdfast_emulator.queries.hierarchy import relatives, reports
from holdfast_emulator.queries.patterns import like
from holdfast_emulator.queries.scope import Asking

#: Tells whether a cell that is not null passes.
CellTest: TypeAlias = Callable[[Cell], bool]

TEXTS: Final = frozenset({ColumnType.STRING, ColumnType.MEMO, ColumnType.ENTITY_NAME})
_EXACT: Final = frozenset({ColumnType.DECIMAL, ColumnType.MONEY})
#: The negative operators, each with the one it is the opposite of.
OPPOSITES: Final[Mapping[Operator, Operator]] = {
    Operator.NE: Operator.EQ,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_BEGIN_WITH: Operator.BEGINS_WITH,
    Operator.NOT_END_WITH: Operator.ENDS_WITH,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_BETWEEN: Operator.BETWEEN,
    Operator.NULL: Operator.NOT_NULL,
    Operator.NOT_CONTAIN_VALUES: Operator.CONTAIN_VALUES,
    Operator.NE_USER_ID: Operator.EQ_USER_ID,
    Operator.NE_BUSINESS_ID: Operator.EQ_BUSINESS_ID,
    Operator.NOT_UNDER: Operator.EQ_OR_UNDER,  # the row itself is not among them either
}


def form(kind: ColumnType, cell: Cell) -> Cell:
    """Return the form in which two cells of a column are equal, or in order, as Python values."""
    if cell is None:
        return None
    if kind in TEXTS:
        return fold(str(cell))
    if kind is ColumnType.DATETIME:
        return str(cell).removesuffix("Z")
    if kind in _EXACT:
        return cell if isinstance(cell, Decimal) else Decimal(str(cell))
    if kind in (ColumnType.LOOKUP, ColumnType.UNIQUEIDENTIFIER):
        return str(cell).lower()
    return cell


def former(kind: ColumnType) -> Callable[[Cell], Cell] | None:
    """Return how stored cells of a column are brought into that form; None where they are in it."""
    if kind in TEXTS:
        return lambda cell: fold(str(cell))
    if kind is ColumnType.DATETIME:
        return lambda cell: str(cell).removesuffix("Z")
    if kind in _EXACT:
        return lambda cell: form(kind, cell)
    return None


def cell_test(
    operator: Operator,
    column: ColumnDefinition,
    table: TableDefinition,
    values: tuple[Cell, ...],
    asking: Asking,
) -> CellTest:
    """Return the test of a positive operator.

    :param values: operands that are fit for the operator and the column
    :raises DataverseFault: the operator cannot be used on this column after all
    """
    if operator in _COMPARISONS:
        return _comparison(operator, column.type, values[0])
    if operator in _OWN:
        return _OWN[operator](column.type, values)
    if operator in _ID_SETS:
        return _ID_SETS[operator](asking).__contains__
    if operator in _HIERARCHICAL:
        return relatives(operator, table, column, str(values[0]).lower(), asking).__contains__
    if operator is Operator.EQ_USER_LANGUAGE:
        return lambda cell: cell == asking.language
    return _dates(operator, column, values, asking)


def compared(operator: Operator, kind: ColumnType) -> Callable[[Cell, Cell], bool]:
    """Return the test of two cells of one type, neither of them null."""
    order = _PYTHON[operator]
    return lambda left, right: order(form(kind, left), form(kind, right))


_COMPARISONS: Final = frozenset({Operator.EQ, Operator.GT, Operator.GE, Operator.LT, Operator.LE})
_PYTHON: Final[Mapping[Operator, Callable[[Cell, Cell], bool]]] = {
    Operator.EQ: lambda left, right: left == right,
    Operator.GT: lambda left, right: left > right,  # type: ignore[operator]  # cells of one column
    Operator.GE: lambda left, right: left >= right,  # type: ignore[operator]
    Operator.LT: lambda left, right: left < right,  # type: ignore[operator]
    Operator.LE: lambda left, right: left <= right,  # type: ignore[operator]
}


def _comparison(operator: Operator, kind: ColumnType, value: Cell) -> CellTest:
    wanted, into, order = form(kind, value), former(kind), _PYTHON[operator]
    if into is None:
        return lambda cell: order(cell, wanted)
    return lambda cell: order(into(cell), wanted)


def _among(kind: ColumnType, values: tuple[Cell, ...]) -> CellTest:
    if kind is ColumnType.CHOICES:
        exactly = ",".join(map(str, sorted(set(_numbers(values)))))
        return lambda cell: cell == exactly
    wanted = {form(kind, value) for value in values}
    into = former(kind)
    if into is None:
        return wanted.__contains__
    return lambda cell: into(cell) in wanted


def _inside(kind: ColumnType, values: tuple[Cell, ...]) -> CellTest:
    low, high = form(kind, values[0]), form(kind, values[1])
    at_least, at_most = _PYTHON[Operator.GE], _PYTHON[Operator.LE]

    def inside(cell: Cell) -> bool:
        formed = form(kind, cell)
        return at_least(formed, low) and at_most(formed, high)

    return inside


def _selected(_: ColumnType, values: tuple[Cell, ...]) -> CellTest:
    wanted = {str(number) for number in _numbers(values)}
    return lambda cell: not wanted.isdisjoint(str(cell).split(","))


def _numbers(values: tuple[Cell, ...]) -> list[int]:
    """Return the options that the operands name, each one or several of them."""
    return [int(part) for value in values for part in str(value).split(",") if part.strip()]


_OWN: Final[Mapping[Operator, Callable[[ColumnType, tuple[Cell, ...]], CellTest]]] = {
    Operator.LIKE: lambda _, values: like(str(values[0])),
    Operator.BEGINS_WITH: lambda _, values: like(f"{values[0]}%"),
    Operator.ENDS_WITH: lambda _, values: like(f"%{values[0]}"),
    Operator.IN: _among,
    Operator.BETWEEN: _inside,
    Operator.CONTAIN_VALUES: _selected,
    Operator.NOT_NULL: lambda _, __: lambda ___: True,
}


def _team_ids(asking: Asking) -> frozenset[str]:
    return asking.teams(asking.user.id)


def _hierarchy_and_teams(asking: Asking) -> frozenset[str]:
    people = reports(asking)
    return people.union(*(asking.teams(person) for person in people))


_ID_SETS: Final[Mapping[Operator, Callable[[Asking], frozenset[str]]]] = {
    Operator.EQ_USER_ID: lambda asking: frozenset({asking.user.id}),
    Operator.EQ_BUSINESS_ID: lambda asking: frozenset({asking.user.business_unit}),
    Operator.EQ_USER_TEAMS: _team_ids,
    Operator.EQ_USER_OR_USER_TEAMS: lambda asking: _team_ids(asking) | {asking.user.id},
    Operator.EQ_USER_OR_USER_HIERARCHY: reports,
    Operator.EQ_USER_OR_USER_HIERARCHY_AND_TEAMS: _hierarchy_and_teams,
}
_HIERARCHICAL: Final = frozenset(
    {Operator.ABOVE, Operator.EQ_OR_ABOVE, Operator.UNDER, Operator.EQ_OR_UNDER},
)


def _dates(
    operator: Operator, column: ColumnDefinition, values: tuple[Cell, ...], asking: Asking
) -> CellTest:
    moment = Moment(asking.now, asking.zone, asking.fiscal)
    if operator is Operator.IN_FISCAL_PERIOD:
        return _in_fiscal_period(column.behavior, values, moment)
    if is_relative(operator):
        stretch = span(operator, moment, tuple(int(str(value)) for value in values))
    else:
        stretch = day_span(operator, moment, _day(str(values[0]), column.behavior, moment))
    low, high = stretch.bounds(column.behavior, asking.zone)
    return lambda cell: low <= cell < high  # type: ignore[operator]  # dates are text


def _day(cell: str, behavior: DateBehavior, moment: Moment) -> date:
    """Return the day of the asker that a date, or an instant, is in."""
    if behavior is DateBehavior.USER_LOCAL and cell.endswith("Z"):
        return _local_day(cell, moment)
    return date.fromisoformat(cell[:10])


def _in_fiscal_period(behavior: DateBehavior, values: tuple[Cell, ...], moment: Moment) -> CellTest:
    fiscal, period = moment.fiscal, int(str(values[0]))
    known: dict[date, bool] = {}

    def inside(cell: Cell) -> bool:
        day = _day(str(cell), behavior, moment)
        if day not in known:
            known[day] = fiscal.ordinal_of(day) % fiscal.period.count + 1 == period
        return known[day]

    return inside


def _local_day(cell: str, moment: Moment) -> date:
    instant = datetime.fromisoformat(cell[:19]).replace(tzinfo=UTC)
    try:
        return instant.astimezone(moment.zone).date()
    except OverflowError:
        return instant.date() + timedelta()
