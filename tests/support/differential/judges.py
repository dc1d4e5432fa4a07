"""Those who evaluate a filter, each in their own way: which rows does it match?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from holdfast.contracts import Context, FilterLanguage, Layout, Put, Query, Storage
from holdfast.errors import FilterError
from holdfast.filters import Branch, Expression, RelatedRows, Tree, predicate, settle, trees
from holdfast.model import Asking, Caller
from holdfast.schema import TableSchema
from holdfast.testing import system_environment
from holdfast.values import Cell, Reference
from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour.metadata import Metadata
from holdfast_emulator.behaviour.tables import stock_metadata
from holdfast_sqlite import SqliteSettings, SqliteStorage, connect_inline
from support.differential.rows import NOW, Given, People, record_of
from support.differential.tables import (
    SCHEMAS,
    emulated_many_to_many,
    emulated_relationships,
    emulated_tables,
)
from support.fetching import Asker

Records = Mapping[str, Sequence[tuple[Cell, ...]]]


def organisation() -> Dataverse:
    """Return an organisation with the tables, and no row in them."""
    stock = stock_metadata()
    metadata = Metadata(
        [*stock.tables.values(), *emulated_tables()],
        [*stock.relationships.values(), *emulated_relationships()],
    )
    for relationship in emulated_many_to_many():
        metadata.relate(relationship)
    dataverse = Dataverse(lambda: NOW, metadata=metadata)
    ann = dataverse.security.user_of("demo-token")
    assert ann is not None
    dataverse.people.join(dataverse.system, dataverse.seed.team_id, [ann.id])
    return dataverse


def people_of(dataverse: Dataverse) -> People:
    """Return whom rows may belong to."""
    ann, bo = (dataverse.security.user_of(token) for token in ("demo-token", "office-token"))
    assert ann is not None
    assert bo is not None
    return People(ann.id, bo.id, dataverse.seed.team_id, dataverse.seed.business_unit_id)


def asking_of(people: People) -> Asking:
    """Return the circumstances in which everybody is asked: Ann's, in UTC."""
    return Asking(NOW, Caller("org", people.user, people.unit, (people.team,), 1033))


class InMemory(RelatedRows):
    """The rows of all tables, for the predicate."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._found: dict[tuple[str, str], dict[Cell, list[tuple[Cell, ...]]]] = {}

    def positions(self, table: str) -> Mapping[str, int]:
        return SCHEMAS[table].positions

    def rows(self, table: str, field: str, cell: Cell) -> Iterable[tuple[Cell, ...]]:
        known = self._found.get((table, field))
        if known is None:
            known = self._found[table, field] = {}
            at = SCHEMAS[table].positions[field]
            for record in self._records[table]:
                known.setdefault(record[at], []).append(record)
        return known.get(cell, ())


@dataclass
class World:
    """One set of rows, before all the judges."""

    given: Mapping[str, Sequence[Given]]
    people: People
    storage: Storage | None = None
    asker: Asker | None = None

    @cached_property
    def records(self) -> Records:
        return {
            table: [record_of(table, row) for row in rows] for table, rows in self.given.items()
        }

    @cached_property
    def related(self) -> InMemory:
        return InMemory(self.records)

    def settled(self, expression: Expression) -> Expression:
        """Return the filter as the engine would hand it on."""
        found = {tree: self._walked(tree) for tree in trees(expression)}
        return settle(expression, asking_of(self.people), found)

    def _walked(self, tree: Tree) -> set[str]:
        schema = SCHEMAS[tree.table]
        at = schema.positions[tree.parent]
        parents = {str(record[0]): record[at] for record in self.records[tree.table]}
        upward = tree.branch in (Branch.ABOVE, Branch.ABOVE_OR_EQUAL)
        found: set[str] = set()
        waiting = [tree.anchor]
        while waiting:
            here = waiting.pop()
            if upward:
                near = [str(parents[here])] if parents.get(here) else []
            else:
                near = [row for row, parent in parents.items() if parent == here]
            fresh = [row for row in near if row not in found]
            found.update(fresh)
            waiting.extend(fresh)
        found.discard(tree.anchor)
        with_anchor = tree.branch in (Branch.ABOVE_OR_EQUAL, Branch.UNDER_OR_EQUAL)
        return found | {tree.anchor} if with_anchor else found

    def by_predicate(self, expression: Expression, table: str = "thing") -> frozenset[str]:
        """Return the ids that the predicate lets through."""
        test = predicate(self.settled(expression), SCHEMAS[table].positions, related=self.related)
        return frozenset(str(r[0]) for r in self.records[table] if test(r) is True)

    async def by_storage(
        self, expression: Expression, table: str = "thing"
    ) -> frozenset[str] | None:
        """Return the ids that the storage finds; None where it leaves the filter to the engine."""
        assert self.storage is not None
        settled = self.settled(expression)
        if not self.storage.runs(settled):
            return None
        found = [str(r[0]) async for r in self.storage.query(Query(table, settled))]
        assert len(set(found)) == len(found)
        return frozenset(found)

    def by_server(
        self, expression: Expression, language: FilterLanguage, table: str = "thing"
    ) -> frozenset[str] | None:
        """Return the ids that the emulator finds; None where the language has no words for it."""
        text = rendered(expression, language, table)
        if text is None:
            return None
        if language.name == "odata":
            return self.asked(table, _filter=text, _select=SCHEMAS[table].primary_id)
        return self.asked(table, fetchXml=f"<fetch><entity name='{table}'>{text}</entity></fetch>")

    def asked(self, table: str, **options: str) -> frozenset[str]:
        """Return the ids that the emulator finds for a text, as the text asks for them."""
        assert self.asker is not None
        said = self.asker.get(f"{table}s", **options)
        assert said.status == 200, (options, said.json)
        return frozenset(str(row[SCHEMAS[table].primary_id]) for row in said.value)


def rendered(expression: Expression, language: FilterLanguage, table: str = "thing") -> str | None:
    """Return the filter in a language; None where that has no words for it."""
    try:
        return language.render(expression, SCHEMAS[table], SCHEMAS)
    except FilterError:
        return None


@asynccontextmanager
async def storage_with(records: Records, folder: Path) -> AsyncIterator[Storage]:
    """Open a SQLite storage that holds these records."""
    driver = SqliteStorage.with_seams(connect=connect_inline)
    context = Context(system_environment(), folder)
    layouts = [Layout(table, schema.fields, _searched(schema)) for table, schema in SCHEMAS.items()]
    async with driver.open(SqliteSettings(path=folder / "rows.db"), context) as storage:
        await storage.migrate(layouts, version=1)
        await fill(storage, records)
        yield storage


def _searched(schema: TableSchema) -> tuple[str, ...]:
    """Return what a replica indexes, too."""
    return tuple(c.name for c in schema.columns[1:]) if schema.intersect else ("name",)


async def fill(storage: Storage, records: Records) -> None:
    """Put these records in the place of those that are there; their keys are the same."""
    await storage.write([Put(table, rows) for table, rows in records.items()])


def load(dataverse: Dataverse, given: Mapping[str, Sequence[Given]]) -> Asker:
    """Load the rows into an organisation, and return who asks it."""
    for table, rows in given.items():
        dataverse.load(table, [_loadable(row) for row in rows])
    return Asker(dataverse)


def _loadable(row: Given) -> dict[str, Cell | Reference]:
    return {name: cell for name, cell in row.items() if cell is not None}
