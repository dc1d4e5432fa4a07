"""Metadata as the Web API shows it: tables, attributes, option sets, relationships.

Invariant: a property that is not modelled is left out, never made up. ``$select`` of one that is
left out is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from holdfast.schema import ColumnType, DateBehavior, Option
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    Metadata,
    Ownership,
    TableDefinition,
    metadata_id,
)
from holdfast_emulator.behaviour.relationships import CascadeDelete, RelationshipDefinition

Json: TypeAlias = dict[str, Any]  # Any: whatever JSON can say
_CRM: Final = "#Microsoft.Dynamics.CRM."
_LANGUAGE: Final = 1033
_OWNERSHIPS: Final[Mapping[Ownership, str]] = {
    Ownership.USER: "UserOwned",
    Ownership.ORGANIZATION: "OrganizationOwned",
    Ownership.BUSINESS: "BusinessOwned",
    Ownership.NONE: "None",
}
_PRIVILEGES: Final = ("Create", "Read", "Write", "Delete", "Assign", "Share", "Append", "AppendTo")
_BEHAVIORS: Final[Mapping[DateBehavior, str]] = {
    DateBehavior.USER_LOCAL: "UserLocal",
    DateBehavior.TIME_ZONE_INDEPENDENT: "TimeZoneIndependent",
    DateBehavior.DATE_ONLY: "DateOnly",
}
_NOT_OVER_ODATA: Final = frozenset({ColumnType.ENTITY_NAME})


def label(text: str, *owner: str) -> Json:
    """Return a label in the one language there is."""
    if not text:
        return {"LocalizedLabels": [], "UserLocalizedLabel": None}
    one = {
        "Label": text,
        "LanguageCode": _LANGUAGE,
        "IsManaged": True,
        "MetadataId": metadata_id("label", *owner),
        "HasChanged": None,
    }
    return {"LocalizedLabels": [one], "UserLocalizedLabel": one}


def managed(name: str, value: object) -> Json:
    """Return a managed property."""
    return {"Value": value, "CanBeChanged": True, "ManagedPropertyLogicalName": name}


def table_id(table: TableDefinition) -> str:
    """Return the MetadataId of a table."""
    return metadata_id("table", table.name)


def table_json(table: TableDefinition) -> Json:
    """Return an EntityMetadata without its collections."""
    return {
        "LogicalName": table.name,
        "SchemaName": table.schema_name,
        "LogicalCollectionName": table.entity_set,
        "CollectionSchemaName": table.schema_name + "s",
        "EntitySetName": table.entity_set,
        "ObjectTypeCode": table.object_type_code,
        "OwnershipType": _OWNERSHIPS[table.ownership],
        "TableType": "Standard",
        "PrimaryIdAttribute": table.primary_id,
        "PrimaryNameAttribute": table.primary_name,
        "PrimaryImageAttribute": table.primary_image,
        "IsOptimisticConcurrencyEnabled": table.optimistic_concurrency,
        "ChangeTrackingEnabled": table.change_tracking,
        "IsAvailableOffline": table.available_offline,
        "IsIntersect": False,
        "IsActivity": table.is_activity,
        "IsCustomEntity": table.is_custom,
        "IsLogicalEntity": False,
        "DataProviderId": None,
        "IsStateModelAware": "statecode" in table.by_name,
        "CanChangeTrackingBeEnabled": managed("canchangetrackingbeenabled", value=True),
        "Description": label("", table.name),
        "DisplayName": label(table.label, table.name, "display"),
        "DisplayCollectionName": label(table.collection_label, table.name, "collection"),
        "Privileges": [_privilege(table, verb) for verb in _PRIVILEGES],
        "MetadataId": table_id(table),
        "HasChanged": None,
    }


def _privilege(table: TableDefinition, verb: str) -> Json:
    name = f"prv{verb}{table.schema_name}"
    owned = table.ownership is Ownership.USER
    return {
        "CanBeBasic": owned,
        "CanBeDeep": owned,
        "CanBeGlobal": True,
        "CanBeLocal": owned,
        "CanBeEntityReference": False,
        "CanBeParentEntityReference": False,
        "Name": name,
        "PrivilegeId": metadata_id("privilege", name),
        "PrivilegeType": verb,
    }


def attribute_json(table: TableDefinition, column: ColumnDefinition) -> Json:
    """Return an AttributeMetadata with what its derived type adds; option sets are expanded."""
    base: Json = {
        "@odata.type": f"{_CRM}{column.metadata_type}",
        "LogicalName": column.name,
        "SchemaName": column.schema_name,
        "EntityLogicalName": table.name,
        "AttributeType": column.attribute_type,
        "AttributeTypeName": {"Value": column.attribute_type_name},
        "AttributeOf": None,
        "ColumnNumber": table.columns.index(column) + 1,
        "IsLogical": False,
        "IsCustomAttribute": "_" in column.name and not column.name.startswith("address"),
        "IsPrimaryId": column.name == table.primary_id,
        "IsPrimaryName": column.name == table.primary_name,
        "IsSecured": column.secured,
        "IsValidForRead": column.readable,
        "IsValidForCreate": column.creatable,
        "IsValidForUpdate": column.updatable,
        "IsValidODataAttribute": column.type not in _NOT_OVER_ODATA or column.readable,
        "RequiredLevel": managed("canmodifyrequirementlevelsettings", column.required.value),
        "SourceType": 0 if column.base_of is None else 1,
        "DisplayName": label(column.label, table.name, column.name),
        "Description": label(""),
        "MetadataId": metadata_id("column", table.name, column.name),
        "HasChanged": None,
    }
    return base | _DERIVED.get(column.type, _nothing)(column)


def _nothing(_: ColumnDefinition) -> Json:
    return {}


def _text(column: ColumnDefinition) -> Json:
    return {"MaxLength": column.max_length, "Format": column.format}


def _number(column: ColumnDefinition) -> Json:
    return {
        "MinValue": column.minimum if column.minimum is None else _plain(column),
        "MaxValue": column.maximum if column.maximum is None else _plain(column, top=True),
    }


def _plain(column: ColumnDefinition, *, top: bool = False) -> object:
    bound = column.maximum if top else column.minimum
    whole = column.type in (ColumnType.INTEGER, ColumnType.BIGINT)
    assert bound is not None
    return int(bound) if whole else bound


def _precise(column: ColumnDefinition) -> Json:
    return {**_number(column), "Precision": column.precision}


def _money(column: ColumnDefinition) -> Json:
    return {
        **_precise(column),
        "PrecisionSource": 0,
        "IsBaseCurrency": column.base_of is not None,
        "CalculationOf": column.base_of,
    }


def _moment(column: ColumnDefinition) -> Json:
    return {
        "DateTimeBehavior": {"Value": _BEHAVIORS[column.behavior]},
        "Format": column.format or "DateAndTime",
    }


def _lookup(column: ColumnDefinition) -> Json:
    return {"Targets": list(column.targets), "Format": "None"}


def _choice(column: ColumnDefinition) -> Json:
    default = -1 if column.default is None else int(column.default)
    return {"DefaultFormValue": default, **_option_sets(column, options_json(column))}


def _boolean(column: ColumnDefinition) -> Json:
    no, yes = (_option(column, option) for option in column.options)
    options = {**_option_set_head(column, "Boolean"), "FalseOption": no, "TrueOption": yes}
    return {"DefaultValue": bool(column.default), **_option_sets(column, options)}


def _option_sets(column: ColumnDefinition, options: Json) -> Json:
    """Put the options where they belong: in a set of the column's own, or in a global one."""
    if column.global_options is None:
        return {"OptionSet": options, "GlobalOptionSet": None}
    return {"OptionSet": options, "GlobalOptionSet": options}


