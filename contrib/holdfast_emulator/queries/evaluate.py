"""Which rows a filter matches: the emulator's own reading of the expression tree.

Invariant: nothing here uses the evaluation of :mod:`holdfast.filters`, so that a rule that is wrong
there does not agree with itself. The rules are those of Dataverse: text without regard to case, a
comparison with null unknown, and every negative operator true for null.

Three-valued logic is written as numbers, false 0, unknown 1, true 2: *and* is the least, *or* the
greatest, *not* the distance from 2. Only 2 matches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeAlias, assert_never

from holdfast.filters import (
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    Function,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
)
from holdfast.folding import fold
from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault, unknown_property
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.row import Cells

_FALSE: Final = 0
_UNKNOWN: Final = 1
_TRUE: Final = 2

Truth: TypeAlias = Callable[[Cells], int]
Read: TypeAlias = Callable[[Cells], Cell]
NameOf: TypeAlias = Callable[[Reference], str | None]

_TEXTS: Final = frozenset({ColumnType.STRING, ColumnType.MEMO, ColumnType.ENTITY_NAME})
_EXACT: Final = frozenset({ColumnType.DECIMAL, ColumnType.MONEY})


class Evaluator:
    """Turns filters over one table into functions of a row's cells."""

    def __init__(
        self,
        table: TableDefinition,
        name_of: NameOf,
        functions: Mapping[str, Function],
    ) -> None:
        self._table = table
        self._name_of = name_of
        self._functions = functions

    def matcher(self, expression: Expression) -> Callable[[Cells], bool]:
        """Return the function that tells whether a row matches.

        :raises DataverseFault: the filter names what the table does not have
        """
        truth = self._truth(expression)
        return lambda row: truth(row) == _TRUE

    def reader(self, name: str) -> tuple[Read, ColumnType]:
        """Return how to read a field, as stored, and as which type it compares.

        :raises DataverseFault: there is no such field
        """
        table = self._table
        column = table.by_name.get(name) or table.by_wire_name.get(name)
        if column:
            at = table.positions[column.name]
            return (lambda row: row[at]), column.type
        at_hidden = table.positions.get(name)
        if at_hidden is not None:
            return (lambda row: row[at_hidden]), ColumnType.LOOKUP
        for lookup in table.lookups:
            if lookup.column.name_field == name:
                return self.name_reader(lookup), ColumnType.STRING
        raise unknown_property(table.name, name)

    def name_reader(self, lookup: ColumnDefinition) -> Read:
        """Return how to read the name of the row that a lookup points to."""
        at = self._table.positions[lookup.name]
        beside = self._table.positions.get(lookup.table_field or "")

        def name(row: Cells) -> Cell:
            row_id = row[at]
            if row_id is None:
                return None
            table = lookup.targets[0] if beside is None else str(row[beside])
            return self._name_of(Reference(table, str(row_id)))

        return name

    def _truth(self, expression: Expression) -> Truth:
        match expression:
            case And(parts):
                every = [self._truth(part) for part in parts]
                return lambda row: min((truth(row) for truth in every), default=_TRUE)
            case Or(parts):
                each = [self._truth(part) for part in parts]
                return lambda row: max((truth(row) for truth in each), default=_FALSE)
            case Not(part):
                truth = self._truth(part)
                return lambda row: _TRUE - truth(row)
            case IsNull(column, negated):
                read, _ = self.reader(column.name)
                return lambda row: _truth_of((read(row) is None) != negated)
            case Compare():
                return self._comparison(expression)
            case Like():
                return self._like(expression)
            case In():
                return self._in(expression)
            case Call():
                return self._call(expression)
            case _:
                assert_never(expression)

    def _comparison(self, node: Compare) -> Truth:
        left_read, left_type = self._operand(node.left)
        right_read, right_type = self._operand(node.right)
        kind = left_type or right_type
        if kind is None:
            raise DataverseFault(400, BAD_QUERY, "A comparison needs a column on one side.")
        orders = _ORDERS[node.operator]
        negative = node.operator is Comparison.NE

        def compare(row: Cells) -> int:
            one, other = left_read(row), right_read(row)
            if one is None or other is None:
                if not negative:
                    return _UNKNOWN
                return _truth_of(one is not None or other is not None)
            return _truth_of(_order(kind, one, other) in orders)

        return compare

    def _operand(self, operand: Operand) -> tuple[Read, ColumnType | None]:
        if isinstance(operand, ColumnRef):
            return self.reader(operand.name)
        fixed = operand.cell
        return (lambda _: fixed), None

    def _like(self, node: Like) -> Truth:
        read, _ = self.reader(node.column.name)
        pattern = _tokens(fold(node.pattern))

        def like(row: Cells) -> int:
            cell = read(row)
            if cell is None:
                return _TRUE if node.negated else _UNKNOWN
            return _truth_of(_wild(fold(str(cell)), pattern) != node.negated)

        return like

    def _in(self, node: In) -> Truth:
        read, kind = self.reader(node.column.name)
        wanted = {form(kind, cell) for cell in node.cells if cell is not None}

        def among(row: Cells) -> int:
            cell = read(row)
            if cell is None:
                return _TRUE if node.negated else _UNKNOWN
            return _truth_of((form(kind, cell) in wanted) != node.negated)

        return among

    def _call(self, node: Call) -> Truth:
        function = self._functions.get(node.name)
        if function is None:
            raise DataverseFault(400, BAD_QUERY, f"The function '{node.name}' is not supported.")
        reads = [self._call_operand(operand) for operand in node.operands]

        def call(row: Cells) -> int:
            answer = function(*(read(row) for read in reads))
            return _UNKNOWN if answer is None else _truth_of(answer)

        return call

    def _call_operand(self, operand: Operand) -> Read:
        if isinstance(operand, Literal):
            fixed = operand.cell
            return lambda _: fixed
        read, kind = self.reader(operand.name)
        return lambda row: form(kind, read(row))


