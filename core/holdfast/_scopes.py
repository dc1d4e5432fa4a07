"""What is kept of each table: a profile's rules met with the server's schemas.

Here a profile is checked against the server: tables, columns, filters and relationships, every
mistake at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from holdfast._prepare import needs_more_than_the_row
from holdfast._rules import RowRules, Views, columns_elsewhere
from holdfast.errors import Problem, ProfileError
from holdfast.filters import EVERYTHING, Expression, Predicate, columns, predicate
from holdfast.model import Op, Scope
from holdfast.plugins import Plugins
from holdfast.profile import Profile, TableRule
from holdfast.schema import ColumnType, Relationship, TableSchema, nearest

#: Column names by table.
Pinned: TypeAlias = Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Described:
    """What the server said last of the profile's tables."""

    schemas: Mapping[str, TableSchema]
    views: Views


@dataclass(frozen=True, slots=True)
class Link:
    """A row rule ``related``: rows that ``column`` of a kept row of ``source`` points to.

    ``bit`` is set in a row's rules while one does.
    """

    relationship: Relationship
    bit: int

    @property
    def source(self) -> str:
        """The table whose rows point here."""
        return self.relationship.referencing

    @property
    def column(self) -> str:
        """The lookup column there."""
        return self.relationship.column


@dataclass(frozen=True)
class TableScope:
    """One table of the profile. A row's *rules* are bits, one for each row rule that admits it."""

    rule: TableRule
    scope: Scope
    visible: TableSchema
    filter: Expression
    filter_bit: int
    links: tuple[Link, ...]
    #: Whether a row belongs to the filter; None where a row alone does not decide that.
    test: Predicate | None
    #: The filter as it is written, by language; empty where no text says all of it.
    written: Mapping[str, str]
    fingerprint: str

    @property
    def name(self) -> str:
        """The table's name."""
        return self.rule.name

    @property
    def schema(self) -> TableSchema:
        """The schema with every column that is kept, those that people did not ask for too."""
        return self.scope.schema

    @cached_property
    def mask(self) -> int:
        """The bits of all rules."""
        return self.filter_bit | sum(link.bit for link in self.links)

    @cached_property
    def chosen(self) -> str:
        """Stand for the rows that the profile chooses, whatever a saved view or a column says."""
        rule = self.rule
        return _digest((rule.rules, rule.match, sorted((rule.filter or {}).items()), rule.related))

    def admits(self, rules: int) -> bool:
        """Tell whether a row with these rules belongs here; none that is gone does."""
        return rules == self.mask if self.rule.match == "all" else rules > 0

    @property
    def takes_everything(self) -> bool:
        """Whether every row belongs here."""
        return self.filter_bit != 0 and self.filter == EVERYTHING and not self.links


def pinned_columns(outbox: Iterable[Op]) -> dict[str, set[str]]:
    """Return the columns that unsettled ops change."""
    found: dict[str, set[str]] = {}
    for op in outbox:
        found.setdefault(op.table, set()).update(op.changes)
    return found


def bind(
    source: str,
    profile: Profile,
    described: Described,
    plugins: Plugins,
    pinned: Pinned,
) -> dict[str, TableScope]:
    """Return the scope of each table, ordered so that a table follows those that point to it.

    :param pinned: columns that stay though nobody asks for them, since unsettled ops change them
    :raises ProfileError: with everything that the server does not have
    """
    binder = _Binder(profile, described, plugins, pinned)
    scopes = binder.scopes()
    if binder.found:
        raise ProfileError(source, binder.found)
    return scopes


def bind_known(
    profile: Profile, described: Described, plugins: Plugins, pinned: Pinned
) -> dict[str, TableScope]:
    """Return the scopes of those tables that fit what the server said last; the others wait."""
    return _Binder(profile, described, plugins, pinned).scopes()