_DERIVED: Final[Mapping[ColumnType, Callable[[ColumnDefinition], Json]]] = {
    ColumnType.STRING: _text,
    ColumnType.MEMO: _text,
    ColumnType.INTEGER: _number,
    ColumnType.BIGINT: _number,
    ColumnType.DECIMAL: _precise,
    ColumnType.DOUBLE: _precise,
    ColumnType.MONEY: _money,
    ColumnType.DATETIME: _moment,
    ColumnType.LOOKUP: _lookup,
    ColumnType.CHOICE: _choice,
    ColumnType.STATE: _choice,
    ColumnType.STATUS: _choice,
    ColumnType.CHOICES: _choice,
    ColumnType.BOOLEAN: _boolean,
}
#: Properties of an attribute that are sent only when they are expanded.
EXPANDABLE: Final = ("OptionSet", "GlobalOptionSet")


def _option_set_head(column: ColumnDefinition, kind: str) -> Json:
    name = column.global_options or f"options_{column.name}"
    return {
        "MetadataId": metadata_id("options", name),
        "Name": name,
        "IsGlobal": column.global_options is not None,
        "IsCustomOptionSet": False,
        "OptionSetType": kind,
        "DisplayName": label(column.label, "options", name),
        "HasChanged": None,
    }


def options_json(column: ColumnDefinition) -> Json:
    """Return the OptionSetMetadata of a choice."""
    kinds = {ColumnType.STATE: "State", ColumnType.STATUS: "Status"}
    options = [_option(column, option) for option in column.options]
    return {**_option_set_head(column, kinds.get(column.type, "Picklist")), "Options": options}


