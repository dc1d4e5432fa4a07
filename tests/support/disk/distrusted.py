"""A connection that remembers what has failed on it, and who used it all the same (P13)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from holdfast_sqlite import Cursor, Database

_DISK: Final = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class DistrustedDatabase:
    """Delegates everything; after the disk or a commit has failed, only its end may come."""

    def __init__(self, inner: Database, wrong: list[str]) -> None:
        self._inner = inner
        self._wrong = wrong
        self._failed: str | None = None

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        with self._watched(sql):
            return self._inner.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> object:
        with self._watched(sql):
            return self._inner.executemany(sql, parameters)

    @contextmanager
    def _watched(self, sql: str) -> Iterator[None]:
        if self._failed is not None and sql != "ROLLBACK":
            self._wrong.append(f"{sql[:60]!r} on a connection that had failed: {self._failed}")
        try:
            yield
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF in _DISK or sql == "COMMIT":
                self._failed = f"{sql[:60]!r} with {error.sqlite_errorcode}"
            raise

    def create_function(
        self, name: str, narg: int, func: Callable[..., Any], /, *, deterministic: bool = False
    ) -> None:
        self._inner.create_function(name, narg, func, deterministic=deterministic)

    def create_aggregate(
        self, name: str, n_arg: int, aggregate_class: Callable[[], Any], /
    ) -> None:
        self._inner.create_aggregate(name, n_arg, aggregate_class)

    def interrupt(self) -> None:
        self._inner.interrupt()

    def close(self) -> None:
        self._inner.close()
