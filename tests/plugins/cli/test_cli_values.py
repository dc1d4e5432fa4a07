"""What is typed as ``name=value``, by column type."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from holdfast.schema import Column, ColumnType, DateBehavior, Option
from holdfast.values import Reference, to_change
from holdfast_cli._values import parse

OPTIONS = (Option(1, "Open"), Option(9, "Klar til bruk"))
ID = "3f2c0000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("column", "text", "expected"),
    [
        (Column("c", ColumnType.STRING), " kept = as it is ", " kept = as it is "),
        (Column("c", ColumnType.STRING), "", None),
        (Column("c", ColumnType.INTEGER), "-5", -5),
        (Column("c", ColumnType.BIGINT), "9007199254740993", 9007199254740993),
        (
            Column("c", ColumnType.DECIMAL),
            "12345678901.1234567891",
            Decimal("12345678901.1234567891"),
        ),
        (Column("c", ColumnType.MONEY), "0.10", Decimal("0.10")),
        (Column("c", ColumnType.DOUBLE), "1.5", 1.5),
        (Column("c", ColumnType.BOOLEAN), "True", True),
        (Column("c", ColumnType.BOOLEAN), "false", False),
        (Column("c", ColumnType.BOOLEAN), "Yes", True),
        (
            Column("c", ColumnType.BOOLEAN, options=(Option(1, "Erlaubt"), Option(0, "Gesperrt"))),
            "gesperrt",
            False,
        ),
        (Column("c", ColumnType.CHOICE, options=OPTIONS), "9", 9),
        (Column("c", ColumnType.CHOICE, options=OPTIONS), "klar TIL bruk", 9),
        (Column("c", ColumnType.CHOICES, options=OPTIONS), "9, 1", "1,9"),
        (Column("c", ColumnType.CHOICES, options=OPTIONS), "open,klar til bruk", "1,9"),
        (Column("c", ColumnType.DATETIME), "2026-03-31T08:00:00Z", "2026-03-31T08:00:00Z"),
        (Column("c", ColumnType.DATETIME), "2026-03-31T08:00+02:00", "2026-03-31T06:00:00Z"),
        (
            Column("c", ColumnType.DATETIME, behavior=DateBehavior.DATE_ONLY),
            "2026-03-31",
            "2026-03-31",
        ),
        (
            Column("c", ColumnType.DATETIME, behavior=DateBehavior.TIME_ZONE_INDEPENDENT),
            "2026-03-31T08:00",
            "2026-03-31T08:00:00",
        ),
        (Column("c", ColumnType.UNIQUEIDENTIFIER), ID.upper(), ID),
        (Column("c", ColumnType.LOOKUP, targets=("contact",)), ID, Reference("contact", ID)),
        (
            Column("c", ColumnType.LOOKUP, targets=("account", "contact")),
            f"contact:{ID}",
            Reference("contact", ID),
        ),
    ],
)
def test_a_text_is_read_by_the_type_of_its_column(
    column: Column, text: str, expected: object
) -> None:
    assert to_change(column, parse(column, text)) == expected


def test_a_time_without_a_zone_is_the_local_one_of_this_machine() -> None:
    column = Column("c", ColumnType.DATETIME)
    written = to_change(column, parse(column, "2026-03-31T08:00"))
    local = datetime(2026, 3, 31, 8).astimezone(UTC)
    assert written == local.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        (Column("c", ColumnType.INTEGER), "1.5", "a whole number is wanted, not '1.5'"),
        (Column("c", ColumnType.DECIMAL), "1,5", "a number such as 1250.50 is wanted"),
        (Column("c", ColumnType.BOOLEAN), "maybe", "true or false is wanted, not 'maybe'"),
        (
            Column("c", ColumnType.DATETIME, behavior=DateBehavior.DATE_ONLY),
            "31.12.1980",
            "a date such as 2026-03-31 is wanted, not '31.12.1980'",
        ),
        (Column("c", ColumnType.CHOICE, options=OPTIONS), "Shut", "allowed: 1 \\(Open\\), 9"),
        (Column("c", ColumnType.CHOICES, options=OPTIONS), "1,Shut", "has no option 'Shut'"),
        (Column("c", ColumnType.DATETIME), "tomorrow", "a date such as"),
        (Column("c", ColumnType.DATETIME), "0001-01-01T00:00:00+14:00", "a date such as"),
        (
            Column("c", ColumnType.LOOKUP, targets=("account", "contact")),
            ID,
            "as table:id; allowed: account, contact",
        ),
    ],
)
def test_a_text_that_does_not_fit_says_what_would(column: Column, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(column, text)
