"""The tables of a FetchXML query, looked up: places, aliases, and the plan that joins them.

Invariant: a table has one place, in the order in which the query names it; a table inside a filter,
and one that must only exist, has a plan of its own, whose aliases nobody else sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.relationships import Direction, Hop
from holdfast_emulator.queries.conditions import Condition, Field, Operator, Test
from holdfast_emulator.queries.fetchxml.document import (
    Comparison,
    Entity,
    Filter,
    Link,
    LinkType,
    Part,
)
from holdfast_emulator.queries.fetchxml.refusals import (
    bad_alias,
    bad_operator,
    contradiction,
    no_attribute,
    no_entity,
    no_mark,
    no_such_alias,
)
from holdfast_emulator.queries.joins import (
    Clause,
    Either,
    Every,
    Join,
    JoinKind,
    Linked,
    Plan,
    Presence,
    Source,
)
from holdfast_emulator.queries.literals import check_operator, operand_counts, operands
from holdfast_emulator.queries.matches import joinable
from holdfast_emulator.queries.scope import Asking, TableScope

_ALIAS: Final = re.compile(r"[A-Za-z_](?:\w|\.)*\Z", re.ASCII)
_KINDS: Final[Mapping[LinkType, JoinKind]] = {
    LinkType.INNER: JoinKind.INNER,
    LinkType.OUTER: JoinKind.OUTER,
    LinkType.FIRST: JoinKind.FIRST,
}
_PRESENCES: Final[Mapping[LinkType, Presence]] = {
    LinkType.EXISTS: Presence.ANY,
    LinkType.IN: Presence.ANY,
    LinkType.ANY: Presence.ANY,
    LinkType.NOT_ALL: Presence.ANY,  # the name says something else; the rows are those of any
    LinkType.NOT_ANY: Presence.NONE,
    LinkType.ALL: Presence.UNMET,
}
_COMPARABLE: Final = frozenset(
    {Operator.EQ, Operator.NE, Operator.GT, Operator.GE, Operator.LT, Operator.LE}
)


@dataclass(frozen=True, slots=True)
class Place:
    """One table of a query; ``outer`` is the place of the table that it is linked to."""

    entity: Entity
    table: TableDefinition
    alias: str
    link: Link | None = None
    outer: int = 0


class Tables:
    """The tables of one plan.

    :param admit: refuses a table that the asker may not read at all
    """

    def __init__(
        self,
        asking: Asking,
        entity: Entity,
        alias: str | None,
        admit: Callable[[TableDefinition], None],
    ) -> None:
        self._asking = asking
        self._admit = admit
        table = self._table(entity.name)
        self.places = [Place(entity, table, alias or entity.name)]
        self.aliases = {alias: 0} if alias else {}
        self._defaults: dict[str, int] = {}
        self._walk(entity, 0)
        self.aliases.setdefault(entity.name, 0)  # conditions may call the root by its own name

    def plan(self) -> Plan:
        """Return the plan that joins the tables.

        :raises DataverseFault: a condition names what is not there, or cannot be asked
        """
        joins: list[Join] = []
        local, across = self._conditions(0)
        root = Source(self.places[0].table, local)
        rest = across
        for at, place in enumerate(self.places):
            if place.link is None:
                continue
            near, far = self._ends(place.link, self.places[place.outer].table, place.table)
            own, besides = self._conditions(at)
            source = Source(place.table, own)
            kind = _KINDS[place.link.kind]
            joins.append(Join(kind, source, place.outer, near, far, besides))
        return Plan(root, tuple(joins), rest, self.aliases)

    def column(self, at: int, name: str) -> ColumnDefinition:
        """Return a column of the table at a place.

        :raises DataverseFault: it has no such column
        """
        return column_of(self.places[at].table, name, self._asking)

    def place_of(self, alias: str, place: str) -> int:
        """Return the place of the table that an alias names.

        :raises DataverseFault: it names none
        """
        if alias not in self.aliases:
            raise no_such_alias(alias, place)
        return self.aliases[alias]

    def _table(self, name: str) -> TableDefinition:
        table = self._asking.navigator.metadata.table(name)
        if table is None:
            raise no_entity(name)
        self._admit(table)
        return table

    def _walk(self, entity: Entity, outer: int) -> None:
        for link in entity.links:
            if link.kind not in _KINDS:
                continue
            alias = link.alias or self._default(link.entity.name)
            if not _ALIAS.match(alias):
                raise bad_alias(alias, "only letters, digits and _ are allowed.")
            if alias in self.aliases:
                raise bad_alias(alias, "another table of the query has it.")
            at = len(self.places)
            self.aliases[alias] = at
            self.places.append(
                Place(link.entity, self._table(link.entity.name), alias, link, outer)
            )
            self._walk(link.entity, at)

    def _default(self, name: str) -> str:
        self._defaults[name] = self._defaults.get(name, 0) + 1
        return f"{name}{self._defaults[name]}"

    def _conditions(self, at: int) -> tuple[Clause, Clause | None]:
        """Return what must hold of a table's rows alone, and what of the joined ones."""
        place = self.places[at]
        clauses: list[Clause] = []
        for part in place.entity.filters:
            clauses.extend(_flat(self._clause(part, at)))
        clauses.extend(
            self._linked(link, at) for link in place.entity.links if link.kind not in _KINDS
        )
        alone = tuple(clause for clause in clauses if not _reaches(clause))
        across = tuple(clause for clause in clauses if _reaches(clause))
        return Every(alone), Every(across) if across else None

    def _clause(self, part: Part, at: int) -> Clause:
        match part:
            case Filter(every, parts):
                clauses = tuple(self._clause(inner, at) for inner in parts)
                # a filter without conditions restricts nothing, whichever its type
                return Every(clauses) if every or not clauses else Either(clauses)
            case Link():
                return self._linked(part, at)
            case Comparison():
                return self._test(part, at)

    def _linked(self, link: Link, at: int) -> Linked:
        inner = Tables(self._asking, link.entity, link.alias, self._admit)
        near, far = self._ends(link, self.places[at].table, inner.places[0].table)
        return Linked(_PRESENCES[link.kind], Field(near), far, inner.plan())

    def _test(self, condition: Comparison, at: int) -> Condition:
        field, column = self._field(condition.attribute, condition.entity, at)
        operator = condition.operator
        if condition.other is not None:
            if operator not in _COMPARABLE or condition.values:
                raise bad_operator(f"{operator.value} with valueof", condition.attribute)
            alias, dot, name = condition.other.rpartition(".")
            other, against = self._field(name, alias if dot else condition.entity, at)
            if not joinable(column.type, against.type):
                raise contradiction(
                    f"The attributes '{column.name}' and '{against.name}' cannot be compared: "
                    "they are of different types."
                )
            check_operator(operator, column)
            return Test(field, operator, (), other)
        values = condition.values
        if operand_counts(operator) == (0, 0):
            values = tuple(value for value in values if value)
        return Test(field, operator, operands(operator, column, values, self._asking.zone))

    def _field(self, name: str, alias: str | None, at: int) -> tuple[Field, ColumnDefinition]:
        place = at if alias is None else self.place_of(alias, f"the attribute '{name[:100]}'")
        column = self.column(place, name)
        return Field(name, alias=None if place == at else alias), column

    def _ends(self, link: Link, outer: TableDefinition, inner: TableDefinition) -> tuple[str, str]:
        """Return the columns that a link joins: of the outer table, and of the inner one."""
        near, far = link.target, link.source
        if near is None or far is None:
            near, far = self._related(link, outer, inner)
        one, other = self._stored(outer, near), self._stored(inner, far)
        if not joinable(one.type, other.type):
            raise contradiction(
                f"The attributes '{outer.name}.{near}' and '{inner.name}.{far}' cannot be joined: "
                "they are of different types, or of one that can't be joined."
            )
        return near, far

    def _related(
        self, link: Link, outer: TableDefinition, inner: TableDefinition
    ) -> tuple[str, str]:
        """Return the columns of the first relationship that fits what a link leaves out."""
        for hop in self._asking.navigator.metadata.hops(outer.name):
            ends = (hop.near, hop.far) if _is_join(hop, inner) else None
            if ends and link.target in (None, ends[0]) and link.source in (None, ends[1]):
                return ends
        raise no_mark("from" if link.source is None else "to", "link-entity")

    def _stored(self, table: TableDefinition, name: str) -> ColumnDefinition:
        found = table.by_name.get(name)
        if found is None or not found.readable:
            raise no_attribute(table.name, name)
        return found


def column_of(table: TableDefinition, name: str, asking: Asking) -> ColumnDefinition:
    """Return a column by its logical name; that of a label (``xname``) is one of text.

    :raises DataverseFault: the table has no such column
    """
    known = table.by_name.get(name)
    if not known.readable if known else name in table.by_wire_name:
        raise no_attribute(table.name, name)
    try:
        return TableScope(table, asking).bind(Field(name)).column
    except DataverseFault as fault:
        raise no_attribute(table.name, name) from fault


def _is_join(hop: Hop, inner: TableDefinition) -> bool:
    return hop.target == inner.name and hop.direction is not Direction.ACROSS


def _flat(clause: Clause) -> Iterator[Clause]:
    if isinstance(clause, Every):
        for part in clause.parts:
            yield from _flat(part)
    else:
        yield clause


def _reaches(clause: Clause) -> bool:
    """Tell whether a clause names another table of its plan."""
    match clause:
        case Every(parts) | Either(parts):
            return any(map(_reaches, parts))
        case Test(field, _, _, other):
            return field.alias is not None or (other is not None and other.alias is not None)
        case _:
            return False
