"""From text to the algebra: the tree of the grammar, bound to the columns of tables.

Invariant: a negation is pushed down while binding. Dataverse's query model has none, only negative
operators, and those match null; a ``Not`` is left only over what has no negative twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lark import Token, Tree

from holdfast.contracts import Tables
from holdfast.errors import FilterError
from holdfast.filters import (
    EVERYTHING,
    And,
    Compare,
    Comparison,
    Expression,
    InState,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
    negate,
)
from holdfast.schema import Column, ColumnType, Kind, TableSchema
from holdfast_odata._calls import Argument, bind_call
from holdfast_odata._columns import Property, Scope, find_place, find_property
from holdfast_odata._grammar import parse_tree
from holdfast_odata._limits import MAXIMUM_BYTES, MAXIMUM_LINKS
from holdfast_odata._links import find_collection, nearest
from holdfast_odata._literals import Written, cell_of, unquoted
from holdfast_odata._names import OWN_NAMESPACE, STATES
from holdfast_odata._refusals import Refusal, short

_AFFIXES: Final = {"contains": ("%", "%"), "startswith": ("", "%"), "endswith": ("%", "")}


def parse(source: str, schema: TableSchema, tables: Tables) -> Expression:
    """Return the expression of a filter over the columns of ``schema``.

    :raises FilterError: it is not understood
    """
    try:
        _check_text(source)
        return _Binder(tables).bind(parse_tree(source), Scope(schema, tables), wanted=True)
    except Refusal as refusal:
        shown = source if len(source) <= MAXIMUM_BYTES else f"{source[:80]}…"
        raise FilterError("odata", shown, refusal.message, position=refusal.position) from refusal


def _check_text(source: str) -> None:
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise Refusal("the text holds a lone surrogate", error.start) from error
    if size > MAXIMUM_BYTES:
        raise Refusal(f"it has {size} bytes; at most {MAXIMUM_BYTES} are read", None)
    if not source.strip():
        raise Refusal("it is empty; leave the filter out to select every row", None)


class _Binder:
    """Binds one filter; the grammar bounds the recursion."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lambdas = 0

    def bind(self, tree: Tree[Token], scope: Scope, *, wanted: bool) -> Expression:
        """Return what a part asks, or, where it is not ``wanted``, its negation."""
        match tree.data:
            case "disjunction" | "conjunction":
                parts = tuple(self.bind(_tree(p), scope, wanted=wanted) for p in tree.children)
                return Or(parts) if (tree.data == "disjunction") is wanted else And(parts)
            case "negated":
                *nots, part = tree.children
                return self.bind(_tree(part), scope, wanted=wanted is (len(nots) % 2 == 0))
            case "quantified":
                return self._quantified(tree, scope, wanted=wanted)
            case "call":
                function, *arguments = tree.children
                given = [_argument(_tree(argument)) for argument in arguments]
                return bind_call(scope, _written(function), given, wanted=wanted)
            case "state":
                return _state(scope, _written(tree.children[0]), wanted=wanted)
            case "search":
                return _search(scope, _tokens(tree), wanted=wanted)
            case _:
                assert tree.data == "comparison"
                return _comparison(scope, _tokens(tree), wanted=wanted)

    def _quantified(self, tree: Tree[Token], scope: Scope, *, wanted: bool) -> Expression:
        path, *rest = tree.children
        quantifier = _written(path)
        self._lambdas += 1
        if self._lambdas > MAXIMUM_LINKS:
            message = f"more than {MAXIMUM_LINKS} lambdas; Dataverse joins no more tables"
            raise Refusal(message, quantifier.position)
        names, position = scope.inside(quantifier.text, quantifier.position)
        *way, collection, word = names if len(names) > 1 else ["", *names]
        if not collection:
            raise Refusal(f"{word!r} looks into a collection of {scope.variable!r}", position)
        if way:
            find_place(scope, way, position)
            message = f"{collection!r} is a collection behind a lookup; Dataverse looks into none"
            raise Refusal(message, position + sum(len(name) + 1 for name in way))
        link = find_collection(scope.schema, self._tables, collection, position)
        if not rest:
            if word == "all":
                place = quantifier.position + len(quantifier.text)
                raise Refusal("'all' needs a condition, such as all(x:x/name eq 'a')", place)
            found = link.related(EVERYTHING)
            return found if wanted else Not(found)
        inner = Scope(link.end, self._tables, _written(rest[0]).text)
        where = self.bind(_tree(rest[1]), inner, wanted=word == "any")
        found = link.related(where)
        return found if wanted is (word == "any") else Not(found)


def _tree(part: Tree[Token] | Token) -> Tree[Token]:
    assert isinstance(part, Tree)
    return part


