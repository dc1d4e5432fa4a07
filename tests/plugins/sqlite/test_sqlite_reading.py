"""Long answers: chunk after chunk, beside a writer, and what is refused or explained."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any, Final, TypeAlias

import pytest

from holdfast.contracts import Delete, Layout, Order, Put, Query, Storage
from holdfast.errors import StorageError
from holdfast.filters import (
    EVERYTHING,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    In,
    IsNull,
    Like,
    Literal,
    Related,
    comparable,
    predicate,
)
from holdfast.model import Record
from holdfast.queries import Aggregate, DatePart, Join, JoinKind, Output, Selection, Sort
from holdfast.schema import Field, Kind
from holdfast.values import Cell
from holdfast_sqlite import _answers, _scan, connect_inline
from holdfast_sqlite._statement import Asked

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]
FIELDS: Final = (
    Field("id", Kind.KEY),
    Field("name", Kind.TEXT),
    Field("city", Kind.TEXT),
    Field("revenue", Kind.DECIMAL),
    Field("count", Kind.INTEGER),
    Field("made", Kind.DATETIME),
)
LAYOUT: Final = Layout("account", FIELDS, ("name", "count"))
POSITIONS: Final = {field.name: at for at, field in enumerate(FIELDS)}
NAMES: Final = ["Bergen", "BERGEN", "Ørsted", "ørsted", "STRASSE", "straße", "", "a"]
ID: Final = ColumnRef("id", Kind.KEY)
NAME: Final = ColumnRef("name", Kind.TEXT)
COUNT: Final = ColumnRef("count", Kind.INTEGER)
REVENUE: Final = ColumnRef("revenue", Kind.DECIMAL)
MADE: Final = ColumnRef("made", Kind.DATETIME)


def row(number: int, chance: Random) -> Record:
    def some(cells: list[Cell]) -> Cell:
        return None if chance.random() < 0.3 else chance.choice(cells)

    return (
        f"{number:03d}",
        some([*NAMES]),
        some([*NAMES]),
        some([Decimal("1.5"), Decimal("1.50"), Decimal(-2), Decimal(10)]),
        some([0, 1, 2]),
        some(["2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z"]),
    )


def ranked(field: Field, record: Record) -> tuple[Any, ...]:
    cell = comparable(field.kind, record[POSITIONS[field.name]])
    return (0,) if cell is None else (1, cell)


def in_order(records: list[Record], orders: tuple[Order, ...]) -> list[Record]:
    records = sorted(records, key=lambda record: str(record[0]))
    for order in reversed(orders):
        records.sort(key=partial(ranked, order.field), reverse=order.descending)
    return records


@pytest.fixture
async def storage(open_sqlite: Open, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Storage]:
    monkeypatch.setattr(_scan, "_CHUNK", 3)
    async with open_sqlite(connect=connect_inline) as opened:
        await opened.migrate([LAYOUT], version=1)
        yield opened


async def test_chunks_put_together_are_the_whole_answer_in_order(storage: Storage) -> None:
    """Over nulls, ties and cells that are equal but not the same, up and down."""
    chance = Random(7)
    records = [row(number, chance) for number in range(60)]
    await storage.write([Put("account", records)])
    wheres: list[Expression] = [
        EVERYTHING,
        Compare(Comparison.EQ, COUNT, Literal(1)),
        IsNull(NAME, negated=True),
        In(NAME, ("bergen", "Strasse")),
    ]
    for _ in range(300):
        fields = chance.sample(FIELDS, chance.randint(0, 3))
        orders = tuple(Order(field, chance.random() < 0.5) for field in fields)
        where, limit = chance.choice(wheres), chance.choice([None, 0, 2, 3, 7, 100])
        test = predicate(where, POSITIONS)
        wanted = in_order([record for record in records if test(record)], orders)[:limit]
        query = Query("account", where, orders, limit)
        assert [record async for record in storage.query(query)] == wanted, query


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("name", ["id", "name", "city", "revenue", "count"])
async def test_beside_a_writer_each_record_that_stays_is_seen_once(
    storage: Storage, name: str, *, descending: bool
) -> None:
    chance = Random(3)
    records = {f"{number:03d}": row(number, chance) for number in range(0, 90, 2)}
    await storage.write([Put("account", list(records.values()))])
    field = FIELDS[POSITIONS[name]]
    query = Query("account", order=(Order(field, descending=descending),))
    seen: list[Record] = []
    touched: set[Cell] = set()
    async for record in storage.query(query):
        seen.append(record)
        if len(seen) % 4 == 0:
            new, gone = row(chance.randrange(1, 90, 2), chance), f"{chance.randrange(0, 90, 2):03d}"
            touched |= {new[0], gone}
            await storage.write([Put("account", [new]), Delete("account", [gone])])
    stayed = [record for key, record in records.items() if key not in touched]
    assert len(touched) > 5
    assert [record for record in seen if record[0] not in touched] == in_order(stayed, query.order)


async def test_a_migration_between_two_chunks_ends_the_query_in_words(storage: Storage) -> None:
    chance = Random(1)
    await storage.write([Put("account", [row(number, chance) for number in range(9)])])
    query = storage.query(Query("account"))
    await anext(query)
    await storage.migrate([Layout("account", FIELDS[:3])], version=2)
    with pytest.raises(StorageError, match="the tables changed while they were read"):
        async for _ in query:
            pass


async def test_an_index_that_comes_between_two_chunks_changes_nothing(storage: Storage) -> None:
    chance = Random(1)
    records = [row(number, chance) for number in range(9)]
    await storage.write([Put("account", records)])
    order = (Order(FIELDS[2], descending=True),)
    query = storage.query(Query("account", order=order))
    seen = [await anext(query)]
    await storage.migrate([replace(LAYOUT, indexes=("city",))], version=2)
    seen += [record async for record in query]
    assert seen == in_order(records, order)


async def test_a_link_is_followed_as_soon_as_its_table_is_there(open_sqlite: Open) -> None:
    link = Related("other", ID, ID, Like(NAME, "ø%"))
    other = replace(LAYOUT, table="other")
    async with open_sqlite(connect=connect_inline) as storage:
        await storage.migrate([LAYOUT], version=1)
        assert not storage.runs(link)
        await storage.migrate([LAYOUT, other], version=2)
        assert storage.runs(link)
        chance = Random(1)
        rows = [row(number, chance) for number in range(40)]
        await storage.write([Put("account", rows), Put("other", rows)])
        wanted = [record for record in rows if str(record[1]).lower().startswith("ø")]
        assert [record async for record in storage.query(Query("account", link))] == wanted
        assert await storage.count("account", link) == len(wanted) > 0
    async with open_sqlite(connect=connect_inline) as storage:
        assert storage.runs(link)


# --- what is answered -----------------------------------------------------------------------------


def selection(*outputs: Output, **more: Any) -> Selection:
    return Selection("account", outputs, **more)


PLAIN: Final = Output("name", NAME)
REFUSED: Final = {
    "no such table": Selection("nowhere", (PLAIN,)),
    "no such column": selection(Output("x", ColumnRef("nope", Kind.KEY))),
    "no such source": selection(Output("x", replace(NAME, source="j"))),
    "nothing asked": selection(),
    "a sum of texts": selection(Output("x", NAME, Aggregate.SUM), grouped=True),
    "a part of a number": selection(Output("x", COUNT, part=DatePart.DAY), grouped=True),
    "an aggregate of one row": selection(Output("x", COUNT, Aggregate.MAXIMUM)),
    "no such output": selection(PLAIN, order=(Sort("other"),)),
    "groups by what they lack": selection(PLAIN, order=(Sort(COUNT),), grouped=True),
    "a function": selection(PLAIN, where=Call("f", ())),
    "a function in a join": selection(
        PLAIN, joins=(Join("j", "account", ID, ID, where=Call("f", ())),)
    ),
    "a join to nowhere": selection(PLAIN, joins=(Join("j", "nowhere", ID, ID),)),
    "a join by a column to come": selection(
        PLAIN,
        joins=(
            Join("i", "account", ID, replace(ID, source="j")),
            Join("j", "account", ID, ID),
        ),
    ),
    "too many tables": selection(
        PLAIN, joins=tuple(Join(f"j{n}", "account", ID, ID) for n in range(40))
    ),
    "no such zone": selection(Output("x", MADE, part=DatePart.DAY), zone="../../etc/passwd"),
}


@pytest.mark.parametrize("asked", REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_answered_is_not_said_to_be(
    storage: Storage, asked: Selection
) -> None:
    assert not storage.runs_selection(asked)
    with pytest.raises(StorageError):
        [record async for record in storage.select(asked)]


async def test_numbers_that_sqlite_cannot_hold_are_left_to_others(storage: Storage) -> None:
    for asked in (
        selection(PLAIN, limit=2**63),
        selection(PLAIN, offset=2**63),
        selection(PLAIN, order=(Sort(COUNT, ranks=((2**63, 1),)),)),
    ):
        assert not storage.runs_selection(asked)


async def test_sums_of_whole_numbers_may_be_larger_than_64_bits(storage: Storage) -> None:
    records = [(f"{n}", None, None, None, 2**63 - 1, None) for n in range(3)]
    await storage.write([Put("account", records)])
    asked = selection(
        Output("sum", COUNT, Aggregate.SUM),
        Output("mean", COUNT, Aggregate.AVERAGE),
        Output("distinct", COUNT, Aggregate.SUM, distinct=True),
        Output("nothing", REVENUE, Aggregate.SUM),
        grouped=True,
    )
    largest = 2**63 - 1
    found = [record async for record in storage.select(asked)]
    assert found == [(3 * largest, largest, largest, Decimal(0))]


async def test_joins_of_the_largest_number_are_answered(storage: Storage) -> None:
    await storage.write([Put("account", [("a", "A", None, None, None, None)])])
    joins = tuple(Join(f"j{n}", "account", ID, ID, JoinKind.FIRST) for n in range(30))
    last = Output("last", replace(NAME, source="j29"))
    asked = selection(PLAIN, last, joins=joins)
    assert storage.runs_selection(asked)
    assert [record async for record in storage.select(asked)] == [("A", "A")]


async def test_more_groups_than_memory_should_hold_are_refused_in_words(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_answers, "MOST_GROUPS", 5)
    await storage.write([Put("account", [(f"{n}", *[None] * 3, n, None) for n in range(6)])])
    for asked in (
        selection(Output("count", COUNT), grouped=True),
        selection(Output("count", COUNT), distinct=True),
    ):
        with pytest.raises(StorageError, match=r"more than 5 groups .* narrow it"):
            [record async for record in storage.select(asked)]
        limited = replace(asked, limit=5, offset=1)
        assert [record async for record in storage.select(limited)] == [(n,) for n in range(1, 6)]


@pytest.mark.parametrize("letter", ["a", "\ud7ff", chr(sys.maxunicode), "ß", "%"])
async def test_the_start_of_a_text_is_a_range_that_ends_where_it_should(
    storage: Storage, letter: str
) -> None:
    last = chr(sys.maxunicode)
    texts = ["", letter, f"{letter}{last}", f"{letter * 2}x", "b", "\ue000", f"{last}a", "t", "St"]
    await storage.write(
        [Put("account", [(f"{n}", text, *[None] * 4) for n, text in enumerate(texts)])]
    )
    for pattern in (f"{letter}%", f"{letter}{letter}%", f"{letter}_", f"{letter}[a-z]%"):
        where = Like(NAME, pattern)
        test = predicate(where, POSITIONS)
        found = [record[1] async for record in storage.query(Query("account", where))]
        assert found == [text for text in texts if test(("", text))]


# --- how it is answered ---------------------------------------------------------------------------


async def test_what_is_explained_is_the_sql_without_a_value_and_sqlites_plan(
    storage: Storage,
) -> None:
    where = Compare(Comparison.EQ, NAME, Literal("a secret"))
    sql, *plan = await storage.explain(Query("account", where, limit=5))
    assert sql.startswith('SELECT t."id", t."name"')
    assert "secret" not in sql
    assert plan == [
        "SEARCH t USING INDEX account.name (_holdfast_sqlite_key_name=?)",
    ]
    grouped = selection(PLAIN, Output("n", ID, Aggregate.COUNT), grouped=True, where=where)
    for asked in (replace(grouped, grouped=False, outputs=(PLAIN,)), grouped):
        sql, *plan = await storage.explain(asked)
        assert "secret" not in sql
        assert any("USING INDEX account.name" in line for line in plan)
    with pytest.raises(StorageError, match="nowhere"):
        await storage.explain(Query("nowhere"))


async def test_the_next_chunk_starts_where_the_last_one_ended(
    open_sqlite: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index leads there: no chunk reads again what was read, or sorts what is left."""
    plans: list[str] = []
    run = Asked.run

    def explained(asked: Asked, database: Any) -> list[Record]:
        plans.extend(asked.plan(database))
        return run(asked, database)

    monkeypatch.setattr(_scan, "_CHUNK", 3)
    monkeypatch.setattr(Asked, "run", explained)
    async with open_sqlite(connect=connect_inline) as storage:
        await storage.migrate([LAYOUT], version=1)
        chance = Random(1)
        await storage.write([Put("account", [row(number, chance) for number in range(40)])])
        for query in (
            Query("account"),
            Query("account", Compare(Comparison.EQ, COUNT, Literal(1))),
            Query("account", Compare(Comparison.EQ, NAME, Literal("bergen"))),
            Query("account", order=(Order(FIELDS[1]),)),
            Query("account", order=(Order(FIELDS[4]),)),
        ):
            plans.clear()
            assert [record async for record in storage.query(query)]
            assert len(plans) > 2
            assert not [line for line in plans if "TEMP B-TREE" in line]
            assert not [line for line in plans[1:] if line.startswith("SCAN")]
