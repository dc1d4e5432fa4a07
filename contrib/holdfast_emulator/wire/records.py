"""Records of joined and aggregated queries as JSON objects.

Invariant: null is left out, with all that would be said about it. An annotation precedes the
property it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from holdfast.values import Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.queries.outputs import Output, Record, Retrieval, Value
from holdfast_emulator.wire.cells import converter
from holdfast_emulator.wire.formats import formatter
from holdfast_emulator.wire.options import FORMATTED, LOOKUP_TABLE, NAVIGATION, Preferences
from holdfast_emulator.wire.shapes import Json

ATTRIBUTE: Final = "OData.Community.Display.V1.AttributeName"
_Write: TypeAlias = Callable[[Value, Json], None]


@dataclass
class RecordWriter:
    """Writes the records of one answer; looks up each name once."""

    dataverse: Dataverse
    user: User
    retrieval: Retrieval
    preferences: Preferences
    _names: dict[Reference, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._steps = [self._step(output) for output in self.retrieval.outputs]
        self._primary_id = self._table.primary_id
        self._has_id = any(o.name == self._primary_id for o in self.retrieval.outputs)

    def write(self, record: Record) -> Json:
        """Return the JSON object of a record."""
        out: Json = {"@odata.etag": record.root.etag} if record.root else {}
        for step, value in zip(self._steps, record.values, strict=True):
            if value is not None:
                step(value, out)
        if record.root and not self._has_id:
            out[self._primary_id] = record.root.id
        return out

    @property
    def _table(self) -> TableDefinition:
        return self.retrieval.plan.root.table

    def _step(self, output: Output) -> _Write:
        name, wants = output.name, self.preferences.wants
        attribute = output.attribute if output.aliased and wants(ATTRIBUTE) else None
        label = self._label(output) if wants(FORMATTED) else None
        table = wants(LOOKUP_TABLE)
        navigation = wants(NAVIGATION) and not output.aliased
        convert, show = converter(output.column), output.show

        def step(value: Value, out: Json) -> None:
            if attribute is not None:
                out[f"{name}@{ATTRIBUTE}"] = attribute
            text = label(value) if label else None
            if text is not None:
                out[f"{name}@{FORMATTED}"] = text
            if isinstance(value, Reference):
                if navigation:
                    out[f"{name}@{NAVIGATION}"] = self._navigation(output.attribute, value.table)
                if table:
                    out[f"{name}@{LOOKUP_TABLE}"] = value.table
                out[name] = value.id
                return
            if show is not None:
                out[name] = show(value)
            else:
                out[name] = value if convert is None else convert(value)

        return step

    def _label(self, output: Output) -> Callable[[Value], str | None] | None:
        if output.label is not None:
            return output.label
        form = formatter(output.column)

        def label(value: Value) -> str | None:
            if isinstance(value, Reference):
                return self._name(value)
            return form(value) if form else None

        return label

    def _name(self, target: Reference) -> str | None:
        if target not in self._names:
            self._names[target] = self.dataverse.name_of(self.user, target)
        return self._names[target]

    def _navigation(self, column: str, target: str) -> str:
        metadata = self.dataverse.metadata
        return metadata.navigation_of(self._table.name, column, target) or column
