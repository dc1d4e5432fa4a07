"""The filter algebra as SQL.

Invariant: on every row the SQL is true, false or NULL exactly where
:func:`holdfast.filters.predicate` is true, false or None. Values are bound; a column is always
written with its table, as ``t."name"``, because SQLite takes an unknown ``"name"`` alone for a
text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from holdfast.errors import StorageError
from holdfast.filters import (
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    HasOption,
    In,
    IsNull,
    Like,
    Not,
    Operand,
    Or,
    Related,
)
from holdfast.schema import Kind
from holdfast.values import Cell
from holdfast_sqlite._cells import comparand
from holdfast_sqlite._layouts import StoredTable, Tables, table_named
from holdfast_sqlite._names import quoted
from holdfast_sqlite._parameters import Parameters
from holdfast_sqlite._patterns import Folded, like
from holdfast_sqlite._understood import BOUND_ONE_BY_ONE

_SQL: Final = {
    Comparison.EQ: "=",
    Comparison.NE: "IS NOT",  # true when exactly one side is null
    Comparison.GT: ">",
    Comparison.GE: ">=",
    Comparison.LT: "<",
    Comparison.LE: "<=",
}
_CHAIN: Final = 250


@dataclass(frozen=True, slots=True)
class Source:
    """A table as a statement calls it."""

    alias: str
    table: StoredTable

    @property
    def from_sql(self) -> str:
        """What follows FROM or JOIN."""
        return f"{self.table.name_sql} AS {self.alias}"

    @property
    def key_sql(self) -> str:
        """The key of its rows."""
        return f"{self.alias}.{quoted(self.table.layout.key.name)}"


class Scope:
    """What a column of an expression means: which tables are at hand, and who may be asked."""

    def __init__(
        self,
        tables: Tables,
        parameters: Parameters,
        names: Callable[[], str],
        sources: Mapping[str, Source],
    ) -> None:
        self.tables = tables
        self.parameters = parameters
        self._names = names
        self._sources = sources

    @classmethod
    def of(cls, tables: Tables, table: str) -> Scope:
        """Return the scope of a filter over one table, which is called ``t``."""
        numbers = count(1)
        source = Source("t", table_named(tables, table))
        return cls(tables, Parameters(), lambda: f"t{next(numbers)}", {"": source})

    def source(self, name: str = "") -> Source:
        """Return a table that is at hand.

        :raises StorageError: there is none of this name
        """
        found = self._sources.get(name)
        if found is None:
            raise StorageError(f"the question has no table called {name!r}; join it first")
        return found

    def fresh(self, table: str) -> Source:
        """Return a table under a name that nothing else in the statement has."""
        return Source(self._names(), table_named(self.tables, table))

    def beside(self, name: str, source: Source) -> Scope:
        """Return this scope with one more table at hand."""
        return Scope(self.tables, self.parameters, self._names, {**self._sources, name: source})

    def inside(self, source: Source) -> Scope:
        """Return the scope of what is asked of related rows: all columns are theirs."""
        return _Alone(self.tables, self.parameters, self._names, {"": source})

    def column(self, column: ColumnRef) -> str:
        """Return a column as it is stored."""
        source = self._of(column)
        return f"{source.alias}.{quoted(column.name)}"

    def compared(self, column: ColumnRef, kind: Kind | None = None) -> str:
        """Return what compares for a column."""
        source = self._of(column)
        return source.table.compared(source.alias, column.name, kind or column.kind)

    def folded(self, column: ColumnRef) -> Folded:
        """Return a column's text as patterns see it, whatever its kind is."""
        source = self._of(column)
        sql = source.table.compared(source.alias, column.name, Kind.TEXT)
        return Folded(sql, stored=source.table.has_key_column(column.name, Kind.TEXT))

    def finds(self, column: ColumnRef) -> bool:
        """Tell whether an index finds rows by a column."""
        return self._of(column).table.finds(column.name)

    def bind(self, kind: Kind, cell: Cell) -> str:
        """Return the mark of a cell that is compared."""
        return self.parameters.bind(comparand(kind, cell))

    def _of(self, column: ColumnRef) -> Source:
        source = self.source(self._name(column))
        if column.name not in source.table.fields:
            table = source.table.layout.table
            raise StorageError(f"{table} has no field {column.name!r} in the storage")
        return source

    def _name(self, column: ColumnRef) -> str:
        return column.source


class _Alone(Scope):
    def _name(self, column: ColumnRef) -> str:  # noqa: ARG002  there is one table at hand
        return ""


