"""The Web API: from a call to the part that answers it.

Invariant: every call has exactly one reply, and what is not known here is answered with 501 and
noted; nothing is answered with success that was not done.

What answers other things than rows is imported by the first call that is about them: to start, and
to read rows, nobody waits for it.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

from holdfast_emulator.behaviour.custom_api import Binding
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault, unexpected, unknown_segment
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.wire.batch import read_batch
from holdfast_emulator.wire.batch_run import BatchRun, Interrupted
from holdfast_emulator.wire.callers import Callers
from holdfast_emulator.wire.calls import (
    Call,
    Reply,
    Unsupported,
    adding,
    answer,
    bad_query,
)
from holdfast_emulator.wire.files import FileService
from holdfast_emulator.wire.keys import check_path, place_of
from holdfast_emulator.wire.navigate import Navigation
from holdfast_emulator.wire.operations import Invocation, Operation, Operations
from holdfast_emulator.wire.options import option_names, parse_query, preferences
from holdfast_emulator.wire.read import Reader
from holdfast_emulator.wire.references import References
from holdfast_emulator.wire.refusals import refused
from holdfast_emulator.wire.urls import NAMESPACE, Segment, resolve, segments
from holdfast_emulator.wire.write import RowService

if TYPE_CHECKING:
    from holdfast_emulator.wire.metadata_api import MetadataApi

_LOG = logging.getLogger(__name__)
_KEPT: Final = 10_000
_SECRET: Final = frozenset({"authorization", "cookie"})
#: Messages of older services that the Web API never had: a row is updated instead.
_GONE: Final = frozenset({"SetState", "SetStateDynamicEntity", "Assign"})
_Act: TypeAlias = Callable[[Call, Sequence[Segment]], Reply]
_OTHER_METADATA: Final = re.compile(r"odata\.metadata\s*=\s*(?!minimal\b)\w", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Traced:
    """One operation that was answered; ``unsupported`` says what the emulator lacks for it.

    ``error`` says what broke in a plug-in, or in the emulator itself.
    ``headers`` are those of the request, in lower case, without what signs the caller in. The
    fields after them are filled in by who knows the request around the operation: its number, its
    id, its bytes, how many parts its batch had and the kind of fault that struck it.
    """

    method: str
    url: str
    status: int
    user: str
    batch: bool
    unsupported: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    request_id: str = ""
    seconds: float = 0.0  # how long the server took; for a part, the whole batch
    received: int = 0
    sent: int = 0
    parts: int = 0
    fault: str | None = None
    error: str | None = None


@dataclass
class WebApi:
    """One organisation behind the Web API."""

    dataverse: Dataverse
    trace: deque[Traced] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def __post_init__(self) -> None:
        self._reader = Reader(self.dataverse)
        self._rows = RowService(self.dataverse)
        self._navigation = Navigation(self.dataverse, self._rows, self._reader)
        self._references = References(self.dataverse, self._rows)
        self._files = FileService(self.dataverse)
        self._callers = Callers(self.dataverse.security)

    @cached_property
    def operations(self) -> Operations:
        """The actions and functions."""
        from holdfast_emulator.wire.custom_api import ApiService

        return Operations(self._known_operations(), ApiService(self.dataverse).operation)

    @cached_property
    def _metadata(self) -> MetadataApi:
        from holdfast_emulator.wire.metadata_api import MetadataApi

        return MetadataApi(self.dataverse, self._every_operation)

    @cached_property
    def _resources(self) -> Mapping[str, Mapping[str, _Act]]:
        """What is neither an entity set nor an operation, by name and method."""
        return {"$batch": {"POST": _alone(self._batch)}, **self._metadata.resources()}

    def answer(self, call: Call) -> Reply:
        """Answer a call; a refusal is a reply like any other.

        :raises Interrupted: ``call.stop_after`` operations of a batch were carried out
        """
        unsupported: str | None = None
        error: str | None = None
        try:
            reply = self._route(call)
        except Unsupported as fault:
            unsupported, reply = fault.message, refused(call, fault)
        except DataverseFault as fault:
            reply = refused(call, fault)
        except Interrupted:
            raise
        except Exception as broken:  # noqa: BLE001  a plug-in's, or a bug: undone and told
            _LOG.exception("an operation broke", extra={"event": "emulator.operation.broke"})
            error, reply = repr(broken)[:1000], refused(call, unexpected(broken))
        url = f"{call.path}?{call.query}" if call.query else call.path
        self.trace.append(
            Traced(
                call.method,
                url,
                reply.status,
                call.user.id,
                call.batched,
                unsupported,
                {name: value for name, value in call.headers.items() if name not in _SECRET},
                error=error,
            )
        )
        return adding(reply, {"OData-Version": "4.0"})

    def _route(self, call: Call) -> Reply:
        _check_headers(call.headers)
        call = self._callers.admit(call)
        path = segments(resolve(call.path, call.references))
        if not path:
            parse_query(call.query, ())
            return self._service_document(call)
        table = self.dataverse.metadata.entity_set(path[0].name)
        if table is None or self.dataverse.apis.find(path[0].name, Binding.GLOBAL, None):
            done = self._beside_rows(call, path)
            if done is not None:
                return done
        if table is None:
            raise self._unknown(call, path[0].name)
        if path[0].key is None:
            return self._collection(call, table, path[1:])
        place = place_of(self.dataverse, table, path[0])
        if call.method == "PATCH" and len(path) == 1:
            return self._rows.update(call, place)
        check_path(place)
        return self._row(call, table, place.found(), path[1:])

    def _beside_rows(self, call: Call, path: Sequence[Segment]) -> Reply | None:
        """Answer what is about a resource of its own, or an operation; None if it is neither."""
        methods = self._resources.get(path[0].name)
        if methods is None:
            return self.operations.unbound(call, path[0]) if len(path) == 1 else None
        if call.method not in methods:
            raise Unsupported(f"{call.method} {path[0].name}")
        return methods[call.method](call, path)

    def _every_operation(self) -> tuple[Operation, ...]:
        return self.operations.every()

    def _known_operations(self) -> Iterator[Operation]:
        from holdfast_emulator.wire.access import Access
        from holdfast_emulator.wire.bulk import Bulk
        from holdfast_emulator.wire.bulk_delete import BulkDelete
        from holdfast_emulator.wire.environment import Environment

        yield Operation("WhoAmI", self._who_am_i, function=True, takes=frozenset())
        yield from Bulk(self.dataverse).operations()
        yield from BulkDelete(self.dataverse).operations()
        yield from self._metadata.operations()
        yield from Access(self.dataverse).operations()
        yield from Environment(self.dataverse).operations()

    def _unknown(self, call: Call, name: str) -> DataverseFault:
        """Entity sets start with a small letter; what starts otherwise may be an action."""
        if name in _GONE:
            return unknown_segment(name)
        if call.method == "POST" or name[:1] == "$" or name[:1].isupper():
            return Unsupported(f"{call.method} {name[:100]}")
        return unknown_segment(name[:100])

    def _collection(self, call: Call, table: TableDefinition, rest: Sequence[Segment]) -> Reply:
        match call.method, [segment.name for segment in rest]:
            case "GET", [] if "sql" in option_names(call.query):
                return self._asked_in_sql(call, table)
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

    def _asked_in_sql(self, call: Call, table: TableDefinition) -> Reply:
        from holdfast_emulator.wire.sql import SqlService

        return SqlService(self.dataverse).answer(call, table)

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
        held = self._files.place(table, found, rest)
        if held is not None:
            return self._files.answer(call, held, rest[1:])
        match call.method, [segment.name for segment in rest]:
            case "GET", []:
                return rows.retrieve(call, table, found)
            case "DELETE", []:
                parse_query(call.query, ())
                return rows.delete(call, table, found)
            case _, [name] if name.startswith(NAMESPACE):
                return self._operation(call, table, found, rest[0])
            case "GET", ["$value" | "$ref" | "$count" as name]:
                raise Unsupported(f"GET {table.entity_set}(…)/{name}")
            case "GET", _:
                return self._navigation.read(call, table, found, rest)
            case (("PUT" | "DELETE"), [name]) if rest[0].key is None:
                parse_query(call.query, ())
                return rows.write_property(call, table, found, name)
            case "POST", [name] if not rest[0].arguments:
                self.operations.bound(call, rest[0], table, found)  # a namespace may be missing
                return rows.create_below(call, table, found, name)
            case (("POST" | "PUT" | "DELETE"), [_, "$ref"]) if not rest[1].arguments:
                return self._references.write(call, table, found, rest[0])
            case "PATCH", [name] if name not in table.by_wire_name and not self._leads(table, name):
                raise unknown_segment(name[:100])
            case method, names:
                raise Unsupported(f"{method} {table.entity_set}(…)/{'/'.join(names)[:100]}")

    def _leads(self, table: TableDefinition, name: str) -> bool:
        """Tell whether a segment leads from a row to others, or is one of the Web API's own."""
        return name.startswith("$") or self.dataverse.metadata.hop(table.name, name) is not None

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
