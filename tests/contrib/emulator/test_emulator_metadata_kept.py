"""Definitions that are made at run time: kept with the rows, written out and read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.schema import Option
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour import schema_edits as edits
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.definition_store import dump_metadata, load_metadata
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.metadata import KeyDefinition, Metadata, Ownership
from holdfast_emulator.behaviour.new_tables import custom_table
from holdfast_emulator.behaviour.option_sets import OptionSetDefinition
from holdfast_emulator.behaviour.relationships import (
    ManyToManyDefinition,
    RelationshipDefinition,
)
from holdfast_emulator.behaviour.rows import MemoryRows, RowStore
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.behaviour.sqlite_rows import SqliteRows
from holdfast_emulator.behaviour.tables import stock_metadata

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PARTS = ("tables", "relationships", "many_to_many", "option_sets", "changed", "deleted", "version")


def opened(rows: RowStore) -> Dataverse:
    return Dataverse(lambda: NOW, rows=rows)


@pytest.fixture(params=["memory", "sqlite"])
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> RowStore:
    return MemoryRows() if request.param == "memory" else SqliteRows(tmp_path / "rows.db")


def ann(org: Dataverse) -> User:
    user = org.security.user_of("demo-token")
    assert user
    return user


def customise(org: Dataverse) -> None:
    """Make a table with a key, a lookup, pairs and options, and drop one of its columns."""
    lookup = replace(c.lookup("new_AccountId", "account"), is_custom=True)
    one = RelationshipDefinition(
        *("new_account_pump", "account", "accountid", "new_pump", "new_accountid"),
        *("new_AccountId", "new_account_pump"),
        is_custom=True,
    )
    many = ManyToManyDefinition(
        *("new_pump_contact", "new_pump_contact", "new_pump", "new_pumpid", "new_pump_contact"),
        *("contact", "contactid", "new_pump_contact"),
        is_custom=True,
    )
    name, early, late = (
        replace(c.text(f"new_{one}", 50), is_custom=True) for one in ("Name", "Early", "Late")
    )
    with org.schema.drafting() as draft:
        code = edits.next_type_code(draft)
        table = custom_table("new_Pump", Ownership.USER, [name, early], "new_name", code)
        edits.add_table(draft, table)
        edits.add_column(draft, "new_pump", late)
        edits.add_column(draft, "account", replace(c.text("new_Extra", 20), is_custom=True))
        edits.add_key(draft, "new_pump", KeyDefinition("new_key", "new_Key", ("new_name",)))
        edits.add_one_to_many(draft, lookup, [one])
        edits.add_many_to_many(draft, many)
        edits.add_option_set(draft, OptionSetDefinition("new_set", "Set", (Option(1, "One"),)))


def test_rows_keep_their_cells_when_columns_come_and_go(rows: RowStore) -> None:
    org = opened(rows)
    customise(org)
    row = org.create(ann(org), "new_pump", {"new_name": "N", "new_early": "E", "new_late": "L"})
    version = row.version
    with org.schema.drafting() as draft:
        edits.drop_column(draft, "new_pump", "new_early")
    kept = org.find("new_pump", row.id)
    assert kept
    assert (kept["new_name"], kept["new_late"], kept.version) == ("N", "L", version)
    assert "new_early" not in kept
    with org.schema.drafting() as draft:
        early = replace(c.text("new_Early", 50), is_custom=True)
        edits.add_column(draft, "new_pump", early)
    again = org.find("new_pump", row.id)
    assert again
    assert again["new_early"] is None
    assert org.update(ann(org), "new_pump", row.id, {"new_early": "F"})["new_early"] == "F"
    org.close()


def test_a_dropped_table_is_empty_when_it_is_made_again(rows: RowStore) -> None:
    org = opened(rows)
    customise(org)
    org.create(ann(org), "new_pump", {"new_name": "N"})
    with org.schema.drafting() as draft:
        edits.drop_table(draft, "new_pump")
    assert "new_pump_contact" not in org.metadata.tables
    assert "new_accountid" not in {
        r.referencing_attribute for r in org.metadata.one_to_many("account")
    }
    with org.schema.drafting() as draft:
        edits.drop_option_set(draft, "new_set")
        edits.drop_column(draft, "account", "new_extra")
    customise(org)
    assert list(org.scan("new_pump")) == []
    org.close()


def test_what_is_refused_halfway_leaves_no_trace(rows: RowStore) -> None:
    org = opened(rows)
    before = dump_metadata(org.metadata)
    late = replace(c.text("new_Late", 5), is_custom=True)

    def twice() -> None:
        with org.schema.drafting() as draft:
            edits.add_column(draft, "account", late)
            edits.add_column(draft, "account", late)

    with pytest.raises(DataverseFault):
        twice()
    assert dump_metadata(org.metadata) == before
    assert org.find("account", "x") is None
    org.close()


def test_definitions_survive_a_restart(tmp_path: Path) -> None:
    org = opened(SqliteRows(tmp_path / "rows.db"))
    token = org.track(ann(org), "account").token
    customise(org)
    row = org.create(ann(org), "new_pump", {"new_name": "N", "new_late": "L"})
    with org.schema.drafting() as draft:
        edits.drop_column(draft, "new_pump", "new_early")
    before = dump_metadata(org.metadata)
    org.close()
    again = opened(SqliteRows(tmp_path / "rows.db"))
    assert dump_metadata(again.metadata) == before
    kept = again.find("new_pump", row.id)
    assert kept
    assert (kept["new_name"], kept["new_late"]) == ("N", "L")
    assert again.metadata.hop("account", "new_account_pump")
    with pytest.raises(DataverseFault, match="0x80044352"):
        again.track(ann(again), "account", token=token)
    again.close()


def test_definitions_survive_without_a_farewell(tmp_path: Path) -> None:
    org = opened(SqliteRows(tmp_path / "rows.db"))
    customise(org)
    before = dump_metadata(org.metadata)
    store = org.schema.store
    assert isinstance(store, SqliteRows)
    store._file.close()  # as a killed process does: nothing is said goodbye to
    again = opened(SqliteRows(tmp_path / "rows.db"))
    assert dump_metadata(again.metadata) == before
    again.close()


@pytest.mark.parametrize("base", [Metadata, stock_metadata])
def test_a_dump_is_json_and_loads_as_the_same(base: Callable[[], Metadata]) -> None:
    org = opened(MemoryRows())
    customise(org)
    with org.schema.drafting() as draft:
        edits.drop_column(draft, "new_pump", "new_early")
    text = json.dumps(dump_metadata(org.metadata, base()))
    loaded = load_metadata(json.loads(text), base())
    for part in PARTS:
        assert getattr(loaded, part) == getattr(org.metadata, part), part
    assert loaded.hops("account") == org.metadata.hops("account")


def test_only_what_differs_from_the_stock_is_kept() -> None:
    data = dump_metadata(stock_metadata(), stock_metadata())
    assert data["tables"] == data["relationships"] == {}
    with pytest.raises(ValueError, match="Expected"):
        load_metadata({"version": "x"})


def test_definitions_are_not_changed_inside_a_transaction(rows: RowStore) -> None:
    org = opened(rows)

    def both() -> None:
        with org.transaction(), org.schema.drafting():
            pass

    with pytest.raises(RuntimeError, match="transaction"):
        both()
    org.close()
