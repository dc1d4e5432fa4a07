"""Every case of fetchxml_queries.json is answered as it says."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    Metadata,
    Ownership,
    TableDefinition,
)
from holdfast_emulator.behaviour.relationships import RelationshipDefinition
from holdfast_emulator.behaviour.tables import stock_metadata
from support.fetching import Asker

DATA = Path(__file__).parents[2] / "data" / "fetchxml_queries.json"
CASES = json.loads(DATA.read_text(encoding="utf-8"))["cases"]
TABLES = ("account", "contact")
LOOKUPS = {"parentcustomerid": "account", "primarycontactid": "contact", "p": "account"}
LOOKUPS |= {"parentaccountid": "account"}
DATES = ("birthdate", "d")
PERSON = {"contact": ("firstname", "lastname")}  # what the server makes the full name of
ID = re.compile(r"(attribute='accountid' operator='[^']*' value=')([^']*)'")


def id_of(text: str) -> str:
    """Return the id that stands for a short one."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def column_of(table: str, name: str, cells: list[Any]) -> ColumnDefinition:
    if name == f"{table}id":
        return c.primary_id(name)
    if name in LOOKUPS:
        return c.lookup(name, LOOKUPS[name])
    if name in DATES:
        return c.day(name)
    if any(isinstance(cell, float) for cell in cells):
        return c.define(name, ColumnType.DOUBLE)
    if any(isinstance(cell, int) for cell in cells):
        return c.integer(name)
    return c.text(name, 100)


def organisation(tables: dict[str, list[dict[str, Any]]]) -> Dataverse:
    """Return an organisation with nothing but the tables of a case beside what each has."""
    stock = stock_metadata()
    definitions = [
        table
        for table in stock.tables.values()
        if table.name not in (*TABLES, "opportunity", "task")
    ]
    for name in TABLES:
        rows = tables.get(name, [])
        names = dict.fromkeys([f"{name}id", *PERSON.get(name, ()), *(k for r in rows for k in r)])
        own = [column_of(name, key, [row.get(key) for row in rows]) for key in names]
        definitions.append(
            TableDefinition(
                *(name, name, f"{name}s", 1, f"{name}id", None),
                (*own, *c.stamps()),
                ownership=Ownership.ORGANIZATION,
            )
        )
    hierarchy = RelationshipDefinition(
        *("account_parent_account", "account", "accountid", "account", "parentaccountid"),
        *("parentaccountid", "account_parent_account"),
        is_hierarchical=True,
    )
    dataverse = Dataverse(
        lambda: datetime(2026, 3, 1, 8, tzinfo=UTC), metadata=Metadata(definitions, [hierarchy])
    )
    for name in TABLES:
        dataverse.load(name, [stored(name, row) for row in tables.get(name, [])])
    return dataverse


def stored(table: str, row: dict[str, Any]) -> dict[str, Cell | Reference]:
    if "fullname" in row and "firstname" not in row:
        row = {**row, "firstname": row["fullname"]}
    return {name: cell_of(table, name, cell) for name, cell in row.items()}


def cell_of(table: str, name: str, cell: Any) -> Cell | Reference:
    if cell is None:
        return None
    if name == f"{table}id":
        return id_of(cell)
    result: Cell | Reference = Reference(LOOKUPS[name], id_of(cell)) if name in LOOKUPS else cell
    return result


def expected(case: dict[str, Any]) -> list[dict[str, Any]]:
    ids = {
        cell
        for table, rows in case["tables"].items()
        for row in rows
        for name, cell in row.items()
        if name in LOOKUPS or name == f"{table}id"
    }
    return [
        {name: id_of(cell) if cell in ids else cell for name, cell in row.items()}
        for row in case["expect"]
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']} {case['name']}")
def test_a_case_of_the_collection(case: dict[str, Any]) -> None:
    asker = Asker(organisation(case["tables"]))
    xml = ID.sub(lambda found: f"{found[1]}{id_of(found[2])}'", case["fetchxml"])
    table = re.search(r"<entity name='(\w+)'", xml)
    assert table is not None
    said = asker.fetch(f"{table[1]}s", xml)
    if isinstance(case["expect"], str):
        assert said.status == 400
        _, _, code = case["expect"].partition(" ")
        assert not code or said.code == code.lower()
        return
    found, wanted = said.plain(), expected(case)
    if not case["ordered"]:
        found, wanted = sorted(found, key=repr), sorted(wanted, key=repr)
    found = [dict(sorted(row.items())) for row in found]
    wanted = [dict(sorted(row.items())) for row in wanted]
    assert sorted(found, key=repr) == sorted(wanted, key=repr)
    if case["ordered"]:
        assert found == wanted
