"""What a value must be like."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.tables import stock_metadata
from holdfast_emulator.behaviour.validation import accept

METADATA = stock_metadata()
ID = "0a0a0a0a-0000-4000-8000-000000000001"


def written(table: str, name: str, value: object) -> Cell | Reference:
    return accept(METADATA.tables[table], {name: value}, creating=False)[name]


@pytest.mark.parametrize(
    ("table", "name", "value", "cell"),
    [
        ("account", "name", "Ærø", "Ærø"),
        ("account", "numberofemployees", 5, 5),
        ("account", "new_loyaltyscore", 1.23456, Decimal("1.2346")),
        ("account", "new_loyaltyscore", Decimal("-0.5"), Decimal("-0.5")),
        ("account", "revenue", 12, Decimal(12)),
        ("account", "revenue", 12.125, Decimal("12.12")),
        ("account", "address1_latitude", 47.639583, 47.63958),
        ("account", "creditonhold", True, True),
        ("account", "industrycode", 33, 33),
        ("account", "new_services", "9, 1", "1,9"),
        ("account", "new_services", "", None),
        ("account", "lastonholdtime", "2026-03-01T10:00:00.999+02:00", "2026-03-01T08:00:00Z"),
        ("account", "lastonholdtime", "2026-03-01T10:00:00", "2026-03-01T10:00:00Z"),
        ("account", "new_opensat", "2026-03-01T10:00:00Z", "2026-03-01T10:00:00"),
        ("contact", "birthdate", "1970-02-03", "1970-02-03"),
        ("contact", "birthdate", "1970-02-03T23:30:00.123", "1970-02-03"),
        ("account", "stageid", f"{{{ID.upper()}}}", ID),
        ("account", "primarycontactid", Reference("contact", ID.upper()), Reference("contact", ID)),
        ("account", "fax", None, None),
    ],
)
def test_a_value_becomes_a_cell(table: str, name: str, value: object, cell: object) -> None:
    found = written(table, name, value)
    assert found == cell
    assert type(found) is type(cell)
    assert written(table, name, found) == found, "accepting twice changes nothing"


@pytest.mark.parametrize(
    ("table", "name", "value", "code"),
    [
        ("account", "name", 5, "0x80048d19"),
        ("account", "name", "x" * 161, "0x80044331"),
        ("account", "name", "🙂" * 81, "0x80044331"),
        ("account", "name", "\ud800", "0x80048d19"),
        ("account", "nosuch", 1, "0x80048d19"),
        ("account", "_primarycontactid_value", ID, "0x80060888"),
        ("account", "primarycontactid", ID, "0x80048d19"),
        ("account", "primarycontactid", Reference("account", ID), "0x80048d19"),
        ("account", "primarycontactid", Reference("contact", "5"), "0x80048d19"),
        ("account", "numberofemployees", "5", "0x80048d19"),
        ("account", "numberofemployees", True, "0x80048d19"),
        ("account", "numberofemployees", 1.0, "0x80048d19"),
        ("account", "numberofemployees", 2**31, "0x80048d19"),
        ("account", "numberofemployees", -1, "0x8004432f"),
        ("account", "new_loyaltyscore", Decimal(10**7), "0x80044330"),
        ("account", "new_loyaltyscore", "1", "0x80048d19"),
        ("account", "new_loyaltyscore", float("nan"), "0x80048d19"),
        ("account", "address1_latitude", 90.5, "0x80044330"),
        ("account", "address1_latitude", "90", "0x80048d19"),
        ("account", "address1_latitude", float("inf"), "0x80048d19"),
        ("account", "creditonhold", 1, "0x80048d19"),
        ("account", "industrycode", 3, "0x8004431a"),
        ("account", "industrycode", "Accounting", "0x80048d19"),
        ("account", "new_services", "1,77", "0x8004431a"),
        ("account", "new_services", "1,x", "0x80048d19"),
        ("account", "new_services", 1, "0x80048d19"),
        ("account", "new_services", ",".join("1" * 151), "0x8004431a"),
        ("account", "statuscode", 9, "0x8004431a"),
        ("account", "lastonholdtime", "yesterday", "0x80048d19"),
        ("account", "lastonholdtime", "1700-01-01T00:00:00Z", "0x80040239"),
        ("account", "lastonholdtime", 5, "0x80048d19"),
        ("contact", "birthdate", "1970-13-01", "0x80048d19"),
        ("account", "stageid", "5", "0x80048d19"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    table: str, name: str, value: object, code: str
) -> None:
    with pytest.raises(DataverseFault) as caught:
        written(table, name, value)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_the_words_of_a_refusal_are_those_of_the_service() -> None:
    with pytest.raises(DataverseFault) as caught:
        written("task", "subject", "x" * 201)
    assert caught.value.message == (
        "A validation error occurred. The length of the 'subject' attribute of the 'task' entity "
        "exceeded the maximum allowed length of '200'."
    )


def test_columns_that_the_caller_cannot_write_are_ignored() -> None:
    account = METADATA.tables["account"]
    values = {"createdon": 5, "versionnumber": "x", "revenue_base": 1, "new_contract": ID}
    assert accept(account, values, creating=True) == {}
    assert accept(account, {"accountid": ID}, creating=True) == {"accountid": ID}
    assert accept(account, {"accountid": ID}, creating=False) == {}


def test_a_row_with_one_bad_value_is_not_written_at_all() -> None:
    org = Dataverse(lambda: datetime(2026, 3, 1, tzinfo=UTC))
    user = org.security.user_of("demo-token")
    assert user
    row = org.create(user, "account", {"name": "A"})
    with pytest.raises(DataverseFault):
        org.update(user, "account", row.id, {"name": "B", "industrycode": 3})
    assert org.retrieve(user, "account", row.id).cells == row.cells
