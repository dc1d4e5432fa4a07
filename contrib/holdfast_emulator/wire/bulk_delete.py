"""``BulkDelete``: the rows that queries find, deleted by a job.

Invariant: it happens at once, and the job that is answered with is done. As in a job, each row goes
or stays by itself; what kept it is told in the job's row, not in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from holdfast.values import Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault, bad_payload, unknown_segment
from holdfast_emulator.behaviour.jobs import JOBS, bulk_deletion
from holdfast_emulator.behaviour.principals import Privilege
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.queries.fetchxml.binding import bind
from holdfast_emulator.queries.retrieve import Window, retrieve
from holdfast_emulator.wire.bulk import objects
from holdfast_emulator.wire.calls import Reply, Unsupported, answer
from holdfast_emulator.wire.operations import Invocation, Operation
from holdfast_emulator.wire.query_expression import ids_of
from holdfast_emulator.wire.urls import NAMESPACE

_Json: TypeAlias = Mapping[str, Any]  # Any: what a client wrote
_EVERYTHING: Final = 2**31
_PARAMETERS: Final = frozenset(
    {
        *("QuerySet", "JobName", "RecurrencePattern", "StartDateTime", "RunNow"),
        *("SendEmailNotification", "ToRecipients", "CCRecipients", "SourceImportId"),
    }
)


@dataclass(frozen=True, slots=True)
class BulkDelete:
    """Answers ``BulkDelete`` of one organisation."""

    dataverse: Dataverse

    def operations(self) -> Iterator[Operation]:
        """Yield the one action."""
        yield Operation("BulkDelete", self.delete, takes=_PARAMETERS)

    def delete(self, invocation: Invocation) -> Reply:
        """Delete what the queries find, and answer with the job."""
        call = invocation.call
        body = invocation.body()
        name = body.get("JobName")
        if not isinstance(name, str):
            raise bad_payload("BulkDelete", "The parameter 'JobName' is missing or no text.")
        if body.get("RecurrencePattern"):
            raise Unsupported("BulkDelete with a RecurrencePattern")
        # All queries are asked first: one that is wrong must not leave others carried out.
        found = [self._found(call.user, query) for query in objects(body, "QuerySet")]
        failures: dict[str, str] = {}
        with self.dataverse.transaction():
            for table, ids in found:
                for row_id in ids:
                    self._delete(call.user, table, row_id, failures)
            done = bulk_deletion(name, self.dataverse.clock(), failures)
            owner = Reference("systemuser", call.user.id)
            job = self.dataverse.create(self.dataverse.system, JOBS, {**done, "ownerid": owner})
        context = f"{call.root}/$metadata#{NAMESPACE}BulkDeleteResponse"
        return answer({"@odata.context": context, "JobId": job.id})

    def _delete(self, user: User, table: str, row_id: str, failures: dict[str, str]) -> None:
        try:
            self.dataverse.delete(user, table, row_id)
        except DataverseFault as fault:
            if fault.status != 404:  # it went with another one
                failures[row_id] = fault.message

    def _found(self, user: User, query: _Json) -> tuple[str, list[str]]:
        """Return the table of a query and the ids of the rows that it finds."""
        if str(query.get("@odata.type", "QueryExpression")).rpartition(".")[2] != "QueryExpression":
            raise Unsupported("BulkDelete by anything but a QueryExpression")
        table = self.dataverse.metadata.table(str(query.get("EntityName")))
        if table is None:
            raise unknown_segment(str(query.get("EntityName"))[:100])
        asking, security = self.dataverse.asking(user), self.dataverse.security
        fetch = ids_of(query, table.primary_id)
        retrieval = bind(fetch, asking, lambda one: security.check(user, one, Privilege.READ))
        window = Window(limit=fetch.top or _EVERYTHING)
        records = retrieve(retrieval, asking, window).records
        return table.name, [str(record.values[0]) for record in records]
