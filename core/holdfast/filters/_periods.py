"""Which stretch of time a period means, for one asker at one moment.

Invariant: a stretch starts with its first instant and ends before its last. Days begin at midnight
where the asker is, weeks on Sunday; "last" reaches up to now and "next" begins now, while "this"
and the named days, months and years are whole (reference: the operators of FetchXML).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from holdfast.filters._nodes import During, Period
from holdfast.model import FiscalCalendar, FiscalPeriod
from holdfast.schema import DateBehavior
from holdfast.values import Cell, instant_cell, wall_cell

#: The two ends as aware moments; None where the stretch goes on beyond the calendar.
Stretch: TypeAlias = tuple[datetime | None, datetime | None]
_DAY: Final = timedelta(days=1)
_MOST: Final = 10**7  # of any unit: beyond it lies no date
#: The ends of the calendar as cells of each behaviour.
_FIRST: Final = {
    DateBehavior.USER_LOCAL: "0001-01-01T00:00:00Z",
    DateBehavior.TIME_ZONE_INDEPENDENT: "0001-01-01T00:00:00",
    DateBehavior.DATE_ONLY: "0001-01-01",
}


@cache
def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; UTC where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def months_later(day: date, months: int) -> date | None:
    """Return the day so many months on, the last of its month where that is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year < date.max.year:
        return None
    following = date(year + month // 11, (month + 1) % 12 + 1, 1)
    return min(date(year, month + 1, 1) + timedelta(days=day.day - 1), following - _DAY)


@dataclass(frozen=True, slots=True)
class FiscalYears:
    """The arithmetic of a fiscal calendar: periods are numbered through from the first year on."""

    calendar: FiscalCalendar

    @property
    def periods(self) -> int:
        """How many periods a year has."""
        return self.calendar.period.value

    def start(self, number: int) -> date | None:
        """Return the first day of a period; None beyond the calendar."""
        year, part = divmod(number, self.periods)
        if not 1 <= year < date.max.year:
            return None
        month = date(year, self.calendar.month, 1)
        first = min(month + timedelta(days=self.calendar.day - 1), _month_end(month))
        if self.calendar.period is FiscalPeriod.FOUR_WEEKS:
            return first + part * timedelta(days=28)
        return months_later(first, part * 12 // self.periods)

    def number(self, year: int, part: int) -> int:
        """Return the number of the part-th period of a year; both count from 1."""
        return year * self.periods + part - 1

    def at(self, day: date) -> int:
        """Return the number of the period that a day lies in."""
        earliest = self.number(day.year - 1, 1)
        found = earliest
        for number in range(earliest, earliest + 2 * self.periods):
            start = self.start(number)
            if start is not None and start <= day:
                found = number
        return found


def _month_end(first: date) -> date:
    following = months_later(first, 1)
    return date.max if following is None else following - _DAY


@dataclass(frozen=True, slots=True)
class Here:
    """The asker's place and moment, with the steps that periods are made of."""

    now: datetime
    zone: ZoneInfo
    fiscal: FiscalYears

    @property
    def local(self) -> datetime:
        """The clock on the wall here."""
        return _in_zone(self.now, self.zone)

    @property
    def today(self) -> date:
        """The day that it is here."""
        return self.local.date()

    def midnight(self, day: date | None) -> datetime | None:
        """Return the moment at which a day begins here."""
        return None if day is None else datetime.combine(day, time(), self.zone)

    def days(self, count: int) -> datetime | None:
        """Return the midnight so many days from today."""
        try:
            return self.midnight(self.today + timedelta(days=count))
        except OverflowError:
            return None

    def months(self, count: int, start: date | None = None) -> datetime | None:
        """Return the midnight so many months from a day, today if none is given."""
        return self.midnight(months_later(start or self.today, count))

    def hours(self, count: int) -> datetime | None:
        """Return the full hour so many hours from this one."""
        full = self.local.replace(minute=0, second=0, microsecond=0)
        return _shifted(full, timedelta(hours=count))

    def minutes(self, count: int) -> datetime | None:
        """Return the full minute so many minutes from this one."""
        full = self.local.replace(second=0, microsecond=0)
        return _shifted(full, timedelta(minutes=count))

    def period(self, number: int) -> datetime | None:
        """Return the moment at which a fiscal period begins."""
        return self.midnight(self.fiscal.start(number))


def _shifted(moment: datetime, by: timedelta) -> datetime | None:
    """Return the moment so much time later, whatever clocks are set to meanwhile."""
    try:
        return moment.astimezone(UTC) + by
    except OverflowError:
        return None


_Numbers: TypeAlias = tuple[int, ...]
_Make: TypeAlias = Callable[[Here, _Numbers], Stretch]


def _days(first: int, last: int) -> _Make:
    return lambda here, _: (here.days(first), here.days(last))


def _weeks(first: int) -> _Make:
    def make(here: Here, _: _Numbers) -> Stretch:
        sunday = 7 * first - (here.today.weekday() + 1) % 7
        return here.days(sunday), here.days(sunday + 7)

    return make


def _months(first: int, length: int = 1) -> _Make:
    """Return whole months, or whole years where twelve are taken at a time."""

    def make(here: Here, _: _Numbers) -> Stretch:
        start = here.today.replace(day=1) if length == 1 else here.today.replace(month=1, day=1)
        return here.months(length * first, start), here.months(length * (first + 1), start)

    return make


def _since(start: Callable[[Here, int], datetime | None]) -> _Make:
    return lambda here, numbers: (start(here, numbers[0]), here.now)


def _until(end: Callable[[Here, int], datetime | None]) -> _Make:
    return lambda here, numbers: (here.now, end(here, numbers[0]))


def _before(end: Callable[[Here, int], datetime | None]) -> _Make:
    """Return all that was over by then; nothing where the calendar does not go back so far."""

    def make(here: Here, numbers: _Numbers) -> Stretch:
        last = end(here, numbers[0])
        return (None, last) if last else _NEVER

    return make


def _tomorrow_in(months: int) -> Callable[[Here, int], datetime | None]:
    def end(here: Here, count: int) -> datetime | None:
        tomorrow = here.days(1)
        return None if tomorrow is None else here.months(months * count, tomorrow.date())

    return end


_NEVER: Final[Stretch] = (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))

_STRETCHES: Final[Mapping[Period, _Make]] = {
    Period.YESTERDAY: _days(-1, 0),
    Period.TODAY: _days(0, 1),
    Period.TOMORROW: _days(1, 2),
    Period.LAST_SEVEN_DAYS: lambda here, _: (here.days(-7), here.now),
    Period.NEXT_SEVEN_DAYS: lambda here, _: (here.now, here.days(8)),
    Period.LAST_WEEK: _weeks(-1),
    Period.THIS_WEEK: _weeks(0),
    Period.NEXT_WEEK: _weeks(1),
    Period.LAST_MONTH: _months(-1),
    Period.THIS_MONTH: _months(0),
    Period.NEXT_MONTH: _months(1),
    Period.LAST_YEAR: _months(-1, 12),
    Period.THIS_YEAR: _months(0, 12),
    Period.NEXT_YEAR: _months(1, 12),
    Period.LAST_X_HOURS: _since(lambda here, x: here.hours(-x)),
    Period.NEXT_X_HOURS: _until(lambda here, x: here.hours(x + 1)),
    Period.LAST_X_DAYS: _since(lambda here, x: here.days(-x)),
    Period.NEXT_X_DAYS: _until(lambda here, x: here.days(x + 1)),
    Period.LAST_X_WEEKS: _since(lambda here, x: here.days(-7 * x)),
    Period.NEXT_X_WEEKS: _until(lambda here, x: here.days(7 * x + 1)),
    Period.LAST_X_MONTHS: _since(lambda here, x: here.months(-x)),
    Period.NEXT_X_MONTHS: _until(_tomorrow_in(1)),
    Period.LAST_X_YEARS: _since(lambda here, x: here.months(-12 * x)),
    Period.NEXT_X_YEARS: _until(_tomorrow_in(12)),
    Period.OLDER_THAN_X_MINUTES: _before(lambda here, x: here.minutes(-x)),
    Period.OLDER_THAN_X_HOURS: _before(lambda here, x: here.hours(-x)),
    Period.OLDER_THAN_X_DAYS: _before(lambda here, x: here.days(-x)),
    Period.OLDER_THAN_X_WEEKS: _before(lambda here, x: here.days(-7 * x)),
    Period.OLDER_THAN_X_MONTHS: _before(lambda here, x: here.months(-x)),
    Period.OLDER_THAN_X_YEARS: _before(lambda here, x: here.months(-12 * x)),
}


def _fiscal_years(first: int) -> _Make:
    def make(here: Here, _: _Numbers) -> Stretch:
        year = here.fiscal.at(here.today) // here.fiscal.periods + first
        return _fiscal_year(here, year)

    return make


def _fiscal_year(here: Here, year: int) -> Stretch:
    first = here.fiscal.number(year, 1)
    start, end = here.period(first), here.period(first + here.fiscal.periods)
    return (start, end) if start else _NEVER


def _fiscal_periods(first: int) -> _Make:
    def make(here: Here, _: _Numbers) -> Stretch:
        number = here.fiscal.at(here.today) + first
        return here.period(number), here.period(number + 1)

    return make


def _last_fiscal(*, years: bool) -> _Make:
    def make(here: Here, numbers: _Numbers) -> Stretch:
        number = here.fiscal.at(here.today)
        if years:
            number -= number % here.fiscal.periods + numbers[0] * here.fiscal.periods
        else:
            number -= numbers[0]
        return here.period(number), here.now

    return make


def _next_fiscal(*, years: bool) -> _Make:
    def make(here: Here, numbers: _Numbers) -> Stretch:
        number = here.fiscal.at(here.today)
        if years:
            number += -(number % here.fiscal.periods) + (numbers[0] + 1) * here.fiscal.periods
        else:
            number += numbers[0] + 1
        return here.now, here.period(number)

    return make


def _period_of_year(*, from_start: bool, to_end: bool) -> _Make:
    """Return one period of one year, or all before or after it as well."""

    def make(here: Here, numbers: _Numbers) -> Stretch:
        part, year = numbers
        if not (1 <= part <= here.fiscal.periods and 1 <= year < date.max.year):
            return _NEVER
        number = here.fiscal.number(year, part)
        return (
            here.period(number) if from_start else None,
            here.period(number + 1) if to_end else None,
        )

    return make


_FISCAL: Final[Mapping[Period, _Make]] = {
    Period.THIS_FISCAL_YEAR: _fiscal_years(0),
    Period.LAST_FISCAL_YEAR: _fiscal_years(-1),
    Period.NEXT_FISCAL_YEAR: _fiscal_years(1),
    Period.THIS_FISCAL_PERIOD: _fiscal_periods(0),
    Period.LAST_FISCAL_PERIOD: _fiscal_periods(-1),
    Period.NEXT_FISCAL_PERIOD: _fiscal_periods(1),
    Period.LAST_X_FISCAL_YEARS: _last_fiscal(years=True),
    Period.NEXT_X_FISCAL_YEARS: _next_fiscal(years=True),
    Period.LAST_X_FISCAL_PERIODS: _last_fiscal(years=False),
    Period.NEXT_X_FISCAL_PERIODS: _next_fiscal(years=False),
    Period.IN_FISCAL_YEAR: lambda here, numbers: _fiscal_year(here, numbers[0]),
    Period.IN_FISCAL_PERIOD_AND_YEAR: _period_of_year(from_start=True, to_end=True),
    Period.IN_OR_BEFORE_FISCAL_PERIOD_AND_YEAR: _period_of_year(from_start=False, to_end=True),
    Period.IN_OR_AFTER_FISCAL_PERIOD_AND_YEAR: _period_of_year(from_start=True, to_end=False),
}


def bounds(node: During, here: Here) -> tuple[Cell, Cell | None]:
    """Return the cells between which the column's must lie: from the first, before the second.

    A second of None means that there is no end.
    """
    start, end = _stretch(node, here)
    first = _cell(start, node.behavior, here.zone) if start else _FIRST[node.behavior]
    return first, None if end is None else _cell(end, node.behavior, here.zone)


def _stretch(node: During, here: Here) -> Stretch:
    if node.period.takes_day:
        day = date.fromisoformat(str(node.operands[0])[:10])
        start = None if node.period is Period.ON_OR_BEFORE else here.midnight(day)
        if node.period is Period.ON_OR_AFTER or day == date.max:
            return start, None
        return start, here.midnight(day + _DAY)
    numbers = tuple(max(-_MOST, min(int(number), _MOST)) for number in node.operands)
    return (_STRETCHES.get(node.period) or _FISCAL[node.period])(here, numbers)


def _cell(moment: datetime, behavior: DateBehavior, zone: ZoneInfo) -> str:
    if behavior is DateBehavior.USER_LOCAL:
        return instant_cell(_in_zone(moment, UTC))
    # A midnight made here keeps its reading even on a day whose first hour does not exist.
    local = _in_zone(moment, zone).replace(tzinfo=None)
    if behavior is DateBehavior.TIME_ZONE_INDEPENDENT:
        return wall_cell(local)
    whole = local.time() == time() or local.date() == date.max
    return (local.date() if whole else local.date() + _DAY).isoformat()


def _in_zone(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment.replace(tzinfo=UTC)  # a day from the ends of the calendar no zone matters


#: The name of the function that ``in-fiscal-period`` becomes: its periods are in every year.
IN_FISCAL_PERIOD: Final = "holdfast.in-fiscal-period"


def fiscal_key(behavior: DateBehavior, here: Here) -> str:
    """Return what ``in_fiscal_period`` must know besides the period, as one literal."""
    calendar = here.fiscal.calendar
    numbers = (calendar.month, calendar.day, calendar.period.value)
    return " ".join(map(str, (behavior.value, here.zone.key, *numbers)))


@cache
def _fiscal_of(key: str) -> tuple[ZoneInfo | None, FiscalYears]:
    behavior, zone, month, day, periods = key.split(" ")
    calendar = FiscalCalendar(int(month), int(day), FiscalPeriod(int(periods)))
    instant = DateBehavior(behavior) is DateBehavior.USER_LOCAL
    return zone_of(zone) if instant else None, FiscalYears(calendar)


def in_fiscal_period(cell: str | None, part: int, key: str) -> bool | None:
    """Tell whether a date lies in the part-th period of whichever fiscal year; null is unknown."""
    if cell is None:
        return None
    zone, years = _fiscal_of(key)
    moment = datetime.fromisoformat(cell)
    if zone is not None:
        moment = _in_zone(moment.replace(tzinfo=UTC), zone)
    return years.at(moment.date()) % years.periods + 1 == part
