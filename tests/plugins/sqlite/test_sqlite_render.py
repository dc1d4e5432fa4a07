from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.contracts import Layout
from holdfast.errors import StorageError
from holdfast.filters import (
    EVERYTHING,
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    HasOption,
    In,
    InState,
    IsCaller,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Related,
    RowMark,
    Who,
    comparable,
    predicate,
)
from holdfast.model import Record
from holdfast.schema import Field, Kind
from holdfast.values import Cell
from holdfast_sqlite._cells import decimal_key, decimal_text, number_of
from holdfast_sqlite._file import upgrade
from holdfast_sqlite._functions import register_functions
from holdfast_sqlite._layouts import StoredTable, migrate
from holdfast_sqlite._render import Scope, render
from holdfast_sqlite._understood import is_understood

#: Two columns of each kind, so that columns can be compared with each other; one has an index.
FIELDS: Final = (
    Field("id", Kind.INTEGER),
    *(Field(f"{kind.value}_{side}", kind) for kind in Kind for side in ("left", "right")),
    Field("options", Kind.KEY),
)
INDEXED: Final = tuple(field.name for field in FIELDS if field.name.endswith("_left"))
LAYOUT: Final = Layout("sample", FIELDS, INDEXED)
LAYOUTS: Final = (LAYOUT, replace(LAYOUT, table="second"), replace(LAYOUT, table="third"))
TABLES: Final = {layout.table: StoredTable(layout) for layout in LAYOUTS}
POSITIONS: Final = {field.name: at for at, field in enumerate(FIELDS)}
LETTERS: Final = "aAbZz0 %_[]^-\\'\"ßſØøéÉıİ\u212ae\u0301😀"
TEXTS: Final = st.text(LETTERS, max_size=4) | st.sampled_from(["", "straße", "STRASSE", "É"])
PATTERNS: Final = TEXTS | st.tuples(
    st.sampled_from(["", "%", "_", "[a-z]"]),
    st.text(f"{LETTERS}\U0010ffff\ud7ff", max_size=2),
    st.sampled_from(["", "%", "%%", "%a", "_"]),
).map("".join)
TIMES: Final = [
    "2024-06-12T14:13:17Z",
    "2024-06-12T14:13:17.5Z",
    "2024-06-12T14:13:17",
    "2024-06-12T14:13:16.999999Z",
    "2024-06-12T14:13:18Z",
    "0001-01-01T00:00:00",
]
NUMBERS: Final = [0, 1, -1, 2, 10, 2**53 + 1, 2**63 - 1, -(2**63)]
AMOUNTS: Final = [
    Decimal(text)
    for text in (
        *("0", "-0.0", "9", "10", "-9", "-10", "1.5", "1.50", "-1.5", "-1.55"),
        *("12345678901.1234567891", "12345678901.1234567892", "1E+3", "1E-7", "-1E-7"),
    )
]
DECIMALS: Final = st.decimals(-20, 20, allow_nan=False, places=2) | st.sampled_from(AMOUNTS)
POOLS: Final[Mapping[Kind, Sequence[Cell]]] = {
    Kind.TEXT: ["", "straße", "STRASSE", "É", "e\u0301", "Ø", "ø", "a", "A%"],
    Kind.KEY: ["", "a", "A", "Ø", "ø"],
    Kind.INTEGER: NUMBERS,
    Kind.REAL: [0.0, -1.5, 0.1, 0.30000000000000004, 1e300, 2.0**53],
    Kind.DECIMAL: AMOUNTS,
    Kind.BOOLEAN: [False, True],
    Kind.DATETIME: TIMES,
}


def cells(field: Field) -> st.SearchStrategy[Cell]:
    """Return cells that a field is compared with."""
    pool = st.sampled_from([None, *POOLS[field.kind]])
    if field.kind is Kind.DECIMAL:
        return pool | DECIMALS
    return pool | TEXTS if field.kind in (Kind.TEXT, Kind.KEY) else pool


def rows(chance: Random, most: int = 4) -> list[Record]:
    """Return random rows: drawing each cell with Hypothesis would take most of the time."""
    return [
        (at, *(None if chance.random() < 0.3 else cell(chance, field) for field in FIELDS[1:]))
        for at in range(chance.randint(1, most))
    ]


def cell(chance: Random, field: Field) -> Cell:
    if field.name == "options":
        some = chance.sample([1, 2, 12, -3], chance.randint(1, 3))
        return ",".join(map(str, sorted(some)))
    if field.kind in (Kind.TEXT, Kind.KEY) and chance.random() < 0.5:
        return "".join(chance.choices(LETTERS, k=chance.randint(0, 4)))
    return chance.choice(POOLS[field.kind])


