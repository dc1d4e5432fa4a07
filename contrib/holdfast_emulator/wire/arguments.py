"""What an action or a function is called with: JSON and literals to the types it declares.

Invariant: an argument is of its declared type when an effect sees it; anything else is a 400.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from holdfast.values import canonical_id
from holdfast_emulator.behaviour.custom_api import ApiEntity, ApiParameter, ApiType, CustomApi
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import bad_payload, invalid_argument
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.wire.keys import target_of
from holdfast_emulator.wire.operations import unknown_parameter
from holdfast_emulator.wire.payload import Payload
from holdfast_emulator.wire.urls import NAMESPACE

_TYPE: Final = "@odata.type"
_ID: Final = "@odata.id"
_INT64: Final = 2**63


@dataclass(frozen=True, slots=True)
class Arguments:
    """Reads the arguments of one call.

    :param references: URLs of what the change set made, by Content-ID
    """

    dataverse: Dataverse
    references: Mapping[str, str]

    def read(self, api: CustomApi, given: Mapping[str, object]) -> dict[str, object]:
        """Return the arguments by name; those left out, or null, are not there.

        :raises DataverseFault: 400, one is missing, unknown, or of another type
        """
        known = {parameter.name: parameter for parameter in api.parameters}
        for name in given:
            if name not in known and "@" not in name:
                raise unknown_parameter(api.name, name)
        found: dict[str, object] = {}
        for name, parameter in known.items():
            value = given.get(name)
            if value is not None:
                found[name] = self._value(api, parameter, value)
            elif not parameter.optional:
                raise invalid_argument(f"Required field '{name}' is missing for '{api.name}'.")
        return found

    def _value(self, api: CustomApi, parameter: ApiParameter, value: object) -> object:
        try:
            match parameter.type:
                case ApiType.ENTITY:
                    return self._entity(parameter, value)
                case ApiType.ENTITY_COLLECTION if isinstance(value, list):
                    return [self._entity(parameter, one) for one in value]
                case ApiType.ENTITY_REFERENCE:
                    found = self._entity(parameter, value).reference
                    if found is None:
                        raise ValueError  # noqa: TRY301  told below, as any other wrong value
                    return found
                case kind if kind in _PLAIN:
                    return _PLAIN[kind](value)
        except ValueError:
            pass
        raise bad_payload(
            api.name,
            f"Cannot convert the value of the parameter '{parameter.name}' to the expected type "
            f"'{parameter.type.value}'.",
        )

    def _entity(self, parameter: ApiParameter, value: object) -> ApiEntity:
        if not isinstance(value, dict):
            raise ValueError("no entity")
        if isinstance(value.get(_ID), str):
            target = target_of(self.dataverse, value[_ID], self.references)
            return ApiEntity(target.table, target.id)
        table = self._table(parameter, value)
        body = {name: self._bound(table, name, inner) for name, inner in value.items()}
        bound = {name: inner for renamed in body.values() for name, inner in renamed.items()}
        values = Payload(self.dataverse, table, self.references).values(bound)
        given = values.get(table.primary_id)
        return ApiEntity(table.name, None if given is None else canonical_id(given), values)

    def _table(self, parameter: ApiParameter, value: Mapping[str, object]) -> TableDefinition:
        kind = str(value.get(_TYPE, parameter.table or ""))
        name = kind.removeprefix("#").removeprefix(NAMESPACE)
        table = self.dataverse.metadata.tables.get(name)
        if table is None or parameter.table not in (None, name):
            raise invalid_argument(
                f"The type of the entity in '{parameter.name}' is missing or not valid."
            )
        return table

    def _bound(self, table: TableDefinition, name: str, inner: object) -> dict[str, object]:
        """Turn a row that stands inside, as nothing but its id, into a binding."""
        if not isinstance(inner, dict):
            return {name: inner}
        kind = str(inner.get(_TYPE, "")).removeprefix("#").removeprefix(NAMESPACE)
        for hop in self.dataverse.metadata.hops(table.name):
            if hop.navigation != name or kind not in ("", hop.target):
                continue
            target = self.dataverse.metadata.tables[hop.target]
            if inner.keys() - {_TYPE} == {target.primary_id}:
                url = f"/{target.entity_set}({inner[target.primary_id]})"
                return {f"{name}@odata.bind": url}
        return {name: inner}


def _truth(value: object) -> object:
    if not isinstance(value, bool):
        raise ValueError("no boolean")
    return value


def _whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        raise ValueError("no whole number")
    return value


def _exact(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("no number")
    return Decimal(value)


def _double(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("no number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("too large a number") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _texts(value: object) -> object:
    if not isinstance(value, list):
        raise ValueError("no list")
    return [_text(one) for one in value]


def _bytes(value: object) -> object:
    return b64decode(_text(value), validate=True)  # what is no base64 is a ValueError, too


def _moment(value: object) -> object:
    datetime.fromisoformat(_text(value))
    return value


_PLAIN: Final[Mapping[ApiType, Callable[[object], object]]] = {
    ApiType.BINARY: _bytes,
    ApiType.BOOLEAN: _truth,
    ApiType.DATETIME: _moment,
    ApiType.DECIMAL: _exact,
    ApiType.FLOAT: _double,
    ApiType.GUID: canonical_id,
    ApiType.INTEGER: _whole,
    ApiType.STRING: _text,
    ApiType.STRING_ARRAY: _texts,
}
