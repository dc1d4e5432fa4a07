"""The Web API: from a call to the part that answers it, and batches of calls.

Invariant: every call has exactly one reply, and what is not known here is answered with 501 and
noted; nothing is answered with success that was not done.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from holdfast.contracts import FilterLanguage
from holdfast_emulator._batch import (
    Answered,
    AnsweredSet,
    ChangeSet,
    Item,
    Operation,
    read_batch,
    write_batch,
)
from holdfast_emulator._bulk import Bulk
from holdfast_emulator._definitions import Definitions
from holdfast_emulator._options import parse_query, preferences
from holdfast_emulator._payload import row_id
from holdfast_emulator._read import Reader
from holdfast_emulator._urls import NAMESPACE, Segment, resolve, segments, split_url
from holdfast_emulator._wire import Call, Reply, Unsupported, adding, answer, bad_query, refusal
from holdfast_emulator._write import RowService
from holdfast_emulator.dataverse import Dataverse
from holdfast_emulator.faults import DataverseFault, unknown_segment
from holdfast_emulator.metadata import TableDefinition

_KEPT: Final = 10_000
_IMPERSONATION: Final = ("mscrmcallerid", "callerobjectid")


@dataclass(frozen=True, slots=True)
class Traced:
    """One operation that was answered; ``unsupported`` says what the emulator lacks for it."""

    method: str
    url: str
    status: int
    user: str
    batch: bool
    unsupported: str | None = None


class Interrupted(Exception):
    """Raised when a fault breaks off a batch: what was carried out stays, no reply is made."""


class _Undo(Exception):
    """Raised inside a change set to undo it."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(reply.status)


@dataclass
class WebApi:
    """One organisation behind the Web API."""

    dataverse: Dataverse
    language: FilterLanguage
    trace: deque[Traced] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def __post_init__(self) -> None:
        self._reader = Reader(self.dataverse, self.language)
        self._rows = RowService(self.dataverse)
        self._bulk = Bulk(self.dataverse)
        self._definitions = Definitions(self.dataverse.metadata)

    def answer(self, call: Call) -> Reply:
        """Answer a call; a refusal is a reply like any other.

        :raises Interrupted: ``call.stop_after`` operations of a batch were carried out
        """
        unsupported: str | None = None
        try:
            reply = self._route(call)
        except Unsupported as fault:
            unsupported, reply = fault.message, refusal(fault)
        except DataverseFault as fault:
            reply = refusal(fault)
        url = f"{call.path}?{call.query}" if call.query else call.path
        self.trace.append(
            Traced(call.method, url, reply.status, call.user.id, call.batched, unsupported)
        )
        return adding(reply, {"OData-Version": "4.0"})

    def _route(self, call: Call) -> Reply:
        if any(name in call.headers for name in _IMPERSONATION):
            raise Unsupported("impersonation")
        path = segments(resolve(call.path, call.references))
        if not path:
            return self._service_document(call)
        special = self._specials().get(path[0].name)
        if special is not None:
            method, act = special
            if call.method != method:
                raise Unsupported(f"{call.method} {path[0].name}")
            return act(call, path)
        table = self.dataverse.metadata.entity_set(path[0].name)
        if table is None:
            raise self._unknown(call, path[0].name)
        if path[0].key is None:
            return self._collection(call, table, path[1:])
        return self._row(call, table, row_id(table, path[0]), path[1:])

    def _specials(self) -> Mapping[str, tuple[str, Callable[[Call, Sequence[Segment]], Reply]]]:
        return {
            "$batch": ("POST", lambda call, _: self._batch(call)),
            "WhoAmI": ("GET", lambda call, _: self._who_am_i(call)),
            "EntityDefinitions": ("GET", self._definitions.tables),
            "RelationshipDefinitions": ("GET", self._definitions.relationships),
            "BulkDelete": ("POST", lambda call, _: self._bulk.delete(call)),
        }

    def _unknown(self, call: Call, name: str) -> DataverseFault:
        """Entity sets start with a small letter; what starts otherwise may be an action."""
        if call.method == "POST" or name[:1] == "$" or name[:1].isupper():
            return Unsupported(f"{call.method} {name[:100]}")
        return unknown_segment(name[:100])

    def _collection(self, call: Call, table: TableDefinition, rest: Sequence[Segment]) -> Reply:
        match call.method, [segment.name for segment in rest]:
            case "GET", []:
                return self._reader.list(call, table)
            case "GET", ["$count"]:
                return self._reader.count(call, table)
            case "POST", []:
                return self._rows.create(call, table)
            case "POST", [message]:
                return self._bulk.answer(call, table, message)
            case (("PATCH" | "PUT" | "DELETE"), []):
                raise DataverseFault(
                    405, "0x80060888", f"The method {call.method} is not allowed on a collection."
                )
            case method, names:
                raise Unsupported(f"{method} {table.entity_set}/{'/'.join(names)[:100]}")

    def _row(
        self, call: Call, table: TableDefinition, found: str, rest: Sequence[Segment]
    ) -> Reply:
        rows = self._rows
        match call.method, [segment.name for segment in rest]:
            case "GET", []:
                return rows.retrieve(call, table, found)
            case "PATCH", []:
                return rows.update(call, table, found)
            case "DELETE", []:
                parse_query(call.query, ())
                return rows.delete(call, table, found)
            case "GET", [name] if rest[0].key is None:
                return rows.read_property(call, table, found, name)
            case (("PUT" | "DELETE"), [name]) if rest[0].key is None:
                return rows.write_property(call, table, found, name)
            case (("PUT" | "DELETE"), [name, "$ref"]) if rest[0].key is None:
                return rows.write_reference(call, table, found, name)
            case method, names:
                raise Unsupported(f"{method} {table.entity_set}(…)/{'/'.join(names)[:100]}")

    def _service_document(self, call: Call) -> Reply:
        if call.method != "GET":
            raise Unsupported(f"{call.method} on the service document")
        sets = sorted(table.entity_set for table in self.dataverse.metadata.tables.values())
        value = [{"name": name, "kind": "EntitySet", "url": name} for name in sets]
        return answer({"@odata.context": f"{call.root}/$metadata", "value": value})

    def _who_am_i(self, call: Call) -> Reply:
        return answer(
            {
                "@odata.context": f"{call.root}/$metadata#{NAMESPACE}WhoAmIResponse",
                "BusinessUnitId": call.user.business_unit,
                "UserId": call.user.id,
                "OrganizationId": self.dataverse.organization_id,
            }
        )

    def _batch(self, call: Call) -> Reply:
        if call.batched:
            raise bad_query("A batch cannot contain a batch.")
        items = read_batch(call.headers.get("content-type", ""), call.body)
        run = _BatchRun(self, call)
        return run.answer(
            items, goes_on=preferences(call.headers.get("prefer", "")).continue_on_error
        )


class _BatchRun:
    """One batch on its way through."""

    def __init__(self, api: WebApi, call: Call) -> None:
        self._api = api
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
            with self._api.dataverse.transaction():
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
        reply = self._api.answer(call)
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
