"""What scripts see: one JSON document on stdout, with stable keys.

Decimals are text, dates are ISO 8601, a reference is ``{"table", "id"}``, null is null.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from holdfast.discovery import Installed
from holdfast.model import Row
from holdfast.status import Extent, HistoryEntry, Issue, ReplicaStatus, SyncReport, TableStatus
from holdfast.values import Reference, Value
from holdfast_cli._errors import exit_code
from holdfast_cli._plain import CONTROLS

Document = Mapping[str, object]


def text(document: object) -> str:
    """Return JSON that is safe on a terminal and readable in any encoding that stdout has."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return CONTROLS.sub(_escape, json.dumps(document, ensure_ascii=not unicode))


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"


def emit(document: object) -> None:
    """Print a document."""
    sys.stdout.write(text(document) + "\n")


def value(given: Value) -> object:
    """Return a column's value."""
    match given:
        case Decimal():
            return f"{given:f}"
        case datetime() | date():
            return given.isoformat()
        case Reference():
            return {"table": given.table, "id": given.id}
        case tuple():
            return list(given)
        case _:
            return given


def values(row: Row | None, columns: Iterable[str] | None = None) -> Document | None:
    """Return a row's values by column; None where there is no row."""
    if row is None:
        return None
    return {name: value(row[name]) for name in (row if columns is None else columns)}


def row(given: Row, columns: Iterable[str], labels: Mapping[str, str]) -> Document:
    """Return a row, with the labels of those values that have one."""
    names = list(columns)
    document: dict[str, object] = {
        "id": given.id,
        "pending": given.pending,
        "values": values(given, names),
        "labels": {name: labels[name] for name in names if name in labels},
    }
    if given.expanded:
        document["expanded"] = {name: _beside(rows) for name, rows in given.expanded.items()}
    return document


def _beside(found: Row | Sequence[Row] | None) -> object:
    """Return expanded rows: one, several or none."""
    if found is None:
        return None
    if isinstance(found, Row):
        return row(found, found, {})
    return [row(one, one, {}) for one in found]


def issue(given: Issue) -> Document:
    """Return an open issue."""
    return {
        "id": given.id,
        "kind": given.kind.value,
        "table": given.table,
        "row_id": given.row_id,
        "code": given.code,
        "message": given.message,
        "raised": given.raised.isoformat(),
        "columns": list(given.columns),
        "ops": list(given.ops),
        "base": values(given.base),
        "mine": values(given.mine),
        "theirs": values(given.theirs),
        "extent": extent(given.extent),
        "payload": given.payload,
    }


def extent(given: Extent | None) -> Document | None:
    """Return how many rows an issue is about, and why."""
    if given is None:
        return None
    causes = {cause.value: count for cause, count in given.causes.items()}
    return {"rows": given.rows, "of": given.of, "causes": causes}


def history(given: HistoryEntry) -> Document:
    """Return a settled conflict."""
    return {
        "id": given.id,
        "kind": "settled",
        "table": given.table,
        "row_id": given.row_id,
        "winner": given.winner.value,
        "policy": given.policy,
        "settled": given.settled.isoformat(),
        "columns": list(given.columns),
        "base": values(given.base),
        "mine": values(given.mine),
        "theirs": values(given.theirs),
    }


def entry(given: Issue | HistoryEntry) -> Document:
    """Return either."""
    return issue(given) if isinstance(given, Issue) else history(given)


def table_status(given: TableStatus) -> Document:
    """Return one table's part of the status."""
    return {
        "name": given.name,
        "label": given.label,
        "availability": given.availability.value,
        "rows": given.rows,
        "pending": given.pending,
        "last_sync": given.last_sync.isoformat() if given.last_sync else None,
        "received": given.received,
        "expected": given.expected,
        "problem": given.problem,
        "unreadable": given.unreadable,
    }


def status(given: ReplicaStatus, advice: str) -> Document:
    """Return the status."""
    return {
        "profile": given.profile,
        "server": given.server,
        "organization": given.organization,
        "user": given.user,
        "location": given.location,
        "size": given.size,
        "working_offline": given.working_offline,
        "availability": given.availability.value,
        "synced": given.synced,
        "pending": given.pending,
        "issues": given.issues,
        "problem": given.problem,
        "tables": [table_status(table) for table in given.tables],
        "next": advice,
    }


def report(
    given: SyncReport, conflicts: Iterable[HistoryEntry], issues: Iterable[Issue]
) -> Document:
    """Return what a sync did."""
    failure = given.failure
    return {
        "complete": given.complete,
        "applied": given.applied,
        "waiting": given.waiting,
        "conflicts": [history(each) for each in conflicts],
        "issues": [issue(each) for each in issues],
        "tables": {
            name: {
                "received": t.received,
                "removed": t.removed,
                "problem": t.problem,
                "unreadable": t.unreadable,
            }
            for name, t in given.tables.items()
        },
        "failure": failure
        and {
            "kind": type(failure).__name__,
            "message": str(failure),
            "exit_code": int(exit_code(failure)),
        },
    }


def plugin(given: Installed) -> Document:
    """Return one installed plugin."""
    return {
        "group": given.group,
        "name": given.name,
        "distribution": given.distribution,
        "version": given.version,
        "in_use": given.in_use,
        "error": given.error,
    }
