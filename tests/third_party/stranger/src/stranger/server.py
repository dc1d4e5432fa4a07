"""The server: a folder with a file per row, and a log of which rows were touched.

::

    server.json           the organisation and its tables
    account/<id>.json     the cells of a row; the hash of the file is its version
    touched.jsonl         an epoch, and then a table and an id for each change, in order

Invariant: a change is logged before it is made, under the lock; so whoever reads the log up to its
end, and then the rows, has missed nothing.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from holdfast.model import Row
from holdfast.schema import Column, ColumnType, DateBehavior, Relationship, TableSchema
from holdfast.values import Cell, Change, to_cells, to_change

from ._cells import Json, decode, encode, fits

#: How long somebody else may hold the folder, in seconds.
PATIENCE: Final = 10


@dataclass(frozen=True, slots=True)
class Stored:
    """A row as it is on the server."""

    cells: Mapping[str, Cell]
    version: str


@dataclass(frozen=True, slots=True)
class Touched:
    """A line of the log: this row changed, or went."""

    number: int
    table: str
    row_id: str


class FolderServer:
    """Reads and writes the folder; used by the transport, and by everybody else in the office."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def found(cls, folder: Path, described: Mapping[str, Any]) -> FolderServer:  # Any: JSON
        """Make a server with these tables, as ``server.json`` describes them."""
        folder.mkdir(parents=True)
        server = cls(folder)
        (folder / "server.json").write_text(json.dumps(described), encoding="utf-8")
        for table in described["tables"]:
            (folder / table).mkdir()
        server.forget()
        return server

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else out.

        :raises OSError: the folder is not there, or somebody keeps it
        """
        (self.folder / "server.json").stat()  # the lock would make a folder that is not there
        with FileLock(self.folder / "lock", timeout=PATIENCE):
            yield

    # What it is.

    @property
    def organization(self) -> str:
        """Whose server it is."""
        return str(self._described()["organization"])

    def schema(self, table: str) -> TableSchema | None:
        """Return the schema of a table, if there is one."""
        described = self._described()
        if table not in described["tables"]:
            return None
        known = described["tables"][table]
        relationships = [Relationship(**one) for one in described.get("relationships", ())]
        return TableSchema(
            name=table,
            primary_id=known["primary_id"],
            primary_name=known["primary_name"],
            columns=tuple(_column(name, one) for name, one in known["columns"].items()),
            label=known.get("label", table),
            relationships=tuple(r for r in relationships if table in (r.referencing, r.referenced)),
        )

    # Rows.

    def ids(self, table: str) -> list[str]:
        """Return the ids of all rows, ascending."""
        return sorted(path.stem for path in (self.folder / table).glob("*.json"))

    def row(self, schema: TableSchema, row_id: str) -> Stored | None:
        """Return a row, if it is there.

        :raises ValueError: its file holds something else
        :raises ArithmeticError: as above, where a decimal belongs
        """
        try:
            content = self._path(schema.name, row_id).read_bytes()
        except FileNotFoundError:
            return None
        written: Mapping[str, Json] = json.loads(content)
        if not isinstance(written, dict):
            raise ValueError(f"row {row_id} of {schema.name} is no object")
        kinds = {field.name: field.kind for field in schema.fields}
        cells = {name: decode(kind, written.get(name)) for name, kind in kinds.items()}
        for name, kind in kinds.items():
            if not fits(kind, cells[name]):
                raise ValueError(f"{name} of row {row_id} is no {kind.value}")
        return Stored(cells, hashlib.sha256(content).hexdigest()[:32])

    def put(self, schema: TableSchema, row_id: str, changes: Mapping[str, Change]) -> None:
        """Make a row, or change some columns of it."""
        known = self.row(schema, row_id)
        cells: dict[str, Cell] = dict(known.cells) if known else {schema.primary_id: row_id}
        for name, change in changes.items():
            column = schema.by_name[name]
            cells.update(zip(_names(column), to_cells(column, change), strict=True))
        self._touch(schema.name, row_id)
        path = self._path(schema.name, row_id)
        draft = path.with_suffix(".draft")
        draft.write_bytes(_content(cells))
        draft.replace(path)

    def remove(self, table: str, row_id: str) -> None:
        """Delete a row."""
        self._touch(table, row_id)
        self._path(table, row_id).unlink()

    # The log.

    @property
    def epoch(self) -> str:
        """What the log is called; positions in another one mean nothing."""
        with self._log.open(encoding="ascii") as lines:
            return str(json.loads(next(lines))["epoch"])

    def touched(self) -> list[Touched]:
        """Return the whole log, oldest first."""
        _, *lines = self._log.read_text("ascii").splitlines()
        return [Touched(number, *json.loads(line)) for number, line in enumerate(lines, start=1)]

    def forget(self) -> None:
        """Begin a new log."""
        self._log.write_text(json.dumps({"epoch": uuid.uuid4().hex}) + "\n", encoding="ascii")

    def _touch(self, table: str, row_id: str) -> None:
        with self._log.open("a", encoding="ascii") as log:
            log.write(json.dumps([table, row_id]) + "\n")

    @property
    def _log(self) -> Path:
        return self.folder / "touched.jsonl"

    def _path(self, table: str, row_id: str) -> Path:
        return self.folder / table / f"{row_id}.json"

    def _described(self) -> Any:  # Any: JSON
        return json.loads((self.folder / "server.json").read_text("utf-8"))

    # Everybody else in the office.

    def edit(self, table: str, row_id: str, values: Mapping[str, object]) -> None:
        """Make a row or change some columns of it, with values as applications have them."""
        schema = self.schema(table)
        assert schema is not None
        changes = {name: to_change(schema.by_name[name], value) for name, value in values.items()}
        with self.locked():
            self.put(schema, row_id, changes)

    def add(self, table: str, values: Mapping[str, object]) -> str:
        """Make a row and return its id."""
        row_id = str(uuid.uuid4())
        self.edit(table, row_id, values)
        return row_id

    def get(self, table: str, row_id: str) -> Row | None:
        """Return a row as people see it, if it is there."""
        schema = self.schema(table)
        assert schema is not None
        row = self.row(schema, row_id)
        return None if row is None else Row(schema, row.cells, version=row.version)

    def discard(self, table: str, row_id: str) -> None:
        """Delete a row."""
        with self.locked():
            self.remove(table, row_id)


def _column(name: str, written: Mapping[str, Any]) -> Column:  # Any: JSON
    return Column(
        name,
        ColumnType(written["type"]),
        label=written.get("label", ""),
        max_length=written.get("max_length"),
        targets=tuple(written.get("targets", ())),
        behavior=DateBehavior(written.get("behavior", "user-local")),
    )


def _names(column: Column) -> list[str]:
    return [field.name for field in column.fields]


def _content(cells: Mapping[str, Cell]) -> bytes:
    """Return the file of a row; the same cells are the same bytes, so the hash is a version."""
    held = {name: encode(cell) for name, cell in cells.items() if cell is not None}
    return json.dumps(held, sort_keys=True, indent=1).encode("ascii")
