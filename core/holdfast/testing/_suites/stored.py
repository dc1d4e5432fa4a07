"""What the suite of storages stands on: how to open one, and two small tables."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from holdfast.contracts import Key, Layout, OpenMode, Put, Query, Storage
from holdfast.model import Record
from holdfast.schema import Field, Kind
from holdfast.testing._suites.awkward import LAYOUT, records
from holdfast.values import Cell


class Opener(Protocol):
    """Opens the same data each time, creating it the first time."""

    def __call__(self, *, mode: OpenMode = OpenMode.OWNER) -> AbstractAsyncContextManager[Storage]:
        """Open it."""
        ...


ID: Final = Field("id", Kind.KEY)
NAME: Final = Field("name", Kind.TEXT)
COUNT: Final = Field("count", Kind.INTEGER)
PEOPLE: Final = Layout("people", (ID, NAME, COUNT))
ITEMS: Final = Layout("items", (COUNT, NAME))
ANNA: Final = ("a", "Anna", 1)
BO: Final = ("b", "Bo", 2)
#: Enough that no driver has all of them in its hand after the first one.
MANY: Final = 5_000


async def read_sorted(storage: Storage, table: str, *keys: Key) -> list[list[Cell]]:
    return sorted(map(list, await storage.read(table, keys)), key=repr)


async def everything(storage: Storage, query: Query | str) -> list[list[Cell]]:
    asked = Query(query) if isinstance(query, str) else query
    return [list(record) async for record in storage.query(asked)]


async def write_people(storage: Storage, *people: Record) -> None:
    await storage.migrate([PEOPLE, ITEMS], version=1)
    await storage.write([Put("people", people)])


async def fill_awkward(storage: Storage) -> list[Record]:
    """Write the awkward rows in an order that is not the key's."""
    rows = records()
    await storage.migrate([LAYOUT], version=1)
    await storage.write([Put(LAYOUT.table, rows[::-2]), Put(LAYOUT.table, rows[-2::-2])])
    return rows
