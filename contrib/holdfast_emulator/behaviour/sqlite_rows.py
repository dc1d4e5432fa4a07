"""Rows in a SQLite file, for more of them than memory should hold.

Invariant: a row is one record with its cells as JSON, where an exact decimal is a list of its one
text. The file serves one emulator at a time. What was flushed survives a killed process, though not
a power cut.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.behaviour.rows import RowStore, check_layout, shifted

_SCHEMA: Final = """
pragma journal_mode = wal;
pragma synchronous = off;
pragma locking_mode = exclusive;
pragma cache_size = -65536;
create table if not exists layout (name text primary key, number integer, fields text);
create table if not exists live (
    tbl integer, id text, version integer, cells text, primary key (tbl, id)
) without rowid;
create index if not exists live_version on live (tbl, version);
create table if not exists grave (
    tbl integer, version integer, id text, primary key (tbl, version)
) without rowid;
create table if not exists note (name text primary key, text text);
"""
#: What was there before the first change since a keep; null cells: nothing was there. A trigger
#: per keep fills it in; "insert … where not exists", because the conflict policy of the statement
#: that fires a trigger overrides the trigger's own.
_KEEPS: Final = """
create temp table if not exists keep (number integer primary key, name text unique);
create temp table if not exists kept_layout (keep integer, name text, number integer, fields text);
create temp table if not exists kept_note (keep integer, name text, text text);
create temp table if not exists kept_live (
    keep integer, tbl integer, id text, version integer, cells text, primary key (keep, tbl, id)
) without rowid;
create temp table if not exists kept_grave (
    keep integer, tbl integer, version integer, id text, primary key (keep, tbl, version)
) without rowid;
"""
_TRIGGERS: Final = """
create temp trigger live_in_{0} before insert on main.live
when not exists (select 1 from kept_live where keep = {0} and tbl = new.tbl and id = new.id) begin
    insert into kept_live values ({0}, new.tbl, new.id,
        (select version from main.live where tbl = new.tbl and id = new.id),
        (select cells from main.live where tbl = new.tbl and id = new.id));
end;
create temp trigger live_out_{0} before delete on main.live
when not exists (select 1 from kept_live where keep = {0} and tbl = old.tbl and id = old.id) begin
    insert into kept_live values ({0}, old.tbl, old.id, old.version, old.cells);
end;
create temp trigger live_up_{0} before update on main.live
when not exists (select 1 from kept_live where keep = {0} and tbl = old.tbl and id = old.id) begin
    insert into kept_live values ({0}, old.tbl, old.id, old.version, old.cells);
end;
create temp trigger grave_in_{0} before insert on main.grave
when not exists (
    select 1 from kept_grave where keep = {0} and tbl = new.tbl and version = new.version
) begin
    insert into kept_grave values ({0}, new.tbl, new.version,
        (select id from main.grave where tbl = new.tbl and version = new.version));
end;
create temp trigger grave_out_{0} before delete on main.grave
when not exists (
    select 1 from kept_grave where keep = {0} and tbl = old.tbl and version = old.version
) begin
    insert into kept_grave values ({0}, old.tbl, old.version, old.id);
