"""Whole questions, held against an evaluation that only reads well."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Final, TypeAlias

import pytest

from holdfast.contracts import Delete, Layout, Put, Storage
from holdfast.errors import StorageError
from holdfast.filters import (
    EVERYTHING,
    And,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Related,
)
from holdfast.model import FiscalCalendar, FiscalPeriod, Record
from holdfast.queries import Aggregate, DatePart, Join, JoinKind, Output, Selection, Sort
from holdfast.schema import DateBehavior, Field, Kind
from holdfast.values import Cell
from holdfast_sqlite import _scan, connect_inline
from support.naive_selection import Naive

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]
C: Final = Comparison
FIELDS: Final = (
    Field("id", Kind.KEY),
    Field("name", Kind.TEXT),
    Field("city", Kind.TEXT),
    Field("parent", Kind.KEY),
    Field("revenue", Kind.DECIMAL),
    Field("count", Kind.INTEGER),
    Field("ratio", Kind.REAL),
    Field("active", Kind.BOOLEAN),
    Field("made", Kind.DATETIME),
    Field("born", Kind.KEY),
)
LAYOUTS: Final = {
    "account": Layout("account", FIELDS, ("name", "parent", "revenue", "count", "made")),
    "contact": Layout("contact", FIELDS, ("parent", "city")),
}
IDS: Final = [f"{number:02d}" for number in range(12)]
POOLS: Final[dict[str, list[Cell]]] = {
    "name": ["Bergen", "BERGEN", "Ørsted", "ørsted", "straße", "STRASSE", "a", ""],
    "city": ["Oslo", "oslo", "Tromsø", "TROMSØ", "Å"],
    "parent": [*IDS, "nowhere"],
    "revenue": [Decimal(t) for t in ("1.5", "1.50", "-2", "10", "0.1", "12345678901.1234567891")],
    "count": [0, 1, 2, -7, 2**53 + 1, 5],
    "ratio": [0.1, 0.2, 0.30000000000000004, -1.5, 1e16],
    "active": [True, False],
    "made": [
        "2023-12-31T23:30:00Z",
        "2024-01-01T00:00:00Z",
        "2024-02-29T12:00:00.5Z",
        "2024-03-31T22:30:00Z",
        "2024-07-01T00:00:00Z",
    ],
    "born": ["2024-01-06", "2024-01-07", "2023-12-31", "1999-07-15"],
}
MONTHLY: Final = FiscalCalendar(4, 6, FiscalPeriod.MONTHLY)


def column(name: str, source: str = "") -> ColumnRef:
    return ColumnRef(name, next(f.kind for f in FIELDS if f.name == name), source)


def rows(chance: Random, most: int) -> list[Record]:
    return [
        (
            key,
            *(None if chance.random() < 0.3 else chance.choice(POOLS[f.name]) for f in FIELDS[1:]),
        )
        for key in sorted(chance.sample(IDS, chance.randint(0, most)))
    ]


class Asker:
    """Makes up questions."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.pick = self.chance.choice
        self.sources = [""]

    def often(self, part: float = 0.5) -> bool:
        return self.chance.random() < part

    def some_column(self, source: str | None = None) -> ColumnRef:
        name = self.pick([f.name for f in FIELDS])
        return column(name, self.pick(self.sources) if source is None else source)

    def condition(self, source: str | None = None, depth: int = 2) -> Expression:
        at = self.some_column(source)
        pool = IDS if at.name == "id" else POOLS[at.name]
        kind = self.chance.randint(0, 7 if depth else 4)
        match kind:
            case 0:
                return IsNull(at, self.often())
            case 1:
                other = self.pick(self.sources) if source is None else source
                return Compare(self.pick(list(C)), at, replace(at, source=other))
            case 2:
                return In(at, tuple(self.chance.sample(pool, 2)), self.often())
            case 3:
                return Like(column("name", at.source), self.pick(["%e%", "ø%", "%n", "B_rgen"]))
            case 4:
                return Compare(self.pick(list(C)), at, Literal(self.pick(pool)))
            case 5:
                part = self.condition(source, depth - 1), self.condition(source, depth - 1)
                return And(part) if self.often() else Or(part)
            case 6:
                return Not(self.condition(source, depth - 1))
            case _:
                table, own = self.pick(list(LAYOUTS)), self.pick(["id", "parent"])
                field = self.pick(["id", "parent", "born"])
                inner = self.condition("", depth - 1)
                return Related(table, column(field), column(own, at.source), inner)

    def joins(self) -> tuple[Join, ...]:
        joins = []
        for number in range(self.pick([0, 0, 1, 1, 2])):
            alias = f"j{number}"
            field, other = self.pick(
                [("id", "parent"), ("parent", "id"), ("city", "city"), ("count", "count")]
            )
            from_source = self.pick(self.sources)
            where = self.condition(alias) if self.often() else EVERYTHING
            joins.append(
                Join(
                    alias,
                    self.pick(list(LAYOUTS)),
                    column(field),
                    column(other, from_source),
                    self.pick(list(JoinKind)),
                    where,
                )
            )
            self.sources.append(alias)
        return tuple(joins)

    def output(self, name: str, *, grouped: bool) -> Output:
        if grouped and self.often(0.6):
            aggregate = self.pick(list(Aggregate))
            numbers = aggregate in (Aggregate.SUM, Aggregate.AVERAGE)
            at = self.some_column()
            if numbers:
                at = column(self.pick(["revenue", "count", "ratio"]), at.source)
            return Output(name, at, aggregate, distinct=self.often(0.3))
        if self.often(0.3):
            dated = self.pick(["made", "born"])
            behavior = DateBehavior.USER_LOCAL if dated == "made" else DateBehavior.DATE_ONLY
            return Output(
                name,
                column(dated, self.pick(self.sources)),
                part=self.pick(list(DatePart)),
                behavior=behavior,
                local=self.often(),
            )
        return Output(name, self.some_column())

    def sort(self, outputs: tuple[Output, ...], *, grouped: bool) -> Sort:
        if grouped or self.often(0.3):
            return Sort(self.pick(outputs).name, descending=self.often())
        by, ranks = self.some_column(), ()
        if by.name == "count" and self.often():
            return Sort(by, descending=self.often(), ranks=((2, 0), (0, 1), (1, 2)))
        return Sort(by, self.often(), ranks)

    def selection(self) -> Selection:
        grouped = self.often(0.4)
        joins = self.joins()
        outputs = tuple(
            self.output(f"o{at}", grouped=grouped) for at in range(self.chance.randint(1, 4))
        )
        order = tuple(self.sort(outputs, grouped=grouped) for _ in range(self.pick([0, 1, 1, 2])))
        return Selection(
            self.pick(list(LAYOUTS)),
            outputs,
            joins,
            self.condition() if self.often(0.6) else EVERYTHING,
            order,
            grouped,
            distinct=not grouped and self.often(0.3),
            limit=self.pick([None, None, 1, 5, 12]),
            offset=self.pick([0, 0, 0, 1, 4]),
            zone=self.pick(["UTC", "Europe/Oslo", "America/New_York"]),
            fiscal=self.pick([FiscalCalendar(), FiscalCalendar(7, 1), MONTHLY]),
        )


