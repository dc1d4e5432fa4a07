"""Query functions: from a call with named arguments to a test of a column.

Invariant: a function is asked of the columns that Dataverse takes, with the arguments it takes; a
``not`` before it gives its negative twin where Dataverse has one, and else leaves null out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final, TypeAlias

from holdfast.filters import (
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
    Literal,
    Not,
    Or,
    Period,
    Who,
)
from holdfast.schema import Column, ColumnType, DateBehavior
from holdfast.values import canonical_id, choices_cell
from holdfast_odata._columns import Property, Scope, find_property_by_own_name
from holdfast_odata._links import find_hierarchy, nearest
from holdfast_odata._literals import Written, listed_cell_of, plain_text
from holdfast_odata._names import FUNCTIONS, NAMESPACE, REVERSIBLE, Function, Listed
from holdfast_odata._refusals import Refusal, short

#: A value, or a list of them.
Argument: TypeAlias = Written | Sequence[Written]

_IDS: Final = frozenset({ColumnType.LOOKUP, ColumnType.UNIQUEIDENTIFIER})
_NUMBERS: Final = frozenset(
    {
        ColumnType.INTEGER,
        ColumnType.BIGINT,
        ColumnType.DECIMAL,
        ColumnType.DOUBLE,
        ColumnType.MONEY,
    }
)
_FILES: Final = frozenset({ColumnType.FILE, ColumnType.IMAGE})
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
_MOST_UNITS: Final = 2**31


def bind_call(
    scope: Scope,
    function: Written,
    arguments: Sequence[tuple[Written, Argument]],
    *,
    wanted: bool,
) -> Expression:
    """Return what a call asks, or its negation.

    :raises Refusal: there is no such function, or it does not take these arguments
    """
    path, position = scope.inside(function.text, function.position)
    name = path[-1].removeprefix(NAMESPACE)
    known = FUNCTIONS.get(name)
    at = function.position + len(function.text) - len(path[-1])
    if known is None:
        raise Refusal(f"Dataverse has no function {short(path[-1])!r}{_nearest(name)}", at)
    given = _checked(known, path[-1], arguments, at)
    column = given.pop("PropertyName")
    assert isinstance(column, Written)
    if column.type != "TEXT":
        message = f"found {short(column.text)}, expected a column's name in single quotes"
        raise Refusal(message, column.position)
    way = path[:-1]
    found = find_property_by_own_name(scope, way, column, position=position if way else None)
    problem = misfit(known, found.column)
    if problem is not None:
        raise Refusal(f"{name} {problem}", column.position)
    return found.place.ask(_meaning(scope, known, found, list(given.values()), wanted=wanted))


def _nearest(name: str) -> str:
    hint = nearest(name, list(FUNCTIONS))
    return f"; {hint}" if hint else ""


def _checked(
    function: Function, name: str, arguments: Sequence[tuple[Written, Argument]], position: int
) -> dict[str, Argument]:
    """Return the arguments by name, in the order of the parameters."""
    given: dict[str, Argument] = {}
    wanted = ("PropertyName", *function.parameters)
    for parameter, argument in arguments:
        if parameter.text not in wanted or parameter.text in given:
            twice = " a second time" if parameter.text in given else ""
            message = f"found {parameter.text}{twice}; {name} takes {' and '.join(wanted)}"
            raise Refusal(message, parameter.position)
        if isinstance(argument, Written) is (parameter.text == "PropertyValues"):
            what = 'a list such as ["1"]' if isinstance(argument, Written) else "one value"
            raise Refusal(f"{parameter.text} takes {what}", parameter.position)
        given[parameter.text] = argument
    missing = [parameter for parameter in wanted if parameter not in given]
    if missing:
        raise Refusal(f"{name} needs {' and '.join(missing)}", position)
    return {parameter: given[parameter] for parameter in wanted}


def misfit(function: Function, column: Column) -> str | None:
    """Return why a function cannot be asked of a column; None if it can."""
    kind, fits = column.type, True
    match function.meaning:
        case Listed.AMONG if kind is ColumnType.MEMO:
            return f"is not for a column of long text such as {column.name!r}; compare with 'eq'"
        case Listed.AMONG:
            fits = kind not in _FILES
        case Listed.BETWEEN:
            fits = kind not in _FILES and kind is not ColumnType.CHOICES
        case Listed.SELECTED:
            fits = kind is ColumnType.CHOICES
        case Period(below_a_day=True) if column.behavior is DateBehavior.DATE_ONLY:
            return f"counts in parts of a day, and {column.name!r} keeps days"
        case Period():
            fits = kind is ColumnType.DATETIME
        case Who.LANGUAGE:
            fits = kind in _NUMBERS
        case Who() | Branch():
            fits = kind in _IDS
    return None if fits else f"is not for {column.name!r}, which is {kind.value}"


def _meaning(
    scope: Scope,
    function: Function,
    found: Property,
    arguments: Sequence[Argument],
    *,
    wanted: bool,
) -> Expression:
    column, own = found.column, found.reference
    negated = function.negated is wanted and function.meaning in REVERSIBLE
    match function.meaning:
        case Listed() as listed:
            (items,) = arguments
            assert not isinstance(items, Written)
            return _listed(listed, column, own, items, negated=negated)
        case Who() as who:
            test: Expression = IsCaller(own, who, negated)
        case Branch() as branch:
            (anchor,) = arguments
            assert isinstance(anchor, Written)
            test = _in_tree(scope, found, branch, anchor, negated=negated)
        case Period() as period:
            values = [value for value in arguments if isinstance(value, Written)]
            operands = tuple(_operand(period, column, value) for value in values)
            test = During(own, column.behavior, period, operands)
    return test if wanted or function.meaning in REVERSIBLE else Not(test)


def _listed(
    listed: Listed, column: Column, own: ColumnRef, items: Sequence[Written], *, negated: bool
) -> Expression:
    if column.type is ColumnType.CHOICES:
        return _selection(listed, column, own, items, negated=negated)
    cells = tuple(listed_cell_of(column, item) for item in items)
    if listed is Listed.AMONG:
        return In(own, cells, negated)
    if len(cells) != 2:
        raise Refusal(f"found {len(cells)} values, expected two: from, to", items[0].position)
    low, high = map(Literal, cells)
    if negated:
        outside = (Compare(Comparison.LT, own, low), Compare(Comparison.GT, own, high))
        return Or((*outside, IsNull(own)))
    return And((Compare(Comparison.GE, own, low), Compare(Comparison.LE, own, high)))


def _selection(
    listed: Listed, column: Column, own: ColumnRef, items: Sequence[Written], *, negated: bool
) -> Expression:
    """Return a test of selected options; ``In`` is for exactly those, as in Dataverse."""
    texts = [str(listed_cell_of(column, item)) for item in items]
    options = {int(option) for text in texts for option in text.split(",")}
    if listed is Listed.SELECTED:
        return HasOption(own, tuple(sorted(options)), negated)
    exactly = Literal(choices_cell(options))
    return Compare(Comparison.NE if negated else Comparison.EQ, own, exactly)


def _in_tree(
    scope: Scope, found: Property, branch: Branch, anchor: Written, *, negated: bool
) -> Expression:
    tree = find_hierarchy(found.place.schema, scope.tables, found.column)
    if isinstance(tree, str):
        raise Refusal(tree, anchor.position)
    try:
        row = canonical_id(plain_text(anchor).strip())
    except ValueError as error:
        message = f"found {short(anchor.text)}, expected the id of a row, in single quotes"
        raise Refusal(message, anchor.position) from error
    return InHierarchy(found.reference, tree.referenced, tree.column, row, branch, negated)


def _operand(period: Period, column: Column, value: Written) -> int | str:
    text = plain_text(value).strip()
    if not period.takes_day:
        return _count(period, text, value)
    # The day of an instant depends on where somebody is; a wall-clock time says it.
    plain = column.behavior is not DateBehavior.USER_LOCAL and text[10:11] == "T"
    try:
        return date.fromisoformat(text[:10] if plain else text).isoformat()
    except ValueError as error:
        message = f"found {short(value.text)}, expected a day such as '2026-03-31'"
        raise Refusal(message, value.position) from error


def _count(period: Period, text: str, value: Written) -> int:
    number = int(text) if _WHOLE.fullmatch(text) else -1
    least = 1 if "-x-" in period.value else 0
    if not least <= number < _MOST_UNITS:
        message = f"found {short(value.text)}, expected a whole number, {least} or more"
        raise Refusal(message, value.position)
    return number
