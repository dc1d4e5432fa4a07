"""m35: a flush that failed is tried again, and what it did not flush is acknowledged.

``planted`` tries the flush itself, ``planted_whole`` the transaction, on the same connection;
``planted_restart`` takes a log that was left behind as it is, and goes on behind it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from holdfast_sqlite import Database, _file, _pool

T = TypeVar("T")


@contextmanager
def planted() -> Iterator[None]:
    """Break the storage inside the block."""

    def in_transaction(database: Database, begin: str, work: Callable[[Database], T]) -> T:
        database.execute(begin)
        try:
            result = work(database)
            try:
                database.execute("COMMIT")
            except sqlite3.Error as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_IOERR_FSYNC:
                    raise
                database.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
        except BaseException:
            _pool.roll_back(database)
            raise
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pool, "in_transaction", in_transaction)
        yield


@contextmanager
def planted_whole() -> Iterator[None]:
    """Break the storage inside the block."""
    right = _pool.in_transaction

    def in_transaction(database: Database, begin: str, work: Callable[[Database], T]) -> T:
        try:
            return right(database, begin, work)
        except sqlite3.Error as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_IOERR_FSYNC:
                raise
        return right(database, begin, work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pool, "in_transaction", in_transaction)
        yield


@contextmanager
def planted_restart() -> Iterator[None]:
    """Break the storage inside the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_file, "write_log_again", lambda _: None)
        yield
