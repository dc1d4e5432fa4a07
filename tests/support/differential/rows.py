"""Rows at random: few values of each kind, so that they meet, and many nulls and odd letters."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

from holdfast.schema import Column, ColumnType, DateBehavior, ManyToMany
from holdfast.values import Cell, Reference, choices_cell, instant_cell, to_cells, wall_cell
from support.differential.tables import ENDS, MANY_TO_MANY, SCHEMAS

NOW: Final = datetime(2026, 3, 31, 10, 30, 15, tzinfo=UTC)
ROWS: Final = {"thing": 14, "part": 9}
PAIRS: Final = 15  # of each many-to-many relationship, at most
#: A row as the emulator loads it; its cells in the order of the schema are the core's record.
Given: TypeAlias = Mapping[str, Cell | Reference]

PLAIN: Final = ("abc", "ABC", "Abcd", "a%b", "a_b", "[x]", "O'Neil", 'say "hi"', "b-c", "1")
FOREIGN: Final = ("Øl", "øl", "straße", "STRASSE", "ÉA", "éa", "日本", "Ǆ", "ﬁn", "İ", "a\u0301")
NUMBERS: Final = (-7, -1, 0, 1, 2, 9, 10, 100)
DECIMALS: Final = ("-1.5", "-1.50", "0", "0.1", "0.10", "2", "9.99", "10", "12345678901.1234567891")
DOUBLES: Final = (-2.5, -0.1, 0.0, 0.1, 1.5, 2.0, 10.25)
STEPS: Final = (
    *(timedelta(days=days) for days in (-800, -400, -365, -95, -62, -31, -30, -8, -7, -6, -1)),
    *(timedelta(hours=hours) for hours in (-14, -3, -2, -1, 0, 1, 2, 3, 14)),
    *(timedelta(minutes=minutes) for minutes in (-6, -5, -1, 1)),
    *(timedelta(days=days) for days in (1, 6, 7, 8, 30, 31, 62, 95, 365, 400, 800)),
)


@dataclass(frozen=True)
class People:
    """Whom a row may belong to: ids by what they are."""

    user: str
    other: str
    team: str
    unit: str


def row_id(table: str, number: int) -> str:
    """Return the id of the row with this number."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{table} {number}"))


def text(dice: random.Random) -> str:
    """Return a text; more than a third have letters that are not ASCII."""
    return dice.choice(FOREIGN if dice.random() < 0.45 else PLAIN)


def cell_of(dice: random.Random, column: Column, people: People) -> Cell | Reference:
    """Return what a column may hold, null aside."""
    match column.type:
        case ColumnType.STRING | ColumnType.MEMO:
            return text(dice)
        case ColumnType.INTEGER | ColumnType.BIGINT:
            return dice.choice(NUMBERS)
        case ColumnType.DECIMAL:
            return Decimal(dice.choice(DECIMALS))
        case ColumnType.DOUBLE:
            return dice.choice(DOUBLES)
        case ColumnType.BOOLEAN:
            return dice.random() < 0.5
        case ColumnType.CHOICE:
            return dice.randint(1, 4)
        case ColumnType.CHOICES:
            return choices_cell(dice.sample((1, 2, 3, 11, 12), dice.randint(1, 3)))
        case ColumnType.DATETIME:
            return date_of(dice, column)
        case _:
            return reference_of(dice, column, people)


def date_of(dice: random.Random, column: Column) -> str:
    """Return a date near now, often at the very edge of a day, an hour or a minute."""
    moment = NOW + dice.choice(STEPS)
    match dice.randint(0, 4):
        case 0:
            moment = moment.replace(hour=0, minute=0, second=0)
        case 1:
            moment = moment.replace(minute=0, second=0)
        case 2:
            moment = moment.replace(second=0) - timedelta(seconds=1)
        case 3:
            moment = moment.replace(day=1, hour=0, minute=0, second=0)
    match column.behavior:
        case DateBehavior.DATE_ONLY:
            return moment.date().isoformat()
        case DateBehavior.TIME_ZONE_INDEPENDENT:
            return wall_cell(moment.replace(tzinfo=None))
        case DateBehavior.USER_LOCAL:
            return instant_cell(moment)


def reference_of(dice: random.Random, column: Column, people: People) -> Reference:
    """Return a pointer to a row, which may be missing."""
    target = dice.choice(column.targets)
    match target:
        case "systemuser":
            return Reference(target, dice.choice((people.user, people.other)))
        case "team":
            return Reference(target, people.team)
        case "businessunit":
            return Reference(target, people.unit)
        case _:
            return Reference(target, row_id(target, dice.randrange(ROWS[target])))


def rows_of(dice: random.Random, people: People) -> dict[str, list[Given]]:
    """Return the rows of every table; nearly a third of the cells of ends are null."""
    ends: dict[str, list[Given]] = {
        table: [
            {
                column.name: row_id(table, number)
                if column.name == schema.primary_id
                else None
                if dice.random() < 0.34
                else cell_of(dice, column, people)
                for column in schema.columns
            }
            for number in range(ROWS[table])
        ]
        for table, schema in ENDS.items()
    }
    return ends | {r.intersect: pairs_of(dice, r) for r in MANY_TO_MANY}


def pairs_of(dice: random.Random, relationship: ManyToMany) -> list[Given]:
    """Return the pairs of a relationship: some rows have none, others several."""
    table = relationship.intersect
    ends = (
        (relationship.column1, relationship.table1),
        (relationship.column2, relationship.table2),
    )
    drawn = {tuple(dice.randrange(ROWS[end]) for _, end in ends) for _ in range(PAIRS)}
    return [
        {f"{table}id": row_id(table, number)}
        | {column: row_id(end, at) for (column, end), at in zip(ends, numbers, strict=True)}
        for number, numbers in enumerate(sorted(drawn))
    ]


def record_of(table: str, given: Given) -> tuple[Cell, ...]:
    """Return a row as the core keeps it."""
    schema = SCHEMAS[table]
    cells: dict[str, Cell] = {}
    for column in schema.columns:
        own = to_cells(column, given[column.name])
        cells.update(zip((field.name for field in column.fields), own, strict=True))
    return tuple(cells[field.name] for field in schema.fields)


def share_of_nulls_and_foreign(rows: Mapping[str, Sequence[Given]]) -> tuple[float, float]:
    """Return which share of the cells is null, and which of the texts is not ASCII."""
    cells = [cell for table in ENDS for row in rows[table] for cell in row.values()]
    texts = [
        str(row[name])
        for table in rows.values()
        for row in table
        for name in ("name", "note", "other")
        if row.get(name) is not None
    ]
    return (
        sum(cell is None for cell in cells) / len(cells),
        sum(not one.isascii() for one in texts) / max(1, len(texts)),
    )
