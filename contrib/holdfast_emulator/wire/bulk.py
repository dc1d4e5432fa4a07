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
from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault, bad_payload, missing_rows
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.wire.calls import Call, Reply, answer
from holdfast_emulator.wire.conditional import detects_duplicates
from holdfast_emulator.wire.deep import insert
from holdfast_emulator.wire.keys import Place, place_at
from holdfast_emulator.wire.operations import Act, Bound, Invocation, Operation
from holdfast_emulator.wire.payload import Body, Payload
from holdfast_emulator.wire.urls import NAMESPACE

_Target: TypeAlias = Mapping[str, Any]  # Any: what a client wrote
_Write: TypeAlias = Callable[[Call, Place, Body], None]


@dataclass(frozen=True, slots=True)
class Bulk:
    """Answers the bulk messages of one organisation."""

    dataverse: Dataverse

    def operations(self) -> Iterator[Operation]:
        """Yield the bulk messages."""
        acts: Mapping[str, Act] = {
            "CreateMultiple": self.create_multiple,
            "UpdateMultiple": self.update_multiple,
            "UpsertMultiple": partial(self._each, self._upsert),
            "DeleteMultiple": self.delete_multiple,
        }
        for name, act in acts.items():
            yield Operation(name, act, Bound.ROWS, takes=frozenset({"Targets"}))

    def create_multiple(self, invocation: Invocation) -> Reply:
        """Answer ``CreateMultiple`` with the ids, in the order of the targets."""
        call, table = invocation.call, invocation.table
        assert table
        payload = Payload(self.dataverse, table, call.references)
        with self.dataverse.transaction():
            ids = [
                self._insert(call, payload.read(target)).id
                for target in _targets(invocation, table)
            ]
        context = f"{call.root}/$metadata#{NAMESPACE}CreateMultipleResponse"
        return answer({"@odata.context": context, "Ids": ids})

    def update_multiple(self, invocation: Invocation) -> Reply:
        """Answer ``UpdateMultiple``; rows that are not there are named together."""
        call, table = invocation.call, invocation.table
        assert table
        places = [self._place(call, table, target) for target in _targets(invocation, table)]
        ids = [place.found() for place in places]
        missing = [row_id for row_id in ids if self.dataverse.find(table.name, row_id) is None]
        if missing:
            raise missing_rows(table.schema_name, missing)
        return self._each(self._update, invocation)

    def delete_multiple(self, invocation: Invocation) -> Reply:
        """Refuse ``DeleteMultiple``, which elastic tables have and standard ones do not."""
        assert invocation.table
        raise DataverseFault(400, BAD_QUERY, "DeleteMultiple has not yet been implemented.")

    def _each(self, act: _Write, invocation: Invocation) -> Reply:
        call, table = invocation.call, invocation.table
        assert table
        payload = Payload(self.dataverse, table, call.references)
        with self.dataverse.transaction():
            for target in _targets(invocation, table):
                act(call, self._place(call, table, target), payload.read(target))
        return Reply(204)

    def _update(self, call: Call, place: Place, body: Body) -> None:
        values = _without(body.only(), place)
        self.dataverse.update(
            call.user,
            place.table.name,
            place.found(),
            values,
            if_match="*",
            detect_duplicates=detects_duplicates(call.headers),
        )

    def _upsert(self, call: Call, place: Place, body: Body) -> None:
        table = place.table
        if place.row_id is not None and self.dataverse.find(table.name, place.row_id):
            self._update(call, place, body)
            return
        if place.row_id is not None:
            body.values[table.primary_id] = place.row_id
        for name, value in place.values.items():
            body.values.setdefault(name, value)
        self._insert(call, body)

    def _insert(self, call: Call, body: Body) -> Row:
        detects = detects_duplicates(call.headers)
        return insert(self.dataverse, call.user, body, detect_duplicates=detects)

    def _place(self, call: Call, table: TableDefinition, target: _Target) -> Place:
        """Return where the row of a target is: by its primary id, else by ``@odata.id``."""
        given = target.get(table.primary_id)
        if given is not None:
            row_id = _id(table, given)
            return Place(table, row_id, f"{table.entity_set}({row_id})")
        if "@odata.id" not in target:
            raise bad_payload(
                table.entity_set, "A target has neither its primary id nor @odata.id."
            )
        place = place_at(self.dataverse, str(target["@odata.id"]), call.references)
        if place.table.name != table.name:
            raise bad_payload(table.entity_set, "A target is a row of another table.")
        return place


def _without(values: Mapping[str, object], place: Place) -> dict[str, object]:
    """Return the values that are written to a row that is there: its key is not among them."""
    dropped = {place.table.primary_id, *place.values}
    return {name: value for name, value in values.items() if name not in dropped}


def _targets(invocation: Invocation, table: TableDefinition) -> list[_Target]:
    targets = objects(invocation.body(), "Targets")
    expected = f"{NAMESPACE}{table.name}"
    for target in targets:
        if str(target.get("@odata.type", "")).removeprefix("#") != expected:
            raise bad_payload(table.entity_set, f"Each target needs @odata.type {expected}.")
    return targets


def objects(body: Mapping[str, Any], name: str) -> list[_Target]:
    """Return the member ``name``, which must be a list of JSON objects.

    :raises DataverseFault: it is not
    """
    found = body.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise bad_payload("", f"'{name}' is no list of objects.")
    return found


def _id(table: TableDefinition, given: object) -> str:
    try:
        return canonical_id(given)
    except ValueError as error:
        raise bad_payload(
            table.entity_set, f"Cannot convert the literal '{str(given)[:100]}' to 'Edm.Guid'."
        ) from error
