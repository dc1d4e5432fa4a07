"""Sending ops in batches, and one outcome for each.

Invariants: every op gets exactly one outcome, whatever the reply looks like. A write is sent again
by itself only when the server said that it did not take it up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.errors import (
    AccessDenied,
    ProtocolError,
    SignInNeeded,
    Throttled,
    TransportError,
    Unreachable,
)
from holdfast.model import NotApplied, Outcome, Refused, Unit, Unknown
from holdfast_dataverse._answers import Answer
from holdfast_dataverse._batch import decode, replies_in
from holdfast_dataverse._packing import Load, Scopes, batches, pack
from holdfast_dataverse._reading import send_batch
from holdfast_dataverse._replies import Understanding, said
from holdfast_dataverse._session import CaptivePortal, NotSent, Session
from holdfast_dataverse._tasks import Beside

_log = logging.getLogger(__name__)
#: What a batch may take longer than a single request, for each of its ops.
_SECONDS_AN_OP: Final = 1.0
#: Batches without an answer, one after the other, before the rest is left for the next push.
_MOST_UNHEARD: Final = 3
#: What can be the fault of an op when a batch is turned away whole: its form or its size.
_MAY_BE_AN_OPS_FAULT: Final = frozenset({400, 413, 414, 422, 431})


@dataclass(slots=True)
class _Run:
    """One push: what is left to send, what came of it, and what stopped it.

    The queue has no bound, but never holds more than the outcomes that were asked for.
    """

    left: Iterator[list[Load]]
    done: asyncio.Queue[list[Outcome] | None] = field(default_factory=asyncio.Queue)
    stopped: str = ""  # why nothing more is sent
    error: TransportError | None = None
    unheard: int = 0

    def stop(self, error: TransportError) -> None:
        """Send nothing more, and tell the caller why."""
        self.stopped, self.error = str(error), error

    def hear_nothing(self, error: TransportError) -> None:
        """Count a batch without an answer; what nobody answers is not tried for hours.

        That is no error of the push: every op has its outcome, and reading may work all the same.
        """
        self.unheard += 1
        if isinstance(error, CaptivePortal) or self.unheard >= _MOST_UNHEARD:
            self.stopped = str(error)


class Pusher:
    """Sends units of ops, several batches at once."""

    def __init__(
        self, session: Session, scopes: Scopes, *, batch_size: int, concurrency: int
    ) -> None:
        self._session = session
        self._scopes = scopes
        self._batch_size = batch_size
        self._concurrency = concurrency
        self._understanding = Understanding(session, scopes)

    async def push(self, units: Sequence[Unit]) -> AsyncGenerator[Outcome, None]:
        """Yield outcomes as batches come back.

        :raises TransportError: the server will not listen now; it is raised after the outcomes of
            all ops, those that were not taken up among them
        """
        loads, refused = pack(units, self._scopes, self._session.origin)
        for outcome in refused:
            yield outcome
        run = _Run(batches(loads, self._batch_size))
        async with Beside(self._send_all(run)) as sending:
            while (outcomes := await run.done.get()) is not None:
                for outcome in outcomes:
                    yield outcome
            await sending
        if run.error is not None:
            raise run.error

    async def _send_all(self, run: _Run) -> None:
        workers = min(self._concurrency, self._session.hint or self._concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(run))
        finally:
            run.done.put_nowait(None)

    async def _work(self, run: _Run) -> None:
        for batch in run.left:
            run.done.put_nowait(await self._deliver(batch, run))

    async def _deliver(self, batch: list[Load], run: _Run) -> list[Outcome]:
        if run.stopped:
            return _all(batch, NotApplied, run.stopped)
        try:
            answer = await self._send(batch)
        except (NotSent, SignInNeeded, Throttled) as error:
            run.stop(error)
            return _all(batch, NotApplied, str(error))
        except (Unreachable, ProtocolError) as error:
            _log.warning(
                "no answer came to a batch of %d units",
                len(batch),
                extra={"event": "holdfast.dataverse.unheard"},
            )
            run.hear_nothing(error)
            return _all(batch, Unknown, str(error))
        run.unheard = 0
        if answer.media_type.startswith("multipart/"):
            return await self._understand(batch, answer)
        return await self._turned_away(batch, answer, run)

    async def _send(self, batch: list[Load]) -> Answer:
        ops = sum(len(load.unit.ops) for load in batch)
        items = [load.item for load in batch]
        extra_time = _SECONDS_AN_OP * ops
        return await send_batch(self._session, items, repeatable=False, extra_time=extra_time)

    async def _understand(self, batch: list[Load], answer: Answer) -> list[Outcome]:
        try:
            replies = decode(answer)
        except ProtocolError as error:
            return _all(batch, Unknown, str(error))
        for reply in replies_in(replies):
            self._session.heed(reply.answer)
        return await self._understanding.outcomes([load.unit for load in batch], replies)

    async def _turned_away(self, batch: list[Load], answer: Answer, run: _Run) -> list[Outcome]:
        """Return outcomes when the answer is to the batch as a whole, and no batch itself."""
        words = said(answer)
        if words.status < 400 or words.status >= 500 or words.status in (408, 425):
            return _all(batch, Unknown, f"HTTP {words.status}: {words.message}")
        if answer.media_type == "text/html" and words.status != 413:
            run.stopped = f"a web page came instead of the server's answer (HTTP {words.status})"
            return _all(batch, Unknown, run.stopped)
        if words.status not in _MAY_BE_AN_OPS_FAULT:
            kind = AccessDenied if words.status == 403 else ProtocolError
            run.stop(kind(f"writing: {words.message}", code=words.code))
            return _all(batch, NotApplied, words.message)
        if len(batch) > 1:  # one of the units is the reason; halves find it
            half = len(batch) // 2
            first = await self._deliver(batch[:half], run)
            return first + await self._deliver(batch[half:], run)
        return [
            Refused(op.id, words.code or f"HTTP {words.status}", words.message)
            for op in batch[0].unit.ops
        ]


def _all(batch: list[Load], kind: Callable[[str, str], Outcome], reason: str) -> list[Outcome]:
    return [kind(op.id, reason) for load in batch for op in load.unit.ops]
