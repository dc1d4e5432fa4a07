"""The organisation that the command serves: sample rows in memory or in a file."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

from holdfast_emulator.dataverse import Dataverse
from holdfast_emulator.sample import Sample
from holdfast_emulator.sqlite_rows import SqliteRows


def organisation(rows: int, seed: int, file: Path | None) -> Dataverse:
    """Return an organisation with sample rows; one that comes from a file keeps those it has."""
    store = SqliteRows(file) if file else None
    dataverse = Dataverse(_now, make_id=lambda: str(uuid.uuid4()), rows=store)
    if next(dataverse.scan("account"), None) is None and rows:
        today = _now().replace(hour=0, minute=0, second=0, microsecond=0)
        Sample(rows, today, seed).load(dataverse)
    return dataverse


def _now() -> datetime:
    return datetime.now(UTC)
