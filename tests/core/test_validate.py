"""Local writes are checked at once, every mistake named."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from holdfast._validate import check_create, check_update
from holdfast.errors import InvalidValue
from holdfast.schema import Column, ColumnType, Fill, Option, TableSchema
from holdfast.values import Reference

ID = "11111111-2222-4333-8444-555555555555"
SCHEMA = TableSchema(
    "thing",
    "thingid",
    "name",
    (
        Column("thingid", ColumnType.UNIQUEIDENTIFIER, updatable=False),
        Column("name", ColumnType.STRING, required=True, max_length=5),
        Column("note", ColumnType.MEMO, max_length=10),
        Column("size", ColumnType.INTEGER, minimum=Decimal(0), maximum=Decimal(9)),
        Column("price", ColumnType.MONEY, precision=2),
        Column("weight", ColumnType.DOUBLE, minimum=Decimal(-1), maximum=Decimal(1)),
        Column("kind", ColumnType.CHOICE, options=(Option(1, "One"), Option(2, "Two"))),
        Column("tags", ColumnType.CHOICES, options=(Option(1, "One"), Option(2, "Two"))),
        Column("any", ColumnType.CHOICE),
        Column("statecode", ColumnType.STATE, options=(Option(0, "On"), Option(1, "Off"))),
        Column("statuscode", ColumnType.STATUS, options=(Option(1, "Up", 0), Option(2, "Down", 1))),
        Column("owner", ColumnType.LOOKUP, required=True, targets=("user",), fill=Fill.CALLER),
        Column("party", ColumnType.LOOKUP, targets=("account", "contact")),
        Column("level", ColumnType.INTEGER, required=True, default=3),
        Column("made", ColumnType.DATETIME, creatable=False, updatable=False),
        Column("once", ColumnType.STRING, updatable=False),
        Column("photo", ColumnType.IMAGE),
    ),
)


def mistakes(values: dict[str, Any], *, creating: bool = False) -> dict[str, str]:
    check = check_create if creating else check_update
    with pytest.raises(InvalidValue) as caught:
        check(SCHEMA, values)
    return {problem.key: problem.message for problem in caught.value.problems}


def test_what_fits_is_returned_as_it_is_stored() -> None:
    values = {
        "name": "Å" * 5,
        "size": 9,
        "price": 12.5,
        "weight": -1,
        "tags": [2, 1, 2],
        "owner": ID.upper(),
        "party": Reference("contact", ID),
        "note": None,
    }
    assert check_update(SCHEMA, values) == {
        "name": "Å" * 5,
        "size": 9,
        "price": Decimal("12.5"),
        "weight": -1.0,
        "tags": "1,2",
        "owner": Reference("user", ID),
        "party": Reference("contact", ID),
        "note": None,
    }


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("nmae", "x", "did you mean 'name'?"),
        ("zzzzzz", "x", "the profile does not keep it"),
        ("name", "x" * 6, "6 characters long; at most 5"),
        ("name", 5, "text is wanted"),
        ("name", None, "required"),
        ("note", "x" * 11, "at most 10"),
        ("size", 10, "from 0 to 9"),
        ("size", -1, "from 0 to 9"),
        ("size", True, "a whole number"),
        ("size", 1.0, "a whole number"),
        ("price", Decimal("0.001"), "3 decimals; at most 2"),
        ("price", float("nan"), "finite"),
        ("price", "12", "a decimal number"),
        ("weight", 1.5, "out of range"),
        ("kind", 3, "allowed: 1 (One), 2 (Two)"),
        ("tags", [1, 3], "has no such option"),
        ("tags", "1,x", "a whole number"),
        ("party", ID, "say which table"),
        ("party", Reference("user", ID), "allowed: account, contact"),
        ("owner", Reference("team", ID), "allowed: user"),
        ("owner", "me", "is no id"),
        ("made", datetime(2024, 1, 1, tzinfo=UTC), "cannot be changed"),
        ("once", "x", "cannot be changed"),
        ("photo", "x", "cannot be written"),
    ],
)
def test_what_does_not_fit_is_named(column: str, value: Any, says: str) -> None:
    assert says in mistakes({column: value})[column]


def test_an_option_is_not_checked_where_none_are_known() -> None:
    assert check_update(SCHEMA, {"any": 77}) == {"any": 77}


def test_every_mistake_is_found_at_once() -> None:
    found = mistakes({"nmae": 1, "size": 10, "kind": 3}, creating=True)
    assert set(found) == {"nmae", "size", "kind", "name"}


def test_a_new_row_needs_what_nobody_fills_in() -> None:
    assert mistakes({"made": None, "once": "x"}, creating=True) == {
        "made": "cannot be set; the server keeps it",
        "name": "is required",
    }
    assert check_create(SCHEMA, {"name": "x", "thingid": ID}) == {"name": "x"}


def test_a_status_reason_goes_with_its_state() -> None:
    assert check_update(SCHEMA, {"statecode": 1, "statuscode": 2})
    assert check_update(SCHEMA, {"statecode": 1})
    assert check_update(SCHEMA, {"statuscode": 2})
    says = mistakes({"statecode": 1, "statuscode": 1})["statuscode"]
    assert says == "does not go with that statecode; allowed: 2 (Down)"


def test_an_update_changes_something() -> None:
    assert "nothing to change" in mistakes({})[""]
    assert "cannot be changed" in mistakes({"thingid": ID})["thingid"]


@pytest.mark.parametrize("number", [Decimal("1E+2"), Decimal("1.500"), Decimal("-0"), 0])
def test_decimals_that_are_only_written_long_fit(number: Any) -> None:
    assert check_update(SCHEMA, {"price": number})["price"] == number
