"""Aggregates of FetchXML: what is counted and added up, by which groups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.values import Cell, Reference
from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour.security import Depth
from support.fetching import ALL, Asker

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
FORMATTED = "OData.Community.Display.V1.FormattedValue"
NEW_YORK = 35
#: City, employees, revenue, latitude, on hold since.
ROWS: tuple[tuple[str | None, int | None, str | None, float | None, str | None], ...] = (
    ("Oslo", 1500, "10.50", 1.5, "2023-01-01T03:00:00Z"),
    ("oslo", 2700, "20.25", None, "2023-03-25T12:00:00Z"),
    ("Bergen", 2700, None, 2.5, "2023-08-27T12:00:00Z"),
    (None, None, None, None, None),
)


@pytest.fixture
def ask() -> Asker:
    dataverse = Dataverse(lambda: NOW)
    asker = Asker(dataverse)
    dataverse.load(
        "account",
        [
            {
                "accountid": f"0a0a0a0a-0000-4000-8000-00000000000{number}",
                "name": str(number),
                "address1_city": city,
                "numberofemployees": employees,
                "revenue": revenue,
                "address1_latitude": latitude,
                "lastonholdtime": on_hold,
                "ownerid": Reference("systemuser", asker.user.id),
            }
            for number, (city, employees, revenue, latitude, on_hold) in enumerate(ROWS)
        ],
    )
    return asker


def query(inner: str, fetch: str = "") -> str:
    return f"<fetch aggregate='true' {fetch}><entity name='account'>{inner}</entity></fetch>"


def total(name: str, function: str, marks: str = "") -> str:
    return f"<attribute name='{name}' alias='r' aggregate='{function}' {marks}/>"


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (total("numberofemployees", "count"), 4),
        (total("numberofemployees", "countcolumn"), 3),
        (total("numberofemployees", "countcolumn", "distinct='true'"), 2),
        (total("address1_city", "countcolumn", "distinct='true'"), 2),
        (total("numberofemployees", "sum"), 6900),
        (total("numberofemployees", "avg"), 2300),
        (total("numberofemployees", "min"), 1500),
        (total("numberofemployees", "max"), 2700),
        (total("revenue", "sum"), 30.75),
        (total("revenue", "avg"), 15.375),
        (total("address1_latitude", "sum"), 4.0),
        (total("address1_latitude", "avg"), 2.0),
        (total("lastonholdtime", "max"), "2023-08-27T12:00:00Z"),
        (total("creditlimit", "sum"), 0),
        (total("creditlimit", "avg"), None),
        (total("creditlimit", "max"), None),
        (total("ownerid", "countcolumn", "distinct='true'"), 1),
    ],
)
def test_nulls_take_part_in_nothing_but_counting_rows(
    ask: Asker, inner: str, expected: object
) -> None:
    (row,) = ask.fetch("accounts", query(inner)).value
    assert row == ({} if expected is None else {"r": expected})


def test_a_mean_of_whole_numbers_is_cut_off(ask: Asker) -> None:
    where = "<filter><condition attribute='numberofemployees' operator='not-null'/></filter>"
    values = {"name": "x", "numberofemployees": 1}
    ask.dataverse.create(ask.user, "account", values)
    assert ask.fetch("accounts", query(total("numberofemployees", "avg") + where)).value == [
        {"r": 1725}
    ]
    ask.dataverse.create(ask.user, "account", values)
    assert ask.fetch("accounts", query(total("numberofemployees", "avg"))).value == [{"r": 1380}]


def test_without_groups_there_is_a_record_even_of_nothing(ask: Asker) -> None:
    where = "<filter><condition attribute='name' operator='eq' value='nobody'/></filter>"
    assert ask.fetch("accounts", query(total("name", "count") + where)).value == [{"r": 0}]
    grouped = total("name", "count") + "<attribute name='name' alias='g' groupby='true'/>" + where
    assert ask.fetch("accounts", query(grouped)).value == []


CITY = "<attribute name='address1_city' alias='city' groupby='true'/>"


def test_groups_have_one_spelling_and_null_is_one(ask: Asker) -> None:
    inner = CITY + total("numberofemployees", "sum") + "<order alias='r' descending='true'/>"
    assert ask.fetch("accounts", query(inner)).value == [
        {"city": "Oslo", "r": 4200},
        {"city": "Bergen", "r": 2700},
        {"r": 0},
    ]
    assert ask.fetch("accounts", query(inner, "top='1'")).column("city") == ["Oslo"]
    assert ask.fetch("accounts", query(inner, "count='2' page='2'")).value == [{"r": 0}]


def test_groups_are_annotated_like_columns(ask: Asker) -> None:
    inner = "<attribute name='ownerid' alias='o' groupby='true'/>" + total("revenue", "sum")
    (row,) = ask.fetch("accounts", query(inner), ALL).value
    assert row["o"] == ask.user.id
    assert row[f"o@{FORMATTED}"] == "Ann Field"
    assert row["o@Microsoft.Dynamics.CRM.lookuplogicalname"] == "systemuser"
    assert row["r@OData.Community.Display.V1.AttributeName"] == "revenue"
    assert row[f"r@{FORMATTED}"] == "$30.75"
    assert "@odata.etag" not in row


def part(name: str, marks: str = "") -> str:
    return (
        f"<attribute name='lastonholdtime' alias='p' groupby='true' dategrouping='{name}' {marks}/>"
        + total("name", "count")
        + "<order alias='p'/>"
    )


def parts(ask: Asker, inner: str) -> list[Any]:
    return [row["p"] for row in ask.fetch("accounts", query(inner)).value if "p" in row]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("day", [1, 25, 27]),
        ("week", [1, 12, 35]),
        ("month", [1, 3, 8]),
        ("quarter", [1, 3]),
        ("year", [2023]),
        ("fiscal-period", [1, 3]),
        ("fiscal-year", [2023]),
    ],
)
def test_parts_of_a_date(ask: Asker, name: str, expected: list[int]) -> None:
    assert parts(ask, part(name)) == expected


def test_a_day_is_that_of_the_caller_unless_utc_is_asked_for(ask: Asker) -> None:
    settings: dict[str, Cell | Reference] = {"timezonecode": NEW_YORK}
    ask.dataverse.load("usersettings", [{**settings, "systemuserid": ask.user.id}])
    assert parts(ask, part("year")) == [2022, 2023]  # three in the morning is the evening before
    assert parts(ask, part("year", "usertimezone='false'")) == [2023]


@pytest.mark.parametrize(
    ("day", "week"),
    [("2026-01-01", 1), ("2026-01-03", 1), ("2026-01-04", 2), ("2024-12-31", 53)],
)
def test_a_week_begins_on_sunday(ask: Asker, day: str, week: int) -> None:
    values = {"lastname": "x", "birthdate": day}
    ask.dataverse.create(ask.user, "contact", values)
    inner = "<attribute name='birthdate' alias='p' groupby='true' dategrouping='week'/>"
    xml = query(inner).replace("'account'", "'contact'")
    assert ask.fetch("contacts", xml).value == [{"p": week}]


def test_fiscal_parts_follow_the_organisation(ask: Asker) -> None:
    organisation = ask.dataverse.organization_id
    values = {"fiscalcalendarstart": "2023-07-01T00:00:00", "fiscalperiodtype": 2003}
    ask.dataverse.update(ask.dataverse.system, "organization", organisation, values)
    rows = ask.fetch("accounts", query(part("fiscal-period")), ALL).value[1:]
    assert [(row["p"], row[f"p@{FORMATTED}"]) for row in rows] == [
        (7, "Month 7 FY2022"),
        (9, "Month 9 FY2022"),
        (2, "Month 2 FY2023"),
    ]
    years = ask.fetch("accounts", query(part("fiscal-year")), ALL).value[1:]
    assert [row[f"p@{FORMATTED}"] for row in years] == ["FY2022", "FY2023"]


def test_linked_columns_are_aggregated_and_grouped(ask: Asker) -> None:
    inner = (
        total("accountid", "count")
        + "<link-entity name='systemuser' from='systemuserid' to='ownerid'>"
        "<attribute name='fullname' alias='who' groupby='true'/></link-entity>"
    )
    assert ask.fetch("accounts", query(inner)).value == [{"who": "Ann Field", "r": 4}]


def test_only_rows_of_the_caller_are_aggregated(ask: Asker) -> None:
    office = Asker(ask.dataverse, "office-token")
    office.dataverse.security.limit(office.user, "account", Depth.BASIC)
    assert office.fetch("accounts", query(total("name", "count"))).value == [{"r": 0}]


def test_too_many_rows_are_not_aggregated(ask: Asker) -> None:
    count = total("name", "count")
    assert ask.fetch("accounts", query(count, "aggregatelimit='4'")).value == [{"r": 4}]
    said = ask.fetch("accounts", query(count, "aggregatelimit='3'"))
    assert (said.status, said.code) == (400, "0x8004e023")


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("", "0x8004111a"),
        ("<all-attributes/>", "0x80041107"),
        ("<attribute name='name' aggregate='count'/>", "0x8004110b"),
        ("<attribute name='name' alias='n'/>", "0x80041107"),
        (total("name", "median"), "0x8004111a"),
        (total("name", "sum"), "0x8004111a"),
        (total("statecode", "max"), "0x8004111a"),
        (total("name", "count", "groupby='true'"), "0x8004111a"),
        ("<attribute name='name' alias='n' groupby='1' dategrouping='day'/>", "0x8004111a"),
        ("<attribute name='createdon' alias='n' groupby='1' dategrouping='hour'/>", "0x80040203"),
        (total("name", "count") + "<order attribute='name'/>", "0x8004111a"),
        (total("name", "count") + "<order alias='x'/>", "0x8004110a"),
        (total("name", "count") + total("fax", "count"), "0x80041109"),
    ],
)
def test_what_cannot_be_aggregated_is_refused(ask: Asker, inner: str, code: str) -> None:
    said = ask.fetch("accounts", query(inner))
    assert (said.status, said.code) == (400, code)


def test_children_in_the_hierarchy_are_counted(ask: Asker) -> None:
    top = "0a0a0a0a-0000-4000-8000-000000000000"
    for name in ("a", "b"):
        values = {"name": name, "parentaccountid": Reference("account", top)}
        ask.dataverse.create(ask.user, "account", values)
    xml = (
        "<fetch><entity name='account'><attribute name='name'/><attribute name='accountid' "
        "alias='below' rowaggregate='CountChildren'/><order attribute='name'/></entity></fetch>"
    )
    rows = ask.fetch("accounts", xml).value
    assert [(row["name"], row["below"]) for row in rows][:2] == [("0", 2), ("1", 0)]
    other = xml.replace("accountid", "name")
    assert ask.fetch("accounts", other).code == "0x8004111a"
