"""Operands written as text, as FetchXML and the query functions have them, turned into cells.

Invariant: this is the one place that says which operator takes how many operands, of which form,
on which columns. Whatever passes here can be evaluated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Final

from holdfast.schema import ColumnType, DateBehavior
from holdfast.values import Cell, canonical_id, choices_cell, instant_cell, wall_cell
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.metadata import ColumnDefinition
from holdfast_emulator.queries.conditions import Operator
from holdfast_emulator.queries.dates import is_relative
from holdfast_emulator.queries.operators import OPPOSITES, TEXTS

INVALID_ARGUMENT: Final = "0x80040203"
BAD_OPERAND_COUNT: Final = "0x800404b7"
BAD_OPERATOR: Final = "0x800404c7"
NOT_ON_MEMO: Final = "0x80044153"

_WHOLE: Final = re.compile(r"\s*[+-]?[0-9]{1,19}\s*\Z")
_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?\s*\Z")
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
_INT64: Final = 2**63
_MOST_UNITS: Final = 2**31
NUMBERS: Final = frozenset(
    {
        ColumnType.INTEGER,
        ColumnType.BIGINT,
        ColumnType.DECIMAL,
        ColumnType.DOUBLE,
        ColumnType.MONEY,
    }
)
OPTIONS: Final = frozenset({ColumnType.CHOICE, ColumnType.STATE, ColumnType.STATUS})
IDS: Final = frozenset({ColumnType.LOOKUP, ColumnType.UNIQUEIDENTIFIER})
_DATES: Final = frozenset({ColumnType.DATETIME})
_WITHOUT_COMPARISON: Final = frozenset({ColumnType.FILE, ColumnType.IMAGE})

_PATTERNS: Final = frozenset({Operator.LIKE, Operator.BEGINS_WITH, Operator.ENDS_WITH})
_ORDERED: Final = frozenset({Operator.GT, Operator.GE, Operator.LT, Operator.LE})
_ON: Final = frozenset({Operator.ON, Operator.ON_OR_BEFORE, Operator.ON_OR_AFTER})
_HIERARCHY: Final = frozenset(
    {Operator.ABOVE, Operator.EQ_OR_ABOVE, Operator.UNDER, Operator.EQ_OR_UNDER}
)
_PEOPLE: Final = frozenset(
    {
        Operator.EQ_USER_ID,
        Operator.EQ_BUSINESS_ID,
        Operator.EQ_USER_TEAMS,
        Operator.EQ_USER_OR_USER_TEAMS,
        Operator.EQ_USER_OR_USER_HIERARCHY,
        Operator.EQ_USER_OR_USER_HIERARCHY_AND_TEAMS,
    }
)
_MANY: Final = frozenset({Operator.IN, Operator.CONTAIN_VALUES})
_CLOCK: Final = frozenset(
    {
        Operator.LAST_X_HOURS,
        Operator.NEXT_X_HOURS,
        Operator.OLDER_THAN_X_HOURS,
        Operator.OLDER_THAN_X_MINUTES,
    }
)
_PAIRS: Final = frozenset(
    {
        Operator.BETWEEN,
        Operator.IN_FISCAL_PERIOD_AND_YEAR,
        Operator.IN_OR_BEFORE_FISCAL_PERIOD_AND_YEAR,
        Operator.IN_OR_AFTER_FISCAL_PERIOD_AND_YEAR,
    }
)
_COUNTED: Final = frozenset(
    {
        *(operator for operator in Operator if "-x-" in operator.value),
        Operator.IN_FISCAL_YEAR,
        Operator.IN_FISCAL_PERIOD,
    }
)
_ONE: Final = frozenset({Operator.EQ, *_ORDERED, *_PATTERNS, *_ON, *_HIERARCHY, *_COUNTED})


def operand_counts(operator: Operator) -> tuple[int, int | None]:
    """Return how many operands an operator takes, at least and at most."""
    positive = OPPOSITES.get(operator, operator)
    if positive in _MANY:
        return 1, None
    count = 2 if positive in _PAIRS else 1 if positive in _ONE else 0
    return count, count


def operands(
    operator: Operator, column: ColumnDefinition, texts: Sequence[str], zone: tzinfo = UTC
) -> tuple[Cell, ...]:
    """Return the operands of an operator on a column, as cells.

    :param zone: where a date and time is from that says nothing of it
    :raises DataverseFault: there are too few or too many, one is of another type, or the operator
        is not for this column
    """
    check_operator(operator, column)
    least, most = operand_counts(operator)
    if len(texts) < least or (most is not None and len(texts) > most):
        raise DataverseFault(
            400,
            BAD_OPERAND_COUNT,
            f"The condition operator '{operator.value}' on '{column.name}' takes "
            f"{least if most == least else f'at least {least}'} value(s), not {len(texts)}.",
        )
    positive = OPPOSITES.get(operator, operator)
    return tuple(_operand(positive, column, text, zone) for text in texts)


def check_operator(operator: Operator, column: ColumnDefinition) -> None:
    """Refuse an operator on a column that it is not for.

    :raises DataverseFault: it is not
    """
    positive = OPPOSITES.get(operator, operator)
    kind = column.type
    if positive is Operator.IN and kind is ColumnType.MEMO:
        raise DataverseFault(
            400, NOT_ON_MEMO, f"The operator '{operator.value}' is not valid for a memo column."
        )
    fits = _fits(positive, kind)
    if positive in _CLOCK and column.behavior is DateBehavior.DATE_ONLY:
        fits = False
    if not fits:
        raise DataverseFault(
            400,
            BAD_OPERATOR,
            f"The condition operator '{operator.value}' is not valid for the attribute "
            f"'{column.name}' of type '{column.attribute_type}'.",
        )


def _fits(positive: Operator, kind: ColumnType) -> bool:
    if positive is Operator.NOT_NULL:
        return True
    if kind in _WITHOUT_COMPARISON:
        return False
    if positive in _ON or is_relative(positive) or positive is Operator.IN_FISCAL_PERIOD:
        return kind in _DATES
    if positive in _PATTERNS:
        return kind in TEXTS
    if positive is Operator.CONTAIN_VALUES:
        return kind is ColumnType.CHOICES
    if positive in _PEOPLE or positive in _HIERARCHY:
        return kind in IDS
    if positive is Operator.EQ_USER_LANGUAGE:
        return kind in NUMBERS
    if positive in _ORDERED or positive is Operator.BETWEEN:
        return kind is not ColumnType.CHOICES
    return True


def _operand(positive: Operator, column: ColumnDefinition, text: str, zone: tzinfo) -> Cell:
    if positive in _PATTERNS:
        return text
    if positive in _COUNTED or (positive in _PAIRS and positive is not Operator.BETWEEN):
        return _count(positive, column, text)
    if positive in _ON:
        return _on(column, text, zone)
    if positive in _HIERARCHY:
        return _id(column, text)
    if positive in _MANY and column.type is ColumnType.CHOICES:
        return _options(column, text)
    return cell_of_text(column, text, zone)


def cell_of_text(column: ColumnDefinition, text: str, zone: tzinfo = UTC) -> Cell:
    """Return the cell that a text stands for.

    :param zone: where a date and time is from that says nothing of it
    :raises DataverseFault: it stands for none of this column's
    """
    if column.type is ColumnType.DATETIME:
        return _date(column, text, zone)
    return _CELLS.get(column.type, _text)(column, text)


def wrong_value(column: ColumnDefinition, text: str) -> DataverseFault:
    """Say that a text is no value of a column."""
    return DataverseFault(
        400,
        INVALID_ARGUMENT,
        f"The value '{text[:100]}' is not valid for the attribute '{column.name}' of type "
        f"'{column.attribute_type}'.",
    )


def _count(positive: Operator, column: ColumnDefinition, text: str) -> Cell:
    number = int(text) if _WHOLE.match(text) else -1
    least = 1 if "-x-" in positive.value else 0
    if not least <= number < _MOST_UNITS:
        raise DataverseFault(
            400,
            INVALID_ARGUMENT,
            f"The value '{text[:100]}' of the condition operator '{positive.value}' on "
            f"'{column.name}' is no whole number greater than {least - 1}.",
        )
    return number


def _on(column: ColumnDefinition, text: str, zone: tzinfo) -> Cell:
    stripped = text.strip()
    try:
        return date.fromisoformat(stripped).isoformat()
    except ValueError:
        return _date(column, stripped, zone)


def _text(_: ColumnDefinition, text: str) -> Cell:
    return text


def _integer(column: ColumnDefinition, text: str) -> Cell:
    if not _WHOLE.match(text) or not -_INT64 <= int(text) < _INT64:
        raise wrong_value(column, text)
    return int(text)


def _decimal(column: ColumnDefinition, text: str) -> Cell:
    if not _NUMBER.match(text):
        raise wrong_value(column, text)
    try:
        return Decimal(text.strip())
    except InvalidOperation:
        raise wrong_value(column, text) from None


def _double(column: ColumnDefinition, text: str) -> Cell:
    number = float(text) if _NUMBER.match(text) else math.inf
    if not math.isfinite(number):
        raise wrong_value(column, text)
    return number


def _boolean(column: ColumnDefinition, text: str) -> Cell:
    found = _BOOLEANS.get(text.strip().lower())
    if found is None:
        raise wrong_value(column, text)
    return found


def _id(column: ColumnDefinition, text: str) -> Cell:
    try:
        return canonical_id(text.strip())
    except ValueError:
        raise wrong_value(column, text) from None


def _options(column: ColumnDefinition, text: str) -> Cell:
    parts = text.split(",")
    if not all(_WHOLE.match(part) for part in parts):
        raise wrong_value(column, text)
    return choices_cell(int(part) for part in parts)


def _date(column: ColumnDefinition, text: str, zone: tzinfo) -> Cell:
    try:
        moment = datetime.fromisoformat(text.strip())
        if column.behavior is DateBehavior.DATE_ONLY:
            return moment.date().isoformat()
        if column.behavior is DateBehavior.TIME_ZONE_INDEPENDENT:
            return wall_cell(moment.replace(tzinfo=None))
        return instant_cell(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise wrong_value(column, text) from None


_CELLS: Final[Mapping[ColumnType, Callable[[ColumnDefinition, str], Cell]]] = {
    ColumnType.INTEGER: _integer,
    ColumnType.BIGINT: _integer,
    ColumnType.CHOICE: _integer,
    ColumnType.STATE: _integer,
    ColumnType.STATUS: _integer,
    ColumnType.DECIMAL: _decimal,
    ColumnType.MONEY: _decimal,
    ColumnType.DOUBLE: _double,
    ColumnType.BOOLEAN: _boolean,
    ColumnType.CHOICES: _options,
    ColumnType.UNIQUEIDENTIFIER: _id,
    ColumnType.LOOKUP: _id,
}
