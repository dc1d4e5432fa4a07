"""A storage in memory: every promise of the contract but durability beyond the process.

Invariant: a table's records are one mapping that is never changed, only replaced; so whoever reads
beside a write sees the state before it or after it, never between.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from holdfast.contracts import Change, Context, Delete, Key, Layout, OpenMode, Put, Query, Storage
from holdfast.errors import StorageError, StorageLocked, StorageMissing
from holdfast.filters import (
    EVERYTHING,
    Call,
    Expression,
    Predicate,
    columns,
    comparable,
    is_settled,
    predicate,
    walk,
)
from holdfast.model import Record
from holdfast.schema import Field as StoredField
from holdfast.schema import Kind, is_identifier
from holdfast.values import Cell

_TYPES: Final[Mapping[Kind, type]] = {
    Kind.TEXT: str,
    Kind.KEY: str,
    Kind.DATETIME: str,
    Kind.INTEGER: int,
    Kind.REAL: float,
    Kind.DECIMAL: Decimal,
    Kind.BOOLEAN: bool,
}


@dataclass(frozen=True, slots=True)
class _Table:
    """A layout and its records by key."""

    layout: Layout
    records: Mapping[Key, Record] = field(default_factory=dict)

    @property
    def positions(self) -> Mapping[str, int]:
        return {f.name: index for index, f in enumerate(self.layout.fields)}


class _Others:
    """The rows of all tables, found by whichever field is asked for."""

    def __init__(self, table: Callable[[str], _Table]) -> None:
        self._table = table
        self._found: dict[tuple[str, str], dict[Cell, list[Record]]] = {}

    def positions(self, table: str) -> Mapping[str, int]:
        return self._table(table).positions

    def rows(self, table: str, field: str, cell: Cell) -> Iterable[Record]:
        home = self._table(table)
        at = home.positions[field]
        kind = home.layout.fields[at].kind
        if (table, field) not in self._found:
            groups: dict[Cell, list[Record]] = {}
            for record in home.records.values():
                groups.setdefault(comparable(kind, record[at]), []).append(record)
            self._found[table, field] = groups
        return self._found[table, field].get(comparable(kind, cell), ())


@dataclass(slots=True)
class _File:
    """What one replica keeps; replaced in one assignment, so a commit is all or nothing."""

    tables: Mapping[str, _Table] | None = None
    version: int = 0
    owned: bool = False


class MemoryDisk:
    """Where memory storages keep their data by name; it outlives them, as a disk does."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}

    def file(self, name: str) -> _File:
        """Return what the replica called ``name`` keeps."""
        return self._files.setdefault(name, _File())

    def release(self) -> None:
        """Give up all locks, as the system does for a process that was killed."""
        for file in self._files.values():
            file.owned = False


