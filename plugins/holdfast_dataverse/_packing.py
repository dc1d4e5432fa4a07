"""Units of ops to batches.

Invariant: a unit is in one batch, whole; one op goes by itself, several in a change set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from holdfast.model import Op, OpKind, Outcome, Refused, Scope, Unit
from holdfast.values import canonical_id
from holdfast_dataverse._batch import ChangeSet, Item, Part
from holdfast_dataverse._bodies import Unsendable, body
from holdfast_dataverse._links import Origin
from holdfast_dataverse._records import preferred_annotations, select

Scopes: TypeAlias = Mapping[str, Scope]
_LARGEST_BODY: Final = 4 << 20
_OVERHEAD: Final = 300  # the bytes of a part beside its path and body, roughly


@dataclass(frozen=True, slots=True)
class Load:
    """One unit, ready to be sent."""

    unit: Unit
    item: Item

    @property
    def size(self) -> int:
        """Roughly the bytes it takes."""
        parts = self.item.parts if isinstance(self.item, ChangeSet) else (self.item,)
        return sum(len(part.body) + len(part.path) + _OVERHEAD for part in parts)


def pack(units: Iterable[Unit], scopes: Scopes, origin: Origin) -> tuple[list[Load], list[Outcome]]:
    """Return what to send, and outcomes for the ops that cannot be sent."""
    loads: list[Load] = []
    refused: list[Outcome] = []
    forms = {table: _Form(scope, origin) for table, scope in scopes.items()}
    for unit in units:
        try:
            parts = tuple(forms[op.table].part(op) for op in unit.ops)
        except Unsendable as error:
            refused += (Refused(op.id, "unsendable", str(error)) for op in unit.ops)
        else:
            loads.append(Load(unit, parts[0] if len(parts) == 1 else ChangeSet(parts)))
    return loads, refused


def batches(loads: Iterable[Load], most_ops: int) -> Iterator[list[Load]]:
    """Yield batches of at most so many ops, unless a unit alone has more."""
    batch: list[Load] = []
    ops = size = 0
    for load in loads:
        count = len(load.unit.ops)
        if batch and (ops + count > most_ops or size + load.size > _LARGEST_BODY):
            yield batch
            batch, ops, size = [], 0, 0
        batch.append(load)
        ops, size = ops + count, size + load.size
    if batch:
        yield batch


class _Form:
    """Makes the requests about one table; what they have in common is made once."""

    def __init__(self, scope: Scope, origin: Origin) -> None:
        self._scope = scope
        self._origin = origin
        self._set = scope.schema.wire["set"]
        self._query = f"?$select={select(scope)}"
        prefer = ("return=representation", preferred_annotations(scope))
        self._headers = {
            "Content-Type": "application/json; type=entry",
            "Accept": "application/json",
            "Prefer": ",".join(filter(None, prefer)),
        }

    def part(self, op: Op) -> Part:
        """Return the request of one op.

        :raises Unsendable: it cannot be written
        """
        row = f"{self._set}({canonical_id(op.row_id)})"
        path = self._origin.path
        match op.kind:
            case OpKind.DELETE:
                return Part("DELETE", path(row), _condition(op))
            case OpKind.UPDATE:
                headers = {**_condition(op), **self._headers}
                return Part("PATCH", path(row + self._query), headers, body(op, self._scope))
            case OpKind.CREATE:
                target = path(self._set + self._query)
                return Part("POST", target, self._headers, body(op, self._scope))


def _condition(op: Op) -> dict[str, str]:
    """Return the precondition; without one an update would create the row that it misses."""
    if op.version is None:
        raise Unsendable("the change does not say which version it was made on; discard it")
    if not op.version.isascii() or not op.version.isprintable():
        raise Unsendable("the version that the change was made on is garbled; discard it")
    return {"If-Match": op.version}
