"""Whole queries gathered from other implementations: parsed, and run where SQLite runs them."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.contracts import Context, Layout, Put
from holdfast.errors import FilterError
from holdfast.filters import Expression, Record, predicate, settle, trees
from holdfast.model import Asking
from holdfast.queries import Selection
from holdfast.schema import Column, ColumnType, DateBehavior, Relationship, TableSchema
from holdfast.testing import system_environment
from holdfast.values import Cell
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings
from holdfast_sqlite import SqliteSettings, SqliteStorage
from support.related import StillRows

DATA = Path(__file__).parents[2] / "data" / "fetchxml_queries.json"
CASES = json.loads(DATA.read_text(encoding="utf-8"))["cases"]
ANSWERED = [case for case in CASES if isinstance(case["expect"], list)]
REFUSED = {
    "fq-047": "'contactid' has no alias",
    "fq-048": "'contactid' has neither aggregate nor groupby",
    "fq-049": "found aggregate='asdf'; expected 'avg' or 'count' or",
    "fq-050": "'between' on 'birthdate' takes 2 values, found 0",
    "fq-051": "'between' on 'birthdate' takes 2 values, found 1",
    "fq-053": "a query may have 500 conditions and links at most (Dataverse says 0x8004430c)",
}
#: What says more than which rows of one table are meant, with what the refusal says of it.
NO_FILTER = {
    "fq-011": "a condition compares columns of the entity and 'acct'",
    "fq-014": "top depends on all other rows",
}
LANGUAGE = FetchXmlLanguage(FetchXmlSettings())
ASKING = Asking(datetime(2026, 3, 1, 8, tzinfo=UTC), None)
T = ColumnType
LOOKUPS = {"parentcustomerid": "account", "primarycontactid": "contact", "p": "account"}
LOOKUPS |= {"parentaccountid": "account"}
HIERARCHY = Relationship(
    "account_parent_account", "account", "parentaccountid", "account", hierarchical=True
)
ANCHOR = re.compile(r"(attribute='accountid' operator='[^']*' value=')([^']*)'")


def id_of(text: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, text))


def column_of(table: str, name: str, cells: list[Any]) -> Column:
    if name == f"{table}id":
        return Column(name, T.UNIQUEIDENTIFIER)
    if name in LOOKUPS:
        return Column(name, T.LOOKUP, targets=(LOOKUPS[name],))
    if name in ("birthdate", "d"):
        return Column(name, T.DATETIME, behavior=DateBehavior.DATE_ONLY)
    if any(isinstance(cell, float) for cell in cells):
        return Column(name, T.DOUBLE)
    if any(isinstance(cell, int) for cell in cells):
        return Column(name, T.INTEGER)
    return Column(name, T.STRING)


def schemas_of(case: dict[str, Any]) -> dict[str, TableSchema]:
    schemas = {}
    for table in ("account", "contact"):
        rows = case["tables"].get(table, [])
        names = dict.fromkeys([f"{table}id", *(name for row in rows for name in row)])
        if table == "contact":  # what the queries of mistakes name
            names |= dict.fromkeys(["firstname", "birthdate"])
        columns = tuple(column_of(table, name, [row.get(name) for row in rows]) for name in names)
        known = (HIERARCHY,) if table == "account" else ()
        schemas[table] = TableSchema(table, f"{table}id", None, columns, relationships=known)
    return schemas


def record_of(schema: TableSchema, row: dict[str, Any]) -> Record:
    cells: list[Cell] = [None] * len(schema.fields)
    for name, value in row.items():
        is_id = name in LOOKUPS or name == schema.primary_id
        cells[schema.positions[name]] = id_of(value) if is_id and value is not None else value
    return tuple(cells)


def world_of(case: dict[str, Any], schemas: Mapping[str, TableSchema]) -> StillRows:
    return StillRows(
        schemas,
        {
            name: [record_of(schema, row) for row in case["tables"].get(name, [])]
            for name, schema in schemas.items()
        },
    )


def source_of(case: dict[str, Any]) -> str:
    return ANCHOR.sub(lambda found: f"{found[1]}{id_of(found[2])}'", case["fetchxml"])


def settled(expression: Expression, world: StillRows) -> Expression:
    return settle(expression, ASKING, {tree: world.in_tree(tree) for tree in trees(expression)})


def wanted(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records of the answer, without what is null."""
    ids = {
        cell
        for table, rows in case["tables"].items()
        for row in rows
        for name, cell in row.items()
        if name in LOOKUPS or name == f"{table}id"
    }
    return [
        {name: id_of(cell) if cell in ids else cell for name, cell in record.items()}
        for record in case["expect"]
    ]


