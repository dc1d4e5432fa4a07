"""Columns and their options as the Web API shows them.

Invariant: an attribute has the properties of its derived type, and its option sets, whole; whoever
answers cuts what was not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from holdfast.schema import ColumnType, DateBehavior, Option
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    Metadata,
    TableDefinition,
    metadata_id,
)
from holdfast_emulator.behaviour.option_sets import OptionSetDefinition, Translations
from holdfast_emulator.behaviour.schema_edits import is_custom
from holdfast_emulator.wire.metadata_json import CRM, Json, extras, label, managed

BEHAVIORS: Final[Mapping[DateBehavior, str]] = {
    DateBehavior.USER_LOCAL: "UserLocal",
    DateBehavior.TIME_ZONE_INDEPENDENT: "TimeZoneIndependent",
    DateBehavior.DATE_ONLY: "DateOnly",
}
_NOT_OVER_ODATA: Final = frozenset({ColumnType.ENTITY_NAME})
#: Properties of any attribute that have no effect here, with the value that a new one has.
ATTRIBUTE_SETTINGS: Final[Json] = {
    "CanBeSecuredForCreate": True,
    "CanBeSecuredForRead": True,
    "CanBeSecuredForUpdate": True,
    "CanModifyAdditionalSettings": managed("canmodifyadditionalsettings", value=True),
    "DeprecatedVersion": None,
    "ExternalName": None,
    "InheritsFrom": None,
    "IntroducedVersion": "1.0",
    "IsAuditEnabled": managed("canmodifyauditsettings", value=True),
    "IsCustomizable": managed("iscustomizable", value=True),
    "IsDataSourceSecret": False,
    "IsFilterable": False,
    "IsGlobalFilterEnabled": managed("canmodifyglobalfiltersettings", value=False),
    "IsManaged": False,
    "IsRenameable": managed("isrenameable", value=True),
    "IsRequiredForForm": False,
    "IsRetrievable": True,
    "IsSearchable": False,
    "IsSortableEnabled": managed("canmodifyissortablesettings", value=False),
    "IsValidForAdvancedFind": managed("canmodifysearchsettings", value=True),
    "IsValidForForm": True,
    "IsValidForGrid": True,
    "LinkedAttributeId": None,
    "SettingOf": None,
}
_TEXT_SETTINGS: Final[Json] = {
    "DatabaseLength": None,
    "FormulaDefinition": None,
    "AutoNumberFormat": "",
    "ImeMode": "Auto",
    "IsLocalizable": False,
    "SourceTypeMask": 0,
    "YomiOf": None,
}
_NUMBER_SETTINGS: Final[Json] = {
    "FormulaDefinition": None,
    "ImeMode": "Disabled",
    "SourceTypeMask": 0,
}
_CHOICE_SETTINGS: Final[Json] = {
    "ChildPicklistLogicalNames": [],
    "FormulaDefinition": None,
    "ParentPicklistLogicalName": None,
    "SourceTypeMask": 0,
}
#: The same for the derived types.
DERIVED_SETTINGS: Final[Mapping[ColumnType, Json]] = {
    ColumnType.STRING: _TEXT_SETTINGS,
    ColumnType.MEMO: {"ImeMode": "Auto", "IsLocalizable": False},
    ColumnType.INTEGER: {"FormulaDefinition": None, "SourceTypeMask": 0},
    ColumnType.DECIMAL: _NUMBER_SETTINGS,
    ColumnType.DOUBLE: {"ImeMode": "Disabled"},
    ColumnType.MONEY: _NUMBER_SETTINGS,
    ColumnType.BOOLEAN: {"FormulaDefinition": None, "SourceTypeMask": 0},
    ColumnType.CHOICE: _CHOICE_SETTINGS,
    ColumnType.CHOICES: _CHOICE_SETTINGS,
    ColumnType.DATETIME: {
        "CanChangeDateTimeBehavior": managed("canchangedatetimebehavior", value=True),
        "FormulaDefinition": None,
        "ImeMode": "Inactive",
        "SourceTypeMask": 0,
    },
    ColumnType.IMAGE: {"MaxHeight": 144, "MaxWidth": 144},
}


def attribute_id(table: str, column: ColumnDefinition) -> str:
    """Return the MetadataId of a column."""
    return metadata_id("column", table, column.name)


def attribute_json(table: TableDefinition, column: ColumnDefinition) -> Json:
    """Return an AttributeMetadata with what its derived type adds; option sets are expanded."""
    texts, owner = column.translations, (table.name, column.name)
    return {
        "@odata.type": f"{CRM}{column.metadata_type}",
        **ATTRIBUTE_SETTINGS,
        **DERIVED_SETTINGS.get(column.type, {}),
        **extras(column.extras),
        "LogicalName": column.name,
        "SchemaName": column.schema_name,
        "EntityLogicalName": table.name,
        "AttributeType": column.attribute_type,
        "AttributeTypeName": {"Value": column.attribute_type_name},
        "AttributeOf": None,
        "ColumnNumber": table.columns.index(column) + 1,
        "IsLogical": False,
        "IsCustomAttribute": is_custom(column),
        "IsPrimaryId": column.name == table.primary_id,
        "IsPrimaryName": column.name == table.primary_name,
        "IsSecured": column.secured,
        "IsValidForRead": column.readable,
        "IsValidForCreate": column.creatable,
        "IsValidForUpdate": column.updatable,
        "IsValidODataAttribute": column.type not in _NOT_OVER_ODATA or column.readable,
        "RequiredLevel": managed("canmodifyrequirementlevelsettings", column.required.value),
        "SourceType": 0 if column.base_of is None else 1,
        "DisplayName": label(column.label, *owner, translations=texts, part="DisplayName"),
        "Description": label(
            column.description, *owner, "about", translations=texts, part="Description"
        ),
        "MetadataId": attribute_id(table.name, column),
        "HasChanged": None,
        **_DERIVED.get(column.type, _nothing)(table, column),
    }


def _nothing(_: TableDefinition, __: ColumnDefinition) -> Json:
    return {}


def _text(_: TableDefinition, column: ColumnDefinition) -> Json:
    return {
        "MaxLength": column.max_length,
        "Format": column.format,
        "FormatName": {"Value": column.format},
    }


def _bounds(column: ColumnDefinition) -> Json:
    whole = column.type in (ColumnType.INTEGER, ColumnType.BIGINT)
    found = {"MinValue": column.minimum, "MaxValue": column.maximum}
    return {
        name: int(bound) if whole and bound is not None else bound for name, bound in found.items()
    }


def _whole(_: TableDefinition, column: ColumnDefinition) -> Json:
    head = {} if column.type is ColumnType.BIGINT else {"Format": column.format or "None"}
    return {**head, **_bounds(column)}


def _precise(_: TableDefinition, column: ColumnDefinition) -> Json:
    return {**_bounds(column), "Precision": column.precision}


def _money(table: TableDefinition, column: ColumnDefinition) -> Json:
    return {
        **_precise(table, column),
        "PrecisionSource": 0,
        "IsBaseCurrency": column.base_of is not None,
        "CalculationOf": column.base_of,
    }


def _moment(_: TableDefinition, column: ColumnDefinition) -> Json:
    return {
        "DateTimeBehavior": {"Value": BEHAVIORS[column.behavior]},
        "Format": column.format or "DateAndTime",
    }


def _lookup(_: TableDefinition, column: ColumnDefinition) -> Json:
    return {"Targets": list(column.targets), "Format": "None"}


def _file(_: TableDefinition, column: ColumnDefinition) -> Json:
    return {"MaxSizeInKB": column.max_size_kb or 32_768}


def _image(table: TableDefinition, column: ColumnDefinition) -> Json:
    size = column.max_size_kb or 10_240
    return {
        "MaxSizeInKB": size,
        "CanStoreFullImage": column.full_image,
        "IsPrimaryImage": column.name == table.primary_image,
    }


def _choice(table: TableDefinition, column: ColumnDefinition) -> Json:
    default = -1 if column.default is None else int(column.default)
    return {"DefaultFormValue": default, **_option_sets(column, _own_options(table, column))}


def _boolean(table: TableDefinition, column: ColumnDefinition) -> Json:
    return {
        "DefaultValue": bool(column.default),
        **_option_sets(column, _own_options(table, column)),
    }


def _option_sets(column: ColumnDefinition, options: Json) -> Json:
    """Put the options where they belong: in a set of the column's own, or in a global one."""
    if column.global_options is None:
        return {"OptionSet": options, "GlobalOptionSet": None}
    return {"OptionSet": options, "GlobalOptionSet": options}


