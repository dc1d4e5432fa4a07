"""What is never wrong in what a transport returns, whatever the server said."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from holdfast.model import Applied, Caller, Conflicted, Page, Record, Scope, Unreadable, View
from holdfast.schema import Column, Kind, TableSchema, is_identifier
from holdfast.values import Cell, canonical_id, parse_datetime_cell
from holdfast_dataverse._links import Origin
from holdfast_dataverse._pull import Checkpoint
from support.replayed import URL, Known

_INT64: Final = 2**63
_KINDS: Final[dict[Kind, type | tuple[type, ...]]] = {
    Kind.TEXT: str,
    Kind.INTEGER: int,
    Kind.DECIMAL: Decimal,
    Kind.REAL: float,
    Kind.BOOLEAN: bool,
    Kind.DATETIME: str,
    Kind.KEY: str,
}


def judge(name: str, found: Any, known: Known) -> None:  # Any: what each use returns
    """Raise an assertion about what a use of the transport returned."""
    match name:
        case "pull":
            _pages(found, known.wide)
        case "changes":
            _pages(found, known.narrow)
        case "fetch":
            _records((row for row in found if not isinstance(row, Unreadable)), known.wide)
            _asides(row for row in found if isinstance(row, Unreadable))
        case "push":
            rows = [one.record for one in found if isinstance(one, Applied | Conflicted)]
            _records([row for row in rows if row is not None], known.narrow)
        case "ids" | "fetchxml":
            assert found == sorted({canonical_id(row_id) for row_id in found})
        case "count":
            assert found is None or 0 <= found < _INT64
        case "identity":
            _caller(found)
        case "schema":
            for schema in found:
                _schema(schema)
        case "views":
            for view in found:
                assert isinstance(view, View)
                assert view.table in ("account", "task")
                assert isinstance(view.name + view.query, str)
        case _:
            raise AssertionError(name)


def judge_words(text: str) -> None:
    """Raise an assertion about the words of an error."""
    assert text.isprintable(), "it could steer a terminal"
    assert 0 < len(text) < 1000


def _pages(pages: Sequence[Page], scope: Scope) -> None:
    assert pages
    for page in pages:
        _records(page.records, scope)
        _asides(page.unreadable)
        assert all(row_id == canonical_id(row_id) for row_id in page.tombstones)
        Origin(URL).trust(Checkpoint.parse(page.checkpoint).link)
    assert [page.last for page in pages] == [*[False] * (len(pages) - 1), True]


def _asides(rows: Iterable[Unreadable]) -> None:
    for row in rows:
        assert row.row_id is None or row.row_id == canonical_id(row.row_id)
        judge_words(row.reason)
        assert len(row.payload) <= 8192


def _records(records: Iterable[Record], scope: Scope) -> None:
    columns = [column for column in scope.schema.columns for _ in column.fields]
    by_field = dict(
        zip((f.name for c in scope.schema.columns for f in c.fields), columns, strict=True)
    )
    for record in records:
        *cells, version = record
        assert record[0] == canonical_id(record[0])
        assert isinstance(version, str)
        assert version.isascii()
        assert version.isprintable()
        for field, cell in zip(scope.fields, cells, strict=True):
            _cell(cell, field.kind)
            if field.kind is Kind.DATETIME and isinstance(cell, str):
                assert parse_datetime_cell(by_field[field.name], cell) == cell


def _cell(cell: Cell, kind: Kind) -> None:
    if cell is None:
        return
    assert isinstance(cell, _KINDS[kind]), (cell, kind)
    match cell:
        case str():
            cell.encode()
        case bool():
            pass
        case int():
            assert -_INT64 <= cell < _INT64
        case float():
            assert math.isfinite(cell)
        case Decimal():
            assert cell.is_finite()
            assert len(cell.as_tuple().digits) < 100
            assert abs(cell.adjusted()) < 100


def _caller(caller: Caller) -> None:
    for row_id in (caller.organization, caller.user, *caller.teams, *caller.reports):
        assert row_id == canonical_id(row_id)
    unit = caller.business_unit
    assert unit is None or unit == canonical_id(unit)
    assert caller.language is None or 0 < caller.language < 2**31
    assert isinstance(caller.time_zone, str)


def _schema(schema: TableSchema) -> None:
    assert schema.name == "task"
    assert schema.primary_id in schema.by_name
    assert schema.primary_name in (None, *schema.by_name)
    assert isinstance(schema.label, str)
    assert all(isinstance(one, str) for pair in schema.wire.items() for one in pair)
    for column in schema.columns:
        _column(column)
    for one in schema.relationships:
        texts = (one.name, one.referencing, one.column, one.referenced, one.navigation)
        assert all(isinstance(text, str) for text in (*texts, one.collection))


def _column(column: Column) -> None:
    assert is_identifier(column.name)
    assert isinstance(column.label, str)
    for number in (column.max_length, column.precision):
        assert number is None or (type(number) is int and 0 <= number < _INT64)
    for bound in (column.minimum, column.maximum):
        assert bound is None or bound.is_finite()
    for option in column.options:
        assert type(option.value) is int
        assert isinstance(option.label, str)
        assert option.state is None or type(option.state) is int
    assert all(is_identifier(target) for target in column.targets)
    assert column.default is None or -_INT64 < column.default < _INT64