@pytest.mark.parametrize("case", ANSWERED, ids=lambda case: f"{case['id']} {case['name']}")
async def test_a_query_is_a_question_that_sqlite_answers(
    case: dict[str, Any], tmp_path: Path
) -> None:
    schemas = schemas_of(case)
    world = world_of(case, schemas)
    selection = LANGUAGE.parse_selection(source_of(case), schemas)
    assert {*wanted(case)[0]} <= {o.name for o in selection.outputs} if case["expect"] else True
    selection = replace(
        selection,
        where=settled(selection.where, world),
        joins=tuple(replace(j, where=settled(j.where, world)) for j in selection.joins),
    )
    settings = SqliteSettings(path=Path("replica.db"))
    async with SqliteStorage.open(settings, Context(system_environment(), tmp_path)) as storage:
        await storage.migrate(
            [Layout(name, schema.fields) for name, schema in schemas.items()], version=1
        )
        await storage.write([Put(name, rows) for name, rows in world.of.items()])
        if storage.runs_selection(selection):
            found = named(selection, [record async for record in storage.select(selection)])
            assert in_order(found, case) == in_order(wanted(case), case)


def named(selection: Selection, records: list[Record]) -> list[dict[str, Any]]:
    names = [output.name for output in selection.outputs]
    return [
        {name: cell for name, cell in zip(names, record, strict=True) if cell is not None}
        for record in records
    ]


def in_order(records: list[dict[str, Any]], case: dict[str, Any]) -> list[list[tuple[str, Any]]]:
    found = [sorted(record.items()) for record in records]
    return found if case["ordered"] else sorted(found, key=repr)


@pytest.mark.parametrize("case", ANSWERED, ids=lambda case: f"{case['id']} {case['name']}")
def test_a_query_is_a_filter_where_it_says_which_rows_are_meant(case: dict[str, Any]) -> None:
    schemas = schemas_of(case)
    world, source = world_of(case, schemas), source_of(case)
    table = re.findall(r"<entity name='(\w+)'", source)[0]
    reason = NO_FILTER.get(case["id"]) or ("aggregate" in source and "an aggregate is made of rows")
    if reason:
        with pytest.raises(FilterError, match=reason):
            LANGUAGE.parse(source, schemas[table], schemas)
        return
    expression = LANGUAGE.parse(source, schemas[table], schemas)
    again = LANGUAGE.parse(
        LANGUAGE.render(expression, schemas[table], schemas), schemas[table], schemas
    )
    for one in (expression, again):
        test = predicate(settled(one, world), schemas[table].positions, related=world)
        found = {row[0] for row in world.of[table] if test(row) is True}
        assert found == {record[f"{table}id"] for record in wanted(case)}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case not in ANSWERED], ids=lambda case: case["name"]
)
def test_a_mistake_is_refused_with_its_reason_and_place(case: dict[str, Any]) -> None:
    with pytest.raises(FilterError) as raised:
        LANGUAGE.parse_selection(case["fetchxml"], schemas_of(case))
    assert REFUSED[case["id"]] in str(raised.value)
    assert raised.value.position is not None
    assert case["fetchxml"][raised.value.position] in "<c'a2"


def test_no_case_is_left_out() -> None:
    assert len(ANSWERED) + len(REFUSED) == len(CASES) == 28
