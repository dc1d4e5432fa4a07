"""Rows of several tables put together: a plan of joins, and its rows one after the other.

Invariant: a joined row has one place for each table of the plan, in the order of the plan; an outer
join that finds nothing leaves its place empty. No row is there that the asker may not read, and no
join compares every row of one table with every row of another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import chain
from typing import Final, TypeAlias, TypeVar

from holdfast.values import Cell
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import Cells, Row
from holdfast_emulator.queries.conditions import Condition, Field
from holdfast_emulator.queries.evaluate import matcher
from holdfast_emulator.queries.fetchxml.refusals import no_such_alias, takes_too_long
from holdfast_emulator.queries.matches import Matches, formed, key_reader
from holdfast_emulator.queries.scope import Asking, Bound, Scope, TableScope

#: The cells of one row of each table, None where an outer join found nothing.
Joined: TypeAlias = tuple[Cells | None, ...]
AtHand = TypeVar("AtHand")
_Passes: TypeAlias = Callable[[AtHand], bool]
_MOST_ROWS: Final = 1_000_000


class JoinKind(Enum):
    """What a join does where it finds nothing, and where it finds several."""

    INNER = "inner"
    OUTER = "outer"
    FIRST = "first"  # like outer, but with one row at most


class Presence(Enum):
    """What a linked table must have for a row to pass."""

    ANY = "any"  # a row that meets the conditions
    NONE = "none"  # no such row
    UNMET = "unmet"  # a row, but none that meets the conditions


@dataclass(frozen=True, slots=True)
class Linked:
    """True when the rows of ``plan`` whose ``far`` equals ``near`` are present as they should."""

    presence: Presence
    near: Field
    far: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Every:
    """True when every part is."""

    parts: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """True when one part is."""

    parts: tuple[Clause, ...]


Clause: TypeAlias = Condition | Linked | Every | Either


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of a table that meet ``where``, which is about them alone."""

    table: TableDefinition
    where: Clause = field(default_factory=lambda: Every(()))


@dataclass(frozen=True, slots=True)
class Join:
    """One more table: its ``far`` equals ``near`` of the table at ``place``.

    :param across: what must hold besides, of the row and those joined before it
    """

    kind: JoinKind
    source: Source
    place: int
    near: str
    far: str
    across: Clause | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A table, the tables joined to it, and what must hold of all of them together.

    ``aliases`` says at which place the table stands that an alias names.
    """

    root: Source
    joins: tuple[Join, ...] = ()
    across: Clause | None = None
    aliases: Mapping[str, int] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The tables by their places."""
        return (self.root, *(join.source for join in self.joins))

    @property
    def multiplied(self) -> tuple[int, ...]:
        """The places whose tables may have several rows for one row of the root."""
        return tuple(
            place
            for place, join in enumerate(self.joins, 1)
            if join.kind is not JoinKind.FIRST and join.far != join.source.table.primary_id
        )


@dataclass(frozen=True, slots=True)
class JoinScope:
    """The scope of conditions over joined rows.

    :param own: the place that a field without an alias is read from
    :param known: so many places are filled already
    """

    plan: Plan
    own: int
    known: int
    asking: Asking

    def bind(self, field: Field) -> Bound[Joined]:
        """Return how to read a column of one of the tables."""
        place = self._place(field.alias)
        table = self.plan.sources[place].table
        bound = TableScope(table, self.asking).bind(replace(field, alias=None))
        read = bound.read
        return Bound(at_place(place, read), bound.column, bound.table)

    def row(self) -> Callable[[Joined], Row | None]:
        """Return how to make a row of the cells at the own place."""
        own, table = self.own, self.plan.sources[self.own].table
        return lambda joined: None if (cells := joined[own]) is None else Row(table, cells)

    def _place(self, alias: str | None) -> int:
        if alias is None:
            return self.own
        place = self.plan.aliases.get(alias)
        if place is None or place >= self.known:
            raise no_such_alias(alias, "a condition")
        return place


def at_place(place: int, read: Callable[[Cells], Cell]) -> Callable[[Joined], Cell]:
    """Return how to read what is read from cells from a joined row; null where they are missing."""
    return lambda joined: None if (cells := joined[place]) is None else read(cells)