def form(kind: ColumnType, cell: Cell) -> Cell:
    """Return the form in which two cells of a column are equal, or in order, as Python values."""
    if cell is None:
        return None
    if kind in _TEXTS:
        return fold(str(cell))
    if kind is ColumnType.DATETIME:
        return str(cell).removesuffix("Z")
    if kind in _EXACT:
        return cell if isinstance(cell, Decimal) else Decimal(str(cell))
    if kind in (ColumnType.LOOKUP, ColumnType.UNIQUEIDENTIFIER):
        return str(cell).lower()
    return cell


def _truth_of(answer: bool) -> int:  # noqa: FBT001  the one thing it converts
    return _TRUE if answer else _FALSE


#: Which outcomes of ordering left against right make an operator true.
_ORDERS: Final[Mapping[Comparison, frozenset[int]]] = {
    Comparison.EQ: frozenset({0}),
    Comparison.NE: frozenset({-1, 1}),
    Comparison.GT: frozenset({1}),
    Comparison.GE: frozenset({0, 1}),
    Comparison.LT: frozenset({-1}),
    Comparison.LE: frozenset({-1, 0}),
}


def _order(kind: ColumnType, one: Cell, other: Cell) -> int:
    left, right = form(kind, one), form(kind, other)
    if left == right:
        return 0
    try:
        return -1 if left < right else 1  # type: ignore[operator]  # cells of one column
    except TypeError:
        raise DataverseFault(
            400, BAD_QUERY, "A binary operator with incompatible types was detected."
        ) from None


#: A pattern as tokens: "%" for any run, else the test that one character must pass.
_Token: TypeAlias = Callable[[str], bool] | None


def _tokens(pattern: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(pattern):
        end = pattern.find("]", at + 2) if pattern[at] == "[" else -1
        if end > 0 and pattern[at + 1 : end] not in ("", "^"):
            tokens.append(_set(pattern[at + 1 : end]))
            at = end + 1
            continue
        tokens.append(_character(pattern[at]))
        at += 1
    return tokens


def _character(letter: str) -> _Token:
    if letter == "%":
        return None
    if letter == "_":
        return lambda _: True
    return lambda given: given == letter


def _set(body: str) -> Callable[[str], bool]:
    excluded = body.startswith("^")
    members = body.removeprefix("^")
    singles: set[str] = set()
    spans: list[tuple[str, str]] = []
    at = 0
    while at < len(members):
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            spans.append((members[at], members[at + 2]))
            at += 3
        else:
            singles.add(members[at])
            at += 1

    def member(given: str) -> bool:
        inside = given in singles or any(low <= given <= high for low, high in spans)
        return inside != excluded

    return member


def _wild(text: str, pattern: Sequence[_Token]) -> bool:
    """Match from the left; on a mismatch let the last ``%`` swallow one character more."""
    at = here = 0
    star, resume = -1, 0
    while at < len(text):
        if here < len(pattern) and pattern[here] is None:
            star, resume = here, at
            here += 1
            continue
        token = pattern[here] if here < len(pattern) else None
        if token is not None and token(text[at]):
            at, here = at + 1, here + 1
        elif star >= 0:
            resume += 1
            at, here = resume, star + 1
        else:
            return False
    return all(token is None for token in pattern[here:])
