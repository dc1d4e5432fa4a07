"""The Web API: from a call to the part that answers it.

Invariant: every call has exactly one reply, and what is not known here is answered with 501 and
noted; nothing is answered with success that was not done.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from holdfast.contracts import FilterLanguage
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault, unknown_segment
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.wire.batch import read_batch
from holdfast_emulator.wire.batch_run import BatchRun
from holdfast_emulator.wire.bulk import Bulk
from holdfast_emulator.wire.calls import (
    Call,
    Reply,
    Unsupported,
    adding,
    answer,
    bad_query,
    refusal,
)
from holdfast_emulator.wire.definitions import Definitions
from holdfast_emulator.wire.operations import Invocation, Operation, Operations
from holdfast_emulator.wire.options import parse_query, preferences
from holdfast_emulator.wire.payload import row_id
from holdfast_emulator.wire.read import Reader
from holdfast_emulator.wire.urls import NAMESPACE, Segment, resolve, segments
from holdfast_emulator.wire.write import RowService

_KEPT: Final = 10_000
_Act: TypeAlias = Callable[[Call, Sequence[Segment]], Reply]
#: Headers that change what a request means, and what each of them asks for.
_MEANINGFUL: Final = {
    "mscrmcallerid": "impersonation",
    "callerobjectid": "impersonation",
    "mscrm.bypasscustompluginexecution": "bypassing plug-ins",
    "mscrm.bypassbusinesslogicexecution": "bypassing plug-ins",
}
_OTHER_METADATA: Final = re.compile(r"odata\.metadata\s*=\s*(?!minimal\b)\w", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Traced:
    """One operation that was answered; ``unsupported`` says what the emulator lacks for it."""

    method: str
    url: str
    status: int
    user: str
    batch: bool
    unsupported: str | None = None


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
        self._resources = self._known_resources()
        self.operations = Operations(self._known_operations())

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
        _check_headers(call.headers)
        path = segments(resolve(call.path, call.references))
        if not path:
            parse_query(call.query, ())
            return self._service_document(call)
        methods = self._resources.get(path[0].name)
        if methods is not None:
            if call.method not in methods:
                raise Unsupported(f"{call.method} {path[0].name}")
            return methods[call.method](call, path)
        if len(path) == 1:
            done = self.operations.unbound(call, path[0])
            if done is not None:
                return done
        table = self.dataverse.metadata.entity_set(path[0].name)
        if table is None:
            raise self._unknown(call, path[0].name)
        if path[0].key is None:
            return self._collection(call, table, path[1:])
        return self._row(call, table, row_id(table, path[0]), path[1:])

    def _known_resources(self) -> Mapping[str, Mapping[str, _Act]]:
        """Return what is neither an entity set nor an operation, by name and method."""
        return {
            "$batch": {"POST": _alone(self._batch)},
            "EntityDefinitions": {"GET": self._definitions.tables},
            "RelationshipDefinitions": {"GET": self._definitions.relationships},
        }

    def _known_operations(self) -> Iterator[Operation]:
        yield Operation("WhoAmI", self._who_am_i, function=True)
        yield from self._bulk.operations()

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
            case _, [_]:
                return self._operation(call, table, None, rest[0])
            case (("PATCH" | "PUT" | "DELETE"), []):
                raise DataverseFault(
                    405, "0x80060888", f"The method {call.method} is not allowed on a collection."
                )
            case method, names:
                raise Unsupported(f"{method} {table.entity_set}/{'/'.join(names)[:100]}")

    def _operation(
        self, call: Call, table: TableDefinition, found: str | None, segment: Segment
    ) -> Reply:
        done = self.operations.bound(call, segment, table, found)
        if done is None:
            raise Unsupported(f"{call.method} {table.entity_set}/{segment.name[:100]}")
        return done

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
            case _, [name] if name.startswith(NAMESPACE):
                return self._operation(call, table, found, rest[0])
            case "GET", ["$value" | "$ref" | "$count" as name]:
                raise Unsupported(f"GET {table.entity_set}(…)/{name}")
            case "GET", [name] if rest[0].key is None:
                return rows.read_property(call, table, found, name)
            case (("PUT" | "DELETE"), [name]) if rest[0].key is None:
                parse_query(call.query, ())
                return rows.write_property(call, table, found, name)
            case (("PUT" | "DELETE"), [name, "$ref"]) if rest[0].key is None:
                parse_query(call.query, ())
                return rows.write_reference(call, table, found, name)
            case method, names:
                raise Unsupported(f"{method} {table.entity_set}(…)/{'/'.join(names)[:100]}")

    def _service_document(self, call: Call) -> Reply:
        if call.method != "GET":
            raise Unsupported(f"{call.method} on the service document")
        sets = sorted(table.entity_set for table in self.dataverse.metadata.tables.values())
        value = [{"name": name, "kind": "EntitySet", "url": name} for name in sets]
        return answer({"@odata.context": f"{call.root}/$metadata", "value": value})

    def _who_am_i(self, invocation: Invocation) -> Reply:
        call = invocation.call
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
        run = BatchRun(self.answer, self.dataverse, call)
        return run.answer(
            items, goes_on=preferences(call.headers.get("prefer", "")).continue_on_error
        )


def _check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that would make the answer another one than is given here."""
    for name, what in _MEANINGFUL.items():
        if name in headers:
            raise Unsupported(what)
    if _OTHER_METADATA.search(headers.get("accept", "")):
        raise Unsupported("any odata.metadata but minimal")


def _alone(act: Callable[[Call], Reply]) -> _Act:
    """Return what answers a resource that has neither key nor options nor anything below it."""

    def alone(call: Call, path: Sequence[Segment]) -> Reply:
        if len(path) > 1:
            raise Unsupported(f"what is below {path[0].name}")
        parse_query(call.query, ())
        return act(call)

    return alone
