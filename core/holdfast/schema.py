"""What a table looks like: columns as people know them, fields as they are stored.

Invariant: a column has one *visible* field of its own name. A lookup adds hidden fields beside it,
for the target table and for the name of the row it points to; a file or image adds its name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Final

#: Fields whose names start so belong to holdfast; a server column may not.
HIDDEN_PREFIX: Final = "_holdfast_"
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")


def is_identifier(name: str) -> bool:
    """Tell whether a table or column may be called so: letters, digits and ``_``, at most 128."""
    return _IDENTIFIER.match(name) is not None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return how a message about a wrong name ends: with the one that was meant, or with all."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names[:8])}" if names else ""


class Kind(Enum):
    """How a stored cell compares; see :mod:`holdfast.values` for the cell of each column type."""

    TEXT = "text"  # str, compared case-insensitively with holdfast.folding.fold
    KEY = "key"  # str, compared exactly: ids, canonical dates, opaque text
    INTEGER = "integer"  # int, 64 bits
    REAL = "real"  # float
    DECIMAL = "decimal"  # decimal.Decimal, compared exactly
    BOOLEAN = "boolean"  # bool
    DATETIME = "datetime"  # canonical text, compared without its trailing Z


class ColumnType(Enum):
    """The column types of Dataverse; another server maps its own onto these."""

    STRING = "string"
    MEMO = "memo"
    INTEGER = "integer"
    BIGINT = "bigint"
    DECIMAL = "decimal"
    DOUBLE = "double"
    MONEY = "money"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    STATE = "state"
    STATUS = "status"
    CHOICES = "choices"  # multi-select
    DATETIME = "datetime"
    UNIQUEIDENTIFIER = "uniqueidentifier"
    LOOKUP = "lookup"  # also customer and owner: several targets
    ENTITY_NAME = "entityname"
    FILE = "file"
    IMAGE = "image"


class DateBehavior(Enum):
    """What a datetime column means."""

    USER_LOCAL = "user-local"  # an instant, in UTC
    TIME_ZONE_INDEPENDENT = "time-zone-independent"  # a wall-clock reading, never converted
    DATE_ONLY = "date-only"


_KINDS: Final[Mapping[ColumnType, Kind]] = {
    ColumnType.STRING: Kind.TEXT,
    ColumnType.MEMO: Kind.TEXT,
    ColumnType.ENTITY_NAME: Kind.TEXT,
    ColumnType.INTEGER: Kind.INTEGER,
    ColumnType.BIGINT: Kind.INTEGER,
    ColumnType.CHOICE: Kind.INTEGER,
    ColumnType.STATE: Kind.INTEGER,
    ColumnType.STATUS: Kind.INTEGER,
    ColumnType.DECIMAL: Kind.DECIMAL,
    ColumnType.MONEY: Kind.DECIMAL,
    ColumnType.DOUBLE: Kind.REAL,
    ColumnType.BOOLEAN: Kind.BOOLEAN,
    ColumnType.CHOICES: Kind.KEY,
    ColumnType.DATETIME: Kind.DATETIME,
    ColumnType.UNIQUEIDENTIFIER: Kind.KEY,
    ColumnType.LOOKUP: Kind.KEY,
    ColumnType.FILE: Kind.KEY,
    ColumnType.IMAGE: Kind.KEY,
}


class Fill(Enum):
    """What the server will put into a column that a create leaves out; shown at once."""

    NOW = "now"
    CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a choice; ``state`` is the statecode that a status reason belongs to."""

    value: int
    label: str
    state: int | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One stored cell of a row."""

    name: str
    kind: Kind

    @property
    def hidden(self) -> bool:
        """Whether people should not see it as a column."""
        return self.name.startswith(HIDDEN_PREFIX)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, with all that a local write is checked against.

    ``minimum`` and ``maximum`` bound numbers, ``max_length`` counts characters, ``precision`` is
    the number of decimals that the server keeps. ``default`` and ``fill`` are what the server puts
    into a new row when nothing is given.
    """

    name: str
    type: ColumnType
    label: str = ""
    required: bool = False
    creatable: bool = True
    updatable: bool = True
    max_length: int | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    precision: int | None = None
    options: tuple[Option, ...] = ()
    targets: tuple[str, ...] = ()
    behavior: DateBehavior = DateBehavior.USER_LOCAL
    default: int | bool | None = None
    fill: Fill | None = None

    @property
    def kind(self) -> Kind:
        """How its visible cell compares."""
        if self.type is ColumnType.DATETIME and self.behavior is DateBehavior.DATE_ONLY:
            return Kind.KEY
        return _KINDS[self.type]

    @property
    def table_field(self) -> str | None:
        """The hidden field with a lookup's target table; None where only one target is possible."""
        if self.type is ColumnType.LOOKUP and len(self.targets) != 1:
            return f"{HIDDEN_PREFIX}{self.name}_table"
        return None

    @property
    def name_field(self) -> str | None:
        """The hidden field with the name of the row or file that is pointed to."""
        if self.type in (ColumnType.LOOKUP, ColumnType.FILE, ColumnType.IMAGE):
            return f"{HIDDEN_PREFIX}{self.name}_name"
        return None

    @property
    def fields(self) -> tuple[Field, ...]:
        """The stored fields, the visible one first."""
        own = [Field(self.name, self.kind)]
        if self.table_field:
            own.append(Field(self.table_field, Kind.KEY))
        if self.name_field:
            own.append(Field(self.name_field, Kind.TEXT))
        return tuple(own)