@st.composite
def leaves(draw: st.DrawFn) -> Expression:
    field = draw(st.sampled_from(FIELDS[1:-1]))
    column = ColumnRef(field.name, field.kind)
    negated = draw(st.booleans())
    match draw(st.integers(0, 5)):
        case 0:
            return IsNull(column, negated)
        case 1:
            return In(column, tuple(draw(st.lists(cells(field), max_size=3))), negated)
        case 2:
            text = draw(st.sampled_from([Kind.TEXT, Kind.KEY]))
            side = draw(st.sampled_from(["left", "right"]))
            pattern = draw(PATTERNS)
            return Like(ColumnRef(f"{text.value}_{side}", text), pattern, negated)
        case 3:
            other = ColumnRef(f"{field.kind.value}_right", field.kind)
            return Compare(draw(st.sampled_from(Comparison)), column, other)
        case 4:
            options = tuple(draw(st.lists(st.sampled_from([1, 2, 12, -3, 9]), max_size=3)))
            return HasOption(ColumnRef("options", Kind.KEY), options, negated)
        case _:
            sides = (column, Literal(draw(cells(field))))
            left, right = sides if draw(st.booleans()) else sides[::-1]
            return Compare(draw(st.sampled_from(Comparison)), left, right)


@st.composite
def links(draw: st.DrawFn, inner: st.SearchStrategy[Expression]) -> Expression:
    kind = draw(st.sampled_from([*Kind, Kind.INTEGER, Kind.BOOLEAN]))
    field, own = (
        ColumnRef(f"{kind.value}_{draw(st.sampled_from(['left', 'right']))}", kind)
        for _ in range(2)
    )
    table = draw(st.sampled_from(LAYOUTS)).table
    return Related(table, field, own, draw(inner | st.just(EVERYTHING)))


EXPRESSIONS: Final[st.SearchStrategy[Expression]] = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
        links(inner),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    register_functions(connection)
    upgrade(connection)
    migrate(connection, LAYOUTS, 1)
    yield connection
    connection.close()


class Rows:
    """The rows of all tables, found the slow way."""

    def __init__(self, tables: Mapping[str, Sequence[Record]]) -> None:
        self._tables = tables

    def positions(self, _: str) -> Mapping[str, int]:
        return POSITIONS

    def rows(self, table: str, field: str, cell: Cell) -> Iterable[Record]:
        at = POSITIONS[field]
        kind = FIELDS[at].kind
        wanted = comparable(kind, cell)
        return [row for row in self._tables[table] if comparable(kind, row[at]) == wanted]


def fill(database: sqlite3.Connection, table: str, records: Sequence[Record]) -> None:
    stored = TABLES[table]
    database.execute(f"DELETE FROM {table}")
    database.executemany(stored.put, stored.encoder.encode(records))


def answer(
    database: sqlite3.Connection, records: Sequence[Record], expression: Expression
) -> list[bool | None]:
    """Return what SQLite says of each record."""
    fill(database, "sample", records)
    scope = Scope.of(TABLES, "sample")
    condition = render(expression, scope)
    sql = f"SELECT {condition} FROM {scope.source().from_sql} ORDER BY t.id"
    found = database.execute(sql, scope.parameters.values).fetchall()
    return [None if truth is None else bool(truth) for (truth,) in found]


@settings(
    max_examples=2500,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**32), expression=EXPRESSIONS)
def test_sqlite_is_true_false_or_unknown_exactly_where_the_algebra_is(
    database: sqlite3.Connection, seed: int, expression: Expression
) -> None:
    assert is_understood(expression, TABLES)
    chance = Random(seed)
    tables = {layout.table: rows(chance) for layout in LAYOUTS}
    for table, records in tables.items():
        fill(database, table, records)
    test = predicate(expression, POSITIONS, related=Rows(tables))
    assert answer(database, tables["sample"], expression) == list(map(test, tables["sample"]))


