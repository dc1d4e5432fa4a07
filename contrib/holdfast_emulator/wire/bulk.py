"""Bulk messages: many rows of one table in one transaction.

Invariant: any error undoes all of it and names no row, as on standard tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from holdfast.values import canonical_id
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault, bad_payload, unknown_segment
from holdfast_emulator.behaviour.metadata import TableDefinition, metadata_id
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, answer
from holdfast_emulator.wire.operations import Bound, Invocation, Operation
from holdfast_emulator.wire.payload import Payload, target_of
from holdfast_emulator.wire.urls import NAMESPACE

_Target: TypeAlias = Mapping[str, Any]  # Any: what a client wrote
_Act: TypeAlias = Callable[[Call, TableDefinition, _Target], str]


@dataclass(frozen=True, slots=True)
class Bulk:
    """Answers the bulk messages of one organisation."""

    dataverse: Dataverse

    def operations(self) -> Iterator[Operation]:
        """Yield the bulk messages."""
        yield Operation("CreateMultiple", self.create_multiple, Bound.ROWS)
        yield Operation("UpdateMultiple", partial(self._each, self._update), Bound.ROWS)
        yield Operation("UpsertMultiple", partial(self._each, self._upsert), Bound.ROWS)
        yield Operation("BulkDelete", self.delete)

    def create_multiple(self, invocation: Invocation) -> Reply:
        """Answer ``CreateMultiple`` with the ids, in the order of the targets."""
        call, table = invocation.call, invocation.table
        assert table
        targets = self._targets(call, table)
        with self.dataverse.transaction():
            ids = [self._create(call, table, target) for target in targets]
        context = f"{call.root}/$metadata#{NAMESPACE}CreateMultipleResponse"
        return answer({"@odata.context": context, "Ids": ids})

    def _each(self, act: _Act, invocation: Invocation) -> Reply:
        call, table = invocation.call, invocation.table
        assert table
        targets = self._targets(call, table)
        with self.dataverse.transaction():
            for target in targets:
                act(call, table, target)
        return Reply(204)

    def delete(self, invocation: Invocation) -> Reply:
        """Answer ``BulkDelete`` for lists of ids; it happens at once, the job id is for show."""
        call = invocation.call
        body = call.json()
        doomed = [pair for query in _list(body, "QuerySet") for pair in self._doomed(query)]
        with self.dataverse.transaction():
            for table, row_id in doomed:
                self._delete(call, table, row_id)
        job = metadata_id("job", str(body.get("JobName")), *(row_id for _, row_id in doomed))
        context = f"{call.root}/$metadata#{NAMESPACE}BulkDeleteResponse"
        return answer({"@odata.context": context, "JobId": job})

    def _delete(self, call: Call, table: TableDefinition, row_id: str) -> None:
        try:
            self.dataverse.delete(call.user, table.name, row_id)
        except DataverseFault as fault:
            if fault.status != 404:  # a query finds what is there
                raise

    def _targets(self, call: Call, table: TableDefinition) -> list[_Target]:
        targets = _list(call.json(), "Targets")
        expected = f"{NAMESPACE}{table.name}"
        for target in targets:
            if str(target.get("@odata.type", "")).removeprefix("#") != expected:
                raise bad_payload(table.entity_set, f"Each target needs @odata.type {expected}.")
        return targets

    def _create(self, call: Call, table: TableDefinition, target: _Target) -> str:
        return self.dataverse.create(call.user, table.name, self._values(call, table, target)).id

    def _update(self, call: Call, table: TableDefinition, target: _Target) -> str:
        row_id, values = self._identified(call, table, target)
        return self.dataverse.update(call.user, table.name, row_id, values, if_match="*").id

    def _upsert(self, call: Call, table: TableDefinition, target: _Target) -> str:
        row_id, values = self._identified(call, table, target)
        return self.dataverse.upsert(call.user, table.name, row_id, values)[0].id

    def _identified(
        self, call: Call, table: TableDefinition, target: _Target
    ) -> tuple[str, dict[str, object]]:
        values = self._values(call, table, target)
        given = values.pop(table.primary_id, None)
        if given is not None:
            return _id(table, given), values
        if "@odata.id" not in target:
            raise bad_payload(
                table.entity_set, "A target has neither its primary id nor @odata.id."
            )
        found = target_of(self.dataverse.metadata, str(target["@odata.id"]), call.references)
        return found.id, values

    def _values(self, call: Call, table: TableDefinition, target: _Target) -> dict[str, object]:
        return Payload(self.dataverse.metadata, table, call.references).values(target)

    def _doomed(self, query: _Target) -> list[tuple[TableDefinition, str]]:
        table = self.dataverse.metadata.table(str(query.get("EntityName")))
        if table is None:
            raise unknown_segment(str(query.get("EntityName"))[:100])
        criteria = query.get("Criteria")
        conditions = _list(criteria, "Conditions") if isinstance(criteria, dict) else []
        match conditions:
            case [{"AttributeName": name, "Operator": "In", "Values": [*values]}] if (
                name == table.primary_id
            ):
                return [(table, _id(table, _value(value))) for value in values]
        raise Unsupported("BulkDelete by anything but a list of ids")


def _list(body: Mapping[str, Any], name: str) -> list[_Target]:
    found = body.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise bad_payload("", f"'{name}' is no list of objects.")
    return found


def _value(value: object) -> object:
    return value.get("Value") if isinstance(value, dict) else value


def _id(table: TableDefinition, given: object) -> str:
    try:
        return canonical_id(given)
    except ValueError as error:
        raise bad_payload(
            table.entity_set, f"Cannot convert the literal '{str(given)[:100]}' to 'Edm.Guid'."
        ) from error
