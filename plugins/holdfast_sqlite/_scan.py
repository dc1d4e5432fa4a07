"""Questions on their way: chunk after chunk, each in a transaction of its own.

Invariant: no read transaction outlives a chunk, and no more than a chunk is in memory. So a long
answer holds nobody up, and sees what others commit meanwhile: a record that changes is seen as it
was or as it is, and one that moves in the order may be seen at both places or at neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from holdfast.errors import StorageError
from holdfast.model import Record
from holdfast_sqlite._connection import Database
from holdfast_sqlite._layouts import Catalog, Tables
from holdfast_sqlite._statement import Position, Statement

_CHUNK: Final = 500  # rows a hop between threads: small beside a page, large beside a hop
_LARGEST_CHUNK: Final = 8_000


class Answer(Protocol):
    """Something that is read chunk after chunk."""

    finished: bool

    def next_chunk(self, database: Database) -> Sequence[Record]:
        """Return the next records, inside the caller's transaction."""
        ...


class Scan:
    """The answer to a question about rows."""

    def __init__(self, catalog: Catalog, build: Callable[[Tables], Statement]) -> None:
        self.finished = False
        self._catalog = catalog
        self._build = build
        self._cells: Sequence[str] = ()
        self._position: Position | None = None
        self._yielded = 0
        self._size = _CHUNK
        self._sorts: bool | None = None

    def next_chunk(self, database: Database) -> Sequence[Record]:
        """Return the next records."""
        statement = self._built(database)
        left = None if statement.limit is None else statement.limit - self._yielded
        wanted = self._size if left is None else min(self._size, left)
        rows = self._rows(database, statement, wanted, last=wanted == left)
        self._yielded += len(rows)
        self.finished = len(rows) < wanted or self._yielded == statement.limit
        if not self.finished:
            self._position = statement.position(rows[-1])
            self._grow(database, statement)
        width = len(statement.cells)
        if rows and len(rows[0]) > width:
            rows = [row[:width] for row in rows]
        return statement.decoder.decode(rows)

    def _built(self, database: Database) -> Statement:
        """Return the statement, made anew for each chunk: a migration may have come between."""
        statement = self._build(self._catalog.tables(database))
        if self._cells and self._cells != statement.cells:
            raise StorageError("the tables changed while they were read; ask again")
        self._cells = statement.cells
        return statement

    def _rows(
        self, database: Database, statement: Statement, wanted: int, *, last: bool
    ) -> list[Record]:
        if self._position is None:
            asked = statement.asked(limit=wanted, offset=statement.offset, last=last)
            return asked.run(database)
        rows: list[Record] = []
        for asked in statement.following(self._position, wanted):
            rows += asked.run(database)
            if len(rows) >= wanted:
                break
        return rows[:wanted]

    def _grow(self, database: Database, statement: Statement) -> None:
        """Take larger chunks where each of them looks at all rows that are left."""
        if self._sorts is None:
            plan = statement.asked(limit=statement.limit).plan(database)
            self._sorts = any("TEMP B-TREE FOR ORDER BY" in line for line in plan)
        if self._sorts:
            self._size = min(self._size * 2, _LARGEST_CHUNK)
