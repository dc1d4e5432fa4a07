"""Running a checked SELECT over the rows that a caller may read, in a scratch database.

Invariant: the scratch database holds the columns that the statement names, of the tables that it
names, and nothing else; it lives as long as one request, and a statement that does too much is
broken off.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final

from holdfast.folding import fold
from holdfast.values import Cell
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.metadata import Metadata
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.queries.patterns import like
from holdfast_emulator.queries.sql_statement import Reader, Source, Statement
from holdfast_emulator.queries.sql_syntax import parse_sql, refused
from holdfast_emulator.queries.sql_values import declared, result, stored

_TIMEOUT: Final = "0x80044151"
_COLLATION: Final = "dataverse"
#: The handler is asked every so many steps of the scratch database, and gives up in the end.
_STEPS: Final = 100_000
_MOST_ASKED: Final = 3_000


@dataclass(frozen=True, slots=True)
class SqlPage:
    """Rows of a result, as cells by output; of plain rows, also their ids and versions."""

    statement: Statement
    rows: list[tuple[Cell, ...]]
    keys: list[tuple[str, int]]
    more: bool


def read_statement(metadata: Metadata, text: str) -> Statement:
    """Return a statement, checked.

    :raises ImportError: the parser is not installed
    :raises DataverseFault: 400
    """
    return Reader(metadata, parse_sql(text)).read()


def run_statement(
    statement: Statement, rows: Callable[[str], Iterable[Row]], start: int, size: int
) -> SqlPage:
    """Return a page of the result.

    :param rows: returns the rows of a table that the caller may read
    :param start: so many rows of the result come before it
    :raises DataverseFault: 400, the statement does too much
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        scratch.create_collation(_COLLATION, _compared)
        scratch.create_function("like", 2, _like, deterministic=True)
        try:
            for name in dict.fromkeys(source.table.name for source in statement.sources):
                _load(scratch, [s for s in statement.sources if s.table.name == name], rows(name))
            scratch.set_progress_handler(_patience(), _STEPS)
            found = list(islice(scratch.execute(statement.text), start, start + size + 1))
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise DataverseFault(400, _TIMEOUT, "SQL timeout expired.") from None
            raise refused(str(error)) from None
        except (sqlite3.Error, OverflowError) as error:
            raise refused(str(error)) from None
    return _page(statement, found, size)


def _load(scratch: sqlite3.Connection, sources: list[Source], rows: Iterable[Row]) -> None:
    """Fill a table with the columns that any of its appearances in the statement needs."""
    table = sources[0].table
    columns = {name: column for source in sources for name, column in source.columns.items()}
    columns = columns or {table.primary_id: table.by_name[table.primary_id]}
    named = ", ".join(declared(column, _COLLATION) for column in columns.values())
    at = [table.positions[name] for name in columns]
    marks = ", ".join("?" * len(at))
    scratch.execute(f'create table "{table.name}" ({named})')
    scratch.executemany(
        f'insert into "{table.name}" values ({marks})',  # noqa: S608  a name of the metadata
        ([stored(row.cells[position]) for position in at] for row in rows),
    )


def _page(statement: Statement, found: list[tuple[object, ...]], size: int) -> SqlPage:
    makers = [result(output.column, output.function) for output in statement.outputs]
    rows = [
        tuple(
            None if value is None else make(value) for make, value in zip(makers, one, strict=False)
        )
        for one in found[:size]
    ]
    keys = [(str(one[-2]), int(str(one[-1]))) for one in found[:size] if statement.plain]
    return SqlPage(statement, rows, keys, more=len(found) > size)


def _patience() -> Callable[[], int]:
    """Return a handler that breaks a statement off when it has been asked too often."""
    asked: Iterator[int] = iter(range(_MOST_ASKED))
    return lambda: int(next(asked, None) is None)


_folded = lru_cache(maxsize=10_000)(fold)
_test = lru_cache(maxsize=100)(like)


def _compared(left: str, right: str) -> int:
    one, other = _folded(left), _folded(right)
    return (one > other) - (one < other)


def _like(pattern: object, value: object) -> bool | None:
    """Match as SQL Server does; SQLite turns ``x LIKE y`` into ``like(y, x)``."""
    return None if pattern is None or value is None else _test(str(pattern))(str(value))
