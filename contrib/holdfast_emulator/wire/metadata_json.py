"""Tables, keys and relationships as the Web API shows them.

Invariant: a property that has no effect here has the value of a new table, or what a client gave
it; ``$select`` of one that is not known at all is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from holdfast_emulator.behaviour.metadata import (
    KeyDefinition,
    Metadata,
    Ownership,
    TableDefinition,
    metadata_id,
)
from holdfast_emulator.behaviour.option_sets import Translations
from holdfast_emulator.behaviour.relationships import (
    AnyRelationship,
    ManyToManyDefinition,
    RelationshipDefinition,
)

Json: TypeAlias = dict[str, Any]  # Any: whatever JSON can say
LANGUAGE: Final = 1033
CRM: Final = "#Microsoft.Dynamics.CRM."
#: Properties of an attribute that are sent only when they are expanded.
EXPANDABLE: Final = ("OptionSet", "GlobalOptionSet")
_PRIVILEGES: Final = ("Create", "Read", "Write", "Delete", "Assign", "Share", "Append", "AppendTo")
_OWNERLESS: Final = ("Assign", "Share")


def label(text: str, *owner: str, translations: Translations = (), part: str = "") -> Json:
    """Return a label: the text in the base language, then the translations of this part."""
    every = [(LANGUAGE, text)] if text else []
    every += [(language, other) for name, language, other in translations if name == part]
    localized = [
        {
            "Label": other,
            "LanguageCode": language,
            "IsManaged": False,
            "MetadataId": metadata_id("label", *owner, str(language)),
            "HasChanged": None,
        }
        for language, other in every
        if language
    ]
    return {"LocalizedLabels": localized, "UserLocalizedLabel": localized[0] if text else None}


def managed(name: str, value: object, *, changeable: bool = True) -> Json:
    """Return a managed property."""
    return {"Value": value, "CanBeChanged": changeable, "ManagedPropertyLogicalName": name}


def extras(given: Iterable[tuple[str, str]]) -> Json:
    """Return the properties that a client gave and that have no effect here."""
    return {name: msgspec.json.decode(value) for name, value in given}


#: Properties of a table that have no effect here, with the value that a new table has.
TABLE_SETTINGS: Final[Json] = {
    "ActivityTypeMask": 0,
    "AutoCreateAccessTeams": False,
    "AutoRouteToOwnerQueue": False,
    "CanTriggerWorkflow": True,
    "DaysSinceRecordLastModified": 0,
    "EnforceStateTransitions": False,
    "EntityColor": None,
    "EntityHelpUrl": None,
    "EntityHelpUrlEnabled": False,
    "ExternalCollectionName": None,
    "ExternalName": None,
    "HasEmailAddresses": False,
    "HasFeedback": False,
    "IconLargeName": None,
    "IconMediumName": None,
    "IconSmallName": None,
    "IconVectorName": None,
    "IntroducedVersion": "1.0",
    "IsActivityParty": False,
    "IsBPFEntity": False,
    "IsBusinessProcessEnabled": False,
    "IsChildEntity": False,
    "IsDocumentManagementEnabled": False,
    "IsDocumentRecommendationsEnabled": False,
    "IsEnabledForCharts": True,
    "IsEnabledForExternalChannels": False,
    "IsEnabledForTrace": False,
    "IsImportable": True,
    "IsInteractionCentricEnabled": False,
    "IsKnowledgeManagementEnabled": False,
    "IsMSTeamsIntegrationEnabled": False,
    "IsManaged": False,
    "IsOneNoteIntegrationEnabled": False,
    "IsPrivate": False,
    "IsQuickCreateEnabled": False,
    "IsReadingPaneEnabled": True,
    "IsSLAEnabled": False,
    "IsSolutionAware": False,
    "IsValidForAdvancedFind": True,
    "MobileOfflineFilters": None,
    "RecurrenceBaseEntityLogicalName": None,
    "SettingOf": None,
    "SyncToExternalSearchIndex": False,
    "UsesBusinessDataLabelTable": False,
    "CanBeInCustomEntityAssociation": managed("canbeincustomentityassociation", value=True),
    "CanBeInManyToMany": managed("canbeinmanytomany", value=True),
    "CanBePrimaryEntityInRelationship": managed("canbeprimaryentityinrelationship", value=True),
    "CanBeRelatedEntityInRelationship": managed("canberelatedentityinrelationship", value=True),
    "CanChangeHierarchicalRelationship": managed("canchangehierarchicalrelationship", value=True),
    "CanCreateAttributes": managed("cancreateattributes", value=True),
    "CanCreateCharts": managed("cancreatecharts", value=True),
    "CanCreateForms": managed("cancreateforms", value=True),
    "CanCreateViews": managed("cancreateviews", value=True),
    "CanEnableSyncToExternalSearchIndex": managed("canenablesynctoexternalsearchindex", value=True),
    "CanModifyAdditionalSettings": managed("canmodifyadditionalsettings", value=True),
    "IsAuditEnabled": managed("canmodifyauditsettings", value=False),
    "IsConnectionsEnabled": managed("canmodifyconnectionsettings", value=False),
    "IsCustomizable": managed("iscustomizable", value=True),
    "IsDuplicateDetectionEnabled": managed("canmodifyduplicatedetectionsettings", value=False),
    "IsMailMergeEnabled": managed("canmodifymailmergesettings", value=False),
    "IsMappable": managed("ismappable", value=True),
    "IsOfflineInMobileClient": managed("canmodifymobileclientoffline", value=False),
    "IsReadOnlyInMobileClient": managed("canmodifymobileclientreadonly", value=False),
    "IsRenameable": managed("isrenameable", value=True),
    "IsValidForQueue": managed("canmodifyqueuesettings", value=False),
    "IsVisibleInMobile": managed("canmodifymobilevisibility", value=False),
    "IsVisibleInMobileClient": managed("canmodifymobileclientvisibility", value=False),
}


def table_id(table: TableDefinition) -> str:
    """Return the MetadataId of a table."""
    return metadata_id("table", table.name)


def table_json(table: TableDefinition) -> Json:
    """Return an EntityMetadata without its collections."""
    name, texts = table.name, table.translations
    return {
        **TABLE_SETTINGS,
        **extras(table.extras),
        "LogicalName": name,
        "SchemaName": table.schema_name,
        "LogicalCollectionName": table.entity_set,
        "CollectionSchemaName": _collection_schema_name(table),
        "EntitySetName": table.entity_set,
        "ObjectTypeCode": table.object_type_code,
        "OwnershipType": table.ownership.value,
        "TableType": "Standard",
        "PrimaryIdAttribute": table.primary_id,
        "PrimaryNameAttribute": table.primary_name,
        "PrimaryImageAttribute": table.primary_image,
        "IsOptimisticConcurrencyEnabled": table.optimistic_concurrency,
        "ChangeTrackingEnabled": table.change_tracking,
        "IsAvailableOffline": table.available_offline,
        "IsIntersect": table.is_intersect,
        "IsActivity": table.is_activity,
        "IsCustomEntity": table.is_custom,
        "IsLogicalEntity": False,
        "DataProviderId": None,
        "DataSourceId": None,
        "IsStateModelAware": "statecode" in table.by_name,
        "HasNotes": table.has_notes,
        "HasActivities": table.has_activities,
        "CanChangeTrackingBeEnabled": managed("canchangetrackingbeenabled", value=True),
        "Description": label(
            table.description, name, "about", translations=texts, part="Description"
        ),
        "DisplayName": label(table.label, name, "display", translations=texts, part="DisplayName"),
        "DisplayCollectionName": label(
            *(table.collection_label, name, "collection"),
            translations=texts,
            part="DisplayCollectionName",
        ),
        "Privileges": [] if table.is_intersect else _privileges(table),
        "MetadataId": table_id(table),
        "HasChanged": None,
    }


def _collection_schema_name(table: TableDefinition) -> str:
    shared = len(table.name) if table.entity_set.startswith(table.name) else len(table.name) - 1
    return table.schema_name[:shared] + table.entity_set[shared:]


def _privileges(table: TableDefinition) -> list[Json]:
    owned = table.ownership is Ownership.USER
    return [
        {
            "CanBeBasic": owned,
            "CanBeDeep": owned,
            "CanBeGlobal": True,
            "CanBeLocal": owned,
            "CanBeEntityReference": False,
            "CanBeParentEntityReference": False,
            "CanBeRecordFilter": False,
            "Name": f"prv{verb}{table.schema_name}",
            "PrivilegeId": metadata_id("privilege", f"prv{verb}{table.schema_name}"),
            "PrivilegeType": verb,
        }
        for verb in _PRIVILEGES
        if owned or verb not in _OWNERLESS
    ]


def key_id(table: TableDefinition, key: KeyDefinition) -> str:
    """Return the MetadataId of an alternate key."""
    return metadata_id("key", table.name, key.name)


def key_json(table: TableDefinition, key: KeyDefinition) -> Json:
    """Return an EntityKeyMetadata; its index is always there."""
    return {
        "DisplayName": label(
            *(key.label, table.name, key.name), translations=key.translations, part="DisplayName"
        ),
        "EntityKeyIndexStatus": "Active",
        "EntityLogicalName": table.name,
        "IntroducedVersion": "1.0",
        "IsCustomizable": managed("iscustomizable", value=True),
        "IsExportKey": False,
        "IsManaged": False,
        "IsSecondaryKey": False,
        "IsSynchronous": False,
        "KeyAttributes": list(key.columns),
        "LogicalName": key.name,
        "SchemaName": key.schema_name,
        "MetadataId": key_id(table, key),
        "HasChanged": None,
        "AsyncJob": None,
    }


#: Properties of a relationship that have no effect here, with the value that a new one has.
RELATIONSHIP_SETTINGS: Final[Json] = {
    "IsValidForAdvancedFind": True,
    "IsManaged": False,
    "SecurityTypes": "None",
    "IntroducedVersion": "1.0",
    "IsCustomizable": managed("iscustomizable", value=True),
}
MENU: Final[Json] = {
    "Behavior": "UseCollectionName",
    "Group": "Details",
    "Order": None,
    "IsCustomizable": True,
    "Icon": None,
    "ViewId": "00000000-0000-0000-0000-000000000000",
    "AvailableOffline": True,
    "MenuId": None,
    "QueryApi": None,
    "Label": {"LocalizedLabels": [], "UserLocalizedLabel": None},
}
ONE_TO_MANY_SETTINGS: Final[Json] = {
    **RELATIONSHIP_SETTINGS,
    "AssociatedMenuConfiguration": MENU,
    "EntityKey": None,
    "IsRelationshipAttributeDenormalized": False,
    "RelationshipBehavior": 1,
    "DenormalizedAttributeName": None,
}
MANY_TO_MANY_SETTINGS: Final[Json] = {
    **RELATIONSHIP_SETTINGS,
    "Entity1AssociatedMenuConfiguration": MENU,
    "Entity2AssociatedMenuConfiguration": MENU,
}


def relationship_id(relationship: AnyRelationship) -> str:
    """Return the MetadataId of a relationship."""
    return metadata_id("relationship", relationship.schema_name)


def relationship_json(relationship: AnyRelationship) -> Json:
    """Return a OneToManyRelationshipMetadata or a ManyToManyRelationshipMetadata."""
    if isinstance(relationship, ManyToManyDefinition):
        return _many_to_many(relationship)
    return {
        "@odata.type": f"{CRM}OneToManyRelationshipMetadata",
        **ONE_TO_MANY_SETTINGS,
        **extras(relationship.extras),
        "SchemaName": relationship.schema_name,
        "RelationshipType": "OneToManyRelationship",
        "IsCustomRelationship": relationship.is_custom,
        "ReferencedEntity": relationship.referenced,
        "ReferencedAttribute": relationship.referenced_attribute,
        "ReferencingEntity": relationship.referencing,
        "ReferencingAttribute": relationship.referencing_attribute,
        "ReferencingEntityNavigationPropertyName": relationship.referencing_navigation,
        "ReferencedEntityNavigationPropertyName": relationship.referenced_navigation,
        "IsHierarchical": relationship.is_hierarchical,
        "CascadeConfiguration": _cascade(relationship),
        "MetadataId": relationship_id(relationship),
        "HasChanged": None,
    }


def _cascade(relationship: RelationshipDefinition) -> Json:
    return {
        "Assign": relationship.assign.value,
        "Delete": relationship.delete.value,
        "Archive": relationship.delete.value,
        "Merge": relationship.merge.value,
        "Reparent": relationship.reparent.value,
        "Share": relationship.share.value,
        "Unshare": relationship.unshare.value,
        "RollupView": "NoCascade",
    }


def _many_to_many(relationship: ManyToManyDefinition) -> Json:
    return {
        "@odata.type": f"{CRM}ManyToManyRelationshipMetadata",
        **MANY_TO_MANY_SETTINGS,
        **extras(relationship.extras),
        "SchemaName": relationship.schema_name,
        "RelationshipType": "ManyToManyRelationship",
        "IsCustomRelationship": relationship.is_custom,
        "IntersectEntityName": relationship.intersect,
        "Entity1LogicalName": relationship.table1,
        "Entity1IntersectAttribute": relationship.attribute1,
        "Entity1NavigationPropertyName": relationship.navigation1,
        "Entity2LogicalName": relationship.table2,
        "Entity2IntersectAttribute": relationship.attribute2,
        "Entity2NavigationPropertyName": relationship.navigation2,
        "MetadataId": relationship_id(relationship),
        "HasChanged": None,
    }


def tables(metadata: Metadata) -> Sequence[TableDefinition]:
    """Return all tables, by name."""
    return [metadata.tables[name] for name in sorted(metadata.tables)]
