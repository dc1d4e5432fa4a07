"""Filters at random, each operator of the algebra as often as any other."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from holdfast.filters import (
    EVERYTHING,
    And,
    Branch,
    ColumnRef,
    Compare,
    Comparison,
    During,
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
    Period,
    Related,
    Who,
    walk,
)
from holdfast.schema import Column, ColumnType, Crossing, DateBehavior, Relationship, TableSchema
from holdfast.values import Cell, Reference
from support.differential import rows
from support.differential.tables import RELATIONSHIPS, SCHEMAS

DEPTH: Final = 6
_TEXTS: Final = (ColumnType.STRING, ColumnType.MEMO)
_ORDERED: Final = (
    *_TEXTS,
    *(ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.DECIMAL, ColumnType.DOUBLE),
    ColumnType.DATETIME,
)
#: Pairs of columns that may be compared with each other.
_PAIRS: Final = (("name", "other"), ("name", "note"), ("seen", "left"), ("other", "note"))
_WILDCARDS: Final = ("%", "_", "[a-c]", "[^a]", "[[]", "[%]", "[øé]")
_PERIODS: Final = tuple(Period)


@dataclass
class Maker:
    """Makes filters from one die."""

    dice: random.Random
    people: rows.People

    def filter(self, table: str = "thing") -> Expression:
        """Return a filter over a table; a fifth of them have links."""
        links = 0.3 if self.dice.random() < 0.4 else 0.0
        return self._node(SCHEMAS[table], self.dice.randint(0, DEPTH), links)

    def _node(self, schema: TableSchema, depth: int, links: float) -> Expression:
        if depth == 0 or self.dice.random() < 0.2:
            return self._leaf(schema, depth, links)
        match self.dice.randint(0, 5):
            case 0 | 1:
                return And(self._parts(schema, depth - 1, links))
            case 2 | 3 | 4:
                return Or(self._parts(schema, depth - 1, links))
            case _:
                return Not(self._node(schema, depth - 1, links))

    def _parts(self, schema: TableSchema, depth: int, links: float) -> tuple[Expression, ...]:
        return tuple(self._node(schema, depth, links) for _ in range(self.dice.randint(1, 3)))

    def _leaf(self, schema: TableSchema, depth: int, links: float) -> Expression:
        if self.dice.random() < links:
            return self._link(schema, depth, links)
        makers: list[Callable[[TableSchema], Expression]] = [
            *(self._comparison, self._comparison, self._pair, self._null, self._like, self._in),
            *(self._during, self._during, self._during),
        ]
        if schema.name == "thing":
            makers += [self._options, self._caller, self._tree, self._tree]
        return self.dice.choice(makers)(schema)

    def _column(self, schema: TableSchema, *types: ColumnType) -> Column:
        return self.dice.choice([c for c in schema.columns if c.type in types])

    def _cell(self, column: Column) -> Cell:
        given = rows.cell_of(self.dice, column, self.people)
        assert not isinstance(given, Reference)
        return given

    def _comparison(self, schema: TableSchema) -> Expression:
        if self.dice.random() < 0.25:
            plain = (ColumnType.BOOLEAN, ColumnType.CHOICE, ColumnType.LOOKUP)
            candidates = [c for c in schema.columns if c.type in plain]
            column = self.dice.choice(candidates)
            operator = self.dice.choice((Comparison.EQ, Comparison.NE))
            return Compare(operator, _ref(column), Literal(self._id_or_cell(column)))
        column = self._column(schema, *_ORDERED)
        operator = self.dice.choice(tuple(Comparison))
        return Compare(operator, _ref(column), Literal(self._cell(column)))

    def _id_or_cell(self, column: Column) -> Cell:
        given = rows.cell_of(self.dice, column, self.people)
        return given.id if isinstance(given, Reference) else given

    def _pair(self, schema: TableSchema) -> Expression:
        known = [pair for pair in _PAIRS if all(schema.column(name) for name in pair)]
        left, right = (schema.by_name[name] for name in self.dice.choice(known))
        return Compare(self.dice.choice(tuple(Comparison)), _ref(left), _ref(right))

    def _null(self, schema: TableSchema) -> Expression:
        column = self.dice.choice(schema.columns)
        return IsNull(_ref(column), negated=self.dice.random() < 0.5)

    def _like(self, schema: TableSchema) -> Expression:
        column = self._column(schema, *_TEXTS)
        piece = rows.text(self.dice)
        start = self.dice.randrange(len(piece))
        piece = piece[start : start + self.dice.randint(1, 3)]
        if self.dice.random() < 0.5:
            wildcard = self.dice.choice(_WILDCARDS)
            piece = piece + wildcard if self.dice.random() < 0.5 else wildcard + piece
        pattern = self.dice.choice(("%{}%", "{}%", "%{}")).format(piece)
        return Like(_ref(column), pattern, negated=self.dice.random() < 0.4)

    def _in(self, schema: TableSchema) -> Expression:
        column = self._column(
            schema, *_TEXTS, ColumnType.INTEGER, ColumnType.CHOICE, ColumnType.LOOKUP
        )
        cells = tuple(self._id_or_cell(column) for _ in range(self.dice.randint(1, 4)))
        return In(_ref(column), cells, negated=self.dice.random() < 0.4)

    def _options(self, schema: TableSchema) -> Expression:
        options = tuple(self.dice.sample((1, 2, 3, 11, 12), self.dice.randint(1, 2)))
        return HasOption(_ref(schema.by_name["tags"]), options, negated=self.dice.random() < 0.5)

    def _caller(self, schema: TableSchema) -> Expression:
        who = self.dice.choice([who for who in Who if who is not Who.LANGUAGE])
        name = "unitid" if who is Who.BUSINESS_UNIT else "agentid"
        signed = who in (Who.USER, Who.BUSINESS_UNIT)  # the others have no negative operator
        negated = signed and self.dice.random() < 0.4
        return IsCaller(_ref(schema.by_name[name]), who, negated=negated)

    def _tree(self, schema: TableSchema) -> Expression:
        column = self.dice.choice(("thingid", "parentid"))
        anchor = rows.row_id("thing", self.dice.randrange(rows.ROWS["thing"]))
        branch = self.dice.choice(tuple(Branch))
        negated = branch is Branch.UNDER and self.dice.random() < 0.5
        reference = _ref(schema.by_name[column])
        return InHierarchy(reference, "thing", "parentid", anchor, branch, negated=negated)

    def _during(self, schema: TableSchema) -> Expression:
        column = self._column(schema, ColumnType.DATETIME)
        period = self.dice.choice(_PERIODS)
        if period.below_a_day and column.behavior is DateBehavior.DATE_ONLY:
            period = Period.LAST_X_DAYS
        operands: tuple[int | str, ...] = ()
        if period.takes_day:
            operands = (rows.date_of(self.dice, SCHEMAS["part"].by_name["born"]),)
        elif period.value.endswith("-and-year"):
            operands = (self.dice.randint(1, 4), self.dice.randint(2024, 2028))
        elif period is Period.IN_FISCAL_YEAR:
            operands = (self.dice.randint(2024, 2028),)
        elif period.numbers:
            operands = (self.dice.randint(1, 5),)
        return During(_ref(column), column.behavior, period, operands)

    def _link(self, schema: TableSchema, depth: int, links: float) -> Expression:
        outward = [r for r in RELATIONSHIPS if r.referencing == schema.name]
        inward = [r for r in RELATIONSHIPS if r.referenced == schema.name]
        ways: list[tuple[bool, Relationship | Crossing]] = [
            *((True, r) for r in outward),
            *((False, r) for r in inward),
            *((True, crossing) for crossing in schema.crossings),
        ]
        there, way = self.dice.choice(ways)
        if isinstance(way, Crossing):
            target = SCHEMAS[way.target]
        else:
            target = SCHEMAS[way.referenced if there else way.referencing]
        where: Expression = EVERYTHING
        if self.dice.random() < 0.9:
            where = self._node(target, max(0, min(depth, 3) - 1), links / 2)
        if isinstance(way, Crossing):
            return across(way, where)
        return _related(schema, target, way, where, there=there)


def _ref(column: Column) -> ColumnRef:
    return ColumnRef(column.name, column.kind)


def across(way: Crossing, where: Expression) -> Related:
    """Return the question whether a pair leads to a row that meets a condition."""
    pairs, target = SCHEMAS[way.intersect].by_name, SCHEMAS[way.target]
    key, own = target.by_name[target.primary_id], SCHEMAS[way.table].by_name[f"{way.table}id"]
    end = Related(way.target, _ref(key), _ref(pairs[way.far]), where)
    return Related(way.intersect, _ref(pairs[way.near]), _ref(own), end)


def _related(
    schema: TableSchema,
    target: TableSchema,
    relationship: Relationship,
    where: Expression,
    *,
    there: bool,
) -> Related:
    pointer = SCHEMAS[relationship.referencing].by_name[relationship.column]
    key = SCHEMAS[relationship.referenced].by_name[f"{relationship.referenced}id"]
    field, own = (key, pointer) if there else (pointer, key)
    assert target.column(field.name)
    assert schema.column(own.name)
    return Related(target.name, _ref(field), _ref(own), where)


def operators(expression: Expression) -> Counter[str]:
    """Count the operators in a filter, a negative one apart from its positive."""
    found: Counter[str] = Counter()
    for node in walk(expression):
        name = type(node).__name__
        match node:
            case Compare(operator, _, right):
                side = "column" if isinstance(right, ColumnRef) else "value"
                name = f"{operator.value} {side}"
            case During(period=period):
                name = period.value
            case IsCaller(who=who, negated=negated):
                name = f"{'ne' if negated else 'eq'}-{who.value}"
            case InHierarchy(branch=branch, negated=negated):
                name = f"{'not-' if negated else ''}{branch.value}"
            case IsNull(negated=negated) | Like(negated=negated) | In(negated=negated):
                name = f"{'not ' if negated else ''}{name}"
            case Related(table) if SCHEMAS[table].intersect:
                name = "Across"
            case HasOption(negated=negated):
                name = f"{'not ' if negated else ''}{name}"
            case _:
                pass
        found[name] += 1
    return found


def depth_of(expression: Expression) -> int:
    """Return how many nodes stand above the deepest leaf."""
    match expression:
        case And(parts) | Or(parts):
            return 1 + max((depth_of(part) for part in parts), default=0)
        case Not(part) | Related(where=part):
            return 1 + depth_of(part)
        case _:
            return 0


def simpler(expression: Expression) -> list[Expression]:
    """Return filters that are a little simpler, the simplest first."""
    match expression:
        case And(parts) | Or(parts):
            kind = type(expression)
            fewer = [kind((*parts[:at], *parts[at + 1 :])) for at in range(len(parts))]
            inside = [
                kind((*parts[:at], one, *parts[at + 1 :]))
                for at, part in enumerate(parts)
                for one in simpler(part)
            ]
            return [*parts, *(fewer if len(parts) > 1 else []), *inside]
        case Not(part):
            return [part, *(Not(one) for one in simpler(part))]
        case Related(table, field, own, where):
            smaller = [] if where == EVERYTHING else [EVERYTHING, *simpler(where)]
            return [Related(table, field, own, one) for one in smaller]
        case In(column, cells, negated) if len(cells) > 1:
            return [In(column, (cell,), negated) for cell in cells]
        case _:
            return []


def mentions(expression: Expression, kind: type[Expression]) -> bool:
    """Tell whether a node of this kind is in the filter."""
    return any(isinstance(node, kind) for node in walk(expression))


def shown(cell: Cell) -> str:
    """Return a cell as it can be pasted into a test."""
    return f"Decimal({str(cell)!r})" if isinstance(cell, Decimal) else repr(cell)
