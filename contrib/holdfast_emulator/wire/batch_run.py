"""Carrying a batch out: operation by operation, change sets whole or not at all.

Invariant: operations are answered in their order, each by the code that answers a request of its
own; a change set that fails leaves nothing behind and has one reply.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.wire.batch import (
    Answered,
    AnsweredSet,
    ChangeSet,
    Item,
    Operation,
    write_batch,
)
from holdfast_emulator.wire.calls import Call, Reply, adding
from holdfast_emulator.wire.urls import resolve, split_url


class Interrupted(Exception):
    """Raised when a fault breaks off a batch: what was carried out stays, no reply is made."""


class _Undo(Exception):
    """Raised inside a change set to undo it."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(reply.status)


class BatchRun:
    """One batch on its way through."""

    def __init__(
        self, carry_out: Callable[[Call], Reply], dataverse: Dataverse, call: Call
    ) -> None:
        self._carry_out = carry_out
        self._dataverse = dataverse
        self._call = call
        self._done = 0

    def answer(self, items: Sequence[Item], *, goes_on: bool) -> Reply:
        """Carry out the items in order; without ``goes_on`` the first failure is the last."""
        answers: list[Answered | AnsweredSet] = []
        status = 200
        for item in items:
            one = self._change_set(item) if isinstance(item, ChangeSet) else self._single(item)
            answers.append(one)
            if not goes_on and isinstance(one, Answered) and one.reply.status >= 400:
                status = one.reply.status
                break
        return write_batch(answers, _guids(), status)

    def _single(self, operation: Operation) -> Answered:
        return Answered(self._perform(operation, {}), operation.content_id)

    def _change_set(self, changes: ChangeSet) -> Answered | AnsweredSet:
        replies: list[Answered] = []
        references: dict[str, str] = {}
        try:
            with self._dataverse.transaction():
                for operation in changes.operations:
                    reply = self._change(operation, references)
                    replies.append(Answered(reply, operation.content_id))
                    references[operation.content_id or ""] = _made(operation, reply, references)
        except _Undo as undo:
            return Answered(undo.reply)
        return AnsweredSet(tuple(replies))

    def _change(self, operation: Operation, references: Mapping[str, str]) -> Reply:
        reply = self._perform(operation, references)
        if reply.status >= 400:
            raise _Undo(reply)
        return reply

    def _perform(self, operation: Operation, references: Mapping[str, str]) -> Reply:
        if self._done == self._call.stop_after:
            raise Interrupted
        path, query = split_url(operation.url)
        call = replace(
            self._call,
            method=operation.method,
            path=path,
            query=query,
            headers=operation.headers,
            body=operation.body,
            references=references,
            batched=True,
        )
        reply = self._carry_out(call)
        self._done += 1
        if reply.status >= 400:
            return adding(reply, {"REQ_ID": str(uuid.uuid4())})
        return reply


def _made(operation: Operation, reply: Reply, references: Mapping[str, str]) -> str:
    """Return the URL that later operations mean by this one's Content-ID."""
    return reply.entity or resolve(split_url(operation.url)[0], references)


def _guids() -> Iterator[str]:
    while True:
        yield str(uuid.uuid4())
