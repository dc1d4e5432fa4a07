"""Changes of metadata over HTTP: tables, columns, keys, relationships, option sets.

Invariant: one request is one draft: it is adopted whole, or refused and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from holdfast_emulator.behaviour import schema_edits as edits
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import (
    MISSING_ROW,
    DataverseFault,
    entity_key_violated,
    unknown_segment,
)
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    TableDefinition,
    metadata_id,
)
from holdfast_emulator.behaviour.relationships import ManyToManyDefinition
from holdfast_emulator.behaviour.schema_changes import Draft
from holdfast_emulator.behaviour.schema_rules import refused
from holdfast_emulator.wire.attribute_json import attribute_id
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, answer
from holdfast_emulator.wire.column_bodies import ColumnBodies, with_companions
from holdfast_emulator.wire.definition_body import Body
from holdfast_emulator.wire.definitions import Definitions, cast_of, find_key, is_cast
from holdfast_emulator.wire.metadata_json import key_id, relationship_id, table_id
from holdfast_emulator.wire.options import parse_query
from holdfast_emulator.wire.table_bodies import TableBodies, creatable
from holdfast_emulator.wire.urls import NAMESPACE, Id, Key, Segment

_Act: TypeAlias = Callable[[Call, Sequence[Segment]], Reply]
_ENTITIES: Final = "EntityDefinitions"
_MOST_TABLES: Final = 100


@dataclass(frozen=True, slots=True)
class DefinitionWrites:
    """Answers POST, PUT and DELETE on the metadata."""

    dataverse: Dataverse

    def resources(self) -> Mapping[str, Mapping[str, _Act]]:
        """Return what is answered here, by resource and method."""
        return {
            _ENTITIES: {"POST": self._post, "PUT": self._put, "DELETE": self._delete},
            "RelationshipDefinitions": {
                "POST": self._relate,
                "PUT": self._change_relationship,
                "DELETE": self._unrelate,
            },
            "GlobalOptionSetDefinitions": {
                "POST": self._create_options,
                "PUT": self._change_options,
                "DELETE": self._drop_options,
            },
            "CreateEntities": {"POST": self._create_entities},
            "CreateOneToMany": {"POST": self._create_one_to_many},
            "CreateCustomerRelationships": {"POST": self._create_customer},
        }

    @property
    def _known(self) -> Definitions:
        return Definitions(self.dataverse.metadata)

    @property
    def _bodies(self) -> TableBodies:
        return TableBodies(self.dataverse.metadata)

    def _post(self, call: Call, path: Sequence[Segment]) -> Reply:
        body = begin(self.dataverse, call)
        key = path[0].key
        if key is None:
            nothing_below(path)
            return self._create_table(call, body)
        table = self._known.find_table(key)
        match [segment.name for segment in path[1:]]:
            case ["Attributes"] if path[1].key is None:
                return self._create_column(call, table, body)
            case ["Keys"] if path[1].key is None:
                return self._create_key(call, table, body)
        raise _not_allowed(call)

    def _put(self, call: Call, path: Sequence[Segment]) -> Reply:
        body = begin(self.dataverse, call)
        if path[0].key is None:
            raise _not_allowed(call)
        table = self._known.find_table(path[0].key)
        rest = list(path[1:])
        merge = merges(call)
        with self.dataverse.schema.drafting() as draft:
            if not rest:
                edits.change_table(draft, self._bodies.changed_table(body, table, merge=merge))
                return made(call, _ENTITIES, table_id(table))
            column = _column_at(table, rest)
            changed = ColumnBodies(self.dataverse.metadata).column(body, column, merge=merge)
            edits.change_column(draft, table.name, changed)
        return made(call, f"{_ENTITIES}({table_id(table)})/Attributes", _id(table, column))

    def _delete(self, call: Call, path: Sequence[Segment]) -> Reply:
        begin(self.dataverse, call, has_body=False)
        if path[0].key is None:
            raise _not_allowed(call)
        table = self._known.find_table(path[0].key)
        rest = list(path[1:])
        with self.dataverse.schema.drafting() as draft:
            if not rest:
                edits.drop_table(draft, table.name)
            elif rest[0].name == "Keys" and rest[0].key is not None and len(rest) == 1:
                edits.drop_key(draft, table.name, find_key(table, rest[0].key).name)
            else:
                edits.drop_column(draft, table.name, _column_at(table, rest).name)
        return Reply(204)

    def _create_table(self, call: Call, body: Body) -> Reply:
        with self.dataverse.schema.drafting() as draft:
            table = self._bodies.table(body, edits.next_type_code(draft))
            edits.add_table(draft, table)
        return made(call, _ENTITIES, table_id(table))

    def _create_entities(self, call: Call, path: Sequence[Segment]) -> Reply:
        nothing_below(path)
        body = begin(self.dataverse, call, "SolutionUniqueName")
        given = body.inners("Entities")
        if not 0 < len(given) <= _MOST_TABLES:
            raise refused(f"CreateEntities takes between 1 and {_MOST_TABLES} Entities.")
        with self.dataverse.schema.drafting() as draft:
            for one in given:
                code = edits.next_type_code(draft)
                edits.add_table(draft, self._bodies.table(one, code, tolerant=True))
        return Reply(204)

    def _create_column(self, call: Call, table: TableDefinition, body: Body) -> Reply:
        column = ColumnBodies(self.dataverse.metadata).column(body)
        if not creatable(column):
            raise refused(
                f"An attribute of type {column.attribute_type} cannot be created by itself; "
                "a lookup is created with its relationship."
            )
        if body.values.get("IsPrimaryName") is True:
            raise refused(
                f"The new {column.name} attribute is set as the primary name attribute for the "
                f"{table.name} entity. The {table.name} entity already has the "
                f"{table.primary_name} attribute set as the primary name attribute. An entity can "
                "only have one primary name attribute.",
                "0x8004701e",
            )
        if table.is_intersect:
            raise refused("An intersect entity cannot have other attributes.")
        with self.dataverse.schema.drafting() as draft:
            edits.add_column(draft, table.name, *with_companions(column))
        return made(call, call.path, _id(table, column))

    def _create_key(self, call: Call, table: TableDefinition, body: Body) -> Reply:
        key = self._bodies.key(body)
        with self.dataverse.schema.drafting() as draft:
            edits.add_key(draft, table.name, key)
            if self.dataverse.schema.links.keys.repeated(table, key.columns):
                raise entity_key_violated(key.label, ", ".join(key.columns))
        return made(call, call.path, key_id(table, key))

    def _relate(self, call: Call, path: Sequence[Segment]) -> Reply:
        nothing_below(path)
        body = begin(self.dataverse, call)
        kind = str(body.values.get("@odata.type", "")).rpartition(".")[2].removeprefix("Complex")
        if not kind and body.has("Entity1LogicalName"):
            kind = "ManyToManyRelationshipMetadata"
        with self.dataverse.schema.drafting() as draft:
            if kind == "ManyToManyRelationshipMetadata":
                across = self._bodies.many_to_many(body)
                edits.add_many_to_many(draft, across)
                return made(call, call.path, relationship_id(across))
            if kind not in ("", "OneToManyRelationshipMetadata"):
                raise body.error(f"A type named '{kind[:100]}' could not be resolved by the model.")
            found, _ = self._one_to_many(draft, body, body.inner("Lookup"))
        return made(call, call.path, found)

    def _one_to_many(self, draft: Draft, body: Body, inner: Body | None) -> tuple[str, str]:
        """Add a relationship with its lookup; return the ids of both."""
        lookup = None
        if inner is not None:
            target = str(body.values.get("ReferencedEntity", "")).lower()
            lookup = self._bodies.lookup(inner, (target,))
        relationship = self._bodies.one_to_many(body, lookup)
        assert lookup is not None, "without one the relationship was refused"
        edits.add_one_to_many(draft, lookup, [relationship])
        column = metadata_id("column", relationship.referencing, lookup.name)
        return relationship_id(relationship), column

    def _create_one_to_many(self, call: Call, path: Sequence[Segment]) -> Reply:
        nothing_below(path)
        body = begin(self.dataverse, call, "SolutionUniqueName")
        inner = body.inner("OneToManyRelationship")
        if inner is None:
            raise body.error("OneToManyRelationship is missing.")
        with self.dataverse.schema.drafting() as draft:
            found, column = self._one_to_many(draft, inner, body.inner("Lookup"))
        return answer(
            {
                "@odata.context": f"{call.root}/$metadata#{NAMESPACE}CreateOneToManyResponse",
                "AttributeId": column,
                "RelationshipId": found,
            }
        )

    def _create_customer(self, call: Call, path: Sequence[Segment]) -> Reply:
        nothing_below(path)
        body = begin(self.dataverse, call, "SolutionUniqueName")
        given, inner = body.inners("OneToManyRelationships"), body.inner("Lookup")
        targets = tuple(str(one.values.get("ReferencedEntity", "")).lower() for one in given)
        if inner is None or sorted(targets) != ["account", "contact"]:
            raise refused("A customer lookup needs a Lookup, and relationships to both customers.")
        lookup = self._bodies.lookup(inner, targets)
        relationships = []
        for one, target in zip(given, targets, strict=True):
            relationship = self._bodies.one_to_many(one, lookup)
            if relationship.referencing_navigation == lookup.schema_name:
                name = f"{lookup.schema_name}_{target}"
                relationship = replace(relationship, referencing_navigation=name)
            relationships.append(relationship)
        if len({one.referencing for one in relationships}) != 1:
            raise refused("Both relationships of a customer lookup must be of the same table.")
        with self.dataverse.schema.drafting() as draft:
            edits.add_one_to_many(draft, lookup, relationships)
        column = metadata_id("column", relationships[0].referencing, lookup.name)
        context = f"{call.root}/$metadata#{NAMESPACE}CreateCustomerRelationshipsResponse"
        ids = [relationship_id(one) for one in relationships]
        return answer({"@odata.context": context, "AttributeId": column, "RelationshipIds": ids})

    def _change_relationship(self, call: Call, path: Sequence[Segment]) -> Reply:
        body = begin(self.dataverse, call)
        relationship = self._known.find_relationship(_key(call, path))
        if len(path) > 1 and not (
            len(path) == 2 and is_cast(path[1].name, relationship)
        ):  # a key and a cast
            raise unknown_segment(path[1].name[:100])
        with self.dataverse.schema.drafting() as draft:
            if isinstance(relationship, ManyToManyDefinition):
                across = self._bodies.changed_many_to_many(body, relationship)
                edits.change_relationship(draft, across)
            else:
                one = self._bodies.changed_one_to_many(body, relationship)
                edits.change_relationship(draft, one)
        return Reply(204)

    def _unrelate(self, call: Call, path: Sequence[Segment]) -> Reply:
        begin(self.dataverse, call, has_body=False)
        relationship = self._known.find_relationship(_key(call, path))
        if len(path) > 1 and not is_cast(path[1].name, relationship):
            raise unknown_segment(path[1].name[:100])
        with self.dataverse.schema.drafting() as draft:
            edits.drop_relationship(draft, relationship)
        return Reply(204)

    def _create_options(self, call: Call, path: Sequence[Segment]) -> Reply:
        nothing_below(path)
        body = begin(self.dataverse, call)
        options = self._bodies.option_set(body)
        with self.dataverse.schema.drafting() as draft:
            edits.add_option_set(draft, options)
        return made(call, call.path, metadata_id("options", options.name))

    def _change_options(self, call: Call, path: Sequence[Segment]) -> Reply:
        body = begin(self.dataverse, call)
        before = self._known.find_option_set(_key(call, path))
        options = self._bodies.option_set(body, before, merge=merges(call))
        with self.dataverse.schema.drafting() as draft:
            edits.change_option_set(draft, options)
        return Reply(204)

    def _drop_options(self, call: Call, path: Sequence[Segment]) -> Reply:
        begin(self.dataverse, call, has_body=False)
        options = self._known.find_option_set(_key(call, path))
        with self.dataverse.schema.drafting() as draft:
            edits.drop_option_set(draft, options.name)
        return Reply(204)


def begin(dataverse: Dataverse, call: Call, *options: str, has_body: bool = True) -> Body:
    """Return the body of a change, after the checks that all changes have.

    :param options: the query options that are allowed
    """
    kept = "&".join(part for part in call.query.split("&") if part.partition("=")[0] not in options)
    parse_query(kept, ())
    if call.headers.get("if-match", "*").strip() not in ("*", "null"):
        raise Unsupported("conditional changes of metadata")
    if dataverse.schema.ledger.open:
        raise Unsupported("changes of metadata in a change set")
    return Body(call.json() if has_body else {}, call.path[:200])


def merges(call: Call) -> bool:
    """Tell whether labels in languages that a body does not name are to stay."""
    return call.headers.get("mscrm.mergelabels", "false").strip().lower() == "true"


def made(call: Call, collection: str, found: str) -> Reply:
    """Return the reply that names what was made or changed."""
    address = f"{call.root}/{collection.strip('/')}({found})"
    return Reply(204, headers={"OData-EntityId": address, "Location": address})


def nothing_below(path: Sequence[Segment]) -> None:
    """Refuse a path that goes on, or a key where there is none."""
    if len(path) > 1 or path[0].arguments:
        raise unknown_segment(path[-1].name[:100])


def find_column(table: TableDefinition, key: Key) -> ColumnDefinition:
    """Return the column with this key; 404."""
    wanted = {"MetadataId": key.id} if isinstance(key, Id) else dict(key.values)
    for column in table.columns:
        known = {
            "MetadataId": _id(table, column),
            "LogicalName": column.name,
            "SchemaName": column.schema_name,
        }
        if all(known.get(name) == value for name, value in wanted.items()):
            return column
    raise DataverseFault(404, MISSING_ROW, f"Could not find an attribute with {str(wanted)[:200]}.")


def _column_at(table: TableDefinition, rest: Sequence[Segment]) -> ColumnDefinition:
    """Return the column at ``Attributes(key)[/cast]``."""
    if rest[0].name != "Attributes" or rest[0].key is None or len(rest) > 2:  # a key and a cast
        raise unknown_segment(rest[-1].name[:100])
    column = find_column(table, rest[0].key)
    if len(rest) > 1 and cast_of(rest[1].name) != column.metadata_type:
        raise unknown_segment(rest[1].name[:100])
    return column


def _id(table: TableDefinition, column: ColumnDefinition) -> str:
    return attribute_id(table.name, column)


def _key(call: Call, path: Sequence[Segment]) -> Key:
    if path[0].key is None:
        raise _not_allowed(call)
    return path[0].key


def _not_allowed(call: Call) -> DataverseFault:
    return DataverseFault(405, "0x80060888", f"The method {call.method} is not allowed here.")
