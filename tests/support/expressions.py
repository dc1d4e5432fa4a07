"""Expressions and rows of the small organisation, for Hypothesis.

Values come from few, so that comparisons are true about as often as they are false.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Final

from hypothesis import strategies as st

from holdfast.filters import (
    And,
    Branch,
    ColumnRef,
    Compare,
    Comparison,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    IsCaller,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Period,
    Record,
    Related,
    Who,
)
from holdfast.schema import Column, ColumnType, DateBehavior, Field, Kind, TableSchema
from holdfast.values import Cell
from support.crm import TABLES
from support.related import StillRows

T = ColumnType
IDS: Final = tuple(f"{digit * 8}-1111-4111-8111-111111111111" for digit in "abcd")
ME: Final = IDS[0]
_TEXTS: Final = ("", "a", "Ab", "ÆØ", "straße", "a%b", "[x]", " b ", "<&\"'>", "a\nb\t", "]]>")
_NUMBERS: Final = (-1, 0, 1, 2, 2**53 + 1)
_IDS_OF: Final = (T.UNIQUEIDENTIFIER, T.LOOKUP)
_NOT_COMPARED: Final = (T.FILE, T.IMAGE)
_OPERATORS: Final = st.sampled_from(Comparison)
_ORDERLESS: Final = st.sampled_from([Comparison.EQ, Comparison.NE])


def cells(column: Column) -> st.SearchStrategy[Cell]:
    """Return cells of a column, never null."""
    match column.type:
        case T.STRING | T.MEMO:
            return st.sampled_from(_TEXTS)
        case T.INTEGER | T.BIGINT | T.CHOICE | T.STATE:
            return st.sampled_from(_NUMBERS)
        case T.MONEY | T.DECIMAL:
            return st.sampled_from([Decimal(text) for text in ("-1", "0", "1.50", "1.5", "1e-10")])
        case T.DOUBLE:
            return st.sampled_from([-1.0, 0.0, 0.1, 1e22, 5e-324])
        case T.BOOLEAN:
            return st.booleans()
        case T.CHOICES:
            return st.sampled_from(["1", "2", "1,2", "-1,10"])
        case T.DATETIME:
            return st.sampled_from(_DATES[column.behavior])
        case _:
            return st.sampled_from(IDS)


_DATES: Final[Mapping[DateBehavior, tuple[str, ...]]] = {
    DateBehavior.DATE_ONLY: ("2024-02-28", "2024-02-29", "2024-03-01", "2025-01-01"),
    DateBehavior.TIME_ZONE_INDEPENDENT: ("2024-02-28T23:59:59.5", "2024-02-29T00:00:00"),
    DateBehavior.USER_LOCAL: (
        "2024-02-28T23:30:00Z",
        "2024-02-29T00:00:00Z",
        "2024-02-29T12:00:00.123Z",
        "2025-01-01T00:00:00Z",
    ),
}


def _field_cells(column: Column, field: Field) -> st.SearchStrategy[Cell]:
    if field.name == column.name:
        return cells(column)
    return st.sampled_from(_TEXTS if field.kind is Kind.TEXT else ("account", "contact"))


@cache
def rows_of(table: str) -> st.SearchStrategy[Record]:
    """Return rows of a table; three cells in ten are null."""
    schema = TABLES[table]
    fields: dict[str, st.SearchStrategy[Cell]] = {}
    for column in schema.columns:
        for field in column.fields:
            cell = _field_cells(column, field)
            null = st.sampled_from([True] * 3 + [False] * 7)
            fields[field.name] = st.tuples(null, cell).map(
                lambda pair: None if pair[0] else pair[1]
            )
    fields[schema.primary_id] = st.sampled_from(IDS)
    return st.tuples(*(fields[field.name] for field in schema.fields))


@st.composite
def worlds(draw: st.DrawFn) -> StillRows:
    """Draw some rows of each table, no two with the same id."""
    found: dict[str, list[Record]] = {}
    for name in TABLES:
        rows = st.lists(rows_of(name), max_size=4, unique_by=lambda row: row[0])
        found[name] = draw(rows)
    return StillRows(TABLES, found)


def ref(column: Column) -> ColumnRef:
    return ColumnRef(column.name, column.kind)


_WHO: Final = st.sampled_from([who for who in Who if who is not Who.LANGUAGE])
_DAYS: Final = ("2024-02-28", "2024-02-29", "0001-01-01", "9999-12-31")


@st.composite
def _periods(draw: st.DrawFn, column: Column) -> Expression:
    day = column.behavior is DateBehavior.DATE_ONLY
    period = draw(st.sampled_from([p for p in Period if not (day and p.below_a_day)]))
    operands: tuple[int | str, ...] = (draw(st.sampled_from(_DAYS)),)
    if not period.takes_day:
        numbers = (1, 2, 2024) if "-x-" in period.value else (0, 1, 4, 2024)
        operands = tuple(draw(st.sampled_from(numbers)) for _ in range(period.numbers))
    return During(ref(column), column.behavior, period, operands)


def _words(column: Column) -> list[st.SearchStrategy[Expression]]:
    """Return the leaves that only some types have."""
    own = st.just(ref(column))
    match column.type:
        case T.STRING | T.MEMO:
            words = st.text("ab%_[]^-<&Ø", max_size=4) | st.sampled_from(_TEXTS)
            return [st.builds(Like, own, words, st.booleans())]
        case T.CHOICES:
            options = st.lists(st.sampled_from([1, 2, -1]), max_size=2).map(tuple)
            return [st.builds(HasOption, own, options, st.booleans())]
        case T.DATETIME:
            return [_periods(column)]
        case T.LOOKUP | T.UNIQUEIDENTIFIER:
            return [st.builds(IsCaller, own, _WHO, st.booleans())]
        case T.INTEGER:
            return [st.builds(IsCaller, own, st.just(Who.LANGUAGE), st.booleans())]
        case _:
            return []


@cache
def leaves(table: str) -> st.SearchStrategy[Expression]:
    """Return leaves on columns of a table, of every kind that FetchXML has."""
    schema = TABLES[table]
    found: list[st.SearchStrategy[Expression]] = []
    for column in schema.columns:
        own, given = st.just(ref(column)), cells(column)
        if column.type in _NOT_COMPARED:
            found.append(st.builds(IsNull, own, st.booleans()))
            continue
        operators = _ORDERLESS if column.type is T.CHOICES else _OPERATORS
        literals = st.builds(Literal, given) | st.just(Literal(None))
        several = st.lists(given | st.none(), max_size=3).map(tuple)
        kinds: list[st.SearchStrategy[Expression]] = [
            st.builds(Compare, operators, own, literals),
            st.builds(Compare, operators, literals, own),
            st.builds(IsNull, own, st.booleans()),
            st.builds(In, own, several, st.booleans()),
            *_words(column),
        ]
        alike = [
            ref(other)
            for other in schema.columns
            if other.type is column.type and other.kind is column.kind
        ]
        if column.type is not T.CHOICES:
            kinds.append(st.builds(Compare, operators, own, st.sampled_from(alike)))
        found.append(st.one_of(kinds))
    if schema.name == "account":
        trees = st.sampled_from([ref(schema.by_name[n]) for n in ("accountid", "parentaccountid")])
        fixed = (trees, st.just("account"), st.just("parentaccountid"), st.sampled_from(IDS))
        found.append(st.builds(InHierarchy, *fixed, st.sampled_from(Branch), st.booleans()))
    return st.one_of(found)


def _links(schema: TableSchema, depth: int) -> list[st.SearchStrategy[Expression]]:
    found: list[st.SearchStrategy[Expression]] = []
    for other in TABLES.values():
        ends = [
            (ref(far), ref(near))
            for far in other.columns
            for near in schema.columns
            if near.type is far.type or {near.type, far.type} <= {*_IDS_OF}
            if near.type in (*_IDS_OF, T.STRING) and near.kind is far.kind
        ]
        inside = expressions(other.name, depth - 1) | st.just(And())
        found.append(_link(other.name, ends, inside))
    return found


@st.composite
def _link(
    draw: st.DrawFn,
    table: str,
    ends: list[tuple[ColumnRef, ColumnRef]],
    inside: st.SearchStrategy[Expression],
) -> Expression:
    far, near = draw(st.sampled_from(ends))
    return Related(table, far, near, draw(inside))


@cache
def expressions(table: str, depth: int = 4) -> st.SearchStrategy[Expression]:
    """Return expressions over a table's rows; a fifth of the parts are links."""
    schema = TABLES[table]
    if depth == 0:
        return leaves(table)
    below = expressions(table, depth - 1)
    parts = st.lists(below, max_size=3).map(tuple)
    joined: list[st.SearchStrategy[Expression]] = [
        st.builds(And, parts),
        st.builds(Or, parts),
        st.builds(Not, below),
    ]
    return st.one_of([leaves(table), leaves(table), *joined, *_links(schema, depth)])
