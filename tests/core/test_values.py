"""Cells and values: what an application writes comes back as it was meant."""

# ruff: noqa: DTZ001  wall-clock readings have no zone; they are what is tested here

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.schema import Column, ColumnType, DateBehavior
from holdfast.values import (
    Cell,
    Change,
    Reference,
    Value,
    canonical_id,
    choices_cell,
    from_cells,
    instant_cell,
    parse_datetime_cell,
    to_cells,
    to_change,
    to_value,
    wall_cell,
)

T = ColumnType
ID = "0f0e0d0c-0b0a-4908-8706-050403020100"
OSLO = timezone(timedelta(hours=2))
WALL = Column("w", T.DATETIME, behavior=DateBehavior.TIME_ZONE_INDEPENDENT)
DAY = Column("d", T.DATETIME, behavior=DateBehavior.DATE_ONLY)
INSTANT = Column("i", T.DATETIME)
CONTACT = Column("c", T.LOOKUP, targets=("contact",))
OWNER = Column("o", T.LOOKUP, targets=("systemuser", "team"))
deterministic = settings(derandomize=True, max_examples=200, deadline=None)


@pytest.mark.parametrize(
    ("column", "given_", "change"),
    [
        (Column("x", T.STRING), "Ærø\x00'", "Ærø\x00'"),
        (Column("x", T.MEMO), "", ""),
        (Column("x", T.ENTITY_NAME), "account", "account"),
        (Column("x", T.INTEGER), -(2**63), -(2**63)),
        (Column("x", T.CHOICE), 7, 7),
        (Column("x", T.DECIMAL), 0.1, Decimal("0.1")),
        (Column("x", T.DECIMAL), 3, Decimal(3)),
        (
            Column("x", T.MONEY),
            Decimal("12345678901.1234567891"),
            Decimal("12345678901.1234567891"),
        ),
        (Column("x", T.DOUBLE), Decimal("0.5"), 0.5),
        (Column("x", T.BOOLEAN), True, True),
        (Column("x", T.CHOICES), [9, 1, 9], "1,9"),
        (Column("x", T.CHOICES), "9, 1,-3", "-3,1,9"),
        (Column("x", T.CHOICES), (), None),
        (INSTANT, datetime(2024, 6, 12, 16, 13, 17, tzinfo=OSLO), "2024-06-12T14:13:17Z"),
        (INSTANT, datetime(2024, 6, 12, 14, 13), "2024-06-12T14:13:00Z"),
        (INSTANT, "2024-06-12T14:13:17.500Z", "2024-06-12T14:13:17.5Z"),
        (INSTANT, date(2024, 6, 12), "2024-06-12T00:00:00Z"),
        (WALL, datetime(2024, 6, 12, 14, 13, 17), "2024-06-12T14:13:17"),
        (WALL, "2024-06-12T14:13:17Z", "2024-06-12T14:13:17"),
        (DAY, date(2024, 6, 12), "2024-06-12"),
        (DAY, "2026-11-23T08:00:00.123", "2026-11-23"),
        (DAY, datetime(2024, 6, 12, 23, 59, tzinfo=OSLO), "2024-06-12"),
        (Column("x", T.UNIQUEIDENTIFIER), f"{{{ID.upper()}}}", ID),
        (Column("x", T.UNIQUEIDENTIFIER), uuid.UUID(ID), ID),
        (CONTACT, ID.upper(), Reference("contact", ID)),
        (OWNER, Reference("team", ID.upper()), Reference("team", ID)),
        (Column("x", T.STRING), None, None),
        (OWNER, None, None),
    ],
)
def test_what_an_application_writes_becomes_what_an_op_carries(
    column: Column, given_: object, change: Change
) -> None:
    written = to_change(column, given_)
    assert written == change
    assert type(written) is type(change)


