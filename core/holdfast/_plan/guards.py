"""When a sync asks before it deletes: here what the server no longer has, there what was deleted.

Pure. Invariant: what is asked about is never less than what would go, and a yes is never taken for
more than what was shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from holdfast._tables import row_key
from holdfast.model import Op, OpKind, OpState
from holdfast.profile import Limit
from holdfast.status import Cause, Extent


class Verdict(Enum):
    """What becomes of rows that are to go."""

    GO = "go"  # they may; a question that was open is settled
    ASK = "ask"  # a person is asked, anew if the last question was about fewer
    WAIT = "wait"  # the question that is open covers them


def judge(limit: Limit | None, count: int, of: int, asked: Extent | None) -> Verdict:
    """Tell whether so many rows of a table may go.

    :param limit: how many may go unasked; None for all of them
    :param of: how many rows the table has
    :param asked: what a person was asked about and has not answered
    """
    if not count or limit is None or limit.allows(count, of):
        return Verdict.GO
    return Verdict.WAIT if asked is not None and count <= asked.rows else Verdict.ASK


def removal(extent: Extent) -> str:
    """Return the question about rows that are to go from here."""
    causes = ", ".join(f"{count} {cause.value}" for cause, count in extent.causes.items() if count)
    return (
        f"{extent.rows} of the {extent.of} rows here would go ({causes}), more than go unasked; "
        "they stay until you allow it, or have the table read anew"
    )


def deletion(extent: Extent) -> str:
    """Return the question about rows that were deleted here."""
    return (
        f"{extent.rows} of {extent.of} rows were deleted here, more than are deleted on the server "
        "unasked; they wait until you allow it, or discard the deletions"
    )


#: Why a yes to rows that were chosen by other rules does not count any more.
OVERTAKEN: Final = "the profile has changed since it was asked; the next sync asks anew if need be"


def outgrown(extent: Extent, now: int) -> str:
    """Return why a yes to an extent does not count any more."""
    return f"it was about {extent.rows} rows, and now {now} would go; the next sync asks anew"


@dataclass(frozen=True, slots=True)
class Deletes:
    """The deletes of one table that nobody has agreed to, and those of them not yet on their way.

    One that was sent and got no answer counts, but only the server can tell what became of it.
    """

    ops: tuple[Op, ...]

    @property
    def waiting(self) -> tuple[Op, ...]:
        """Return those that can still be held."""
        return tuple(op for op in self.ops if op.state is OpState.PENDING)


def created(ops: Sequence[Op]) -> set[str]:
    """Return the keys of the rows that were made here: deleting them takes nothing from anybody.

    A row that was deleted and then made again is the server's all the same.
    """
    first: dict[str, Op] = {}
    for op in ops:
        first.setdefault(row_key(op.table, op.row_id), op)
    return {key for key, op in first.items() if op.kind is OpKind.CREATE}


def deletes(
    ops: Sequence[Op], asked: Collection[str], made: Collection[str]
) -> Mapping[str, Deletes]:
    """Return by table the deletes that would go to the server unasked.

    :param ops: the whole outbox
    :param asked: the ids of those that a question is open about
    :param made: the keys of rows that were made here, and may have arrived in this sync
    """
    found: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        if op.kind is not OpKind.DELETE or op.allowed:
            continue
        own = row_key(op.table, op.row_id) in made
        # One that is held is asked about, or waits for another reason: no question may lose it.
        if op.id in asked if op.state is OpState.HELD else not own:
            found[op.table].append(op)
    return {table: Deletes(tuple(waiting)) for table, waiting in found.items()}


def weighed(causes: Mapping[Cause, int], *, chosen_anew: bool) -> dict[Cause, int]:
    """Return what counts of the rows that are to go.

    Where the profile itself now chooses other rows, those that it no longer chooses were given up
    by whoever changed it; what the server no longer has was not.
    """
    return {c: n for c, n in causes.items() if c is Cause.DELETED or not chosen_anew}
