"""Questions: whatever a storage runs itself, the answers are the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from holdfast import _query
from holdfast._system import system_environment
from holdfast.contracts import Context, Layout, OpenMode, Order, Put, Query
from holdfast.errors import QueryError
from holdfast.filters import (
    EVERYTHING,
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    predicate,
)
from holdfast.model import Record
from holdfast.schema import Column, ColumnType, Kind, TableSchema
from holdfast.testing import MemoryDisk, MemoryStorage
from holdfast.testing._storage import MemoryStorageSettings
from support.world import World

SCHEMA = TableSchema(
    "thing",
    "thingid",
    "name",
    (
        Column("thingid", ColumnType.UNIQUEIDENTIFIER),
        Column("name", ColumnType.STRING),
        Column("size", ColumnType.INTEGER),
        Column("price", ColumnType.DECIMAL),
        Column("kind", ColumnType.CHOICES),
        Column("owner", ColumnType.LOOKUP, targets=("user",)),
    ),
)
NAME, SIZE = ColumnRef("name", Kind.TEXT), ColumnRef("size", Kind.INTEGER)
BIG = Compare(Comparison.GT, SIZE, Literal(3))
NAMED = Like(NAME, "%a%")
EVEN = Call("even", (SIZE,))
EXPRESSIONS: tuple[Expression, ...] = (
    EVERYTHING,
    BIG,
    NAMED,
    EVEN,
    And((BIG, NAMED)),
    And((BIG, And((EVEN, NAMED)))),
    Or((BIG, NAMED)),
    Or((BIG, EVEN)),
    Not(EVEN),
    And((In(SIZE, (1, 5, 6)), IsNull(NAME, negated=True))),
)


class Modest(MemoryStorage):
    """A storage that runs only some expressions, and is angry when it gets others."""

    allowed: tuple[type, ...] = ()

    def runs(self, expression: Expression) -> bool:
        if isinstance(expression, And):
            return all(self.runs(part) for part in expression.parts)
        return isinstance(expression, self.allowed)

    def query(self, query: Query) -> AsyncIterator[Record]:
        assert self.runs(query.where)
        self.asked = query
        return super().query(query)

    async def count(self, table: str, where: Expression = EVERYTHING) -> int:
        assert self.runs(where)
        return await super().count(table, where)


@pytest.fixture
async def full() -> AsyncIterator[MemoryDisk]:
    """A disk with a table of nine rows."""
    disk = MemoryDisk()
    async with _opened(MemoryStorage, disk) as storage:
        await storage.migrate([Layout("thing", SCHEMA.fields)], version=1)
        names = ("Abba", "bær", None, "Cat", "dog", "ÅSE", "fan", "gnu", "ham")
        rows = [_record(n, name, n if n != 4 else None) for n, name in enumerate(names)]
        await storage.write([Put("thing", rows)])
        yield disk


def _record(number: int, name: str | None, size: int | None) -> Record:
    return (str(number), name, size, Decimal(number) / 4, None, None, None)


class _opened:  # noqa: N801  used as a function
    """Opens a storage of some class on a disk, reading."""

    def __init__(self, kind: type[MemoryStorage], disk: MemoryDisk) -> None:
        mode = OpenMode.OWNER if kind is MemoryStorage else OpenMode.READER
        context = Context(system_environment(), Path(), mode)
        self._manager = kind.open(MemoryStorageSettings(disk=disk), context)

    async def __aenter__(self) -> MemoryStorage:
        return await self._manager.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        await self._manager.__aexit__(None, None, None)


def _even(size: object) -> bool | None:
    return None if size is None else isinstance(size, int) and size % 2 == 0


FUNCTIONS = {"even": _even}


def _modest(*allowed: type) -> type[Modest]:
    return type("Modest", (Modest,), {"allowed": allowed})


async def _ids(storage: MemoryStorage, query: Query) -> list[str]:
    found = _query.run(storage, query, SCHEMA.positions, FUNCTIONS)
    return [str(record[0]) async for record in found]


@pytest.mark.parametrize("where", EXPRESSIONS)
@pytest.mark.parametrize("limit", [None, 0, 1, 2, 100])
@pytest.mark.parametrize("allowed", [(), (Compare,), (Compare, Like, In, IsNull)])
async def test_the_answer_does_not_depend_on_what_the_storage_runs(
    full: MemoryDisk, where: Expression, limit: int | None, allowed: tuple[type, ...]
) -> None:
    order = (Order(SCHEMA.fields[1], descending=True),)
    query = Query("thing", where, order, limit)
    async with _opened(_modest(*allowed), full) as storage:
        mine = await _ids(storage, query)
        count = await _query.count(storage, "thing", where, SCHEMA.positions, FUNCTIONS)
        everything = await _ids(storage, Query("thing", EVERYTHING, order))
    test = _naive(where)
    wanted = [row_id for row_id in everything if row_id in test]
    assert mine == wanted[:limit]
    assert count == len(wanted)


def _naive(where: Expression) -> set[str]:
    names = ("Abba", "bær", None, "Cat", "dog", "ÅSE", "fan", "gnu", "ham")
    test = predicate(where, SCHEMA.positions, FUNCTIONS)
    rows = [_record(n, name, n if n != 4 else None) for n, name in enumerate(names)]
    return {str(row[0]) for row in rows if test(row)}


async def test_a_limit_is_left_to_a_storage_only_if_it_runs_the_whole_filter(
    full: MemoryDisk,
) -> None:
    async with _opened(_modest(Compare), full) as storage:
        assert isinstance(storage, Modest)
        await _ids(storage, Query("thing", And((BIG, NAMED)), limit=1))
        assert (storage.asked.where, storage.asked.limit) == (BIG, None)
        await _ids(storage, Query("thing", BIG, limit=1))
        assert (storage.asked.where, storage.asked.limit) == (BIG, 1)


def test_an_order_is_read_with_its_directions() -> None:
    orders = _query.parse_order(SCHEMA, " name desc, size ,price asc")
    assert [(o.field.name, o.descending) for o in orders] == [
        ("name", True),
        ("size", False),
        ("price", False),
    ]
    assert _query.parse_order(SCHEMA, None) == _query.parse_order(SCHEMA, "") == ()


def test_every_mistake_of_an_order_is_named() -> None:
    with pytest.raises(QueryError) as caught:
        _query.parse_order(SCHEMA, "nmae, owner, kind, name down, size asc nulls")
    messages = [problem.message for problem in caught.value.problems]
    parts = ("'nmae'", "a lookup", "a choices", "'name down'", "'size asc nulls'")
    for message, part in zip(messages, parts, strict=True):
        assert part in message


async def test_the_engine_works_over_a_storage_that_runs_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    modest = _modest()
    for name in ("runs", "query", "count"):
        monkeypatch.setattr(MemoryStorage, name, _over(name, modest, getattr(MemoryStorage, name)))
    world.tables = [
        {"name": "account", "filter": {"odata": "address1_city eq 'Bergen'"}},
        {"name": "contact", "related": ["account_primary_contact"]},
    ]
    contact = world.server.create("contact", {"fullname": "Kari"})
    world.server.create("contact", {"fullname": "Nobody's"})
    row = world.server.create(
        "account", {"name": "A", "address1_city": "Bergen", "primarycontactid": contact}
    )
    async with world.replica() as replica:
        await replica.download()
        await replica.table("account").update(row, {"telephone1": "1"})
        world.server.update("account", row, {"telephone1": "2"})
        assert (await replica.sync()).complete
        world.server.expire_checkpoints()
        assert (await replica.sync()).complete
        found = [r["name"] async for r in replica.table("account").query("startswith(name,'a')")]
        assert found == ["A"]
        assert await replica.table("contact").count() == 1
        assert (await replica.status()).synced
    assert world.stored("account", row)["telephone1"] == "1"


def _over(name: str, modest: type[Modest], original: object) -> object:
    """Return a method that refuses what ``modest`` does not run."""
    assert callable(original)

    def runs(self: MemoryStorage, expression: Expression) -> bool:
        return expression == EVERYTHING

    def query(self: MemoryStorage, asked: Query) -> object:
        assert asked.where == EVERYTHING
        return original(self, asked)

    def count(self: MemoryStorage, table: str, where: Expression = EVERYTHING) -> object:
        assert where == EVERYTHING
        return original(self, table, where)

    return {"runs": runs, "query": query, "count": count}[name]


@pytest.fixture
def world() -> World:
    """A server with two empty tables."""
    return World()