_DERIVED: Final[Mapping[ColumnType, Callable[[TableDefinition, ColumnDefinition], Json]]] = {
    ColumnType.STRING: _text,
    ColumnType.MEMO: _text,
    ColumnType.INTEGER: _whole,
    ColumnType.BIGINT: _whole,
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
    ColumnType.FILE: _file,
    ColumnType.IMAGE: _image,
}


def _own_options(table: TableDefinition, column: ColumnDefinition) -> Json:
    kinds = {
        ColumnType.STATE: "State",
        ColumnType.STATUS: "Status",
        ColumnType.BOOLEAN: "Boolean",
    }
    name = column.global_options or f"{table.name}_{column.name}"
    options = [_option(table, column, option) for option in column.options]
    return {
        **_head(name, column.label, column.translations),
        "IsGlobal": column.global_options is not None,
        "IsCustomOptionSet": is_custom(column),
        "OptionSetType": kinds.get(column.type, "Picklist"),
        **_listed(options, boolean=column.type is ColumnType.BOOLEAN),
    }


def option_set_json(options: OptionSetDefinition) -> Json:
    """Return the OptionSetMetadata, or BooleanOptionSetMetadata, of a global option set."""
    kind = "BooleanOptionSetMetadata" if options.is_boolean else "OptionSetMetadata"
    listed = [
        _plain_option(option, options.name, options.translations) for option in options.options
    ]
    return {
        "@odata.type": f"{CRM}{kind}",
        **_head(options.name, options.label, options.translations),
        "Description": label(
            options.description,
            *("options", options.name, "about"),
            translations=options.translations,
            part="Description",
        ),
        "IsGlobal": True,
        "IsCustomOptionSet": options.is_custom,
        "OptionSetType": "Boolean" if options.is_boolean else "Picklist",
        **_listed(listed, boolean=options.is_boolean),
    }


