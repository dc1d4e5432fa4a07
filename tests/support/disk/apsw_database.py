"""apsw's SQLite behind the face that the storage uses of ``sqlite3``.

apsw lets Python be the file system. What it does not show: its SQLite is another build than the
one that Python brings; the statements, the settings and the order of the commits are ours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import apsw

#: SQLite's own number of pages in the log after which a commit moves them into the file.
AUTOMATIC: Final = 1000
_FLAGS: Final = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI


@contextmanager
def _as_sqlite3() -> Iterator[None]:
    """Raise apsw's errors as the driver's, with the codes that SQLite gave."""
    try:
        yield
    except apsw.Error as error:
        integrity = isinstance(error, apsw.ConstraintError)
        told = (sqlite3.IntegrityError if integrity else sqlite3.OperationalError)(str(error))
        told.sqlite_errorcode = getattr(error, "extendedresult", 0)  # none if SQLite was not asked
        raise told from error


class _Cursor:
    """The rows of one statement; they are fetched one by one, and any may fail."""

    def __init__(self, cursor: apsw.Cursor) -> None:
        self._cursor = cursor

    def fetchone(self) -> Any:
        with _as_sqlite3():
            return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        with _as_sqlite3():
            return self._cursor.fetchall()

    def close(self) -> None:
        self._cursor.close(force=True)


class ApswDatabase:
    """One connection over a file system of Python's.

    :param automatic: how many pages in the log make a commit move them into the file
    """

    def __init__(self, uri: str, vfs: str, automatic: int = AUTOMATIC) -> None:
        with _as_sqlite3():
            self._inner = apsw.Connection(uri, flags=_FLAGS, vfs=vfs)
        self._inner.set_wal_hook(_moving(automatic))

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> _Cursor:
        with _as_sqlite3():
            return _Cursor(self._inner.execute(sql, parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> object:
        with _as_sqlite3():
            return self._inner.executemany(sql, parameters)

    def create_function(
        self, name: str, narg: int, func: Callable[..., Any], /, *, deterministic: bool = False
    ) -> None:
        self._inner.create_scalar_function(name, func, narg, deterministic=deterministic)

    def create_aggregate(
        self, name: str, n_arg: int, aggregate_class: Callable[[], Any], /
    ) -> None:
        def made() -> tuple[Any, Callable[..., None], Callable[[Any], Any]]:
            return aggregate_class(), lambda one, *cells: one.step(*cells), lambda o: o.finalize()

        self._inner.create_aggregate_function(name, made, n_arg)

    def interrupt(self) -> None:
        self._inner.interrupt()

    def close(self) -> None:
        with suppress(apsw.Error):  # SQLite ends a connection whatever the disk says to it
            self._inner.close(force=True)


def _moving(automatic: int) -> Callable[[apsw.Connection, str, int], int]:
    """Return what SQLite does after each commit, in Python.

    Its own way has no room for Python's errors: one that SQLite passes over, since the commit is
    done, would come out of the commit all the same.
    """

    def committed(connection: apsw.Connection, name: str, pages: int) -> int:
        if pages >= automatic:
            with suppress(apsw.Error):
                connection.wal_checkpoint(name)
        return apsw.SQLITE_OK

    return committed