def _option(column: ColumnDefinition, option: Option) -> Json:
    described: Json = {
        "Value": option.value,
        "Label": label(option.label, column.name, str(option.value)),
        "Description": label(""),
        "Color": None,
        "IsManaged": True,
        "ExternalValue": None,
        "MetadataId": None,
        "HasChanged": None,
    }
    if column.type is ColumnType.STATUS:
        described |= {"State": option.state, "TransitionData": None}
    if column.type is ColumnType.STATE:
        statuses = dict(column.default_statuses)
        described |= {"DefaultStatus": statuses.get(option.value), "InvariantName": option.label}
    return described


def relationship_id(relationship: RelationshipDefinition) -> str:
    """Return the MetadataId of a relationship."""
    return metadata_id("relationship", relationship.schema_name)


def relationship_json(relationship: RelationshipDefinition) -> Json:
    """Return a OneToManyRelationshipMetadata."""
    return {
        "SchemaName": relationship.schema_name,
        "RelationshipType": "OneToManyRelationship",
        "IsCustomRelationship": False,
        "IsValidForAdvancedFind": True,
        "ReferencedEntity": relationship.referenced,
        "ReferencedAttribute": relationship.referenced_attribute,
        "ReferencingEntity": relationship.referencing,
        "ReferencingAttribute": relationship.referencing_attribute,
        "ReferencingEntityNavigationPropertyName": relationship.referencing_navigation,
        "ReferencedEntityNavigationPropertyName": relationship.referenced_navigation,
        "IsHierarchical": relationship.is_hierarchical,
        "CascadeConfiguration": _cascade(relationship.delete),
        "MetadataId": relationship_id(relationship),
        "HasChanged": None,
    }


def _cascade(delete: CascadeDelete) -> Json:
    none = dict.fromkeys(
        ("Assign", "Share", "Unshare", "Reparent", "Merge", "RollupView"), CascadeDelete.NONE.value
    )
    return {**none, "Delete": delete.value}


def tables(metadata: Metadata) -> Iterable[TableDefinition]:
    """Return all tables, by name."""
    return [metadata.tables[name] for name in sorted(metadata.tables)]


def attributes(table: TableDefinition) -> Iterator[Json]:
    """Yield the attributes of a table, with their derived properties."""
    return (attribute_json(table, column) for column in table.columns)
