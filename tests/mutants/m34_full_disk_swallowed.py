"""m34: a statement for which there is no room is passed over, and the next one is run.

SQLite has rolled back by then, so each of the others is a transaction of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from holdfast_sqlite import Database, _pool

T = TypeVar("T")


class _Careless:
    """Delegates, and passes over what finds no room."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> None:
        for each in parameters:
            try:
                self._database.execute(sql, each)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
                    raise


@contextmanager
def planted() -> Iterator[None]:
    """Break the storage inside the block."""
    right = _pool.in_transaction

    def in_transaction(database: Database, begin: str, work: Callable[[Any], T]) -> T:
        if begin == "BEGIN":
            return right(database, begin, work)
        database.execute(begin)
        result = work(_Careless(database))
        if database.in_transaction:
            database.execute("COMMIT")
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pool, "in_transaction", in_transaction)
        yield