def render(expression: Expression, scope: Scope) -> str:
    """Return the condition.

    :raises StorageError: the expression holds what only the engine evaluates or settles, or names
        what is not there
    """
    match expression:
        case And(parts):
            return _joined(parts, " AND ", "1", scope)
        case Or(parts):
            return _joined(parts, " OR ", "0", scope)
        case Not(part):
            return f"NOT ({render(part, scope)})"
        case IsNull(column, negated):
            return f"{scope.column(column)} IS {'NOT NULL' if negated else 'NULL'}"
        case Compare():
            return _compare(expression, scope)
        case Like(column, pattern, negated):
            test = like(scope.folded(column), pattern, scope.parameters)
            return _negated(column, test, scope) if negated else test
        case In(column, cells, negated):
            return _in(column, cells, scope, negated=negated)
        case HasOption(column, options, negated):
            return _has_option(column, options, scope, negated=negated)
        case Related():
            return _related(expression, scope)
        case Call(name):
            raise StorageError(f"the function {name} cannot run in SQLite; the engine evaluates it")
        case _:
            raise StorageError(f"{type(expression).__name__} cannot run in SQLite; settle it first")


def _joined(parts: Sequence[Expression], word: str, empty: str, scope: Scope) -> str:
    if not parts:
        return empty
    if len(parts) > _CHAIN:
        groups = [parts[at : at + _CHAIN] for at in range(0, len(parts), _CHAIN)]
        whole = word.join(_joined(group, word, empty, scope) for group in groups)
    else:
        whole = word.join(render(part, scope) for part in parts)
    return f"({whole})"


def _compare(expression: Compare, scope: Scope) -> str:
    sides = (expression.left, expression.right)
    kind = next(side.kind for side in sides if isinstance(side, ColumnRef))
    left, right = (_operand(side, kind, scope) for side in sides)
    return f"{left} {_SQL[expression.operator]} {right}"


def _operand(side: Operand, kind: Kind, scope: Scope) -> str:
    if isinstance(side, ColumnRef):
        return scope.compared(side, kind)
    return scope.bind(kind, side.cell)


def _in(column: ColumnRef, cells: Sequence[Cell], scope: Scope, *, negated: bool) -> str:
    wanted = [comparand(column.kind, cell) for cell in cells if cell is not None]
    if not wanted:
        return _among_nothing(column, scope, negated=negated)
    if len(wanted) <= BOUND_ONE_BY_ONE:
        among = ", ".join(map(scope.parameters.bind, wanted))
    else:
        mark = scope.parameters.bind(json.dumps(wanted, ensure_ascii=False))
        among = f"SELECT j.value FROM json_each({mark}) AS j"  # noqa: S608  a mark
    test = f"{scope.compared(column)} IN ({among})"
    return _negated(column, test, scope) if negated else test


def _has_option(column: ColumnRef, options: Sequence[int], scope: Scope, *, negated: bool) -> str:
    if not options:
        return _among_nothing(column, scope, negated=negated)
    selected = f"',' || {scope.column(column)} || ','"
    marks = [scope.parameters.bind(f",{int(option)},") for option in options]
    test = f"({' OR '.join(f'instr({selected}, {mark}) > 0' for mark in marks)})"
    return _negated(column, test, scope) if negated else test


def _among_nothing(column: ColumnRef, scope: Scope, *, negated: bool) -> str:
    """Return what "one of none" means; SQLite thinks that NULL IN () is false."""
    return "1" if negated else f"({scope.column(column)} IS NULL AND NULL)"


def _negated(column: ColumnRef, test: str, scope: Scope) -> str:
    return f"({scope.column(column)} IS NULL OR NOT {test})"


def _related(link: Related, scope: Scope) -> str:
    """Return the condition that there is such a row; it is never NULL.

    Where no index finds the other rows, they are gathered once instead of searched for each row.
    """
    there = scope.fresh(link.table)
    inner = scope.inside(there)
    own, field = scope.compared(link.own), inner.compared(link.field)
    where = render(link.where, inner)
    if inner.finds(link.field):
        return f"EXISTS (SELECT 1 FROM {there.from_sql} WHERE {field} = {own} AND {where})"  # noqa: S608  identifiers are validated
    return (
        f"({scope.column(link.own)} IS NOT NULL AND {own} IN (SELECT {field} "  # noqa: S608  as above
        f"FROM {there.from_sql} WHERE {inner.column(link.field)} IS NOT NULL AND {where}))"
    )
