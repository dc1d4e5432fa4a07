"""From ``name=value`` on a command line to what a table is written with.

Invariant: what does not parse still reaches the table, as something that no column takes; so one
``InvalidValue`` names the mistakes of the words and those that the table finds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

from holdfast.errors import InvalidValue, Problem, UsageError
from holdfast.folding import fold
from holdfast.schema import Column, ColumnType, DateBehavior, TableSchema
from holdfast.values import Reference

T = TypeVar("T")
_BOOLEANS: Final = {"true": True, "false": False, "yes": True, "no": False}


class _Unreadable:
    """Stands where a text did not parse; every column refuses it."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was typed, by column, and what of it could not be read."""

    table: str
    values: Mapping[str, object]
    problems: tuple[Problem, ...]

    async def apply(self, write: Callable[[Mapping[str, object]], Awaitable[T]]) -> T:
        """Write the values.

        :raises InvalidValue: with the mistakes found here and those that the table finds
        """
        unread = {problem.key for problem in self.problems}
        try:
            return await write(self.values)
        except InvalidValue as error:
            others = [problem for problem in error.problems if problem.key not in unread]
            raise InvalidValue(self.table, [*self.problems, *others]) from None


def read(schema: TableSchema, words: Sequence[str]) -> Written:
    """Read ``name=value`` words by the types of the table's columns.

    :raises UsageError: a word is not of that form, or names a column twice
    """
    values: dict[str, object] = {}
    problems: list[Problem] = []
    for name, text in _pairs(words).items():
        column = schema.column(name)
        try:
            values[name] = text if column is None else parse(column, text)
        except ValueError as error:
            values[name] = _Unreadable()
            problems.append(Problem(name, str(error)))
    return Written(schema.name, values, tuple(problems))


def _pairs(words: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise UsageError(f"{word!r} is not understood; write name=value, as in name='Fjord AS'")
        if name in pairs:
            raise UsageError(f"{name} is given twice; leave one of them out")
        pairs[name] = text
    return pairs


def parse(column: Column, text: str) -> object:
    """Read one value; an empty one is null.

    :raises ValueError: the text does not fit; the message says what is wanted
    """
    if not text:
        return None
    reader = _READERS.get(column.type)
    return text if reader is None else reader(column, text)


def _integer(_: Column, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"a whole number is wanted, not {text!r}") from None


def _decimal(_: Column, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"a number such as 1250.50 is wanted, not {text!r}") from None


def _boolean(column: Column, text: str) -> bool:
    """Read true or false, yes or no, or the label that `query` shows."""
    for option in column.options:
        if fold(option.label) == fold(text):
            return bool(option.value)
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(f"true or false is wanted, not {text!r}") from None


def _choice(column: Column, text: str) -> int:
    """Read an option by its number or by its label."""
    for option in column.options:
        if fold(option.label) == fold(text):
            return option.value
    try:
        return int(text)
    except ValueError:
        allowed = ", ".join(f"{option.value} ({option.label})" for option in column.options[:12])
        raise ValueError(f"has no option {text!r}; allowed: {allowed or 'numbers'}") from None


def _choices(column: Column, text: str) -> tuple[int, ...]:
    return tuple(_choice(column, part.strip()) for part in text.split(",") if part.strip())


def _moment(column: Column, text: str) -> object:
    """Read a date; a time without a zone is this machine's local time, as people mean it."""
    if column.behavior is DateBehavior.DATE_ONLY:
        return _day(text)
    if column.behavior is not DateBehavior.USER_LOCAL:
        return text
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"a date such as 2026-03-31T08:00 is wanted, not {text!r}") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"a date such as 2026-03-31 is wanted, not {text!r}") from None


def _reference(column: Column, text: str) -> object:
    table, colon, row_id = text.partition(":")
    if colon:
        return Reference(table, row_id)
    if len(column.targets) == 1:
        return Reference(column.targets[0], text)
    targets = ", ".join(column.targets) or "table"
    raise ValueError(f"say which table it points to, as table:id; allowed: {targets}")


_READERS: Final[Mapping[ColumnType, Callable[[Column, str], object]]] = {
    ColumnType.INTEGER: _integer,
    ColumnType.BIGINT: _integer,
    ColumnType.DECIMAL: _decimal,
    ColumnType.MONEY: _decimal,
    ColumnType.DOUBLE: _decimal,
    ColumnType.BOOLEAN: _boolean,
    ColumnType.CHOICE: _choice,
    ColumnType.STATE: _choice,
    ColumnType.STATUS: _choice,
    ColumnType.CHOICES: _choices,
    ColumnType.DATETIME: _moment,
    ColumnType.LOOKUP: _reference,
}
