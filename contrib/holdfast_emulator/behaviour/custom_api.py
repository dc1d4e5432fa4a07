"""Actions and functions that are registered in Python, as custom APIs are in Dataverse.

Invariant: the effect runs inside one transaction: whatever it raises undoes all that it did. The
platform's own actions are registered in the same way, and may be replaced.

::

    def approve(request: ApiRequest) -> Mapping[str, object]:
        assert request.row
        comment = request.arguments.get("Comment")
        values = {"creditonhold": False, "description": comment}
        request.dataverse.update(request.user, "account", request.row.id, values)
        return {"Approved": True}

    dataverse.register(
        CustomApi(
            "new_Approve",
            approve,
            Binding.ENTITY,
            table="account",
            parameters=(ApiParameter("Comment", ApiType.STRING, optional=True),),
            results=(ApiParameter("Approved", ApiType.BOOLEAN),),
        )
    )

answers ``POST accounts(…)/Microsoft.Dynamics.CRM.new_Approve`` with ``{"Approved": true}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from holdfast.values import Reference
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import User

if TYPE_CHECKING:
    from holdfast_emulator.behaviour.dataverse import Dataverse


class ApiType(Enum):
    """What a parameter or a result is, and what an effect gets or gives for it."""

    BINARY = "Edm.Binary"  # bytes
    BOOLEAN = "Edm.Boolean"  # bool
    DATETIME = "Edm.DateTimeOffset"  # str as in a row, or a datetime to give
    DECIMAL = "Edm.Decimal"  # Decimal
    FLOAT = "Edm.Double"  # float
    GUID = "Edm.Guid"  # str
    INTEGER = "Edm.Int64"  # int
    STRING = "Edm.String"  # str
    STRING_ARRAY = "Collection(Edm.String)"  # list of str
    ENTITY = "mscrm.crmbaseentity"  # an ApiEntity; a Row or a Reference to give
    ENTITY_COLLECTION = "Collection(mscrm.crmbaseentity)"  # list of those
    ENTITY_REFERENCE = "mscrm.crmbaseentity reference"  # Reference


class Binding(Enum):
    """What an action or a function is called on."""

    GLOBAL = "nothing"
    ENTITY = "a row"
    ENTITY_COLLECTION = "a table"


@dataclass(frozen=True, slots=True)
class ApiParameter:
    """A parameter or a result.

    :param table: of an entity that is always of one table, so that a caller need not name it
    """

    name: str
    type: ApiType
    optional: bool = False
    table: str | None = None


@dataclass(frozen=True, slots=True)
class ApiEntity:
    """A row as a caller writes it: ``values`` go into ``Dataverse.create`` or ``update``.

    :param id: the primary id, if the caller gave one
    """

    table: str
    id: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def reference(self) -> Reference | None:
        """The row that it is, if it has an id."""
        return None if self.id is None else Reference(self.table, self.id)


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One call, with everything that an effect needs.

    :param arguments: the parameters that were given, by name, each of the type it was declared with
    :param row: what the call is bound to; the caller may read it
    """

    dataverse: Dataverse
    user: User
    arguments: Mapping[str, object]
    row: Row | None = None


#: What it does; returns the results by name, and raises ``DataverseFault`` to refuse.
ApiEffect: TypeAlias = Callable[[ApiRequest], Mapping[str, object] | None]


@dataclass(frozen=True, slots=True)
class CustomApi:
    """An action, or a function, which is called with GET and changes nothing.

    :param table: what it is bound to, if it is
    """

    name: str
    effect: ApiEffect
    binding: Binding = Binding.GLOBAL
    table: str | None = None
    function: bool = False
    parameters: tuple[ApiParameter, ...] = ()
    results: tuple[ApiParameter, ...] = ()

    def __post_init__(self) -> None:
        if self.binding is Binding.GLOBAL and self.table is not None:
            raise ValueError(f"{self.name} is bound to nothing; leave its table out")


class CustomApis:
    """What is registered, by name and binding."""

    def __init__(self, known: Iterable[CustomApi] = ()) -> None:
        self._known: dict[tuple[str, Binding, str | None], CustomApi] = {}
        for api in known:
            self.register(api)

    def register(self, api: CustomApi) -> None:
        """Add an action or a function, in the place of one with the same name and binding."""
        self._known[api.name, api.binding, api.table] = api

    def find(self, name: str, binding: Binding, table: str | None) -> CustomApi | None:
        """Return what has this name and can be called on ``table``."""
        return self._known.get((name, binding, table)) or self._known.get((name, binding, None))
