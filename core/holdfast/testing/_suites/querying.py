"""The promises of a storage about queries, also beside writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any, Final

import pytest

from holdfast.contracts import Delete, Order, Put, Query
from holdfast.filters import EVERYTHING, Call, ColumnRef, Expression, IsNull, comparable, predicate
from holdfast.model import Record
from holdfast.schema import Field, Kind
from holdfast.testing._suites.awkward import LAYOUT, expressions, first, second
from holdfast.testing._suites.stored import (
    MANY,
    Opener,
    everything,
    fill_awkward,
    read_sorted,
    write_people,
)
from holdfast.values import Cell

_POSITIONS: Final = {field.name: index for index, field in enumerate(LAYOUT.fields)}


def _rank(field: Field, record: Record) -> tuple[Any, ...]:  # Any: cells of one kind
    cell = comparable(field.kind, record[_POSITIONS[field.name]])
    return (0,) if cell is None else (1, cell)


def _sorted(rows: Sequence[Record], *order: Order) -> list[Cell]:
    """Return the keys in the order that a query promises."""
    ranked = list(rows)
    for one in reversed(order):
        ranked.sort(key=partial(_rank, one.field), reverse=one.descending)
    return [record[0] for record in ranked]


def _wrong(asked: Expression, found: Sequence[Record], rows: Sequence[Record]) -> str | None:
    """Describe how an answer differs from what the algebra means; None where it does not."""
    test = predicate(asked, _POSITIONS)
    missing = {row[0] for row in rows if test(row)} ^ {record[0] for record in found}
    return f"{asked}: wrong about rows {sorted(missing, key=str)}" if missing else None


class QueryingSuite:
    """Filters, orders, limits, and what a reader sees of a write."""

    async def test_it_runs_everything_and_no_function(self, opener: Opener) -> None:
        """The engine always asks for ``EVERYTHING``; a language's functions are the engine's."""
        async with opener() as storage:
            assert storage.runs(EVERYTHING)
            assert not storage.runs(Call("no-such-function", ()))

    @pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
    async def test_filters_mean_what_the_algebra_says(self, opener: Opener, kind: Kind) -> None:
        """Each node that it runs agrees with ``filters.predicate``, also over awkward rows."""
        async with opener() as storage:
            rows = await fill_awkward(storage)
            asked = [expression for expression in expressions(kind) if storage.runs(expression)]
            wrong = []
            for expression in asked:
                found = await everything(storage, Query(LAYOUT.table, expression))
                wrong.append(_wrong(expression, found, rows))
            assert [line for line in wrong if line] == []

    @pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
    async def test_a_count_is_the_number_of_records(self, opener: Opener, kind: Kind) -> None:
        """A count and a query of the same filter agree."""
        async with opener() as storage:
            await fill_awkward(storage)
            for expression in list(expressions(kind))[::5]:
                if storage.runs(expression):
                    found = await everything(storage, Query(LAYOUT.table, expression))
                    assert await storage.count(LAYOUT.table, expression) == len(found), expression

    @pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
    @pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
    async def test_order_is_that_of_the_kind(
        self, opener: Opener, kind: Kind, *, descending: bool
    ) -> None:
        """Nulls first ascending, last descending; ties by the key, ascending."""
        async with opener() as storage:
            rows = await fill_awkward(storage)
            for field in (first(kind), second(kind)):
                order = Order(field, descending=descending)
                found = await everything(storage, Query(LAYOUT.table, order=(order,)))
                assert [record[0] for record in found] == _sorted(rows, order)

    async def test_several_orders_come_after_each_other(self, opener: Opener) -> None:
        """The second one decides where the first sees no difference."""
        flag, text = first(Kind.BOOLEAN), second(Kind.TEXT)
        async with opener() as storage:
            rows = await fill_awkward(storage)
            for up, down in product((False, True), repeat=2):
                order = (Order(flag, descending=up), Order(text, descending=down))
                found = await everything(storage, Query(LAYOUT.table, order=order))
                assert [record[0] for record in found] == _sorted(rows, *order)

    async def test_a_limit_cuts_after_the_order(self, opener: Opener) -> None:
        """The first ones of the whole answer, not some of it."""
        order = (Order(first(Kind.DECIMAL), descending=True),)
        some = IsNull(ColumnRef(first(Kind.DECIMAL).name, Kind.DECIMAL), negated=True)
        async with opener() as storage:
            rows = await fill_awkward(storage)
            where = some if storage.runs(some) else EVERYTHING
            test = predicate(where, _POSITIONS)
            wanted = _sorted([row for row in rows if test(row)], *order)
            for limit in (0, 1, 7, len(wanted), len(wanted) + 1):
                found = await everything(storage, Query(LAYOUT.table, where, order, limit))
                assert [record[0] for record in found] == wanted[:limit]

    async def test_a_read_after_a_write_sees_it(self, opener: Opener) -> None:
        """Read, query and count, each right after the write returned."""
        async with opener() as storage:
            await write_people(storage)
            for number in range(1, 20):
                await storage.write([Put("people", [(f"p{number:02d}", "x", number)])])
                assert await read_sorted(storage, "people", f"p{number:02d}") != []
                assert await storage.count("people") == number
                assert len(await everything(storage, "people")) == number

    async def test_an_open_query_does_not_hold_up_a_write(self, opener: Opener) -> None:
        """And yields what did not change once, the rest as it was or as it is."""
        before = [(f"{n:05d}", "before", n) for n in range(MANY)]
        after = [(f"{n:05d}", "after", n) for n in range(0, MANY, 4)]
        async with opener() as storage:
            await write_people(storage, *before)
            query = storage.query(Query("people"))
            seen = [tuple(await anext(query))]
            async with asyncio.timeout(15):
                await storage.write(
                    [Put("people", after), Delete("people", [p[0] for p in before[1::4]])]
                )
                assert await storage.count("people") == MANY - len(before[1::4])
            seen += [tuple(record) async for record in query]
            keys = [str(record[0]) for record in seen]
            assert keys == sorted(set(keys))
            assert set(seen) <= {*before, *after}
            stayed = [*before[2::4], *before[3::4]]
            assert set(seen) >= set(stayed)
            assert set(keys) >= {record[0] for record in after}
            left = sorted([*after, *stayed], key=lambda person: str(person[0]))
            assert await everything(storage, "people") == [list(person) for person in left]

    async def test_a_query_may_be_left_early(self, opener: Opener) -> None:
        """Nothing stays open behind it."""
        async with opener() as storage:
            await write_people(storage, *((f"{n:05d}", "x", n) for n in range(MANY)))
            for _ in range(20):
                async for record in storage.query(Query("people")):
                    assert record[0] == "00000"
                    break
            await storage.write([Delete("people", ["00000"])])
            assert await storage.count("people") == MANY - 1

    async def test_two_queries_run_at_the_same_time(self, opener: Opener) -> None:
        """One for the page, one for the person in front of it."""
        async with opener() as storage:
            await write_people(storage, *((f"{n:03d}", "x", n) for n in range(300)))
            one, other = storage.query(Query("people")), storage.query(Query("people"))
            for number in range(300):
                assert (
                    list(await anext(one))
                    == list(await anext(other))
                    == [f"{number:03d}", "x", number]
                )
            assert [record async for record in one] == [record async for record in other] == []

    async def test_nobody_sees_half_a_write(self, opener: Opener) -> None:
        """Two records that are always written together are always read together."""
        rounds = 50
        async with opener() as storage:
            await write_people(storage, ("a", "pair", 0), ("b", "pair", 0))

            async def write() -> None:
                for number in range(1, rounds + 1):
                    await storage.write(
                        [
                            Put("people", [("a", "pair", number)]),
                            Put("people", [("b", "pair", number)]),
                        ]
                    )

            async def watch() -> None:
                last = 0
                while last < rounds:
                    await asyncio.sleep(0)  # a storage may answer without waiting for anything
                    one, other = await read_sorted(storage, "people", "a", "b")
                    assert one[2] == other[2]
                    assert isinstance(one[2], int)
                    assert one[2] >= last
                    last = one[2]
                    one, other = await everything(storage, "people")
                    assert one[2] == other[2]

            async with asyncio.timeout(15), asyncio.TaskGroup() as group:
                group.create_task(write())
                group.create_task(watch())