def joined_rows(plan: Plan, asking: Asking, since: str = "") -> Iterator[Joined]:
    """Yield the joined rows of a plan by their ids, that of the root first.

    :param since: no row of the root with a smaller id is wanted
    :raises DataverseFault: a condition cannot be asked, or there are far too many rows
    """
    rows: Iterator[Joined] = ((cells,) for cells in _source_rows(plan.root, asking, since))
    for place, join in enumerate(plan.joins, 1):
        rows = _with(plan, join, place, rows, asking)
    if plan.across is not None:
        scope = JoinScope(plan, 0, len(plan.sources), asking)
        rows = filter(_passing(plan.across, scope, asking), rows)
    return rows


def _source_rows(source: Source, asking: Asking, since: str) -> Iterator[Cells]:
    """Return the rows of a table that the asker may read and that meet its conditions, by id."""
    table, store = source.table, asking.navigator.store
    passes, readable = _local(source, asking), asking.readable
    first = store.get(table.name, since) if since else None
    rows = chain(() if first is None else (first,), store.scan(table.name, since))
    return (cells for cells in rows if passes(cells) and readable(Row(table, cells)))


def _local(source: Source, asking: Asking) -> _Passes[Cells]:
    return _passing(source.where, TableScope(source.table, asking), asking)


def _with(
    plan: Plan, join: Join, place: int, rows: Iterator[Joined], asking: Asking
) -> Iterator[Joined]:
    """Return the rows with one more table joined to each; what cannot be asked is refused now."""
    table = plan.sources[join.place].table
    near = key_reader(table, join.near, asking)
    across = join.across and _passing(
        join.across, JoinScope(plan, place, place + 1, asking), asking
    )
    passes, readable, joins = _local(join.source, asking), asking.readable, join.source.table
    matches = Matches(
        joins, join.far, asking, lambda cells: passes(cells) and readable(Row(joins, cells))
    )

    def found(joined: Joined) -> Sequence[Joined]:
        outer = joined[join.place]
        cells = () if outer is None else matches.of(near(outer))
        rows = [(*joined, inner) for inner in cells]
        return [row for row in rows if across(row)] if across else rows

    def more() -> Iterator[Joined]:
        made = 0
        for joined in rows:
            some = found(joined)
            made += len(some) or 1
            if made > _MOST_ROWS:
                raise takes_too_long()
            if join.kind is JoinKind.FIRST:
                some = some[:1]
            if some:
                yield from some
            elif join.kind is not JoinKind.INNER:
                yield (*joined, None)

    return more()


def _passing(clause: Clause, scope: Scope[AtHand], asking: Asking) -> _Passes[AtHand]:
    match clause:
        case Every(parts):
            every = [_passing(part, scope, asking) for part in parts]
            return every[0] if len(every) == 1 else lambda at: all(test(at) for test in every)
        case Either(parts):
            either = [_passing(part, scope, asking) for part in parts]
            return lambda at: any(test(at) for test in either)
        case Linked():
            return _linked(clause, scope, asking)
        case _:
            return matcher(clause, scope, asking)


def _linked(linked: Linked, scope: Scope[AtHand], asking: Asking) -> _Passes[AtHand]:
    """Return whether a row has the linked rows that it should; they are looked for once."""
    bound = scope.bind(linked.near)
    read = formed(bound.read, bound.column.type)
    met = _keys(linked.plan, linked.far, asking)
    if linked.presence is not Presence.UNMET:
        wanted = linked.presence is Presence.ANY
        return lambda at: (read(at) in met()) is wanted
    there = _keys(Plan(Source(linked.plan.root.table)), linked.far, asking)
    return lambda at: (key := read(at)) in there() and key not in met()


def _keys(plan: Plan, far: str, asking: Asking) -> Callable[[], frozenset[Cell]]:
    """Return the keys of the root's rows in a plan, looked for when they are first asked for."""
    key = key_reader(plan.root.table, far, asking)
    rows = joined_rows(plan, asking)
    known: list[frozenset[Cell]] = []

    def keys() -> frozenset[Cell]:
        if not known:
            found = (key(joined[0]) for joined in rows if joined[0] is not None)
            known.append(frozenset(cell for cell in found if cell is not None))
        return known[0]

    return keys