def indexes(scopes: Mapping[str, TableScope]) -> dict[str, list[str]]:
    """Return for each table the columns to search by.

    These are the profile's own, the primary name, the lookups, what the filter reads, and the ends
    of pairs.
    """
    found: dict[str, list[str]] = {}
    for name, scope in scopes.items():
        schema = scope.schema
        pointers = {ColumnType.LOOKUP, *([ColumnType.UNIQUEIDENTIFIER] if schema.intersect else [])}
        lookups = {c.name for c in schema.columns if c.type in pointers}
        own = {schema.primary_name} if schema.primary_name else set()
        wanted = {*scope.rule.indexes, *own, *lookups, *columns(scope.filter)}
        found[name] = sorted(wanted - {schema.primary_id})
    return found


class _Binder:
    def __init__(
        self,
        profile: Profile,
        described: Described,
        plugins: Plugins,
        pinned: Pinned,
    ) -> None:
        self._pinned = pinned
        self._profile = profile
        schemas = self._schemas = described.schemas
        self._plugins = plugins
        self._kept = {rule.name for rule in profile.profile.tables}
        self._tables = {name: s for name, s in schemas.items() if name in self._kept}
        self.found: list[Problem] = []
        self._rules = RowRules(self._tables, plugins, described.views, self._note)
        self._filters: dict[str, Expression] = {}

    def scopes(self) -> dict[str, TableScope]:
        """Bind all that can be bound, each table behind those that point to it."""
        rules = list(enumerate(self._profile.profile.tables))
        wrong = [
            self._compile(at, rule) for at, rule in rules
        ]  # all: they read each other's tables
        scopes = [self._table(at, rule, wrong[at]) for at, rule in rules]
        bound = {scope.name: scope for scope in scopes if scope is not None}
        return {name: bound[name] for name in self._order(bound)}

    def _compile(self, index: int, rule: TableRule) -> list[Problem]:
        """Compile the filter of one table; return what is wrong with it."""
        schema = self._schemas.get(rule.name)
        if schema is None:
            return []
        before = len(self.found)
        key = f"profile.tables[{index}]"
        self._filters[rule.name] = self._rules.expression(key, rule, schema)
        wrong = self.found[before:]
        del self.found[before:]
        return wrong

    def _table(self, index: int, rule: TableRule, wrong: Sequence[Problem]) -> TableScope | None:
        """Bind one table; None when something is wrong with it."""
        key = f"profile.tables[{index}]"
        schema = self._schemas.get(rule.name)
        if schema is None:
            self._note(f"{key}.name", f"the server has no table {rule.name!r}")
            return None
        before = len(self.found)
        self._check_columns(f"{key}.columns", rule.columns or (), schema)
        self._check_columns(f"{key}.indexes", rule.indexes, schema)
        self.found.extend(wrong)
        links = self._links(key, rule, schema)
        if len(self.found) > before:
            return None
        return self._bound(rule, schema, self._filters[rule.name], links)

    def _bound(
        self, rule: TableRule, schema: TableSchema, filtered: Expression, links: tuple[Link, ...]
    ) -> TableScope:
        asked = self._asked(rule, schema)
        hidden = {
            *columns(filtered),
            *self._pointing(rule.name),
            *self._read_by_others(rule.name),
            *self._ends(rule.name),
        }
        kept = schema.only({*asked, *hidden, *rule.indexes, *self._pinned.get(rule.name, ())})
        visible = schema.only(asked)
        test: Predicate | None = None
        if not needs_more_than_the_row(filtered):
            test = predicate(filtered, kept.positions, self._plugins.functions)
        written = dict(
            found
            for language, text in (rule.filter or {}).items()
            if (found := self._rules.written(language, text, rule.name))
        )
        return TableScope(
            rule=rule,
            scope=Scope(kept, self._names(kept)),
            visible=visible,
            filter=filtered,
            filter_bit=0 if rule.rules == ("related",) else 1,
            links=links,
            test=test,
            written=written if set(rule.rules) <= {"custom", "related"} else {},
            fingerprint=_fingerprint(rule, kept, links, written),
        )

    def _asked(self, rule: TableRule, schema: TableSchema) -> list[str]:
        asked = rule.columns or [column.name for column in schema.columns]
        return [*asked, *([schema.primary_name] if schema.primary_name else [])]

    def _check_columns(self, key: str, names: Sequence[str], schema: TableSchema) -> None:
        for number, name in enumerate(names):
            if schema.column(name) is None:
                hint = nearest(name, schema.by_name)
                self._note(f"{key}[{number}]", f"{schema.name} has no column {name!r}{hint}")

    def _read_by_others(self, table: str) -> set[str]:
        """Return the columns of a table that filters, its own or others', follow links to."""
        return {
            name
            for filtered in self._filters.values()
            for name in columns_elsewhere(filtered).get(table, ())
        }

    def _ends(self, table: str) -> set[str]:
        """Return the columns without which the pairs of a table join nothing."""
        return {
            column
            for schema in self._schemas.values()
            for known in schema.many_to_many
            if known.intersect == table
            for column in (known.column1, known.column2)
        }

    def _links(self, key: str, rule: TableRule, schema: TableSchema) -> tuple[Link, ...]:
        known = {r.name: r for s in self._schemas.values() for r in s.relationships}
        links: list[Link] = []
        for number, name in enumerate(rule.related):
            relationship = known.get(name)
            problem = self._link_problem(schema, name, relationship, known)
            if problem is None and relationship is not None:
                links.append(Link(relationship, 2 << number))
            else:
                self._note(f"{key}.related[{number}]", problem or "")
        return tuple(links)

    def _link_problem(
        self,
        schema: TableSchema,
        name: str,
        relationship: Relationship | None,
        known: Mapping[str, Relationship],
    ) -> str | None:
        if relationship is None:
            for across in schema.many_to_many:
                if across.name == name:
                    return (
                        f"{name} is many-to-many, and only a lookup makes rows related; "
                        "write a filter with a link over it"
                    )
            usable = [r.name for r in known.values() if self._usable(schema, r)]
            return f"no relationship {name!r} reaches {schema.name}{nearest(name, usable)}"
        if relationship.referenced != schema.name:
            return (
                f"{name} points from {relationship.referencing} to {relationship.referenced}; "
                f"a table can be kept as related only where others point to it"
            )
        if relationship.referencing == schema.name:
            return f"{name} points from {schema.name} to itself; that is not supported yet"
        if relationship.referencing not in self._kept:
            return f"{name} starts at {relationship.referencing}; add that table to the profile"
        return None

    def _usable(self, schema: TableSchema, relationship: Relationship) -> bool:
        return relationship.referenced == schema.name and relationship.referencing in self._kept

    def _pointing(self, table: str) -> set[str]:
        """Return the lookup columns of a table that other tables' ``related`` rules start from."""
        wanted = {name for rule in self._profile.profile.tables for name in rule.related}
        return {
            relationship.column
            for schema in self._schemas.values()
            for relationship in schema.relationships
            if relationship.name in wanted and relationship.referencing == table
        }

    def _names(self, schema: TableSchema) -> frozenset[str]:
        """Return the lookups whose target's name only the server can tell."""
        return frozenset(
            column.name
            for column in schema.columns
            if column.type is ColumnType.LOOKUP and not set(column.targets) <= self._kept
        )

    def _order(self, bound: Mapping[str, TableScope]) -> list[str]:
        """Return the tables so that each follows the sources of its links; note a cycle."""
        done: list[str] = []
        left = list(bound)
        while left:
            free = [n for n in left if all(link.source in done for link in bound[n].links)]
            if not free:
                if not self.found:
                    circle = " → ".join([*left, left[0]])
                    self._note("profile.tables", f"related rules go in a circle: {circle}")
                return [*done, *left]
            done.extend(free)
            left = [name for name in left if name not in free]
        return done

    def _note(self, key: str, message: str) -> None:
        self.found.append(Problem(key, message))


def _fingerprint(
    rule: TableRule, schema: TableSchema, links: Sequence[Link], written: Mapping[str, str]
) -> str:
    """Return what a checkpoint is bound to besides the replica's user and server."""
    parts = (
        rule.rules,
        rule.match,
        sorted(written.items()),
        [(f.name, f.kind.value) for f in schema.fields],
        [link.relationship.name for link in links],
    )
    return _digest(parts)


def _digest(parts: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
