"""Parts of dates, as whole numbers to group by.

Invariant: an instant is in the day that it is in where the asker is, any other date in its own. A
fiscal period is counted from the start of time, so that it tells its year as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from holdfast.errors import StorageError
from holdfast.model import FiscalCalendar, FiscalPeriod
from holdfast.queries import DatePart

_FOUR_WEEKS: Final = timedelta(days=28)


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone.

    :raises StorageError: there is none of this name
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # it looks for a file
        raise StorageError(f"there is no time zone {name!r}; name one of IANA's") from None


def fiscal_text(calendar: FiscalCalendar) -> str:
    """Return a fiscal calendar as what a statement can bind."""
    return f"{calendar.month}-{calendar.day}-{calendar.period.value}"


def part_of(cell: str | None, part: str, zone: str, fiscal: str) -> int | None:
    """Return a part of a date.

    :param zone: where an instant is read; empty for UTC
    :param fiscal: what :func:`fiscal_text` returned
    """
    if cell is None:
        return None
    return _reader(part, fiscal)(_day(cell, zone))


@lru_cache(maxsize=4096)
def _day(cell: str, zone: str) -> date:
    if not zone or not cell.endswith("Z"):
        return date.fromisoformat(cell[:10])
    instant = datetime.fromisoformat(cell[:19]).replace(tzinfo=UTC)
    try:
        return instant.astimezone(zone_named(zone)).date()
    except OverflowError:
        return instant.date()


@lru_cache(maxsize=64)
def _reader(part: str, fiscal: str) -> Callable[[date], int]:
    month, day, periods = map(int, fiscal.split("-"))
    calendar = FiscalCalendar(month, day, FiscalPeriod(periods))
    readers: Mapping[DatePart, Callable[[date], int]] = {
        DatePart.DAY: lambda day: day.day,
        DatePart.WEEK: _week,
        DatePart.MONTH: lambda day: day.month,
        DatePart.QUARTER: lambda day: (day.month + 2) // 3,
        DatePart.YEAR: lambda day: day.year,
        DatePart.FISCAL_PERIOD: lambda day: _fiscal_period(day, calendar),
        DatePart.FISCAL_YEAR: lambda day: _fiscal_year(day, calendar),
    }
    return readers[DatePart(part)]


def _week(day: date) -> int:
    first = date(day.year, 1, 1)
    return ((day - first).days + first.isoweekday() % 7) // 7 + 1


def _fiscal_year(day: date, calendar: FiscalCalendar) -> int:
    started = (day.month, day.day) >= (calendar.month, calendar.day)
    return day.year if started else day.year - 1


def _fiscal_period(day: date, calendar: FiscalCalendar) -> int:
    year, count = _fiscal_year(day, calendar), calendar.period.value
    starts = (_start(year, number, calendar) for number in range(1, count))
    return year * count + sum(start is not None and start <= day for start in starts)


def _start(year: int, number: int, calendar: FiscalCalendar) -> date | None:
    """Return the first day of a period of a fiscal year; None behind the end of the calendar."""
    if calendar.period is FiscalPeriod.FOUR_WEEKS:
        first = _months_on(year, 0, calendar)
        return None if first is None else first + number * _FOUR_WEEKS
    return _months_on(year, number * 12 // calendar.period.value, calendar)


def _months_on(year: int, months: int, calendar: FiscalCalendar) -> date | None:
    """Return the first day of the year so many months on; the last of a month that is shorter."""
    later = year * 12 + calendar.month - 1 + months
    year, month = later // 12, later % 12 + 1
    if not 1 <= year < MAXYEAR:
        return None
    following = date(year + month // 12, month % 12 + 1, 1)
    wanted = date(year, month, 1) + timedelta(days=calendar.day - 1)
    return min(wanted, following - timedelta(days=1))
