"""Faults by switch: what goes wrong between a client and a server, declared in advance.

Invariant: a fault strikes exactly as often as it says, on exactly the requests it describes, in
the order in which the faults were added; chance has a seed, so the same requests meet the same.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import msgspec

from holdfast_emulator.control.kinds import FaultKind, Meant

__all__ = ["Asked", "Fault", "FaultKind", "FaultPlan", "describe", "read_fault"]

_LONGEST: Final = 1 << 30
_AGES: Final = 1_000_000_000  # seconds


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as far as a schedule looks at it.

    ``user`` is the id and the name of who asks, both None without a known token.
    """

    method: str
    target: str  # path and query below the service root, as sent
    now: datetime
    user: tuple[str | None, str | None] = (None, None)
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, on which requests, how often.

    ``path`` is a regular expression searched for in the path and query below the service root, as
    sent; ``table`` is a logical name, ``user`` the id or the name of who asks. The first ``skip``
    requests that match pass, of the others every ``every``-th is meant, with ``probability`` by
    the numbers of ``seed``, from ``since`` on by the clock of the organisation. It strikes
    ``times`` times, or always when that is None. ``operations`` makes a lost ``$batch`` stop after
    that many operations: those are carried out, the rest is not. What the other fields mean is
    said by the kinds that use them.
    """

    kind: FaultKind
    times: int | None = 1
    method: str | None = None
    path: str = ""
    skip: int = 0
    retry_after: int = 1
    seconds: float = 0.0
    operations: int | None = None
    table: str | None = None
    user: str | None = None
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    since: datetime | None = None
    status: int = 400
    code: str = "0x80040265"
    message: str = "An error occurred."
    column: str | None = None
    url: str | None = None
    size: int | None = None
    baseline: str | None = None

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError("a fault strikes at least once")
        if self.every < 1 or self.skip < 0:
            raise ValueError("every is 1 or more, skip is not below 0")
        if not 0 <= self.probability <= 1:
            raise ValueError("probability is between 0 and 1")
        if not (0 <= self.retry_after <= _AGES and abs(self.seconds) <= _AGES):
            raise ValueError("retry_after and seconds are a thousand million at most")
        if self.seconds < 0 and self.kind is not FaultKind.SKEW_DATE:
            raise ValueError("seconds is not below 0")
        if self.operations is not None and self.operations < 0:
            raise ValueError("operations is not below 0")
        if self.kind is FaultKind.RESTORE_BACKUP and self.baseline is None:
            raise ValueError("restore-backup names a baseline")
        if self.url is not None and not self.url.isprintable():
            raise ValueError("url has characters that no URL has")
        if self.size is not None and not 0 <= self.size <= _LONGEST:
            raise ValueError("size is between 0 and 2^30")
        if not 200 <= self.status <= 599:
            raise ValueError("status is one of HTTP")
        if self.since is not None and self.since.tzinfo is None:
            raise ValueError("since has an offset")

    def matches(self, asked: Asked) -> bool:
        """Tell whether this is a request that the fault is meant for."""
        return (
            (self.method is None or self.method.upper() == asked.method)
            and (self.table is None or self.table == asked.table)
            and (self.user is None or self.user in asked.user)
            and (self.since is None or self.since <= asked.now)
            and _meant(self.kind.meant, asked)
            and re.search(self.path, asked.target) is not None
        )


def _meant(meant: Meant, asked: Asked) -> bool:
    match meant:
        case Meant.READ:
            return asked.method == "GET"
        case Meant.DELTA:
            return "deltatoken=" in asked.target
        case Meant.BATCH:
            return asked.target.startswith("$batch")
        case _:
            return True


def read_fault(content: bytes) -> Fault:
    """Return the fault that a JSON object describes, field by field.

    :raises ValueError: it describes none
    """
    try:
        given = msgspec.json.decode(content, type=dict[str, Any])
        fault = msgspec.convert(given, Fault)
        re.compile(fault.path)
    except (msgspec.DecodeError, RecursionError, OverflowError, re.error) as error:
        raise ValueError(str(error)) from error
    unknown = given.keys() - Fault.__slots__
    if unknown:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    return fault


def describe(fault: Fault) -> Mapping[str, Any]:  # Any: becomes JSON
    """Return what :func:`read_fault` reads."""
    return {**asdict(fault), "kind": fault.kind.value}


@dataclass(slots=True)
class _Planned:
    """A fault and how far it has come."""

    fault: Fault
    seen: int = 0
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.fault.seed)  # noqa: S311  a schedule, not a secret

    def strikes(self) -> bool:
        """Count a request that matches, and tell whether it is struck."""
        if self.fault.skip:
            self.fault = replace(self.fault, skip=self.fault.skip - 1)
            return False
        self.seen += 1
        if self.seen % self.fault.every:
            return False
        return self.chance.random() < self.fault.probability


class FaultPlan:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    @property
    def pending(self) -> list[Fault]:
        """What is still to come, in order."""
        return [planned.fault for planned in self._planned]

    def add(self, *faults: Fault) -> None:
        """Let these go wrong, after those that were added before."""
        self._planned.extend(_Planned(fault) for fault in faults)

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._planned.clear()

    def strike(self, asked: Asked) -> Fault | None:
        """Return the fault that strikes this request, and count it."""
        for at, planned in enumerate(self._planned):
            fault = planned.fault
            if not fault.matches(asked) or not planned.strikes():
                continue
            if fault.times == 1:
                del self._planned[at]
            elif fault.times is not None:
                planned.fault = replace(fault, times=fault.times - 1)
            return fault
        return None
