"""Settling: what depends on who asks and when becomes comparisons that anybody can evaluate.

Invariant: a settled expression means the same on every row, whenever and by whomever it is
evaluated; it is unknown on exactly those rows on which its unsettled form is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from holdfast.filters._nodes import (
    And,
    Branch,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    During,
    Expression,
    In,
    InHierarchy,
    InState,
    IsCaller,
    Literal,
    Operand,
    Period,
    Who,
    rebuild,
    walk,
)
from holdfast.filters._periods import (
    IN_FISCAL_PERIOD,
    FiscalYears,
    Here,
    bounds,
    fiscal_key,
    zone_of,
)
from holdfast.model import CALENDAR_YEAR, Asking, Caller
from holdfast.values import Cell, instant_cell


@dataclass(frozen=True, slots=True)
class Tree:
    """The part of a tree that an expression asks about; whoever has the rows walks it."""

    table: str
    parent: str
    anchor: str
    branch: Branch


def trees(expression: Expression) -> frozenset[Tree]:
    """Return what must be walked before the expression can be settled."""
    return frozenset(_tree(node) for node in walk(expression) if isinstance(node, InHierarchy))


def is_settled(expression: Expression) -> bool:
    """Tell whether nothing in the expression depends on who asks, when, or how a row stands."""
    unsettled = (During, IsCaller, InHierarchy, InState)
    return not any(
        isinstance(node, unsettled) or (isinstance(node, Compare) and _is_local(node))
        for node in walk(expression)
    )


def settle(
    expression: Expression, asking: Asking, found: Mapping[Tree, Collection[str]] | None = None
) -> Expression:
    """Return the expression for one asker at one moment; ``InState`` is the engine's and stays.

    :param found: the ids in each of the :func:`trees`
    :raises KeyError: a tree was not walked
    """
    caller = asking.caller
    fiscal = caller.fiscal if caller else CALENDAR_YEAR
    here = Here(asking.now, zone_of(caller.time_zone if caller else "UTC"), FiscalYears(fiscal))

    def change(node: Expression) -> Expression:
        match node:
            case During():
                return _during(node, here)
            case IsCaller(column, who, negated):
                return In(column, _caller_cells(who, caller), negated)
            case Compare(operator, left, right) if _is_local(node):
                return Compare(operator, _instant(left, here), _instant(right, here))
            case InHierarchy(column, negated=negated):
                return In(column, tuple(sorted((found or {})[_tree(node)])), negated)
            case _:
                return node

    return rebuild(expression, change)


def _is_local(node: Compare) -> bool:
    return any(isinstance(side, Literal) and side.local for side in (node.left, node.right))


def _instant(side: Operand, here: Here) -> Operand:
    """Return the instant of a local time; one outside the calendar is taken as UTC."""
    if isinstance(side, ColumnRef) or not side.local:
        return side
    wall = datetime.fromisoformat(str(side.cell))
    try:
        return Literal(instant_cell(wall.replace(tzinfo=here.zone)))
    except ValueError:
        return Literal(instant_cell(wall))


def _tree(node: InHierarchy) -> Tree:
    return Tree(node.table, node.parent, node.anchor, node.branch)


def _during(node: During, here: Here) -> Expression:
    if node.period is Period.IN_FISCAL_PERIOD:
        key = fiscal_key(node.behavior, here)
        return Call(IN_FISCAL_PERIOD, (node.column, Literal(node.operands[0]), Literal(key)))
    first, end = bounds(node, here)
    since = Compare(Comparison.GE, node.column, Literal(first))
    if end is None:
        return since
    return And((since, Compare(Comparison.LT, node.column, Literal(end))))


def _caller_cells(who: Who, caller: Caller | None) -> tuple[Cell, ...]:
    if caller is None:
        return ()
    match who:
        case Who.USER:
            return (caller.user,)
        case Who.BUSINESS_UNIT:
            return () if caller.business_unit is None else (caller.business_unit,)
        case Who.TEAMS:
            return caller.teams
        case Who.USER_OR_TEAMS:
            return (caller.user, *caller.teams)
        case Who.USER_OR_REPORTS:
            return (caller.user, *caller.reports)
        case Who.USER_OR_REPORTS_OR_TEAMS:
            return (caller.user, *caller.reports, *caller.teams)
        case Who.LANGUAGE:
            return () if caller.language is None else (caller.language,)
