"""The language "odata": what it writes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import FilterError
from holdfast.filters import (
    EVERYTHING,
    And,
    Call,
    ColumnRef,
    Compare,
    Expression,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    predicate,
)
from holdfast.schema import Column, Kind
from holdfast.values import Cell
from support.odata import GUID, SCHEMA, C, T, compare, flat, parse, ref, render

# --- what is written ----------------------------------------------------------------------------


def cells(column: Column) -> st.SearchStrategy[Cell]:
    match column.kind:
        case Kind.TEXT:
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
        case Kind.INTEGER:
            return st.integers(-(2**63), 2**63 - 1)
        case Kind.REAL:
            return st.floats(allow_nan=False, allow_infinity=False)
        case Kind.DECIMAL:
            return st.decimals(-(10**12), 10**12, allow_nan=False, places=10)
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.DATETIME:
            zone = "" if column.name == "wall" else "Z"
            return st.sampled_from(["2024-06-12T14:13:17", "0001-01-01T00:00:00.5"]).map(
                lambda text: text + zone
            )
        case Kind.KEY:
            return st.just("2024-02-29") if column.name == "day" else st.uuids().map(str)


COMPARED = [column for column in SCHEMA.columns if column.type not in (T.CHOICES, T.IMAGE)]
TEXTS = [column for column in COMPARED if column.kind is Kind.TEXT]


def comparisons(column: Column) -> st.SearchStrategy[Expression]:
    literal = cells(column).map(Literal)
    own = st.just(ref(column.name))
    others = [other for other in COMPARED if other.kind is column.kind and other.name != "day"]
    beside = st.sampled_from([ref(other.name) for other in others] or [ref(column.name)])
    if column.name == "day":
        beside = own
    operators = st.sampled_from(C)
    tests = (
        st.builds(Compare, operators, own, literal)
        | st.builds(Compare, operators, literal, own)
        | st.builds(Compare, operators, own, beside)
        | st.builds(IsNull, own, st.booleans())
    )
    if column.type is T.MEMO:  # its In is written as comparisons
        return tests
    several = st.lists(cells(column), min_size=1, max_size=3).map(tuple)
    return tests | st.builds(In, own, several, st.booleans())


WORDS = st.text("ab%_[]^'\"\\ø", max_size=5)
PATTERNS = (
    WORDS.map(lambda text: f"%{text}%")
    | WORDS.map(lambda text: f"{text}%")
    | WORDS.map("%{}".format)
)
LIKES = st.builds(Like, st.sampled_from(TEXTS).map(lambda c: ref(c.name)), PATTERNS, st.booleans())
LEAVES: st.SearchStrategy[Expression] = st.sampled_from(COMPARED).flatmap(comparisons) | LIKES


def joined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    parts = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.builds(And, parts) | st.builds(Or, parts)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.recursive(LEAVES, joined, max_leaves=6))
def test_what_is_written_reads_back_as_it_was(expression: Expression) -> None:
    assert flat(parse(render(expression))) == flat(expression)


SMALL: list[Expression] = [
    *(compare("n", operator, 1) for operator in C),
    *(Compare(operator, Literal(1), ref("m")) for operator in C),
    *(Compare(operator, ref("n"), ref("m")) for operator in C),
    IsNull(ref("n")),
    IsNull(ref("m"), negated=True),
    Like(ref("name"), "%a%"),
    Like(ref("name"), "b%", negated=True),
    In(ref("n"), (0, None, 2)),
    In(ref("m"), (1,), negated=True),
    In(ref("m"), (), negated=True),
]


def with_not(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    parts = st.lists(inner, max_size=3).map(tuple)
    return st.builds(And, parts) | st.builds(Or, parts) | st.builds(Not, inner)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.recursive(st.sampled_from(SMALL), with_not, max_leaves=6))
def test_what_is_written_matches_the_same_rows_even_where_it_was_plain_negation(
    expression: Expression,
) -> None:
    positions = {"accountid": 0, "name": 1, "n": 2, "m": 3}
    before = predicate(expression, positions)
    after = predicate(parse(render(expression)), positions)
    numbers = (None, 0, 1, 2)
    for row in ((GUID, t, n, m) for t in (None, "a", "b") for n in numbers for m in numbers):
        assert (after(row) is True) is (before(row) is True)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (EVERYTHING, "accountid ne null"),
        (Or(), "accountid eq null"),
        (compare("name", C.EQ, "O'N"), "name eq 'O''N'"),
        (
            compare("createdon", C.GT, "2024-01-01T00:00:00.5Z"),
            "createdon gt 2024-01-01T00:00:00.5Z",
        ),
        (compare("wall", C.GT, "2024-01-01T08:00:00"), "wall gt 2024-01-01T08:00:00Z"),
        (compare("revenue", C.EQ, Decimal("1E+5")), "revenue eq 100000"),
        (compare("rate", C.EQ, Decimal("1E-9")), "rate eq 0.000000001"),
        (compare("ownerid", C.EQ, GUID), f"_ownerid_value eq {GUID}"),
        (Like(ref("name"), "%%"), "contains(name,'')"),
        (Like(ref("name"), "%"), "startswith(name,'')"),
        (Like(ref("name"), "%a"), "endswith(name,'a')"),
        (
            In(ref("ownerid"), (GUID,)),
            f"Microsoft.Dynamics.CRM.In(PropertyName='ownerid',PropertyValues=[\"{GUID}\"])",
        ),
        (
            In(ref("flag"), (True,), negated=True),
            "Microsoft.Dynamics.CRM.NotIn(PropertyName='flag',PropertyValues=[\"true\"])",
        ),
        (
            And((compare("n", C.EQ, 1), Or((compare("n", C.EQ, 2), compare("n", C.EQ, 3))))),
            "n eq 1 and (n eq 2 or n eq 3)",
        ),
        (Not(compare("n", C.EQ, 1)), "n ne 1 and n ne null"),
    ],
)
def test_an_expression_is_written_so(expression: Expression, text: str) -> None:
    assert render(expression) == text


INNERMOST = compare("n", C.EQ, 1)


def deep(levels: int, expression: Expression = INNERMOST) -> Expression:
    for level in range(levels):
        parts = (expression, compare("m", C.EQ, 1))
        expression = And(parts) if level % 2 else Or(parts)
    return expression


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (Call("today", (ref("createdon"),)), "the function 'today' is not one of OData's"),
        (Like(ref("name"), "a%b"), "has no '%' at its start or end"),
        (Like(ref("n"), "%a%"), "which is no text"),
        (Like(ref("name"), "%\ud800"), "surrogate"),
        (IsNull(ColumnRef("nowhere", Kind.TEXT)), "account has no column 'nowhere'"),
        (IsNull(ColumnRef("_holdfast_ownerid_name", Kind.TEXT)), "has no column"),
        (IsNull(ColumnRef("n", Kind.TEXT)), "'n' is compared as text"),
        (compare("n", C.EQ, None), "IsNull says what is meant"),
        (compare("n", C.EQ, "1 or 1 eq 1"), "expected a whole number"),
        (compare("n", C.EQ, True), "expected a whole number"),
        (compare("ownerid", C.EQ, "me"), "expected an id"),
        (compare("name", C.EQ, "\ud800"), "expected a text"),
        (compare("revenue", C.EQ, Decimal("1E+99")), "expected a decimal number"),
        (compare("options", C.GT, "1"), "the options of a multi-select have no order"),
        (compare("options", C.EQ, "9,1"), "expected options"),
        (In(ref("options"), ("9,1",)), "expected options"),
        (compare("photo", C.EQ, GUID), "what a file holds is not compared"),
        (In(ref("photo"), (GUID,)), "In is not for 'photo'"),
        (Compare(C.EQ, ref("day"), ref("accountid")), "are not of the same kind"),
        (Compare(C.EQ, Literal(1), Literal(1)), "no column is compared"),
        (Compare(C.EQ, ref("n"), ref("name")), "columns of different kinds"),
        (deep(203), "nested more than 100 levels deep"),
        (deep(50_000), "nested more than 100 levels deep"),
        (In(ref("n"), tuple(range(20_000))), "split it"),
    ],
    ids=lambda given_: given_ if isinstance(given_, str) else type(given_).__name__,
)
def test_what_odata_cannot_say_is_refused(expression: Expression, message: str) -> None:
    with pytest.raises(FilterError) as raised:
        render(expression)
    assert message in str(raised.value)


def test_an_expression_of_the_greatest_depth_that_is_written_can_be_read() -> None:
    assert parse(render(deep(201))) == deep(201)
    found = Like(ref("name"), "%a%")
    assert parse(render(deep(199, found))) == deep(199, found)
    with pytest.raises(FilterError, match="nested more than 100 levels deep"):
        render(deep(201, found))
