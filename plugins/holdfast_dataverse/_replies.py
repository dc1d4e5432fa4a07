"""The reply to a batch of writes, understood op by op.

Invariant: whether an answer belongs to an op is never guessed; an op without an answer of its own
is *unknown*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from holdfast.errors import ProtocolError, TransportError
from holdfast.model import Op, OpKind, Outcome, Record, Unit, Unknown, Unreadable
from holdfast_dataverse._answers import Answer, complaint
from holdfast_dataverse._batch import Replies, Reply, replies_in
from holdfast_dataverse._bodies import holds
from holdfast_dataverse._outcomes import (
    Doubt,
    Look,
    Said,
    Verdict,
    judge,
    judge_unit,
    settle,
    settle_unit,
    unread,
)
from holdfast_dataverse._packing import Scopes
from holdfast_dataverse._reading import fetch
from holdfast_dataverse._records import Reader
from holdfast_dataverse._session import Session


@dataclass(frozen=True, slots=True)
class _Single:
    """The verdict on one op."""

    op: Op
    verdict: Verdict

    def doubtful(self) -> Iterator[Op]:
        """Yield the ops whose rows have to be read."""
        if isinstance(self.verdict, Look):
            yield self.op


@dataclass(frozen=True, slots=True)
class _Failed:
    """A unit that failed as a whole, by the error of one of its ops."""

    ops: tuple[Op, ...]
    said: Said

    def doubtful(self) -> Iterator[Op]:
        """Yield the ops whose rows have to be read."""
        yield from self.ops


_Case: TypeAlias = _Single | _Failed
#: Rows by table and id; a table that could not be read is missing.
_Found: TypeAlias = Mapping[str, "_Rows"]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a table that were read; ``torn`` has the ids of those that make no sense."""

    records: Mapping[str, Record]
    torn: frozenset[str]


def said(answer: Answer) -> Said:
    """Return what the pure decisions need of an answer."""
    if answer.ok:
        return Said(answer.status)
    words = complaint(answer)
    return Said(answer.status, words.code, words.message, "retry-after" in answer.headers)


class Understanding:
    """Turns replies into outcomes, reading rows again where a reply leaves a doubt."""

    def __init__(self, session: Session, scopes: Scopes) -> None:
        self._session = session
        self._scopes = scopes
        self._readers = {table: Reader(scope) for table, scope in scopes.items()}

    async def outcomes(self, units: Sequence[Unit], replies: Sequence[Replies]) -> list[Outcome]:
        """Return one outcome for each op of the units."""
        if len(replies) == len(units):
            pairs = zip(units, replies, strict=True)
            cases = [case for unit, reply in pairs for case in self._cases(unit, reply)]
        else:
            cases = list(self._recognised(units, replies))
        found = await self._look([op for case in cases for op in case.doubtful()])
        return [outcome for case in cases for outcome in self._settled(case, found)]

    def _cases(self, unit: Unit, reply: Replies) -> list[_Case]:
        if len(unit.ops) == 1:
            only = reply if isinstance(reply, Reply) else None
            return [_Single(unit.ops[0], self._verdict(unit.ops[0], only))]
        if isinstance(reply, tuple) and len(reply) == len(unit.ops):
            pairs = zip(unit.ops, reply, strict=True)
            return [_Single(op, self._verdict(op, one)) for op, one in pairs]
        if isinstance(reply, tuple) or reply.answer.ok:
            return [_Single(op, self._verdict(op, None)) for op in unit.ops]
        words = said(reply.answer)
        together = judge_unit(unit.ops, words)
        if together is None:
            return [_Failed(unit.ops, words)]
        return [_Single(op, one) for op, one in zip(unit.ops, together, strict=True)]

    def _verdict(self, op: Op, reply: Reply | None) -> Verdict:
        if reply is None:
            return Unknown(op.id, "the reply to the batch is incomplete")
        record = self._record(op, reply.answer)
        if record is not None and record[0] != op.row_id:
            return Unknown(op.id, "the reply is about another row")
        return judge(op, said(reply.answer), record)

    def _recognised(self, units: Sequence[Unit], replies: Sequence[Replies]) -> Iterator[_Case]:
        """Parts are missing: only those that bring their row tell whose answers they are."""
        ops = [op for unit in units for op in unit.ops]
        writing = {op.table: op for op in ops if op.kind is not OpKind.DELETE}
        rows: dict[tuple[str, object], Record] = {}
        for reply in replies_in(replies):
            for table, op in writing.items():
                if (row := self._record(op, reply.answer)) is not None:
                    rows.setdefault((table, row[0]), row)
        for op in ops:
            own = None if op.kind is OpKind.DELETE else rows.get((op.table, op.row_id))
            yield _Single(op, self._verdict(op, None) if own is None else judge(op, Said(200), own))

    def _record(self, op: Op, answer: Answer) -> Record | None:
        """Return the row in an answer, None where there is none that can be read."""
        if not answer.ok or not answer.body.strip() or op.kind is OpKind.DELETE:
            return None
        try:
            return self._readers[op.table].one(answer.body)
        except ProtocolError:
            return None

    async def _look(self, ops: Sequence[Op]) -> _Found:
        """Read the rows of some ops, a table at a time."""
        found: dict[str, _Rows] = {}
        for table in dict.fromkeys(op.table for op in ops):
            ids = [op.row_id for op in ops if op.table == table]
            try:
                rows = await fetch(self._session, self._scopes[table], ids)
            except TransportError:
                continue  # the outcomes of these ops say that it failed
            torn = [row.row_id for row in rows if isinstance(row, Unreadable)]
            silent = [*ids] if None in torn else []  # it may be any of those
            records = {str(row[0]): row for row in rows if not isinstance(row, Unreadable)}
            unread = {i for i in (*torn, *silent) if i is not None and i not in records}
            found[table] = _Rows(records, frozenset(unread))
        return found

    def _settled(self, case: _Case, found: _Found) -> list[Outcome]:
        if isinstance(case, _Failed):
            return self._settled_unit(case, found)
        if not isinstance(case.verdict, Look):
            return [case.verdict]
        rows = found.get(case.op.table)
        if rows is None or case.op.row_id in rows.torn:
            return [unread(case.op, case.verdict, "the row could not be read back")]
        row = rows.records.get(case.op.row_id)
        return [settle(case.op, case.verdict, row, holds=self._holds(case.op, row))]

    def _settled_unit(self, case: _Failed, found: _Found) -> list[Outcome]:
        if any(op.table not in found or op.row_id in found[op.table].torn for op in case.ops):
            turned_down = Look(Doubt.MOVED)
            return [unread(op, turned_down, "the rows could not be read back") for op in case.ops]
        rows = {
            op.row_id: row
            for op in case.ops
            if (row := found[op.table].records.get(op.row_id)) is not None
        }
        holding = {op.id for op in case.ops if self._holds(op, rows.get(op.row_id))}
        return settle_unit(case.ops, case.said, rows, holding)

    def _holds(self, op: Op, row: Record | None) -> bool:
        return row is not None and holds(row, op, self._scopes[op.table])
