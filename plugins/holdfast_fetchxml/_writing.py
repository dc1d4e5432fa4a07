"""Leaves of an expression as XML conditions.

Invariant: a text is written only if it reads back as the very operand, and every character of it
is escaped or refused, so that no operand can become markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from holdfast.contracts import Tables
from holdfast.filters import (
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    InState,
    IsCaller,
    IsNull,
    Like,
    Literal,
    Operand,
    Or,
)
from holdfast.schema import Column, ColumnType, TableSchema
from holdfast.values import canonical_id
from holdfast_fetchxml._columns import find_hierarchy
from holdfast_fetchxml._literals import count_of, day_of, text_of
from holdfast_fetchxml._operators import BRANCHES, CALLERS, alike, operand_counts, why_not

#: What XML 1.0 cannot hold, even escaped.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: What a reader would turn into blanks or line ends, or take for markup.
_ESCAPES: Final = {"\t": "&#9;", "\n": "&#10;", "\r": "&#13;", '"': "&quot;"}
_SWAPPED: Final = {
    Comparison.EQ: Comparison.EQ,
    Comparison.NE: Comparison.NE,
    Comparison.GT: Comparison.LT,
    Comparison.GE: Comparison.LE,
    Comparison.LT: Comparison.GT,
    Comparison.LE: Comparison.GE,
}


class CannotWrite(Exception):
    """Something that FetchXML has no words for; the text says what."""


def element(name: str, attributes: Mapping[str, str], inside: str = "") -> str:
    """Return an element with attributes and what stands inside, which is XML already."""
    given = "".join(f' {key}="{_escaped(value)}"' for key, value in attributes.items())
    return f"<{name}{given}>{inside}</{name}>" if inside else f"<{name}{given}/>"


def column_of(schema: TableSchema, ref: ColumnRef) -> Column:
    """Return the column that an operand stands for.

    :raises CannotWrite: there is none, or it is another's
    """
    if ref.source:
        raise CannotWrite(f"{ref.name!r} belongs to {ref.source!r}, and a filter is of one table")
    column = schema.column(ref.name)
    if column is None:
        column = next((_label(c) for c in schema.columns if c.name_field == ref.name), None)
    if column is None:
        raise CannotWrite(f"{schema.name} has no column {ref.name!r}")
    if column.kind is not ref.kind:
        raise CannotWrite(f"{ref.name!r} is compared as {ref.kind.value}")
    return column


def _label(column: Column) -> Column | None:
    if column.type is not ColumnType.LOOKUP:
        return None
    return Column(f"{column.name}name", ColumnType.STRING)


def _escaped(text: str) -> str:
    found = _FORBIDDEN.search(text)
    if found:
        raise CannotWrite(f"XML cannot hold the character U+{ord(found[0]):04X}")
    return escape(text, _ESCAPES)


def one_by_one(leaf: In, schema: TableSchema) -> Expression:
    """Return comparisons that mean the same where a list cannot be written; else the leaf.

    There is none of memos; one of multi-selects means something else; and the blanks around its
    values are not read.
    """
    column = column_of(schema, leaf.column)
    cells = [cell for cell in leaf.cells if cell is not None]
    bare = all(str(cell) == str(cell).strip() for cell in cells)
    if bare and column.type is not ColumnType.CHOICES and why_not("in", column) is None:
        return leaf
    operator = Comparison.NE if leaf.negated else Comparison.EQ
    parts = tuple(Compare(operator, leaf.column, Literal(cell)) for cell in cells)
    return And(parts) if leaf.negated else Or(parts)


class Writer:
    """Writes conditions on columns of kept tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def condition(self, leaf: Expression, schema: TableSchema) -> str:
        """Return the XML of a leaf.

        :raises CannotWrite: FetchXML has no words for it
        """
        match leaf:
            case Compare():
                return self._comparison(leaf, schema)
            case IsNull(ref, negated):
                return _written(schema, ref, "not-null" if negated else "null")
            case Like(ref, pattern, negated):
                return _written(schema, ref, "not-like" if negated else "like", pattern)
            case In():
                return _membership(leaf, schema)
            case HasOption(ref, options, negated):
                operator = "not-contain-values" if negated else "contain-values"
                return _written(schema, ref, operator, *map(str, options))
            case During():
                return _period(leaf, schema)
            case IsCaller(ref, who, negated):
                words = (word for word, meant in CALLERS.items() if meant == (who, negated))
                return _written(schema, ref, next(words))
            case InHierarchy():
                return self._hierarchy(leaf, schema)
            case Call(name):
                raise CannotWrite(f"the function {name!r} is not one of FetchXML's")
            case InState(mark):
                raise CannotWrite(f"a server does not know which rows are {mark.value} here")
            case _:
                raise AssertionError("filters and links are written elsewhere")

    def _comparison(self, compare: Compare, schema: TableSchema) -> str:
        operator, left, right = compare.operator, compare.left, compare.right
        if isinstance(left, Literal):
            operator, left, right = _SWAPPED[operator], right, left
        if isinstance(left, Literal):
            raise CannotWrite("two values are compared; one side must be a column")
        if isinstance(right, ColumnRef):
            one, other = column_of(schema, left), column_of(schema, right)
            if not alike(one, other):
                raise CannotWrite(
                    f"columns {one.name!r} ({one.type.value}) and {other.name!r} "
                    f"({other.type.value}) are compared; they must be of one type"
                )
            _check_operator(operator.value, one)
            names = {"attribute": one.name, "operator": operator.value, "valueof": other.name}
            return element("condition", names)
        return _written(schema, left, operator.value, _text(schema, left, right))

    def _hierarchy(self, leaf: InHierarchy, schema: TableSchema) -> str:
        column = column_of(schema, leaf.column)
        found, _ = find_hierarchy(column, schema, self._tables)
        if found is None or (found.referencing, found.column) != (leaf.table, leaf.parent):
            raise CannotWrite(
                f"{column.name!r} does not lead to the hierarchy of {leaf.table}.{leaf.parent}"
            )
        words = (word for word, meant in BRANCHES.items() if meant == (leaf.branch, leaf.negated))
        return _written(schema, leaf.column, next(words), _id(leaf.anchor))


