"""Measure ways to keep exact decimals in SQLite: load, equality, range, order by.

Run it as ``python bench/decimal_representation.py [rows]``; holdfast_sqlite's README has the
figures that its decision rests on. Every way must give the same answers, or the run fails.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_SCALE = 10


def order_key(text: str | None) -> str | None:
    """Return text that sorts as the number does: length of the whole part, then the digits."""
    if text is None:
        return None
    digits = text.lstrip("-")
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    plain = f"{whole}.{fraction}" if fraction else whole
    if text.startswith("-"):
        return f"{chr(2000 - len(whole))}{plain.translate(_COMPLEMENT)}~"
    return f"{chr(2000 + len(whole))}{plain}"


def _plain(number: Decimal) -> str:
    return format(number, "f")


def _scaled(number: Decimal) -> int:
    return int(number.scaleb(_SCALE))


@dataclass(frozen=True)
class Way:
    """One representation: the cells of a number, and the SQL that compares them."""

    name: str
    columns: str
    cells: Callable[[Decimal], tuple[object, ...]]
    key: str  # the SQL expression that is compared
    literal: Callable[[Decimal], object]
    index: str = ""


_TRIMMED = "CASE WHEN instr(d, '.') THEN rtrim(rtrim(d, '0'), '.') ELSE d END"
_BUILT_IN = (
    "CASE WHEN d < '0' THEN decimal_key(d) "
    f"ELSE char(1999 + instr(d || '.', '.')) || {_TRIMMED} END"
)

WAYS = [
    Way("REAL (not exact; the floor)", "d REAL", lambda n: (float(n),), "d", float),
    Way(
        "text, key by a Python function",
        "d TEXT",
        lambda n: (_plain(n),),
        "decimal_key(d)",
        lambda n: order_key(_plain(n)),
    ),
    Way(
        "text, key by built-ins, Python for negatives",
        "d TEXT",
        lambda n: (_plain(n),),
        _BUILT_IN,
        lambda n: order_key(_plain(n)),
    ),
    Way(
        "text and a hidden key column",
        "d TEXT, k TEXT",
        lambda n: (_plain(n), order_key(_plain(n))),
        "k",
        lambda n: order_key(_plain(n)),
    ),
    Way(
        "text and an indexed hidden key column",
        "d TEXT, k TEXT",
        lambda n: (_plain(n), order_key(_plain(n))),
        "k",
        lambda n: order_key(_plain(n)),
        "CREATE INDEX by_key ON t (k)",
    ),
    Way("integer scaled by 10^10", "d INTEGER", lambda n: (_scaled(n),), "d", _scaled),
]


def numbers(count: int) -> list[Decimal]:
    """Return money as people keep it: at most two decimals, one in ten negative."""
    chance = random.Random(1)
    return [
        Decimal(chance.randrange(-10_000_000, 90_000_000)).scaleb(-chance.choice((0, 1, 2)))
        for _ in range(count)
    ]


def _best(work: Callable[[], object], repeats: int = 5) -> tuple[float, object]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        answer = work()
        times.append(time.perf_counter() - start)
    return min(times) * 1000, answer


def measure(way: Way, values: Sequence[Decimal], folder: Path) -> tuple[list[float], list[object]]:
    """Return the milliseconds of load, equality, range and order by, and the answers."""
    path = folder / f"{WAYS.index(way)}.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.create_function("decimal_key", 1, order_key, deterministic=True)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, {way.columns}) STRICT")
    database.execute(way.index or "SELECT 1")
    marks = ", ".join("?" * (1 + len(way.columns.split(","))))
    start = time.perf_counter()
    database.execute("BEGIN")
    rows = ((index, *way.cells(value)) for index, value in enumerate(values))
    database.executemany(f"INSERT INTO t VALUES ({marks})", rows)
    database.execute("COMMIT")
    load = (time.perf_counter() - start) * 1000

    def ask(sql: str, *cells: object) -> tuple[float, object]:
        return _best(lambda: database.execute(sql, cells).fetchall())

    one, low = way.literal(values[77]), way.literal(Decimal("450000.05"))
    equal = ask(f"SELECT count(*) FROM t WHERE {way.key} = ?", one)
    above = ask(f"SELECT count(*) FROM t WHERE {way.key} > ?", low)
    order = ask(f"SELECT id FROM t ORDER BY {way.key}, id")
    database.close()
    return [load, equal[0], above[0], order[0], path.stat().st_size / 1e6], [
        equal[1],
        above[1],
        order[1],
    ]


def main() -> None:
    """Print one line per way."""
    values = numbers(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    print(f"SQLite {sqlite3.sqlite_version}, {len(values)} rows, milliseconds")
    print(f"{'way':46}{'load':>8}{'equal':>8}{'range':>8}{'order':>8}{'MB':>8}")
    expected: list[object] = []
    with tempfile.TemporaryDirectory() as folder:
        for way in WAYS:
            times, answers = measure(way, values, Path(folder))
            print(f"{way.name:46}" + "".join(f"{number:8.1f}" for number in times))
            if expected and answers != expected:
                raise SystemExit(f"{way.name} answers otherwise")
            expected = expected or answers


if __name__ == "__main__":
    main()
