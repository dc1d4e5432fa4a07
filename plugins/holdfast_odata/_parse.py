"""From text to the algebra: the tree of the grammar, bound to the columns of a table.

Invariant: the result has no ``Not``. Dataverse's query model has none either; a negation is pushed
down to operators that have a negative, and those match null.
"""

from __future__ import annotations

from typing import Final

from lark import Token, Tree

from holdfast.errors import FilterError
from holdfast.filters import (
    And,
    Compare,
    Comparison,
    Expression,
    In,
    IsNull,
    Like,
    Literal,
    Operand,
    Or,
    negate,
)
from holdfast.schema import Column, ColumnType, Kind, TableSchema
from holdfast_odata._columns import find_column, find_column_by_own_name, reference
from holdfast_odata._grammar import parse_tree
from holdfast_odata._limits import MAXIMUM_BYTES
from holdfast_odata._literals import Written, cell_of, listed_cell_of, unquoted
from holdfast_odata._refusals import Refusal

_AFFIXES: Final = {"contains": ("%", "%"), "startswith": ("", "%"), "endswith": ("%", "")}


def parse(source: str, schema: TableSchema) -> Expression:
    """Return the expression of a filter over the columns of ``schema``.

    :raises FilterError: it is not understood
    """
    try:
        _check_text(source)
        return _bind(parse_tree(source), schema)
    except Refusal as refusal:
        shown = source if len(source) <= MAXIMUM_BYTES else f"{source[:80]}…"
        raise FilterError("odata", shown, refusal.message, position=refusal.position) from refusal


def _check_text(source: str) -> None:
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise Refusal("the text holds a lone surrogate", error.start) from error
    if size > MAXIMUM_BYTES:
        raise Refusal(f"it has {size} bytes; at most {MAXIMUM_BYTES} are read", None)
    if not source.strip():
        raise Refusal("it is empty; leave the filter out to select every row", None)


def _bind(tree: Tree[Token], schema: TableSchema) -> Expression:
    """Bind the part; the grammar bounds the recursion."""
    match tree.data:
        case "disjunction":
            return Or(tuple(_bind(_tree(part), schema) for part in tree.children))
        case "conjunction":
            return And(tuple(_bind(_tree(part), schema) for part in tree.children))
        case "negated":
            *nots, part = tree.children
            bound = _bind(_tree(part), schema)
            return negate(bound) if len(nots) % 2 else bound
        case "comparison":
            return _comparison(_tokens(tree), schema)
        case "search":
            return _search(_tokens(tree), schema)
        case _:
            assert tree.data == "membership"
            return _membership(_tokens(tree), schema)


def _tree(part: Tree[Token] | Token) -> Tree[Token]:
    assert isinstance(part, Tree)
    return part


def _tokens(tree: Tree[Token]) -> list[Written]:
    written = []
    for token in tree.children:
        assert isinstance(token, Token)
        written.append(Written(token.type, str(token), token.start_pos or 0))
    return written


def _comparison(tokens: list[Written], schema: TableSchema) -> Expression:
    left, operator, right = tokens
    columns = [
        find_column(schema, side.text, side.position) if side.type == "NAME" else None
        for side in (left, right)
    ]
    comparison = Comparison(operator.text)
    match columns:
        case [Column() as one, Column() as other]:
            _check_comparable(one, other, right)
            return Compare(comparison, reference(one), reference(other))
        case [Column() as column, _]:
            return _with_literal(comparison, column, operator, right, swapped=False)
        case [_, Column() as column]:
            return _with_literal(comparison, column, operator, left, swapped=True)
        case _:
            raise Refusal("two values are compared; one side must be a column", left.position)


def _with_literal(
    comparison: Comparison, column: Column, operator: Written, literal: Written, *, swapped: bool
) -> Expression:
    own = reference(column)
    if literal.type == "NULL":
        if comparison not in (Comparison.EQ, Comparison.NE):
            raise Refusal(
                f"found {operator.text!r} with null, expected 'eq' or 'ne'", operator.position
            )
        return IsNull(own, negated=comparison is Comparison.NE)
    fixed = Literal(cell_of(column, literal))
    sides: tuple[Operand, Operand] = (fixed, own) if swapped else (own, fixed)
    return Compare(comparison, *sides)


def _check_comparable(one: Column, other: Column, place: Written) -> None:
    """Refuse columns of different kinds; of those compared as keys, dates and ids are not alike."""
    if one.kind is not other.kind or (one.kind is Kind.KEY and _is_id(one) != _is_id(other)):
        raise Refusal(
            f"columns {one.name!r} ({one.type.value}) and {other.name!r} ({other.type.value}) "
            "are compared; they must be of the same kind",
            place.position,
        )
    if ColumnType.CHOICES in (one.type, other.type):
        raise Refusal("the options of a multi-select are not compared", place.position)


def _is_id(column: Column) -> bool:
    return column.type is not ColumnType.DATETIME


def _search(tokens: list[Written], schema: TableSchema) -> Expression:
    function, first, second = tokens
    if first.type != "NAME":
        raise Refusal(f"{function.text} looks into a column; put it first", first.position)
    column = find_column(schema, first.text, first.position)
    if column.kind is not Kind.TEXT:
        message = f"{function.text} looks into text; {column.name!r} is {column.type.value}"
        raise Refusal(message, first.position)
    if second.type != "TEXT":
        message = f"found {second.text[:60]}, expected a text in single quotes"
        raise Refusal(message, second.position)
    before, after = _AFFIXES[function.text]
    return Like(reference(column), before + unquoted(second) + after)


def _membership(tokens: list[Written], schema: TableSchema) -> Expression:
    function, name, *items = tokens
    # Dataverse hands PropertyName to its query model, which knows no ``_x_value``.
    column = find_column_by_own_name(schema, unquoted(name), name.position)
    cells = tuple(listed_cell_of(column, item) for item in items)
    return In(reference(column), cells, negated=function.text.endswith(".NotIn"))