class MemoryStorageSettings(BaseModel):
    """The replica's name, and the disk it is on: a fresh one by default."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    name: str = "default"
    disk: MemoryDisk = Field(default_factory=MemoryDisk)


class MemoryStorage(Storage):
    """Keeps tables in memory; every read and write yields to other tasks, as a real driver does."""

    name = "memory"
    Settings: ClassVar[type[MemoryStorageSettings]] = MemoryStorageSettings

    def __init__(self, file: _File, name: str, mode: OpenMode) -> None:
        self._file = file
        self._name = name
        self._mode = mode
        self._open = True

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: MemoryStorageSettings, context: Context
    ) -> AsyncIterator[MemoryStorage]:
        """Open the replica of that name on that disk.

        :raises StorageLocked: it is open with ``OpenMode.OWNER`` already
        :raises StorageMissing: it is to be read and was never written
        """
        file = settings.disk.file(settings.name)
        owner = context.mode is OpenMode.OWNER
        if owner and file.owned:
            raise StorageLocked(f"memory:{settings.name}", os.getpid())
        if not owner and file.tables is None:
            raise StorageMissing(f"memory:{settings.name}")
        if owner:
            file.owned = True
            file.tables = file.tables or {}
        storage = cls(file, settings.name, context.mode)
        try:
            yield storage
        finally:
            storage._open = False
            if owner:
                file.owned = False

    @property
    def location(self) -> str:
        """Where the data is, for people."""
        return f"memory:{self._name}"

    async def version(self) -> int:
        """Return the number given to the last ``migrate``."""
        await self._begin()
        return self._file.version

    async def migrate(self, layouts: Sequence[Layout], *, version: int) -> None:
        """Replace all tables by those of ``layouts``; fields that stay keep their cells."""
        await self._begin(writes=True)
        tables: dict[str, _Table] = {}
        for layout in layouts:
            _check_layout(layout, tables)
            tables[layout.table] = _carry_over(self._tables.get(layout.table), layout)
        self._file.tables, self._file.version = tables, version
        await asyncio.sleep(0)

    async def read(self, table: str, keys: Sequence[Key]) -> list[Record]:
        """Return the records with these keys."""
        await self._begin()
        records = self._table(table).records
        return [records[key] for key in dict.fromkeys(keys) if key in records]

    async def write(self, changes: Sequence[Change]) -> None:
        """Do all changes on copies, and then put the copies in place."""
        await self._begin(writes=True)
        copies: dict[str, dict[Key, Record]] = {}
        for change in changes:
            table = self._table(change.table)
            copy = copies.setdefault(change.table, dict(table.records))
            _change(copy, table.layout, change)
        changed = {name: _Table(self._table(name).layout, copies[name]) for name in copies}
        self._file.tables = {**self._tables, **changed}
        await asyncio.sleep(0)  # a task may be killed after its commit and before it hears of it

    async def query(self, query: Query) -> AsyncIterator[Record]:
        """Yield the matching records as they were when the query began."""
        await self._begin()
        table = self._table(query.table)
        test = self._test(table, query.where)
        found = [record for record in table.records.values() if test(record)]
        _sort(found, table, query)
        for record in found[: query.limit]:
            await self._begin()
            yield record

    async def count(self, table: str, where: Expression = EVERYTHING) -> int:
        """Return how many records match."""
        await self._begin()
        home = self._table(table)
        test = self._test(home, where)
        return sum(1 for record in home.records.values() if test(record))

    def runs(self, expression: Expression) -> bool:
        """Tell that everything settled runs here but ``Call``, whose function the engine has."""
        calls = any(isinstance(node, Call) for node in walk(expression))
        return is_settled(expression) and not calls

    def _test(self, table: _Table, where: Expression) -> Predicate:
        unknown = columns(where) - set(table.positions)
        if unknown:
            raise StorageError(f"{table.layout.table} has no field {min(unknown)!r}; migrate first")
        try:
            return predicate(where, table.positions, related=_Others(self._table))
        except KeyError as error:
            raise StorageError(
                f"the storage does not know the function or field {error}; ask runs"
            ) from error

    @property
    def _tables(self) -> Mapping[str, _Table]:
        return self._file.tables or {}

    def _table(self, name: str) -> _Table:
        table = self._tables.get(name)
        if table is None:
            raise StorageError(f"memory:{self._name} has no table {name!r}; migrate first")
        return table

    async def _begin(self, *, writes: bool = False) -> None:
        await asyncio.sleep(0)
        if not self._open:
            raise StorageError(f"memory:{self._name} is closed; open it again")
        if writes and self._mode is OpenMode.READER:
            raise StorageError(f"memory:{self._name} was opened to be read; open it as owner")


def _check_layout(layout: Layout, earlier: Mapping[str, _Table]) -> None:
    names = [f.name for f in layout.fields]
    for name in (layout.table, *names, *layout.indexes):
        if not is_identifier(name):
            raise StorageError(f"{name!r} is no name for a table or field; use letters, digits, _")
    if layout.table in earlier or len(set(names)) < len(names):
        raise StorageError(f"table {layout.table} or one of its fields is there twice")


def _carry_over(old: _Table | None, layout: Layout) -> _Table:
    """Return the table with its records in the new order of fields; a new key starts empty."""
    if old is None or old.layout.key != layout.key:
        return _Table(layout)
    before = {f: index for index, f in enumerate(old.layout.fields)}
    sources = [before.get(f) for f in layout.fields]
    records = {
        key: tuple(None if source is None else record[source] for source in sources)
        for key, record in old.records.items()
    }
    return _Table(layout, records)


def _change(records: dict[Key, Record], layout: Layout, change: Change) -> None:
    match change:
        case Put():
            for record in change.records:
                _check_record(layout, record)
                records[_key(record)] = tuple(record)
        case Delete():
            for key in change.keys:
                records.pop(key, None)


def _check_record(layout: Layout, record: Record) -> None:
    if len(record) != len(layout.fields):
        raise StorageError(
            f"{layout.table} takes {len(layout.fields)} cells, not {len(record)}; "
            "nothing is written"
        )
    if record[0] is None:
        raise StorageError(f"the key of {layout.table} is null; nothing is written")
    for stored, cell in zip(layout.fields, record, strict=True):
        if cell is not None and not _fits(stored, cell):
            raise StorageError(
                f"{layout.table}.{stored.name} takes {stored.kind.value}, "
                f"not such a {type(cell).__name__}; nothing is written"
            )


def _fits(stored: StoredField, cell: Cell) -> bool:
    if type(cell) is not _TYPES[stored.kind]:
        return False
    if isinstance(cell, str):
        return cell.isascii() or _encodable(cell)
    if isinstance(cell, int):
        return -(2**63) <= cell < 2**63
    return Decimal(cell).is_finite() if isinstance(cell, float | Decimal) else True


def _encodable(text: str) -> bool:
    """Tell whether the text has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _key(record: Record) -> Key:
    key = record[0]
    assert isinstance(key, str | int)
    return key


def _sort(found: list[Record], table: _Table, query: Query) -> None:
    """Sort by the key, and then, stably, by each order from the last to the first."""
    found.sort(key=_rank(0, table.layout.key.kind))
    for order in reversed(query.order):
        at = table.positions.get(order.field.name)
        if at is None:
            raise StorageError(f"{query.table} has no field {order.field.name!r}; migrate first")
        found.sort(key=_rank(at, order.field.kind), reverse=order.descending)


def _rank(at: int, kind: Kind) -> Callable[[Record], tuple[Any, ...]]:  # Any: cells of one kind
    def rank(record: Record) -> tuple[Any, ...]:
        cell = comparable(kind, record[at])
        return (0,) if cell is None else (1, cell)

    return rank
