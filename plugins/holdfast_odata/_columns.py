"""Columns under the names that OData gives them: a lookup ``x`` is ``_x_value``."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.contracts import Tables
from holdfast.filters import ColumnRef
from holdfast.schema import Column, ColumnType, TableSchema
from holdfast_odata._limits import MAXIMUM_LINKS
from holdfast_odata._links import Place, is_collection, lookups, nearest, walk_lookups
from holdfast_odata._literals import Written, unquoted
from holdfast_odata._refusals import Refusal, short, special_word


@dataclass(frozen=True, slots=True)
class Property:
    """The column at the end of a path.

    :param pointer: the lookup itself was named, by its navigation property
    """

    place: Place
    column: Column
    pointer: bool = False

    @property
    def reference(self) -> ColumnRef:
        """The operand that stands for the column."""
        return ColumnRef(self.column.name, self.column.kind)


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows that names belong to, and what they are called inside a lambda."""

    schema: TableSchema
    tables: Tables
    variable: str | None = None

    def inside(self, path: str, position: int) -> tuple[list[str], int]:
        """Return the names of a path behind the variable, and where they start.

        :raises Refusal: inside a lambda, it does not start with the variable
        """
        names = path.split("/")
        if self.variable is None:
            return names, position
        if names[0] != self.variable:
            message = f"inside a lambda only its own rows are asked; found {short(path)!r}"
            raise Refusal(f"{message}, expected '{self.variable}/…'", position)
        return names[1:], position + len(self.variable) + 1


def odata_name(column: Column) -> str:
    """Return what the column is called in a filter."""
    return f"_{column.name}_value" if column.type is ColumnType.LOOKUP else column.name


def find_property(scope: Scope, path: str, position: int) -> Property:
    """Return the column that a path leads to.

    :raises Refusal: it leads to none; the message has the nearest name
    """
    names, position = scope.inside(path, position)
    if not names:
        message = f"{short(path)!r} is a whole row; write a path such as '{short(path)}/name'"
        raise Refusal(message, position - len(path) - 1)
    places = _ends(scope, names[:-1], position)
    at = position + sum(len(name) + 1 for name in names[:-1])
    for place in places:
        found = _named(place, names[-1])
        if found is not None:
            return found
    raise _no_column(places[0].schema, names[-1], at)


def find_place(scope: Scope, names: list[str], position: int) -> Place:
    """Return the table that a path of lookups leads to.

    :raises Refusal: it leads nowhere
    """
    return _ends(scope, names, position)[0]


def find_property_by_own_name(
    scope: Scope, way: list[str], name: Written, *, position: int | None
) -> Property:
    """Return the column that a query function is about; a lookup is plain ``x`` there.

    :param way: the path before the function, which starts at ``position``
    :raises Refusal: there is none; the message has the nearest name
    """
    *more, own = unquoted(name).split("/")
    places = _ends(scope, [*way, *more], name.position if position is None else position)
    for place in places:
        column = place.schema.column(own)
        if column is not None:
            return Property(place, column)
    schema = places[0].schema
    bare = own.removeprefix("_").removesuffix("_value")
    if own == f"_{bare}_value" and schema.column(bare) is not None:
        raise Refusal(f"PropertyName takes the column itself; write {bare!r}", name.position)
    raise Refusal(_unknown(schema, own), name.position)


def _ends(scope: Scope, names: list[str], position: int) -> list[Place]:
    if len(names) > MAXIMUM_LINKS:
        raise Refusal(f"the path goes over more than {MAXIMUM_LINKS} lookups", position)
    return walk_lookups(scope.schema, scope.tables, names, position)


def _named(place: Place, name: str) -> Property | None:
    column = place.schema.column(name)
    if column is not None and odata_name(column) == name:
        return Property(place, column)
    for relationship in lookups(place.schema):
        if relationship.navigation == name:
            lookup = place.schema.column(relationship.column)
            return None if lookup is None else Property(place, lookup, pointer=True)
    bare = name.removeprefix("_").removesuffix("_value")
    column = place.schema.column(bare)
    if column is not None and column.type is ColumnType.LOOKUP and name == f"_{bare}_value":
        return Property(place, column)
    return None


def _no_column(schema: TableSchema, name: str, position: int) -> Refusal:
    column = schema.column(name)
    if column is not None:
        return Refusal(f"{name!r} is a lookup; write {odata_name(column)!r}", position)
    bare = name.removeprefix("_").removesuffix("_value")
    if name == f"_{bare}_value" and schema.column(bare) is not None:
        return Refusal(f"{bare!r} is no lookup; write {bare!r}", position)
    if is_collection(schema, {}, name):
        return Refusal(f"{name!r} is a collection; look into it with any or all", position)
    return Refusal(special_word(name) or _unknown(schema, name), position)


def _unknown(schema: TableSchema, name: str) -> str:
    if len(name) > 128:
        return "no column has a name of more than 128 characters"
    known = [odata_name(column) for column in schema.columns]
    hint = nearest(name, known) or "it may not be kept offline"
    return f"{schema.name} has no column {name!r}; {hint}"
