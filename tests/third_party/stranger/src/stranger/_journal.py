"""One file of JSON lines: a header, all tables as they were, and then a line for each commit.

Invariant: a line counts once its newline is on the disk. What cannot be one line (a new file, a
migration) is a whole new file of another generation, renamed over the old one.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Final

from holdfast.contracts import Change, Delete, Layout, Put
from holdfast.errors import ReplicaTooNew, StorageError, StorageFull, StorageMissing
from holdfast.schema import Field, Kind

from ._cells import decode, encode
from ._tables import Table, Tables, changed, find, kinds

FORMAT: Final = 1
Line = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class State:
    """What the lines that were read add up to."""

    version: int = 0
    tables: Tables = field(default_factory=dict)


class Journal:
    """The file, and the state that it describes; every method may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = State()
        self._generation: str | None = None
        self._end = 0
        self._broken = False
        self._lock = Lock()

    def refresh(self) -> None:
        """Read the lines that were added since the last time, by whomever.

        :raises StorageMissing: there is no file
        :raises ReplicaTooNew: its format is a later one
        """
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    self._read(file)
            except FileNotFoundError:
                raise StorageMissing(str(self.path)) from None
            except (OSError, ValueError, LookupError, TypeError) as error:
                raise StorageError(f"{self.path} cannot be read: {error}") from error

    def append(self, changes: Sequence[Change]) -> None:
        """Add one commit; it is durable when this returns.

        :raises StorageFull: there is no room
        """
        with self._lock:
            tables = changed(self.state.tables, changes)
            if self._broken:
                raise StorageError(f"{self.path} failed before; close it and open it again")
            try:
                self._add({"changes": [_change_line(change) for change in changes]})
            except OSError as error:
                self._cut()
                raise _translated(self.path, error) from error
            self.state = State(self.state.version, tables)

    def rewrite(self, state: State, generation: str) -> None:
        """Put a new file in the place of the old one, durably and at once."""
        with self._lock:
            lines = ({"format": FORMAT, "generation": generation}, _state_line(state))
            content = b"".join(map(_encoded, lines))
            draft = self.path.with_name(f"{self.path.name}.draft")
            try:
                with draft.open("wb") as file:
                    file.write(content)
                    _make_durable(file)
                draft.replace(self.path)
                _make_folder_durable(self.path.parent)
            except OSError as error:
                raise _translated(self.path, error) from error
            self.state, self._generation, self._end = state, generation, len(content)
            self._broken = False

    def close(self) -> None:
        """Wait for a commit that is being written, and take no other."""
        with self._lock:
            self._broken = True

    def _read(self, file: BinaryIO) -> None:
        header = json.loads(file.readline())
        if header["format"] > FORMAT:
            raise ReplicaTooNew(str(self.path), header["format"], FORMAT)
        if header["generation"] != self._generation:
            self._generation, self._end = header["generation"], file.tell()
        file.seek(self._end)
        for line in file:
            if not line.endswith(b"\n"):
                break  # its writer is not done, or never will be
            self.state = _after(self.state, json.loads(line))
            self._end += len(line)

    def _add(self, line: Line) -> None:
        content = _encoded(line)
        with self.path.open("r+b") as file:
            file.seek(self._end)
            file.write(content)
            _make_durable(file)
        self._end += len(content)

    def _cut(self) -> None:
        """Take a line back that may be there in part; a reader may have seen it, so start anew."""
        self._broken = True
        with suppress(OSError):
            os.truncate(self.path, self._end)


def _after(state: State, line: Mapping[str, Any]) -> State:
    if "tables" in line:
        return State(line["version"], {name: _table(name, t) for name, t in line["tables"].items()})
    changes = [_change(state.tables, written) for written in line["changes"]]
    return State(state.version, changed(state.tables, changes))


def _state_line(state: State) -> Line:
    tables = {
        name: {
            "fields": [[stored.name, stored.kind.value] for stored in table.layout.fields],
            "records": [[*map(encode, record)] for record in table.records.values()],
        }
        for name, table in state.tables.items()
    }
    return {"version": state.version, "tables": tables}


def _table(name: str, written: Mapping[str, Any]) -> Table:
    fields = tuple(Field(field_name, Kind(kind)) for field_name, kind in written["fields"])
    empty = {name: Table(Layout(name, fields))}
    return changed(empty, [_change(empty, {"put": name, "records": written["records"]})])[name]


def _change_line(change: Change) -> Line:
    match change:
        case Put(table, records):
            return {"put": table, "records": [[*map(encode, record)] for record in records]}
        case Delete(table, keys):
            return {"delete": table, "keys": list(keys)}


def _change(tables: Tables, written: Mapping[str, Any]) -> Change:
    if "delete" in written:
        return Delete(written["delete"], written["keys"])
    of = kinds(find(tables, written["put"]).layout)
    return Put(written["put"], [tuple(map(decode, of, cells)) for cells in written["records"]])


def _encoded(line: Line) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n"


def _make_durable(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _make_folder_durable(folder: Path) -> None:
    if os.name == "nt":  # it has no such call
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _translated(path: Path, error: OSError) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(str(path))
    return StorageError(f"{path} cannot be written: {error.strerror}")
