"""Measure ways to compare text without regard to case in SQLite, as Unicode means it.

Run it as ``python bench/text_folding.py [rows]``; holdfast_sqlite's README has the figures that its
decision rests on.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.folding import fold

WORDS = ("Fjord", "Marine", "Bergen", "AS", "Øst", "Nord", "Havn", "Contoso", "Ltd", "Åse")


@dataclass(frozen=True)
class Way:
    """Where the folded text comes from."""

    name: str
    key: str  # the SQL expression that is compared
    stored: bool = False
    indexed: bool = False


_MIXED = "CASE WHEN length(CAST(c AS BLOB)) = length(c) THEN lower(c) ELSE fold(c) END"
WAYS = (
    Way("NOCASE (not right; the floor)", "c COLLATE NOCASE"),
    Way("a Python function", "fold(c)"),
    Way("built-in lower(), Python beyond ASCII", _MIXED),
    Way("a stored folded column", "k", stored=True),
    Way("an indexed stored folded column", "k", stored=True, indexed=True),
)


def texts(count: int) -> list[str]:
    """Return names of companies; half of them are plain ASCII."""
    chance = random.Random(1)
    return [
        f"{' '.join(chance.choice(WORDS) for _ in range(3))} {chance.randrange(1000)}"
        for _ in range(count)
    ]


def measure(way: Way, values: Sequence[str], path: Path) -> list[float]:
    """Return the milliseconds of load, equality, range, contains and order by, and megabytes."""
    database = sqlite3.connect(path, isolation_level=None)
    database.create_function("fold", 1, fold, deterministic=True)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT{', k TEXT' * way.stored})")
    database.execute("CREATE INDEX by_key ON t (k)" if way.indexed else "SELECT 1")
    start = time.perf_counter()
    database.execute("BEGIN")
    rows = ((at, text, fold(text)) if way.stored else (at, text) for at, text in enumerate(values))
    database.executemany(f"INSERT INTO t VALUES (?, ?{', ?' * way.stored})", rows)
    database.execute("COMMIT")
    times = [(time.perf_counter() - start) * 1000]
    one = fold(values[5])
    for sql, cells in (
        (f"SELECT count(*) FROM t WHERE {way.key} = ?", (one,)),
        (f"SELECT count(*) FROM t WHERE {way.key} > ?", (one,)),
        (f"SELECT count(*) FROM t WHERE {way.key} LIKE ?", ("%marine%",)),
        (f"SELECT id FROM t ORDER BY {way.key}, id", ()),
    ):
        best = []
        for _ in range(5):
            start = time.perf_counter()
            database.execute(sql, cells).fetchall()
            best.append((time.perf_counter() - start) * 1000)
        times.append(min(best))
    database.close()
    return [*times, path.stat().st_size / 1e6]


def main() -> None:
    """Print one line per way."""
    values = texts(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    print(f"SQLite {sqlite3.sqlite_version}, {len(values)} rows, milliseconds")
    heads = ("load", "equal", "range", "contains", "order", "MB")
    print(f"{'way':40}" + "".join(f"{head:>9}" for head in heads))
    with tempfile.TemporaryDirectory() as folder:
        for way in WAYS:
            figures = measure(way, values, Path(folder) / f"{WAYS.index(way)}.db")
            print(f"{way.name:40}" + "".join(f"{figure:9.1f}" for figure in figures))


if __name__ == "__main__":
    main()
