"""The organisation that the command serves: sample rows in memory or in a file."""

from __future__ import annotations

import sqlite3
import uuid
from datetime import UTC, datetime
from pathlib import Path

from holdfast.errors import StorageError
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.rows import RowStore
from holdfast_emulator.sample import Sample


def organisation(
    rows: int, seed: int, file: Path | None, snapshot: bytes | None = None
) -> Dataverse:
    """Return an organisation with sample rows; one that comes from a file keeps those it has.

    :param snapshot: begin with the organisation in it, whatever the file has
    :raises StorageError: the file is in use, or not one of an emulator; or the snapshot is none
    """
    dataverse = _opened(file) if file else _dataverse(None)
    if snapshot is not None:
        from holdfast_emulator.control.snapshot import BadSnapshot, read_snapshot

        try:
            read_snapshot(dataverse, snapshot)
        except BadSnapshot as error:
            dataverse.close()
            raise StorageError(f"the emulator cannot begin with a snapshot: {error}") from error
        return dataverse
    if next(dataverse.scan("account"), None) is None and rows:
        today = _now().replace(hour=0, minute=0, second=0, microsecond=0)
        Sample(rows, today, seed).load(dataverse)
    return dataverse


def read_begin(snapshot: Path) -> bytes:
    """Return the content of a snapshot.

    :raises StorageError: it cannot be read
    """
    try:
        return snapshot.read_bytes()
    except OSError as error:
        raise StorageError(f"the snapshot {snapshot} cannot be read: {error.strerror}") from error


def _opened(file: Path) -> Dataverse:
    from holdfast_emulator.behaviour.sqlite_rows import SqliteRows

    try:
        rows = SqliteRows(file)
    except sqlite3.Error as error:
        raise _unusable(file, error) from error
    try:
        return _dataverse(rows)
    except ValueError as error:
        rows.close()
        raise _unusable(file, error) from error


def _unusable(file: Path, error: Exception) -> StorageError:
    return StorageError(
        f"the emulator cannot use {file}: {error}; name another file, or stop who uses it"
    )


def _dataverse(rows: RowStore | None) -> Dataverse:
    return Dataverse(_now, make_id=lambda: str(uuid.uuid4()), rows=rows)


def _now() -> datetime:
    return datetime.now(UTC)
