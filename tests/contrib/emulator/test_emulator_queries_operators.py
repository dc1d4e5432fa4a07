"""The operators, against cases gathered elsewhere and by rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.queries.conditions import Condition, Field, Negated, Operator, Test
from holdfast_emulator.queries.evaluate import Asking, TableScope, matcher
from holdfast_emulator.queries.fiscal import FiscalCalendar, FiscalPeriod
from holdfast_emulator.queries.literals import operand_counts, operands
from holdfast_emulator.queries.operators import OPPOSITES

CASES = json.loads((Path(__file__).parents[2] / "data" / "fetchxml_conditions.json").read_text())
NOW = datetime(2026, 3, 4, 12, 30, 30, tzinfo=UTC)  # a Wednesday
ME = "11111111-1111-4111-8111-111111111111"
OTHER = "99999999-9999-4999-8999-999999999999"
COLUMNS = {
    "string": c.text("Value", 100),
    "int": c.integer("Value", -1000, 1000),
    "double": c.double("Value", "-1000", "1000", 5),
    "optionset": c.choice("Value", {1: "one", 2: "two"}),
    "multiselect": c.choices("Value", {1: "one", 2: "two", 3: "three"}),
    "guid": c.guid("Value"),
    "datetime": c.moment("Value"),
}
PERIODS = {
    "annually": FiscalPeriod.ANNUALLY,
    "semiannually": FiscalPeriod.SEMIANNUALLY,
    "quarterly": FiscalPeriod.QUARTERLY,
    "monthly": FiscalPeriod.MONTHLY,
}
ORG = Dataverse(lambda: NOW)
ANN = ORG.security.users()[0]


def table_of(column: ColumnDefinition) -> TableDefinition:
    return TableDefinition(
        *("new_one", "new_One", "new_ones", 10_000, "new_oneid", None),
        (c.primary_id("new_OneId"), column, *c.stamps()),
    )


def asking_of(now: datetime = NOW, context: Mapping[str, str] | None = None) -> Asking:
    given = context or {}
    month, _, day = given.get("fiscal_year_start", "01-01").partition("-")
    fiscal = FiscalCalendar(int(month), int(day), PERIODS[given.get("fiscal_period", "quarterly")])
    user = replace(
        ANN,
        id=given.get("user_id", ANN.id),
        business_unit=given.get("business_unit_id", ANN.business_unit),
    )
    return replace(ORG.asking(ANN), now=now, user=user, fiscal=fiscal)


def meets(column: ColumnDefinition, condition: Condition, cell: Cell, asking: Asking) -> bool:
    table = table_of(column)
    cells = [None] * len(table.fields)
    row: list[Cell] = list(cells)
    row[table.positions[column.name]] = cell
    return matcher(condition, TableScope(table, asking), asking)(tuple(row))


def holds(
    operator: Operator, column: ColumnDefinition, texts: list[str], cell: Cell, asking: Asking
) -> bool:
    values = operands(operator, column, texts, asking.zone)
    return meets(column, Test(Field(column.name), operator, values), cell, asking)


def cell_of(value: Any) -> Cell:
    return ",".join(map(str, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["id"])
def test_cases_of_other_implementations_hold(case: dict[str, Any]) -> None:
    now = datetime.fromisoformat(case["now"]) if "now" in case else NOW
    asking = asking_of(now, case.get("context"))
    column = COLUMNS[case["type"]]
    operator = Operator(case["operator"])
    texts = [str(value) for value in case["values"]]
    for row in case["rows"]:
        found = holds(operator, column, texts, cell_of(row["value"]), asking)
        assert found is row["match"], row


HIERARCHICAL = {
    Operator.ABOVE,
    Operator.EQ_OR_ABOVE,
    Operator.UNDER,
    Operator.EQ_OR_UNDER,
    Operator.NOT_UNDER,
}


def fitting(operator: Operator) -> tuple[ColumnDefinition, tuple[Cell, ...]]:
    """Return a column that the operator is for, and operands for both."""
    least, _ = operand_counts(operator)
    for column in COLUMNS.values():
        for text in ("2", "2024-01-01", ME):
            try:
                return column, operands(operator, column, [text] * least)
            except DataverseFault:
                continue
    raise AssertionError(f"no column is fit for {operator}")


@pytest.mark.parametrize("operator", sorted(set(Operator) - HIERARCHICAL, key=str))
def test_null_meets_negative_operators_only(operator: Operator) -> None:
    column, values = fitting(operator)
    test = Test(Field("value"), operator, values)
    assert meets(column, test, None, asking_of()) is (operator in OPPOSITES)
    never_unknown = operator in (Operator.NOT_NULL, *OPPOSITES)
    falsely = never_unknown and operator not in OPPOSITES
    assert meets(column, Negated(test), None, asking_of()) is falsely
    assert meets(column, Negated(Negated(test)), None, asking_of()) is (operator in OPPOSITES)


@pytest.mark.parametrize("operator", Operator)
def test_too_many_operands_are_refused(operator: Operator) -> None:
    least, most = operand_counts(operator)
    column = COLUMNS["datetime"] if most is None else fitting(operator)[0]
    if operator in (Operator.CONTAIN_VALUES, Operator.NOT_CONTAIN_VALUES):
        column = COLUMNS["multiselect"]
    texts = [] if most is None else ["1"] * (most + 1)
    with pytest.raises(DataverseFault, match="takes") as caught:
        operands(operator, column, texts)
    assert caught.value.code == "0x800404b7"
    assert least or most is not None


@pytest.mark.parametrize(
    ("operator", "column", "texts", "code"),
    [
        (Operator.EQ, "int", ["many"], "0x80040203"),
        (Operator.EQ, "int", ["9" * 19], "0x80040203"),
        (Operator.EQ, "double", ["1e999"], "0x80040203"),
        (Operator.EQ, "double", ["nan"], "0x80040203"),
        (Operator.EQ, "guid", ["x"], "0x80040203"),
        (Operator.EQ, "datetime", ["yesterday"], "0x80040203"),
        (Operator.EQ, "datetime", ["0001-01-01T00:00:00+14:00"], "0x80040203"),
        (Operator.CONTAIN_VALUES, "multiselect", ["one"], "0x80040203"),
        (Operator.LAST_X_DAYS, "datetime", ["0"], "0x80040203"),
        (Operator.LAST_X_DAYS, "datetime", ["9" * 30], "0x80040203"),
        (Operator.LAST_X_DAYS, "datetime", ["1.5"], "0x80040203"),
        (Operator.ON, "datetime", ["31.12.2024"], "0x80040203"),
        (Operator.ON, "string", ["2024-12-31"], "0x800404c7"),
        (Operator.LIKE, "int", ["1"], "0x800404c7"),
        (Operator.EQ_USER_ID, "string", [], "0x800404c7"),
        (Operator.GT, "multiselect", ["1"], "0x800404c7"),
        (Operator.CONTAIN_VALUES, "optionset", ["1"], "0x800404c7"),
    ],
)
def test_what_does_not_fit_is_refused(
    operator: Operator, column: str, texts: list[str], code: str
) -> None:
    with pytest.raises(DataverseFault) as caught:
        operands(operator, COLUMNS[column], texts)
    assert (caught.value.status, caught.value.code) == (400, code)


@pytest.mark.parametrize(
    "operator",
    [
        Operator.LAST_X_HOURS,
        Operator.NEXT_X_HOURS,
        Operator.OLDER_THAN_X_HOURS,
        Operator.OLDER_THAN_X_MINUTES,
    ],
)
def test_a_day_has_no_hours(operator: Operator) -> None:
    with pytest.raises(DataverseFault, match="not valid for the attribute"):
        operands(operator, c.day("Value"), ["1"])


def test_a_memo_is_in_no_list() -> None:
    with pytest.raises(DataverseFault) as caught:
        operands(Operator.NOT_IN, c.memo("Value"), ["a"])
    assert caught.value.code == "0x80044153"


@pytest.mark.parametrize(
    ("operator", "texts", "inside", "outside"),
    [
        (Operator.TODAY, [], "2026-03-03T23:00:00Z", "2026-03-04T23:00:00Z"),
        (Operator.YESTERDAY, [], "2026-03-03T22:59:59.9Z", "2026-03-02T22:59:59Z"),
        (Operator.THIS_WEEK, [], "2026-02-28T23:00:00Z", "2026-03-07T23:00:00Z"),
        (Operator.THIS_MONTH, [], "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"),
        (Operator.ON, ["2026-07-01"], "2026-06-30T22:00:00Z", "2026-07-01T22:00:00Z"),
        (Operator.ON_OR_BEFORE, ["2026-07-01"], "2026-07-01T21:59:59Z", "2026-07-01T22:00:00Z"),
        (Operator.ON_OR_AFTER, ["2026-07-01"], "2026-06-30T22:00:00Z", "2026-06-30T21:59:59Z"),
        (Operator.LAST_X_HOURS, ["1"], "2026-03-04T11:00:00Z", "2026-03-04T10:59:59Z"),
        (Operator.IN_FISCAL_PERIOD, ["2"], "2026-03-31T22:00:00Z", "2026-03-31T21:59:59Z"),
        (Operator.EQ, ["2026-07-01T12:00:00"], "2026-07-01T10:00:00Z", "2026-07-01T12:00:00Z"),
    ],
)
def test_days_begin_where_the_asker_is(
    operator: Operator, texts: list[str], inside: str, outside: str
) -> None:
    asking = replace(asking_of(), zone=ZoneInfo("Europe/Oslo"))
    assert holds(operator, COLUMNS["datetime"], texts, inside, asking)
    assert not holds(operator, COLUMNS["datetime"], texts, outside, asking)


def test_a_wall_clock_and_a_day_are_the_askers_own() -> None:
    asking = replace(
        asking_of(datetime(2026, 3, 4, 23, 30, tzinfo=UTC)), zone=ZoneInfo("Asia/Tokyo")
    )
    wall, day = c.moment("Value", wall=True), c.day("Value")
    assert holds(Operator.TODAY, wall, [], "2026-03-05T00:00:00", asking)
    assert not holds(Operator.TODAY, wall, [], "2026-03-04T23:59:59", asking)
    for operator, count, cell, expected in (
        (Operator.TODAY, [], "2026-03-05", True),
        (Operator.TODAY, [], "2026-03-04", False),
        (Operator.LAST_X_DAYS, ["1"], "2026-03-04", True),
        (Operator.LAST_X_DAYS, ["1"], "2026-03-05", True),
        (Operator.LAST_X_DAYS, ["1"], "2026-03-03", False),
        (Operator.LAST_X_DAYS, ["1"], "2026-03-06", False),
        (Operator.NEXT_X_DAYS, ["1"], "2026-03-06", True),
        (Operator.NEXT_X_DAYS, ["1"], "2026-03-05", False),
        (Operator.ON, ["2026-03-04"], "2026-03-04", True),
        (Operator.ON, ["2026-03-04"], "2026-03-05", False),
    ):
        assert holds(operator, day, count, cell, asking) is expected, (operator, cell)


@pytest.mark.parametrize("operator", [o for o in Operator if "-x-" in o.value])
@pytest.mark.parametrize("count", ["1", "99999", "2147483647"])
@pytest.mark.parametrize(
    "now", [datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)]
)
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_the_calendar_ends_without_an_accident(
    operator: Operator, count: str, now: datetime, zone: str
) -> None:
    asking = replace(asking_of(now), zone=ZoneInfo(zone))
    for cell in ("0001-01-01T00:00:00Z", "2024-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert holds(operator, COLUMNS["datetime"], [count], cell, asking) in (True, False)


@pytest.mark.parametrize("operator", [o for o in Operator if "fiscal" in o.value])
@pytest.mark.parametrize("number", ["0", "1", "5", "9999", "99999"])
def test_a_fiscal_year_may_be_none_at_all(operator: Operator, number: str) -> None:
    least, _ = operand_counts(operator)
    if number == "0" and operator.value.startswith(("last-x", "next-x")):
        with pytest.raises(DataverseFault) as caught:
            operands(operator, COLUMNS["datetime"], [number] * least)
        assert caught.value.status == 400
        return
    values = operands(operator, COLUMNS["datetime"], [number] * least)
    test = Test(Field("value"), operator, values)
    for cell in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        assert meets(COLUMNS["datetime"], test, cell, asking_of()) in (True, False)


def test_four_week_periods_fill_the_year() -> None:
    asking = replace(asking_of(), fiscal=FiscalCalendar(1, 1, FiscalPeriod.FOUR_WEEKS))
    column = COLUMNS["datetime"]
    last = Operator.IN_FISCAL_PERIOD_AND_YEAR
    assert holds(last, column, ["13", "2026"], "2026-12-31T00:00:00Z", asking)
    assert not holds(last, column, ["13", "2026"], "2027-01-01T00:00:00Z", asking)
    assert not holds(last, column, ["14", "2026"], "2027-01-01T00:00:00Z", asking)
    assert holds(Operator.IN_FISCAL_PERIOD, column, ["2"], "2026-01-29T00:00:00Z", asking)


@pytest.fixture
def org() -> Dataverse:
    return Dataverse(lambda: NOW)


@pytest.fixture
def ann(org: Dataverse) -> User:
    user = org.security.user_of("demo-token")
    assert user
    return user


def account(org: Dataverse, user: User, name: str, parent: str | None) -> str:
    pointer = {"parentaccountid": Reference("account", parent)} if parent else {}
    return org.create(user, "account", {"name": name, **pointer}).id


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (Operator.UNDER, ["c", "d"]),
        (Operator.EQ_OR_UNDER, ["b", "c", "d"]),
        (Operator.ABOVE, ["a"]),
        (Operator.EQ_OR_ABOVE, ["a", "b"]),
        (Operator.NOT_UNDER, ["a", "e"]),
    ],
)
def test_rows_are_above_and_under_each_other(
    org: Dataverse, ann: User, operator: Operator, expected: list[str]
) -> None:
    top = account(org, ann, "a", None)
    middle = account(org, ann, "b", top)
    low = account(org, ann, "c", middle)
    account(org, ann, "d", low)
    account(org, ann, "e", None)
    table, asking = org.metadata.tables["account"], org.asking(ann)
    test = Test(Field("accountid"), operator, (middle,))
    matches = matcher(test, TableScope(table, asking), asking)
    assert sorted(str(row["name"]) for row in org.scan("account") if matches(row.cells)) == expected


def test_a_circle_ends_where_it_began(org: Dataverse, ann: User) -> None:
    first = account(org, ann, "a", None)
    second = account(org, ann, "b", first)
    org.update(ann, "account", first, {"parentaccountid": Reference("account", second)})
    table, asking = org.metadata.tables["account"], org.asking(ann)
    test = Test(Field("accountid"), Operator.UNDER, (first,))
    matches = matcher(test, TableScope(table, asking), asking)
    assert [row["name"] for row in org.scan("account") if matches(row.cells)] == ["b"]


def test_a_table_without_a_hierarchy_has_nobody_above(org: Dataverse, ann: User) -> None:
    table, asking = org.metadata.tables["task"], org.asking(ann)
    test = Test(Field("activityid"), Operator.ABOVE, (ME,))
    with pytest.raises(DataverseFault, match="no table with a hierarchy"):
        matcher(test, TableScope(table, asking), asking)


def test_people_are_the_caller_their_reports_and_their_teams(org: Dataverse, ann: User) -> None:
    below = org.add_user("Under Ling")
    org.update(
        org.system, "systemuser", below.id, {"parentsystemuserid": Reference("systemuser", ann.id)}
    )
    team = "33333333-3333-4333-8333-333333333333"
    teams = {ann.id: frozenset({team}), below.id: frozenset({OTHER})}
    asking = replace(org.asking(ann), teams=lambda user: teams.get(user, frozenset()))
    table = org.metadata.tables["account"]
    expected = {
        Operator.EQ_USER_ID: {ann.id},
        Operator.NE_USER_ID: {below.id, team, OTHER, ME, None},
        Operator.EQ_USER_TEAMS: {team},
        Operator.EQ_USER_OR_USER_TEAMS: {ann.id, team},
        Operator.EQ_USER_OR_USER_HIERARCHY: {ann.id, below.id},
        Operator.EQ_USER_OR_USER_HIERARCHY_AND_TEAMS: {ann.id, below.id, team, OTHER},
        Operator.EQ_BUSINESS_ID: set(),
        Operator.NE_BUSINESS_ID: {ann.id, below.id, team, OTHER, ME, None},
    }
    for operator, wanted in expected.items():
        matches = matcher(Test(Field("ownerid"), operator), TableScope(table, asking), asking)
        row: list[Cell] = [None] * len(table.fields)
        found = set()
        for owner in (ann.id, below.id, team, OTHER, ME, None):
            row[table.positions["ownerid"]] = owner
            if matches(tuple(row)):
                found.add(owner)
        assert found == wanted, operator


def test_the_language_is_the_callers(org: Dataverse, ann: User) -> None:
    table = org.metadata.tables["organization"]
    for language, expected in ((1033, True), (1044, False)):
        asking = replace(org.asking(ann), language=language)
        test = Test(Field("languagecode"), Operator.EQ_USER_LANGUAGE)
        matches = matcher(test, TableScope(table, asking), asking)
        (row,) = org.scan("organization")
        assert matches(row.cells) is expected
