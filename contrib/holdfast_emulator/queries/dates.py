"""Which stretch of time an operator on dates means, in the time zone of who asks.

Invariant: a stretch starts with its first instant and ends before its last, whose absence means
that it has no end. Days begin at midnight of the asker's time zone, weeks on Sunday.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final, TypeAlias

from holdfast.schema import DateBehavior
from holdfast_emulator.queries.conditions import Operator
from holdfast_emulator.queries.fiscal import FiscalCalendar, month_later

_DAY: Final = timedelta(days=1)
_FURTHEST: Final = 10**7  # days, weeks … beyond this there is no date


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, where the asker is."""

    now: datetime
    zone: tzinfo
    fiscal: FiscalCalendar

    @property
    def local(self) -> datetime:
        """The clock on the asker's wall."""
        return self.now.astimezone(self.zone)

    @property
    def today(self) -> date:
        """The day on the asker's wall."""
        return self.local.date()

    def midnight(self, day: date | None) -> datetime | None:
        """Return the instant at which a day begins."""
        return None if day is None else datetime.combine(day, time(), self.zone)

    def later(self, days: int) -> date | None:
        """Return the day so many days on; None beyond the calendar."""
        try:
            return self.today + timedelta(days=days)
        except OverflowError:
            return None

    def months_later(self, months: int, day: date | None = None) -> date | None:
        """Return the day so many months on; None beyond the calendar."""
        start = day or self.today
        return month_later(start.year, start.month, start.day, months)

    def hours_later(self, hours: int) -> datetime | None:
        """Return the start of the hour so many hours on."""
        return _shifted(self.local.replace(minute=0, second=0, microsecond=0), hours=hours)

    def minutes_later(self, minutes: int) -> datetime | None:
        """Return the start of the minute so many minutes on."""
        return _shifted(self.local.replace(second=0, microsecond=0), minutes=minutes)


