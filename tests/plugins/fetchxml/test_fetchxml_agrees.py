"""The emulator evaluates FetchXML on its own code: its rows and ours are the same."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from holdfast.contracts import Context, Layout, Put
from holdfast.errors import FilterError
from holdfast.filters import Record, predicate
from holdfast.schema import ColumnType, TableSchema
from holdfast.testing import system_environment
from holdfast.values import Cell, Reference
from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    Metadata,
    Ownership,
    TableDefinition,
)
from holdfast_emulator.behaviour.tables import stock_metadata
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings
from holdfast_sqlite import SqliteSettings, SqliteStorage
from support.fetches import SCHEMAS, STAGES, fetches, groupings, rows
from support.fetching import Asker
from support.related import StillRows

LANGUAGE = FetchXmlLanguage(FetchXmlSettings())
T = ColumnType
#: What a filter of rows, or a join, cannot say though a server can.
UNSAID = (
    "which row is the first of the link",
    "names another table",
    "compares columns of",
    "in more than 64 ways",
)


def definition(schema: TableSchema) -> TableDefinition:
    def of(name: str, kind: ColumnType, targets: tuple[str, ...]) -> ColumnDefinition:
        if name == schema.primary_id:
            return c.primary_id(name)
        match kind:
            case T.LOOKUP:
                return c.lookup(name, *targets)
            case T.INTEGER:
                return c.integer(name)
            case T.CHOICE:
                return c.choice(name, STAGES)
            case _:
                return c.text(name, 100)

    columns = (of(column.name, column.type, column.targets) for column in schema.columns)
    return TableDefinition(
        *(schema.name, schema.name, f"{schema.name}s", 1, schema.primary_id, schema.primary_name),
        (*columns, *c.stamps()),
        ownership=Ownership.ORGANIZATION,
    )


STOCK = [
    table
    for table in stock_metadata().tables.values()
    if table.name not in (*SCHEMAS, "opportunity", "task")
]
TABLES = [*STOCK, *map(definition, SCHEMAS.values())]


def organisation(world: Mapping[str, list[dict[str, Any]]]) -> Dataverse:
    dataverse = Dataverse(lambda: datetime(2026, 3, 1, tzinfo=UTC), metadata=Metadata(TABLES, []))
    for name, found in world.items():
        dataverse.load(name, [loaded(SCHEMAS[name], row) for row in found])
    return dataverse


def loaded(schema: TableSchema, row: dict[str, Any]) -> dict[str, Cell | Reference]:
    return {
        name: Reference(schema.by_name[name].targets[0], cell)
        if cell is not None and schema.by_name[name].type is T.LOOKUP
        else cell
        for name, cell in row.items()
    }


def stored(world: Mapping[str, list[dict[str, Any]]]) -> StillRows:
    """Return the rows as a replica keeps them, with the names behind the lookups."""
    names = {
        (name, row[schema.primary_id]): row[schema.primary_name or ""]
        for name, schema in SCHEMAS.items()
        for row in world[name]
    }

    def record(schema: TableSchema, row: dict[str, Any]) -> Record:
        cells: dict[str, Cell] = dict(row)
        for column in schema.columns:
            if column.name_field:
                target = (column.targets[0], row[column.name])
                cells[column.name_field] = names.get(target)
        return tuple(cells[field.name] for field in schema.fields)

    return StillRows(
        SCHEMAS, {name: [record(s, row) for row in world[name]] for name, s in SCHEMAS.items()}
    )


WORLDS = st.fixed_dictionaries({name: rows(name) for name in SCHEMAS})
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@QUICK
@given(fetches(), WORLDS)
def test_a_view_lets_the_rows_through_that_its_query_is_about(
    source: str, world: Mapping[str, list[dict[str, Any]]]
) -> None:
    source = re.sub("<fetch [^>]*>", "<fetch>", source)  # pages and distinct are no filters
    answer = {
        row["accountid"] for row in Asker(organisation(world)).fetch("accounts", source).value
    }
    kept = stored(world)
    try:
        expression = LANGUAGE.parse(source, SCHEMAS["account"], SCHEMAS)
    except FilterError as error:
        if not any(words in str(error) for words in UNSAID):
            raise
        event("unsaid")
        return
    test = predicate(expression, SCHEMAS["account"].positions, related=kept)
    assert {row[0] for row in kept.of["account"] if test(row) is True} == answer


@QUICK
@given(fetches() | groupings(), WORLDS)
def test_a_query_has_the_records_that_the_server_gives(
    source: str, world: Mapping[str, list[dict[str, Any]]]
) -> None:
    try:
        selection = LANGUAGE.parse_selection(source, SCHEMAS)
    except FilterError as error:
        if not any(words in str(error) for words in UNSAID):
            raise
        event("unsaid")
        return
    answer = Asker(organisation(world)).fetch("accounts", source).plain()

    async def ask() -> list[dict[str, Any]] | None:
        with tempfile.TemporaryDirectory() as folder:
            context = Context(system_environment(), Path(folder))
            async with SqliteStorage.open(SqliteSettings(path=Path("r.db")), context) as storage:
                layouts = [Layout(name, schema.fields) for name, schema in SCHEMAS.items()]
                await storage.migrate(layouts, version=1)
                kept = stored(world)
                await storage.write([Put(name, found) for name, found in kept.of.items()])
                if not storage.runs_selection(selection):
                    return None
                found = [record async for record in storage.select(selection)]
        names = [output.name for output in selection.outputs]
        return [
            {n: cell for n, cell in zip(names, record, strict=True) if cell is not None}
            for record in found
        ]

    found = asyncio.run(ask())
    if found is None:
        event("not run")
        return
    assert found == [dict_of(row) for row in answer]


def dict_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return a record under the names that it has here: the first link's columns are lower case."""
    return {name.lower() if name[0].isupper() else name: cell for name, cell in row.items()}
