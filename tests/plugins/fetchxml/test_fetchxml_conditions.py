"""Cases of conditions gathered from other implementations: each is parsed, settled and evaluated.

Where implementations dispute, the cases say what Dataverse does, as far as it is known: a negative
operator matches null, and ``olderthan-x-*`` counts from the start of its unit. The README of the
plugin has the reasons.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest

from holdfast.filters import Predicate, is_settled, predicate, settle
from holdfast.model import Asking, Caller, FiscalCalendar, FiscalPeriod
from holdfast.schema import Column, ColumnType, TableSchema
from holdfast.values import Cell
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings

DATA = Path(__file__).parents[2] / "data" / "fetchxml_conditions.json"
CASES = json.loads(DATA.read_text(encoding="utf-8"))["cases"]
LANGUAGE = FetchXmlLanguage(FetchXmlSettings())
T = ColumnType
TYPES = {
    "string": T.STRING,
    "int": T.INTEGER,
    "double": T.DOUBLE,
    "optionset": T.CHOICE,
    "multiselect": T.CHOICES,
    "guid": T.UNIQUEIDENTIFIER,
    "datetime": T.DATETIME,
}
PERIODS = {
    "annually": FiscalPeriod.ANNUALLY,
    "semiannually": FiscalPeriod.SEMIANNUALLY,
    "quarterly": FiscalPeriod.QUARTERLY,
    "monthly": FiscalPeriod.MONTHLY,
}


def schema_of(kind: str) -> TableSchema:
    columns = (Column("thingid", T.UNIQUEIDENTIFIER), Column("value", TYPES[kind]))
    return TableSchema("thing", "thingid", None, columns)


def asking_of(case: dict[str, Any]) -> Asking:
    given = case.get("context", {})
    month, _, day = given.get("fiscal_year_start", "01-01").partition("-")
    fiscal = FiscalCalendar(int(month), int(day), PERIODS[given.get("fiscal_period", "quarterly")])
    caller = Caller(
        "organisation",
        given.get("user_id", "11111111-1111-4111-8111-111111111111"),
        given.get("business_unit_id"),
        fiscal=fiscal,
    )
    return Asking(datetime.fromisoformat(case.get("now", "2026-03-04T12:30:30Z")), caller)


def filter_of(case: dict[str, Any]) -> str:
    given = f"attribute='value' operator={quoteattr(case['operator'])}"
    texts = [str(value) for value in case["values"]]
    if len(texts) == 1:
        return f"<filter><condition {given} value={quoteattr(texts[0])}/></filter>"
    values = "".join(f"<value>{escape(text)}</value>" for text in texts)
    return f"<filter><condition {given}>{values}</condition></filter>"


def predicate_of(source: str, case: dict[str, Any]) -> Predicate:
    schema = schema_of(case["type"])
    settled = settle(LANGUAGE.parse(source, schema, {}), asking_of(case))
    assert is_settled(settled)
    return predicate(settled, schema.positions)


def cell_of(value: Any) -> Cell:
    return ",".join(map(str, sorted(value))) if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_condition_matches_the_rows_that_the_case_says(case: dict[str, Any]) -> None:
    test = predicate_of(filter_of(case), case)
    found = [(row["value"], test(["", cell_of(row["value"])]) is True) for row in case["rows"]]
    assert found == [(row["value"], row["match"]) for row in case["rows"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_condition_is_written_so_that_it_matches_the_same_rows(case: dict[str, Any]) -> None:
    schema = schema_of(case["type"])
    written = LANGUAGE.render(LANGUAGE.parse(filter_of(case), schema, {}), schema, {})
    test = predicate_of(written, case)
    found = [(row["value"], test(["", cell_of(row["value"])]) is True) for row in case["rows"]]
    assert found == [(row["value"], row["match"]) for row in case["rows"]]


def test_no_case_is_left_out() -> None:
    assert len(CASES) == 282
    assert Counter(case["confidence"] for case in CASES)["disputed"] == 34
