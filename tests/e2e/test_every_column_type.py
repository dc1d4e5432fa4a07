"""Every column of the tables a field worker uses, there and back, and in the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import Reference
from holdfast.schema import Column, ColumnType, DateBehavior, TableSchema
from holdfast.values import Cell, Value
from holdfast_emulator import Operation
from support.field import Field

TABLES = ("account", "contact", "opportunity", "task")
T = ColumnType
KEY = "7eb682f1-ca75-4511-80d4-00155d2a68d1"
#: What is written to it becomes the date of creation; what it then holds is the real one.
_SWAPPED = "overriddencreatedon"
OTHER_KEY = "00000000-0000-4000-8000-00000000000f"
TEXT = "Ærø Łódź ☃ '\"\\ <&> %_ 😀"
#: What an application reads of each type, as docs and :mod:`holdfast.values` say.
PYTHON: Mapping[ColumnType, type] = {
    T.STRING: str,
    T.MEMO: str,
    T.ENTITY_NAME: str,
    T.UNIQUEIDENTIFIER: str,
    T.FILE: str,
    T.IMAGE: str,
    T.INTEGER: int,
    T.BIGINT: int,
    T.CHOICE: int,
    T.STATE: int,
    T.STATUS: int,
    T.DECIMAL: Decimal,
    T.MONEY: Decimal,
    T.DOUBLE: float,
    T.BOOLEAN: bool,
    T.CHOICES: tuple,
    T.LOOKUP: Reference,
}
#: How it stands in the file.
SQL: Mapping[ColumnType, str] = {
    **dict.fromkeys(T, "text"),
    **dict.fromkeys((T.INTEGER, T.BIGINT, T.CHOICE, T.STATE, T.STATUS, T.BOOLEAN), "integer"),
    T.DOUBLE: "real",
}


def python_type(column: Column) -> type:
    if column.type is T.DATETIME:
        return date if column.behavior is DateBehavior.DATE_ONLY else datetime
    return PYTHON[column.type]


@dataclass(frozen=True)
class Writing:
    """Which of two values to write, and rows to point to."""

    second: bool
    targets: Mapping[str, str]

    def values(self, schema: TableSchema) -> dict[str, Value]:
        """Return a value for every column that may be written now."""
        return {
            column.name: self.value(column)
            for column in schema.columns
            if (column.updatable if self.second else column.creatable)
            and column.name not in (schema.primary_id, _SWAPPED)
        }

    def value(self, column: Column) -> Value:
        match column.type:
            case T.STRING | T.MEMO:
                return self._text(column)
            case T.INTEGER | T.BIGINT:
                return int(self._bound(column))
            case T.DECIMAL | T.MONEY:
                return self._bound(column, column.precision or 0)
            case T.DOUBLE:
                return -47.63958 if self.second else 0.1
            case T.BOOLEAN:
                return not self.second
            case T.STATE | T.STATUS | T.CHOICE | T.CHOICES:
                return self._option(column)
            case T.UNIQUEIDENTIFIER:
                return KEY if self.second else OTHER_KEY
            case T.LOOKUP:
                target = column.targets[-1 if self.second else 0]
                return Reference(target, self.targets[target])
            case T.DATETIME:
                return self._moment(column)
            case other:
                raise AssertionError(other)

    def _option(self, column: Column) -> Value:
        values = tuple(option.value for option in column.options)
        match column.type:
            case T.STATE:
                return int(self.second)
            case T.STATUS:
                return [o.value for o in column.options if o.state == int(self.second)][-1]
            case T.CHOICES:
                return values if self.second else values[:1]
            case _:
                return values[-1 if self.second else 0]

    def _text(self, column: Column) -> str:
        assert column.max_length is not None
        if column.type is T.MEMO:
            return f"{TEXT}\n\tline 2" if self.second else "x" * column.max_length
        return (TEXT if self.second else "Å" * column.max_length)[: column.max_length]

    def _bound(self, column: Column, decimals: int = 0) -> Decimal:
        """Return a number next to a bound, with all the decimals that the column keeps."""
        step = Decimal(1).scaleb(-decimals)
        assert column.minimum is not None
        assert column.maximum is not None
        return column.minimum + step if self.second else column.maximum - step

    def _moment(self, column: Column) -> datetime | date:
        text = "2027-12-31T23:30:15" if self.second else "1900-01-01T00:00:01"
        moment = datetime.fromisoformat(text)
        match column.behavior:
            case DateBehavior.DATE_ONLY:
                return moment.date()
            case DateBehavior.TIME_ZONE_INDEPENDENT:
                return moment
            case DateBehavior.USER_LOCAL:
                return moment.replace(tzinfo=timezone(timedelta(hours=5, minutes=30)))


def plain(value: Value) -> object:
    """Return a value as the file has it."""
    match value:
        case Reference(id=row_id):
            return row_id
        case bool():
            return int(value)
        case Decimal():
            return value
        case tuple():
            return ",".join(str(option) for option in sorted(value)) or None
        case datetime(tzinfo=None):
            return value.isoformat()
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
        case date():
            return value.isoformat()
        case _:
            return value


def same(left: object, right: object) -> bool:
    """Compare numbers as numbers: how many zeros follow varies by the answer."""
    if isinstance(left, Decimal) and right is not None:
        return left == Decimal(str(right))
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def stored(field: Field, table: str, schema: TableSchema) -> dict[str, sqlite3.Row]:
    """Read a table of the file with nothing but the standard library."""
    with closing(sqlite3.connect(f"file:{field.path}?mode=ro", uri=True)) as file:
        file.row_factory = sqlite3.Row
        rows = file.execute(f'SELECT * FROM "{table}"').fetchall()
    return {row[schema.primary_id]: row for row in rows}


def on_server(field: Field, table: str, row_id: str) -> Mapping[str, Any]:
    row = field.dataverse.find(table, row_id)
    assert row is not None
    return {
        column.name: row[f"{column.name}id" if column.type is T.IMAGE else column.name]
        for column in row.definition.columns
    }


async def read(replica: holdfast.Replica, table: str) -> dict[str, holdfast.Row]:
    return {row.id: row async for row in replica.table(table).query()}


def assert_same_row(
    schema: TableSchema, row: holdfast.Row, server: Mapping[str, Cell], file: sqlite3.Row
) -> None:
    """Assert that replica, server and file say the same, in their own types."""
    for column in schema.columns:
        name, value = column.name, row[column.name]
        if value is not None:
            assert isinstance(value, python_type(column)), name
            assert type(file[name]).__name__ == _FILE_TYPES[SQL[column.type]], name
            assert (
                type(value) is datetime
                or column.type is not T.DATETIME
                or (column.behavior is DateBehavior.DATE_ONLY)
            ), name
        there = server[name]
        if isinstance(value, Reference):
            assert value == there, name
        assert same(plain(value), plain(there)), (name, value, there)
        assert same(plain(there), file[name]), name


_FILE_TYPES = {"text": "str", "integer": "int", "real": "float"}


def targets(field: Field) -> dict[str, str]:
    """Return a row of each table that a lookup may point to."""
    dataverse = field.dataverse
    found = {name: next(iter(dataverse.scan(name))).id for name in (*TABLES, "team")}
    lead = dataverse.create(dataverse.system, "lead", {"subject": "A tip"})
    values = {"title": "It stands still", "customerid": Reference("account", found["account"])}
    case = dataverse.create(dataverse.system, "incident", values)
    return found | {
        "lead": lead.id,
        "incident": case.id,
        "systemuser": field.user.id,
        "transactioncurrency": field.dataverse.seed.euro_id,
    }


def fill(field: Field) -> None:
    """Give a row of each table a value in what only the server writes."""
    image = {"entityimageid": KEY}  # here a picture is known by its id
    given = {**image, "new_contract": KEY, "new_contract_name": "contract.pdf"}
    for table in TABLES:
        definition = field.dataverse.metadata.table(table)
        assert definition is not None
        images = {name: value for name, value in given.items() if name in definition.by_name}
        field.dataverse.load(table, [{definition.primary_id: KEY, **images}])


@pytest.mark.parametrize("table", TABLES)
async def test_every_column_comes_down_as_its_documented_type(field: Field, table: str) -> None:
    fill(field)
    async with field.replica() as replica:
        await replica.download()
        schema = replica.table(table).schema
        definition = field.dataverse.metadata.table(table)
        assert definition is not None
        assert set(schema.by_name) == set(definition.by_name)
        rows = await read(replica, table)
        file = stored(field, table, schema)
        assert rows.keys() == file.keys() == {row.id for row in field.dataverse.scan(table)}
        for row_id, row in rows.items():
            assert_same_row(schema, row, on_server(field, table, row_id), file[row_id])


@pytest.mark.parametrize("table", TABLES)
async def test_every_writable_column_survives_the_way_there_and_back(
    field: Field, table: str, tmp_path: Path
) -> None:
    first, second = Writing(second=False, targets=targets(field)), Writing(True, targets(field))
    async with field.replica() as replica:
        await replica.download()
        rows = replica.table(table)
        schema = rows.schema
        written = first.values(schema)
        row_id = await rows.create(written)
        changed: dict[str, Any] = {}
        for given in _rounds(schema, written, second.values(schema)):
            if given is not written:
                await rows.update(row_id, given)
            changed |= given
            here = await rows.get(row_id)
            _assert_holds(schema, here, changed, "at once")
            report = await replica.sync()
            assert report.complete
            assert report.applied == 1
            row = await rows.get(row_id)
            _assert_holds(schema, row, changed, "after the sync")
            server = on_server(field, table, row_id)
            assert_same_row(schema, row, server, stored(field, table, schema)[row_id])
    other = replace(field, path=tmp_path / "other.db")
    async with other.replica() as elsewhere:
        await elsewhere.download()
        _assert_holds(schema, await elsewhere.table(table).get(row_id), changed, "elsewhere")
    kinds = [effect.operation for effect in field.effects if effect.row_id == row_id]
    assert kinds == [Operation.CREATE, Operation.UPDATE, Operation.UPDATE]


def _rounds(
    schema: TableSchema, written: dict[str, Value], changed: dict[str, Value]
) -> Iterator[dict[str, Any]]:
    """Yield what is created, what is updated, and nulls where those may be."""
    kept = {"ownerid", "statecode", "statuscode", "transactioncurrencyid"}  # never null there
    yield written
    yield changed
    yield {name: None for name in changed if name not in kept and not schema.by_name[name].required}


def _assert_holds(
    schema: TableSchema, row: holdfast.Row, wanted: Mapping[str, Any], when: str
) -> None:
    for name, value in wanted.items():
        found = row[name]
        assert same(plain(found), plain(value)), (name, when, found, value)