def _shifted(start: datetime, *, hours: int = 0, minutes: int = 0) -> datetime | None:
    try:
        return start.astimezone(UTC) + timedelta(hours=hours, minutes=minutes)
    except OverflowError:
        return None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time; without a start or an end it is open there, empty when it says so."""

    start: datetime | None = None
    end: datetime | None = None
    empty: bool = False

    def bounds(self, behavior: DateBehavior, zone: tzinfo) -> tuple[str, str]:
        """Return the ends as cells of such a column compare: from the first, before the second."""
        if self.empty:
            return "", ""
        low = "" if self.start is None else _cell(self.start, behavior, zone)
        high = _END if self.end is None else _cell(self.end, behavior, zone)
        return low, high


_END: Final = "~"  # sorts after every date


def _cell(instant: datetime, behavior: DateBehavior, zone: tzinfo) -> str:
    if behavior is DateBehavior.USER_LOCAL:
        return _text(_in_zone(instant, UTC))
    local = _in_zone(instant, zone)
    if behavior is DateBehavior.TIME_ZONE_INDEPENDENT:
        return _text(local)
    whole = local.time() == time()
    return (local.date() if whole or local.date() == date.max else local.date() + _DAY).isoformat()


def _in_zone(instant: datetime, zone: tzinfo) -> datetime:
    try:
        return instant.astimezone(zone)
    except OverflowError:
        return instant  # within a day of the ends of the calendar, where no zone matters


def _text(instant: datetime) -> str:
    return (
        instant.replace(tzinfo=None).isoformat().rstrip("0")
        if instant.microsecond
        else (instant.replace(tzinfo=None).isoformat())
    )


_Make: TypeAlias = Callable[[Moment, int], Span]


def span(operator: Operator, moment: Moment, numbers: tuple[int, ...]) -> Span:
    """Return the stretch that an operator without a date means.

    :param numbers: how many hours, days … or which fiscal period and year
    """
    if operator in _FISCAL:
        return _fiscal(operator, moment, numbers)
    count = numbers[0] if numbers else 0
    return _SPANS[operator](moment, max(-_FURTHEST, min(count, _FURTHEST)))


def day_span(operator: Operator, moment: Moment, day: date) -> Span:
    """Return the stretch that on, on-or-before and on-or-after mean."""
    start = moment.midnight(day)
    end = None if day == date.max else moment.midnight(day + _DAY)
    if operator is Operator.ON_OR_AFTER:
        return Span(start)
    return Span(None if operator is Operator.ON_OR_BEFORE else start, end)


def is_relative(operator: Operator) -> bool:
    """Tell whether the operator means a stretch of time that depends on now or on the calendar."""
    return operator in _SPANS or operator in _FISCAL


def _days(first: int, last: int) -> _Make:
    return lambda moment, _: Span(
        moment.midnight(moment.later(first)), moment.midnight(moment.later(last))
    )


def _weeks(first: int) -> _Make:
    def make(moment: Moment, _: int) -> Span:
        sunday = -((moment.today.weekday() + 1) % 7) + 7 * first
        return Span(
            moment.midnight(moment.later(sunday)), moment.midnight(moment.later(sunday + 7))
        )

    return make


def _months(first: int) -> _Make:
    def make(moment: Moment, _: int) -> Span:
        start = moment.today.replace(day=1)
        return _between(moment, start, first, first + 1)

    return make


def _years(first: int) -> _Make:
    def make(moment: Moment, _: int) -> Span:
        start = moment.today.replace(month=1, day=1)
        return _between(moment, start, 12 * first, 12 * (first + 1))

    return make


def _between(moment: Moment, start: date, first: int, last: int) -> Span:
    return Span(
        moment.midnight(moment.months_later(first, start)),
        moment.midnight(moment.months_later(last, start)),
    )


def _since(start: Callable[[Moment, int], datetime | None]) -> _Make:
    """Return a stretch up to now."""
    return lambda moment, count: Span(start(moment, count), moment.now)


def _until(end: Callable[[Moment, int], datetime | None]) -> _Make:
    """Return a stretch from now on."""
    return lambda moment, count: Span(moment.now, end(moment, count))


def _before(end: Callable[[Moment, int], datetime | None]) -> _Make:
    """Return all that is over; nothing where the calendar does not go back so far."""

    def make(moment: Moment, count: int) -> Span:
        last = end(moment, count)
        return Span(None, last, empty=last is None)

    return make


def _day_later(factor: int, extra: int = 0) -> Callable[[Moment, int], datetime | None]:
    return lambda moment, count: moment.midnight(moment.later(factor * count + extra))


def _month_later(factor: int, extra: int = 0) -> Callable[[Moment, int], datetime | None]:
    def later(moment: Moment, count: int) -> datetime | None:
        start = moment.later(extra)
        return (
            None if start is None else moment.midnight(moment.months_later(factor * count, start))
        )

    return later


_SPANS: Final[Mapping[Operator, _Make]] = {
    Operator.YESTERDAY: _days(-1, 0),
    Operator.TODAY: _days(0, 1),
    Operator.TOMORROW: _days(1, 2),
    Operator.LAST_SEVEN_DAYS: _since(lambda m, _: m.midnight(m.later(-7))),
    Operator.NEXT_SEVEN_DAYS: _until(lambda m, _: m.midnight(m.later(8))),
    Operator.LAST_WEEK: _weeks(-1),
    Operator.THIS_WEEK: _weeks(0),
    Operator.NEXT_WEEK: _weeks(1),
    Operator.LAST_MONTH: _months(-1),
    Operator.THIS_MONTH: _months(0),
    Operator.NEXT_MONTH: _months(1),
    Operator.LAST_YEAR: _years(-1),
    Operator.THIS_YEAR: _years(0),
    Operator.NEXT_YEAR: _years(1),
    Operator.LAST_X_HOURS: _since(lambda m, count: m.hours_later(-count)),
    Operator.NEXT_X_HOURS: _until(lambda m, count: m.hours_later(count + 1)),
    Operator.LAST_X_DAYS: _since(_day_later(-1)),
    Operator.NEXT_X_DAYS: _until(_day_later(1, 1)),
    Operator.LAST_X_WEEKS: _since(_day_later(-7)),
    Operator.NEXT_X_WEEKS: _until(_day_later(7, 1)),
    Operator.LAST_X_MONTHS: _since(_month_later(-1)),
    Operator.NEXT_X_MONTHS: _until(_month_later(1, 1)),
    Operator.LAST_X_YEARS: _since(_month_later(-12)),
    Operator.NEXT_X_YEARS: _until(_month_later(12, 1)),
    Operator.OLDER_THAN_X_MINUTES: _before(lambda m, count: m.minutes_later(-count)),
    Operator.OLDER_THAN_X_HOURS: _before(lambda m, count: m.hours_later(-count)),
    Operator.OLDER_THAN_X_DAYS: _before(_day_later(-1)),
    Operator.OLDER_THAN_X_WEEKS: _before(_day_later(-7)),
    Operator.OLDER_THAN_X_MONTHS: _before(_month_later(-1)),
    Operator.OLDER_THAN_X_YEARS: _before(_month_later(-12)),
}


def _fiscal(operator: Operator, moment: Moment, numbers: tuple[int, ...]) -> Span:
    fiscal = moment.fiscal
    first, last = _FISCAL[operator](fiscal, moment.today, numbers)
    start = None if first is None else moment.midnight(fiscal.start(first))
    end = None if last is None else moment.midnight(fiscal.start(last))
    if operator in _TO_NOW:
        return Span(start, moment.now)
    if operator in _FROM_NOW:
        return Span(moment.now, end)
    never = first is not None and start is None
    never |= len(numbers) > 1 and not 1 <= numbers[0] <= fiscal.period.count
    never |= last is not None and last < fiscal.period.count
    return Span(start, end, empty=never)


_TO_NOW: Final = frozenset({Operator.LAST_X_FISCAL_YEARS, Operator.LAST_X_FISCAL_PERIODS})
_FROM_NOW: Final = frozenset({Operator.NEXT_X_FISCAL_YEARS, Operator.NEXT_X_FISCAL_PERIODS})
#: The first period, and the one after the last.
_Periods: TypeAlias = tuple[int | None, int | None]
_MakePeriods: TypeAlias = Callable[[FiscalCalendar, date, tuple[int, ...]], _Periods]


def _fiscal_years(first: int, last: int) -> _MakePeriods:
    def make(fiscal: FiscalCalendar, today: date, _: tuple[int, ...]) -> _Periods:
        year = fiscal.year_of(today)
        return fiscal.ordinal(year + first, 1), fiscal.ordinal(year + last, 1)

    return make


def _fiscal_periods(first: int, last: int) -> _MakePeriods:
    def make(fiscal: FiscalCalendar, today: date, _: tuple[int, ...]) -> _Periods:
        period = fiscal.ordinal_of(today)
        return period + first, period + last

    return make


def _last_years(fiscal: FiscalCalendar, today: date, numbers: tuple[int, ...]) -> _Periods:
    return fiscal.ordinal(fiscal.year_of(today) - numbers[0], 1), None


def _next_years(fiscal: FiscalCalendar, today: date, numbers: tuple[int, ...]) -> _Periods:
    return None, fiscal.ordinal(fiscal.year_of(today) + numbers[0] + 1, 1)


def _last_periods(fiscal: FiscalCalendar, today: date, numbers: tuple[int, ...]) -> _Periods:
    return fiscal.ordinal_of(today) - numbers[0], None


def _next_periods(fiscal: FiscalCalendar, today: date, numbers: tuple[int, ...]) -> _Periods:
    return None, fiscal.ordinal_of(today) + numbers[0] + 1


def _in_year(fiscal: FiscalCalendar, _: date, numbers: tuple[int, ...]) -> _Periods:
    return fiscal.ordinal(numbers[0], 1), fiscal.ordinal(numbers[0] + 1, 1)


def _period_and_year(*, before: bool = False, after: bool = False) -> _MakePeriods:
    def make(fiscal: FiscalCalendar, _: date, numbers: tuple[int, ...]) -> _Periods:
        at = fiscal.ordinal(numbers[1], numbers[0])
        return None if before else at, None if after else at + 1

    return make


_FISCAL: Final[Mapping[Operator, _MakePeriods]] = {
    Operator.THIS_FISCAL_YEAR: _fiscal_years(0, 1),
    Operator.LAST_FISCAL_YEAR: _fiscal_years(-1, 0),
    Operator.NEXT_FISCAL_YEAR: _fiscal_years(1, 2),
    Operator.THIS_FISCAL_PERIOD: _fiscal_periods(0, 1),
    Operator.LAST_FISCAL_PERIOD: _fiscal_periods(-1, 0),
    Operator.NEXT_FISCAL_PERIOD: _fiscal_periods(1, 2),
    Operator.LAST_X_FISCAL_YEARS: _last_years,
    Operator.NEXT_X_FISCAL_YEARS: _next_years,
    Operator.LAST_X_FISCAL_PERIODS: _last_periods,
    Operator.NEXT_X_FISCAL_PERIODS: _next_periods,
    Operator.IN_FISCAL_YEAR: _in_year,
    Operator.IN_FISCAL_PERIOD_AND_YEAR: _period_and_year(),
    Operator.IN_OR_BEFORE_FISCAL_PERIOD_AND_YEAR: _period_and_year(before=True),
    Operator.IN_OR_AFTER_FISCAL_PERIOD_AND_YEAR: _period_and_year(after=True),
}
