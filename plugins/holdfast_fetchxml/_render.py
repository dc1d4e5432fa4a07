"""From the algebra to text.

Invariant: what is written parses to an expression that matches the same rows. FetchXML has no
``not``, so a negation goes to the leaves; what has no negative operator is asked of the row itself
through a link of the type ``not any``.
"""

from __future__ import annotations

from typing import Final

from holdfast.contracts import Tables
from holdfast.errors import FilterError
from holdfast.filters import EVERYTHING, And, Expression, In, Not, Or, Related
from holdfast.schema import TableSchema
from holdfast_fetchxml._limits import (
    MAXIMUM_CHARACTERS,
    MAXIMUM_CONDITIONS,
    MAXIMUM_DEPTH,
    MAXIMUM_LINKS,
)
from holdfast_fetchxml._negations import without_not
from holdfast_fetchxml._operators import alike
from holdfast_fetchxml._writing import CannotWrite, Writer, column_of, element, one_by_one

_TRUE: Final = "not-null"
_FALSE: Final = "null"


def render(expression: Expression, schema: TableSchema, tables: Tables) -> str:
    """Return the text of a filter.

    :raises FilterError: FetchXML cannot say it
    """
    try:
        _check_depth(expression)
        return _Rendering({**tables, schema.name: schema}).text(expression, schema)
    except CannotWrite as error:
        raise FilterError("fetchxml", "", f"it cannot be written: {error}") from error


def _check_depth(expression: Expression) -> None:
    """Refuse what would nest more elements than are read; a loop, so that any depth can be."""
    waiting = [(expression, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAXIMUM_DEPTH:
            raise _too_deep()
        match node:
            case And(parts) | Or(parts):
                waiting.extend((part, depth + 1) for part in parts)
            case Not(part):
                waiting.append((part, depth + 1))
            case Related(where=part):
                waiting.append((part, depth + 2))
            case _:
                pass


def _too_deep() -> CannotWrite:
    return CannotWrite(f"it is nested more than {MAXIMUM_DEPTH} levels deep; simplify it")


class _Rendering:
    """Writes one expression, and counts as it goes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._writer = Writer(tables)
        self._links = 0
        self._conditions = 0

    def text(self, expression: Expression, schema: TableSchema) -> str:
        """Return the whole text."""
        text = self.filter(expression, schema)
        if len(text) > MAXIMUM_CHARACTERS:
            raise CannotWrite(f"its text has more than {MAXIMUM_CHARACTERS} characters; split it")
        return text

    def filter(self, expression: Expression, schema: TableSchema, depth: int = 1) -> str:
        """Return the filter of a table, at a depth of elements."""
        if depth > MAXIMUM_DEPTH - 2:  # a list has two more inside
            raise _too_deep()
        return self._filter(without_not(expression, schema), schema, depth)

    def _filter(self, expression: Expression, schema: TableSchema, depth: int) -> str:
        if isinstance(expression, In):
            expression = one_by_one(expression, schema)
        match expression:
            case And(parts) | Or(parts) if parts:
                kind = "and" if isinstance(expression, And) else "or"
                inside = "".join(self._part(part, schema, depth + 1) for part in parts)
                return element("filter", {"type": kind}, inside)
            case _:
                return element("filter", {}, self._part(expression, schema, depth + 1))

    def _part(self, expression: Expression, schema: TableSchema, depth: int) -> str:
        if depth > MAXIMUM_DEPTH - 1:
            raise _too_deep()
        match expression:
            case And(()) | Or(()):
                self._count()
                operator = _TRUE if isinstance(expression, And) else _FALSE
                return element("condition", {"attribute": schema.primary_id, "operator": operator})
            case And() | Or():
                return self._filter(expression, schema, depth)
            case Related():
                return self._link("any", expression, schema, depth)
            case Not(Related() as related):
                return self._link("not any", related, schema, depth)
            case In() if (parts := one_by_one(expression, schema)) is not expression:
                return self._filter(parts, schema, depth)
            case _:
                self._count()
                return self._writer.condition(expression, schema)

    def _link(self, kind: str, related: Related, schema: TableSchema, depth: int) -> str:
        self._links += 1
        self._count()
        if self._links > MAXIMUM_LINKS:
            raise CannotWrite(f"it asks about more than {MAXIMUM_LINKS} other tables; split it")
        other = self._tables.get(related.table)
        if other is None:
            raise CannotWrite(f"table {related.table!r} is not kept offline; add it to the profile")
        own, far = column_of(schema, related.own), column_of(other, related.field)
        if not alike(own, far):
            raise CannotWrite(
                f"{schema.name}.{own.name} ({own.type.value}) and {other.name}.{far.name} "
                f"({far.type.value}) cannot be joined"
            )
        inside = ""
        if related.where != EVERYTHING:
            inside = self.filter(related.where, other, depth + 1)
        names = {"name": other.name, "from": far.name, "to": own.name, "link-type": kind}
        return element("link-entity", names, inside)

    def _count(self) -> None:
        self._conditions += 1
        if self._conditions > MAXIMUM_CONDITIONS:
            raise CannotWrite(
                f"it has more than {MAXIMUM_CONDITIONS} conditions and links; split it"
            )
