from __future__ import annotations

import json
from decimal import Decimal

import pytest
from stranger.plain import SOUNDS_LIKE, PlainLanguage, sounds_like  # type: ignore[import-not-found]  # installed by the test

from holdfast.errors import FilterError
from holdfast.filters import (
    EVERYTHING,
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    In,
    IsNull,
    Literal,
    Not,
    Or,
    predicate,
)
from holdfast.schema import Column, ColumnType, Kind, TableSchema

SCHEMA = TableSchema(
    "account",
    "accountid",
    "name",
    (
        Column("accountid", ColumnType.UNIQUEIDENTIFIER),
        Column("name", ColumnType.STRING),
        Column("city", ColumnType.STRING),
        Column("revenue", ColumnType.MONEY),
        Column("employees", ColumnType.INTEGER),
        Column("rating", ColumnType.DOUBLE),
        Column("active", ColumnType.BOOLEAN),
        Column("met", ColumnType.DATETIME),
        Column("parent", ColumnType.LOOKUP, targets=("account",)),
    ),
)
CITY, NAME = ColumnRef("city", Kind.TEXT), ColumnRef("name", Kind.TEXT)
REVENUE = ColumnRef("revenue", Kind.DECIMAL)
BERGEN = Compare(Comparison.EQ, CITY, Literal("Bergen"))
RICH = Compare(Comparison.GT, REVENUE, Literal(Decimal(100)))
FJORD = Call(SOUNDS_LIKE, (NAME, Literal("Fjord")))


@pytest.fixture
def plain() -> PlainLanguage:
    return PlainLanguage(PlainLanguage.Settings())


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("", EVERYTHING),
        ("city = Bergen", BERGEN),
        (
            "city = Bergen and revenue > 100 or name sounds like Fjord",
            Or((And((BERGEN, RICH)), FJORD)),
        ),
        ("city is empty", IsNull(CITY)),
        ("city is not empty", IsNull(CITY, negated=True)),
        ("city = 'and it''s' and city != ''", And((
            Compare(Comparison.EQ, CITY, Literal("and it's")),
            Compare(Comparison.NE, CITY, Literal("")),
        ))),
        ("employees >= 7", Compare(
            Comparison.GE, ColumnRef("employees", Kind.INTEGER), Literal(7)
        )),
        ("rating < 0.5", Compare(Comparison.LT, ColumnRef("rating", Kind.REAL), Literal(0.5))),
        ("active = yes", Compare(Comparison.EQ, ColumnRef("active", Kind.BOOLEAN), Literal(True))),
        ("met <= 2024-02-29T12:00:00Z", Compare(
            Comparison.LE, ColumnRef("met", Kind.DATETIME), Literal("2024-02-29T12:00:00Z")
        )),
    ],
)  # fmt: skip
def test_words_mean_this_and_are_written_so(
    plain: PlainLanguage, source: str, meant: Expression
) -> None:
    assert plain.parse(source, SCHEMA, {}) == meant
    assert plain.render(meant, SCHEMA, {}) == source


@pytest.mark.parametrize(
    ("source", "message", "position"),
    [
        ("town = Bergen", "account has no column 'town'", 0),
        ("city", "an operator is wanted", 4),
        ("city = Bergen revenue > 1", "'or' is wanted", 14),
        ("city ! Bergen", "! cannot stand here", 5),
        ("city = 'Bergen", "' cannot stand here", 7),
        ("city like B", "one of =, !=", 5),
        ("revenue > much", "'much' is no money", 10),
        ("active = perhaps", "'perhaps' is no boolean", 9),
        ("parent = x", "points to another row", 0),
        ("city = Bergen and", "a column is wanted", 17),
        ("city sounds Bergen", "'like' is wanted", 12),
    ],
)
def test_a_mistake_is_pointed_at(
    plain: PlainLanguage, source: str, message: str, position: int
) -> None:
    with pytest.raises(FilterError) as caught:
        plain.parse(source, SCHEMA, {})
    assert message in str(caught.value)
    assert caught.value.position == position


@pytest.mark.parametrize(
    "expression",
    [
        Not(FJORD),
        And((Or((BERGEN, RICH)), FJORD)),
        In(CITY, ("Bergen",)),
        Or(),
        Compare(Comparison.EQ, CITY, NAME),
        Compare(Comparison.EQ, CITY, Literal(None)),
        Call("other.function", (NAME, Literal("x"))),
        IsNull(ColumnRef("parent", Kind.KEY)),
    ],
)
def test_what_has_no_words_is_refused(plain: PlainLanguage, expression: Expression) -> None:
    with pytest.raises(FilterError, match="there are no words for"):
        plain.render(expression, SCHEMA, {})


def test_a_long_filter_is_read_without_depth(plain: PlainLanguage) -> None:
    source = " or ".join(["city = Bergen"] * 20_000)
    parsed = plain.parse(source, SCHEMA, {})
    assert isinstance(parsed, Or)
    assert plain.render(parsed, SCHEMA, {}) == source


def test_the_cases_of_the_function() -> None:
    for one, other, alike in json.loads(
        '[["Robert", "Rupert", true], ["Fjord", "fjørt", true], ["Fjord", "Nordic", false],'
        ' ["Ålesund", "alesund", true], ["Ashcraft", "Ashcroft", true], ["", "", true],'
        ' ["漢字", "漢字", true], ["漢字", "漢", false], ["Pfister", "Pister", true],'
        ' [null, "x", null]]'
    ):
        assert sounds_like(one, other) is alike, (one, other)


def test_the_algebra_calls_the_function(plain: PlainLanguage) -> None:
    test = predicate(FJORD, {"name": 0}, plain.functions)
    assert [test((name,)) for name in ("FJORT", "Nordic", None)] == [True, False, None]
