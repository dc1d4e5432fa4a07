"""Evaluation in memory: an expression as a function over a row's cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

from holdfast.filters._compiled import Leaf, Source
from holdfast.filters._nodes import (
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
)
from holdfast.filters._patterns import like_pieces, like_regex
from holdfast.filters._periods import IN_FISCAL_PERIOD, in_fiscal_period
from holdfast.folding import fold
from holdfast.schema import Kind
from holdfast.values import Cell

Record: TypeAlias = Sequence[Cell]
Predicate: TypeAlias = Callable[[Record], bool | None]
Function: TypeAlias = Callable[..., bool | None]


class RelatedRows(Protocol):
    """The rows of other tables, for those who evaluate links in memory."""

    def positions(self, table: str) -> Mapping[str, int]:
        """Return where each field stands in that table's rows."""
        ...

    def rows(self, table: str, field: str, cell: Cell) -> Iterable[Record]:
        """Return the rows of that table whose field compares equal to the cell."""
        ...


def comparable(kind: Kind, cell: Cell) -> Cell:
    """Return the form of a cell that Python compares rightly with others of its kind."""
    if cell is None:
        return None
    if kind is Kind.TEXT:
        return fold(str(cell))
    if kind is Kind.DATETIME:
        return str(cell).rstrip("Z")
    return cell


_OPERATORS: Final[Mapping[Comparison, str]] = {
    Comparison.EQ: "==",
    Comparison.NE: "!=",
    Comparison.GT: ">",
    Comparison.GE: ">=",
    Comparison.LT: "<",
    Comparison.LE: "<=",
}
_TEXTS: Final = frozenset({Kind.TEXT, Kind.KEY, Kind.DATETIME})


def predicate(
    expression: Expression,
    positions: Mapping[str, int],
    functions: Mapping[str, Function] | None = None,
    related: RelatedRows | None = None,
) -> Predicate:
    """Compile a settled expression to a function over a row's cells.

    :param positions: where each field stands in the row
    :param functions: what the language supplies for its ``Call`` nodes
    :param related: the rows of other tables, wanted where the expression asks about them
    :raises KeyError: the expression reads a field, or calls a function, that is not there
    :raises ValueError: the expression is not settled, or asks about rows that nobody gave
    """
    return _Compiler(functions or {}, related).predicate(expression, positions)


