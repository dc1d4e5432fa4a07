"""The filter algebra: one expression tree, parsed to by languages and rendered by others.

Invariant: an expression has one meaning, given here by :func:`predicate`, in three-valued logic
(true, false, unknown); whoever renders it elsewhere must agree on every row.

A comparison with null is unknown. The negative operators (``NE`` and whatever is ``negated``) are
those of Dataverse and **match null**: ``ne`` on a column and a literal is true for null, and
between two columns when exactly one is null. ``Not`` is plain logic: the negation of unknown is
unknown; a language without it pushes it down into negative operators with :func:`negate`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, TypeAlias

from holdfast.folding import fold
from holdfast.schema import Kind
from holdfast.values import Cell


class Comparison(Enum):
    """A comparison of two operands, spelled as OData spells it."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A field of the row, with the way its cells compare."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Literal:
    """A cell of the kind that it is compared with."""

    cell: Cell


Operand: TypeAlias = ColumnRef | Literal


@dataclass(frozen=True, slots=True)
class Compare:
    """``left operator right``; at least one side is a column."""

    operator: Comparison
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class IsNull:
    """The column holds null; never unknown."""

    column: ColumnRef
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Like:
    """The text matches a pattern, without regard to case.

    ``%`` is any text, ``_`` any character, ``[abc]``, ``[a-z]`` and ``[^a]`` one of a set. Text and
    pattern are folded first, so ``_`` is one character of the folded text, and ``ß`` is two.
    """

    column: ColumnRef
    pattern: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class In:
    """The column holds one of the cells."""

    column: ColumnRef
    cells: tuple[Cell, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class And:
    """All parts; of no parts, true."""

    parts: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """Any part; of no parts, false."""

    parts: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """Plain negation: unknown stays unknown."""

    part: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """A function that the filter language supplies by name; only the engine evaluates it."""

    name: str
    operands: tuple[Operand, ...]


Expression: TypeAlias = Compare | IsNull | Like | In | And | Or | Not | Call
Record: TypeAlias = Sequence[Cell]
Predicate: TypeAlias = Callable[[Record], bool | None]
Function: TypeAlias = Callable[..., bool | None]

EVERYTHING: Final = And()

_OPPOSITE: Final = {
    Comparison.EQ: Comparison.NE,
    Comparison.NE: Comparison.EQ,
    Comparison.GT: Comparison.LE,
    Comparison.LE: Comparison.GT,
    Comparison.LT: Comparison.GE,
    Comparison.GE: Comparison.LT,
}


def negate(expression: Expression) -> Expression:
    """Push a negation down to the leaves, where each operator has its negative one.

    This is what Dataverse does: its query model has no ``not``, so ``not (a gt 5)`` is ``a le 5``
    and leaves null out, while ``not (a eq 5)`` is ``a ne 5`` and matches null. Done twice, it gives
    the same meaning back, wherever ``Not`` stands only before a ``Call``.
    """
    match expression:
        case And(parts):
            return Or(tuple(negate(part) for part in parts))
        case Or(parts):
            return And(tuple(negate(part) for part in parts))
        case Not(part):
            return part
        case Compare(comparison):
            return replace(expression, operator=_OPPOSITE[comparison])
        case IsNull() | Like() | In():
            return replace(expression, negated=not expression.negated)
        case Call():
            return Not(expression)


def conjuncts(expression: Expression) -> tuple[Expression, ...]:
    """Return the parts that must all hold."""
    if isinstance(expression, And):
        return tuple(leaf for part in expression.parts for leaf in conjuncts(part))
    return (expression,)


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield the expression and everything inside it."""
    yield expression
    match expression:
        case And(parts) | Or(parts):
            for part in parts:
                yield from walk(part)
        case Not(part):
            yield from walk(part)
        case _:
            pass


def columns(expression: Expression) -> frozenset[str]:
    """Return the names of the fields that the expression reads."""
    found: set[str] = set()
    for node in walk(expression):
        match node:
            case Compare(_, left, right):
                found.update(o.name for o in (left, right) if isinstance(o, ColumnRef))
            case IsNull(column) | Like(column) | In(column):
                found.add(column.name)
            case Call(_, operands):
                found.update(o.name for o in operands if isinstance(o, ColumnRef))
            case _:
                pass
    return frozenset(found)


def comparable(kind: Kind, cell: Cell) -> Cell:
    """Return the form of a cell that Python compares rightly with others of its kind."""
    if cell is None:
        return None
    if kind is Kind.TEXT:
        return fold(str(cell))
    if kind is Kind.DATETIME:
        return str(cell).rstrip("Z")
    return cell


def like_regex(pattern: str) -> re.Pattern[str]:
    """Compile a pattern to a regular expression for *folded* text, matching in linear time.

    Every piece between two ``%`` has a fixed length, so its leftmost match is always good enough:
    atomic groups keep the expression from trying others.
    """
    pieces = [_piece(piece) for piece in _split(fold(pattern))]
    first, *rest = pieces
    if not rest:
        return re.compile(rf"(?s:{first})\Z")
    *middle, last = rest
    groups = "".join(f"(?>.*?{piece})" for piece in middle if piece)
    tail = f".*{last}" if last else ".*"
    return re.compile(rf"(?s:{first}{groups}{tail})\Z")


_TOKEN: Final = re.compile(r"\[\^?\]?[^\]]*\]|.", re.DOTALL)


def _tokens(pattern: str) -> list[str]:
    """Return sets and characters; a ``[`` that is not closed is a character.

    Behind the last ``]`` no set can end: looking for one at every ``[`` would take quadratic time.
    """
    closed = pattern.rfind("]") + 1
    return [*_TOKEN.findall(pattern[:closed]), *pattern[closed:]]


def _split(pattern: str) -> list[list[str]]:
    pieces: list[list[str]] = [[]]
    for token in _tokens(pattern):
        if token == "%":  # noqa: S105  a wildcard, not a secret
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def _piece(tokens: Sequence[str]) -> str:
    return "".join(_token(token) for token in tokens)


def _token(token: str) -> str:
    if token == "_":  # noqa: S105  a wildcard, not a secret
        return "."
    if len(token) < 3:
        return re.escape(token)
    negated = token[1] == "^"
    body = token[2 if negated else 1 : -1]
    ranges = "".join(
        f"{re.escape(low)}-{re.escape(high)}"
        if high and low <= high
        else re.escape(low + mid + high)
        for low, mid, high in re.findall(r"(.)(?:(-)(.))?", body, re.DOTALL)
    )
    return f"[{'^' if negated else ''}{ranges}]" if ranges else re.escape(token)


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
) -> Predicate:
    """Compile an expression to a function over a row's cells.

    :param positions: where each field stands in the row
    :param functions: what the language supplies for its ``Call`` nodes
    :raises KeyError: the expression reads a field, or calls a function, that is not there
    """
    match expression:
        case And(parts):
            return _joined([predicate(p, positions, functions) for p in parts], decisive=False)
        case Or(parts):
            return _joined([predicate(p, positions, functions) for p in parts], decisive=True)
        case Not(part):
            return _invert(predicate(part, positions, functions))
        case IsNull(column, negated):
            at = positions[column.name]
            return lambda row: (row[at] is None) is not negated
        case Compare():
            return _compare(expression, positions)
        case Like(column, pattern, negated):
            return _like(positions[column.name], like_regex(pattern), negated=negated)
        case In(column, cells, negated):
            return _in(positions[column.name], column.kind, cells, negated=negated)
        case Call(name, operands):
            return _call((functions or {})[name], operands, positions)


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


def _call(
    function: Function, operands: Sequence[Operand], positions: Mapping[str, int]
) -> Predicate:
    readers: list[Callable[[Record], Cell]] = []
    for operand in operands:
        kind = operand.kind if isinstance(operand, ColumnRef) else Kind.KEY
        readers.append(_reader(operand, kind, positions))
    return lambda row: function(*(read(row) for read in readers))
