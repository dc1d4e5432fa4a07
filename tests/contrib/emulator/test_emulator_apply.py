"""``$apply``: groups, aggregates, and what Dataverse refuses of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.values import Reference
from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour.security import Depth
from support.fetching import ALL, Asker

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
FORMATTED = "OData.Community.Display.V1.FormattedValue"
LABELS = f'odata.include-annotations="{FORMATTED}"'


def organisation() -> Asker:
    """Return an organisation with three accounts, two of which have one contact."""
    dataverse = Dataverse(lambda: NOW)
    asker = Asker(dataverse)
    jim = dataverse.create(asker.user, "contact", {"firstname": "Jim", "lastname": "Glynn"})
    for name, revenue, contact in (("A", 10, jim.id), ("B", 20, jim.id), ("C", None, None)):
        values = {"name": name, "revenue": revenue, "numberofemployees": revenue}
        pointer = {"primarycontactid": Reference("contact", contact)} if contact else {}
        made = dataverse.create(asker.user, "account", {**values, **pointer})
        if name == "B":
            state = {"statecode": 1, "statuscode": 2}
            dataverse.update(asker.user, "account", made.id, state)
    return asker


@pytest.fixture
def ask() -> Asker:
    return organisation()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("groupby((statuscode))", [{"statuscode": 1}, {"statuscode": 2}]),
        (
            "groupby((statuscode),aggregate($count as count))",
            [{"statuscode": 1, "count": 2}, {"statuscode": 2, "count": 1}],
        ),
        ("aggregate(revenue with sum as total)", [{"total": 30}]),
        ("aggregate(revenue with average as a, revenue with max as b)", [{"a": 15, "b": 20}]),
        ("aggregate(numberofemployees with min as m,$count as n)", [{"m": 10, "n": 3}]),
        ("aggregate(primarycontactid/lastname with countdistinct as n)", [{"n": 1}]),
        ("aggregate(_primarycontactid_value with countdistinct as n)", [{"n": 1}]),
        ("aggregate(createdon with max as last)", [{"last": "2026-03-01T08:00:00Z"}]),
        (
            "groupby((primarycontactid/fullname),aggregate(revenue with sum as total))",
            [{"total": 0}, {"contact_fullname": "Jim Glynn", "total": 30}],
        ),
        (
            "filter(name eq 'a')/groupby((primarycontactid/fullname))",
            [{"contact_fullname": "Jim Glynn"}],
        ),
        ("filter(revenue gt 5)/filter(name ne 'A')/aggregate($count as n)", [{"n": 1}]),
        ("filter(contains(name,'/') or name eq ')(')/aggregate($count as n)", [{"n": 0}]),
        (
            "groupby((statecode,statuscode))",
            [{"statecode": 0, "statuscode": 1}, {"statecode": 1, "statuscode": 2}],
        ),
        ("groupby((revenue))", [{}, {"revenue": 10}, {"revenue": 20}]),
    ],
)
def test_groups_and_aggregates(ask: Asker, text: str, expected: list[dict[str, object]]) -> None:
    said = ask.apply("accounts", text)
    assert said.value == expected
    assert said.json["@odata.context"].endswith("/$metadata#accounts")


def test_groups_are_formatted(ask: Asker) -> None:
    text = "groupby((statuscode,_ownerid_value),aggregate(revenue with sum as total,$count as n))"
    row = ask.apply("accounts", text, LABELS).value[0]
    assert row[f"statuscode@{FORMATTED}"] == "Active"
    assert row[f"_ownerid_value@{FORMATTED}"] == "Ann Field"
    assert row[f"total@{FORMATTED}"] == "$10.00"
    assert row[f"n@{FORMATTED}"] == "2"
    every = ask.apply("accounts", text, ALL).value[0]
    assert every["_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "systemuser"


def test_groups_are_sorted_by_what_they_are_made_by(ask: Asker) -> None:
    text = "groupby((statuscode),aggregate($count as n))"
    said = ask.apply("accounts", text, _orderby="statuscode desc")
    assert said.column("statuscode") == [2, 1]
    refused = ask.apply("accounts", text, _orderby="n")
    assert refused.status == 400
    assert refused.message == "The query node SingleValueOpenPropertyAccess is not supported."


def test_a_parameter_alias_stands_in_a_filter(ask: Asker) -> None:
    said = ask.get("accounts", _apply="filter(name eq @p)/aggregate($count as n)", **{"@p": "'A'"})
    assert said.value == [{"n": 1}]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "groupby",
        "groupby(statuscode)",
        "groupby((createdon))",
        "groupby((nope))",
        "groupby((primarycontactid/nope))",
        "groupby((contact_customer_accounts/fullname))",
        "groupby(())",
        "groupby((name),aggregate($count as n),aggregate($count as m))",
        "groupby((name),aggregate($count as name))",
        "aggregate(revenue)",
        "aggregate(revenue with sum)",
        "aggregate(revenue with median as m)",
        "aggregate(name with sum as total)",
        "aggregate($count as n,$count as n)",
        "aggregate($count as a b)",
        "aggregate(//// with sum as x)",
        "filter(nope eq 1)/aggregate($count as n)",
        "filter(name eq 'A'/aggregate($count as n)",
        "sum(revenue)",
    ],
)
def test_what_is_not_understood_is_a_400(ask: Asker, text: str) -> None:
    assert ask.apply("accounts", text).status == 400


@pytest.mark.parametrize(
    "text",
    [
        "filter(name eq 'A')",
        "compute(revenue mul 2 as x)",
        "groupby((name))/aggregate($count as n)",
        "groupby((name),topcount(1,revenue))",
        "groupby((rollup(name,statuscode)))",
        "topcount(1,revenue)",
    ],
)
def test_what_the_emulator_lacks_is_a_501(ask: Asker, text: str) -> None:
    assert ask.apply("accounts", text).status == 501


def test_options_beside_it_are_not_passed_over(ask: Asker) -> None:
    for option in ("_filter", "_select", "_top", "_count", "_expand", "fetchXml"):
        said = ask.apply("accounts", "aggregate($count as n)", **{option: "name"})
        assert said.status in (400, 501)


def test_only_rows_of_the_caller_take_part(ask: Asker) -> None:
    office = Asker(ask.dataverse, "office-token")
    text = "aggregate($count as n,revenue with sum as total)"
    ask.dataverse.secure("account", "revenue", hidden_from=office.user)
    assert office.apply("accounts", text).value == [{"n": 3, "total": 0}]
    ask.dataverse.security.limit(office.user, "account", Depth.BASIC)
    assert office.apply("accounts", text).value == [{"n": 0, "total": 0}]
    ask.dataverse.security.limit(office.user, "account", Depth.NONE)
    assert office.apply("accounts", text).code == "0x80040220"


def test_more_than_50000_rows_are_refused(ask: Asker) -> None:
    ids = (f"0a0a0a0a-0000-4000-8000-{number:012}" for number in range(50_001))
    ask.dataverse.load("team", ({"teamid": row_id, "name": "t"} for row_id in ids))
    said = ask.apply("teams", "aggregate($count as n)")
    assert (said.status, said.code) == (400, "0x8004e023")


SEEDED = organisation()
WORDS: tuple[str, ...] = (
    "groupby",
    "aggregate",
    "filter",
    "(",
    ")",
    ",",
    "/",
    "$count",
    " as ",
    "n",
    " with ",
    "sum",
)
WORDS += ("revenue", "statuscode", "primarycontactid", "fullname", "createdon", "'", "eq", "1", "ß")


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(WORDS), max_size=14).map("".join), st.text(max_size=20)))
def test_any_text_is_answered_or_refused(text: str) -> None:
    assert SEEDED.apply("accounts", text).status in (200, 400, 501)