end;
"""
_EVENTS: Final = ("live_in", "live_out", "live_up", "grave_in", "grave_out")
_RETURN: Final = (
    """insert or replace into live select tbl, id, version, cells from kept_live
        where keep = ? and cells is not null""",
    """delete from live where exists (select 1 from kept_live
        where keep = ? and tbl = live.tbl and id = live.id and cells is null)""",
    """insert or replace into grave select tbl, version, id from kept_grave
        where keep = ? and id is not null""",
    """delete from grave where exists (select 1 from kept_grave
        where keep = ? and tbl = grave.tbl and version = grave.version and id is null)""",
    "delete from layout where name not in (select name from kept_layout where keep = ?)",
    """insert or replace into layout select name, number, fields from kept_layout
        where keep = ?""",
    "delete from note where name not in (select name from kept_note where keep = ?)",
    "insert or replace into note select name, text from kept_note where keep = ?",
    "delete from kept_live where keep = ?",
    "delete from kept_grave where keep = ?",
)
#: So few rows are taken at a time that what is made of them stays in the processor's cache.
_STRIDE: Final = 100
#: As bytes: Python makes a text of them, and the decoder bytes again, if they come as text.
_CELLS: Final = "cast(cells as blob)"
_decode: Final = msgspec.json.Decoder(list).decode
_encoder: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=lambda number: [str(number)]
)


class SqliteRows(RowStore):
    """Rows in a file; tables are numbered in it in the order of their appearance."""

    def __init__(self, path: Path | str) -> None:
        # A test may build the store here and serve it from another thread, never from both at once.
        # Nobody else will let go of the file soon: it is not waited for.
        self._file = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._file.executescript(_SCHEMA + _KEEPS)
            self._file.execute("begin immediate")
        except sqlite3.Error:
            self._file.close()
            raise
        self._numbers: dict[str, int] = {}
        self._decimals: dict[str, list[int]] = {}
        self._fields: dict[str, tuple[str, ...]] = {}

    def prepare(self, table: str, fields: Sequence[str]) -> None:
        """Make room for a table; rows that are too short are widened when they are read."""
        found = self._file.execute(
            "select number, fields from layout where name = ?", (table,)
        ).fetchone()
        if found:
            check_layout(table, json.loads(found[1]), fields)
            number = found[0]
        else:
            number = self._one("select coalesce(max(number) + 1, 0) from layout")
        self._file.execute(
            "insert or replace into layout values (?, ?, ?)", (table, number, json.dumps(fields))
        )
        self._numbers[table] = number
        self._fields[table] = tuple(fields)

    def reshape(self, table: str, fields: Sequence[str]) -> None:
        """Give the rows of a table other fields, a stride at a time."""
        number, moved = self._numbers[table], shifted(self._fields[table], fields)
        after = ""
        while True:
            some = self._file.execute(
                f"select id, {_CELLS} from live where tbl = ? and id > ? order by id limit ?",  # noqa: S608  a fixed name
                (number, after, _STRIDE),
            ).fetchall()
            if not some:
                break
            rows = self._rows(table, [text for _, text in some])
            self._file.executemany(
                "update live set cells = ? where tbl = ? and id = ?",
                [
                    (_encoder.encode(moved(cells)), number, row_id)
                    for (row_id, _), cells in zip(some, rows, strict=True)
                ],
            )
            after = some[-1][0]
        self._fields[table] = tuple(fields)
        self._decimals.pop(table, None)
        self._file.execute(
            "update layout set fields = ? where name = ?", (json.dumps(fields), table)
        )

    def drop(self, table: str) -> None:
        """Forget a table."""
        number = self._numbers.pop(table)
        self._fields.pop(table)
        self._decimals.pop(table, None)
        self._file.execute("delete from live where tbl = ?", (number,))
        self._file.execute("delete from grave where tbl = ?", (number,))
        self._file.execute("delete from layout where name = ?", (table,))

    def note(self, name: str, text: str) -> None:
        """Keep a text."""
        self._file.execute("insert or replace into note values (?, ?)", (name, text))

    def noted(self, name: str) -> str | None:
        """Return a text that was kept."""
        found = self._file.execute("select text from note where name = ?", (name,)).fetchone()
        return str(found[0]) if found else None

    def get(self, table: str, row_id: str) -> Cells | None:
        """Return the cells of a row."""
        found = self._file.execute(
            f"select {_CELLS} from live where tbl = ? and id = ?",  # noqa: S608  a fixed name
            (self._numbers[table], row_id),
        ).fetchone()
        return self._rows(table, found)[0] if found else None

    def put(self, table: str, row_id: str, version: int, cells: Cells) -> None:
        """Insert or replace a row."""
        self.put_all(table, [(row_id, version, cells)])

    def put_all(self, table: str, rows: Iterable[tuple[str, int, Cells]]) -> None:
        """Insert or replace many rows."""
        number = self._numbers[table]
        self._file.executemany(
            "insert or replace into live values (?, ?, ?, ?)",
            ((number, row_id, version, _encoder.encode(cells)) for row_id, version, cells in rows),
        )

    def remove(self, table: str, row_id: str) -> None:
        """Take a row away."""
        self._file.execute(
            "delete from live where tbl = ? and id = ?", (self._numbers[table], row_id)
        )

    def scan(self, table: str, after: str = "") -> Iterator[Cells]:
        """Yield the rows with greater ids, by id."""
        while True:
            some = self._file.execute(
                f"select id, {_CELLS} from live where tbl = ? and id > ? order by id limit ?",  # noqa: S608  a fixed name
                (self._numbers[table], after, _STRIDE),
            ).fetchall()
            if not some:
                return
            yield from self._rows(table, [text for _, text in some])
            after = some[-1][0]

    def count(self, table: str) -> int:
        """Return the number of rows."""
        return self._one("select count(*) from live where tbl = ?", self._numbers[table])

    def changed(self, table: str, since: int, until: int, limit: int) -> list[Cells]:
        """Return the rows that changed, by version."""
        found = self._file.execute(
            f"select {_CELLS} from live where tbl = ? and version > ? and version <= ? "  # noqa: S608  a fixed name
            "order by version limit ?",
            (self._numbers[table], since, until, limit),
        )
        return self._rows(table, [text for (text,) in found])

    def bury(self, table: str, row_id: str, version: int) -> None:
        """Note a deletion."""
        self._file.execute(
            "insert or replace into grave values (?, ?, ?)",
            (self._numbers[table], version, row_id),
        )

    def unbury(self, table: str, version: int) -> None:
        """Forget one deletion."""
        self._file.execute(
            "delete from grave where tbl = ? and version = ?", (self._numbers[table], version)
        )

    def buried(self, table: str, since: int, until: int, limit: int) -> list[tuple[int, str]]:
        """Return the deletions, by version."""
        return self._file.execute(
            "select version, id from grave where tbl = ? and version > ? and version <= ? "
            "order by version limit ?",
            (self._numbers[table], since, until, limit),
        ).fetchall()

    def clear_buried(self) -> None:
        """Forget all deletions."""
        self._file.execute("delete from grave")

    def last_version(self) -> int:
        """Return the greatest version of any row or tombstone."""
        numbers = [number for (number,) in self._file.execute("select number from layout")]
        versions = [
            self._one(f"select coalesce(max(version), 0) from {kept} where tbl = ?", number)  # noqa: S608  two fixed names
            for number in numbers
            for kept in ("live", "grave")
        ]
        return max(versions, default=0)

    def tables(self) -> Mapping[str, Sequence[str]]:
        """Return the tables that there is room for, with their fields."""
        found = self._file.execute("select name, fields from layout order by number")
        return {name: tuple(json.loads(fields)) for name, fields in found}

    def keep(self, name: str) -> None:
        """Keep everything: what is changed from now on is written down before."""
        self.let_go(name)
        self._file.execute("insert into keep (name) values (?)", (name,))
        number = self._number(name)
        self._file.execute("insert into kept_layout select ?, * from layout", (number,))
        self._file.execute("insert into kept_note select ?, name, text from note", (number,))
        for statement in _TRIGGERS.format(number).split("end;\n")[:-1]:
            self._file.execute(f"{statement}end")

    def give_back(self, name: str) -> None:
        """Put everything back as it was kept."""
        number = self._number(name)
        for statement in _RETURN:
            self._file.execute(statement, (number,))
        self._read_layout()
        self.flush()

    def touched(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield table and id of each row that is not as it was kept."""
        found = self._file.execute(
            "select layout.name, id from kept_live join layout on layout.number = tbl "
            "where keep = ? order by layout.name, id",
            (self._number(name),),
        )
        yield from found.fetchall()

    def let_go(self, name: str) -> None:
        """Keep it no longer."""
        number = self._number(name)
        for event in _EVENTS:
            self._file.execute(f"drop trigger if exists temp.{event}_{number}")
        for kept in ("kept_live", "kept_grave", "kept_layout", "kept_note"):
            self._file.execute(f"delete from {kept} where keep = ?", (number,))  # noqa: S608  four fixed names
        self._file.execute("delete from keep where number = ?", (number,))

    def clear(self) -> None:
        """Take everything away."""
        for kept in ("live", "grave", "layout", "note"):
            self._file.execute(f"delete from {kept}")  # noqa: S608  four fixed names
        self._read_layout()

    def flush(self) -> None:
        """Commit, and begin the next transaction."""
        self._file.execute("commit")
        self._file.execute("begin")

    def close(self) -> None:
        """Flush and let go of the file."""
        self._file.execute("commit")
        self._file.close()

    def _number(self, name: str) -> int:
        return self._one("select coalesce(max(number), 0) from keep where name = ?", name)

    def _read_layout(self) -> None:
        found = self._file.execute("select name, number, fields from layout").fetchall()
        self._decimals.clear()
        self._numbers = {name: number for name, number, _ in found}
        self._fields = {name: tuple(json.loads(fields)) for name, _, fields in found}

    def _one(self, statement: str, *parameters: object) -> int:
        return int(self._file.execute(statement, parameters).fetchone()[0])

    def _rows(self, table: str, texts: Iterable[bytes]) -> list[Cells]:
        """Return the rows that these texts are.

        Looking at every cell of a page for decimals takes longer than reading it, so it is learned
        where they are; a text that ends with a bracket looks like one, which costs time and does
        no harm.
        """
        width, rows = len(self._fields[table]), []
        places = self._decimals.setdefault(table, [])
        for text in texts:
            cells = _decode(text)
            if len(cells) < width:
                cells.extend([None] * (width - len(cells)))
            lists = text.count(b',["')  # at most so many
            for at in places if lists else ():
                if type(cells[at]) is list:
                    cells[at] = Decimal(cells[at][0])
                    lists -= 1
            if lists > 0:
                places.extend(_exact(cells))
            rows.append(tuple(cells))
        return rows


def _exact(cells: list[Any]) -> list[int]:
    """Make decimals of the lists among the cells, and return where they are."""
    places = [at for at, cell in enumerate(cells) if type(cell) is list]
    for at in places:
        cells[at] = Decimal(cells[at][0])
    return places
