"""``EntityDefinitions`` and ``RelationshipDefinitions``: questions about the metadata.

Invariant: a filter on a name nobody has is an empty answer; a key nobody has is a 404.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from holdfast_emulator.behaviour.faults import MISSING_ROW, DataverseFault, unknown_segment
from holdfast_emulator.behaviour.metadata import ColumnDefinition, Metadata, TableDefinition
from holdfast_emulator.wire import metadata_json as shapes
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, answer, bad_query
from holdfast_emulator.wire.metadata_json import Json
from holdfast_emulator.wire.options import parse_simple_filter
from holdfast_emulator.wire.urls import NAMESPACE, Id, Key, Named, Segment, split_outside

_OPTIONS: Final = ("$select", "$filter", "$expand", "$top")
_ALWAYS: Final = ("@odata.type", "MetadataId")
_ATTRIBUTE: Final = re.compile(r"(?:Microsoft\.Dynamics\.CRM\.)(\w+AttributeMetadata)\Z")
_ONE_TO_MANY: Final = f"{NAMESPACE}OneToManyRelationshipMetadata"


@dataclass(frozen=True, slots=True)
class _Ask:
    """The query options of a question about metadata, and of what it expands."""

    select: tuple[str, ...] | None = None
    where: Mapping[str, frozenset[str]] | None = None
    expand: tuple[tuple[str, str], ...] = ()

    def picks(self, item: Json) -> bool:
        """Tell whether the filter lets the item through."""
        return all(_text(_dig(item, name)) in values for name, values in (self.where or {}).items())

    def cut(self, item: Json) -> Json:
        """Return what ``$select`` and ``$expand`` leave of an item."""
        expanded = {name: _cut_nested(item, name, options) for name, options in self.expand}
        if self.select is None:
            kept = {k: v for k, v in item.items() if k not in shapes.EXPANDABLE}
        else:
            kept = {name: item[name] for name in _ALWAYS if name in item}
            kept |= {name: _selected(item, name) for name in self.select}
        return kept | expanded


def _dig(item: Json, path: str) -> object:
    head, _, rest = path.partition("/")
    found = _selected(item, head)
    return _dig(found, rest) if rest and isinstance(found, dict) else found


def _selected(item: Json, name: str) -> object:
    if name not in item:
        raise bad_query(f"Could not find a property named '{name[:100]}' on the metadata type.")
    return item[name]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cut_nested(item: Json, name: str, options: str) -> object:
    found = _selected(item, name)
    nested = _parse(options, ";")
    if isinstance(found, list):
        return [nested.cut(one) for one in found if nested.picks(one)]
    return nested.cut(found) if isinstance(found, dict) else found


def _parse(query: str, separator: str = "&") -> _Ask:
    given: dict[str, str] = {}
    for part in split_outside(query, separator):
        name, equals, value = part.strip().partition("=")
        if not name:
            continue
        if not equals or name in given or name not in _OPTIONS:
            raise Unsupported(f"the option {name[:50]!r} on metadata")
        given[name] = value
    select = [name.strip() for name in given.get("$select", "").split(",") if name.strip()]
    if "$top" in given:
        raise Unsupported("$top on metadata")
    return _Ask(
        tuple(select) or None,
        parse_simple_filter(given["$filter"]) if "$filter" in given else None,
        tuple(_expansion(part) for part in split_outside(given.get("$expand", ""), ",") if part),
    )


def _expansion(part: str) -> tuple[str, str]:
    name, _, options = part.strip().partition("(")
    return name, options.removesuffix(")")


@dataclass(frozen=True, slots=True)
class Definitions:
    """Answers GET on the metadata."""

    metadata: Metadata

    def tables(self, call: Call, path: Sequence[Segment]) -> Reply:
        """Answer ``EntityDefinitions…``."""
        ask = _parse(unquote_plus(call.query))
        if path[0].key is None:
            every = (self._table_json(table, ask) for table in shapes.tables(self.metadata))
            return _many(call, "EntityDefinitions", every, ask)
        table = self._find(path[0].key)
        if len(path) == 1:
            return _one(call, "EntityDefinitions", self._table_json(table, ask), ask)
        collection = self._collections(table).get(path[1].name)
        if collection is None and path[1].name in shapes.table_json(table):
            raise Unsupported("single properties of metadata")
        if collection is None:
            raise unknown_segment(path[1].name)
        if path[1].name == "Attributes":
            return _attributes(call, table, path[1:], ask)
        if len(path) > 2 or path[1].key is not None:
            raise Unsupported(f"{path[1].name} by key")
        return _many(call, path[1].name, collection(), ask)

    def relationships(self, call: Call, path: Sequence[Segment]) -> Reply:
        """Answer ``RelationshipDefinitions…``; there are one-to-many relationships only."""
        ask = _parse(unquote_plus(call.query))
        every = [shapes.relationship_json(r) for r in self.metadata.relationships.values()]
        rest = [segment.name for segment in path[1:]]
        if rest not in ([], [_ONE_TO_MANY]):
            raise Unsupported("/".join(["RelationshipDefinitions", *rest]))
        key = path[0].key
        if key is None:
            return _many(call, "RelationshipDefinitions", every, ask)
        wanted = {"MetadataId": key.id} if isinstance(key, Id) else dict(key.values)
        for one in every:
            if all(one.get(name) == value for name, value in wanted.items()):
                return _one(call, "RelationshipDefinitions", one, ask)
        raise _missing("relationship", str(wanted))

    def _table_json(self, table: TableDefinition, ask: _Ask) -> Json:
        item = shapes.table_json(table)
        for name, _ in ask.expand:
            collection = self._collections(table).get(name)
            if collection is None:
                raise bad_query(f"Could not find a property named '{name}' on EntityMetadata.")
            item[name] = list(collection())
        return item

    def _collections(self, table: TableDefinition) -> Mapping[str, Callable[[], Iterable[Json]]]:
        metadata = self.metadata
        return {
            "Attributes": lambda: shapes.attributes(table),
            "ManyToOneRelationships": lambda: map(
                shapes.relationship_json, metadata.many_to_one(table.name)
            ),
            "OneToManyRelationships": lambda: map(
                shapes.relationship_json, metadata.one_to_many(table.name)
            ),
            "ManyToManyRelationships": lambda: (),
            "Keys": lambda: (),
        }

    def _find(self, key: Key) -> TableDefinition:
        for table in self.metadata.tables.values():
            match key:
                case Id(found) if found == shapes.table_id(table):
                    return table
                case Named(values) if dict(values) == {"LogicalName": table.name}:
                    return table
                case Named(values) if dict(values) == {"MetadataId": shapes.table_id(table)}:
                    return table
                case _:
                    pass
        raise _missing("entity", str(key))


def _attributes(call: Call, table: TableDefinition, path: Sequence[Segment], ask: _Ask) -> Reply:
    """Answer ``Attributes[(key)][/Microsoft.Dynamics.CRM.XAttributeMetadata]``."""
    key, kind = path[0].key, _cast(path[1:])
    columns = [c for c in table.columns if kind is None or c.metadata_type == kind]
    context = f"EntityDefinitions('{table.name}')/Attributes"
    if kind is None and key is None:  # derived properties need a cast
        items = (_uncast(table, column) for column in columns)
        return _many(call, context, items, ask)
    if key is None:
        return _many(call, context, (shapes.attribute_json(table, c) for c in columns), ask)
    for column in columns:
        item = shapes.attribute_json(table, column)
        wanted = {"MetadataId": key.id} if isinstance(key, Id) else dict(key.values)
        if all(item.get(name) == value for name, value in wanted.items()):
            return _one(call, context, item, ask)
    raise _missing("attribute", str(key))


def _uncast(table: TableDefinition, column: ColumnDefinition) -> Json:
    item = shapes.attribute_json(table, column)
    return {name: value for name, value in item.items() if name not in shapes.EXPANDABLE}


def _cast(path: Sequence[Segment]) -> str | None:
    if not path:
        return None
    found = _ATTRIBUTE.match(path[0].name)
    if len(path) > 1:
        raise Unsupported("single properties of metadata")
    if found is None:
        raise unknown_segment(path[0].name)
    if found[1] == "EnumAttributeMetadata":
        raise bad_query("EnumAttributeMetadata is abstract; cast to one of its derived types.")
    return found[1]


def _many(call: Call, name: str, items: Iterable[Json], ask: _Ask) -> Reply:
    picked = [ask.cut(item) for item in items if ask.picks(item)]
    return answer({"@odata.context": f"{call.root}/$metadata#{name}", "value": picked})


def _one(call: Call, name: str, item: Json, ask: _Ask) -> Reply:
    head = {"@odata.context": f"{call.root}/$metadata#{name}/$entity"}
    return answer({**head, **ask.cut(item)})


def _missing(what: str, key: str) -> DataverseFault:
    return DataverseFault(404, MISSING_ROW, f"Could not find the {what} with {key[:200]}.")
