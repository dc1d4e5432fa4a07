"""What tables are made of, as the server describes itself: columns, options, relationships.

Invariant: a definition is a value; :class:`Metadata` is the one place that knows which exist now.
A lookup keeps the id in the field of its own name; one with several targets keeps the table beside
it, in the hidden field that :mod:`holdfast.schema` names.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Final

from holdfast.schema import Column, ColumnType, DateBehavior, Option, Relationship, TableSchema
from holdfast_emulator.behaviour.relationships import (
    AnyRelationship,
    Hop,
    ManyToManyDefinition,
    RelationshipDefinition,
    hops_of,
)

_NAMESPACE: Final = uuid.UUID("5bd9b9c0-9e4b-4f0a-8d6c-0f5f3f2c7a11")


def metadata_id(*names: str) -> str:
    """Return the id of a part of the metadata: the same for the same names, everywhere."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(names)))


class RequiredLevel(Enum):
    """How much a column is wanted; only SystemRequired is enforced by the platform."""

    NONE = "None"
    RECOMMENDED = "Recommended"
    APPLICATION = "ApplicationRequired"
    SYSTEM = "SystemRequired"


class Ownership(Enum):
    """Who owns the rows of a table."""

    USER = "UserOwned"
    ORGANIZATION = "OrganizationOwned"
    BUSINESS = "BusinessOwned"
    NONE = "None"


class LookupKind(Enum):
    """The three attribute types that are lookups."""

    LOOKUP = "Lookup"
    CUSTOMER = "Customer"
    OWNER = "Owner"


@dataclass(frozen=True, slots=True)
class KeyDefinition:
    """An alternate key: columns whose values together name one row of the table."""

    name: str
    schema_name: str
    columns: tuple[str, ...]
    label: str = ""


_ATTRIBUTE_TYPES: Final[Mapping[ColumnType, tuple[str, str]]] = {
    ColumnType.STRING: ("String", "StringType"),
    ColumnType.MEMO: ("Memo", "MemoType"),
    ColumnType.INTEGER: ("Integer", "IntegerType"),
    ColumnType.BIGINT: ("BigInt", "BigIntType"),
    ColumnType.DECIMAL: ("Decimal", "DecimalType"),
    ColumnType.DOUBLE: ("Double", "DoubleType"),
    ColumnType.MONEY: ("Money", "MoneyType"),
    ColumnType.BOOLEAN: ("Boolean", "BooleanType"),
    ColumnType.CHOICE: ("Picklist", "PicklistType"),
    ColumnType.STATE: ("State", "StateType"),
    ColumnType.STATUS: ("Status", "StatusType"),
    ColumnType.CHOICES: ("Virtual", "MultiSelectPicklistType"),
    ColumnType.DATETIME: ("DateTime", "DateTimeType"),
    ColumnType.UNIQUEIDENTIFIER: ("Uniqueidentifier", "UniqueidentifierType"),
    ColumnType.ENTITY_NAME: ("EntityName", "EntityNameType"),
    ColumnType.FILE: ("Virtual", "FileType"),
    ColumnType.IMAGE: ("Virtual", "ImageType"),
}


