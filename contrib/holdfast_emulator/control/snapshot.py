"""Snapshots: a whole organisation in one file, out and in.

Invariant: a snapshot is JSON lines in gzip: a head with format and version, the definitions, what
security knows beside rows, then each table with its rows and tombstones, then the number of lines.
One that is damaged, foreign or of another version is refused before anything is changed.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.definition_store import dump_metadata, load_metadata
from holdfast_emulator.behaviour.keeping import Versions
from holdfast_emulator.behaviour.metadata import Metadata, TableDefinition
from holdfast_emulator.behaviour.pictures import picture_of, put_back
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.control.rules import RuleOfData, register, registered, remove

FORMAT: Final = "holdfast-emulator-snapshot"
VERSION: Final = 1
_LONGEST_LINE: Final = 64 << 20
_VERSION_AT: Final = "versionnumber"
_KINDS: Final[Mapping[ColumnType, type | tuple[type, ...]]] = {
    ColumnType.INTEGER: int,
    ColumnType.BIGINT: int,
    ColumnType.CHOICE: int,
    ColumnType.STATE: int,
    ColumnType.STATUS: int,
    ColumnType.BOOLEAN: bool,
    ColumnType.DECIMAL: Decimal,
    ColumnType.MONEY: Decimal,
    ColumnType.DOUBLE: (float, int),
}
_BEFORE: Final = "\0before a snapshot"


class BadSnapshot(ValueError):
    """Raised for a file that is no snapshot of this version; it says what is wrong."""


@dataclass(frozen=True, slots=True)
class _Head:
    format: str
    version: int
    newest: int
    now: datetime | None = None
    running: bool = True
    speed: float = 1.0
    floors: dict[str, int] = field(default_factory=dict)
    rules: dict[str, RuleOfData] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Table:
    table: str
    fields: tuple[str, ...]
    rows: int
    graves: int


def write_snapshot(dataverse: Dataverse) -> bytes:
    """Return the organisation as one file."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as out:
        written = 0
        for line in _lines(dataverse):
            out.write(msgspec.json.encode(line) + b"\n")
            written += 1
        out.write(msgspec.json.encode({"lines": written}) + b"\n")
    return packed.getvalue()


def read_snapshot(dataverse: Dataverse, content: bytes) -> None:
    """Put the organisation in a file in the place of this one.

    Versions and delta tokens are those of the file; where this organisation is further on, tokens
    given out before expire.

    :raises BadSnapshot: the file is none, or is damaged; nothing has changed then
    """
    head, metadata, security = _checked(dataverse, content)
    keeper = dataverse.keeper
    keeper.keep(_BEFORE)
    try:
        _take_definitions(dataverse.metadata, metadata)
        dataverse.security.restore(security)
        _replace_rows(dataverse, content)
        _go_on(dataverse, head)
    except Exception as error:
        keeper.give_back(_BEFORE, Versions.BACK)
        raise BadSnapshot(f"the snapshot does not fit together: {error}") from error
    finally:
        keeper.let_go(_BEFORE)


def _take_definitions(mine: Metadata, theirs: Metadata) -> None:
    """Put other definitions in place; a version that stood for mine never stands for theirs."""
    version, same = mine.version, dump_metadata(mine) == dump_metadata(theirs)
    put_back(mine, picture_of(theirs))
    if not same:
        mine.version = max(version + 1, theirs.version)


def _replace_rows(dataverse: Dataverse, content: bytes) -> None:
    keeper = dataverse.keeper
    keeper.store.clear()
    lines = _unpacked(content)
    for line in lines:
        if "table" in line:
            _fill(dataverse, msgspec.convert(line, _Table), lines)
    for name in keeper.store.tables():
        keeper.links.forget(name)


def _go_on(dataverse: Dataverse, head: _Head) -> None:
    """Take up versions, tokens, clock and rules where the snapshot left them."""
    keeper, newest = dataverse.keeper, dataverse.version
    keeper.tracker.floors.clear()
    keeper.tracker.floors.update(head.floors)
    keeper.ledger.version = max(newest, head.newest)
    if newest > head.newest:
        keeper.tracker.floors[""] = keeper.ledger.next_version()
    keeper.clock.put_back(None if head.now is None else (head.now, head.running, head.speed))
    for name in registered(dataverse):
        remove(dataverse, name)
    for name, rule in head.rules.items():
        register(dataverse, name, rule)
    dataverse.schema.settle()
    keeper.store.flush()


def _lines(dataverse: Dataverse) -> Iterator[object]:
    keeper = dataverse.keeper
    clock = keeper.clock.picture()
    now, running, speed = clock or (None, True, 1.0)
    floors, rules = dict(keeper.tracker.floors), registered(dataverse)
    yield _Head(FORMAT, VERSION, dataverse.version, now, running, speed, floors, rules)
    yield {"metadata": dump_metadata(dataverse.metadata)}
    yield {"security": dataverse.security.state()}
    store = keeper.store
    for name, fields in store.tables().items():
        graves = store.buried(name, 0, dataverse.version, 2**31)
        yield _Table(name, tuple(fields), store.count(name), len(graves))
        for cells in store.scan(name):
            yield [[str(cell)] if isinstance(cell, Decimal) else cell for cell in cells]
        yield from (list(grave) for grave in graves)


