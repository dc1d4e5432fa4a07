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
from functools import cached_property, lru_cache
from typing import Final

from holdfast.schema import Column, ColumnType, DateBehavior, Option, Relationship, TableSchema
from holdfast_emulator.behaviour.option_sets import OptionSetDefinition, Translations
from holdfast_emulator.behaviour.relationships import (
    AnyRelationship,
    Hop,
    ManyToManyDefinition,
    RelationshipDefinition,
    hops_of,
)

_NAMESPACE: Final = uuid.UUID("5bd9b9c0-9e4b-4f0a-8d6c-0f5f3f2c7a11")


@lru_cache(maxsize=65_536)
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
    translations: Translations = ()


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
    description: str = ""
    is_custom: bool = False
    translations: Translations = ()
    extras: tuple[tuple[str, str], ...] = ()  # what has no effect here: property to JSON
    max_size_kb: int | None = None  # of a file or an image; None means the platform's default
    full_image: bool = True  # whether an image is kept beside its thumbnail

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

    @property
    def companions(self) -> tuple[str, ...]:
        """The names of the columns that come and go with it, and show what is in it."""
        match self.type:
            case ColumnType.MONEY if self.base_of is None:
                return (f"{self.name}_base",)
            case ColumnType.FILE:
                return (f"{self.name}_name",)
            case ColumnType.IMAGE:
                return tuple(f"{self.name}{end}" for end in ("id", "_timestamp", "_url"))
            case _:
                return ()

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
    description: str = ""
    has_notes: bool = False
    has_activities: bool = False
    translations: Translations = ()
    extras: tuple[tuple[str, str], ...] = ()  # what has no effect here: property to JSON

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

    def privilege_id(self, verb: str) -> str:
        """Return the id of a privilege in it, such as ``Write``."""
        return metadata_id("privilege", f"prv{verb}{self.schema_name}")

    def column(self, name: str) -> ColumnDefinition | None:
        """Return the column called ``name``, or None."""
        return self.by_name.get(name)


class Metadata:
    """All tables, relationships and global option sets, and when each part last changed.

    ``version`` grows with every change; it is what ``globalmetadataversion`` tells. ``changed`` has
    the version of each part that changed since the organisation was made, by its metadata id;
    ``deleted`` the version, kind and metadata id of each part that is gone.
    """

    def __init__(
        self,
        tables: Iterable[TableDefinition] = (),
        relationships: Iterable[AnyRelationship] = (),
        option_sets: Iterable[OptionSetDefinition] = (),
    ) -> None:
        self.tables: dict[str, TableDefinition] = {table.name: table for table in tables}
        self.relationships: dict[str, RelationshipDefinition] = {}
        self.many_to_many: dict[str, ManyToManyDefinition] = {}
        self.option_sets: dict[str, OptionSetDefinition] = {one.name: one for one in option_sets}
        self.version = 1_000_000
        self.changed: dict[str, int] = {}
        self.deleted: list[tuple[int, str, str]] = []
        self._index = _Index({}, {}, {}, {})
        for relationship in relationships:
            self._add(relationship)
        self.reindex()

    def reindex(self) -> None:
        """Notice that tables or relationships were put, taken away or replaced."""
        known: tuple[AnyRelationship, ...] = (
            *self.relationships.values(),
            *self.many_to_many.values(),
        )
        hops: dict[str, list[Hop]] = {}
        for hop in (hop for relationship in known for hop in hops_of(relationship)):
            hops.setdefault(hop.source, []).append(hop)
        to_one: dict[str, list[RelationshipDefinition]] = {}
        to_many: dict[str, list[RelationshipDefinition]] = {}
        for relationship in self.relationships.values():
            to_one.setdefault(relationship.referencing, []).append(relationship)
            to_many.setdefault(relationship.referenced, []).append(relationship)
        self._index = _Index(
            {table.entity_set: table.name for table in self.tables.values()},
            {name: tuple(found) for name, found in hops.items()},
            {name: tuple(found) for name, found in to_one.items()},
            {name: tuple(found) for name, found in to_many.items()},
        )

    def table(self, name: str) -> TableDefinition | None:
        """Return the table with this logical name."""
        return self.tables.get(name)

    def entity_set(self, name: str) -> TableDefinition | None:
        """Return the table whose entity set is called ``name``."""
        return self.tables.get(self._index.sets.get(name, ""))

    def many_to_one(self, table: str) -> tuple[RelationshipDefinition, ...]:
        """Return the relationships in which ``table`` points to others."""
        return self._index.to_one.get(table, ())

    def one_to_many(self, table: str) -> tuple[RelationshipDefinition, ...]:
        """Return the relationships in which others point to ``table``."""
        return self._index.to_many.get(table, ())

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
        return self._index.hops.get(table, ())

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
        self.changed[metadata_id("table", table.name)] = self.version
        self.reindex()

    def relate(self, relationship: AnyRelationship) -> None:
        """Add a relationship."""
        self._add(relationship)
        self.version += 1
        self.changed[metadata_id("relationship", relationship.schema_name)] = self.version
        self.reindex()

    def _add(self, relationship: AnyRelationship) -> None:
        if isinstance(relationship, ManyToManyDefinition):
            self.many_to_many[relationship.schema_name] = relationship
        else:
            self.relationships[relationship.schema_name] = relationship


@dataclass(frozen=True, slots=True)
class _Index:
    """What every request asks for: names by entity set, steps and relationships by table."""

    sets: Mapping[str, str]
    hops: Mapping[str, tuple[Hop, ...]]
    to_one: Mapping[str, tuple[RelationshipDefinition, ...]]
    to_many: Mapping[str, tuple[RelationshipDefinition, ...]]
