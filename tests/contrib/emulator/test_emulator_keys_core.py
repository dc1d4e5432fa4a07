"""Alternate keys without HTTP: which there may be, and that the index follows every change."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast.values import Reference
from holdfast_emulator.behaviour.dataverse import Dataverse, DuplicateRule
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.metadata import KeyDefinition
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.behaviour.sqlite_rows import SqliteRows

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NUMBER = KeyDefinition("new_number", "new_Number", ("accountnumber",))


@pytest.fixture(params=["memory", "sqlite"])
def org(request: pytest.FixtureRequest, tmp_path: Path) -> Dataverse:
    store = SqliteRows(tmp_path / "rows.db") if request.param == "sqlite" else None
    return Dataverse(lambda: NOW, rows=store)


@pytest.fixture
def ann(org: Dataverse) -> User:
    user = org.security.user_of("demo-token")
    assert user
    return user


def found(org: Dataverse, number: str) -> str | None:
    row = org.find_by_key("account", {"accountnumber": number})
    return row.id if row else None


def test_the_index_follows_writes_and_their_undoing(org: Dataverse, ann: User) -> None:
    org.add_key("account", NUMBER)
    row = org.create(ann, "account", {"accountnumber": "1"})
    assert found(org, "1") == row.id

    def broken() -> None:
        with org.transaction():
            org.update(ann, "account", row.id, {"accountnumber": "2"})
            assert (found(org, "1"), found(org, "2")) == (None, row.id)
            org.create(ann, "account", {"accountnumber": "1"})
            org.delete(ann, "account", row.id)
            assert found(org, "2") is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert (found(org, "1"), found(org, "2")) == (row.id, None)
    org.load("account", [{"accountid": "0" * 8 + row.id[8:], "accountnumber": "3"}])
    assert found(org, "3") == "0" * 8 + row.id[8:]
    org.close()


def test_nulls_are_neither_unique_nor_found(org: Dataverse, ann: User) -> None:
    org.add_key("account", KeyDefinition("new_two", "new_Two", ("accountnumber", "name")))
    for _ in range(2):
        org.create(ann, "account", {"accountnumber": "1"})
    with pytest.raises(DataverseFault):
        org.find_by_key("account", {"accountnumber": "1", "name": None})
    org.close()


def test_numbers_dates_and_lookups_are_compared_by_value(org: Dataverse, ann: User) -> None:
    contact = org.create(ann, "contact", {"lastname": "B"})
    columns = ("new_loyaltyscore", "lastonholdtime", "primarycontactid", "industrycode")
    org.add_key("account", KeyDefinition("new_all", "new_All", columns))
    values = {
        "new_loyaltyscore": Decimal("1.50"),
        "lastonholdtime": "2026-03-01T10:00:00+02:00",
        "primarycontactid": Reference("contact", contact.id.upper()),
        "industrycode": 6,
    }
    row = org.create(ann, "account", values)
    same = {**values, "new_loyaltyscore": 1.5, "lastonholdtime": "2026-03-01T08:00:00Z"}
    again = org.find_by_key("account", same)
    assert again
    assert again.id == row.id
    with pytest.raises(DataverseFault, match="new_All violated"):
        org.create(ann, "account", same)
    org.close()


def test_a_key_over_rows_that_are_alike_is_refused(org: Dataverse, ann: User) -> None:
    for number in ("a", "A "):
        org.create(ann, "account", {"accountnumber": number})
    with pytest.raises(DataverseFault) as caught:
        org.add_key("account", NUMBER)
    assert (caught.value.status, caught.value.code) == (412, "0x80060892")
    assert org.metadata.tables["account"].keys == ()
    org.close()


@pytest.mark.parametrize(
    "columns",
    [(), ("nonsense",), ("description",), ("revenue",), ("donotemail",), ("name", "name")],
)
def test_a_key_has_columns_of_some_types_only(org: Dataverse, columns: tuple[str, ...]) -> None:
    with pytest.raises(DataverseFault) as caught:
        org.add_key("account", KeyDefinition("new_key", "new_Key", columns))
    assert caught.value.status == 400
    org.close()


def test_a_table_has_ten_keys_and_each_once(org: Dataverse) -> None:
    names = [c.name for c in org.metadata.tables["account"].columns if c.max_length == 50]
    assert len(names) >= 2
    org.add_key("account", NUMBER)
    with pytest.raises(DataverseFault, match="already"):
        org.add_key("account", KeyDefinition("new_again", "new_Again", ("accountnumber",)))
    org.remove_key("account", "new_number")
    org.remove_key("account", "nothing")
    for number in range(10):
        columns = ("accountnumber", *("name", "fax", "telephone1", "websiteurl")[: number % 5])
        if number >= 5:
            columns = (*columns, "numberofemployees")
        org.add_key("account", KeyDefinition(f"new_{number}", f"new_{number}", columns))
    with pytest.raises(DataverseFault, match="10 entity keys"):
        org.add_key("account", KeyDefinition("new_more", "new_More", ("emailaddress1",)))
    org.close()


def test_duplicates_are_looked_for_where_that_is_asked(org: Dataverse, ann: User) -> None:
    org.duplicate_rules.append(DuplicateRule("same mail", "account", ("emailaddress1",)))
    values = {"emailaddress1": "a@example.com"}
    first = org.create(ann, "account", values, detect_duplicates=True)
    second = org.create(ann, "account", values)
    with pytest.raises(DataverseFault) as caught:
        org.create(ann, "account", {"emailaddress1": "A@EXAMPLE.COM"}, detect_duplicates=True)
    assert (caught.value.status, caught.value.code) == (412, "0x80040333")
    org.update(ann, "account", second.id, {"name": "x"}, detect_duplicates=True)
    org.update(ann, "account", second.id, {"emailaddress1": None})
    with pytest.raises(DataverseFault):
        org.update(ann, "account", second.id, values, detect_duplicates=True)
    assert first.version
    org.close()
