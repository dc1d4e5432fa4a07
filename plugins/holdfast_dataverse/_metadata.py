"""The server's description of its tables, turned into schemas.

Invariant: a column that is in a schema can be read, and has a type that the model knows.

One ``$batch`` describes any number of tables: a request for each kind of column, because the
properties of a kind are only given when it is asked for by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from holdfast.errors import ProtocolError, UsageError
from holdfast.schema import (
    HIDDEN_PREFIX,
    Column,
    ColumnType,
    DateBehavior,
    Fill,
    Option,
    Relationship,
    TableSchema,
    is_identifier,
)
from holdfast_dataverse._answers import Answer, legible
from holdfast_dataverse._descriptions import (
    Attribute,
    Described,
    Detail,
    Link,
    OptionSet,
    Table,
    Values,
    described,
    label_of,
)
from holdfast_dataverse._pairs import MANY_TO_MANY, many_to_many

T = TypeVar("T")
_head: Final = msgspec.json.Decoder(Table)
_described: Final = msgspec.json.Decoder(Values[Described])
_attributes: Final = msgspec.json.Decoder(Values[Attribute])
_links: Final = msgspec.json.Decoder(Values[Link])
_details: Final = msgspec.json.Decoder(Values[Detail])

_TABLE: Final = (
    "LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,TableType,DisplayName,"
    "IsIntersect"
)
_COLUMN: Final = (
    "LogicalName,AttributeType,AttributeTypeName,AttributeOf,IsValidForRead,IsValidForCreate,"
    "IsValidForUpdate,IsValidODataAttribute,RequiredLevel,DisplayName"
)
_RELATIONSHIP: Final = (
    "SchemaName,ReferencedEntity,ReferencingEntity,ReferencingAttribute,"
    "ReferencingEntityNavigationPropertyName,ReferencedEntityNavigationPropertyName,IsHierarchical"
)
_BOUNDS: Final = "LogicalName,MinValue,MaxValue"
#: What each kind of column says beyond the common properties.
_KINDS: Final[Mapping[str, str]] = {
    "String": "$select=LogicalName,MaxLength",
    "Memo": "$select=LogicalName,MaxLength",
    "Integer": f"$select={_BOUNDS}",
    "Decimal": f"$select={_BOUNDS},Precision",
    "Double": f"$select={_BOUNDS},Precision",
    "Money": f"$select={_BOUNDS},Precision",
    "DateTime": "$select=LogicalName,DateTimeBehavior",
    "Lookup": "$select=LogicalName,Targets",
    "Boolean": "$select=LogicalName,DefaultValue&$expand=OptionSet",
    "Picklist": "$select=LogicalName,DefaultFormValue&$expand=OptionSet,GlobalOptionSet",
    "MultiSelectPicklist": "$select=LogicalName&$expand=OptionSet,GlobalOptionSet",
    "State": "$select=LogicalName&$expand=OptionSet",
    "Status": "$select=LogicalName&$expand=OptionSet",
}
_TYPES: Final[Mapping[str, ColumnType]] = {
    "StringType": ColumnType.STRING,
    "MemoType": ColumnType.MEMO,
    "IntegerType": ColumnType.INTEGER,
    "BigIntType": ColumnType.BIGINT,
    "DecimalType": ColumnType.DECIMAL,
    "DoubleType": ColumnType.DOUBLE,
    "MoneyType": ColumnType.MONEY,
    "BooleanType": ColumnType.BOOLEAN,
    "PicklistType": ColumnType.CHOICE,
    "StateType": ColumnType.STATE,
    "StatusType": ColumnType.STATUS,
    "MultiSelectPicklistType": ColumnType.CHOICES,
    "DateTimeType": ColumnType.DATETIME,
    "UniqueidentifierType": ColumnType.UNIQUEIDENTIFIER,
    "LookupType": ColumnType.LOOKUP,
    "CustomerType": ColumnType.LOOKUP,
    "OwnerType": ColumnType.LOOKUP,
    "EntityNameType": ColumnType.ENTITY_NAME,
    "FileType": ColumnType.FILE,
    "ImageType": ColumnType.IMAGE,
}
_BEHAVIORS: Final[Mapping[str, DateBehavior]] = {
    "UserLocal": DateBehavior.USER_LOCAL,
    "TimeZoneIndependent": DateBehavior.TIME_ZONE_INDEPENDENT,
    "DateOnly": DateBehavior.DATE_ONLY,
}
#: What the platform writes by itself, in every table that has these columns.
_FILLS: Final[Mapping[str, Fill]] = {
    "createdon": Fill.NOW,
    "modifiedon": Fill.NOW,
    "createdby": Fill.CALLER,
    "modifiedby": Fill.CALLER,
    "ownerid": Fill.CALLER,
}
_READ_ONLY: Final = frozenset({ColumnType.FILE, ColumnType.IMAGE})

#: Asked for once, because a lookup may point to any table: the entity sets of all.
ENTITY_SETS: Final = "EntityDefinitions?$select=LogicalName,EntitySetName"


def questions(table: str) -> list[str]:
    """Return the paths to read for one table; ``table_schema`` wants the answers in this order."""
    home = f"EntityDefinitions(LogicalName='{table}')"
    kinds = [
        f"{home}/Attributes/Microsoft.Dynamics.CRM.{kind}AttributeMetadata?{options}"
        for kind, options in _KINDS.items()
    ]
    return [
        f"{home}?$select={_TABLE}",
        f"{home}/Attributes?$select={_COLUMN}",
        f"{home}/ManyToOneRelationships?$select={_RELATIONSHIP}",
        f"{home}/OneToManyRelationships?$select={_RELATIONSHIP}",
        *kinds,
        f"{home}/{MANY_TO_MANY}",
    ]


def entity_sets(answer: Answer) -> dict[str, str]:
    """Return the entity set of each table."""
    rows = _values(answer, "the list of tables", _described)
    return {row.logical_name: row.entity_set_name for row in rows if row.entity_set_name}


def table_schema(
    table: str, answers: Sequence[Answer], sets: Mapping[str, str]
) -> TableSchema | None:
    """Return the schema that the answers describe; None when there is no such table.

    :raises UsageError: it is of a sort that cannot be kept offline
    :raises ProtocolError: the answers make no sense
    """
    about = f"the description of {table}"
    if answers[0].status == 404:
        return None
    head = described(answers[0], about, _head)
    _refuse_special(table, head.table_type)
    if head.logical_name != table or not is_identifier(head.entity_set_name):
        raise ProtocolError(
            f"{about} is about another table, or about none; nothing was changed here"
        )
    columns = _values(answers[1], about, _attributes)
    many_to_one = _values(answers[2], about, _links)
    one_to_many = _values(answers[3], about, _links)
    details = {
        detail.logical_name: detail
        for answer in answers[4:-1]
        for detail in _values(answer, about, _details)
    }
    reading = _Reading(head, details, many_to_one, sets)
    schema = reading.schema(columns, [*many_to_one, *one_to_many])
    return replace(schema, many_to_many=many_to_many(answers[-1], about))


def _refuse_special(table: str, kind: str | None) -> None:
    if kind not in (None, "Standard"):
        raise UsageError(
            f"table {table!r} is of type {legible(kind):.40}, and only standard tables can be kept "
            "offline; take it out of the profile"
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """The description of one table, while it is being read."""

    head: Table
    details: Mapping[str, Detail]
    many_to_one: Sequence[Link]
    sets: Mapping[str, str]

    def schema(self, columns: Iterable[Attribute], links: Iterable[Link]) -> TableSchema:
        name, primary_id = self.head.logical_name, self.head.primary_id_attribute
        kept = [column for row in columns if (column := self._column(row)) is not None]
        by_name = {column.name: column for column in kept}
        if primary_id not in by_name:
            raise ProtocolError(
                f"the description of {name} lacks its primary id; ask an administrator"
            )
        primary_name = self.head.primary_name_attribute
        return TableSchema(
            name,
            primary_id,
            primary_name if primary_name in by_name else None,
            tuple(by_name.values()),
            label_of(self.head.display_name),
            _relationships(links),
            {"set": self.head.entity_set_name, **self._navigation(kept)},
            intersect=bool(self.head.is_intersect),
        )

    def _column(self, row: Attribute) -> Column | None:
        """Return a column; None for one that cannot be kept."""
        name, kind = row.logical_name, _TYPES.get(row.attribute_type_name.value)
        readable = row.is_valid_for_read and row.is_valid_o_data_attribute
        if kind is None or not readable or row.attribute_of is not None:
            return None
        if not is_identifier(name) or name.startswith(HIDDEN_PREFIX):
            return None
        detail = self.details.get(name) or Detail(name)
        targets = tuple(target for target in detail.targets or () if is_identifier(target))
        if kind is ColumnType.LOOKUP and not targets:
            return None
        return Column(
            name,
            kind,
            label_of(row.display_name),
            # The platform insists on SystemRequired only, and fills in those by itself.
            required=row.required_level.value == "ApplicationRequired",
            creatable=bool(row.is_valid_for_create) and kind not in _READ_ONLY,
            updatable=bool(row.is_valid_for_update) and kind not in _READ_ONLY,
            max_length=detail.max_length,
            minimum=_bound(detail.min_value),
            maximum=_bound(detail.max_value),
            precision=detail.precision,
            options=tuple(_options(detail)),
            targets=targets,
            behavior=_behavior(name, detail),
            default=_default(kind, detail),
            fill=_FILLS.get(name),
        )

    def _navigation(self, columns: Iterable[Column]) -> dict[str, str]:
        """Map each lookup and target to the property it is written through, and to its set."""
        through = {
            (
                row.referencing_attribute,
                row.referenced_entity,
            ): row.referencing_entity_navigation_property_name
            for row in self.many_to_one
        }
        wire: dict[str, str] = {}
        for column in columns:
            for target in column.targets:
                # Owners have one property for users and teams, declared for their common parent.
                owner = through.get((column.name, "owner"))
                navigation = through.get((column.name, target), owner)
                if navigation and target in self.sets:
                    wire[f"nav:{column.name}:{target}"] = navigation
                    wire[f"set:{target}"] = self.sets[target]
        return wire


def _relationships(rows: Iterable[Link]) -> tuple[Relationship, ...]:
    """Return the relationships, each once: one of a table with itself is listed on both sides."""
    found = {
        row.schema_name: Relationship(
            row.schema_name,
            row.referencing_entity,
            row.referencing_attribute,
            row.referenced_entity,
            row.referencing_entity_navigation_property_name or "",
            row.referenced_entity_navigation_property_name or "",
            bool(row.is_hierarchical),
        )
        for row in rows
    }
    return tuple(found.values())


def _options(detail: Detail) -> Iterable[Option]:
    found = detail.option_set or detail.global_option_set or OptionSet()
    pair = [one for one in (found.false_option, found.true_option) if one is not None]
    for option in found.options or pair:
        yield Option(option.value, label_of(option.label), option.state)


def _default(kind: ColumnType, detail: Detail) -> int | bool | None:
    """Return what a new row gets; rows begin in state 0, with its first status reason."""
    match kind:
        case ColumnType.BOOLEAN:
            return detail.default_value
        case ColumnType.STATE:
            return 0
        case ColumnType.STATUS:
            return next((option.value for option in _options(detail) if option.state == 0), None)
        case _:
            default = detail.default_form_value
            return None if default == -1 else default


def _behavior(name: str, detail: Detail) -> DateBehavior:
    said = detail.date_time_behavior.value if detail.date_time_behavior else "UserLocal"
    if said not in _BEHAVIORS:
        raise ProtocolError(
            f"the dates of column {name!r} behave in an unknown way; upgrade holdfast"
        )
    return _BEHAVIORS[said]


def _bound(number: Decimal | None) -> Decimal | None:
    return number if number is not None and number.is_finite() else None


def _values(answer: Answer, about: str, decoder: msgspec.json.Decoder[Values[T]]) -> Sequence[T]:
    return described(answer, about, decoder).value
