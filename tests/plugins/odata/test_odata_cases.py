"""Cases gathered from other implementations and from the OASIS grammar.

Each case is one test. What is outside the supported set is recognised by rule, from the text
of the case, and must be refused by its name. Where engines dispute, or Dataverse differs from
all of them, ``DECIDED`` has the expected answer with its reason.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from holdfast.errors import FilterError
from holdfast.filters import predicate
from holdfast.schema import Column, ColumnType, DateBehavior, TableSchema
from holdfast.values import Cell, parse_datetime_cell
from holdfast_odata import ODataLanguage, ODataSettings

DATA = Path(__file__).parents[2] / "data"
LANGUAGE = ODataLanguage(ODataSettings())
T = ColumnType

#: What a filter may say that this language does not; the phrase must be in the refusal.
UNSUPPORTED = (
    (re.compile(r"(\w+)/(?:any|all)\("), "no collection '{}'"),  # of single values
    (re.compile(r"((?:\w+\.)+\w+)\("), "function '{}'"),
    (re.compile(r"(?<![.\w])(\w+)\("), "function '{}'"),
    (re.compile(r" (in|has) "), "operator '{}'"),
    (re.compile(r"((?:\w+\.)+\w+)''"), "enumeration literal '{}'"),
    (re.compile(r"\b(?!eq|ne)(\w+)''"), "literal of type '{}'"),
    (re.compile(r"(@\w+)"), "parameter alias '{}'"),
    (re.compile(r"\b(\w+)(?:/\w+)+"), "no navigation property '{}'"),
    (re.compile(r" (add|sub|mul|div|mod) "), "arithmetic '{}'"),
    (re.compile(r"(?:^| )(-)(?=[ (a-z])"), "arithmetic '{}'"),
    (re.compile(r"(-?INF|NaN)\b"), "number '{}'"),
    (re.compile(r"(?<=\s)([A-Z]{2,})\b"), "'{}'; write"),
    (re.compile(r"() [0-9]{2}:[0-9]{2}"), "time of day"),
    (re.compile(r"()^\["), "collection literal"),
    (re.compile(r"()^(?:not )?\w+$"), "no condition on its own"),
    (re.compile(r"\) (eq) true"), "'{}' after a whole condition"),
)
SUPPORTED_CALLS = {
    "contains",
    "startswith",
    "endswith",
    "Microsoft.Dynamics.CRM.Between",
    "Microsoft.Dynamics.CRM.In",
    "Microsoft.Dynamics.CRM.LastXHours",
    "Microsoft.Dynamics.CRM.Today",
    "not",
    "and",
    "or",
}


def refusal(text: str) -> str | None:
    """Return what the refusal of an unsupported filter must say; None if it is supported."""
    blanked = re.sub(r"'(?:[^']|'')*'", "''", text)
    for pattern, phrase in UNSUPPORTED:
        for found in pattern.finditer(blanked):
            if found[1] not in SUPPORTED_CALLS:
                return phrase.format(found[1])
    return None


# --- semantics ----------------------------------------------------------------------------------

ACCOUNT = TableSchema(
    "account",
    "accountid",
    "name",
    (
        Column("accountid", T.UNIQUEIDENTIFIER),
        Column("name", T.STRING),
        Column("accountnumber", T.STRING),
        Column("description", T.MEMO),
        Column("revenue", T.MONEY),
        Column("numberofemployees", T.INTEGER),
        Column("address1_latitude", T.DOUBLE),
        Column("donotemail", T.BOOLEAN),
        Column("founded", T.DATETIME, behavior=DateBehavior.DATE_ONLY),
        Column("lastonholdtime", T.DATETIME),
        Column("statecode", T.STATE),
        Column("industrycode", T.CHOICE),
        Column("createdon", T.DATETIME),
    ),
)
SEMANTICS = json.loads((DATA / "odata_filter_semantics.json").read_text(encoding="utf-8"))
EVERY_ACCOUNT = [row["accountnumber"] for row in SEMANTICS["rows"]]
DECIDED = {
    # Dataverse compares text without regard to case.
    "odf-001": ["AC00005"],
    "odf-033": [row["accountnumber"] for row in SEMANTICS["rows"] if "Account" in row["name"]],
    # '%' and '_' are wildcards in Dataverse's string functions.
    "odf-030": EVERY_ACCOUNT,
    "odf-031": EVERY_ACCOUNT,
    # A negated operator matches null.
    "odf-040": EVERY_ACCOUNT,
    # An offset is an instant; the SQL engine compared the texts.
    "odf-069": next(case["cap"] for case in SEMANTICS["cases"] if case["id"] == "odf-069"),
}


def cell(column: Column, value: Any) -> Cell:  # Any: what JSON holds
    if value is not None and column.type is T.MONEY:
        return Decimal(str(value))
    if value is not None and column.type is T.DATETIME:
        return parse_datetime_cell(column, value)
    known: Cell = value
    return known


def matches(text: str) -> list[str]:
    test = predicate(LANGUAGE.parse(text, ACCOUNT, {}), ACCOUNT.positions)
    return [
        row["accountnumber"]
        for row in SEMANTICS["rows"]
        if test([cell(column, row.get(column.name)) for column in ACCOUNT.columns]) is True
    ]


@pytest.mark.parametrize("case", SEMANTICS["cases"], ids=lambda case: case["id"])
def test_a_filter_matches_the_rows_that_other_engines_say(case: dict[str, Any]) -> None:
    unsupported = refusal(case["filter"])
    if unsupported:
        with pytest.raises(FilterError, match=re.escape(unsupported)):
            LANGUAGE.parse(case["filter"], ACCOUNT, {})
        return
    assert case["agree"] or case["id"] in DECIDED
    assert matches(case["filter"]) == DECIDED.get(case["id"], case["cap"])


# --- syntax -------------------------------------------------------------------------------------

ANYTHING = TableSchema(
    "thing",
    "id",
    "name",
    (
        Column("id", T.UNIQUEIDENTIFIER),
        Column("name", T.STRING),
        Column("age", T.DOUBLE),
        Column("active", T.BOOLEAN),
        Column("d", T.DATETIME),
        Column("a", T.INTEGER),
        Column("b", T.INTEGER),
        Column("x", T.STRING),
        Column("createdon", T.DATETIME),
        Column("parentcustomerid", T.LOOKUP, targets=("account", "contact")),
    ),
)
SYNTAX = [
    case
    for case in json.loads((DATA / "odata_syntax.json").read_text(encoding="utf-8"))["cases"]
    if case["rule"] == "filter"  # the other rules are those of the URL, not of this language
]
PLAIN_HERE = "a filter is plain text here: whoever makes a URL of it encodes it"
ACCEPTED = dict.fromkeys(
    ("syn-205", "syn-209", "syn-214", "syn-215", "syn-216", "syn-217"), PLAIN_HERE
)
REFUSED = {
    "syn-076": "a quoted date is a text, and the column is no text",
    "syn-088": "dates have the years 1 to 9999, as Dataverse's do",
}


@pytest.mark.parametrize("case", SYNTAX, ids=lambda case: case["id"])
def test_a_filter_is_read_where_the_grammar_of_oasis_reads_it(case: dict[str, Any]) -> None:
    text = unquote(case["input"].removeprefix("$filter="))
    unsupported = refusal(text)
    valid = case["valid"] and case["id"] not in REFUSED
    if case["id"] in ACCEPTED or (valid and not unsupported):
        LANGUAGE.parse(text, ANYTHING, {})
        return
    with pytest.raises(FilterError) as raised:
        LANGUAGE.parse(text, ANYTHING, {})
    assert raised.value.position is not None
    if case["valid"]:
        assert (unsupported or "expected") in str(raised.value)
