"""Columns under the names that OData gives them: a lookup ``x`` is ``_x_value``."""

from __future__ import annotations

from difflib import get_close_matches

from holdfast.filters import ColumnRef
from holdfast.schema import Column, ColumnType, TableSchema
from holdfast_odata._refusals import Refusal, special_word


def odata_name(column: Column) -> str:
    """Return what the column is called in a filter."""
    return f"_{column.name}_value" if column.type is ColumnType.LOOKUP else column.name


def reference(column: Column) -> ColumnRef:
    """Return the operand that stands for the column."""
    return ColumnRef(column.name, column.kind)


def find_column(schema: TableSchema, name: str, position: int) -> Column:
    """Return the column that a filter calls ``name``.

    :raises Refusal: there is none; the message has the nearest name
    """
    column = schema.column(name)
    if column is not None and odata_name(column) == name:
        return column
    if column is not None:
        raise Refusal(f"{name!r} is a lookup; write {odata_name(column)!r}", position)
    bare = name.removeprefix("_").removesuffix("_value")
    column = schema.column(bare)
    if column is not None and name == f"_{bare}_value":
        if column.type is ColumnType.LOOKUP:
            return column
        raise Refusal(f"{bare!r} is no lookup; write {bare!r}", position)
    raise Refusal(special_word(name) or _unknown(schema, name), position)


def find_column_by_own_name(schema: TableSchema, name: str, position: int) -> Column:
    """Return the column that a query function calls ``name``; a lookup is plain ``x`` there.

    :raises Refusal: there is none; the message has the nearest name
    """
    column = schema.column(name)
    if column is not None:
        return column
    bare = name.removeprefix("_").removesuffix("_value")
    if name == f"_{bare}_value" and schema.column(bare) is not None:
        raise Refusal(f"PropertyName takes the column itself; write {bare!r}", position)
    raise Refusal(_unknown(schema, name), position)


def _unknown(schema: TableSchema, name: str) -> str:
    if len(name) > 128:  # no column has such a name, and comparing it takes its time
        return "no column has a name of more than 128 characters"
    known = {odata_name(column).lower(): odata_name(column) for column in schema.columns}
    near = get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {known[near[0]]!r}?" if near else "it may not be kept offline"
    return f"{schema.name} has no column {name!r}; {hint}"
