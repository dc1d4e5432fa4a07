"""Rows to records: the canonical cell of each type, and refusal of what makes no sense."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ProtocolError
from holdfast.model import Op, OpKind, Scope
from holdfast.schema import Column, ColumnType, DateBehavior, TableSchema
from holdfast.values import Cell, Change, Reference
from holdfast_dataverse._bodies import Unsendable, body, holds
from holdfast_dataverse._records import Reader, preferred_annotations, select
from support.dataverse import NAME_ONLY, account_id, account_row, tombstone

KEY = account_id(1)
TARGET = account_id(2)
FORMATTED = "OData.Community.Display.V1.FormattedValue"
LOOKUP = "Microsoft.Dynamics.CRM.lookuplogicalname"
WALL, DAY = DateBehavior.TIME_ZONE_INDEPENDENT, DateBehavior.DATE_ONLY


T = ColumnType


def x(kind: ColumnType, **more: Any) -> Column:
    return Column("x", kind, **more)


def scope_of(*columns: Column, names: frozenset[str] = frozenset()) -> Scope:
    key = Column("accountid", ColumnType.UNIQUEIDENTIFIER)
    wire = {
        "set": "accounts",
        "nav:parent:contact": "parent_contact",
        "set:contact": "contacts",
        "nav:parent:account": "parent_account",
        "set:account": "accounts",
    }
    return Scope(TableSchema("account", "accountid", None, (key, *columns), wire=wire), names)


def read(column: Column, raw: str) -> Cell:
    """Return the cell that a column gets from a JSON value."""
    member = f"_{column.name}_value" if column.type is ColumnType.LOOKUP else column.name
    page = f'{{"value":[{{"@odata.etag":"W/\\"1\\"","accountid":"{KEY}","{member}":{raw}}}]}}'
    record = Reader(scope_of(column)).page(page.encode()).records[0]
    assert record[0] == KEY
    assert record[-1] == 'W/"1"'
    return record[1]


@pytest.mark.parametrize(
    ("column", "raw", "cell"),
    [
        (x(T.STRING), '"a\\nb"', "a\nb"),
        (x(T.INTEGER), "-5", -5),
        (x(T.BIGINT), "9223372036854775807", 2**63 - 1),
        (x(T.CHOICE), "3", 3),
        (x(T.BOOLEAN), "true", True),
        (x(T.MONEY), "1234.5600000000", Decimal("1234.5600000000")),
        (x(T.DECIMAL), "12345678901.1234567891", Decimal("12345678901.1234567891")),
        (x(T.DECIMAL), "5", Decimal(5)),
        (x(T.DOUBLE), "47.63958", 47.63958),
        (x(T.DOUBLE), "5", 5.0),
        (x(T.CHOICES), '"1,9"', "1,9"),
        (x(T.CHOICES), '"9, 1,9"', "1,9"),
        (x(T.CHOICES), '"7"', "7"),
        (x(T.CHOICES), '""', None),
        (x(T.DATETIME), '"2024-06-12T14:13:17Z"', "2024-06-12T14:13:17Z"),
        (x(T.DATETIME), '"2024-01-31T14:13:17Z"', "2024-01-31T14:13:17Z"),
        (x(T.DATETIME), '"2024-06-12T14:13:17.000Z"', "2024-06-12T14:13:17Z"),
        (x(T.DATETIME), '"2024-06-12T16:13:17+02:00"', "2024-06-12T14:13:17Z"),
        (x(T.DATETIME, behavior=WALL), '"2019-12-18T00:00:00Z"', "2019-12-18T00:00:00"),
        (x(T.DATETIME, behavior=WALL), '"2019-12-18T00:00:00.5Z"', "2019-12-18T00:00:00.5"),
        (x(T.DATETIME, behavior=DAY), '"2024-04-10"', "2024-04-10"),
        (x(T.DATETIME, behavior=DAY), '"2024-04-10T00:00:00Z"', "2024-04-10"),
        (x(T.UNIQUEIDENTIFIER), f'"{TARGET.upper()}"', TARGET),
        (x(T.LOOKUP, targets=("contact",)), f'"{TARGET}"', TARGET),
        (x(T.STRING), "null", None),
        (x(T.MONEY), "null", None),
        (x(T.DATETIME, behavior=WALL), "null", None),
        (x(T.CHOICES), "null", None),
    ],
)  # fmt: skip
def test_a_value_becomes_the_canonical_cell(column: Column, raw: str, cell: Cell) -> None:
    found = read(column, raw)
    assert found == cell
    assert type(found) is type(cell)
    if isinstance(cell, Decimal):
        assert str(found) == str(cell)


@pytest.mark.parametrize(
    ("type_", "raw"),
    [
        (ColumnType.STRING, "5"),
        (ColumnType.STRING, '"\\ud800"'),
        (ColumnType.STRING, "{}"),
        (ColumnType.INTEGER, "9223372036854775808"),
        (ColumnType.INTEGER, "1.5"),
        (ColumnType.INTEGER, '"1"'),
        (ColumnType.INTEGER, "true"),
        (ColumnType.BOOLEAN, "1"),
        (ColumnType.DECIMAL, '"NaN"'),
        (ColumnType.DECIMAL, "1e400"),
        (ColumnType.DECIMAL, "true"),
        (ColumnType.DOUBLE, "1e400"),
        (ColumnType.DATETIME, '"yesterday"'),
        (ColumnType.DATETIME, '"2024-13-12T14:13:17.5Z"'),
        (ColumnType.DATETIME, '"2024-02-30T14:13:17Z"'),
        (ColumnType.DATETIME, '"2024-13-12T14:13:17Z"'),
        (ColumnType.DATETIME, '"2024-12-12T24:13:17Z"'),
        (ColumnType.CHOICES, '"1,x"'),
        (ColumnType.UNIQUEIDENTIFIER, '"no guid"'),
        (ColumnType.LOOKUP, '"no guid"'),
    ],
)
def test_a_value_that_does_not_fit_puts_the_row_aside(type_: ColumnType, raw: str) -> None:
    targets = ("contact",) if type_ is ColumnType.LOOKUP else ()
    column = Column("x", type_, targets=targets)
    member = "_x_value" if type_ is ColumnType.LOOKUP else "x"
    rows = [
        f'{{"@odata.etag":"W/\\"1\\"","accountid":"{account_id(n)}","{member}":{cell}}}'
        for n, cell in ((1, "null"), (2, raw), (3, "null"))
    ]
    page = f'{{"value":[{rows[0]}, {rows[1]},{rows[2]}],"@odata.nextLink":"n"}}'
    for read_page in (Reader(scope_of(column)).page, Reader(scope_of(column)).changes):
        read_rows = read_page(page.encode())
        assert [record[0] for record in read_rows.records] == [account_id(1), account_id(3)]
        (torn,) = read_rows.unreadable
        assert torn.row_id == account_id(2)
        assert torn.payload == rows[1]
        assert torn.reason
        value = raw.strip('"')
        assert len(value) < 4 or value not in torn.reason, "no values in a reason"
        assert read_rows.next_link == "n"
    with pytest.raises(ProtocolError, match="account"):
        Reader(scope_of(column)).whole(page.encode())
    with pytest.raises(ProtocolError, match="account"):
        Reader(scope_of(column)).one(rows[1].encode())


@pytest.mark.parametrize(
    ("row", "row_id", "reason"),
    [
        ("null", None, "Expected `object`, got `null`"),
        ("5", None, "Expected `object`, got `int`"),
        ("{}", None, "a row has no accountid"),
        ('{"@odata.etag":"v"}', None, "a row has no accountid"),
        ('{"@odata.etag":"v","accountid":5}', None, "Expected `str | null`, got `int`"),
        ('{"@odata.etag":"v","accountid":"x"}', None, "accountid is no uniqueidentifier"),
        (f'{{"accountid":"{KEY}"}}', KEY, "a row has no version"),
        (f'{{"@odata.etag":"W/1\\r\\nX: y","accountid":"{KEY}"}}', KEY, "version is garbled"),
        (
            f'{{"@odata.etag":"a","@odata.etag":"b","accountid":"{KEY}"}}',
            KEY,
            "the member '@odata.etag' comes twice",
        ),
        (
            f'{{"@odata.etag":"a","accountid":"{KEY}","accountid":"{TARGET}"}}',
            None,
            "the member 'accountid' comes twice",
        ),
        (
            '{"@odata.context":"x/$deletedEntity","reason":"deleted"}',
            None,
            "a deleted row has no id",
        ),
        ('{"@odata.context":"x/$deletedEntity","id":"1"}', None, "a deleted row has no id"),
        (f'{{"name":"\\udc00 \\\\ud800","accountid":"{KEY}"}}', KEY, "surrogate"),
    ],
)
def test_a_row_that_makes_no_sense_says_what_is_wrong_with_it(
    row: str, row_id: str | None, reason: str
) -> None:
    fine = json.dumps(account_row(2, name="\\ud83d \U0001f600"))
    rows = Reader(NAME_ONLY).page(f'{{"value":[{fine},{row},{fine}]}}'.encode())
    (torn,) = rows.unreadable
    assert (torn.row_id, torn.payload) == (row_id, row)
    assert reason in torn.reason
    assert [record[1] for record in rows.records] == ["\\ud83d \U0001f600"] * 2


def test_bytes_that_are_no_text_put_their_row_aside() -> None:
    body = b'{"value":[{"@odata.etag":"a","accountid":"%b","name":"\xff"}]}' % KEY.encode()
    (torn,) = Reader(NAME_ONLY).page(body).unreadable
    assert torn.row_id == KEY
    assert "\ufffd" in torn.payload


def test_of_a_long_row_only_the_beginning_is_handed_on() -> None:
    row = account_row(1) | {"name": "x" * 100_000, "@odata.etag": None}
    (torn,) = Reader(NAME_ONLY).page(json.dumps({"value": [row]}).encode()).unreadable
    assert len(torn.payload) == 8192


@pytest.mark.parametrize(
    "body_",
    [
        b"",
        b"{}",
        b"[]",
        b'{"value":null}',
        b'{"value":{}}',
        b'{"value":[NaN]}',
        b"\xff\xfe",
        b"<html></html>",
        b'{"value":' + b"[" * 100_000,
        b'{"value":[],"junk":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"value":[],"@odata.nextLink":"a","@odata.nextLink":"b"}',
    ],
)
def test_a_page_that_makes_no_sense_is_refused_whole(body_: bytes) -> None:
    with pytest.raises(ProtocolError):
        Reader(NAME_ONLY).page(body_)


def test_text_that_looks_like_a_member_is_text() -> None:
    row = account_row(1, name='"@odata.etag":"x","accountid":"y"')
    records = Reader(NAME_ONLY).page(json.dumps({"value": [row]}).encode()).records
    assert records == [(account_id(1), row["name"], 'W/"1"')]


def test_tombstones_stand_beside_rows() -> None:
    page = {
        "value": [account_row(1), tombstone(2)],
        "@odata.deltaLink": "d",
        "@odata.nextLink": "n",
    }
    rows = Reader(NAME_ONLY).page(json.dumps(page).encode())
    assert [record[0] for record in rows.records] == [account_id(1)]
    assert rows.tombstones == [account_id(2)]
    assert (rows.next_link, rows.delta_link) == ("n", "d")


def test_a_table_whose_key_is_called_id_is_read() -> None:
    key = Column("id", ColumnType.UNIQUEIDENTIFIER)
    scope = Scope(TableSchema("odd", "id", None, (key,), wire={"set": "odds"}))
    page = {"value": [{"@odata.etag": "v", "id": KEY}, tombstone(2)]}
    rows = Reader(scope).page(json.dumps(page).encode())
    assert rows.records == [(KEY, "v")]
    assert rows.tombstones == [account_id(2)]


def test_a_lookup_brings_its_table_and_its_name_only_when_they_are_wanted() -> None:
    parent = Column("parent", ColumnType.LOOKUP, targets=("contact", "account"))
    owner = Column("owner", ColumnType.LOOKUP, targets=("contact",))
    scope = scope_of(parent, owner, names=frozenset({"owner"}))
    assert select(scope) == "accountid,_parent_value,_owner_value"
    assert preferred_annotations(scope) == f'odata.include-annotations="{LOOKUP},{FORMATTED}"'
    assert preferred_annotations(scope_of(owner)) == ""
    row = account_row(1) | {
        "_parent_value": TARGET,
        f"_parent_value@{LOOKUP}": "contact",
        f"_parent_value@{FORMATTED}": "not wanted",
        "_owner_value": KEY,
        f"_owner_value@{FORMATTED}": "Jane",
    }
    [record] = Reader(scope).whole(json.dumps({"value": [row]}).encode()).records
    assert record == (account_id(1), TARGET, "contact", None, KEY, "Jane", 'W/"1"')


def test_a_lookup_of_several_tables_must_say_which() -> None:
    parent = Column("parent", ColumnType.LOOKUP, targets=("contact", "account"))
    row = account_row(1, _parent_value=TARGET)
    (torn,) = Reader(scope_of(parent)).page(json.dumps({"value": [row]}).encode()).unreadable
    assert torn.reason == "it does not say which table parent points to"


def test_files_and_images_bring_ids_and_names() -> None:
    scope = scope_of(Column("contract", ColumnType.FILE), Column("photo", ColumnType.IMAGE))
    assert select(scope) == "accountid,contract,contract_name,photoid"
    row = account_row(1, contract=TARGET, contract_name="a.pdf", photoid=KEY)
    [record] = Reader(scope).whole(json.dumps({"value": [row]}).encode()).records
    assert record == (account_id(1), TARGET, "a.pdf", KEY, None, 'W/"1"')


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(json_values, json_values, json_values)
def test_any_json_in_a_row_is_read_or_put_aside_or_refused(key: Any, etag: Any, name: Any) -> None:
    row = {"accountid": key, "@odata.etag": etag, "name": name}
    fine = account_row(2)
    try:
        rows = Reader(NAME_ONLY).page(json.dumps({"value": [fine, row]}).encode())
    except ProtocolError:
        assert re.search("NaN|Infinity", json.dumps(row)), "that alone is no JSON"
        return
    assert rows.records[0][0] == account_id(2)
    assert len(rows.records) + len(rows.unreadable) == 2
    for record in rows.records:
        assert record[1] is None or isinstance(record[1], str)


# What is written.


def written(column: Column, change: Change) -> Any:
    op = Op("o", 1, OpKind.UPDATE, "account", KEY, {column.name: change}, "v")
    return body(op, scope_of(column)).decode()


@pytest.mark.parametrize(
    ("column", "change", "text"),
    [
        (x(T.STRING), 'a"b', '{"x":"a\\"b"}'),
        (x(T.MONEY), Decimal("1234.5600"), '{"x":1234.5600}'),
        (x(T.DECIMAL), Decimal("12345678901.1234567891"), '{"x":12345678901.1234567891}'),
        (x(T.DOUBLE), 0.1, '{"x":0.1}'),
        (x(T.BOOLEAN), False, '{"x":false}'),
        (x(T.CHOICES), "1,9", '{"x":"1,9"}'),
        (x(T.DATETIME), "2024-06-12T14:13:17Z", '{"x":"2024-06-12T14:13:17Z"}'),
        (x(T.DATETIME, behavior=WALL), "2024-06-12T14:13:17", '{"x":"2024-06-12T14:13:17Z"}'),
        (x(T.DATETIME, behavior=WALL), None, '{"x":null}'),
        (x(T.DATETIME, behavior=DAY), "2024-06-12", '{"x":"2024-06-12"}'),
        (
            Column("parent", ColumnType.LOOKUP, targets=("contact", "account")),
            Reference("account", TARGET),
            f'{{"parent_account@odata.bind":"/accounts({TARGET})"}}',
        ),
        (
            Column("parent", ColumnType.LOOKUP, targets=("contact", "account")),
            None,
            '{"parent_contact@odata.bind":null}',
        ),
    ],
)  # fmt: skip
def test_a_change_is_written_as_the_server_reads_it(
    column: Column, change: Change, text: str
) -> None:
    assert written(column, change) == text


def test_a_create_names_its_row() -> None:
    op = Op("o", 1, OpKind.CREATE, "account", KEY, {"name": "A"})
    assert json.loads(body(op, NAME_ONLY)) == {"accountid": KEY, "name": "A"}


@pytest.mark.parametrize(
    ("column", "change", "words"),
    [
        ("gone", 1, "not kept any more"),
        ("parent", Reference("lead", TARGET), "cannot point to"),
        ("x", "\ud800", "JSON"),
    ],
)
def test_what_cannot_be_said_is_not_sent(column: str, change: Change, words: str) -> None:
    lookup = Column("parent", ColumnType.LOOKUP, targets=("contact", "account"))
    scope = scope_of(lookup, x(T.STRING))
    op = Op("o", 1, OpKind.UPDATE, "account", KEY, {column: change}, "v")
    with pytest.raises(Unsendable, match=words):
        body(op, scope)


@pytest.mark.parametrize(
    ("column", "wanted", "found", "same"),
    [
        (x(T.STRING), "a", "a", True),
        (x(T.STRING), "a ", "a", True),
        (x(T.STRING), "", None, True),
        (x(T.STRING), "a", "b", False),
        (x(T.STRING), "a", None, False),
        (x(T.BOOLEAN), False, None, False),
        (x(T.INTEGER), 0, None, False),
        (x(T.MONEY, precision=2), Decimal("1.005"), Decimal("1.0000"), True),
        (x(T.MONEY, precision=2), Decimal("1.005"), Decimal("1.0100"), True),
        (x(T.MONEY, precision=2), Decimal("1.00"), Decimal("1.01"), False),
        (x(T.DECIMAL), Decimal("1.0"), Decimal("1.00"), True),
        (x(T.DECIMAL), Decimal("1.0"), Decimal("1.1"), False),
        (x(T.DOUBLE, precision=5), 47.639583, 47.63958, True),
        (x(T.DOUBLE, precision=5), 47.639583, 47.63959, False),
        (x(T.DATETIME), "2024-06-12T14:13:17.5Z", "2024-06-12T14:13:17Z", True),
        (x(T.DATETIME), "2024-06-12T14:13:18Z", "2024-06-12T14:13:17Z", False),
        (x(T.CHOICES), "1,2", "1,2", True),
        (x(T.LOOKUP, targets=("contact",)), Reference("contact", KEY), KEY, True),
        (x(T.LOOKUP, targets=("contact",)), Reference("contact", KEY), TARGET, False),
        (x(T.LOOKUP, targets=("contact",)), None, None, True),
        (x(T.LOOKUP, targets=("contact",)), None, KEY, False),
    ],
)  # fmt: skip
def test_what_the_server_holds_is_compared_as_it_stores_it(
    column: Column, wanted: Change, found: Cell, *, same: bool
) -> None:
    scope = scope_of(column)
    op = Op("o", 1, OpKind.UPDATE, "account", KEY, {"x": wanted}, "v")
    record = (KEY, found, *(None for _ in column.fields[1:]), "v")
    assert holds(record, op, scope) is same


def test_a_lookup_is_emptied_through_a_table_that_can_be_named() -> None:
    column = Column("parent", ColumnType.LOOKUP, targets=("nowhere", "contact"))
    op = Op("o", 1, OpKind.UPDATE, "account", KEY, {"parent": None}, "v")
    assert json.loads(body(op, scope_of(column))) == {"parent_contact@odata.bind": None}