def _fill(dataverse: Dataverse, table: _Table, lines: Iterator[Any]) -> None:
    store = dataverse.keeper.store
    definition = dataverse.metadata.table(table.table)
    store.prepare(table.table, table.fields)
    at = table.fields.index(_VERSION_AT)
    key = table.fields.index(definition.primary_id) if definition else 0
    rows = (_cells(next(lines)) for _ in range(table.rows))
    store.put_all(table.table, ((str(r[key]), int(str(r[at])), r) for r in rows))
    for _ in range(table.graves):
        version, row_id = next(lines)
        store.bury(table.table, row_id, version)


def _checked(dataverse: Dataverse, content: bytes) -> tuple[_Head, Metadata, Mapping[str, Any]]:
    """Read a snapshot from its first line to its last, and return all but the rows."""
    lines = _unpacked(content)
    number = 0
    try:
        found = _begin(dataverse, lines)
        number = 3
        for line in lines:
            number += 1
            if line == {"lines": number - 1}:
                _check_end(lines)
                return found
            number += _check_table(msgspec.convert(line, _Table), found[1], lines)
    except BadSnapshot:
        raise
    except StopIteration:
        pass
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise BadSnapshot(f"the snapshot is damaged after line {number}: {error}") from error
    raise BadSnapshot("the snapshot ends too early")


def _begin(dataverse: Dataverse, lines: Iterator[Any]) -> tuple[_Head, Metadata, Mapping[str, Any]]:
    """Read the first three lines."""
    first = next(lines)
    if not isinstance(first, dict) or first.get("format") != FORMAT:
        raise BadSnapshot("this is no snapshot of an emulator")
    if first.get("version") != VERSION:
        raise BadSnapshot(
            f"this is a snapshot of version {first.get('version')!r}; {VERSION} can be read"
        )
    head = msgspec.convert(first, _Head)
    metadata = load_metadata(next(lines)["metadata"])
    if not {"organization", "systemuser", "businessunit"} <= metadata.tables.keys():
        raise BadSnapshot("the snapshot lacks the tables that every organisation has")
    security = next(lines)["security"]
    _check_security(dataverse, security)
    return head, metadata, security


def _check_end(lines: Iterator[object]) -> None:
    if next(lines, None) is not None:
        raise BadSnapshot("the snapshot goes on after its end")


def _check_security(dataverse: Dataverse, state: Mapping[str, Any]) -> None:
    for name, part in dataverse.security.parts().items():
        type(part)().restore(state[name])


def _check_table(table: _Table, metadata: Metadata, lines: Iterator[Any]) -> int:
    """Check the rows and tombstones of one table; return how many lines they are."""
    definition = metadata.table(table.table)
    if definition is not None and definition.fields != table.fields:
        raise BadSnapshot(f"the rows of {table.table} have other fields than its columns")
    key = table.fields.index(definition.primary_id) if definition else 0
    at = table.fields.index(_VERSION_AT)
    kinds = [_kind(definition, name) for name in table.fields]
    for _ in range(table.rows):
        cells = _cells(next(lines))
        if len(cells) != len(table.fields):
            raise BadSnapshot(f"a row of {table.table} has {len(cells)} cells")
        if type(cells[at]) is not int or not isinstance(cells[key], str):
            raise BadSnapshot(f"a row of {table.table} has no id or no version")
        for name, cell, kind in zip(table.fields, cells, kinds, strict=True):
            if cell is not None and not isinstance(cell, kind):
                raise BadSnapshot(f"a row of {table.table} has {type(cell).__name__} as {name}")
    for _ in range(table.graves):
        version, row_id = next(lines)
        if type(version) is not int or not isinstance(row_id, str):
            raise BadSnapshot(f"a tombstone of {table.table} has no id or no version")
    return table.rows + table.graves


def _kind(table: TableDefinition | None, name: str) -> type | tuple[type, ...]:
    """Return what a cell of a field is; the table beside a lookup is a text."""
    if table is None:
        return (str, int, float, Decimal)
    column = table.column(name)
    return str if column is None else _KINDS.get(column.type, str)


def _cells(line: Any) -> Cells:  # Any: JSON
    if not isinstance(line, list):
        raise BadSnapshot("a row is no list")
    return tuple(Decimal(cell[0]) if type(cell) is list else cell for cell in line)


def _unpacked(content: bytes) -> Iterator[Any]:  # Any: JSON
    """Yield the lines of a snapshot.

    :raises BadSnapshot: it is no gzip, or no JSON
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            while line := packed.readline(_LONGEST_LINE):
                yield msgspec.json.decode(line)
    except (OSError, EOFError, zlib.error) as error:
        raise BadSnapshot(f"the file cannot be unpacked: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadSnapshot(f"the file is no JSON: {error}") from error
