"""What is at hand while text is written: the names of columns and links, and the single tests.

Invariant: a test is written only if reading it back gives the same one; a column of another kind, a
cell that does not fit and a link that has no name are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from holdfast.contracts import Tables
from holdfast.filters import (
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    InState,
    IsCaller,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
    Related,
    conjuncts,
)
from holdfast.schema import Column, ColumnType, Crossing, Kind, TableSchema
from holdfast.values import Cell
from holdfast_odata._calls import misfit
from holdfast_odata._columns import odata_name
from holdfast_odata._limits import MAXIMUM_LINKS
from holdfast_odata._links import (
    collections,
    find_crossing,
    find_hierarchy,
    find_table,
    lookups,
    targets,
)
from holdfast_odata._literals import literal_of, quoted, text_of
from holdfast_odata._names import NAMES, NAMESPACE, Function, Listed


class Cannot(Exception):
    """What a filter cannot say; it becomes a FilterError."""


@dataclass(frozen=True, slots=True)
class Step:
    """A link as it is called in a filter; ``single`` leads to one row.

    :param where: what is asked of the rows at its end
    """

    name: str
    table: TableSchema
    where: Expression
    single: bool = False


@dataclass(frozen=True, slots=True)
class Names:
    """The rows that are written about.

    :param prefix: what stands before each column: a variable, a path of lookups
    """

    schema: TableSchema
    tables: Tables
    prefix: str = ""
    lookups: int = 0

    @property
    def primary(self) -> ColumnRef:
        """The primary id."""
        return ColumnRef(self.schema.primary_id, Kind.KEY)

    def behind(self, step: Step) -> Names:
        """Return the names behind a lookup."""
        if self.lookups == MAXIMUM_LINKS:
            raise Cannot(f"a path goes over more than {MAXIMUM_LINKS} lookups")
        return Names(step.table, self.tables, f"{self.prefix}{step.name}/", self.lookups + 1)

    def step(self, related: Related) -> Step:
        """Return the link that related rows are reached by."""
        table = find_table(self.schema, self.tables, related.table)
        if table is None:
            raise Cannot(f"{related.table} is not kept offline; add it to the profile")
        name = self._lookup(related, table)
        if name is not None:
            return Step(name, table, related.where, single=True)
        step = self._collection(related, table)
        if step is None:
            raise Cannot(
                f"no relationship of {self.schema.name} leads from {related.own.name!r} "
                f"to {related.field.name!r} of {related.table}"
            )
        if self.lookups:
            raise Cannot(
                f"{step.name!r} is a collection behind a lookup; Dataverse looks into none"
            )
        return step

    def _lookup(self, related: Related, table: TableSchema) -> str | None:
        column = self.schema.column(related.own.name)
        if column is None or related.field.name != table.primary_id:
            return None
        for known in lookups(self.schema):
            if known.column == column.name and table.name in targets(known, column):
                return known.navigation
        return None

    def _collection(self, related: Related, table: TableSchema) -> Step | None:
        if related.own.name != self.schema.primary_id:
            return None
        for known in collections(self.schema, self.tables):
            if (known.referencing, known.column) == (related.table, related.field.name):
                return Step(known.collection, table, related.where)
        for way in self.schema.crossings:
            if (way.intersect, way.near) == (related.table, related.field.name):
                return self._across(way, related.where)
        return None

    def _across(self, way: Crossing, asked: Expression) -> Step:
        """Return the link over pairs, of which only the rows at their other end can be asked."""
        if find_crossing(self.schema, self.tables, way.collection) != way:
            raise Cannot(f"OData has no name for the way from {way.near!r} over {way.intersect}")
        target = find_table(self.schema, self.tables, way.target)
        if target is None:
            raise Cannot(f"{way.target} is not kept offline; add it to the profile")
        inside: list[Expression] = []
        for part in conjuncts(asked):
            match part:
                case Related(table, field, own, where) if (table, field.name, own.name) == (
                    way.target,
                    target.primary_id,
                    way.far,
                ):
                    inside.append(where)
                case _:
                    raise Cannot(
                        f"of the pairs in {way.intersect} OData asks the rows that they lead to, "
                        "and nothing else"
                    )
        if not inside:
            raise Cannot(f"OData cannot ask for pairs in {way.intersect} that may lead nowhere")
        return Step(way.collection, target, inside[0] if len(inside) == 1 else And(tuple(inside)))

    def column(self, reference: ColumnRef) -> Column:
        """Return the column that an operand stands for."""
        column = self.schema.column(reference.name)
        if column is None:
            raise Cannot(f"{self.schema.name} has no column {reference.name!r}")
        if column.kind is not reference.kind:
            raise Cannot(f"{reference.name!r} is compared as {reference.kind.value}")
        return column

    def named(self, column: Column) -> str:
        """Return what the column is called here."""
        return f"{self.prefix}{odata_name(column)}"


def write_leaf(leaf: Expression, names: Names) -> str:
    """Return the text of one test.

    :raises Cannot: there is none
    :raises ValueError: a cell does not fit its column
    """
    match leaf:
        case Compare():
            return _comparison(leaf, names)
        case IsNull(column, negated):
            return f"{names.named(names.column(column))} {'ne' if negated else 'eq'} null"
        case Like():
            return _search(leaf, names)
        case In(reference, cells, negated):
            present = (cell for cell in cells if cell is not None)
            return _listed(names, reference, Function(Listed.AMONG, negated), present)
        case HasOption(reference, options, negated):
            function = Function(Listed.SELECTED, negated)
            return _listed(names, reference, function, map(str, options))
        case IsCaller(reference, who, negated):
            return _call(names, reference, Function(who, negated))
        case InHierarchy():
            return _in_tree(leaf, names)
        case During():
            return _during(leaf, names)
        case Not(part):
            return f"not {write_leaf(part, names)}"
        case InState(mark):
            raise Cannot(f"the server does not know which rows are {mark.value} here")
        case Call(name):
            raise Cannot(f"the function {name!r} is not one of OData's")
        case _:
            raise AssertionError("And, Or and Related are no leaves")


def is_listed(test: In, names: Names) -> bool:
    """Tell whether a test has the function ``In``, which is not for long texts and options."""
    return names.column(test.column).type not in (ColumnType.MEMO, ColumnType.CHOICES)


def each(test: In) -> Expression:
    """Return one comparison for each cell."""
    operator = Comparison.NE if test.negated else Comparison.EQ
    cells = (cell for cell in test.cells if cell is not None)
    parts = tuple(Compare(operator, test.column, Literal(cell)) for cell in cells)
    return And(parts) if test.negated else Or(parts)


def _comparison(test: Compare, names: Names) -> str:
    sides = (test.left, test.right)
    columns = [names.column(side) for side in sides if isinstance(side, ColumnRef)]
    if len({column.kind for column in columns}) != 1:
        raise Cannot("no column is compared, or columns of different kinds are")
    if any(column.type in (ColumnType.FILE, ColumnType.IMAGE) for column in columns):
        raise Cannot("what a file holds is not compared")
    ordered = test.operator not in (Comparison.EQ, Comparison.NE)
    if ordered and columns[0].type is ColumnType.CHOICES:
        raise Cannot("the options of a multi-select have no order")
    if len({_sort(column) for column in columns}) != 1:
        raise Cannot(f"{columns[0].name!r} and {columns[1].name!r} are not of the same kind")
    left, right = (_operand(side, columns[0], names) for side in sides)
    return f"{left} {test.operator.value} {right}"


def _sort(column: Column) -> ColumnType | None:
    """Return what a key is of; a lookup holds an id."""
    if column.kind is not Kind.KEY:
        return None
    return ColumnType.UNIQUEIDENTIFIER if column.type is ColumnType.LOOKUP else column.type


def _operand(side: Operand, column: Column, names: Names) -> str:
    if isinstance(side, ColumnRef):
        return names.named(names.column(side))
    if side.local:
        raise Cannot("a time without a zone is the asker's; OData has no words for it")
    if side.cell is None:
        raise Cannot("a comparison with null is unknown; IsNull says what is meant")
    return literal_of(column, side.cell)


def _search(like: Like, names: Names) -> str:
    column = names.column(like.column)
    if column.kind is not Kind.TEXT:
        raise Cannot(f"a pattern is looked for in {column.name!r}, which is no text")
    function, text = _shape(like.pattern)
    call = f"{function}({names.named(column)},{quoted(text)})"
    return f"not {call}" if like.negated else call


def _shape(pattern: str) -> tuple[str, str]:
    """Return the function whose pattern this is, and its text."""
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "%":
        return "contains", pattern[1:-1]
    if pattern.endswith("%"):
        return "startswith", pattern[:-1]
    if pattern.startswith("%"):
        return "endswith", pattern[1:]
    raise Cannot(f"the pattern {pattern!r} has no '%' at its start or end")


def _listed(names: Names, reference: ColumnRef, function: Function, cells: Iterable[Cell]) -> str:
    column = _fitting(names, reference, function)
    texts = [text_of(column, cell) for cell in cells]
    listed = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
    return _call(names, reference, function, listed)


def _in_tree(test: InHierarchy, names: Names) -> str:
    column = names.column(test.column)
    tree = find_hierarchy(names.schema, names.tables, column)
    if isinstance(tree, str):
        raise Cannot(tree)
    if (tree.referenced, tree.column) != (test.table, test.parent):
        raise Cannot(f"the tree of {column.name!r} is that of {tree.referenced}")
    anchor = quoted(text_of(Column("anchor", ColumnType.UNIQUEIDENTIFIER), test.anchor))
    return _call(names, test.column, Function(test.branch, test.negated), anchor)


def _during(test: During, names: Names) -> str:
    column, period = names.column(test.column), test.period
    if column.behavior is not test.behavior:
        raise Cannot(f"{column.name!r} is read as {test.behavior.value}")
    days = [operand for operand in test.operands if isinstance(operand, str)]
    numbers = [operand for operand in test.operands if isinstance(operand, int)]
    if (len(days), len(numbers)) != (period.takes_day, period.numbers):
        raise Cannot(f"{period.value} does not take {test.operands!r}")
    if any(not ("-x-" in period.value) <= number < 2**31 for number in numbers):
        raise Cannot(f"{period.value} counts from {int('-x-' in period.value)} to {2**31 - 1}")
    texts = [quoted(date.fromisoformat(day).isoformat()) for day in days]
    return _call(names, test.column, Function(period), *texts, *map(str, numbers))


def _call(names: Names, reference: ColumnRef, function: Function, *values: str) -> str:
    column = _fitting(names, reference, function)
    given = zip(("PropertyName", *function.parameters), (quoted(column.name), *values), strict=True)
    arguments = ",".join(f"{parameter}={value}" for parameter, value in given)
    return f"{names.prefix}{NAMESPACE}{NAMES[function]}({arguments})"


def _fitting(names: Names, reference: ColumnRef, function: Function) -> Column:
    column = names.column(reference)
    problem = misfit(function, column)
    if problem is not None:
        raise Cannot(f"{NAMES[function]} {problem}")
    return column
