"""The circumstances of a question, from the rows that keep settings.

Invariant: what nobody set is UTC, English, and quarters of the calendar year.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final

from holdfast.values import Cell
from holdfast_emulator.behaviour.navigation import Navigator
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import Privilege, Security, User
from holdfast_emulator.behaviour.seed import Seed
from holdfast_emulator.queries.fiscal import FiscalCalendar, FiscalPeriod
from holdfast_emulator.queries.scope import Asking
from holdfast_emulator.queries.zones import zone_of

_ENGLISH: Final = 1033
_SETTINGS: Final = "usersettings"


def asking(
    navigator: Navigator, security: Security, seed: Seed, user: User, now: datetime
) -> Asking:
    """Return the circumstances in which a user asks."""
    organization = navigator.find("organization", seed.organization_id)
    own = navigator.find(_SETTINGS, user.id) if _SETTINGS in navigator.metadata.tables else None

    known: dict[str, frozenset[str]] = {}

    def hidden(table: str) -> frozenset[str]:
        if table not in known:
            known[table] = security.hidden(user, table)
        return known[table]

    def teams(user_id: str) -> frozenset[str]:
        return frozenset(security.directory.teams(user_id))

    language = _cell(own, "uilanguageid") or _cell(organization, "languagecode")
    return Asking(
        user=user,
        now=now,
        navigator=navigator,
        readable=security.reader(user),
        admit=lambda table: security.check(user, table, Privilege.READ),
        hidden=hidden,
        teams=teams,
        zone=_zone(_cell(own, "timezonecode")),
        language=language if isinstance(language, int) else _ENGLISH,
        fiscal=_fiscal(organization),
    )


def _cell(row: Row | None, name: str) -> Cell:
    at = None if row is None else row.definition.positions.get(name)
    return None if row is None or at is None else row.cells[at]


def _zone(code: Cell) -> tzinfo:
    return zone_of(code) if isinstance(code, int) else UTC


def _fiscal(organization: Row | None) -> FiscalCalendar:
    start, kind = (
        _cell(organization, "fiscalcalendarstart"),
        _cell(organization, "fiscalperiodtype"),
    )
    known = {period.value: period for period in FiscalPeriod}
    period = known.get(kind, FiscalPeriod.QUARTERLY) if isinstance(kind, int) else None
    first = str(start)[5:10] if start is not None else "01-01"
    return FiscalCalendar(int(first[:2]), int(first[3:]), period or FiscalPeriod.QUARTERLY)
