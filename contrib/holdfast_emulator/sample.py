"""Sample rows: believable, European, and the same for the same seed.

Invariant: row number ``n`` of a table depends on the seed and ``n`` alone, except for how many rows
there are to point to; no row points to one that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final, TypeAlias, TypeVar

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.dataverse import Dataverse

_T = TypeVar("_T")
_Cells: TypeAlias = dict[str, Cell | Reference]
_MASK: Final = 2**64 - 1

#: Per cent of all rows; tasks take what rounding leaves.
SHARES: Final[Mapping[str, int]] = {"account": 30, "contact": 35, "opportunity": 15, "task": 20}
COLLEAGUES: Final = ("Kari Nordmann", "Søren Kjær", "Łukasz Wójcik", "Zoë Núñez", "Jürgen Groß")

_FIRST: Final = (
    *("Åse", "Bjørn", "Øystein", "Ingrid", "Kåre", "Sæunn", "Jürgen", "Zoë", "Łukasz", "Chloé"),
    *("Marie", "Anna", "Søren", "Jørgen", "Märta", "Beñat", "Siân", "Þóra", "Đorđe", "Nils"),
)
_LAST: Final = (
    *("Ødegård", "Hansen", "Bø", "Ærø", "Müller", "Groß", "Nordmann", "Kjær", "Wójcik", "Núñez"),
    *("O'Neil", "Lefèvre", "Håkansson", "Šimić", "Çelik", "Virtanen", "Ñíguez", "d'Arc", "Lund"),
)
_PLACES: Final = (
    *(("Bergen", "Norway", "47", 60.39299, 5.32415), ("Tromsø", "Norway", "47", 69.6489, 18.95508)),
    *(("Århus", "Denmark", "45", 56.15674, 10.21076), ("Köln", "Germany", "49", 50.93333, 6.95)),
    *(
        ("Ålesund", "Norway", "47", 62.47225, 6.15492),
        ("Malmö", "Sweden", "46", 55.60587, 13.00073),
    ),
    *(("Łódź", "Poland", "48", 51.75, 19.46667), ("Besançon", "France", "33", 47.24878, 6.01815)),
    *(("A Coruña", "Spain", "34", 43.37135, -8.396), ("Rīga", "Latvia", "371", 56.946, 24.10589)),
)
_TRADES: Final = (
    *("Marine", "Elektro", "Fjordkraft", "Möbelhaus", "Bryggeri", "Rør & Varme", "Énergie"),
    *("Fisk", "Maskin", "Bygg 100 %", "Data_Service", "Café [Sentrum]", "Ship's Supply"),
)
_FORMS: Final = ("AS", "ASA", "A/S", "GmbH", "AB", "S.A.", "Oy", "ApS", "e.K.")
_STREETS: Final = ("Strandgaten", "Østre Allé", "Hauptstraße", "Kirkegårdsvej", "Rue de l'Église")
_JOBS: Final = ("Daglig leder", "Technician", "Käufer", "Ingénieur", "Økonomisjef", "Intern ✓")
#: One grey pixel, as PNG in base64.
_PICTURE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)
_WORK: Final = (
    "Call",
    "Inspect pump",
    "Kundebesøk",
    "Angebot prüfen",
    "Send reservedeler",
    "Visit",
)


class _Dice:
    """Numbers that depend on a key only (splitmix64)."""

    __slots__ = ("_state",)

    def __init__(self, key: int) -> None:
        self._state = key * 0x9E3779B97F4A7C15 & _MASK

    def bits(self) -> int:
        """Return the next 64 bits."""
        self._state = state = self._state + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        return state ^ state >> 31

    def below(self, limit: int) -> int:
        """Return a number from 0 up to, not including, the limit."""
        return self.bits() % limit

    def pick(self, choices: Sequence[_T]) -> _T:
        """Return one of the choices."""
        return choices[self.bits() % len(choices)]

    def maybe(self, percent: int, value: _T) -> _T | None:
        """Return the value so many times in a hundred, else None."""
        return value if self.bits() % 100 < percent else None


@dataclass(frozen=True)
class Sample:
    """A set of sample rows.

    :param rows: how many in all
    :param until: the youngest moment in the rows; the oldest is two years before
    """

    rows: int
    until: datetime
    seed: int = 1
    _ids: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def load(self, dataverse: Dataverse) -> Mapping[str, int]:
        """Insert the rows and return how many there are of each table."""
        colleagues = [dataverse.add_user(name) for name in COLLEAGUES]
        users = [*dataverse.security.users(), *colleagues]
        owners = [
            *(Reference("systemuser", user.id) for user in users),
            Reference("team", dataverse.seed.team_id),
        ]
        currencies = [dataverse.seed.currency_id] * 4 + [dataverse.seed.euro_id]
        makers = {
            "account": self._account,
            "contact": self._contact,
            "opportunity": self._opportunity,
            "task": self._task,
        }
        counts = self.counts()
        for table, make in makers.items():
            dataverse.load(table, self._rows(make, table, owners, currencies))
        return counts

    def counts(self) -> Mapping[str, int]:
        """Return how many rows each table gets."""
        return self._counts

    @cached_property
    def _counts(self) -> Mapping[str, int]:
        counts = {table: self.rows * share // 100 for table, share in SHARES.items()}
        counts["task"] += self.rows - sum(counts.values())
        return counts

    def row_id(self, table: str, number: int) -> str:
        """Return the id of row ``number`` of a table, the same object each time."""
        if table not in self._ids:
            count = self.counts()[table]
            self._ids[table] = [self._made_id(table, made) for made in range(count)]
        return self._ids[table][number]

    def _made_id(self, table: str, number: int) -> str:
        code = list(SHARES).index(table)
        dice = _Dice((self.seed << 48) + (code << 40) + number)
        text = f"{dice.bits():016x}{dice.bits():016x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def _rows(
        self,
        make: Callable[[int, _Dice], _Cells],
        table: str,
        owners: Sequence[Reference],
        currencies: Sequence[str],
    ) -> Iterator[_Cells]:
        code = list(SHARES).index(table)
        for number in range(self.counts()[table]):
            dice = _Dice((self.seed << 48) + (code << 40) + number + 0xC0FFEE)
            row = make(number, dice)
            created = timedelta(seconds=dice.below(2 * 365 * 86400))
            row["createdon"] = row["modifiedon"] = _moment(self.until - created)
            row["ownerid"] = dice.pick(owners)
            if table != "task":
                currency = dice.pick(currencies)
                row["transactioncurrencyid"] = Reference("transactioncurrency", currency)
            yield row

    def _reference(self, table: str, number: int) -> Reference | None:
        count = self._counts[table]
        return Reference(table, self.row_id(table, number % count)) if count else None

    def _account(self, number: int, dice: _Dice) -> _Cells:
        city, country, prefix, latitude, longitude = dice.pick(_PLACES)
        name = f"{dice.pick(_LAST)} {dice.pick(_TRADES)} {dice.pick(_FORMS)}"
        active = dice.below(10) > 0
        parent = self._reference("account", number // 7) if number % 7 == 3 else None
        return {
            "accountid": self.row_id("account", number),
            "name": name,
            "accountnumber": f"A{number:07d}",
            "telephone1": f"+{prefix} {dice.below(10**8):08d}",
            "fax": dice.maybe(20, f"+{prefix} {dice.below(10**8):08d}"),
            "emailaddress1": dice.maybe(80, f"post{number}@example.com"),
            "websiteurl": dice.maybe(60, f"https://www.example.com/{number}"),
            "description": dice.maybe(30, f"{name}\n{city}: «gammel kunde»"),
            "address1_line1": f"{dice.pick(_STREETS)} {1 + dice.below(120)}",
            "address1_postalcode": f"{dice.below(10000):04d}",
            "address1_city": city,
            "address1_country": country,
            "address1_latitude": dice.maybe(70, latitude),
            "address1_longitude": dice.maybe(70, longitude),
            "numberofemployees": dice.maybe(75, 1 + dice.below(5000)),
            "revenue": dice.maybe(70, _amount(dice, 10**11)),
            "creditlimit": dice.maybe(40, _amount(dice, 10**8)),
            "creditonhold": dice.below(20) == 0,
            "donotemail": dice.below(5) == 0,
            "industrycode": dice.maybe(80, dice.pick((1, 2, 6, 12, 20, 33))),
            "accountcategorycode": dice.maybe(50, 1 + dice.below(2)),
            "new_services": dice.maybe(60, dice.pick(("1", "1,9", "2,3", "1,2,3,9,12"))),
            "new_loyaltyscore": dice.maybe(50, Decimal(dice.below(10**9) - 10**8).scaleb(-4)),
            "lastonholdtime": dice.maybe(10, self._some_moment(dice)),
            "new_opensat": dice.maybe(40, self._some_moment(dice).removesuffix("Z")),
            "primarycontactid": dice.maybe(80, self._reference("contact", number)),
            "parentaccountid": parent,
            "stageid": dice.maybe(10, self._made_id("task", number)),
            **self._files(number, dice),
            "statecode": 0 if active else 1,
            "statuscode": 1 if active else 2,
        }

    def _files(self, number: int, dice: _Dice) -> _Cells:
        if dice.below(10):
            return {}
        return {
            "entityimage": _PICTURE,
            "entityimageid": self._made_id("opportunity", number),
            "entityimage_timestamp": 638_000_000_000_000_000 + number,
            "entityimage_url": f"/Image/download.aspx?Entity=account&Timestamp={number}",
            "new_contract": self._made_id("contact", number),
            "new_contract_name": f"avtale-{number}.pdf",
        }

    def _contact(self, number: int, dice: _Dice) -> _Cells:
        city, country, prefix, _, _ = dice.pick(_PLACES)
        parent = "contact" if number % 20 == 19 else "account"
        born = datetime(1950, 1, 1, tzinfo=UTC) + timedelta(days=dice.below(20000))
        return {
            "contactid": self.row_id("contact", number),
            "firstname": dice.maybe(95, dice.pick(_FIRST)),
            "lastname": dice.pick(_LAST),
            "jobtitle": dice.maybe(70, dice.pick(_JOBS)),
            "emailaddress1": dice.maybe(90, f"person{number}@example.com"),
            "telephone1": dice.maybe(60, f"+{prefix} {dice.below(10**8):08d}"),
            "mobilephone": f"+{prefix} {dice.below(10**8):08d}",
            "description": dice.maybe(20, "Ringes helst før kl. 10"),
            "address1_line1": f"{dice.pick(_STREETS)} {1 + dice.below(120)}",
            "address1_postalcode": f"{dice.below(10000):04d}",
            "address1_city": city,
            "address1_country": country,
            "birthdate": dice.maybe(60, born.date().isoformat()),
            "gendercode": dice.maybe(50, 1 + dice.below(2)),
            "donotemail": dice.below(8) == 0,
            "annualincome": dice.maybe(20, _amount(dice, 10**8)),
            "parentcustomerid": dice.maybe(90, self._reference(parent, number // 20)),
        }

    def _opportunity(self, number: int, dice: _Dice) -> _Cells:
        state, status = dice.pick(((0, 1), (0, 1), (0, 2), (1, 3), (2, 4)))
        due = self.until + timedelta(days=dice.below(400) - 200)
        account = self._reference("account", dice.below(10**9))
        person = self._reference("contact", dice.below(10**9))
        return {
            "opportunityid": self.row_id("opportunity", number),
            "name": f"{dice.pick(_WORK)} / {dice.pick(_TRADES)} #{number}",
            "description": dice.maybe(30, "Første møte gikk bra.\nNeste: tilbud."),
            "customerid": account if number % 4 else person,
            "parentaccountid": account,
            "parentcontactid": dice.maybe(60, person),
            "estimatedvalue": dice.maybe(90, _amount(dice, 10**9)),
            "actualvalue": _amount(dice, 10**9) if state == 1 else None,
            "closeprobability": dice.maybe(80, dice.below(101)),
            "estimatedclosedate": dice.maybe(85, due.date().isoformat()),
            "actualclosedate": self.until.date().isoformat() if state else None,
            "opportunityratingcode": 1 + dice.below(3),
            "statecode": state,
            "statuscode": status,
        }

    def _task(self, number: int, dice: _Dice) -> _Cells:
        state, status = dice.pick(((0, 2), (0, 3), (0, 7), (1, 5), (2, 6)))
        regarding = dice.pick(("account", "contact", "opportunity"))
        due = self._some_moment(dice)
        return {
            "activityid": self.row_id("task", number),
            "subject": f"{dice.pick(_WORK)}: {dice.pick(_FIRST)}",
            "description": dice.maybe(40, "Ta med nøkkel, måler og kaffe ☕"),
            "regardingobjectid": dice.maybe(85, self._reference(regarding, dice.below(10**9))),
            "scheduledstart": dice.maybe(50, due),
            "scheduledend": dice.maybe(90, due),
            "actualend": due if state == 1 else None,
            "prioritycode": dice.below(3),
            "percentcomplete": 100 if state == 1 else dice.below(100),
            "actualdurationminutes": dice.maybe(60, 15 * dice.below(20)),
            "isbilled": dice.below(4) == 0,
            "statecode": state,
            "statuscode": status,
        }

    def _some_moment(self, dice: _Dice) -> str:
        return _moment(self.until - timedelta(minutes=15 * dice.below(70000)))


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


def _amount(dice: _Dice, limit: int) -> Decimal:
    return Decimal(dice.below(limit)).scaleb(-2)