@dataclass(frozen=True, slots=True)
class Relationship:
    """A one-to-many relationship: rows of ``referencing`` point at rows of ``referenced``.

    :param navigation: what the lookup's target is called from a referencing row; case counts
    :param collection: what the rows that point there are called from a referenced row
    :param hierarchical: its rows form the tree that ``above`` and ``under`` mean
    """

    name: str
    referencing: str
    column: str
    referenced: str
    navigation: str = ""
    collection: str = ""
    hierarchical: bool = False


@dataclass(frozen=True, slots=True)
class Crossing:
    """One way over a many-to-many relationship, from a row of ``table`` to rows of ``target``.

    A row of ``intersect`` is a pair: its column ``near`` holds the id of the one, ``far`` that of
    the other.

    :param collection: what the rows at the other end are called from here; case counts
    """

    collection: str
    table: str
    near: str
    intersect: str
    far: str
    target: str


@dataclass(frozen=True, slots=True)
class ManyToMany:
    """A many-to-many relationship; its pairs are the rows of the table ``intersect``.

    The ends have numbers, because both may be the same table. ``column1`` of a pair holds the id of
    a row of ``table1``; ``collection1`` is what that row calls the rows of ``table2``.
    """

    name: str
    intersect: str
    table1: str
    column1: str
    collection1: str
    table2: str
    column2: str
    collection2: str

    @property
    def crossings(self) -> tuple[Crossing, Crossing]:
        """Both ways over it."""
        one, other = (self.table1, self.column1), (self.table2, self.column2)
        return (
            Crossing(self.collection1, *one, self.intersect, *reversed(other)),
            Crossing(self.collection2, *other, self.intersect, *reversed(one)),
        )


@dataclass(frozen=True)
class TableSchema:
    """A table as the server describes it.

    ``wire`` belongs to the transport (entity set names and the like); the core stores it and never
    looks inside.

    :param many_to_many: the relationships of which it is an end
    :param intersect: its rows are the pairs of such a relationship, which nobody writes as rows
    """

    name: str
    primary_id: str
    primary_name: str | None
    columns: tuple[Column, ...]
    label: str = ""
    relationships: tuple[Relationship, ...] = ()
    wire: Mapping[str, str] = field(default_factory=dict)
    many_to_many: tuple[ManyToMany, ...] = ()
    intersect: bool = False

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    def column(self, name: str) -> Column | None:
        """Return the column called ``name``, or None."""
        return self.by_name.get(name)

    def only(self, names: Iterable[str]) -> TableSchema:
        """Return this schema with no more than these columns; the primary id always stays first.

        :param names: of columns, or of their hidden fields, which a filter may read
        """
        wanted = {self.primary_id, *names}
        first = self.by_name[self.primary_id]
        rest = (
            column
            for column in self.columns
            if column.name != self.primary_id
            and not wanted.isdisjoint(f.name for f in column.fields)
        )
        return replace(self, columns=(first, *rest))

    @cached_property
    def crossings(self) -> tuple[Crossing, ...]:
        """The ways from its rows over many-to-many relationships."""
        both = (way for relationship in self.many_to_many for way in relationship.crossings)
        return tuple(way for way in both if way.table == self.name)

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The stored fields of all columns, the primary id first."""
        first = self.by_name[self.primary_id]
        rest = (c for c in self.columns if c.name != self.primary_id)
        return (*first.fields, *(f for column in rest for f in column.fields))

    @cached_property
    def decimals(self) -> tuple[str, ...]:
        """The names of the fields that hold exact decimals."""
        return tuple(f.name for f in self.fields if f.kind is Kind.DECIMAL)

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Where each field stands in a row's cells."""
        return {f.name: index for index, f in enumerate(self.fields)}
