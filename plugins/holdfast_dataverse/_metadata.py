"""The server's description of its tables, turned into schemas.

Invariant: a column that is in a schema can be read, and has a type that the model knows.

One ``$batch`` describes any number of tables: a request for each kind of column, because the
properties of a kind are only given when it is asked for by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, TypeAlias

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
from holdfast_dataverse._answers import Answer, require
from holdfast_dataverse._pairs import MANY_TO_MANY, many_to_many

Json: TypeAlias = dict[str, Any]  # Any: JSON of the server
_decoder: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)

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
    rows = _values(answer, "the list of tables")
    return {row["LogicalName"]: row["EntitySetName"] for row in rows if row.get("EntitySetName")}


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
    head = _object(answers[0], about)
    _refuse_special(table, head.get("TableType"))
    columns, many_to_one, one_to_many, *kinds = (_values(one, about) for one in answers[1:-1])
    try:
        details = {detail["LogicalName"]: detail for rows in kinds for detail in rows}
        reading = _Reading(head, details, tuple(many_to_one), sets)
        schema = reading.schema(columns, [*many_to_one, *one_to_many])
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"{about} is not understood ({error!r})") from error
    return replace(schema, many_to_many=many_to_many(answers[-1], about))


def _refuse_special(table: str, kind: object) -> None:
    if kind not in (None, "Standard"):
        raise UsageError(
            f"table {table!r} is of type {kind!s:.40}, and only standard tables can be kept "
            "offline; take it out of the profile"
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """The description of one table, while it is being read."""

    head: Json
    details: Mapping[str, Json]
    many_to_one: tuple[Json, ...]
    sets: Mapping[str, str]

    def schema(self, columns: Iterable[Json], relationships: Iterable[Json]) -> TableSchema:
        name, primary_id = self.head["LogicalName"], self.head["PrimaryIdAttribute"]
        kept = [column for row in columns if (column := self._column(row)) is not None]
        by_name = {column.name: column for column in kept}
        if primary_id not in by_name:
            raise ProtocolError(f"the description of {name} lacks its primary id {primary_id!r}")
        primary_name = self.head.get("PrimaryNameAttribute")
        return TableSchema(
            name,
            primary_id,
            primary_name if primary_name in by_name else None,
            tuple(by_name.values()),
            _label(self.head.get("DisplayName")),
            _relationships(relationships),
            {"set": self.head["EntitySetName"], **self._navigation(kept)},
            intersect=bool(self.head.get("IsIntersect")),
        )

    def _column(self, row: Json) -> Column | None:
        """Return a column; None for one that cannot be kept."""
        name, kind = row["LogicalName"], _TYPES.get(row["AttributeTypeName"]["Value"])
        readable = row["IsValidForRead"] and row["IsValidODataAttribute"]
        if kind is None or not readable or row.get("AttributeOf") is not None:
            return None
        if not is_identifier(name) or name.startswith(HIDDEN_PREFIX):
            return None
        detail = self.details.get(name, {})
        targets = tuple(detail.get("Targets") or ())
        if kind is ColumnType.LOOKUP and not targets:
            return None
        behavior = (detail.get("DateTimeBehavior") or {}).get("Value", "UserLocal")
        return Column(
            name,
            kind,
            _label(row.get("DisplayName")),
            # The platform insists on SystemRequired only, and fills in those by itself.
            required=row["RequiredLevel"]["Value"] == "ApplicationRequired",
            creatable=bool(row["IsValidForCreate"]) and kind not in _READ_ONLY,
            updatable=bool(row["IsValidForUpdate"]) and kind not in _READ_ONLY,
            max_length=detail.get("MaxLength"),
            minimum=_bound(detail.get("MinValue")),
            maximum=_bound(detail.get("MaxValue")),
            precision=detail.get("Precision"),
            options=tuple(_options(detail)),
            targets=targets,
            behavior=_BEHAVIORS[behavior],
            default=_default(kind, detail),
            fill=_FILLS.get(name),
        )

    def _navigation(self, columns: Iterable[Column]) -> dict[str, str]:
        """Map each lookup and target to the property it is written through, and to its set."""
        through = {
            (row["ReferencingAttribute"], row["ReferencedEntity"]): row[
                "ReferencingEntityNavigationPropertyName"
            ]
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


def _relationships(rows: Iterable[Json]) -> tuple[Relationship, ...]:
    """Return the relationships, each once: one of a table with itself is listed on both sides."""
    found = {
        row["SchemaName"]: Relationship(
            row["SchemaName"],
            row["ReferencingEntity"],
            row["ReferencingAttribute"],
            row["ReferencedEntity"],
            row.get("ReferencingEntityNavigationPropertyName") or "",
            row.get("ReferencedEntityNavigationPropertyName") or "",
            bool(row.get("IsHierarchical")),
        )
        for row in rows
    }
    return tuple(found.values())


def _options(detail: Json) -> Iterable[Option]:
    found = detail.get("OptionSet") or detail.get("GlobalOptionSet") or {}
    pair = [found[key] for key in ("FalseOption", "TrueOption") if found.get(key)]
    for option in found.get("Options") or pair:
        yield Option(option["Value"], _label(option.get("Label")), option.get("State"))


def _default(kind: ColumnType, detail: Json) -> int | bool | None:
    """Return what a new row gets; rows begin in state 0, with its first status reason."""
    match kind:
        case ColumnType.BOOLEAN:
            return detail.get("DefaultValue")
        case ColumnType.STATE:
            return 0
        case ColumnType.STATUS:
            return next((option.value for option in _options(detail) if option.state == 0), None)
        case _:
            default = detail.get("DefaultFormValue")
            return None if default == -1 else default


def _label(label: Json | None) -> str:
    shown = (label or {}).get("UserLocalizedLabel") or {}
    return str(shown.get("Label") or "")


def _bound(number: float | Decimal | None) -> Decimal | None:
    return None if number is None else Decimal(number)


def _object(answer: Answer, about: str) -> Json:
    require(answer, about)
    try:
        return _decoder.decode(answer.body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{about} is no JSON object ({error})") from error


def _values(answer: Answer, about: str) -> list[Json]:
    value = _object(answer, about).get("value")
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ProtocolError(f"{about} is no list")
    return value