def _written(part: Tree[Token] | Token) -> Written:
    assert isinstance(part, Token)
    return Written(part.type, str(part), part.start_pos or 0)


def _tokens(tree: Tree[Token]) -> list[Written]:
    return [_written(part) for part in tree.children]


def _argument(tree: Tree[Token]) -> tuple[Written, Argument]:
    name, value = tree.children
    return _written(name), _tokens(value) if isinstance(value, Tree) else _written(value)


def _state(scope: Scope, word: Written, *, wanted: bool) -> Expression:
    names, position = scope.inside(word.text, word.position)
    *way, last = names
    name = last.removeprefix(OWN_NAMESPACE)
    mark = STATES.get(name)
    if mark is None:
        hint = nearest(name, list(STATES)) or f"there are {', '.join(STATES)}"
        at = word.position + len(word.text) - len(last)
        raise Refusal(f"{OWN_NAMESPACE.rstrip('.')} has no word {short(name)!r}; {hint}", at)
    test = InState(mark)
    return find_place(scope, way, position).ask(test if wanted else Not(test))


def _comparison(scope: Scope, tokens: Sequence[Written], *, wanted: bool) -> Expression:
    left, operator, right = tokens
    sides = [
        find_property(scope, side.text, side.position) if side.type == "NAME" else None
        for side in (left, right)
    ]
    comparison = Comparison(operator.text)
    match sides:
        case [Property() as one, Property() as other]:
            _check_comparable(one, other, comparison, right)
            place = one.place
            test: Expression = Compare(comparison, one.reference, other.reference)
        case [Property(place) as found, _]:
            test = _with_literal(comparison, found, operator, right, swapped=False)
        case [_, Property(place) as found]:
            test = _with_literal(comparison, found, operator, left, swapped=True)
        case _:
            raise Refusal("two values are compared; one side must be a column", left.position)
    return place.ask(test if wanted else negate(test))


def _with_literal(
    comparison: Comparison, found: Property, operator: Written, literal: Written, *, swapped: bool
) -> Expression:
    own = found.reference
    if literal.type == "NULL":
        if comparison not in (Comparison.EQ, Comparison.NE):
            raise Refusal(
                f"found {operator.text!r} with null, expected 'eq' or 'ne'", operator.position
            )
        return IsNull(own, negated=comparison is Comparison.NE)
    if found.pointer:
        message = f"a navigation property is compared with null only; write '_{own.name}_value'"
        raise Refusal(message, operator.position)
    fixed = Literal(cell_of(found.column, literal))
    _check_order(found.column, comparison, operator)
    sides: tuple[Operand, Operand] = (fixed, own) if swapped else (own, fixed)
    return Compare(comparison, *sides)


def _check_order(column: Column, comparison: Comparison, place: Written) -> None:
    if column.type is ColumnType.CHOICES and comparison not in (Comparison.EQ, Comparison.NE):
        raise Refusal("the options of a multi-select have no order", place.position)


def _check_comparable(
    left: Property, right: Property, comparison: Comparison, place: Written
) -> None:
    """Refuse columns of different kinds; of those compared as keys, dates and ids are not alike."""
    one, other = left.column, right.column
    if left.pointer or right.pointer:
        raise Refusal("a navigation property is compared with null only", place.position)
    if left.place.links != right.place.links:
        message = "two columns are compared only where they are of the same row"
        raise Refusal(message, place.position)
    if one.kind is not other.kind or (one.kind is Kind.KEY and _sort(one) != _sort(other)):
        raise Refusal(
            f"columns {one.name!r} ({one.type.value}) and {other.name!r} ({other.type.value}) "
            "are compared; they must be of the same kind",
            place.position,
        )
    if one.type in (ColumnType.FILE, ColumnType.IMAGE):
        raise Refusal("what a file holds is not compared", place.position)
    _check_order(one, comparison, place)


def _sort(column: Column) -> ColumnType:
    """Return what a key is of; a lookup holds an id."""
    return ColumnType.UNIQUEIDENTIFIER if column.type is ColumnType.LOOKUP else column.type


def _search(scope: Scope, tokens: Sequence[Written], *, wanted: bool) -> Expression:
    function, first, second = tokens
    if first.type != "NAME":
        raise Refusal(f"{function.text} looks into a column; put it first", first.position)
    found = find_property(scope, first.text, first.position)
    column = found.column
    if column.kind is not Kind.TEXT or found.pointer:
        message = f"{function.text} looks into text; {column.name!r} is {column.type.value}"
        raise Refusal(message, first.position)
    if second.type != "TEXT":
        message = f"found {second.text[:60]}, expected a text in single quotes"
        raise Refusal(message, second.position)
    before, after = _AFFIXES[function.text]
    pattern = before + unquoted(second) + after
    return found.place.ask(Like(found.reference, pattern, negated=not wanted))
