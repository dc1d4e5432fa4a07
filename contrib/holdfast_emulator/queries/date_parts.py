"""Parts of dates that rows are grouped by.

Invariant: an instant is in the day that it is in where the asker is, a date without a time zone in
its own. Weeks begin on Sunday, and the first of a year is the one with the first of January.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Final

from holdfast.schema import DateBehavior
from holdfast.values import Cell
from holdfast_emulator.behaviour.metadata import ColumnDefinition
from holdfast_emulator.queries.fetchxml.document import DatePart
from holdfast_emulator.queries.fiscal import FiscalCalendar, FiscalPeriod

_PERIODS: Final[Mapping[FiscalPeriod, str]] = {
    FiscalPeriod.ANNUALLY: "Annual",
    FiscalPeriod.SEMIANNUALLY: "Semester {number}",
    FiscalPeriod.QUARTERLY: "Quarter {number}",
    FiscalPeriod.MONTHLY: "Month {number}",
    FiscalPeriod.FOUR_WEEKS: "Period {number}",
}


def part_reader(
    part: DatePart, column: ColumnDefinition, zone: tzinfo, fiscal: FiscalCalendar
) -> Callable[[Cell], int | None]:
    """Return how to get at a part of a date; a fiscal period is counted from the start of time."""
    take = _parts(fiscal)[part]
    local = zone if column.behavior is DateBehavior.USER_LOCAL else None
    known: dict[Cell, int | None] = {}

    def read(cell: Cell) -> int | None:
        if cell not in known:
            known[cell] = None if cell is None else take(_day(str(cell), local))
        return known[cell]

    return read


def period_number(ordinal: int, fiscal: FiscalCalendar) -> int:
    """Return the number that a period has in its year."""
    return ordinal % fiscal.period.count + 1


def period_label(ordinal: int, fiscal: FiscalCalendar) -> str:
    """Return what a period is called: ``Quarter 1 FY2026``."""
    year = ordinal // fiscal.period.count
    name = _PERIODS[fiscal.period].format(number=period_number(ordinal, fiscal))
    return f"{name} {year_label(year)}"


def year_label(year: int) -> str:
    """Return what a fiscal year is called."""
    return f"FY{year}"


def _parts(fiscal: FiscalCalendar) -> Mapping[DatePart, Callable[[date], int]]:
    return {
        DatePart.DAY: lambda day: day.day,
        DatePart.WEEK: _week,
        DatePart.MONTH: lambda day: day.month,
        DatePart.QUARTER: lambda day: (day.month + 2) // 3,
        DatePart.YEAR: lambda day: day.year,
        DatePart.FISCAL_PERIOD: fiscal.ordinal_of,
        DatePart.FISCAL_YEAR: fiscal.year_of,
    }


def _week(day: date) -> int:
    first = date(day.year, 1, 1)
    return ((day - first).days + first.isoweekday() % 7) // 7 + 1


def _day(cell: str, zone: tzinfo | None) -> date:
    if zone is None or not cell.endswith("Z"):
        return date.fromisoformat(cell[:10])
    instant = datetime.fromisoformat(cell[:19]).replace(tzinfo=UTC)
    try:
        return instant.astimezone(zone).date()
    except OverflowError:
        return instant.date()
