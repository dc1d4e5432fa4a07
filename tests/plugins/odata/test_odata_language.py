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
    And,
    Compare,
    Expression,
    In,
    IsNull,
    Like,
    Literal,
    Or,
    predicate,
)
from holdfast_odata import ODataLanguage
from support.odata import GUID, SCHEMA, C, compare, flat, parse, ref, render

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
    f"accountid eq '{{{GUID}}}'": compare("accountid", C.EQ, GUID),
    "photo ne null": IsNull(ref("photo"), negated=True),
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
    "options eq '9, 1'": compare("options", C.EQ, "1,9"),
    "options ne options": Compare(C.NE, ref("options"), ref("options")),
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
}


@pytest.mark.parametrize(("text", "expression"), READ.items(), ids=READ)
def test_a_filter_is_read(text: str, expression: Expression) -> None:
    assert parse(text) == expression


@pytest.mark.parametrize(("text", "expression"), READ.items(), ids=READ)
def test_what_was_read_is_written_so_that_it_reads_the_same(
    text: str, expression: Expression
) -> None:
    assert flat(parse(render(expression))) == flat(expression)


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
    "accountid eq ^'me'": "found 'me' for column 'accountid', expected an id such as",
    f"photo eq ^{GUID}": "what a file holds is not compared",
    "photo eq ^photo": "what a file holds is not compared",
    "createdon eq ^'2024-01-01'": "expected a time such as",
    "createdon eq ^2024-02-30": "expected a time such as",
    "createdon eq ^2024-01-01T24:00:01Z": "expected a time such as",
    "createdon eq ^0001-01-01T00:00:00+14:00": "expected a time such as",
    "createdon eq ^2024-01-01T00:00:00": "the time has no zone",
    "day eq ^2024-01-01T00:00:00Z": "expected a date such as",
    "options eq ^'a'": "expected options such as '1,2'",
    "options eq ^''": "expected options such as '1,2'",
    "options eq ^1": "expected options such as '1,2'",
    "options ^gt '1'": "the options of a multi-select have no order",
    "options lt ^options": "the options of a multi-select have no order",
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
    "^tags/$count gt 1": "'tags/$count' is not supported",
    "name^/ eq 'a'": "a path has a name on either side of it",
    "^tolower(name) eq 'a'": "function 'tolower' is not supported: Dataverse has none",
    "contains(^tolower(name),'a')": "function 'tolower' is not supported: Dataverse has none",
    "n eq ^length (name)": "function 'length' is not supported: Dataverse has none",
    "n eq ^Ns.Color'Red'": "enumeration literal 'Ns.Color' is not supported",
    "^Ns.Type eq 1": "qualified name 'Ns.Type' is not supported",
    "n eq ^duration'PT1S'": "literal of type 'duration' is not supported",
    "n ^in (1,2)": "operator 'in' is not supported; use Microsoft.Dynamics.CRM.In",
    "n ^has 1": "operator 'has' is not supported",
    "n ^add 1 eq 2": "arithmetic 'add' is not supported",
    "n eq 1 ^mul 2": "arithmetic 'mul' is not supported",
    "^-n eq 1": "arithmetic '-' is not supported",
    "latitude eq ^INF": "the number 'INF' is not supported",
    "latitude eq ^-INF": "the number '-INF' is not supported",
    "createdon eq ^08:30:00": "a time of day is not supported",
    "n eq ^@p": "parameter alias '@p' is not supported",
    "^$it eq 1": "'$it' is not supported",
    "^[1,2] eq n": "a collection literal is not supported",
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
    "Microsoft.Dynamics.CRM.In(PropertyName='n',PropertyValues=[^])": "expected a value such as",
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
    assert flat(parse(render(parse(nested)))) == flat(parse(nested))
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
