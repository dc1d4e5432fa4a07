"""Faults that take the place of an answer: nothing is carried out.

Invariant: each is one reply, with the codes and words of Dataverse where it is Dataverse that
refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final, TypeAlias

from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.control.injection import Fault
from holdfast_emulator.control.kinds import FaultKind
from holdfast_emulator.control.limits import TOO_MANY_REQUESTS
from holdfast_emulator.wire.calls import Reply, refusal

NOBODY: Final = "00000000-0000-0000-0000-000000000000"
ELSEWHERE: Final = "https://elsewhere.invalid"
_PORTAL: Final = (
    b"<!DOCTYPE html><html><head><title>Sign in</title></head>"
    b"<body><h1>Welcome to the hotel network</h1></body></html>"
)


@dataclass(frozen=True, slots=True)
class Struck:
    """A request that a fault strikes.

    ``root`` is the address of the service, ``url`` that of the request; ``memory`` is what faults
    remember from one strike to the next.
    """

    fault: Fault
    root: str
    url: str
    now: datetime
    organization_id: str
    user_id: str = NOBODY
    table: TableDefinition | None = None
    memory: dict[str, object] = field(default_factory=dict)

    @property
    def table_name(self) -> str:
        """The logical name of the table, or a word for it."""
        return self.table.name if self.table else "entity"


Replacement: TypeAlias = Callable[[Struck], Reply]


def _throttle(retry_after: Callable[[Struck], str | None]) -> Replacement:
    words = "Number of requests exceeded the limit of 6000 over time window of 300 seconds."

    def throttle(struck: Struck) -> Reply:
        wait = retry_after(struck)
        headers = {} if wait is None else {"Retry-After": wait}
        reply = refusal(DataverseFault(429, TOO_MANY_REQUESTS, words))
        return Reply(reply.status, reply.body, headers, reply.type)

    return throttle


def _until(struck: Struck) -> str:
    to = struck.now.astimezone(UTC) + timedelta(seconds=struck.fault.retry_after)
    return format_datetime(to, usegmt=True)


def _refuse(make: Callable[[Struck], DataverseFault]) -> Replacement:
    return lambda struck: refusal(make(struck))


def _no_privilege(struck: Struck) -> DataverseFault:
    table = struck.table
    name, number = (table.schema_name, table.object_type_code) if table else ("Entity", 0)
    return DataverseFault(
        403,
        faults.PRIVILEGE_DENIED,
        f"Principal user (Id={struck.user_id}, type=8, roleCount=1, privilegeCount=465, "
        f"accessMode=0), is missing prvRead{name} privilege on OTC={number} for entity "
        f"'{struck.table_name}'. context.Caller={struck.user_id}",
    )


def _no_access(struck: Struck) -> DataverseFault:
    return DataverseFault(
        403,
        faults.PRIVILEGE_DENIED,
        f"Principal with id {struck.user_id} does not have WriteAccess right(s) for record "
        f"with id {NOBODY} of entity {struck.table_name}",
    )


def _taken_key(_: Struck) -> DataverseFault:
    return DataverseFault(
        412, "0x80060892", "A record that has the attribute values already exists."
    )


REPLACEMENTS: Final[Mapping[FaultKind, Replacement]] = {
    FaultKind.CAPTIVE_PORTAL: lambda _: Reply(200, _PORTAL, type="text/html"),
    FaultKind.REDIRECT: lambda s: Reply(302, b"", {"Location": s.fault.url or ELSEWHERE}),
    FaultKind.THROTTLE: _throttle(lambda s: str(s.fault.retry_after)),
    FaultKind.THROTTLE_UNTIL: _throttle(_until),
    FaultKind.THROTTLE_ABSURDLY: _throttle(lambda _: "99999999999"),
    FaultKind.THROTTLE_SILENTLY: _throttle(lambda _: None),
    FaultKind.UNAVAILABLE: lambda s: Reply(
        503,
        b"<h2>Our services aren't available</h2>",
        {"Retry-After": str(s.fault.retry_after)},
        "text/html",
    ),
    FaultKind.DEADLOCK: _refuse(lambda _: faults.deadlock()),
    FaultKind.REFUSE: _refuse(
        lambda s: DataverseFault(s.fault.status, s.fault.code, s.fault.message)
    ),
    FaultKind.FORBID_TABLE: _refuse(_no_privilege),
    FaultKind.FORBID_ROW: _refuse(_no_access),
    FaultKind.LOSE_TABLE: _refuse(
        lambda s: faults.unknown_segment(s.table.entity_set if s.table else s.table_name)
    ),
    FaultKind.LOSE_ROW: _refuse(lambda s: faults.missing_row(s.table_name, NOBODY)),
    FaultKind.REFUSE_VALUES: _refuse(
        lambda s: faults.validation_error(
            faults.TOO_LONG,
            f"The length of the '{s.fault.column or 'name'}' attribute of the '{s.table_name}' "
            "entity exceeded the maximum allowed length of '100'.",
        )
    ),
    FaultKind.REFUSE_VERSION: _refuse(lambda _: faults.version_mismatch()),
    FaultKind.DUPLICATE_ID: _refuse(lambda _: faults.duplicate_key()),
    FaultKind.DUPLICATE_KEY: _refuse(_taken_key),
    FaultKind.TOO_LARGE: _refuse(
        lambda _: DataverseFault(413, faults.BAD_QUERY, "The request is too large.")
    ),
    FaultKind.TOO_LONG: lambda _: Reply(414, b"<h2>Request-URI Too Long</h2>", type="text/html"),
    FaultKind.EXPIRE_DELTA: _refuse(lambda _: faults.expired_version()),
    FaultKind.DELTA_GONE: _refuse(
        lambda _: DataverseFault(410, faults.EXPIRED_VERSION, "The delta link is gone.")
    ),
}
