"""What an organisation has before anybody works in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.metadata import metadata_id
from holdfast_emulator.behaviour.principals import User

_Row = Mapping[str, Cell | Reference]


@dataclass(frozen=True, slots=True)
class Seed:
    """The ids of the rows that are always there; the same in every emulator."""

    organization_id: str = metadata_id("organization", "holdfast")
    business_unit_id: str = metadata_id("businessunit", "holdfast")
    currency_id: str = metadata_id("transactioncurrency", "NOK")
    euro_id: str = metadata_id("transactioncurrency", "EUR")
    team_id: str = metadata_id("team", "Field Service")
    system: User = field(
        default_factory=lambda: User(
            metadata_id("systemuser", "SYSTEM"), "SYSTEM", metadata_id("businessunit", "holdfast")
        )
    )


def default_users() -> tuple[tuple[str, str], ...]:
    """Return the names and tokens of the users that a new emulator knows."""
    return (("Ann Field", "demo-token"), ("Bo Office", "office-token"))


def base_rows(seed: Seed) -> Iterator[tuple[str, Sequence[_Row]]]:
    """Yield tables and their first rows, those first that others point to."""
    unit = Reference("businessunit", seed.business_unit_id)
    yield "businessunit", [{"businessunitid": unit.id, "name": "holdfast"}]
    yield (
        "transactioncurrency",
        [
            _currency(seed.currency_id, "Norwegian Krone", "NOK", "kr", "1"),
            _currency(seed.euro_id, "Euro", "EUR", "€", "0.086500000000"),
        ],
    )
    yield (
        "systemuser",
        [
            {
                "systemuserid": seed.system.id,
                "lastname": "SYSTEM",
                "isdisabled": True,
                "businessunitid": unit,
            }
        ],
    )
    yield "team", [{"teamid": seed.team_id, "name": "Field Service", "businessunitid": unit}]
    yield (
        "organization",
        [
            {
                "organizationid": seed.organization_id,
                "name": "holdfast",
                "languagecode": 1033,
                "expirechangetrackingindays": 7,
                "expiresubscriptionsindays": 90,
                "basecurrencyid": Reference("transactioncurrency", seed.currency_id),
            }
        ],
    )


def _currency(row_id: str, name: str, code: str, symbol: str, rate: str) -> _Row:
    return {
        "transactioncurrencyid": row_id,
        "currencyname": name,
        "isocurrencycode": code,
        "currencysymbol": symbol,
        "currencyprecision": 2,
        "exchangerate": Decimal(rate),
    }


def counted_ids() -> Callable[[], str]:
    """Return a maker of ids that counts: the same calls, the same ids."""
    numbers = count(1)
    return lambda: metadata_id("row", str(next(numbers)))
