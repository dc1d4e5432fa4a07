"""The language "odata": what it reads, what it refuses by name, and what it writes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import holdfast_odata
from holdfast.contracts import FilterLanguage
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
    Like,
    Literal,
    Not,
    Or,
    predicate,
)
from holdfast.schema import Column, ColumnType, DateBehavior, Kind, TableSchema
from holdfast.values import Cell
from holdfast_odata import ODataLanguage, ODataSettings

T = ColumnType
C = Comparison
GUID = "abcdef01-2345-4789-abcd-ef0123456789"
SCHEMA = TableSchema(
    "account",
    "accountid",
    "name",
    (
        Column("accountid", T.UNIQUEIDENTIFIER),
        Column("name", T.STRING),
        Column("city", T.MEMO),
        Column("n", T.INTEGER),
        Column("m", T.BIGINT),
        Column("statecode", T.STATE),
        Column("revenue", T.MONEY),
        Column("rate", T.DECIMAL),
        Column("latitude", T.DOUBLE),
        Column("flag", T.BOOLEAN),
        Column("options", T.CHOICES),
        Column("createdon", T.DATETIME),
        Column("wall", T.DATETIME, behavior=DateBehavior.TIME_ZONE_INDEPENDENT),
        Column("day", T.DATETIME, behavior=DateBehavior.DATE_ONLY),
        Column("ownerid", T.LOOKUP, targets=("systemuser", "team")),
        Column("parentid", T.LOOKUP, targets=("account",)),
        Column("photo", T.IMAGE),
        Column("eq", T.INTEGER),
        Column("anything", T.INTEGER),
    ),
)
LANGUAGE = ODataLanguage(ODataSettings())


def parse(text: str) -> Expression:
    return LANGUAGE.parse(text, SCHEMA, {})


def render(expression: Expression) -> str:
    return LANGUAGE.render(expression, SCHEMA, {})


def ref(name: str) -> ColumnRef:
    return ColumnRef(name, SCHEMA.by_name[name].kind)


def compare(name: str, operator: Comparison, cell: Cell) -> Compare:
    return Compare(operator, ref(name), Literal(cell))


# --- what is read -------------------------------------------------------------------------------

READ: Mapping[str, Expression] = {
    "name eq 'O''Neil'": compare("name", C.EQ, "O'Neil"),
    "name eq ''": compare("name", C.EQ, ""),
    "\n name\teq 'a' ": compare("name", C.EQ, "a"),
    "n ge -5": compare("n", C.GE, -5),
    "n eq +5": compare("n", C.EQ, 5),
    "n eq 5.0": compare("n", C.EQ, 5),
    "m le 9223372036854775807": compare("m", C.LE, 2**63 - 1),
    "statecode ne 0": compare("statecode", C.NE, 0),
    "revenue gt 12345678901.1234567891": compare(
        "revenue", C.GT, Decimal("12345678901.1234567891")
    ),
    "rate eq 1e-3": compare("rate", C.EQ, Decimal("0.001")),
    "latitude lt -12.25": compare("latitude", C.LT, -12.25),
    "flag eq true": compare("flag", C.EQ, True),
    f"accountid eq {GUID.upper()}": compare("accountid", C.EQ, GUID),
    f"_ownerid_value eq {GUID}": compare("ownerid", C.EQ, GUID),
    f"photo eq {GUID}": compare("photo", C.EQ, GUID),
    "createdon ge 2024-01-01T02:00:00.50+02:00": compare(
        "createdon", C.GE, "2024-01-01T00:00:00.5Z"
    ),
    "createdon ge 2024-01-01T00:00Z": compare("createdon", C.GE, "2024-01-01T00:00:00Z"),
    "createdon ge 2024-01-01": compare("createdon", C.GE, "2024-01-01T00:00:00Z"),
    "wall eq 2024-01-01T08:00:00Z": compare("wall", C.EQ, "2024-01-01T08:00:00"),
    "day eq 2024-02-29": compare("day", C.EQ, "2024-02-29"),
    "5 lt n": Compare(C.LT, Literal(5), ref("n")),
    "n eq m": Compare(C.EQ, ref("n"), ref("m")),
    "_ownerid_value eq _parentid_value": Compare(C.EQ, ref("ownerid"), ref("parentid")),
    "name eq null": IsNull(ref("name")),
    "null ne name": IsNull(ref("name"), negated=True),
    "options eq null": IsNull(ref("options")),
    "contains(name,'x')": Like(ref("name"), "%x%"),
    "startswith( name , 'O''N' )": Like(ref("name"), "O'N%"),
    "endswith(city,'[a-c]_')": Like(ref("city"), "%[a-c]_"),
    "not contains(name,'x')": Like(ref("name"), "%x%", negated=True),
    "not (n gt 5)": compare("n", C.LE, 5),
    "not n eq 5": compare("n", C.NE, 5),
    "not not n eq 5": compare("n", C.EQ, 5),
    "not(n eq null)": IsNull(ref("n"), negated=True),
    "not (n eq 1 and not (m eq 2 or flag eq true))": Or(
        (compare("n", C.NE, 1), Or((compare("m", C.EQ, 2), compare("flag", C.EQ, True))))
    ),
    "n eq 1 or n eq 2 and m eq 3": Or(
        (compare("n", C.EQ, 1), And((compare("n", C.EQ, 2), compare("m", C.EQ, 3))))
    ),
    "((n eq 1 or n eq 2)) and m eq 3": And(
        (Or((compare("n", C.EQ, 1), compare("n", C.EQ, 2))), compare("m", C.EQ, 3))
    ),
    "eq eq 1 and anything eq 2": And((compare("eq", C.EQ, 1), compare("anything", C.EQ, 2))),
    "Microsoft.Dynamics.CRM.In(PropertyName='n',PropertyValues=['1','2'])": In(ref("n"), (1, 2)),
    "Microsoft.Dynamics.CRM.In(PropertyName='n',PropertyValues=[\"1\", 2])": In(ref("n"), (1, 2)),
    'Microsoft.Dynamics.CRM.NotIn(PropertyName=\'name\',PropertyValues=["a\\"b","O\'N"])': In(
        ref("name"), ('a"b', "O'N"), negated=True
    ),
    f"not Microsoft.Dynamics.CRM.In(PropertyName='ownerid',PropertyValues=['{{{GUID}}}'])": In(
        ref("ownerid"), (GUID,), negated=True
    ),
    "Microsoft.Dynamics.CRM.In(PropertyName='n',PropertyValues=[])": In(ref("n"), ()),
}


@pytest.mark.parametrize(("text", "expression"), READ.items(), ids=READ)
def test_a_filter_is_read(text: str, expression: Expression) -> None:
    assert parse(text) == expression


@pytest.mark.parametrize(("text", "expression"), READ.items(), ids=READ)
def test_what_was_read_is_written_so_that_it_reads_the_same(
    text: str, expression: Expression
) -> None:
    assert parse(render(expression)) == expression


# --- what is refused ----------------------------------------------------------------------------

#: The filter, with "^" before the place that the refusal points to; what it says.
REFUSED: Mapping[str, str] = {
    "^nname eq 1": "account has no column 'nname'; did you mean 'name'?",
    "^Name eq 'a'": "did you mean 'name'?",
    "^_owner_value eq null": "did you mean '_ownerid_value'?",
    "^zzzzzzzz eq null": "it may not be kept offline",
    "^ownerid eq null": "'ownerid' is a lookup; write '_ownerid_value'",
    "^_n_value eq 5": "'n' is no lookup; write 'n'",
    "^_holdfast_ownerid_name eq 'a'": "no column '_holdfast_ownerid_name'",
    "name eq ^5": "found 5 for column 'name', expected a text in single quotes",
    "name eq ^true": "expected a text in single quotes",
    "n eq ^'5'": "found '5' for column 'n', expected a whole number",
    "n eq ^1.5": "found 1.5 for column 'n', expected a whole number",
    "n eq ^9223372036854775808": "expected a whole number",
    "n eq ^1e999999999": "expected a whole number",
    "revenue eq ^1e999999999": "expected a decimal number",
    "revenue eq ^1e-999999999": "expected a decimal number",
    "latitude eq ^1e999": "expected a number",
    "flag eq ^1": "expected true or false",
    f"accountid eq ^'{GUID}'": "expected an id without quotes",
    "createdon eq ^'2024-01-01'": "expected a time such as",
    "createdon eq ^2024-02-30": "expected a time such as",
    "createdon eq ^2024-01-01T24:00:01Z": "expected a time such as",
    "createdon eq ^0001-01-01T00:00:00+14:00": "expected a time such as",
    "createdon eq ^2024-01-01T00:00:00": "the time has no zone",
    "day eq ^2024-01-01T00:00:00Z": "expected a date such as",
    "options eq ^'1,2'": "the options of a multi-select are not compared",
    "options eq ^options": "the options of a multi-select are not compared",
    "n eq ^name": "they must be of the same kind",
    "day eq ^accountid": "they must be of the same kind",
    "n ^gt null": "found 'gt' with null, expected 'eq' or 'ne'",
    "^1 eq 1": "one side must be a column",
    "^null eq null": "one side must be a column",
    "contains(^'a',name)": "contains looks into a column; put it first",
    "contains(^n,'a')": "contains looks into text; 'n' is integer",
    "contains(name,^city)": "found city, expected a text in single quotes",
    "contains(name^)": "found ')', expected ','",
    "contains(name,'a'^,'b')": "found ',', expected ')'",
    "contains(name,'a') ^eq true": "found 'eq' after a whole condition",
    "flag^": "a column is no condition on its own: write 'column eq true'",
    "(flag^)": "found ')', expected an operator",
    "name eq^": "the filter ends too early, expected a column or a value",
    "(n eq 1^": "the filter ends too early, expected ')'",
    "n eq 1^)": "found ')', expected the end",
    "n eq 1 and^": "the filter ends too early, expected a condition",
    "n eq 1 ^n eq 2": "found 'n', expected 'and' or 'or'",
    "n ^EQ 1": "found 'EQ'; write 'eq' in lower case",
    "n eq 1 ^AND n eq 2": "found 'AND'; write 'and' in lower case",
    "name eq ^NULL": "found 'NULL'; write 'null' in lower case",
    "flag eq ^True": "found 'True'; write 'true' in lower case",
    "name eq ^'a": "the text is not closed",
    'name eq ^"a"': "texts are written in single quotes",
    "name eq^'a'": "a space is missing after 'eq'",
    f"accountid eq ^{{{GUID}}}": "ids are written without braces and quotes",
    "name eq ^%27a%27": "not percent-encoded",
    "tags/^any(t:t/n eq 1)": "lambda 'any' is not supported yet",
    "tags/^all(t:t/n eq 1)": "lambda 'all' is not supported yet",
    "^parentid/name eq 'a'": "navigation path 'parentid/name' is not supported yet",
    "^tags/$count gt 1": "navigation path 'tags/$count' is not supported yet",
    "^tolower(name) eq 'a'": "function 'tolower' is not supported yet",
    "contains(^tolower(name),'a')": "function 'tolower' is not supported yet",
    "n eq ^length (name)": "function 'length' is not supported yet",
    "^Microsoft.Dynamics.CRM.Today(PropertyName='createdon')": (
        "function 'Microsoft.Dynamics.CRM.Today' is not supported yet"
    ),
    "n eq 1 and not ^Microsoft.Dynamics.CRM.Between(PropertyName='n',PropertyValues=['1','2'])": (
        "function 'Microsoft.Dynamics.CRM.Between' is not supported yet"
    ),
    "n eq ^Ns.Color'Red'": "enumeration literal 'Ns.Color' is not supported yet",
    "^Ns.Type eq 1": "qualified name 'Ns.Type' is not supported yet",
    "n eq ^duration'PT1S'": "literal of type 'duration' is not supported",
    "n ^in (1,2)": "operator 'in' is not supported; use Microsoft.Dynamics.CRM.In",
    "n ^has 1": "operator 'has' is not supported yet",
    "n ^add 1 eq 2": "arithmetic 'add' is not supported yet",
    "n eq 1 ^mul 2": "arithmetic 'mul' is not supported yet",
    "^-n eq 1": "arithmetic '-' is not supported yet",
    "latitude eq ^INF": "the number 'INF' is not supported",
    "latitude eq ^-INF": "the number '-INF' is not supported",
    "createdon eq ^08:30:00": "a time of day is not supported",
    "n eq ^@p": "parameter alias '@p' is not supported yet",
    "^$it eq 1": "'$it' is not supported yet",
    "^[1,2] eq n": "a collection literal is not supported yet",
    "n eq ^#": "found '#', expected a column or a value",
    "n eq ^0x10": "found '0x10', expected a column or a value",
    "n eq ^٣": "found '٣'",
    "Microsoft.Dynamics.CRM.In(^n,1)": "found 'n', expected PropertyName='…'",
    "Microsoft.Dynamics.CRM.In(PropertyName=^'nn',PropertyValues=[1])": "no column 'nn'",
    "Microsoft.Dynamics.CRM.In(PropertyName=^'_ownerid_value',PropertyValues=[1])": (
        "PropertyName takes the column itself; write 'ownerid'"
    ),
    "Microsoft.Dynamics.CRM.In(PropertyName='n',PropertyValues=[^'a'])": "expected a whole number",
    "Microsoft.Dynamics.CRM.In(PropertyName='n',PropertyValues=[^'1_0'])": "a whole number",
    "Microsoft.Dynamics.CRM.In(PropertyName='n',PropertyValues=[^null])": "found 'null', expected",
    "Microsoft.Dynamics.CRM.In(PropertyName='options',PropertyValues=[^'1'])": "multi-select",
    "Microsoft.Dynamics.CRM.In(PropertyName='flag',PropertyValues=[^'yes'])": "true or false",
    "Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=[^\"\\x\"])": "no valid JSON",
    "Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=[^\"\\ud800\"])": "no valid JSON",
    "name eq '^\ud800'": "lone surrogate",
}


@pytest.mark.parametrize(("marked", "message"), REFUSED.items(), ids=map(ascii, REFUSED))
def test_a_filter_is_refused_by_name_and_place(marked: str, message: str) -> None:
    position = marked.index("^")
    text = marked.replace("^", "", 1)
    with pytest.raises(FilterError) as raised:
        parse(text)
    assert message in str(raised.value)
    assert (raised.value.position, raised.value.source) == (position, text)
    assert raised.value.language == "odata"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError, match="it is empty"):
        parse(text)


# --- bounds -------------------------------------------------------------------------------------


def test_a_long_filter_is_read_and_a_longer_one_is_refused_shortly() -> None:
    text = " or ".join(["n eq 1"] * 6_500)
    expression = parse(text)
    assert isinstance(expression, Or)
    assert len(expression.parts) == 6_500
    with pytest.raises(FilterError, match="at most 65536 are read") as raised:
        parse(" or ".join(["n eq 1"] * 7_000))
    assert len(str(raised.value)) < 300


def test_a_hundred_levels_are_read_and_one_more_is_refused() -> None:
    nested = "n eq 1"
    for level in range(100):
        nested = f"not ({nested} {'or' if level % 2 else 'and'} m eq {level})"
    assert parse(render(parse(nested))) == parse(nested)
    with pytest.raises(FilterError, match="more than 100 parentheses are open"):
        parse(f"({nested})")


@pytest.mark.timeout(20)  # what takes quadratic time takes minutes
@pytest.mark.parametrize(
    "text",
    [
        "(" * 60_000,
        "not " * 15_000 + "n eq 1",
        "not " * 15_001,
        "'" * 60_000,
        "'" * 60_001,
        "name eq " + "'" * 60_001,
        'n eq "' + '\\"' * 30_000,
        "a" * 60_000,
        "a/" * 30_000,
        "a." * 30_000,
        "n eq " + "1" * 60_000,
        "revenue eq 1." + "0" * 60_000,
        "latitude eq " + "1" * 60_000,
        "-" * 60_000,
        "n eq 1 or " * 6_000 + "@",
        "n eq 1 or " * 6_000 + ")",
        "n eq 1" + " " * 60_000 + ")",
        "name eq 'a' or contains(name,'" + "[" * 60_000,
        "Microsoft.Dynamics.CRM.In(PropertyName='n',PropertyValues=[" + "1," * 30_000,
        "contains(name,'" + "[" * 60_000 + "')",
    ],
    ids=lambda text: text[:30],
)
def test_a_hostile_filter_ends_in_linear_time_and_in_no_other_error(text: str) -> None:
    try:
        expression = parse(text)
    except FilterError:
        return
    predicate(expression, SCHEMA.positions)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*"()',.[]-@$/:\"{%", *REFUSED, *READ, " eq ", " and ", "not ", "name", "1"]
        ),
        max_size=6,
    ).map("".join)
    | st.text(max_size=20)
)
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        expression = parse(text)
    except FilterError as error:
        place = error.position or 0
    else:
        place = 0
        assert flat(parse(render(expression))) == flat(expression)
    assert 0 <= place <= len(text)


# --- what is written ----------------------------------------------------------------------------


def flat(expression: Expression) -> Expression:
    """Merge an And inside an And, and an Or inside an Or."""
    if not isinstance(expression, And | Or):
        return expression
    own = type(expression)
    parts: list[Expression] = []
    for part in map(flat, expression.parts):
        parts.extend(part.parts if isinstance(part, own) else (part,))
    return parts[0] if len(parts) == 1 else own(tuple(parts))


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


COMPARED = [column for column in SCHEMA.columns if column.type is not T.CHOICES]
TEXTS = [column for column in COMPARED if column.kind is Kind.TEXT]


def comparisons(column: Column) -> st.SearchStrategy[Expression]:
    literal = cells(column).map(Literal)
    own = st.just(ref(column.name))
    others = [other for other in COMPARED if other.kind is column.kind and other.name != "day"]
    beside = st.sampled_from([ref(other.name) for other in others] or [ref(column.name)])
    if column.name == "day":
        beside = own
    operators = st.sampled_from(C)
    return (
        st.builds(Compare, operators, own, literal)
        | st.builds(Compare, operators, literal, own)
        | st.builds(Compare, operators, own, beside)
        | st.builds(IsNull, own, st.booleans())
        | st.builds(In, own, st.lists(cells(column), max_size=3).map(tuple), st.booleans())
    )


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


def deep(levels: int) -> Expression:
    expression: Expression = compare("n", C.EQ, 1)
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
        (compare("options", C.EQ, "1"), "multi-select"),
        (In(ref("options"), ("1",)), "multi-select"),
        (Compare(C.EQ, Literal(1), Literal(1)), "no column is compared"),
        (Compare(C.EQ, ref("n"), ref("name")), "columns of different kinds"),
        (deep(102), "nested more than 100 levels deep"),
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
    assert parse(render(deep(101))) == deep(101)
    found = Like(ref("name"), "%a%")
    assert parse(render(And((found, deep(100))))) == And((found, deep(100)))


# --- the plugin ---------------------------------------------------------------------------------


def test_the_language_is_a_driver_without_settings() -> None:
    assert issubclass(ODataLanguage, FilterLanguage)
    assert ODataLanguage.name == "odata"
    assert holdfast_odata.__all__ == ["ODataLanguage", "ODataSettings"]
    with pytest.raises(ValidationError, match="Extra inputs"):
        ODataLanguage.Settings.model_validate({"strict": True})


def test_importing_the_plugin_does_not_import_the_parser() -> None:
    code = "import sys, holdfast_odata; print('lark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