def row(number: int, **cells: Cell) -> Record:
    return tuple(number if field.name == "id" else cells.get(field.name) for field in FIELDS)


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        (Kind.KEY, [f"key {number} \"'\\ 😀\x01\x7f" for number in range(5000)]),
        (Kind.TEXT, [f"NØRD {number}" for number in range(5000)]),
        (Kind.INTEGER, [-(2**63), 2**63 - 1, *range(-2500, 2500), 2**53 + 1]),
        (Kind.DECIMAL, [Decimal(number).scaleb(-3) for number in range(-2500, 2500)]),
        (Kind.BOOLEAN, [True] * 300),
    ],
)
def test_thousands_of_cells_are_looked_up_exactly(
    database: sqlite3.Connection, kind: Kind, cells: list[Cell]
) -> None:
    name = f"{kind.value}_left"
    records = [
        row(at, **{name: cell}) for at, cell in enumerate([*cells[:: len(cells) // 50], None])
    ]
    for wanted in (cells, cells[1::2]):
        for negated in (False, True):
            expression = In(ColumnRef(name, kind), tuple(wanted), negated)
            assert is_understood(expression, TABLES)
            test = predicate(expression, POSITIONS)
            assert answer(database, records, expression) == [test(record) for record in records]


def nested(depth: int, leaf: Expression) -> Expression:
    """Return an expression of this depth, with the longest SQL for each level."""
    marker = IsNull(ColumnRef("integer_left", Kind.INTEGER))
    for level in range(depth):
        leaf = (Not(leaf), Or((marker, leaf)), And((marker, leaf)))[level % 3]
    return leaf


def linked(depth: int, leaf: Expression) -> Expression:
    """Return links of links, each with the longest SQL."""
    own = ColumnRef("text_right", Kind.TEXT)
    for _ in range(depth):
        leaf = Related("sample", own, own, leaf)
    return leaf


def test_whatever_is_understood_is_not_too_large_for_sqlite(database: sqlite3.Connection) -> None:
    text = ColumnRef("text_left", Kind.TEXT)
    leaf = Like(text, "a%", negated=True)
    cells = tuple(f"cell {number}" for number in range(100))
    records = [row(1, text_left="Ab", text_right="c"), row(2)]
    for expression in (
        And((leaf,) * 499),
        Or((leaf,) * 499),
        nested(16, leaf),
        nested(15, In(text, cells, negated=True)),
        And((leaf, nested(15, leaf))),
        HasOption(ColumnRef("options", Kind.KEY), tuple(range(499)), negated=True),
        linked(5, leaf),
        linked(4, nested(4, leaf)),
        nested(4, linked(4, leaf)),
    ):
        assert is_understood(expression, TABLES)
        together = And((expression, Or((expression,) * 10), expression))  # as the engine joins them
        test = predicate(together, POSITIONS, related=Rows({"sample": records}))
        assert answer(database, records, together) == [test(record) for record in records]


def test_thousands_of_conditions_that_are_understood_can_be_joined(
    database: sqlite3.Connection,
) -> None:
    number = ColumnRef("integer_left", Kind.INTEGER)
    parts = tuple(Compare(Comparison.NE, number, Literal(value)) for value in range(9000))
    records = [row(1, integer_left=8999), row(2, integer_left=9000)]
    assert answer(database, records, And(parts)) == [False, True]


@pytest.mark.parametrize(
    "expression",
    [
        Call("no-such-function", ()),
        And((IsNull(ColumnRef("id", Kind.KEY)), Not(Call("f", ())))),
        Compare(Comparison.EQ, ColumnRef("n", Kind.INTEGER), Literal(2**63)),
        Compare(Comparison.EQ, ColumnRef("n", Kind.INTEGER), Literal("1")),
        Compare(Comparison.EQ, ColumnRef("n", Kind.REAL), Literal(float("nan"))),
        Compare(Comparison.EQ, ColumnRef("n", Kind.REAL), Literal(2**53 + 1)),
        Compare(Comparison.EQ, ColumnRef("n", Kind.DECIMAL), Literal(Decimal("1E+9999"))),
        Compare(Comparison.EQ, ColumnRef("n", Kind.DECIMAL), Literal(0.1)),
        Compare(Comparison.EQ, ColumnRef("n", Kind.TEXT), Literal("\ud800")),
        Compare(Comparison.EQ, ColumnRef("n", Kind.TEXT), ColumnRef("m", Kind.KEY)),
        Compare(Comparison.EQ, Literal(1), Literal(1)),
        Like(ColumnRef("n", Kind.DECIMAL), "1%"),
        In(ColumnRef("n", Kind.KEY), ("a", "\0")),
        In(ColumnRef("n", Kind.REAL), tuple(float(n) for n in range(101))),
        And((IsNull(ColumnRef("id", Kind.KEY)),) * 500),
        nested(17, IsNull(ColumnRef("id", Kind.KEY))),
        linked(6, EVERYTHING),
        Related("nowhere", ColumnRef("id", Kind.KEY), ColumnRef("id", Kind.KEY), EVERYTHING),
        Related('x" OR 1', ColumnRef("id", Kind.KEY), ColumnRef("id", Kind.KEY), EVERYTHING),
        Related("second", ColumnRef("nope", Kind.KEY), ColumnRef("n", Kind.KEY), EVERYTHING),
        Related("second", ColumnRef("id", Kind.KEY), ColumnRef("n", Kind.TEXT), EVERYTHING),
        Related("second", ColumnRef("id", Kind.KEY), ColumnRef("n", Kind.KEY), Call("f", ())),
        HasOption(ColumnRef("n", Kind.KEY), (2**63,)),
        HasOption(ColumnRef("n", Kind.INTEGER), (1,)),
        HasOption(ColumnRef("n", Kind.KEY), tuple(range(500))),
        IsCaller(ColumnRef("n", Kind.KEY), Who.USER),
        InState(RowMark.PENDING),
        Compare(
            Comparison.EQ,
            ColumnRef("n", Kind.DATETIME),
            Literal("2026-03-31T08:00:00", local=True),
        ),
    ],
)
def test_what_sqlite_would_answer_otherwise_is_left_to_the_engine(expression: Expression) -> None:
    assert not is_understood(expression, TABLES)


def test_what_the_engine_evaluates_or_settles_is_refused_by_name() -> None:
    for expression, name in (
        (Call("no-such-function", ()), "no-such-function"),
        (InState(RowMark.LOCAL), "InState"),
    ):
        with pytest.raises(StorageError, match=name):
            render(expression, Scope.of(TABLES, "sample"))


@pytest.mark.parametrize(
    "name", ['x" = 1 OR "1', "x y", "", "t.x", "x;--", "nope", "_holdfast_sqlite_key_text_left"]
)
def test_no_name_but_that_of_a_field_reaches_sql(name: str) -> None:
    column, key = ColumnRef(name, Kind.KEY), ColumnRef("key_left", Kind.KEY)
    for expression in (
        IsNull(column),
        Compare(Comparison.EQ, column, Literal("nope")),
        Like(column, "%"),
        In(column, ("nope",)),
        HasOption(column, (1,)),
        Related("second", column, key, EVERYTHING),
        Related("second", key, column, EVERYTHING),
        Related("second", key, key, IsNull(column)),
        Related(name, key, key, EVERYTHING),
    ):
        with pytest.raises(StorageError):
            render(expression, Scope.of(TABLES, "sample"))


def plan(database: sqlite3.Connection, where: Expression) -> str:
    scope = Scope.of(TABLES, "sample")
    condition = render(where, scope)
    sql = f"EXPLAIN QUERY PLAN SELECT * FROM {scope.source().from_sql} WHERE {condition}"
    return str(database.execute(sql, scope.parameters.values).fetchall())


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (Kind.TEXT, "Ørsted"),
        (Kind.DECIMAL, Decimal("1.50")),
        (Kind.KEY, "a"),
        (Kind.INTEGER, 1),
        (Kind.DATETIME, "2024-06-12T14:13:17Z"),
    ],
)
def test_an_index_answers_a_comparison(
    database: sqlite3.Connection, kind: Kind, cell: Cell
) -> None:
    column = ColumnRef(f"{kind.value}_left", kind)
    many = tuple(f"{number}" for number in range(200)) if kind is Kind.KEY else (cell, None)
    for where in (
        Compare(Comparison.EQ, column, Literal(cell)),
        Compare(Comparison.GE, Literal(cell), column),
        In(column, many),
    ):
        assert f"USING INDEX sample.{kind.value}_left" in plan(database, where)


def test_an_index_answers_a_pattern_whose_start_is_known(database: sqlite3.Connection) -> None:
    column = ColumnRef("text_left", Kind.TEXT)
    for pattern in ("Fjord%", "Fj_rd%", "Fjord"):
        assert "SEARCH t USING INDEX sample.text_left" in plan(database, Like(column, pattern))


def test_an_index_answers_a_link_and_without_one_the_rows_are_gathered_once(
    database: sqlite3.Connection,
) -> None:
    own = ColumnRef("key_right", Kind.KEY)
    for field, wanted in (("key_left", "CORRELATED SCALAR"), ("key_right", "LIST SUBQUERY")):
        link = Related("second", ColumnRef(field, Kind.KEY), own, EVERYTHING)
        assert wanted in plan(database, link)


@given(
    st.lists(DECIMALS | st.decimals(allow_nan=False, allow_infinity=False, places=6), min_size=2)
)
@settings(max_examples=500, derandomize=True, deadline=None)
def test_decimal_keys_sort_as_the_numbers_do(numbers: list[Decimal]) -> None:
    numbers.sort()
    for low, high in pairwise(numbers):
        one, other = decimal_key(decimal_text(low)), decimal_key(decimal_text(high))
        assert one is not None
        assert other is not None
        assert (one < other, one == other) == (low < high, low == high)
        assert number_of(one) == Decimal(decimal_text(low)) == low
