"""System records: what is written is what is read, for every kind of value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast._tables import (
    ISSUES,
    OUTBOX,
    ROW_FIELDS,
    SCOPES,
    SYSTEM_LAYOUTS,
    HistoryState,
    Image,
    IssueState,
    ScopeState,
    changes_from_json,
    changes_to_json,
    op_from_record,
    op_record,
    row_key,
    row_layout,
)
from holdfast.model import Op, OpKind, OpState
from holdfast.schema import Column, ColumnType, Kind, TableSchema, is_identifier
from holdfast.status import IssueKind, Winner
from holdfast.values import Change, Reference, to_cells

_CHANGES: dict[ColumnType, list[Change]] = {
    ColumnType.STRING: ["", "Åse 'quoted' \"x\" \n 💡", "12.50"],
    ColumnType.MEMO: ["line\nline"],
    ColumnType.INTEGER: [0, -1, 2**31 - 1],
    ColumnType.BIGINT: [2**63 - 1, -(2**63)],
    ColumnType.DECIMAL: [Decimal("12345678901.1234567891"), Decimal("-0.00"), Decimal("1E+3")],
    ColumnType.DOUBLE: [0.1, 1e300, 3.0],
    ColumnType.MONEY: [Decimal("0.0000"), Decimal("922337203685477.5807")],
    ColumnType.BOOLEAN: [True, False],
    ColumnType.CHOICE: [100000000],
    ColumnType.STATE: [0],
    ColumnType.STATUS: [1],
    ColumnType.CHOICES: ["1,9"],
    ColumnType.DATETIME: ["2024-06-12T14:13:17.5Z"],
    ColumnType.UNIQUEIDENTIFIER: ["11111111-2222-4333-8444-555555555555"],
    ColumnType.LOOKUP: [Reference("account", "11111111-2222-4333-8444-555555555555")],
    ColumnType.ENTITY_NAME: ["account"],
    ColumnType.FILE: ["11111111-2222-4333-8444-555555555555"],
    ColumnType.IMAGE: ["11111111-2222-4333-8444-555555555555"],
}
_ALL = [(kind, change) for kind, changes in _CHANGES.items() for change in (None, *changes)]


def schema(*columns: Column) -> TableSchema:
    return TableSchema(
        "thing", "thingid", None, (Column("thingid", ColumnType.UNIQUEIDENTIFIER), *columns)
    )


def _same(one: object, other: object) -> bool:
    return repr(one) == repr(other)  # Decimal("1.0") is not Decimal("1.00") here, nor 1 True


def test_every_column_type_is_tried() -> None:
    assert set(_CHANGES) == set(ColumnType)


@pytest.mark.parametrize(("kind", "change"), _ALL)
def test_a_change_comes_back_as_it_was(kind: ColumnType, change: Change) -> None:
    table = schema(Column("it", kind, targets=("account", "contact")))
    assert _same(changes_from_json(changes_to_json({"it": change}), table)["it"], change)


@pytest.mark.parametrize(("kind", "change"), _ALL)
def test_an_image_comes_back_as_it_was(kind: ColumnType, change: Change) -> None:
    column = Column("it", kind, targets=("account", "contact"))
    table = schema(column)
    own = dict(zip((f.name for f in column.fields), to_cells(column, change), strict=True))
    image = Image({"thingid": "x", **own}, 'W/"1"')
    assert _same(Image.from_json(image.to_json(), table), image)


def test_no_image_is_no_image() -> None:
    assert Image.from_json(None, schema()) is None
    image = Image({"thingid": "x"}, None)
    assert Image.from_json(image.to_json(), schema()) == image


def test_an_image_of_an_older_schema_loses_what_is_gone_and_has_null_for_what_is_new() -> None:
    old = Image({"thingid": "x", "gone": 1, "stays": "s"}, "1")
    table = schema(Column("stays", ColumnType.STRING), Column("new", ColumnType.MONEY))
    assert Image.from_json(old.to_json(), table) == Image(
        {"thingid": "x", "stays": "s", "new": None}, "1"
    )


def test_a_change_of_a_column_that_is_gone_is_kept() -> None:
    text = changes_to_json({"gone": 7, "to": Reference("a", "b")})
    assert changes_from_json(text, schema()) == {"gone": 7, "to": Reference("a", "b")}


@given(st.decimals(allow_nan=False, allow_infinity=False), st.text())
def test_any_decimal_and_any_text_come_back(number: Decimal, text: str) -> None:
    table = schema(Column("number", ColumnType.DECIMAL), Column("text", ColumnType.STRING))
    changes: dict[str, Change] = {"number": number, "text": text}
    assert _same(changes_from_json(changes_to_json(changes), table), changes)


@pytest.mark.parametrize("kind", OpKind)
@pytest.mark.parametrize("state", OpState)
def test_an_op_comes_back_as_it_was(kind: OpKind, state: OpState) -> None:
    op = Op("o", 7, kind, "thing", "x", {"to": Reference("a", "b")}, "v", state, 3, "2024-01-01")
    assert op_from_record(op_record(op), schema()) == op


def test_scopes_issues_and_history_come_back_as_they_were() -> None:
    scope = ScopeState("thing", "f", "c", 3, complete=True, baseline=False, received=7, problem="p")
    assert ScopeState.from_record(scope.record()) == scope
    issue = IssueState("i", IssueKind.REFUSED, "thing", "x", ("o1", "o2"), "c", "m", "t")
    assert IssueState.from_record(issue.record()) == issue
    image = Image({"thingid": "x"}, "1")
    entry = HistoryState("h", "thing", "x", Winner.MINE, "p", image, None, image, ("a", "b"), "t")
    assert HistoryState.from_record((*entry.record(), 1), schema()) == entry


def test_reading_anew_starts_a_generation_and_forgets_the_checkpoint_only() -> None:
    before = ScopeState("thing", "f", "c", 3, complete=True, baseline=False, last_sync="t")
    after = before.restarted("g")
    assert (after.fingerprint, after.checkpoint, after.generation) == ("g", None, 4)
    assert (after.complete, after.baseline, after.last_sync) == (True, True, "t")


def test_each_record_fits_its_layout() -> None:
    records: dict[str, tuple[Any, ...]] = {
        OUTBOX: op_record(Op("o", 1, OpKind.DELETE, "thing", "x")),
        SCOPES: ScopeState("thing").record(),
        ISSUES: IssueState("i", IssueKind.CONFLICT, "t", "x", (), "", "", "").record(),
    }
    layouts = {layout.table: layout for layout in SYSTEM_LAYOUTS}
    for table, record in records.items():
        assert len(record) == len(layouts[table].fields)


def test_layouts_have_good_names_and_a_key_that_compares_exactly() -> None:
    for layout in SYSTEM_LAYOUTS:
        names = [f.name for f in layout.fields]
        assert all(is_identifier(name) for name in names)
        assert len(set(names)) == len(names)
        assert set(layout.indexes) <= set(names)
        assert layout.key.kind in (Kind.KEY, Kind.INTEGER)


def test_a_row_is_stored_with_its_own_fields_first() -> None:
    layout = row_layout(schema(Column("it", ColumnType.LOOKUP)), ["it"])
    names = [f.name for f in layout.fields]
    assert names[:2] == ["thingid", "it"]
    assert layout.fields[-len(ROW_FIELDS) :] == ROW_FIELDS
    assert layout.indexes == ("it",)
    assert row_key("thing", "x") == "thing/x"