def _written(schema: TableSchema, ref: ColumnRef, operator: str, *values: str) -> str:
    """Return a condition with a value, or with none."""
    column = column_of(schema, ref)
    _check_operator(operator, column)
    names = {"attribute": column.name, "operator": operator}
    least, most = operand_counts(operator)
    if most == least == len(values) == 1:
        return element("condition", {**names, "value": values[0]})
    inside = "".join(element("value", {}, _escaped(value)) for value in values)
    return element("condition", names, inside)


def _check_operator(operator: str, column: Column) -> None:
    reason = why_not(operator, column)
    if reason:
        raise CannotWrite(f"{operator!r} does not fit the column {column.name!r}: {reason}")


def _text(schema: TableSchema, ref: ColumnRef, literal: Operand) -> str:
    assert isinstance(literal, Literal)
    try:
        return text_of(column_of(schema, ref), literal)
    except (ValueError, ArithmeticError) as error:
        raise CannotWrite(str(error)) from error


def _membership(leaf: In, schema: TableSchema) -> str:
    cells = (cell for cell in leaf.cells if cell is not None)
    texts = [_text(schema, leaf.column, Literal(cell)) for cell in cells]
    return _written(schema, leaf.column, "not-in" if leaf.negated else "in", *texts)


def _period(leaf: During, schema: TableSchema) -> str:
    column = column_of(schema, leaf.column)
    if column.behavior is not leaf.behavior:
        raise CannotWrite(f"{column.name!r} is read as {leaf.behavior.value}")
    texts = [str(operand) for operand in leaf.operands]
    least, _ = operand_counts(leaf.period.value)
    try:
        if leaf.period.takes_day:
            fits = [day_of(column, text) for text in texts] == texts
        else:
            lowest = 1 if "-x-" in leaf.period.value else 0
            fits = [count_of(text, lowest) for text in texts] == list(leaf.operands)
    except ValueError:
        fits = False
    if not fits or len(texts) != least:
        raise CannotWrite(f"{leaf.period.value!r} does not take {leaf.operands!r}")
    return _written(schema, leaf.column, leaf.period.value, *texts)


def _id(text: str) -> str:
    try:
        return canonical_id(text)
    except ValueError as error:
        raise CannotWrite(str(error)) from error
