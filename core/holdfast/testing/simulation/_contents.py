"""What a replica's storage holds, kept beside it, so that a look at it takes no time.

Invariant: it is what the storage held right after its last commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter

from holdfast._tables import (
    LEDGER,
    OUTBOX,
    SCHEMAS,
    SHADOWS,
    SYSTEM_LAYOUTS,
    Place,
    op_from_record,
    row_key,
)
from holdfast.contracts import Change, Delete, Key, Put, Query, Storage
from holdfast.model import Op, Record
from holdfast.schema import TableSchema
from holdfast.values import Cell

_SCHEMA: Final = TypeAdapter(TableSchema)
_SYSTEM: Final = frozenset(layout.table for layout in SYSTEM_LAYOUTS)


@dataclass
class Contents:
    """Records by table and key, and the same as ops, places and rows."""

    tables: dict[str, dict[Key, tuple[Cell, ...]]] = field(default_factory=dict)
    _schemas: dict[str, TableSchema] = field(default_factory=dict)
    _ops: dict[tuple[Cell, ...], Op] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{len(self.table(OUTBOX))} ops waiting and {len(self.table(LEDGER))} settled"

    @classmethod
    async def read(cls, storage: Storage, tables: Iterable[str] | None = None) -> Contents:
        """Read everything; ``tables`` names those of rows where that is not noted yet."""
        contents = cls()
        if await storage.version():
            for name in sorted(_SYSTEM):
                await contents._read(storage, name)
            contents._note_schemas()
            for name in sorted(set(contents._schemas if tables is None else tables) - _SYSTEM):
                await contents._read(storage, name)
        return contents

    async def _read(self, storage: Storage, name: str) -> None:
        self.tables[name] = {_key(r): tuple(r) async for r in storage.query(Query(name))}

    def _note_schemas(self) -> None:
        self._schemas = {
            str(table): _SCHEMA.validate_json(str(kept))
            for table, kept, _ in self.table(SCHEMAS).values()
        }

    def apply(self, changes: Sequence[Change]) -> frozenset[str]:
        """Do what a commit did; return the keys of the rows that it concerns."""
        concerned: set[str] = set()
        for change in changes:
            records = self.tables.setdefault(change.table, {})
            if isinstance(change, Delete):
                gone = [records.pop(key) for key in change.keys if key in records]
                concerned.update(_rows(change.table, gone))
            else:
                concerned.update(self._put(change, records))
        if any(change.table == SCHEMAS for change in changes):
            self._note_schemas()
        return frozenset(concerned)

    def _put(self, put: Put, records: dict[Key, tuple[Cell, ...]]) -> Iterator[str]:
        replaced = [records[_key(r)] for r in put.records if _key(r) in records]
        yield from _rows(put.table, replaced)
        yield from _rows(put.table, put.records)
        records.update((_key(record), tuple(record)) for record in put.records)

    def table(self, name: str) -> Mapping[Key, tuple[Cell, ...]]:
        """Return the records of a table."""
        return self.tables.get(name, {})

    def ops(self) -> list[Op]:
        """Return the outbox, in order."""
        return [self._op(record) for _, record in sorted(self.table(OUTBOX).items())]

    def _op(self, record: tuple[Cell, ...]) -> Op:
        if record not in self._ops:
            self._ops[record] = op_from_record(record, self._schemas[str(record[3])])
        return self._ops[record]

    def settled(self) -> Iterator[tuple[str, Place, str]]:
        """Yield each settled op, where it ended, and the key of its row."""
        for op_id, place, table, row_id, *_ in self.table(LEDGER).values():
            yield str(op_id), Place(place), row_key(str(table), str(row_id))

    def rows(self) -> frozenset[str]:
        """Return the keys of all rows that are known in any way."""
        return frozenset(
            row for name in self.tables for row in _rows(name, self.tables[name].values())
        )

    def has_shadow(self, row: str) -> bool:
        """Tell whether the base of a row is kept."""
        return row in self.table(SHADOWS)

    def pending(self, row: str) -> bool | None:
        """Return whether a row is marked as having unsettled ops; None where it is not there."""
        table, _, row_id = row.partition("/")
        record = self.table(table).get(row_id)
        return None if record is None else bool(record[-1])  # the last of ROW_FIELDS


def _key(record: Record) -> Key:
    key = record[0]
    assert isinstance(key, str | int)
    return key


def _rows(table: str, records: Iterable[Record]) -> Iterator[str]:
    """Yield the keys of the rows that these records of any table concern."""
    for record in records:
        if table == OUTBOX:
            yield row_key(str(record[3]), str(record[4]))
        elif table == SHADOWS:
            yield str(record[0])
        elif table not in _SYSTEM:
            yield row_key(table, str(record[0]))
