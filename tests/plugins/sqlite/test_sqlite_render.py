from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.contracts import Layout
from holdfast.errors import StorageError
from holdfast.filters import (
    And,
    Call,
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
    predicate,
)
from holdfast.model import Record
from holdfast.schema import Field, Kind
from holdfast.values import Cell
from holdfast_sqlite._cells import decimal_key, decimal_text, register_functions
from holdfast_sqlite._file import upgrade
from holdfast_sqlite._layouts import StoredTable, migrate
from holdfast_sqlite._render import Parameters, is_understood, render

#: Two columns of each kind, so that columns can be compared with each other.
FIELDS: Final = (
    Field("id", Kind.INTEGER),
    *(Field(f"{kind.value}_{side}", kind) for kind in Kind for side in ("left", "right")),
)
LAYOUT: Final = Layout("sample", FIELDS, tuple(field.name for field in FIELDS[1:]))
POSITIONS: Final = {field.name: at for at, field in enumerate(FIELDS)}
LETTERS: Final = "aAbZz0 %_[]^-\\'\"ßſØøéÉıİ\u212ae\u0301😀"
TEXTS: Final = st.text(LETTERS, max_size=4) | st.sampled_from(["", "straße", "STRASSE", "É"])
MOMENTS: Final = st.sampled_from(
    [
        "2024-06-12T14:13:17Z",
        "2024-06-12T14:13:17.5Z",
        "2024-06-12T14:13:17",
        "2024-06-12T14:13:16.999999Z",
        "2024-06-12T14:13:18Z",
        "0001-01-01T00:00:00",
    ]
)
INTEGERS: Final = st.sampled_from([0, 1, -1, 2, 10, 2**53 + 1, 2**63 - 1, -(2**63)])
DECIMALS: Final = st.decimals(-20, 20, allow_nan=False, places=2) | st.sampled_from(
    [
        Decimal(text)
        for text in (
            *("0", "-0.0", "9", "10", "-9", "-10", "1.5", "1.50", "-1.5", "-1.55"),
            *("12345678901.1234567891", "12345678901.1234567892", "1E+3", "1E-7", "-1E-7"),
        )
    ]
)
CELLS: Final[dict[Kind, st.SearchStrategy[Cell]]] = {
    Kind.TEXT: TEXTS,
    Kind.KEY: TEXTS,
    Kind.INTEGER: INTEGERS,
    Kind.REAL: st.sampled_from([0.0, -1.5, 0.1, 0.30000000000000004, 1e300, 2.0**53]),
    Kind.DECIMAL: DECIMALS,
    Kind.BOOLEAN: st.booleans(),
    Kind.DATETIME: MOMENTS,
}


def rows() -> st.SearchStrategy[list[Record]]:
    cells = [st.none() | CELLS[field.kind] for field in FIELDS[1:]]
    return st.lists(st.tuples(*cells), min_size=1, max_size=4).map(
        lambda found: [(at, *row) for at, row in enumerate(found)]
    )


@st.composite
def leaves(draw: st.DrawFn) -> Expression:
    field = draw(st.sampled_from(FIELDS[1:]))
    column = ColumnRef(field.name, field.kind)
    cell = st.none() | CELLS[field.kind]
    negated = draw(st.booleans())
    match draw(st.integers(0, 4)):
        case 0:
            return IsNull(column, negated)
        case 1:
            return In(column, tuple(draw(st.lists(cell, max_size=3))), negated)
        case 2:
            text = draw(st.sampled_from([Kind.TEXT, Kind.KEY]))
            return Like(ColumnRef(f"{text.value}_left", text), draw(TEXTS), negated)
        case 3:
            other = ColumnRef(f"{field.kind.value}_right", field.kind)
            return Compare(draw(st.sampled_from(Comparison)), column, other)
        case _:
            sides = (column, Literal(draw(cell)))
            left, right = sides if draw(st.booleans()) else sides[::-1]
            return Compare(draw(st.sampled_from(Comparison)), left, right)


