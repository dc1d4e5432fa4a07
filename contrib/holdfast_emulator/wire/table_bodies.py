"""Tables, keys, relationships and option sets as clients write them.

Invariant: names that a body leaves out are made by the rules of the platform.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    KeyDefinition,
    LookupKind,
    Metadata,
    Ownership,
    TableDefinition,
)
from holdfast_emulator.behaviour.new_tables import custom_table
from holdfast_emulator.behaviour.option_sets import OptionSetDefinition
from holdfast_emulator.behaviour.relationships import (
    Cascade,
    CascadeDelete,
    ManyToManyDefinition,
    RelationshipDefinition,
)
from holdfast_emulator.behaviour.schema_rules import check_column_name, refused
from holdfast_emulator.wire.calls import Unsupported
from holdfast_emulator.wire.column_bodies import ColumnBodies, read_options, with_companions
from holdfast_emulator.wire.definition_body import Body, merged
from holdfast_emulator.wire.metadata_json import (
    MANY_TO_MANY_SETTINGS,
    ONE_TO_MANY_SETTINGS,
    TABLE_SETTINGS,
)

_TABLE_PLATFORM: Final = frozenset(
    {
        *("CanChangeTrackingBeEnabled", "CollectionSchemaName", "CreatedOn", "DataProviderId"),
        *("DataSourceId", "HasChanged", "IsCustomEntity", "IsIntersect", "IsLogicalEntity"),
        *("IsStateModelAware", "LogicalCollectionName", "LogicalName", "MetadataId", "ModifiedOn"),
        *("ObjectTypeCode", "PrimaryIdAttribute", "PrimaryImageAttribute", "Privileges"),
        *("PrimaryNameAttribute", "OwnershipType", "SchemaName", "TableType", "Attributes"),
        *("IsActivity", "Keys", "ManyToOneRelationships", "OneToManyRelationships"),
        *("ManyToManyRelationships", "IsEnabledForOfflineClient"),
    }
)
_RELATIONSHIP_PLATFORM: Final = frozenset(
    {
        *("HasChanged", "IsCustomRelationship", "MetadataId", "RelationshipType", "SchemaName"),
        *("Entity1IntersectAttribute", "Entity2IntersectAttribute", "ReferencedAttribute"),
        *("ReferencingAttribute", "ReferencedEntity", "ReferencingEntity", "Lookup"),
        *("Entity1LogicalName", "Entity2LogicalName", "IntersectEntityName"),
    }
)
_TABLE_LABELS: Final = ("DisplayName", "DisplayCollectionName", "Description")
_LOOKUPS: Final = ("LookupAttributeMetadata", "ComplexLookupAttributeMetadata")
_MOST_ATTRIBUTES: Final = 1000
_SET_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}\Z")


@dataclass(frozen=True, slots=True)
class TableBodies:
    """Reads what is wider than a column."""

    metadata: Metadata

    def table(self, body: Body, type_code: int, *, tolerant: bool = False) -> TableDefinition:
        """Return the new table that a body describes.

        :param tolerant: whether an attribute may be there twice; the first of them counts
        """
        schema_name = body.text("SchemaName")
        if not schema_name:
            raise body.error("A table needs a SchemaName.")
        ownership = body.member("OwnershipType", Ownership, Ownership.USER)
        if ownership not in (Ownership.USER, Ownership.ORGANIZATION):
            raise refused(f"A table cannot be created with the ownership {ownership.value}.")
        self._check_kind(body)
        own, primary = self._attributes(body, tolerant=tolerant)
        table = custom_table(schema_name, ownership, own, primary.name, type_code)
        entity_set = body.text("EntitySetName") or table.entity_set
        table = replace(
            table,
            label=schema_name,
            collection_label=schema_name,
            entity_set=entity_set,
            primary_image=next((one.name for one in own if one.type is ColumnType.IMAGE), None),
        )
        return self.changed_table(body, table, merge=False)

    def changed_table(self, body: Body, table: TableDefinition, *, merge: bool) -> TableDefinition:
        """Return the table with what a body says of it."""
        texts = table.translations
        labels: dict[str, str] = {}
        for part in _TABLE_LABELS:
            found = body.label(part, part)
            if found:
                labels[part] = found[0]
                texts = merged(texts, found[1], [part], merge=merge)
        entity_set = body.text("EntitySetName") or table.entity_set
        if body.has("EntitySetName") and not _SET_NAME.match(entity_set):
            raise body.error("EntitySetName is not valid.")
        return replace(
            table,
            label=labels.get("DisplayName") or table.label,
            collection_label=labels.get("DisplayCollectionName") or table.collection_label,
            description=labels.get("Description", table.description),
            translations=texts,
            entity_set=entity_set,
            has_notes=body.flag("HasNotes", default=table.has_notes),
            has_activities=body.flag("HasActivities", default=table.has_activities),
            change_tracking=body.flag("ChangeTrackingEnabled", default=table.change_tracking),
            optimistic_concurrency=body.flag(
                "IsOptimisticConcurrencyEnabled", default=table.optimistic_concurrency
            ),
            available_offline=body.flag("IsAvailableOffline", default=table.available_offline),
            extras=body.extras(table.extras, TABLE_SETTINGS, _TABLE_PLATFORM),
        )

    def _check_kind(self, body: Body) -> None:
        if body.flag("IsActivity", default=False):
            raise Unsupported("custom activity tables")
        if body.text("TableType", "Standard") != "Standard" or body.has("DataProviderId"):
            raise Unsupported("elastic and virtual tables")

    def _attributes(
        self, body: Body, *, tolerant: bool
    ) -> tuple[list[ColumnDefinition], ColumnDefinition]:
        bodies = ColumnBodies(self.metadata)
        columns: dict[str, ColumnDefinition] = {}
        primaries: list[ColumnDefinition] = []
        given = body.inners("Attributes")
        if len(given) > _MOST_ATTRIBUTES:
            raise refused(f"A table is created with at most {_MOST_ATTRIBUTES} attributes.")
        named = body.text("PrimaryNameAttribute").lower()
        for one in given:
            column = bodies.column(one)
            if not creatable(column):
                raise refused(
                    f"An attribute of type {column.attribute_type} cannot be created with a table."
                )
            if column.name in columns:
                if tolerant:
                    continue
                raise refused(f"The attribute {column.name} is there twice.")
            if one.values.get("IsPrimaryName") is True or column.name == named:
                primaries.append(column)
            for part in with_companions(column):
                columns[part.name] = part
        if len(primaries) != 1 or primaries[0].type is not ColumnType.STRING:
            raise refused(
                "A table needs exactly one attribute of type String with IsPrimaryName true."
            )
        return list(columns.values()), primaries[0]

    def key(self, body: Body) -> KeyDefinition:
        """Return the alternate key that a body describes."""
        schema_name = body.text("SchemaName")
        check_column_name(schema_name)
        found = body.label("DisplayName", "DisplayName") or (schema_name, ())
        columns = tuple(name.lower() for name in body.names("KeyAttributes"))
        body.extras((), {}, ("LogicalName", "EntityLogicalName", "MetadataId", "HasChanged"))
        return KeyDefinition(schema_name.lower(), schema_name, columns, *found)

    def lookup(self, body: Body, targets: tuple[str, ...]) -> ColumnDefinition:
        """Return the lookup column that a body describes."""
        if "@odata.type" not in body.values:
            body = Body({**body.values, "@odata.type": f"#{_LOOKUPS[0]}"}, body.where)
        column = ColumnBodies(self.metadata).column(body)
        if column.type is not ColumnType.LOOKUP:
            raise body.error("The Lookup of a relationship must be a LookupAttributeMetadata.")
        kind = LookupKind.CUSTOMER if set(targets) == {"account", "contact"} else LookupKind.LOOKUP
        return replace(column, targets=targets, lookup_kind=kind)

    def one_to_many(self, body: Body, lookup: ColumnDefinition | None) -> RelationshipDefinition:
        """Return the relationship that a body describes, over a lookup column."""
        referenced = body.text("ReferencedEntity").lower()
        table = self.metadata.table(referenced)
        if table is None:
            raise refused(f"The entity '{referenced[:100]}' does not exist.")
        attribute = body.text("ReferencedAttribute").lower() or table.primary_id
        if attribute != table.primary_id:
            raise refused(f"A relationship must reference the primary id of {referenced}.")
        schema_name = body.text("SchemaName")
        given = body.text("ReferencingAttribute").lower()
        if lookup is None or (given and given != lookup.name):
            raise refused("A one-to-many relationship is created together with its Lookup.")
        made = RelationshipDefinition(
            *(schema_name, referenced, attribute, body.text("ReferencingEntity").lower()),
            lookup.name,
            body.text("ReferencingEntityNavigationPropertyName") or lookup.schema_name,
            body.text("ReferencedEntityNavigationPropertyName") or schema_name,
            is_custom=True,
        )
        return self.changed_one_to_many(body, made)

    def changed_one_to_many(
        self, body: Body, before: RelationshipDefinition
    ) -> RelationshipDefinition:
        """Return the relationship with what a body says of its settings."""
        body.read |= {
            "ReferencingEntityNavigationPropertyName",
            "ReferencedEntityNavigationPropertyName",
        }
        cascade = body.inner("CascadeConfiguration") or Body({}, body.where)
        cascade.read |= {"RollupView", "Archive"}
        made = replace(
            before,
            delete=cascade.member("Delete", CascadeDelete, before.delete),
            assign=cascade.member("Assign", Cascade, before.assign),
            share=cascade.member("Share", Cascade, before.share),
            unshare=cascade.member("Unshare", Cascade, before.unshare),
            reparent=cascade.member("Reparent", Cascade, before.reparent),
            merge=cascade.member("Merge", Cascade, before.merge),
            is_hierarchical=body.flag("IsHierarchical", default=before.is_hierarchical),
            extras=body.extras(before.extras, ONE_TO_MANY_SETTINGS, _RELATIONSHIP_PLATFORM),
        )
        cascade.extras((), {}, ())
        return made

    def many_to_many(self, body: Body) -> ManyToManyDefinition:
        """Return the many-to-many relationship that a body describes."""
        schema_name = body.text("SchemaName")
        ends = [body.text(f"Entity{n}LogicalName").lower() for n in (1, 2)]
        tables = [self.metadata.table(end) for end in ends]
        if None in tables:
            raise refused(f"The entities '{ends[0][:100]}' and '{ends[1][:100]}' must exist.")
        names = [table.primary_id for table in tables if table]
        if ends[0] == ends[1]:
            names = [f"{names[0]}one", f"{names[1]}two"]
        intersect = body.text("IntersectEntityName") or schema_name
        check_column_name(intersect[:50])
        navigation = [body.text(f"Entity{n}NavigationPropertyName") or schema_name for n in (1, 2)]
        if ends[0] == ends[1] and navigation[0] == navigation[1]:
            navigation = [f"{schema_name}_one", f"{schema_name}_two"]
        made = ManyToManyDefinition(
            *(schema_name, intersect.lower(), ends[0], names[0], navigation[0]),
            *(ends[1], names[1], navigation[1]),
            is_custom=True,
        )
        return self.changed_many_to_many(body, made)

    def changed_many_to_many(
        self, body: Body, before: ManyToManyDefinition
    ) -> ManyToManyDefinition:
        """Return the relationship with what a body says of its settings."""
        body.read |= {"Entity1NavigationPropertyName", "Entity2NavigationPropertyName"}
        extras = body.extras(before.extras, MANY_TO_MANY_SETTINGS, _RELATIONSHIP_PLATFORM)
        return replace(before, extras=extras)

    def option_set(
        self, body: Body, before: OptionSetDefinition | None = None, *, merge: bool = False
    ) -> OptionSetDefinition:
        """Return the global option set that a body describes, or what it makes of one."""
        named = str(body.values.get("@odata.type", ""))
        boolean = before.is_boolean if before else "Boolean" in named
        name = before.name if before else body.text("Name")
        if before is None:
            body.flag("IsGlobal", default=True)
        options, texts = read_options(body, boolean=boolean)
        if before is not None and not options:
            options = before.options
            texts = tuple(one for one in before.translations if ":" in one[0])
        made = before or OptionSetDefinition(name, name, options, is_boolean=boolean)
        kept = tuple(one for one in made.translations if ":" not in one[0])
        for part in ("DisplayName", "Description"):
            found = body.label(part, part)
            if found:
                kept = merged(kept, found[1], [part], merge=merge)
                made = (
                    replace(made, label=found[0])
                    if part == "DisplayName"
                    else replace(made, description=found[0])
                )
        body.extras((), {}, _OPTION_SET_PLATFORM)
        return replace(made, options=options, translations=(*kept, *texts))


_OPTION_SET_PLATFORM: Final = frozenset(
    {
        *("MetadataId", "Name", "IsGlobal", "IsManaged", "IsCustomizable", "ExternalTypeName"),
        *("IntroducedVersion", "ParentOptionSetName", "HasChanged", "IsCustomOptionSet"),
        *("OptionSetType", "Options", "TrueOption", "FalseOption"),
    }
)


def creatable(column: ColumnDefinition) -> bool:
    """Tell whether a client may make a column of this type by itself."""
    return column.type not in (ColumnType.LOOKUP, ColumnType.STATE, ColumnType.STATUS)