@pytest.mark.parametrize(
    ("column", "wrong", "message"),
    [
        (Column("x", T.STRING), 5, "text is wanted, not int"),
        (Column("x", T.STRING), "\ud800", "lone surrogate"),
        (Column("x", T.INTEGER), True, "not bool"),
        (Column("x", T.INTEGER), 1.0, "not float"),
        (Column("x", T.BIGINT), 2**63, "64 bits"),
        (Column("x", T.MONEY), "12", "not str"),
        (Column("x", T.MONEY), True, "not bool"),
        (Column("x", T.MONEY), Decimal("NaN"), "finite"),
        (Column("x", T.MONEY), float("inf"), "finite"),
        (Column("x", T.DOUBLE), "1", "not str"),
        (Column("x", T.DOUBLE), float("nan"), "finite"),
        (Column("x", T.DOUBLE), 10**400, "finite"),
        (Column("x", T.DOUBLE), Decimal("1E400"), "finite"),
        (Column("x", T.BOOLEAN), 1, "not int"),
        (Column("x", T.CHOICES), 5, "list of options"),
        (Column("x", T.CHOICES), "1,x", "not str"),
        (Column("x", T.CHOICES), [True], "not bool"),
        (INSTANT, "yesterday", "a date such as"),
        (INSTANT, 5, "a date is wanted"),
        (INSTANT, datetime(1, 1, 1, tzinfo=OSLO), "years 1 to 9999"),
        (INSTANT, "9999-12-31T23:59:59-14:00", "a date such as"),
        (WALL, datetime(2024, 6, 12, tzinfo=OSLO), "leave the time zone out"),
        (Column("x", T.UNIQUEIDENTIFIER), "42", "is no id"),
        (Column("x", T.UNIQUEIDENTIFIER), 42, "is no id"),
        (OWNER, ID, r"Reference\('systemuser', id\)"),
        (Column("x", T.LOOKUP), ID, "say which table"),
        (OWNER, Reference("team", "42"), "is no id"),
        (Column("x", T.FILE), "f", "cannot be written"),
        (Column("x", T.IMAGE), "f", "cannot be written"),
    ],
)
def test_a_value_of_another_type_is_refused_in_words(
    column: Column, wrong: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        to_change(column, wrong)


VALUES: list[tuple[Column, Value]] = [
    (Column("x", T.STRING), "Ærø"),
    (Column("x", T.MEMO), "a\nb"),
    (Column("x", T.ENTITY_NAME), "account"),
    (Column("x", T.INTEGER), 1),
    (Column("x", T.BIGINT), 2**63 - 1),
    (Column("x", T.DECIMAL), Decimal("1.10")),
    (Column("x", T.MONEY), Decimal("-0.0001")),
    (Column("x", T.DOUBLE), 0.1),
    (Column("x", T.BOOLEAN), False),
    (Column("x", T.CHOICE), 1),
    (Column("x", T.STATE), 0),
    (Column("x", T.STATUS), 1),
    (Column("x", T.CHOICES), (-1, 2, 10)),
    (INSTANT, datetime(2024, 6, 12, 14, 13, 17, 500_000, tzinfo=UTC)),
    (WALL, datetime(2024, 6, 12, 14, 13, 17, 1)),
    (DAY, date(1, 1, 1)),
    (Column("x", T.UNIQUEIDENTIFIER), ID),
    (CONTACT, Reference("contact", ID)),
    (OWNER, Reference("team", ID)),
]


@pytest.mark.parametrize(("column", "value"), VALUES, ids=[f"{c.type.value}" for c, _ in VALUES])
def test_a_value_comes_back_from_its_cells_as_it_was_written(column: Column, value: Value) -> None:
    change = to_change(column, value)
    assert to_value(column, stored(column, change)) == value
    assert stored(column, change) == change
    assert to_change(column, to_value(column, change)) == change


@pytest.mark.parametrize("kind", ColumnType)
def test_null_has_one_null_cell_for_every_field_and_comes_back_as_null(kind: ColumnType) -> None:
    for targets in ((), ("contact",), ("systemuser", "team")):
        column = Column("x", kind, targets=targets)
        assert to_cells(column, None) == (None,) * len(column.fields)
        assert to_value(column, stored(column, None)) is None


def stored(column: Column, change: Change) -> Change:
    names = [f.name for f in column.fields]
    cells: dict[str, Cell] = dict(zip(names, to_cells(column, change), strict=True))
    return from_cells(column, cells)


def test_a_lookup_reads_the_cell_of_its_table_only_where_several_are_possible() -> None:
    assert to_cells(CONTACT, Reference("contact", ID)) == (ID, None)
    assert to_cells(OWNER, Reference("team", ID)) == (ID, "team", None)


def test_a_reference_reads_as_table_and_id() -> None:
    assert str(Reference("team", ID)) == f"team({ID})"


def test_nothing_selected_is_null() -> None:
    assert choices_cell([]) is None


@pytest.mark.parametrize("wrong", ["", "x", f"{ID}0", None, 7])
def test_what_is_no_id_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"id|UUID"):
        canonical_id(wrong)


@deterministic
@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))
def test_a_moment_comes_back_from_its_cell_to_the_microsecond(moment: datetime) -> None:
    assert to_value(WALL, wall_cell(moment)) == moment
    assert to_value(INSTANT, instant_cell(moment)) == moment.replace(tzinfo=UTC)
    assert parse_datetime_cell(INSTANT, instant_cell(moment)) == instant_cell(moment)


@deterministic
@given(st.datetimes(), st.datetimes())
def test_cells_without_their_zone_order_as_the_moments_do(one: datetime, other: datetime) -> None:
    assert (wall_cell(one) < wall_cell(other)) is (one < other)


@deterministic
@given(st.uuids())
def test_an_id_is_the_same_in_every_spelling(some: uuid.UUID) -> None:
    for spelling in (some, str(some), str(some).upper(), f"{{{some}}}", some.hex):
        assert canonical_id(spelling) == str(some)
