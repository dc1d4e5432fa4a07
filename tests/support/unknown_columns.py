"""S-16: every place of a question where a column may stand, asked with one that is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, TypeAlias

from holdfast.contracts import Layout, Order, Put, Query, Storage
from holdfast.errors import StorageError
from holdfast.filters import (
    And,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    HasOption,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Related,
)
from holdfast.queries import Aggregate, DatePart, Join, JoinKind, Output, Selection, Sort
from holdfast.schema import Field, Kind

PEOPLE: Final = Layout(
    "people", (Field("id", Kind.KEY), Field("name", Kind.TEXT), Field("born", Kind.DATETIME))
)
ROWS: Final = [("a", "Ada", "1815-12-10T00:00:00Z"), ("b", "Bo", None)]
ID, NAME = ColumnRef("id", Kind.KEY), ColumnRef("name", Kind.TEXT)
#: A question and where its unknown column stands.
Asked: TypeAlias = tuple[str, Callable[[Storage], AsyncIterator[object]]]


async def fill(storage: Storage) -> None:
    """Make two tables with two rows each."""
    await storage.migrate([PEOPLE, Layout("others", PEOPLE.fields)], version=1)
    await storage.write([Put("people", ROWS), Put("others", ROWS)])


def _conditions(name: str) -> Iterator[tuple[str, Expression]]:
    for kind in Kind:
        column = ColumnRef(name, kind)
        yield f"null {kind.value}", IsNull(column)
        yield f"equal {kind.value}", Compare(Comparison.EQ, column, column)
    text, key = ColumnRef(name, Kind.TEXT), ColumnRef(name, Kind.KEY)
    yield "the name itself", Compare(Comparison.EQ, text, Literal(name))
    yield "swapped", Compare(Comparison.LE, Literal(name), text)
    yield "beside a column", Compare(Comparison.NE, NAME, text)
    yield "like", Like(text, f"%{name[:1]}%")
    yield "not like", Like(text, "x", negated=True)
    yield "in", In(text, (name,))
    yield "in nothing", In(text, ())
    yield "not in", In(key, ("x",), negated=True)
    yield "option", HasOption(key, (1,))
    yield "not option", HasOption(key, (1,), negated=True)
    yield "inside", Or((Not(And((IsNull(text, negated=True),))),))
    yield "link here", Related("others", ID, key, And())
    yield "link there", Related("others", key, ID, And())
    yield "through a link", Related("others", ID, ID, IsNull(text))


def _selections(name: str) -> Iterator[tuple[str, Selection]]:
    column = ColumnRef(name, Kind.TEXT)
    key, shown = ColumnRef(name, Kind.KEY), Output("shown", NAME)
    yield "output", Selection("people", (Output("x", column),))
    yield "order", Selection("people", (shown,), order=(Sort(column),))
    yield "ranked order", Selection("people", (shown,), order=(Sort(column, ranks=((1, 2),)),))
    yield "group", Selection("people", (Output("x", column),), grouped=True)
    yield "distinct", Selection("people", (Output("x", column),), distinct=True)
    part = Output("x", ColumnRef(name, Kind.DATETIME), part=DatePart.YEAR)
    yield "part of a date", Selection("people", (part,), grouped=True)
    for aggregate in Aggregate:
        if aggregate is not Aggregate.COUNT:  # it counts rows, whatever the column
            made = Output("x", ColumnRef(name, Kind.INTEGER), aggregate)
            yield aggregate.value, Selection("people", (made,), grouped=True)
    for kind in JoinKind:
        here = Join("o", "others", ID, key, kind)
        there = Join("o", "others", key, ID, kind)
        inside = Join("o", "others", ID, ID, kind, IsNull(ColumnRef(name, Kind.TEXT, "o")))
        for what, join in (("here", here), ("there", there), ("where", inside)):
            yield f"{kind.value} join {what}", Selection("people", (shown,), (join,))
        of_it = Output("x", ColumnRef(name, Kind.TEXT, "o"))
        joined = (Join("o", "others", ID, ID, kind),)
        yield f"output of {kind.value} join", Selection("people", (of_it,), joined)
    yield "where", Selection("people", (shown,), where=IsNull(column))


def every_place(name: str) -> Iterator[Asked]:
    """Yield a question for each place."""
    for what, where in _conditions(name):
        yield f"filter: {what}", lambda s, w=where: s.query(Query("people", w))  # type: ignore[misc]
    for kind in Kind:
        order = (Order(Field(name, kind)),)
        yield (
            f"order: {kind.value}",
            lambda s, o=order: s.query(Query("people", order=o)),  # type: ignore[misc]
        )
    for what, selection in _selections(name):
        yield f"selection: {what}", lambda s, q=selection: s.select(q)  # type: ignore[misc]


async def answered(storage: Storage, name: str) -> list[str]:
    """Return the places at which an unknown column is taken for something."""
    wrong = []
    for what, ask in every_place(name):
        try:
            async for _ in ask(storage):
                pass
        except StorageError:
            continue
        wrong.append(what)
    return wrong