EXPRESSIONS: Final[st.SearchStrategy[Expression]] = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    register_functions(connection)
    upgrade(connection)
    migrate(connection, [LAYOUT], 1)
    yield connection
    connection.close()


def answer(
    database: sqlite3.Connection, records: Sequence[Record], expression: Expression
) -> list[bool | None]:
    """Return what SQLite says of each record."""
    stored = StoredTable(LAYOUT)
    database.execute("DELETE FROM sample")
    database.executemany(stored.put, stored.codec.encode(records))
    parameters: Parameters = []
    sql = f"SELECT {render(expression, parameters)} {stored.from_sql} ORDER BY t.id"
    found = database.execute(sql, parameters).fetchall()
    return [None if truth is None else bool(truth) for (truth,) in found]


@settings(
    max_examples=2000,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(records=rows(), expression=EXPRESSIONS)
def test_sqlite_is_true_false_or_unknown_exactly_where_the_algebra_is(
    database: sqlite3.Connection, records: list[Record], expression: Expression
) -> None:
    assert is_understood(expression)
    test = predicate(expression, POSITIONS)
    assert answer(database, records, expression) == [test(record) for record in records]


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
            assert is_understood(expression)
            test = predicate(expression, POSITIONS)
            assert answer(database, records, expression) == [test(record) for record in records]


def nested(depth: int, leaf: Expression) -> Expression:
    """Return an expression of this depth, with the longest SQL for each level."""
    marker = IsNull(ColumnRef("integer_left", Kind.INTEGER))
    for level in range(depth):
        leaf = (Not(leaf), Or((marker, leaf)), And((marker, leaf)))[level % 3]
    return leaf


def test_whatever_is_understood_is_not_too_large_for_sqlite(database: sqlite3.Connection) -> None:
    text = ColumnRef("text_left", Kind.TEXT)
    leaf = Like(text, "a%", negated=True)
    cells = tuple(f"cell {number}" for number in range(100))
    records = [row(1, text_left="Ab"), row(2)]
    for expression in (
        And((leaf,) * 499),
        Or((leaf,) * 499),
        nested(16, leaf),
        nested(15, In(text, cells, negated=True)),
        And((leaf, nested(15, leaf))),
    ):
        assert is_understood(expression)
        together = And((expression, Or((expression,) * 10), expression))  # as the engine joins them
        test = predicate(together, POSITIONS)
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
    ],
)
def test_what_sqlite_would_answer_otherwise_is_left_to_the_engine(expression: Expression) -> None:
    assert not is_understood(expression)


def test_a_call_is_refused_by_name() -> None:
    with pytest.raises(StorageError, match="no-such-function"):
        render(Call("no-such-function", ()), [])


@pytest.mark.parametrize("name", ['x" = 1 OR "1', "x y", "", "t.x", "x;--"])
def test_a_name_that_is_no_identifier_never_reaches_sql(name: str) -> None:
    with pytest.raises(StorageError):
        render(IsNull(ColumnRef(name, Kind.KEY)), [])


def test_an_unknown_column_is_an_error_and_not_a_text(database: sqlite3.Connection) -> None:
    nope = ColumnRef("nope", Kind.KEY)
    for expression in (
        Compare(Comparison.EQ, nope, Literal("nope")),
        IsNull(nope),
        Like(nope, "%"),
        In(nope, ("nope",)),
    ):
        with pytest.raises(sqlite3.OperationalError, match="no such column"):
            answer(database, [], expression)


def test_an_index_answers_a_comparison(database: sqlite3.Connection) -> None:
    for kind, cell in ((Kind.KEY, "a"), (Kind.INTEGER, 1), (Kind.DATETIME, "2024-06-12T14:13:17Z")):
        parameters: Parameters = []
        where = Compare(Comparison.EQ, ColumnRef(f"{kind.value}_left", kind), Literal(cell))
        sql = f"EXPLAIN QUERY PLAN SELECT * FROM sample AS t WHERE {render(where, parameters)}"
        plan = str(database.execute(sql, parameters).fetchall())
        assert f"USING INDEX sample.{kind.value}_left" in plan


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
        assert Decimal(decimal_text(low)) == low
