"""Evaluation in memory: an expression as a function over a row's cells."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias

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
from holdfast.filters._patterns import like_regex
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


_OPERATORS: Final[Mapping[Comparison, Callable[..., bool]]] = {
    Comparison.EQ: operator.eq,
    Comparison.NE: operator.ne,
    Comparison.GT: operator.gt,
    Comparison.GE: operator.ge,
    Comparison.LT: operator.lt,
    Comparison.LE: operator.le,
}


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
    return _Compiler(functions or {}, related).compile(expression, positions)


class _Compiler:
    def __init__(self, functions: Mapping[str, Function], related: RelatedRows | None) -> None:
        self._functions = {IN_FISCAL_PERIOD: in_fiscal_period, **functions}
        self._related = related

    def compile(self, expression: Expression, positions: Mapping[str, int]) -> Predicate:
        match expression:
            case And(parts):
                return _joined([self.compile(p, positions) for p in parts], decisive=False)
            case Or(parts):
                return _joined([self.compile(p, positions) for p in parts], decisive=True)
            case Not(part):
                return _invert(self.compile(part, positions))
            case IsNull(column, negated):
                at = positions[column.name]
                return lambda row: (row[at] is None) is not negated
            case Compare():
                return _compare(expression, positions)
            case Like(column, pattern, negated):
                return _like(positions[column.name], like_regex(pattern), negated=negated)
            case In(column, cells, negated):
                return _in(positions[column.name], column.kind, cells, negated=negated)
            case HasOption(column, options, negated):
                return _has_option(positions[column.name], options, negated=negated)
            case Related():
                return self._link(expression, positions)
            case Call(name, operands):
                return _call(self._functions[name], operands, positions)
            case During() | IsCaller() | InHierarchy() | InState():
                raise ValueError(f"{type(expression).__name__} must be settled before evaluation")

    def _link(self, link: Related, positions: Mapping[str, int]) -> Predicate:
        related = self._related
        if related is None:
            raise ValueError(f"nobody gave the rows of {link.table} that a filter asks about")
        at = positions[link.own.name]
        test = self.compile(link.where, related.positions(link.table))

        def linked(row: Record) -> bool | None:
            cell = row[at]
            if cell is None:
                return False
            rows = related.rows(link.table, link.field.name, cell)
            return any(test(other) is True for other in rows)

        return linked


def _joined(parts: Sequence[Predicate], *, decisive: bool) -> Predicate:
    """Join by "and", where one false part decides, or by "or", where one true part does."""

    def joined(row: Record) -> bool | None:
        answer: bool | None = not decisive
        for part in parts:
            one = part(row)
            if one is decisive:
                return decisive
            if one is None:
                answer = None
        return answer

    return parts[0] if len(parts) == 1 else joined


def _invert(part: Predicate) -> Predicate:
    def inverse(row: Record) -> bool | None:
        one = part(row)
        return None if one is None else not one

    return inverse


def _compare(expression: Compare, positions: Mapping[str, int]) -> Predicate:
    kind = next(
        side.kind for side in (expression.left, expression.right) if isinstance(side, ColumnRef)
    )
    left = _reader(expression.left, kind, positions)
    right = _reader(expression.right, kind, positions)
    test = _OPERATORS[expression.operator]
    negative = expression.operator is Comparison.NE

    def compare(row: Record) -> bool | None:
        one, other = left(row), right(row)
        if one is None or other is None:
            return (one is None) is not (other is None) if negative else None
        return test(one, other)

    return compare


def _reader(side: Operand, kind: Kind, positions: Mapping[str, int]) -> Callable[[Record], Cell]:
    if isinstance(side, Literal):
        if side.local:
            raise ValueError("a local time must be settled before evaluation")
        fixed = comparable(kind, side.cell)
        return lambda _: fixed
    at = positions[side.name]
    if kind in (Kind.TEXT, Kind.DATETIME):
        return lambda row: comparable(kind, row[at])
    return lambda row: row[at]


def _like(at: int, pattern: re.Pattern[str], *, negated: bool) -> Predicate:
    def like(row: Record) -> bool | None:
        cell = row[at]
        if cell is None:
            return True if negated else None
        return (pattern.match(fold(str(cell))) is not None) is not negated

    return like


def _in(at: int, kind: Kind, cells: Sequence[Cell], *, negated: bool) -> Predicate:
    wanted = frozenset(comparable(kind, cell) for cell in cells if cell is not None)

    def among(row: Record) -> bool | None:
        cell = comparable(kind, row[at])
        if cell is None:
            return True if negated else None
        return (cell in wanted) is not negated

    return among


def _has_option(at: int, options: Sequence[int], *, negated: bool) -> Predicate:
    wanted = frozenset(str(option) for option in options)

    def has(row: Record) -> bool | None:
        cell = row[at]
        if cell is None:
            return True if negated else None
        return wanted.isdisjoint(str(cell).split(",")) is negated

    return has


def _call(
    function: Function, operands: Sequence[Operand], positions: Mapping[str, int]
) -> Predicate:
    readers: list[Callable[[Record], Cell]] = []
    for operand in operands:
        kind = operand.kind if isinstance(operand, ColumnRef) else Kind.KEY
        readers.append(_reader(operand, kind, positions))
    return lambda row: function(*(read(row) for read in readers))