@pytest.fixture
async def storage(open_sqlite: Open) -> AsyncIterator[Storage]:
    async with open_sqlite(connect=connect_inline) as opened:
        await opened.migrate(list(LAYOUTS.values()), version=1)
        yield opened


async def refill(storage: Storage, tables: dict[str, list[Record]]) -> None:
    for table, records in tables.items():
        await storage.write([Delete(table, IDS), Put(table, records)])


@pytest.mark.parametrize("block", range(6))
async def test_a_selection_means_what_it_says(
    storage: Storage, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joins, groups, aggregates, distinct, order and limits, in chunks of three records."""
    monkeypatch.setattr(_scan, "_CHUNK", 3)
    filled = 0
    for seed in range(block * 200, block * 200 + 200):
        asker = Asker(seed)
        if seed % 10 == 0:
            tables = {name: rows(asker.chance, 12) for name in LAYOUTS}
            await refill(storage, tables)
        selection = asker.selection()
        assert storage.runs_selection(selection), (seed, selection)
        found = [record async for record in storage.select(selection)]
        wanted = Naive(LAYOUTS, tables).answer(selection)
        assert found == wanted, (seed, selection)
        assert [list(map(type, record)) for record in found] == [
            list(map(type, record)) for record in wanted
        ], (seed, selection)
        filled += bool(wanted)
    assert filled > 80


@pytest.mark.parametrize(
    ("day", "calendar", "year", "period"),
    [
        ("2024-01-28", FiscalCalendar(1, 1, FiscalPeriod.FOUR_WEEKS), 2024, 1),
        ("2024-01-29", FiscalCalendar(1, 1, FiscalPeriod.FOUR_WEEKS), 2024, 2),
        ("2024-12-31", FiscalCalendar(1, 1, FiscalPeriod.FOUR_WEEKS), 2024, 13),
        ("2024-03-31", FiscalCalendar(4, 1, FiscalPeriod.QUARTERLY), 2023, 4),
        ("2024-04-01", FiscalCalendar(4, 1, FiscalPeriod.QUARTERLY), 2024, 1),
        ("2024-02-29", FiscalCalendar(1, 31, FiscalPeriod.MONTHLY), 2024, 2),
        ("2024-02-28", FiscalCalendar(1, 31, FiscalPeriod.MONTHLY), 2024, 1),
        ("2024-06-30", FiscalCalendar(7, 1, FiscalPeriod.ANNUALLY), 2023, 1),
        ("2024-12-31", FiscalCalendar(7, 1, FiscalPeriod.SEMIANNUALLY), 2024, 1),
        ("2025-01-01", FiscalCalendar(7, 1, FiscalPeriod.SEMIANNUALLY), 2024, 2),
    ],
)
async def test_a_day_is_in_the_fiscal_period_that_the_calendar_says(
    storage: Storage, day: str, calendar: FiscalCalendar, year: int, period: int
) -> None:
    await storage.write([Put("account", [("a", *[None] * 8, day)])])
    asked = Selection(
        "account",
        (
            Output("year", column("born"), part=DatePart.FISCAL_YEAR),
            Output("period", column("born"), part=DatePart.FISCAL_PERIOD),
        ),
        fiscal=calendar,
    )
    count = calendar.period.value
    found = [record async for record in storage.select(asked)]
    assert found == [(year, year * count + period - 1)]


async def test_a_sum_beyond_what_a_float_holds_is_an_error_and_not_null(storage: Storage) -> None:
    largest = [(key, *[None] * 5, 1.7e308, *[None] * 3) for key in ("a", "b")]
    await storage.write([Put("account", largest)])
    asked = Selection("account", (Output("sum", column("ratio"), Aggregate.SUM),), grouped=True)
    with pytest.raises(StorageError):
        [record async for record in storage.select(asked)]
