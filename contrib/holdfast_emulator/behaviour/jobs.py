"""The table of jobs that the platform carries out by itself.

Invariant: a job here is done when it is first seen, for it is carried out before it is answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.metadata import TableDefinition

JOBS: Final = "asyncoperation"
_STATES: Final = ("Ready", "Suspended", "Locked", "Completed")
_STATUSES: Final = (
    (0, "Waiting For Resources", 0),
    (10, "Waiting", 1),
    (20, "In Progress", 2),
    (21, "Pausing", 2),
    (22, "Canceling", 2),
    (30, "Succeeded", 3),
    (31, "Failed", 3),
    (32, "Canceled", 3),
)
_COMPLETED: Final = 3
_SUCCEEDED, _FAILED = 30, 31
_BULK_DELETE: Final = 13


def jobs_table() -> TableDefinition:
    """Return the table ``asyncoperation``."""
    own = [
        c.primary_id("AsyncOperationId", "System Job"),
        c.text("Name", 256, "System Job Name"),
        c.choice("OperationType", {_BULK_DELETE: "Bulk Delete"}, "System Job Type"),
        c.moment("StartedOn"),
        c.moment("CompletedOn"),
        c.memo("Message", 1_073_741_823),
        c.memo("FriendlyMessage", 1_073_741_823),
        c.integer("ErrorCode", -2147483648, label="Error Code"),
        c.integer("RetryCount"),
        c.state(_STATES),
        c.status(_STATUSES),
        *c.ownership(),
        *c.stamps(),
    ]
    return TableDefinition(
        *(JOBS, "AsyncOperation", "asyncoperations", 4700, "asyncoperationid", "name", tuple(own)),
        label="System Job",
        collection_label="System Jobs",
        change_tracking=False,
        available_offline=False,
    )


def bulk_deletion(name: str, now: datetime, failures: Mapping[str, str]) -> dict[str, object]:
    """Return the columns of a bulk deletion that has just been done.

    :param failures: what kept rows from being deleted, by their ids
    """
    message = "\n".join(f"{row_id}: {reason}" for row_id, reason in failures.items())
    return {
        "name": name[:256],
        "operationtype": _BULK_DELETE,
        "startedon": now.isoformat(),
        "completedon": now.isoformat(),
        "message": message or None,
        "retrycount": 0,
        "statecode": _COMPLETED,
        "statuscode": _FAILED if failures else _SUCCEEDED,
    }