def _head(name: str, text: str, translations: Translations) -> Json:
    return {
        "MetadataId": metadata_id("options", name),
        "Name": name,
        "IsManaged": False,
        "IsCustomizable": managed("iscustomizable", value=True),
        "ExternalTypeName": None,
        "IntroducedVersion": "1.0",
        "ParentOptionSetName": None,
        "DisplayName": label(text, "options", name, translations=translations, part="DisplayName"),
        "Description": label(""),
        "HasChanged": None,
    }


def _listed(options: list[Json], *, boolean: bool) -> Json:
    if boolean:
        no, yes = options
        return {"FalseOption": no, "TrueOption": yes}
    return {"Options": options}


def _plain_option(option: Option, owner: str, translations: Translations) -> Json:
    value = str(option.value)
    color = next((text for name, _, text in translations if name == f"Color:{value}"), None)
    return {
        "Value": option.value,
        "Label": label(
            option.label, owner, value, translations=translations, part=f"option:{value}"
        ),
        "Description": label("", translations=translations, part=f"about:{value}"),
        "Color": color,
        "IsManaged": False,
        "ExternalValue": None,
        "ParentValues": [],
        "Tag": None,
        "IsHidden": False,
        "MetadataId": None,
        "HasChanged": None,
    }


def _option(table: TableDefinition, column: ColumnDefinition, option: Option) -> Json:
    described = _plain_option(option, column.name, column.translations)
    if column.type is ColumnType.STATUS:
        described |= {"State": option.state, "TransitionData": None}
    if column.type is ColumnType.STATE:
        status = table.by_name.get("statuscode")
        statuses = dict(status.default_statuses) if status else {}
        described |= {"DefaultStatus": statuses.get(option.value), "InvariantName": option.label}
    return described


def attributes(table: TableDefinition) -> list[Json]:
    """Return the attributes of a table, with their derived properties."""
    return [attribute_json(table, column) for column in table.columns]


def option_sets(metadata: Metadata) -> list[Json]:
    """Return the global option sets, by name."""
    return [option_set_json(metadata.option_sets[name]) for name in sorted(metadata.option_sets)]
