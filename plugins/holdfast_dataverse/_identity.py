"""Who the caller is, and whose days, fiscal years and people the caller's filters mean.

Invariant: whom the token signs in is known for certain, or nothing is; of the rest, whatever the
server does not tell is as in a new organisation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from holdfast.errors import AccessDenied, ProtocolError
from holdfast.model import CALENDAR_YEAR, Caller, FiscalCalendar, FiscalPeriod
from holdfast.values import canonical_id
from holdfast_dataverse import _reading
from holdfast_dataverse._answers import Answer, identity_of, json_object
from holdfast_dataverse._session import Session

#: Seconds for which a session goes on with the settings that it has read.
_A_DAY: Final = 24 * 60 * 60
_PERIODS: Final[Mapping[int, FiscalPeriod]] = {
    2000: FiscalPeriod.ANNUALLY,
    2001: FiscalPeriod.SEMIANNUALLY,
    2002: FiscalPeriod.QUARTERLY,
    2003: FiscalPeriod.MONTHLY,
    2004: FiscalPeriod.FOUR_WEEKS,
}


@dataclass(frozen=True, slots=True)
class _Known:
    """What one user's settings were, and when on the loop's clock they were read."""

    caller: Caller
    read_at: float


class WhoWeAre:
    """Asks who we are: every time whom the token signs in, once a day what that user has set."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: _Known | None = None

    async def caller(self) -> Caller:
        """Return the caller.

        :raises TransportError: the server does not say who it is
        """
        answer = await self._session.who_am_i()
        organization, user = owner = identity_of(answer)
        self._session.act_for(owner)
        unit = json_object(answer, "the question who we are").get("BusinessUnitId")
        bare = Caller(organization, user, _id(unit))
        now, known = asyncio.get_running_loop().time(), self._known
        if known is not None and known.caller.user == user and now - known.read_at < _A_DAY:
            teams = await self._get(_teams_path(user))
            return replace(
                known.caller, business_unit=bare.business_unit, teams=_ids(teams, "team")
            )
        caller = await self._settings(bare)
        self._known = _Known(caller, now)
        return caller

    async def _settings(self, bare: Caller) -> Caller:
        paths = (
            _teams_path(bare.user),
            f"usersettingscollection({bare.user})?$select=timezonecode,uilanguageid,localeid",
            "organizations?$select=organizationid,fiscalcalendarstart,fiscalperiodtype",
            _reports_path(bare.user),
        )
        try:
            answers = await _reading.read_all(self._session, paths)
        except (AccessDenied, ProtocolError):
            return bare
        teams, own, organizations, reports = map(_told, answers)
        return replace(
            bare,
            teams=_ids(teams, "team"),
            # 0 is what Dataverse writes where nobody has chosen.
            language=_number(own, "uilanguageid") or _number(own, "localeid") or None,
            time_zone=await self._time_zone(_number(own, "timezonecode")),
            fiscal=_fiscal(_rows(organizations), bare.organization),
            reports=tuple(row_id for row_id in _ids(reports, "systemuser") if row_id != bare.user),
        )

    async def _time_zone(self, code: int | None) -> str:
        if code is None:
            return "UTC"
        found = await self._get(
            f"timezonedefinitions?$select=standardname&$filter=timezonecode%20eq%20{code}"
        )
        names = (row.get("standardname") for row in _rows(found))
        return next((zone for name in names if (zone := iana_name(name))), "UTC")

    async def _get(self, path: str) -> Mapping[str, Any]:  # Any: JSON
        return _told(await self._session.get(path))


def iana_name(windows: object) -> str | None:
    """Return what IANA calls a time zone of Windows; None where nobody knows."""
    from tzlocal.windows_tz import win_tz  # the table of Unicode's CLDR, read once a day

    return win_tz.get(windows) if isinstance(windows, str) else None


def _teams_path(user: str) -> str:
    return f"systemusers({user})/teammembership_association?$select=teamid"


def _reports_path(user: str) -> str:
    under = f"Microsoft.Dynamics.CRM.Under(PropertyName='systemuserid',PropertyValue='{user}')"
    return f"systemusers?$select=systemuserid&$filter={under}"


def _told(answer: Answer) -> Mapping[str, Any]:  # Any: JSON
    """Return what the server tells, nothing where it refuses to; what passes is raised."""
    try:
        return json_object(answer, "the settings of the caller")
    except (AccessDenied, ProtocolError):
        return {}


def _rows(found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:  # Any: JSON
    rows = found.get("value")
    return (row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else iter(())


def _ids(found: Mapping[str, Any], table: str) -> tuple[str, ...]:  # Any: JSON
    ids = (_id(row.get(f"{table}id")) for row in _rows(found))
    return tuple(sorted({row_id for row_id in ids if row_id is not None}))


def _id(given: object) -> str | None:
    try:
        return canonical_id(given)
    except ValueError:
        return None


def _number(found: Mapping[str, Any], name: str) -> int | None:  # Any: JSON
    number = found.get(name)
    fits = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**31
    return number if fits else None


def _fiscal(rows: Iterator[Mapping[str, Any]], organization: str) -> FiscalCalendar:  # Any: JSON
    for row in rows:
        if _id(row.get("organizationid")) == organization:
            start = _day(row.get("fiscalcalendarstart"))
            period = _PERIODS.get(_number(row, "fiscalperiodtype") or 0, CALENDAR_YEAR.period)
            return FiscalCalendar(start.month, start.day, period)
    return CALENDAR_YEAR


def _day(text: object) -> date:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return date(2000, CALENDAR_YEAR.month, CALENDAR_YEAR.day)