@dataclass(frozen=True)
class ColumnDefinition:
    """One column.

    ``default`` is what a create fills in when nothing is given. ``base_of`` names the money column
    whose value in the base currency this one is. ``default_statuses`` maps each state to the status
    reason that a bare state change takes. Options of a boolean are its two labels.
    """

    name: str
    type: ColumnType
    schema_name: str
    label: str
    required: RequiredLevel = RequiredLevel.NONE
    creatable: bool = True
    updatable: bool = True
    readable: bool = True
    max_length: int | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    precision: int | None = None
    options: tuple[Option, ...] = ()
    global_options: str | None = None  # the name of a global option set, if it is one
    default: int | bool | None = None
    default_statuses: tuple[tuple[int, int], ...] = ()
    targets: tuple[str, ...] = ()
    lookup_kind: LookupKind = LookupKind.LOOKUP
    behavior: DateBehavior = DateBehavior.USER_LOCAL
    format: str | None = None  # Text, Email, Url, Phone, DateOnly, DateAndTime …
    base_of: str | None = None
    secured: bool = False  # hidden from some; see Dataverse.secure

    @property
    def attribute_type(self) -> str:
        """The value of ``AttributeType``."""
        if self.type is ColumnType.LOOKUP:
            return self.lookup_kind.value
        return _ATTRIBUTE_TYPES[self.type][0]

    @property
    def attribute_type_name(self) -> str:
        """The value of ``AttributeTypeName/Value``."""
        if self.type is ColumnType.LOOKUP:
            return f"{self.lookup_kind.value}Type"
        return _ATTRIBUTE_TYPES[self.type][1]

    @property
    def metadata_type(self) -> str:
        """The derived metadata type to cast to, such as ``MoneyAttributeMetadata``."""
        if self.type is ColumnType.LOOKUP:
            return "LookupAttributeMetadata"
        return self.attribute_type_name.removesuffix("Type") + "AttributeMetadata"

    @property
    def wire_name(self) -> str:
        """The name of its property in a row: ``_x_value`` for lookups."""
        return f"_{self.name}_value" if self.type is ColumnType.LOOKUP else self.name

    @cached_property
    def by_value(self) -> Mapping[int, Option]:
        """The options by value."""
        return {option.value: option for option in self.options}

    @cached_property
    def column(self) -> Column:
        """The same column as holdfast sees it."""
        return Column(
            self.name,
            self.type,
            self.label,
            self.required in (RequiredLevel.APPLICATION, RequiredLevel.SYSTEM),
            self.creatable,
            self.updatable,
            self.max_length,
            self.minimum,
            self.maximum,
            self.precision,
            self.options,
            self.targets,
            self.behavior,
        )

    @property
    def table_field(self) -> str | None:
        """The hidden field with a lookup's target table; None with one target."""
        return self.column.table_field


@dataclass(frozen=True)
class TableDefinition:
    """One table; ``columns`` holds each column once, the primary id first."""

    name: str
    schema_name: str
    entity_set: str
    object_type_code: int
    primary_id: str
    primary_name: str | None
    columns: tuple[ColumnDefinition, ...]
    label: str = ""
    collection_label: str = ""
    ownership: Ownership = Ownership.USER
    primary_image: str | None = None
    is_activity: bool = False
    is_custom: bool = False
    change_tracking: bool = True
    optimistic_concurrency: bool = True
    available_offline: bool = True
    is_intersect: bool = False  # holds the pairs of a many-to-many relationship
    keys: tuple[KeyDefinition, ...] = ()

    @cached_property
    def by_name(self) -> Mapping[str, ColumnDefinition]:
        """The columns by logical name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def by_wire_name(self) -> Mapping[str, ColumnDefinition]:
        """The columns by the name of their property in a row (``_ownerid_value``)."""
        return {column.wire_name: column for column in self.columns}

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The stored fields of a row, in the order of its cells."""
        names: list[str] = []
        for column in self.columns:
            names.append(column.name)
            if column.table_field:
                names.append(column.table_field)
        return tuple(names)

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Where each stored field stands in a row's cells."""
        return {name: index for index, name in enumerate(self.fields)}

    @cached_property
    def table_fields(self) -> Mapping[str, str]:
        """The hidden field beside each lookup that has several targets."""
        return {c.name: c.table_field for c in self.columns if c.table_field}

    @cached_property
    def lookups(self) -> tuple[ColumnDefinition, ...]:
        """The columns that point to rows."""
        return tuple(c for c in self.columns if c.type is ColumnType.LOOKUP)

    @cached_property
    def schema(self) -> TableSchema:
        """The same table as holdfast sees it: what a filter language parses against."""
        return TableSchema(
            self.name,
            self.primary_id,
            self.primary_name,
            tuple(column.column for column in self.columns),
            self.label,
        )

    @property
    def read_privilege(self) -> str:
        """The name of the privilege to read it."""
        return f"prvRead{self.schema_name}"

    @property
    def read_privilege_id(self) -> str:
        """The id of that privilege."""
        return metadata_id("privilege", self.read_privilege)

    def column(self, name: str) -> ColumnDefinition | None:
        """Return the column called ``name``, or None."""
        return self.by_name.get(name)