class _Compiler:
    def __init__(self, functions: Mapping[str, Function], related: RelatedRows | None) -> None:
        self._functions = {IN_FISCAL_PERIOD: in_fiscal_period, **functions}
        self._related = related
        self._source = Source()
        self._fold = self._source.name(fold)

    def predicate(self, expression: Expression, positions: Mapping[str, int]) -> Predicate:
        return self._source.compiled(self._function(expression, positions))

    def _function(self, expression: Expression, positions: Mapping[str, int]) -> str:
        """Write the function of an expression, and return its name."""
        if isinstance(expression, And | Or) and len(expression.parts) != 1:
            leaves = [self._leaf(part, positions) for part in expression.parts]
            return self._source.joining(leaves, decisive=isinstance(expression, Or))
        return self._source.returning(self._leaf(expression, positions))

    def _leaf(self, expression: Expression, positions: Mapping[str, int]) -> Leaf:
        match expression:
            case And((part,)) | Or((part,)):
                return self._leaf(part, positions)
            case And() | Or():
                return _answered(f"{self._function(expression, positions)}(row)")
            case Not(part):
                return self._leaf(part, positions).inverted()
            case IsNull(column, negated):
                return Leaf(f"row[{positions[column.name]}] is None", negated=negated)
            case Compare():
                return self._compare(expression, positions)
            case Like() | In() | HasOption():
                return self._among(expression, positions)
            case Related():
                return Leaf(f"{self._source.name(self._link(expression, positions))}(row)")
            case Call(name, operands):
                return self._call(self._functions[name], operands, positions)
            case During() | IsCaller() | InHierarchy() | InState():
                raise ValueError(f"{type(expression).__name__} must be settled before evaluation")

    def _among(self, test: Like | In | HasOption, positions: Mapping[str, int]) -> Leaf:
        column = test.column
        cell = f"c{positions[column.name]}"
        match test:
            case Like(_, pattern):
                holds = self._like(self._folded(cell, column.kind), pattern)
            case In(_, cells):
                wanted = (comparable(column.kind, known) for known in cells if known is not None)
                form = self._comparable(cell, column.kind)
                holds = f"{form} in {self._source.name(frozenset(wanted))}"
            case HasOption(_, options):
                selected = self._source.name(frozenset(map(str, options)))
                holds = f'not {selected}.isdisjoint(str({cell}).split(","))'
        at_null = True if test.negated else None
        read = (_read(column, positions),)
        return Leaf(holds, read, f"{cell} is None", at_null, negated=test.negated)

    def _compare(self, expression: Compare, positions: Mapping[str, int]) -> Leaf:
        sides = (expression.left, expression.right)
        if any(isinstance(side, Literal) and side.local for side in sides):
            raise ValueError("a local time must be settled before evaluation")
        kind = next(side.kind for side in sides if isinstance(side, ColumnRef))
        differ = expression.operator is Comparison.NE
        read = tuple(_read(side, positions) for side in sides if isinstance(side, ColumnRef))
        nulls = [
            f"c{positions[side.name]} is None" for side in sides if isinstance(side, ColumnRef)
        ]
        if any(isinstance(side, Literal) and side.cell is None for side in sides):
            return Leaf(nulls[0], read, negated=True) if differ else Leaf("None", null="True")
        forms = [self._side(side, kind, positions) for side in sides]
        test = f"{forms[0]} {_OPERATORS[expression.operator]} {forms[1]}"
        null = " or ".join(nulls)
        if not differ:
            return Leaf(test, read, null)
        if len(nulls) == 1:
            return Leaf(test, read, null, at_null=True)
        return Leaf(f"(({nulls[0]}) is not ({nulls[1]}) if {null} else {test})", read)

    def _call(
        self, function: Function, operands: Sequence[Operand], positions: Mapping[str, int]
    ) -> Leaf:
        read = tuple(_read(side, positions) for side in operands if isinstance(side, ColumnRef))
        cells = []
        for side in operands:
            kind = side.kind if isinstance(side, ColumnRef) else Kind.KEY
            form = self._side(side, kind, positions)
            if isinstance(side, ColumnRef):
                form = f"None if c{positions[side.name]} is None else {form}"
            cells.append(form)
        called = f"{self._source.name(function)}({', '.join(cells)})"
        return _answered(called, read)

    def _side(self, side: Operand, kind: Kind, positions: Mapping[str, int]) -> str:
        if isinstance(side, ColumnRef):
            return self._comparable(f"c{positions[side.name]}", kind)
        return self._source.name(comparable(kind, side.cell))

    def _comparable(self, cell: str, kind: Kind) -> str:
        """Return what :func:`comparable` returns for a cell that is not null."""
        if kind is Kind.TEXT:
            return self._folded(cell, kind)
        return f'{cell}.rstrip("Z")' if kind is Kind.DATETIME else cell

    def _folded(self, cell: str, kind: Kind) -> str:
        text = cell if kind in _TEXTS else f"str({cell})"
        return f"{self._fold}({text})"

    def _like(self, text: str, pattern: str) -> str:
        match like_pieces(pattern):
            case [piece]:
                return f"{text} == {self._source.name(piece)}"
            case [start, ""]:
                return f"{text}.startswith({self._source.name(start)})"
            case ["", end]:
                return f"{text}.endswith({self._source.name(end)})"
            case ["", piece, ""]:
                return f"{self._source.name(piece)} in {text}"
            case _:
                return f"{self._source.name(like_regex(pattern).match)}({text}) is not None"

    def _link(self, link: Related, positions: Mapping[str, int]) -> Callable[[Record], bool]:
        related = self._related
        if related is None:
            raise ValueError(f"nobody gave the rows of {link.table} that a filter asks about")
        at = positions[link.own.name]
        test = predicate(link.where, related.positions(link.table), self._functions, related)

        def linked(row: Record) -> bool:
            cell = row[at]
            if cell is None:
                return False
            rows = related.rows(link.table, link.field.name, cell)
            return any(test(other) is True for other in rows)

        return linked


def _read(column: ColumnRef, positions: Mapping[str, int]) -> str:
    at = int(positions[column.name])
    return f"c{at} = row[{at}]"


def _answered(called: str, read: tuple[str, ...] = ()) -> Leaf:
    """Return the test that another function answers, which may not know."""
    return Leaf("answered", (*read, f"answered = {called}"), "answered is None")
