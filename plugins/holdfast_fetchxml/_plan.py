"""The tables of one query, looked up: places, aliases, and what must hold of the rows.

Invariant: a table has one place, in the order in which the query names it. A table inside a filter,
and one that must only exist, has a plan of its own whose aliases nobody else sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from holdfast.contracts import Tables
from holdfast.filters import EVERYTHING, And, Expression, Not, Related
from holdfast.schema import TableSchema
from holdfast_fetchxml._columns import Named, find_column, find_ends, find_table
from holdfast_fetchxml._conditions import compare_columns, compare_values
from holdfast_fetchxml._document import Condition, Entity, Filter, Link, LinkType, Part
from holdfast_fetchxml._expressions import all_of, any_of, flat, sources
from holdfast_fetchxml._markup import Element
from holdfast_fetchxml._refusals import Refusal, nearest, shown

_ALIAS: Final = re.compile(r"[A-Za-z_](?:\w|\.)*\Z", re.ASCII)
#: Turns a plan into what it asks of the rows of its first table.
RowsOf: TypeAlias = Callable[["Plan"], Expression]


@dataclass(frozen=True, slots=True)
class Place:
    """One table of a query.

    :param source: its alias; "" for the first
    :param outer: the place that it is linked to
    :param near: the column there
    :param far: the column here that equals it
    """

    entity: Entity
    table: TableSchema
    source: str = ""
    kind: LinkType = LinkType.INNER
    outer: int = 0
    near: Named | None = None
    far: Named | None = None


class Plan:
    """The tables of one query, or of one link that must only exist.

    :param rows_of: for the links inside
    """

    def __init__(
        self, entity: Entity, tables: Tables, rows_of: RowsOf, alias: str | None = None
    ) -> None:
        self.tables = tables
        self._rows_of = rows_of
        self.places = [Place(entity, find_table(tables, entity.name, entity.element))]
        self._aliases = {alias: 0} if alias else {}
        self._defaults: dict[str, int] = {}
        self._walk(entity, 0)
        self._aliases.setdefault(entity.name, 0)  # conditions may call the root by its own name
        own: list[Expression] = []
        across: list[Expression] = []
        #: What decides which rows of a place match, by place; nothing for the first.
        self.own: list[tuple[Expression, ...]] = [()]
        for at in range(1, len(self.places)):
            mine, others = self._conditions(at)
            self.own.append(mine)
            across.extend(others)
        own.extend(part for clause in self._clauses(0) for part in flat(clause))
        #: What must hold of the joined rows, all of it.
        self.where = (*own, *across)

    def field(
        self, at: int, name: str, alias: str | None, element: Element, attribute: str
    ) -> Named:
        """Return a column of the table at a place, or of the one that an alias names.

        :raises Refusal: there is none
        """
        place = at if alias is None else self.place_of(alias, element)
        schema = self.places[place].table
        return find_column(schema, name, element, attribute, self.places[place].source)

    def place_of(self, alias: str, element: Element, attribute: str = "entityname") -> int:
        """Return the place of the table that an alias names.

        :raises Refusal: it names none
        """
        if alias not in self._aliases:
            hint = nearest(alias, self._aliases, "no joined table has it")
            message = f"there is no alias {shown(alias)}; {hint}"
            raise Refusal(message, element.position(attribute), "0x8004110a")
        return self._aliases[alias]

    def children(self, at: int) -> Iterator[int]:
        """Yield the places of the tables that are joined to one."""
        return (n for n, place in enumerate(self.places) if n and place.outer == at)

    def _walk(self, entity: Entity, outer: int) -> None:
        for link in entity.links:
            if not link.kind.joins:
                continue
            alias = link.alias or self._default(link.entity.name)
            if not _ALIAS.match(alias):
                raise Refusal(
                    f"found the alias {shown(alias)}, expected letters, digits and _",
                    link.element.position("alias"),
                )
            if alias in self._aliases:
                raise Refusal(
                    f"two tables have the alias {alias!r}; call one of them otherwise",
                    link.element.position("alias"),
                )
            schema = self._linked_table(link)
            place = self.places[outer]
            near, far = find_ends(link, place.table, schema, place.source, alias)
            at = len(self.places)
            self._aliases[alias] = at
            self.places.append(Place(link.entity, schema, alias, link.kind, outer, near, far))
            self._walk(link.entity, at)

    def _linked_table(self, link: Link) -> TableSchema:
        name = link.entity.name
        if name not in self.tables and (link.intersect or self._joins_kept_rows(name)):
            raise Refusal(
                f"the pairs in {shown(name)} are not kept offline; add {name[:128]} to the profile",
                link.element.position("name"),
            )
        return find_table(self.tables, name, link.element)

    def _joins_kept_rows(self, name: str) -> bool:
        """Tell whether a table that is not kept has the pairs of one that is."""
        known = (r for schema in self.tables.values() for r in schema.many_to_many)
        return any(relationship.intersect == name for relationship in known)

    def _default(self, name: str) -> str:
        self._defaults[name] = self._defaults.get(name, 0) + 1
        return f"{name}{self._defaults[name]}"

    def _clauses(self, at: int) -> Iterator[Expression]:
        entity = self.places[at].entity
        for part in entity.filters:
            yield self._clause(part, at)
        for link in entity.links:
            if not link.kind.joins:
                yield self._exists(link, at)

    def _conditions(self, at: int) -> tuple[tuple[Expression, ...], tuple[Expression, ...]]:
        """Return what must hold of a joined table's rows alone, and of several tables'."""
        place, earlier = self.places[at], {p.source for p in self.places[:at]}
        parts = [part for clause in self._clauses(at) for part in flat(clause)]
        across = tuple(part for part in parts if sources(part) - {place.source})
        if not across:
            return tuple(parts), ()
        if place.kind is not LinkType.INNER:
            raise Refusal(
                f"a filter inside the {place.kind.value} link {place.source!r} names another "
                "table; write it into the filter of the entity",
                place.entity.element.position(),
            )
        for name in sources(And(across)) - earlier - {place.source}:
            raise Refusal(
                f"a filter inside the link {place.source!r} names {name!r}, which is joined later; "
                "write it into the filter of the entity",
                place.entity.element.position(),
            )
        return tuple(part for part in parts if not sources(part) - {place.source}), across

    def _clause(self, part: Part, at: int) -> Expression:
        match part:
            case Filter(_, every, parts):
                clauses = tuple(self._clause(inner, at) for inner in parts)
                # a filter without conditions restricts nothing, whichever its type
                return all_of(clauses) if every or not clauses else any_of(clauses)
            case Link():
                return self._exists(part, at)
            case Condition():
                return self._condition(part, at)

    def _condition(self, condition: Condition, at: int) -> Expression:
        element, alias = condition.element, condition.entity
        one = self.field(at, condition.attribute, alias, element, "attribute")
        if condition.other is None:
            place = at if alias is None else self.place_of(alias, element)
            return compare_values(condition, one, self.places[place].table, self.tables)
        named, dot, name = condition.other.rpartition(".")
        if dot:
            self.place_of(named, element, "valueof")
        other = self.field(at, name, named if dot else alias, element, "valueof")
        return compare_columns(condition, one, other)

    def _exists(self, link: Link, at: int) -> Expression:
        outer, inner = self.places[at], self._linked_table(link)
        near, far = find_ends(link, outer.table, inner, outer.source, "")
        where = self._rows_of(Plan(link.entity, self.tables, self._rows_of, link.alias))
        related = Related(inner.name, far.ref, near.ref, where)
        match link.kind:
            case LinkType.NOT_ANY:
                return Not(related)
            case LinkType.ALL:  # some, but none that meets the conditions
                return And((Related(inner.name, far.ref, near.ref, EVERYTHING), Not(related)))
            case _:
                return related
