"""The fiscal calendar of an organisation: years that start on any day, cut into periods.

Invariant: the periods of a year follow each other without a gap, and the last ends where the next
year starts. A year is called after the calendar year in which it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, timedelta
from enum import Enum

_FOUR_WEEKS = timedelta(days=28)


class FiscalPeriod(Enum):
    """How a fiscal year is cut; the value is that of ``fiscalperiodtype``."""

    ANNUALLY = 2000
    SEMIANNUALLY = 2001
    QUARTERLY = 2002
    MONTHLY = 2003
    FOUR_WEEKS = 2004

    @property
    def count(self) -> int:
        """How many periods a year has."""
        return _COUNTS[self]


_COUNTS = {
    FiscalPeriod.ANNUALLY: 1,
    FiscalPeriod.SEMIANNUALLY: 2,
    FiscalPeriod.QUARTERLY: 4,
    FiscalPeriod.MONTHLY: 12,
    FiscalPeriod.FOUR_WEEKS: 13,
}


@dataclass(frozen=True, slots=True)
class FiscalCalendar:
    """When fiscal years start, and how they are cut; by default quarters of the calendar year."""

    month: int = 1
    day: int = 1
    period: FiscalPeriod = FiscalPeriod.QUARTERLY

    def year_of(self, today: date) -> int:
        """Return the fiscal year that a day is in."""
        started = (today.month, today.day) >= (self.month, self.day)
        return today.year if started else today.year - 1

    def ordinal_of(self, today: date) -> int:
        """Return which period a day is in, counted from the start of time."""
        year = self.year_of(today)
        count = self.period.count
        passed = sum(
            1
            for number in range(1, count)
            if (start := self.start(year * count + number)) is not None and start <= today
        )
        return year * count + passed

    def ordinal(self, year: int, period: int) -> int:
        """Return which period the one with this number is, counted from the start of time."""
        return year * self.period.count + period - 1

    def start(self, ordinal: int) -> date | None:
        """Return the first day of a period; None when the calendar has no such day."""
        year, number = divmod(ordinal, self.period.count)
        if self.period is FiscalPeriod.FOUR_WEEKS:
            first = self._day(year, 0)
            return None if first is None else first + number * _FOUR_WEEKS
        return self._day(year, number * 12 // self.period.count)

    def _day(self, year: int, months: int) -> date | None:
        return month_later(year, self.month, self.day, months)


def month_later(year: int, month: int, day: int, months: int) -> date | None:
    """Return the day so many months on; the last of its month where that is shorter."""
    later = year * 12 + month - 1 + months
    year, month = later // 12, later % 12 + 1
    if not MINYEAR <= year < MAXYEAR:
        return None
    following = date(year + month // 12, month % 12 + 1, 1)
    return min(date(year, month, 1) + timedelta(days=day - 1), following - timedelta(days=1))