class Metadata:
    """All tables and relationships, and when each table last changed its shape.

    ``version`` grows with every change; it is what ``globalmetadataversion`` tells.
    """

    def __init__(
        self,
        tables: Iterable[TableDefinition] = (),
        relationships: Iterable[RelationshipDefinition] = (),
    ) -> None:
        self.tables: dict[str, TableDefinition] = {table.name: table for table in tables}
        self.relationships: dict[str, RelationshipDefinition] = {
            relationship.schema_name: relationship for relationship in relationships
        }
        self.many_to_many: dict[str, ManyToManyDefinition] = {}
        self.version = 1_000_000

    def table(self, name: str) -> TableDefinition | None:
        """Return the table with this logical name."""
        return self.tables.get(name)

    def entity_set(self, name: str) -> TableDefinition | None:
        """Return the table whose entity set is called ``name``."""
        return next((t for t in self.tables.values() if t.entity_set == name), None)

    def many_to_one(self, table: str) -> tuple[RelationshipDefinition, ...]:
        """Return the relationships in which ``table`` points to others."""
        return tuple(r for r in self.relationships.values() if r.referencing == table)

    def one_to_many(self, table: str) -> tuple[RelationshipDefinition, ...]:
        """Return the relationships in which others point to ``table``."""
        return tuple(r for r in self.relationships.values() if r.referenced == table)

    def single_valued(self, table: str, navigation: str) -> RelationshipDefinition | None:
        """Return the relationship behind a single-valued navigation property; case matters."""
        return next(
            (r for r in self.many_to_one(table) if r.referencing_navigation == navigation), None
        )

    def collection_valued(self, table: str, navigation: str) -> RelationshipDefinition | None:
        """Return the relationship behind a collection-valued navigation property."""
        return next(
            (r for r in self.one_to_many(table) if r.referenced_navigation == navigation), None
        )

    def hops(self, table: str) -> tuple[Hop, ...]:
        """Return every step that leads away from rows of ``table``."""
        known: tuple[AnyRelationship, ...] = (
            *self.relationships.values(),
            *self.many_to_many.values(),
        )
        return tuple(hop for r in known for hop in hops_of(r) if hop.source == table)

    def hop(self, table: str, navigation: str) -> Hop | None:
        """Return the step along a navigation property of ``table``; case matters.

        A property that several relationships share (an owner) leads to the first of them; see
        :meth:`hops` for all.
        """
        return next((hop for hop in self.hops(table) if hop.navigation == navigation), None)

    def navigation_of(self, table: str, column: str, target: str) -> str | None:
        """Return the single-valued property through which ``column`` points to ``target``."""
        for relationship in self.many_to_one(table):
            if relationship.referencing_attribute == column and relationship.referenced == target:
                return relationship.referencing_navigation
        return None

    def schema(self, table: str) -> TableSchema:
        """Return the table as holdfast sees it, with the relationships it takes part in."""
        own = (*self.many_to_one(table), *self.one_to_many(table))
        return replace(
            self.tables[table].schema,
            relationships=tuple(
                Relationship(r.schema_name, r.referencing, r.referencing_attribute, r.referenced)
                for r in dict.fromkeys(own)
            ),
        )

    def put(self, table: TableDefinition) -> None:
        """Add a table, or replace the definition of the one with this name."""
        self.tables[table.name] = table
        self.version += 1

    def relate(self, relationship: AnyRelationship) -> None:
        """Add a relationship."""
        if isinstance(relationship, ManyToManyDefinition):
            self.many_to_many[relationship.schema_name] = relationship
        else:
            self.relationships[relationship.schema_name] = relationship
        self.version += 1
