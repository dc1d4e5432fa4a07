"""An expression in words, for people; no language reads them back."""

from __future__ import annotations

from typing import Final

from holdfast.filters._nodes import (
    And,
    Call,
    ColumnRef,
    Compare,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    InState,
    IsCaller,
    IsNull,
    Like,
    Not,
    Operand,
    Or,
    Related,
)
from holdfast.values import Cell

_SHOWN: Final = 8  # cells of a list


def described(expression: Expression) -> str:
    """Return the expression as a person would read it aloud, long lists cut short."""
    match expression:
        case And(()):
            return "every row"
        case Or(()):
            return "no row"
        case And(parts):
            return " and ".join(_part(part) for part in parts)
        case Or(parts):
            return " or ".join(_part(part) for part in parts)
        case Not(part):
            return f"not ({described(part)})"
        case Compare(operator, left, right):
            return f"{_operand(left)} {operator.value} {_operand(right)}"
        case Related(table, field, own, where):
            link = f"{table}.{_operand(field)} = {_operand(own)}"
            return f"there is a {table} ({link}; {described(where)})"
        case Call(name, operands):
            return f"{name}({', '.join(map(_operand, operands))})"
        case InState(mark):
            return f"the row is {mark.value}"
        case _:
            return f"{_operand(expression.column)} {_test(expression)}"


def _test(
    expression: IsNull | Like | In | HasOption | During | IsCaller | InHierarchy,
) -> str:
    """Return what is said of the one column."""
    if isinstance(expression, During):
        return " ".join((expression.period.value, *map(str, expression.operands)))
    no = "not " if expression.negated else ""
    match expression:
        case IsNull():
            return f"is {no}null"
        case Like(_, pattern):
            return f"{no}like {_cell(pattern)}"
        case In(_, cells):
            return f"{no}in ({_list(cells)})"
        case HasOption(_, options):
            return f"has {no}one of ({_list(options)})"
        case IsCaller(_, who):
            return f"is {no}{who.value}"
        case InHierarchy(_, table, _, anchor, branch):
            return f"is {no}{branch.value} {table}({anchor})"


def _part(part: Expression) -> str:
    words = described(part)
    return f"({words})" if isinstance(part, And | Or) and len(part.parts) > 1 else words


def _operand(side: Operand) -> str:
    if isinstance(side, ColumnRef):
        return f"{side.source}.{side.name}" if side.source else side.name
    return _cell(side.cell)


def _cell(cell: Cell) -> str:
    return repr(cell) if isinstance(cell, str) else "null" if cell is None else str(cell)


def _list(cells: tuple[Cell, ...]) -> str:
    more = len(cells) - _SHOWN
    shown = ", ".join(map(_cell, cells[:_SHOWN]))
    return f"{shown} and {more} more" if more > 0 else shown
