"""Tables and columns under the names that a query gives them.

Invariant: whatever is not there is refused with the nearest name that is.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.contracts import Tables
from holdfast.filters import ColumnRef
from holdfast.schema import Column, ColumnType, Relationship, TableSchema
from holdfast_fetchxml._document import Link
from holdfast_fetchxml._markup import Element
from holdfast_fetchxml._operators import IDS, alike
from holdfast_fetchxml._refusals import Refusal, nearest, shown


@dataclass(frozen=True, slots=True)
class Named:
    """A column as a query names it.

    :param column: what describes its cells
    :param field: where they are stored
    :param source: the table of the query that it belongs to; "" is the first
    """

    column: Column
    field: str
    source: str = ""

    @property
    def ref(self) -> ColumnRef:
        """The operand that stands for it."""
        return ColumnRef(self.field, self.column.kind, self.source)


def find_table(tables: Tables, name: str, element: Element) -> TableSchema:
    """Return the schema of a table.

    :raises Refusal: it is not kept offline
    """
    found = tables.get(name)
    if found is None:
        hint = nearest(name, tables, f"add {name[:128]} to the profile")
        message = f"table {shown(name)} is not kept offline; {hint}"
        raise Refusal(message, element.position("name"), "0x80041102")
    return found


def find_column(
    schema: TableSchema, name: str, element: Element, attribute: str, source: str = ""
) -> Named:
    """Return a column; ``xname`` is the name of the row that the lookup ``x`` points to.

    :param attribute: of the element, which names the column
    :raises Refusal: there is none
    """
    column = schema.column(name)
    if column is not None:
        return Named(column, name, source)
    pointer = schema.column(name.removesuffix("name")) if name.endswith("name") else None
    if pointer is not None and pointer.type is ColumnType.LOOKUP and pointer.name_field:
        return Named(Column(name, ColumnType.STRING), pointer.name_field, source)
    if pointer is not None and pointer.options:
        message = f"labels are no columns here; ask for the numbers of {pointer.name!r}"
        raise Refusal(message, element.position(attribute))
    hint = nearest(name, schema.by_name, "it may not be kept offline")
    message = f"{schema.name} has no column {shown(name)}; {hint}"
    raise Refusal(message, element.position(attribute), "0x80041103")


def find_ends(
    link: Link, outer: TableSchema, inner: TableSchema, source: str, alias: str
) -> tuple[Named, Named]:
    """Return the columns that a link makes equal: of the outer table, and of the inner one.

    :raises Refusal: there are no such columns, or they cannot be equal
    """
    near, far = link.near, link.far
    if near is None or far is None:
        near, far = _related(link, outer, inner)
    one = find_column(outer, near, link.element, "to", source)
    other = find_column(inner, far, link.element, "from", alias)
    if not alike(one.column, other.column):
        raise Refusal(
            f"{outer.name}.{near} ({one.column.type.value}) and {inner.name}.{far} "
            f"({other.column.type.value}) cannot be joined; expected columns of one type",
            link.element.position("to"),
        )
    return one, other


def _related(link: Link, outer: TableSchema, inner: TableSchema) -> tuple[str, str]:
    """Return the columns of the first relationship that fits what a link leaves out."""
    for known in dict.fromkeys((*outer.relationships, *inner.relationships)):
        pair = (known.referencing, known.referenced)
        ends: list[tuple[str, str]] = []
        if pair == (outer.name, inner.name):
            ends.append((known.column, inner.primary_id))
        if pair == (inner.name, outer.name):
            ends.append((outer.primary_id, known.column))
        for near, far in ends:
            if link.near in (None, near) and link.far in (None, far):
                return near, far
    missing = "from" if link.far is None else "to"
    raise Refusal(
        f"link-entity has no {missing!r}, and no relationship between {outer.name} and "
        f"{inner.name} says what it is",
        link.element.position(),
    )


def find_hierarchy(
    named: Column, table: TableSchema, tables: Tables
) -> tuple[Relationship | None, str | None]:
    """Return the relationship whose tree a column's rows stand in.

    :returns: beside it, a table that could have one and is not kept
    """
    if named.type not in IDS:
        return None, None
    targets = named.targets or ((table.name,) if named.name == table.primary_id else ())
    for target in targets:
        schema = tables.get(target)
        for known in schema.relationships if schema else ():
            if known.hierarchical and known.referencing == known.referenced == target:
                return known, None
    return None, next((target for target in targets if target not in tables), None)
