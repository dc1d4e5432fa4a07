"""Links: how relationships are called in a filter, and what a path along them means.

Invariant: a link leads to a table that is kept offline, or is refused. A lookup path is an outer
join, as in Dataverse: where it leads to no row, every column there is null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from holdfast.contracts import Tables
from holdfast.filters import (
    EVERYTHING,
    And,
    ColumnRef,
    Compare,
    Comparison,
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
    Related,
)
from holdfast.schema import Column, ColumnType, Crossing, Kind, Relationship, TableSchema
from holdfast_odata._refusals import Refusal, short


@dataclass(frozen=True, slots=True)
class Link:
    """A step to the rows of ``table`` whose ``field`` equals ``own`` of the row at hand.

    :param further: where such a row leads on to, if it is a pair
    """

    table: TableSchema
    field: ColumnRef
    own: ColumnRef
    further: Link | None = None

    @property
    def end(self) -> TableSchema:
        """The table of the rows that are asked."""
        return self.further.end if self.further else self.table

    def related(self, where: Expression) -> Related:
        """Return the question whether such a row meets a condition."""
        inside = self.further.related(where) if self.further else where
        return Related(self.table.name, self.field, self.own, inside)


@dataclass(frozen=True, slots=True)
class Place:
    """A table that a path leads to, with the lookups that lead there."""

    schema: TableSchema
    links: tuple[Link, ...] = ()

    def ask(self, test: Expression) -> Expression:
        """Return a test of the row there, as a test of the row where the path starts."""
        if not self.links:
            return test
        if test == IsNull(ColumnRef(self.schema.primary_id, Kind.KEY), negated=True):
            return self._there(EVERYTHING)
        if not matches_nulls(test):
            return self._there(test)
        missing = Not(self._there(EVERYTHING))
        if test == IsNull(ColumnRef(self.schema.primary_id, Kind.KEY)):
            return missing
        return Or((missing, self._there(test)))

    def _there(self, where: Expression) -> Expression:
        for link in reversed(self.links):
            where = link.related(where)
        return where


def matches_nulls(test: Expression) -> bool:
    """Tell whether a row of nulls would match."""
    match test:
        case And(parts):
            return all(map(matches_nulls, parts))
        case Or(parts):
            return any(map(matches_nulls, parts))
        case Compare(Comparison.NE, left, right):
            return isinstance(left, Literal) or isinstance(right, Literal)
        case IsNull(negated=negated):
            return not negated
        case (
            Like(negated=True)
            | In(negated=True)
            | HasOption(negated=True)
            | IsCaller(negated=True)
            | InHierarchy(negated=True)
        ):
            return True
        case Not(part):
            return isinstance(part, Related)
        case _:
            return False


def walk_lookups(
    schema: TableSchema, tables: Tables, names: Sequence[str], position: int
) -> list[Place]:
    """Return where a path along lookups leads; a lookup with several targets has several ends.

    :raises Refusal: it leads nowhere
    """
    places = [Place(schema)]
    for name in names:
        found = [further for place in places for further in _steps(place, tables, name)]
        if not found:
            raise _no_step(places[0].schema, tables, name, position)
        kept = [place for place in found if isinstance(place, Place)]
        if not kept:
            raise Refusal(_not_kept(str(found[0]), name), position)
        places = kept
        position += len(name) + 1
    return places


def _steps(place: Place, tables: Tables, name: str) -> Iterator[Place | str]:
    """Yield the places behind a lookup, and the names of those that are not kept."""
    here = place.schema
    for relationship in lookups(here):
        if relationship.navigation != name:
            continue
        column = here.column(relationship.column)
        if column is None:
            continue
        for target in targets(relationship, column):
            table = find_table(here, tables, target)
            yield target if table is None else Place(table, (*place.links, to_one(column, table)))


def lookups(schema: TableSchema) -> Iterator[Relationship]:
    """Yield the relationships that lead from a row to one other."""
    return (r for r in schema.relationships if r.referencing == schema.name and r.navigation)


def collections(schema: TableSchema, tables: Tables) -> Iterator[Relationship]:
    """Yield the relationships that lead from a row to many, whichever side describes them."""
    for side in (schema, *(table for table in tables.values() if table.name != schema.name)):
        for relationship in side.relationships:
            if relationship.referenced == schema.name and relationship.collection:
                yield relationship


def targets(relationship: Relationship, column: Column) -> tuple[str, ...]:
    """Return the tables behind a lookup; owners are described by the parent of their tables."""
    own = relationship.referenced
    return (own,) if own in column.targets or not column.targets else column.targets


def find_table(here: TableSchema, tables: Tables, name: str) -> TableSchema | None:
    """Return a table that is kept offline; the one at hand is."""
    return tables.get(name) or (here if name == here.name else None)


def to_one(column: Column, table: TableSchema) -> Link:
    """Return the link along a lookup."""
    return Link(table, ColumnRef(table.primary_id, Kind.KEY), ColumnRef(column.name, Kind.KEY))


def to_many(here: TableSchema, table: TableSchema, column: str) -> Link:
    """Return the link to the rows that point here."""
    return Link(table, ColumnRef(column, Kind.KEY), ColumnRef(here.primary_id, Kind.KEY))


def find_collection(schema: TableSchema, tables: Tables, name: str, position: int) -> Link:
    """Return the link to the rows of a collection.

    :raises Refusal: there is no such collection
    """
    for relationship in collections(schema, tables):
        if relationship.collection != name:
            continue
        table = find_table(schema, tables, relationship.referencing)
        if table is None:
            raise Refusal(_not_kept(relationship.referencing, name), position)
        if table.column(relationship.column) is None:
            message = f"{name!r} needs {relationship.column!r} of {table.name}, which is not kept"
            raise Refusal(f"{message} offline", position)
        return to_many(schema, table, relationship.column)
    crossing = find_crossing(schema, tables, name)
    if crossing is not None:
        return _across(schema, tables, crossing, position)
    if any(relationship.navigation == name for relationship in lookups(schema)):
        message = f"{name!r} leads to one row, and any and all look into a collection"
        raise Refusal(f"{message}; write a path such as '{name}/…'", position)
    hint = nearest(name, _collection_names(schema, tables)) or "none is called like this"
    raise Refusal(f"{schema.name} has no collection {short(name)!r}; {hint}", position)


def find_crossing(schema: TableSchema, tables: Tables, name: str) -> Crossing | None:
    """Return the way over pairs that a name means; where several have it, it means the first."""
    if not name or any(known.collection == name for known in collections(schema, tables)):
        return None
    return next((way for way in schema.crossings if way.collection == name), None)


def _across(schema: TableSchema, tables: Tables, way: Crossing, position: int) -> Link:
    """Return the link over the pairs of a many-to-many relationship, to the rows at its other end.

    :raises Refusal: the pairs, or those rows, are not kept
    """
    pairs = tables.get(way.intersect)
    target = find_table(schema, tables, way.target)
    if pairs is None or target is None:
        wanted = {way.intersect: pairs, way.target: target}
        missing = " and ".join(name for name, found in wanted.items() if found is None)
        raise Refusal(
            f"{way.collection!r} leads over the pairs in {way.intersect} to {way.target}; "
            f"add {missing} to the profile",
            position,
        )
    far = ColumnRef(way.far, Kind.KEY)
    further = Link(target, ColumnRef(target.primary_id, Kind.KEY), far)
    return replace(to_many(schema, pairs, way.near), further=further)


def _collection_names(schema: TableSchema, tables: Tables) -> list[str]:
    own = [relationship.collection for relationship in collections(schema, tables)]
    return [*own, *(way.collection for way in schema.crossings if way.collection)]


def is_collection(schema: TableSchema, tables: Tables, name: str) -> bool:
    """Tell whether a name leads from a row to many."""
    return name in _collection_names(schema, tables)


def find_hierarchy(schema: TableSchema, tables: Tables, column: Column) -> Relationship | str:
    """Return the tree that a column's rows belong to, or what is wrong.

    The first table behind the column that has a hierarchy decides.
    """
    pointed = column.targets if column.type is ColumnType.LOOKUP else ()
    if column.name == schema.primary_id:
        pointed = (schema.name,)
    missing = None
    for name in pointed:
        table = find_table(schema, tables, name)
        if table is None:
            missing = missing or name
            continue
        for relationship in table.relationships:
            if relationship.hierarchical and (
                relationship.referencing == relationship.referenced == name
            ):
                return relationship
    if missing is not None:
        return (
            f"{column.name!r} leads to {missing}, which is not kept; add {missing} to the profile"
        )
    return f"{column.name!r} leads to no table with a hierarchy"


def _no_step(schema: TableSchema, tables: Tables, name: str, position: int) -> Refusal:
    if is_collection(schema, tables, name):
        return Refusal(f"{name!r} is a collection; look into it with any or all", position)
    column = schema.column(name)
    if column is not None and column.type is not ColumnType.LOOKUP:
        return Refusal(f"{name!r} is no lookup, so no path leads on from it", position)
    hint = nearest(name, [relationship.navigation for relationship in lookups(schema)])
    message = f"{schema.name} has no navigation property {short(name)!r}"
    return Refusal(f"{message}; {hint or 'no lookup is called so'}", position)


def _not_kept(table: str, name: str) -> str:
    return f"{name!r} leads to {table}, which is not kept offline; add {table} to the profile"


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return a hint with the nearest of the known names."""
    if len(name) > 128:  # nothing has such a name, and comparing it takes its time
        return None
    lowered = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), lowered, n=1)
    return f"did you mean {lowered[near[0]]!r}?" if near else None
