"""``EntityDefinitions``, ``RelationshipDefinitions``, ``GlobalOptionSetDefinitions``: questions.

Invariant: a filter on a name nobody has is an empty answer; a key nobody has is a 404.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from holdfast_emulator.behaviour.faults import MISSING_ROW, DataverseFault, unknown_segment
from holdfast_emulator.behaviour.metadata import KeyDefinition, Metadata, TableDefinition
from holdfast_emulator.behaviour.option_sets import OptionSetDefinition
from holdfast_emulator.behaviour.relationships import AnyRelationship, ManyToManyDefinition
from holdfast_emulator.wire import attribute_json as attributes
from holdfast_emulator.wire import metadata_json as shapes
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, answer, bad_query
from holdfast_emulator.wire.metadata_json import EXPANDABLE, Json
from holdfast_emulator.wire.metadata_query import COLLECTIONS, Ask, many, one, parse_ask, selected
from holdfast_emulator.wire.options import parse_query
from holdfast_emulator.wire.urls import NAMESPACE, Id, Key, Segment

_Thing = TypeVar("_Thing")
_ATTRIBUTE: Final = re.compile(r"Microsoft\.Dynamics\.CRM\.(\w+AttributeMetadata)\Z")
_KINDS: Final = {
    f"{NAMESPACE}OneToManyRelationshipMetadata": "OneToManyRelationship",
    f"{NAMESPACE}ManyToManyRelationshipMetadata": "ManyToManyRelationship",
}
_OPTION_SETS: Final = {
    f"{NAMESPACE}OptionSetMetadata": "Picklist",
    f"{NAMESPACE}BooleanOptionSetMetadata": "Boolean",
}
_ENTITIES: Final = "EntityDefinitions"
_RELATIONSHIPS: Final = "RelationshipDefinitions"
_GLOBAL: Final = "GlobalOptionSetDefinitions"


@dataclass(frozen=True, slots=True)
class Definitions:
    """Answers GET on the metadata."""

    metadata: Metadata

    def tables(self, call: Call, path: Sequence[Segment]) -> Reply:
        """Answer ``EntityDefinitions…``."""
        key, rest = path[0].key, path[1:]
        if key is None:
            _nothing_below(rest)
            ask = parse_ask(call.query)
            every = (self.table_json(table, ask) for table in shapes.tables(self.metadata))
            return many(call, _ENTITIES, every, ask)
        table = self.find_table(key)
        if not rest:
            ask = parse_ask(call.query)
            return one(call, _ENTITIES, self.table_json(table, ask), ask)
        context = f"{_ENTITIES}('{table.name}')/{rest[0].name}"
        if rest[0].name == "Attributes":
            return self._attributes(call, table, rest)
        collections = self.collections(table)
        if rest[0].name in collections:
            return _collection(call, context, collections[rest[0].name](), rest)
        return _property(call, f"{_ENTITIES}('{table.name}')", shapes.table_json(table), rest)

    def relationships(self, call: Call, path: Sequence[Segment]) -> Reply:
        """Answer ``RelationshipDefinitions…``, of one kind or of both."""
        items = [shapes.relationship_json(found) for found in every_relationship(self.metadata)]
        return _collection(call, _RELATIONSHIPS, items, path)

    def option_sets(self, call: Call, path: Sequence[Segment]) -> Reply:
        """Answer ``GlobalOptionSetDefinitions…``; there is no filter on them."""
        items = attributes.option_sets(self.metadata)
        key, rest = path[0].key, path[1:]
        if rest and rest[0].name in _OPTION_SETS:
            items = [one for one in items if one["OptionSetType"] == _OPTION_SETS[rest[0].name]]
            rest = rest[1:]
        if key is None:
            _nothing_below(rest)
            ask = parse_ask(call.query)
            if ask.where is not None:
                raise bad_query("The query parameter $filter is not supported on option sets.")
            return many(call, _GLOBAL, items, ask)
        item = pick_one(items, key, "option set")
        if rest:
            return _property(call, f"{_GLOBAL}({item['MetadataId']})", item, rest)
        return one(call, _GLOBAL, item, parse_ask(call.query))

    def table_json(self, table: TableDefinition, ask: Ask) -> Json:
        """Return a table with the collections that are to be expanded."""
        item = shapes.table_json(table)
        collections = self.collections(table)
        for name, _ in ask.expand:
            if name in collections:
                item[name] = list(collections[name]())
            elif name != "Privileges":
                raise bad_query(
                    f"Could not find a property named '{name[:100]}' on EntityMetadata."
                )
        return item

    def collections(self, table: TableDefinition) -> Mapping[str, Callable[[], Iterable[Json]]]:
        """Return what hangs on a table, by the name of its navigation property."""
        metadata, name = self.metadata, table.name
        across = (m for m in metadata.many_to_many.values() if name in (m.table1, m.table2))
        return {
            "Attributes": lambda: attributes.attributes(table),
            "ManyToOneRelationships": lambda: map(
                shapes.relationship_json, metadata.many_to_one(name)
            ),
            "OneToManyRelationships": lambda: map(
                shapes.relationship_json, metadata.one_to_many(name)
            ),
            "ManyToManyRelationships": lambda: map(shapes.relationship_json, across),
            "Keys": lambda: (shapes.key_json(table, key) for key in table.keys),
        }

    def find_table(self, key: Key) -> TableDefinition:
        """Return the table with this key; 404."""
        return _found(
            self.metadata.tables.values(),
            key,
            "entity",
            lambda table: {
                "LogicalName": table.name,
                "MetadataId": shapes.table_id(table),
            },
        )

    def find_relationship(self, key: Key) -> AnyRelationship:
        """Return the relationship with this key; 404."""
        return _found(
            every_relationship(self.metadata),
            key,
            "relationship",
            lambda found: {
                "SchemaName": found.schema_name,
                "MetadataId": shapes.relationship_id(found),
            },
        )

    def find_option_set(self, key: Key) -> OptionSetDefinition:
        """Return the global option set with this key; 404."""
        return _found(
            self.metadata.option_sets.values(),
            key,
            "option set",
            lambda found: {
                "Name": found.name,
                "MetadataId": attributes.option_set_json(found)["MetadataId"],
            },
        )

    def _attributes(self, call: Call, table: TableDefinition, path: Sequence[Segment]) -> Reply:
        """Answer ``Attributes[(key)][/cast][/property]``, with the cast before the key, too."""
        context = f"{_ENTITIES}('{table.name}')/Attributes"
        key, rest = path[0].key, list(path[1:])
        kind = cast_of(rest[0].name) if rest and rest[0].name.startswith(NAMESPACE) else None
        if kind is not None:
            key = key or rest[0].key
            context += f"/{rest.pop(0).name}"
        columns = [c for c in table.columns if kind is None or c.metadata_type == kind]
        items = (attributes.attribute_json(table, column) for column in columns)
        if key is None:
            _nothing_below(rest)
            shown = items if kind is not None else map(_uncast, items)
            return many(call, context, shown, parse_ask(call.query))
        item = pick_one(items, key, "attribute")
        if rest:
            return _property(call, f"{context}({item['MetadataId']})", item, rest)
        return one(call, context, item, parse_ask(call.query))


def every_relationship(metadata: Metadata) -> list[AnyRelationship]:
    """Return the relationships of both kinds."""
    return [*metadata.relationships.values(), *metadata.many_to_many.values()]


def find_key(table: TableDefinition, key: Key) -> KeyDefinition:
    """Return the alternate key with this key; 404."""
    return _found(
        table.keys,
        key,
        "entity key",
        lambda found: {
            "LogicalName": found.name,
            "SchemaName": found.schema_name,
            "MetadataId": shapes.key_id(table, found),
        },
    )


def cast_of(name: str) -> str:
    """Return the derived attribute type that a segment casts to.

    :raises DataverseFault: it is none
    """
    found = _ATTRIBUTE.match(name)
    if found is None:
        raise unknown_segment(name[:100])
    if found[1] in ("EnumAttributeMetadata", "AttributeMetadata"):
        raise bad_query(f"{found[1]} is abstract; cast to one of its derived types.")
    return found[1]


def is_cast(name: str, relationship: AnyRelationship) -> bool:
    """Tell whether a segment casts to what the relationship is."""
    across = isinstance(relationship, ManyToManyDefinition)
    wanted = "ManyToManyRelationship" if across else "OneToManyRelationship"
    return _KINDS.get(name) == wanted


def pick_one(items: Iterable[Json], key: Key, what: str) -> Json:
    """Return the item with this key; 404."""
    return _found(items, key, what, lambda item: item)


def _found(
    items: Iterable[_Thing], key: Key, what: str, names: Callable[[_Thing], Mapping[str, object]]
) -> _Thing:
    wanted = {"MetadataId": key.id} if isinstance(key, Id) else dict(key.values)
    for item in items:
        known = names(item)
        if all(name in known and known[name] == value for name, value in wanted.items()):
            return item
    raise DataverseFault(
        404,
        MISSING_ROW,
        f"Could not find the {what} with {str(wanted)[:200]} in the MetadataCache.",
    )


def _uncast(item: Json) -> Json:
    return {name: value for name, value in item.items() if name not in EXPANDABLE}


def _collection(call: Call, context: str, items: Iterable[Json], path: Sequence[Segment]) -> Reply:
    """Answer a collection of keys or relationships, one of it, or a property of one."""
    key, rest = path[0].key, list(path[1:])
    if rest and rest[0].name in _KINDS:
        kind = _KINDS[rest[0].name]
        key = key or rest[0].key
        context += f"/{rest.pop(0).name}"
        items = [item for item in items if item.get("RelationshipType") == kind]
    if key is None:
        _nothing_below(rest)
        return many(call, context, items, parse_ask(call.query))
    item = pick_one(items, key, context.rpartition("/")[2])
    if rest:
        return _property(call, f"{context}({item['MetadataId']})", item, rest)
    return one(call, context, item, parse_ask(call.query))


def _property(call: Call, context: str, item: Json, path: Sequence[Segment]) -> Reply:
    """Answer a single property of a definition, or a property of that."""
    found: object = item
    names = [segment.name for segment in path]
    if path[-1].name == "$value":
        raise Unsupported("$value on metadata")
    for depth, segment in enumerate(path):
        if segment.arguments or not isinstance(found, dict) or segment.name not in found:
            raise unknown_segment(segment.name[:100])
        found = found[segment.name]
        if depth == 0 and segment.name in COLLECTIONS and isinstance(found, dict):
            if len(path) == 1:
                return one(call, f"{context}/{segment.name}", found, parse_ask(call.query))
            continue
    head = f"{call.root}/$metadata#{context}/{'/'.join(names)}"
    if found is None:
        parse_query(call.query, ())
        return Reply(204)
    if isinstance(found, dict):
        ask = parse_ask(call.query)
        kept = found if ask.select is None else {name: selected(found, name) for name in ask.select}
        return answer({"@odata.context": head, **kept})
    parse_query(call.query, ())
    return answer({"@odata.context": head, "value": found})


def _nothing_below(path: Sequence[Segment]) -> None:
    if path:
        raise unknown_segment(path[0].name[:100])
