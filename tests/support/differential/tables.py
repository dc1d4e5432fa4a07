"""Tables with every type of column, for the core and, the same ones, for the emulator."""

from __future__ import annotations

from typing import Final

from holdfast.schema import (
    Column,
    ColumnType,
    DateBehavior,
    Kind,
    ManyToMany,
    Option,
    Relationship,
    TableSchema,
)
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.associations import intersect_table
from holdfast_emulator.behaviour.metadata import ColumnDefinition, Ownership, TableDefinition
from holdfast_emulator.behaviour.relationships import ManyToManyDefinition, RelationshipDefinition

T = ColumnType
OPTIONS: Final = tuple(Option(value, f"Option {value}") for value in range(1, 13))
LARGE: Final = ("-100000000000", "100000000000")

TREE: Final = Relationship(
    *("thing_parent", "thing", "parentid", "thing"),
    navigation="parentid",
    collection="thing_children",
    hierarchical=True,
)
PART_OF: Final = Relationship(
    *("part_thing", "part", "thingid", "thing"), navigation="thingid", collection="thing_parts"
)
MADE_WITH: Final = Relationship(
    *("thing_part", "thing", "partid", "part"), navigation="partid", collection="part_things"
)
RELATIONSHIPS: Final = (TREE, PART_OF, MADE_WITH)
FITS: Final = ManyToMany(
    *("thing_fits", "thingfit"),
    *("thing", "thingid", "fitting_parts"),
    *("part", "partid", "fitting_things"),
)
LIKES: Final = ManyToMany(
    *("thing_likes", "thinglike"),
    *("thing", "thingidone", "likes"),
    *("thing", "thingidtwo", "liked_by"),
)
MANY_TO_MANY: Final = (FITS, LIKES)


def _columns(table: str) -> tuple[Column, ...]:
    shared = (
        Column(f"{table}id", T.UNIQUEIDENTIFIER),
        Column("name", T.STRING, max_length=100),
        Column("note", T.MEMO, max_length=200),
        Column("count", T.INTEGER),
        Column("rate", T.DECIMAL),
        Column("born", T.DATETIME, behavior=DateBehavior.DATE_ONLY),
    )
    if table == "part":
        return (*shared, Column("thingid", T.LOOKUP, targets=("thing",)))
    return (
        *shared,
        Column("other", T.STRING, max_length=100),
        Column("big", T.BIGINT),
        Column("weight", T.DOUBLE),
        Column("flag", T.BOOLEAN),
        Column("color", T.CHOICE, options=OPTIONS),
        Column("tags", T.CHOICES, options=OPTIONS),
        Column("seen", T.DATETIME),
        Column("left", T.DATETIME),
        Column("planned", T.DATETIME, behavior=DateBehavior.TIME_ZONE_INDEPENDENT),
        Column("parentid", T.LOOKUP, targets=("thing",)),
        Column("partid", T.LOOKUP, targets=("part",)),
        Column("agentid", T.LOOKUP, targets=("systemuser", "team")),
        Column("unitid", T.LOOKUP, targets=("businessunit",)),
    )


def _schema(table: str) -> TableSchema:
    own = tuple(r for r in RELATIONSHIPS if table in (r.referencing, r.referenced))
    wire = {"set": f"{table}s"}
    for relationship in RELATIONSHIPS:
        if relationship.referencing == table:
            key = f"nav:{relationship.column}:{relationship.referenced}"
            wire[key] = relationship.navigation
    across = tuple(r for r in MANY_TO_MANY if table in (r.table1, r.table2))
    columns = _columns(table)
    return TableSchema(table, f"{table}id", "name", columns, "", own, wire, many_to_many=across)


def _pairs(relationship: ManyToMany) -> TableSchema:
    name = relationship.intersect
    columns = (f"{name}id", relationship.column1, relationship.column2)
    return TableSchema(
        *(name, f"{name}id", None, tuple(Column(each, T.UNIQUEIDENTIFIER) for each in columns)),
        wire={"set": f"{name}set"},
        intersect=True,
    )


ENDS: Final = {table: _schema(table) for table in ("thing", "part")}
PAIRS: Final = {relationship.intersect: _pairs(relationship) for relationship in MANY_TO_MANY}
SCHEMAS: Final = {**ENDS, **PAIRS}


def emulated_tables() -> list[TableDefinition]:
    """Return the same tables for the emulator."""
    ends = [
        TableDefinition(
            *(table, table, f"{table}s", 10_000 + at, f"{table}id", "name"),
            (*(_emulated(column) for column in schema.columns), *c.stamps()),
            ownership=Ownership.ORGANIZATION,
        )
        for at, (table, schema) in enumerate(ENDS.items())
    ]
    pairs = [
        intersect_table(r, r.intersect, PAIRS[r.intersect].wire["set"], 10_100 + at)
        for at, r in enumerate(emulated_many_to_many())
    ]
    return [*ends, *pairs]


def emulated_many_to_many() -> list[ManyToManyDefinition]:
    """Return the same many-to-many relationships for the emulator."""
    return [
        ManyToManyDefinition(
            *(r.name, r.intersect, r.table1, r.column1, r.collection1),
            *(r.table2, r.column2, r.collection2),
        )
        for r in MANY_TO_MANY
    ]


def emulated_relationships() -> list[RelationshipDefinition]:
    """Return the same relationships for the emulator."""
    return [
        RelationshipDefinition(
            *(r.name, r.referenced, f"{r.referenced}id", r.referencing, r.column),
            *(r.navigation, r.collection),
            is_hierarchical=r.hierarchical,
        )
        for r in RELATIONSHIPS
    ]


def _emulated(column: Column) -> ColumnDefinition:
    options = {option.value: option.label for option in column.options}
    match column.type:
        case T.UNIQUEIDENTIFIER:
            return c.primary_id(column.name)
        case T.STRING:
            return c.text(column.name, 100)
        case T.MEMO:
            return c.memo(column.name, 200)
        case T.DECIMAL:
            return c.number(column.name, *LARGE, 10)
        case T.DOUBLE:
            return c.double(column.name, *LARGE, 5)
        case T.BOOLEAN:
            return c.define(column.name, T.BOOLEAN)
        case T.CHOICE:
            return c.choice(column.name, options)
        case T.CHOICES:
            return c.choices(column.name, options)
        case T.LOOKUP:
            return c.lookup(column.name, *column.targets)
        case T.DATETIME if column.kind is Kind.KEY:
            return c.day(column.name)
        case T.DATETIME:
            return c.moment(column.name, wall=column.behavior is DateBehavior.TIME_ZONE_INDEPENDENT)
        case _:
            return c.define(column.name, column.type)
