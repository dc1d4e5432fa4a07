"""Faults by switch: what goes wrong between a client and a server, declared in advance.

Invariant: a fault strikes exactly as often as it says, on exactly the requests it describes, in
the order in which the faults were added; nothing is random.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

import msgspec


class FaultKind(Enum):
    """What goes wrong."""

    LOSE_REQUEST = "lose-request"  # the connection closes before anything is carried out
    LOSE_REPLY = "lose-reply"  # it is carried out, then the connection closes without a byte
    CUT_BODY = "cut-body"  # it is carried out, and the connection closes inside the reply
    THROTTLE = "throttle"  # 429 with Retry-After, nothing is carried out
    UNAVAILABLE = "unavailable"  # 503 with Retry-After, nothing is carried out
    DEADLOCK = (
        "deadlock"  # 500, the database chose this request to give way; nothing is carried out
    )
    CAPTIVE_PORTAL = "captive-portal"  # 200 with a page of HTML that is not the server's
    EXPIRE_TOKEN = "expire-token"  # noqa: S105  401, as for a token that has run out
    EXPIRE_DELTA = "expire-delta"  # a delta link that has run out; strikes delta requests only
    DELAY = "delay"  # the reply takes ``seconds`` longer


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, on which requests, how often.

    ``path`` is a regular expression searched for in the path and query below the service root, as
    sent. The first ``skip`` requests that match pass; then it strikes ``times`` times, or always
    when that is None. ``operations`` makes a lost ``$batch`` stop after that many operations:
    those are carried out, the rest is not.
    """

    kind: FaultKind
    times: int | None = 1
    method: str | None = None
    path: str = ""
    skip: int = 0
    retry_after: int = 1
    seconds: float = 0.0
    operations: int | None = None

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError("a fault strikes at least once")

    def matches(self, method: str, target: str) -> bool:
        """Tell whether this is a request that the fault is meant for."""
        if self.method is not None and self.method.upper() != method:
            return False
        if self.kind is FaultKind.EXPIRE_DELTA and "deltatoken=" not in target:
            return False
        return re.search(self.path, target) is not None


def read_fault(content: bytes) -> Fault:
    """Return the fault that a JSON object describes, field by field.

    :raises ValueError: it describes none
    """
    try:
        given = msgspec.json.decode(content, type=dict[str, Any])
        fault = msgspec.convert(given, Fault)
        re.compile(fault.path)
    except (msgspec.DecodeError, re.error) as error:
        raise ValueError(str(error)) from error
    unknown = given.keys() - Fault.__slots__
    if unknown:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    return fault


def describe(fault: Fault) -> Mapping[str, Any]:  # Any: becomes JSON
    """Return what :func:`read_fault` reads."""
    return {**asdict(fault), "kind": fault.kind.value}


class FaultPlan:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self.pending: list[Fault] = []

    def add(self, *faults: Fault) -> None:
        """Let these go wrong, after those that were added before."""
        self.pending.extend(faults)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self.pending.clear()

    def strike(self, method: str, target: str) -> Fault | None:
        """Return the fault that strikes this request, and count it."""
        for at, fault in enumerate(self.pending):
            if not fault.matches(method, target):
                continue
            if fault.skip:
                self.pending[at] = replace(fault, skip=fault.skip - 1)
                continue
            self._count(at, fault)
            return fault
        return None

    def _count(self, at: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times <= 1:
            del self.pending[at]
        else:
            self.pending[at] = replace(fault, times=fault.times - 1)
