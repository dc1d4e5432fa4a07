"""Actions and functions: what the Web API does beside rows and metadata.

Invariant: an operation is known by its name and by what it is bound to; what is bound to a row or
to a set of rows carries the namespace in the URL, what is bound to nothing does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import unquote_plus

import msgspec

from holdfast_emulator.behaviour.faults import DataverseFault, bad_payload
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, bad_query
from holdfast_emulator.wire.options import parse_query
from holdfast_emulator.wire.urls import NAMESPACE, Segment, parse_literal, split_outside


class Bound(Enum):
    """What an operation is called on."""

    NOTHING = "nothing"  # POST WinOpportunity
    ROWS = "rows"  # POST accounts/Microsoft.Dynamics.CRM.CreateMultiple
    ROW = "row"  # POST queues(id)/Microsoft.Dynamics.CRM.AddToQueue


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of an operation.

    :param table: what it is bound to; None when it is bound to nothing
    :param row_id: the row that it is bound to
    :param parameters: of a function, by name; an action finds its own in :meth:`body`
    :param takes: the names that they may have; None means that the operation looks itself
    """

    call: Call
    table: TableDefinition | None = None
    row_id: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON and OData literals
    takes: frozenset[str] | None = None

    def body(self) -> dict[str, Any]:  # Any: what a client wrote
        """Return the parameters of an action.

        :raises DataverseFault: 400, the body is no JSON object, or names a parameter that is none
        """
        body = self.call.json()
        takes = body.keys() if self.takes is None else self.takes
        for name in body.keys() - takes:
            if "@" not in name:
                operation = self.call.path.rpartition("/")[2]
                raise unknown_parameter(operation.removeprefix(NAMESPACE), name)
        return body


Act: TypeAlias = Callable[[Invocation], Reply]


@dataclass(frozen=True, slots=True)
class Operation:
    """An action (POST) or a function (GET).

    :param tables: the tables it may be bound to, by logical name; None means all
    :param takes: the names of its parameters; None means that it looks itself
    """

    name: str
    act: Act
    bound: Bound = Bound.NOTHING
    function: bool = False
    tables: frozenset[str] | None = None
    takes: frozenset[str] | None = None


class Others(Protocol):
    """Where operations are looked for that are not known by name yet."""

    def __call__(
        self, name: str, bound: Bound, table: str | None, *, function: bool
    ) -> Operation | None:
        """Return the operation of this name and binding, if there is one."""


class Operations:
    """The operations of one organisation, by name.

    :param others: what was registered while the organisation runs; it goes first
    """

    def __init__(self, known: Iterable[Operation] = (), others: Others | None = None) -> None:
        self._others = others
        self._known: dict[tuple[str, Bound, bool], Operation] = {}
        for operation in known:
            self.register(operation)

    def register(self, operation: Operation) -> None:
        """Add an operation, in the place of one with the same name and binding."""
        self._known[operation.name, operation.bound, operation.function] = operation

    def every(self) -> tuple[Operation, ...]:
        """Return all that are known by name."""
        return tuple(self._known.values())

    def unbound(self, call: Call, segment: Segment) -> Reply | None:
        """Carry out what is bound to nothing; None when there is no such operation."""
        found = self._find(call, segment.name, Bound.NOTHING, None)
        return None if found is None else _perform(found, call, segment, None, None)

    def bound(
        self, call: Call, segment: Segment, table: TableDefinition, row_id: str | None
    ) -> Reply | None:
        """Carry out what is bound to a table or a row; None when there is no such operation.

        :raises DataverseFault: 400, there is one, and its namespace is missing
        """
        kind = Bound.ROWS if row_id is None else Bound.ROW
        found = self._find(call, segment.name.removeprefix(NAMESPACE), kind, table.name)
        if found is None or (found.tables is not None and table.name not in found.tables):
            return None
        if not segment.name.startswith(NAMESPACE):
            raise bad_query("Request message has unresolved parameters.")
        return _perform(found, call, segment, table, row_id)

    def _find(self, call: Call, name: str, bound: Bound, table: str | None) -> Operation | None:
        if call.method not in ("GET", "POST"):
            return None
        function = call.method == "GET"
        found = self._others(name, bound, table, function=function) if self._others else None
        return found or self._known.get((name, bound, function))


def _perform(
    operation: Operation,
    call: Call,
    segment: Segment,
    table: TableDefinition | None,
    row_id: str | None,
) -> Reply:
    parameters: Mapping[str, Any] = {}
    if operation.function:
        parameters = _parameters(call, segment)
        if operation.takes is not None and parameters.keys() - operation.takes:
            raise bad_query("Request message has unresolved parameters.")
    else:
        parse_query(call.query, ())
    return operation.act(Invocation(call, table, row_id, parameters, operation.takes))


def unknown_parameter(operation: str, name: str) -> DataverseFault:
    """Return the fault for a parameter that an action does not have."""
    return bad_payload(
        operation,
        f"The parameter '{name[:100]}' in the request payload is not a valid parameter for the "
        f"operation '{operation}'.",
    )


_TAGS: Final = ("tag",)


def _parameters(call: Call, segment: Segment) -> dict[str, Any]:
    """Return the parameters of a function: ``F(P=@p1)?@p1=…``, or ``F(P='x')``.

    :raises DataverseFault: an alias has no value, or a value is neither a literal nor JSON
    """
    aliases: dict[str, str] = {}
    for part in call.query.split("&"):
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        if name.startswith("@"):
            aliases[name] = unquote_plus(value)
        elif name.startswith("$"):
            raise bad_query(f"The query parameter {name[:100]} is not supported.")
        elif name and name not in _TAGS:
            raise Unsupported(f"the query option {name[:100]!r}")
    found: dict[str, Any] = {}
    for part in split_outside(segment.arguments, ","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not name and not equals:
            continue
        if value.startswith("@"):
            if value not in aliases:
                raise bad_query(f"The parameter alias '{value[:100]}' has no value.")
            value = aliases[value]
        found[name] = _value(value)
    return found


#: A text in a JSON parameter: in double quotes, or in single ones as the documentation has it.
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*\\?(?:"|\Z)|\'[^\']*(?:\'|\Z)', re.DOTALL)


def _requoted(found: re.Match[str]) -> str:
    text = found[0]
    if text[0] == '"' or len(text) == 1 or text[-1] != "'":
        return text
    return msgspec.json.encode(text[1:-1]).decode()


def _value(text: str) -> Any:  # Any: see Invocation
    if text[:1] in ("{", "["):
        try:
            return msgspec.json.decode(_QUOTED.sub(_requoted, text))
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_query(f"A parameter is no JSON: {error}") from error
    if text.startswith(NAMESPACE):  # an enumeration: Microsoft.Dynamics.CRM.X'Member'
        return text.partition("'")[2].removesuffix("'")
    return parse_literal(text)
