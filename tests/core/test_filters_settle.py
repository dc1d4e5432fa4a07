"""What depends on the asker and the moment, once settled, is the same for everybody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from holdfast.filters import (
    And,
    Branch,
    ColumnRef,
    Compare,
    Comparison,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    IsCaller,
    Literal,
    Not,
    Or,
    Period,
    Related,
    RelatedRows,
    Tree,
    Who,
    is_settled,
    negate,
    predicate,
    settle,
    trees,
)
from holdfast.model import Asking, Caller, FiscalCalendar, FiscalPeriod
from holdfast.schema import DateBehavior, Kind
from holdfast.values import Cell

INSTANT, WALL, DAY = (
    DateBehavior.USER_LOCAL,
    DateBehavior.TIME_ZONE_INDEPENDENT,
    DateBehavior.DATE_ONLY,
)
KINDS = {INSTANT: Kind.DATETIME, WALL: Kind.DATETIME, DAY: Kind.KEY}
NOW = datetime(2026, 3, 29, 10, 30, 15, tzinfo=UTC)  # in Oslo clocks went forward at 01:00 UTC
OWNER = ColumnRef("x", Kind.KEY)


def asking(
    now: datetime = NOW, zone: str = "Europe/Oslo", fiscal: FiscalCalendar | None = None
) -> Asking:
    return Asking(
        now,
        Caller(
            *("org", "ann", "unit", ("team-a", "team-b")),
            language=1044,
            time_zone=zone,
            fiscal=fiscal or FiscalCalendar(),
            reports=("bo", "cy"),
        ),
    )


def meets(expression: Expression, cell: Cell, who: Asking | None = None) -> bool | None:
    settled = settle(expression, who or asking())
    assert is_settled(settled)
    return predicate(settled, {"x": 0})((cell,))


def during(period: Period, *operands: int | str, behavior: DateBehavior = INSTANT) -> During:
    return During(ColumnRef("x", KINDS[behavior]), behavior, period, operands)


@pytest.mark.parametrize(
    ("period", "behavior", "inside", "outside"),
    [
        # The day has 23 hours: from 23:00 UTC to 22:00 UTC.
        (Period.TODAY, INSTANT, "2026-03-28T23:00:00Z", "2026-03-28T22:59:59.999999Z"),
        (Period.TODAY, INSTANT, "2026-03-29T21:59:59.999999Z", "2026-03-29T22:00:00Z"),
        (Period.TODAY, WALL, "2026-03-29T00:00:00", "2026-03-28T23:59:59"),
        (Period.TODAY, WALL, "2026-03-29T23:59:59", "2026-03-30T00:00:00"),
        (Period.TODAY, DAY, "2026-03-29", "2026-03-30"),
        (Period.LAST_SEVEN_DAYS, INSTANT, "2026-03-29T10:30:14Z", "2026-03-29T10:30:15Z"),
        (Period.LAST_SEVEN_DAYS, WALL, "2026-03-29T12:30:14", "2026-03-29T12:30:15"),
        (Period.LAST_SEVEN_DAYS, DAY, "2026-03-29", "2026-03-21"),
        (Period.NEXT_SEVEN_DAYS, DAY, "2026-03-30", "2026-03-29"),
        (Period.NEXT_SEVEN_DAYS, INSTANT, "2026-03-29T10:30:15Z", "2026-04-05T22:00:00Z"),
        (Period.THIS_WEEK, DAY, "2026-04-04", "2026-03-28"),  # the 29th is a Sunday
        (Period.LAST_WEEK, DAY, "2026-03-22", "2026-03-29"),
        (Period.LAST_MONTH, DAY, "2026-02-28", "2026-03-01"),
        (Period.NEXT_MONTH, DAY, "2026-04-30", "2026-05-01"),
        (Period.THIS_YEAR, DAY, "2026-12-31", "2027-01-01"),
        (Period.LAST_YEAR, INSTANT, "2025-12-31T22:59:59Z", "2025-12-31T23:00:00Z"),
        (Period.THIS_FISCAL_PERIOD, DAY, "2026-03-31", "2026-04-01"),
        (Period.NEXT_FISCAL_YEAR, DAY, "2027-01-01", "2028-01-01"),
    ],
)
def test_a_period_is_half_open(
    period: Period, behavior: DateBehavior, inside: str, outside: str
) -> None:
    node = during(period, behavior=behavior)
    assert meets(node, inside) is True
    assert meets(node, outside) is False


@pytest.mark.parametrize(
    ("period", "numbers", "inside", "outside"),
    [
        (Period.LAST_X_HOURS, (2,), "2026-03-29T08:00:00Z", "2026-03-29T07:59:59Z"),
        (Period.NEXT_X_HOURS, (2,), "2026-03-29T12:59:59Z", "2026-03-29T13:00:00Z"),
        (Period.LAST_X_DAYS, (1,), "2026-03-27T23:00:00Z", "2026-03-27T22:59:59Z"),
        (Period.NEXT_X_DAYS, (1,), "2026-03-30T21:59:59Z", "2026-03-30T22:00:00Z"),
        (Period.LAST_X_MONTHS, (1,), "2026-02-27T23:00:00Z", "2026-02-27T22:59:59Z"),
        (Period.NEXT_X_MONTHS, (1,), "2026-04-29T21:59:59Z", "2026-04-29T22:00:00Z"),
        (Period.OLDER_THAN_X_MINUTES, (5,), "2026-03-29T10:24:59Z", "2026-03-29T10:25:00Z"),
        (Period.OLDER_THAN_X_YEARS, (1,), "2025-03-28T22:59:59Z", "2025-03-28T23:00:00Z"),
        (Period.LAST_X_FISCAL_YEARS, (1,), "2024-12-31T23:00:00Z", "2026-03-29T10:30:15Z"),
        (Period.NEXT_X_FISCAL_PERIODS, (1,), "2026-06-30T21:59:59Z", "2026-06-30T22:00:00Z"),
        (Period.IN_FISCAL_YEAR, (2025,), "2025-06-01T00:00:00Z", "2026-06-01T00:00:00Z"),
        (Period.IN_FISCAL_PERIOD, (2,), "1999-04-01T00:00:00Z", "2026-03-31T21:59:59Z"),
        (Period.IN_FISCAL_PERIOD_AND_YEAR, (1, 2026), "2026-01-15T00:00:00Z", "2025-01-15"),
        (Period.IN_OR_BEFORE_FISCAL_PERIOD_AND_YEAR, (1, 2026), "1990-01-01", "2026-04-01"),
        (Period.IN_OR_AFTER_FISCAL_PERIOD_AND_YEAR, (1, 2026), "2990-01-01", "2025-12-01"),
    ],
)
def test_what_is_counted(
    period: Period, numbers: tuple[int, ...], inside: str, outside: str
) -> None:
    assert meets(during(period, *numbers), inside) is True
    assert meets(during(period, *numbers), outside) is False


@pytest.mark.parametrize("period", list(Period))
def test_null_is_unknown_and_the_calendar_ends_without_an_accident(period: Period) -> None:
    day: tuple[int | str, ...] = ("9999-12-31",)
    for number in (0, 1, 99_999, 10**12):
        node = during(period, *(day if period.takes_day else (number,) * period.numbers))
        for now in (datetime(1, 1, 1, tzinfo=UTC), NOW, datetime(9999, 12, 31, 23, tzinfo=UTC)):
            for zone in ("Pacific/Kiritimati", "America/Los_Angeles"):
                who = asking(now, zone)
                assert meets(node, None, who) is None
                assert meets(Not(node), None, who) is None
                assert meets(node, "2026-01-01T00:00:00Z", who) in (True, False)


def test_a_fiscal_year_may_start_on_any_day_and_have_thirteen_periods() -> None:
    who = asking(fiscal=FiscalCalendar(4, 6, FiscalPeriod.FOUR_WEEKS))
    first = during(Period.IN_FISCAL_PERIOD_AND_YEAR, 1, 2026, behavior=DAY)
    last = during(Period.IN_FISCAL_PERIOD_AND_YEAR, 13, 2026, behavior=DAY)
    assert [meets(first, day, who) for day in ("2026-04-05", "2026-04-06", "2026-05-03")] == [
        *(False, True, True)
    ]
    assert [meets(last, day, who) for day in ("2027-04-05", "2027-04-06")] == [True, False]
    assert meets(during(Period.IN_FISCAL_PERIOD, 14, behavior=DAY), "2027-04-05", who) is False


@pytest.mark.parametrize(
    ("who", "matching"),
    [
        (Who.USER, {"ann"}),
        (Who.BUSINESS_UNIT, {"unit"}),
        (Who.TEAMS, {"team-a", "team-b"}),
        (Who.USER_OR_TEAMS, {"ann", "team-a", "team-b"}),
        (Who.USER_OR_REPORTS, {"ann", "bo", "cy"}),
        (Who.USER_OR_REPORTS_OR_TEAMS, {"ann", "bo", "cy", "team-a", "team-b"}),
    ],
)
def test_the_caller_is_filled_in(who: Who, matching: set[str]) -> None:
    everybody = {"ann", "bo", "cy", "dee", "unit", "team-a", "team-b"}
    assert {cell for cell in everybody if meets(IsCaller(OWNER, who), cell)} == matching
    negative = IsCaller(OWNER, who, negated=True)
    assert {cell for cell in everybody if meets(negative, cell)} == everybody - matching
    assert meets(negative, None) is True


def test_before_anybody_signed_in_nothing_is_the_callers() -> None:
    nobody = Asking(NOW, None)
    assert meets(IsCaller(OWNER, Who.USER), "ann", nobody) is False
    assert meets(IsCaller(OWNER, Who.USER, negated=True), "ann", nobody) is True
    assert meets(during(Period.TODAY), "2026-03-29T00:00:00Z", nobody) is True


def test_a_tree_is_asked_for_and_filled_in_also_behind_a_link() -> None:
    node = InHierarchy(OWNER, "account", "parentaccountid", "top", Branch.UNDER)
    wanted = Tree("account", "parentaccountid", "top", Branch.UNDER)
    link = Related("contact", OWNER, OWNER, Or((node,)))
    assert trees(link) == {wanted}
    settled = settle(link, asking(), {wanted: {"b", "a"}})
    assert settled == Related("contact", OWNER, OWNER, Or((In(OWNER, ("a", "b")),)))
    with pytest.raises(KeyError):
        settle(node, asking())


@pytest.mark.parametrize("cell", [None, "1", "12", "1,9", "2,12"])
def test_a_multi_select_is_compared_by_whole_options(cell: str | None) -> None:
    node = HasOption(OWNER, (1, 2))
    expected = None if cell is None else bool({"1", "2"} & set(cell.split(",")))
    assert meets(node, cell) is expected
    assert meets(negate(node), cell) is (True if cell is None else not expected)
    assert negate(negate(node)) == node


class Contacts(RelatedRows):
    def positions(self, table: str) -> dict[str, int]:
        assert table == "contact"
        return {"account": 0, "name": 1}

    def rows(self, table: str, field: str, cell: Cell) -> list[tuple[Cell, ...]]:
        rows: list[tuple[Cell, ...]] = [("a", None), ("a", "Ann"), ("b", None), (None, "Ann")]
        return [row for row in rows if row[0] == cell]


def test_a_link_is_true_or_false_never_unknown() -> None:
    named = In(ColumnRef("name", Kind.TEXT), ("ANN",))
    link = Related("contact", ColumnRef("account", Kind.KEY), OWNER, named)
    test = predicate(link, {"x": 0}, related=Contacts())
    assert [test((cell,)) for cell in ("a", "b", "c", None)] == [True, False, False, False]
    none = predicate(negate(link), {"x": 0}, related=Contacts())
    assert [none((cell,)) for cell in ("a", "b", "c", None)] == [False, True, True, True]


@pytest.mark.parametrize(
    "expression",
    [during(Period.TODAY), IsCaller(OWNER, Who.USER), Related("contact", OWNER, OWNER, Or())],
)
def test_what_cannot_be_evaluated_yet_is_refused(expression: Expression) -> None:
    with pytest.raises(ValueError, match=r"settled|nobody gave"):
        predicate(expression, {"x": 0})


# --- times without a zone -------------------------------------------------------------------------

CREATED = ColumnRef("x", Kind.DATETIME)


@pytest.mark.parametrize(
    ("wall", "instant"),
    [
        ("2026-07-01T12:00:00", "2026-07-01T10:00:00Z"),
        ("2026-01-01T00:00:00.5", "2025-12-31T23:00:00.5Z"),
        ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z"),  # the clock never showed it
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00Z"),  # in Oslo, before the calendar began
    ],
)
def test_a_time_without_a_zone_is_read_off_the_askers_clock(wall: str, instant: str) -> None:
    local = Literal(wall, local=True)
    expression = And(
        (Compare(Comparison.EQ, CREATED, local), Compare(Comparison.EQ, local, CREATED))
    )
    assert not is_settled(expression)
    with pytest.raises(ValueError, match="must be settled"):
        predicate(expression, {"x": 0})
    settled = settle(expression, asking())
    assert is_settled(settled)
    fixed = Literal(instant)
    assert settled == And(
        (Compare(Comparison.EQ, CREATED, fixed), Compare(Comparison.EQ, fixed, CREATED))
    )
