"""Registered actions and functions on the wire: arguments in, results out.

Invariant: a call is one transaction, and what an effect raises is a refusal: its own, if it is a
fault, else that of a plug-in that crashed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from holdfast.values import Reference
from holdfast_emulator.behaviour.custom_api import (
    ApiRequest,
    ApiType,
    Binding,
    CustomApi,
)
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.wire.arguments import Arguments
from holdfast_emulator.wire.calls import Call, Reply, answer
from holdfast_emulator.wire.operations import Bound, Invocation, Operation
from holdfast_emulator.wire.options import preferences
from holdfast_emulator.wire.selecting import shape_of
from holdfast_emulator.wire.shapes import Json, RowWriter
from holdfast_emulator.wire.urls import NAMESPACE

_PLUGIN_CRASH: Final = "0x80040224"
_BINDINGS: Final = {
    Bound.NOTHING: Binding.GLOBAL,
    Bound.ROW: Binding.ENTITY,
    Bound.ROWS: Binding.ENTITY_COLLECTION,
}


@dataclass(frozen=True, slots=True)
class ApiService:
    """Answers calls of what is registered."""

    dataverse: Dataverse

    def operation(
        self, name: str, bound: Bound, table: str | None, *, function: bool
    ) -> Operation | None:
        """Return the operation that calls what is registered under this name, if anything is."""
        api = self.dataverse.apis.find(name, _BINDINGS[bound], table)
        if api is None or api.function is not function:
            return None
        return Operation(name, lambda invocation: self._call(api, invocation), bound, function)

    def _call(self, api: CustomApi, invocation: Invocation) -> Reply:
        call = invocation.call
        given = invocation.parameters if api.function else _body(call)
        arguments = Arguments(self.dataverse, call.references).read(api, given)
        row: Row | None = None
        if invocation.table is not None and invocation.row_id is not None:
            row = self.dataverse.retrieve(call.user, invocation.table.name, invocation.row_id)
        request = ApiRequest(self.dataverse, call.user, arguments, row)
        with self.dataverse.transaction():
            results = _perform(api, request)
        if results is None and not api.function:
            return Reply(204)
        return self._reply(api, call, results or {})

    def _reply(self, api: CustomApi, call: Call, results: Mapping[str, object]) -> Reply:
        metadata = f"{call.root}/$metadata#"
        if len(api.results) == 1 and api.results[0].name in results:
            (result,) = api.results
            value = results[result.name]
            if result.type is ApiType.ENTITY and isinstance(value, Row):
                context = f"{metadata}{value.definition.entity_set}/$entity"
                return answer({"@odata.context": context, **self._row(call, value)})
            if result.type is ApiType.ENTITY_COLLECTION:
                context = f"{metadata}Collection(Microsoft.Dynamics.CRM.crmbaseentity)"
                return answer({"@odata.context": context, "value": self._json(call, value)})
        body: Json = {"@odata.context": f"{metadata}{NAMESPACE}{api.name}Response"}
        body.update((name, self._json(call, value)) for name, value in results.items())
        return answer(body)

    def _json(self, call: Call, value: object) -> object:
        match value:
            case Row():
                kind = {"@odata.type": f"#{NAMESPACE}{value.table}"}
                return kind | self._row(call, value)
            case Reference(table, row_id):
                key = self.dataverse.metadata.tables[table].primary_id
                return {"@odata.type": f"#{NAMESPACE}{table}", key: row_id}
            case bytes():
                return b64encode(value).decode()
            case datetime():
                return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            case list() | tuple():
                return [self._json(call, one) for one in value]
            case _:
                return value

    def _row(self, call: Call, row: Row) -> Json:
        prefer = preferences(call.headers.get("prefer", ""))
        shape = shape_of(self.dataverse, row.definition, None, (), prefer)
        return RowWriter(self.dataverse, call.user, shape, call.root).write(row)


def _body(call: Call) -> Mapping[str, object]:
    return call.json() if call.body.strip() else {}


def _perform(api: CustomApi, request: ApiRequest) -> Mapping[str, object] | None:
    """Let the effect happen.

    :raises DataverseFault: it was refused, or is broken
    """
    try:
        return _declared(api, api.effect(request))
    except DataverseFault:
        raise
    except Exception as error:
        raise DataverseFault(
            500,
            _PLUGIN_CRASH,
            "An unexpected error occurred from ISV code. (ErrorType = ClientError) Unexpected "
            f"exception from plug-in (Execute): {api.name}: {type(error).__name__}: {error}",
        ) from error


def _declared(api: CustomApi, results: Mapping[str, object] | None) -> Mapping[str, object] | None:
    unknown = (results or {}).keys() - {result.name for result in api.results}
    if unknown:
        raise ValueError(f"{api.name} declares no result {', '.join(sorted(unknown))}")
    return results
