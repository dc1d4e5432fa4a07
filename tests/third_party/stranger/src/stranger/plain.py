"""The filter language ``plain``, for people who write no code.

::

    city = Bergen and revenue > 100 or name sounds like Fjord
    city is empty and name != 'Fjord Marine'

``and`` binds tighter than ``or``, and there are no parentheses: so parsing is one walk over the
words, at no depth at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict

from holdfast.contracts import FilterLanguage, Tables
from holdfast.errors import FilterError
from holdfast.filters import (
    EVERYTHING,
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    Function,
    IsNull,
    Literal,
    Or,
)
from holdfast.schema import Column, ColumnType, Kind, TableSchema
from holdfast.values import Cell, Reference, to_change

#: Functions of all languages in a profile share their names, so ours has a prefix.
SOUNDS_LIKE: Final = "plain.sounds-like"
_WORD: Final = re.compile(
    r"'(?P<quoted>(?:[^']|'')*)'|(?P<bare>[<>!]=|[<>=]|[^\s'<>!=]+)|(?P<bad>\S)"
)
_OPERATORS: Final[Mapping[str, Comparison]] = {
    "=": Comparison.EQ,
    "!=": Comparison.NE,
    ">": Comparison.GT,
    ">=": Comparison.GE,
    "<": Comparison.LT,
    "<=": Comparison.LE,
}
_SPELLED: Final = {comparison: word for word, comparison in _OPERATORS.items()}
_RESERVED: Final = {"and", "or", "is", "not", "empty", "sounds", "like", *_OPERATORS}
_SOUNDS: Final = str.maketrans("bfpvcgjkqsxzdtlmnr", "111122222222334556")


def sounds_like(cell: Cell, wanted: Cell) -> bool | None:
    """Tell whether two names sound alike (Soundex); of null, nobody knows."""
    if cell is None or wanted is None:
        return None
    return _sound(str(cell)) == _sound(str(wanted))


def _sound(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.lower())
    letters = "".join(letter for letter in plain if "a" <= letter <= "z")
    if not letters:
        return name.lower()
    code, previous = letters[0].upper(), letters[0].translate(_SOUNDS)
    for letter in letters[1:]:
        digit = letter.translate(_SOUNDS)
        if digit.isdigit() and digit != previous:
            code += digit
        if letter not in "hw":
            previous = digit
    return code[:4].ljust(4, "0")


class PlainSettings(BaseModel):
    """The ``[filters.plain]`` section: there is nothing to set."""

    model_config = ConfigDict(extra="forbid")


class PlainLanguage(FilterLanguage):
    """Words to the algebra and back."""

    name = "plain"
    Settings: ClassVar[type[PlainSettings]] = PlainSettings
    functions: ClassVar[Mapping[str, Function]] = {SOUNDS_LIKE: sounds_like}

    def parse(self, source: str, schema: TableSchema, tables: Tables) -> Expression:
        """Return the expression; of no words, everything."""
        return _Parser(source, schema).any() if source.strip() else EVERYTHING

    def render(self, expression: Expression, schema: TableSchema, tables: Tables) -> str:
        """Return the words."""
        if expression == EVERYTHING:
            return ""
        parts = (
            expression.parts if isinstance(expression, Or) and expression.parts else (expression,)
        )
        return " or ".join(_every(part, schema) for part in parts)


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    position: int
    quoted: bool = False

    def means(self, word: str) -> bool:
        return not self.quoted and self.text.lower() == word


class _Parser:
    def __init__(self, source: str, schema: TableSchema) -> None:
        self._source = source
        self._schema = schema
        self._words = [self._word(match) for match in _WORD.finditer(source)]
        self._at = 0

    def any(self) -> Expression:
        parts = [self._every()]
        while self._at < len(self._words):
            self._expect("or")
            parts.append(self._every())
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _every(self) -> Expression:
        parts = [self._test()]
        while self._take("and"):
            parts.append(self._test())
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _test(self) -> Expression:
        column = self._column()
        reference = ColumnRef(column.name, column.kind)
        if self._take("is"):
            negated = self._take("not")
            self._expect("empty")
            return IsNull(reference, negated=negated)
        if self._take("sounds"):
            self._expect("like")
            return Call(SOUNDS_LIKE, (reference, Literal(self._next("a name").text)))
        operator = self._next("an operator")
        if operator.quoted or operator.text not in _OPERATORS:
            raise self._error(
                f"one of {', '.join(_OPERATORS)}, is, sounds like is wanted", operator
            )
        return Compare(_OPERATORS[operator.text], reference, Literal(self._literal(column)))

    def _column(self) -> Column:
        word = self._next("a column")
        column = self._schema.column(word.text)
        if column is None:
            known = ", ".join(self._schema.by_name)
            raise self._error(
                f"{self._schema.name} has no column {word.text!r}; it has {known}", word
            )
        if column.type is ColumnType.LOOKUP:
            raise self._error(f"{word.text} points to another row; that cannot be compared", word)
        return column

    def _literal(self, column: Column) -> Cell:
        word = self._next("a value")
        try:
            change = to_change(column, _read(column.kind, word.text))
        except (ValueError, ArithmeticError):
            raise self._error(f"{word.text!r} is no {column.type.value}", word) from None
        assert not isinstance(change, Reference)
        return change

    def _take(self, wanted: str) -> bool:
        found = self._at < len(self._words) and self._words[self._at].means(wanted)
        self._at += found
        return found

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            where = self._words[self._at] if self._at < len(self._words) else None
            raise self._error(f"{wanted!r} is wanted", where)

    def _next(self, wanted: str) -> _Word:
        if self._at == len(self._words):
            raise self._error(f"{wanted} is wanted", None)
        self._at += 1
        return self._words[self._at - 1]

    def _word(self, match: re.Match[str]) -> _Word:
        word = _Word(match["bare"] or "", match.start())
        if match["bad"]:
            raise self._error(f"{match['bad']} cannot stand here", word)
        if match["quoted"] is not None:
            return _Word(match["quoted"].replace("''", "'"), match.start(), quoted=True)
        return word

    def _error(self, message: str, word: _Word | None) -> FilterError:
        position = word.position if word else len(self._source)
        return FilterError("plain", self._source, message, position=position)


def _read(kind: Kind, text: str) -> object:
    match kind:
        case Kind.INTEGER:
            return int(text)
        case Kind.REAL:
            return float(text)
        case Kind.DECIMAL:
            return Decimal(text)
        case Kind.BOOLEAN if text.lower() in ("yes", "no"):
            return text.lower() == "yes"
        case _:
            return text


def _every(expression: Expression, schema: TableSchema) -> str:
    parts = expression.parts if isinstance(expression, And) and expression.parts else (expression,)
    return " and ".join(_test(part, schema) for part in parts)


def _test(expression: Expression, schema: TableSchema) -> str:
    match expression:
        case Compare(comparison, ColumnRef(name), Literal(cell)) if cell is not None:
            _check(name, schema)
            return f"{name} {_SPELLED[comparison]} {_written(cell)}"
        case IsNull(ColumnRef(name), negated):
            _check(name, schema)
            return f"{name} is not empty" if negated else f"{name} is empty"
        case Call(call, (ColumnRef(name), Literal(str(cell)))) if call == SOUNDS_LIKE:
            _check(name, schema)
            return f"{name} sounds like {_written(cell)}"
        case _:
            kind = type(expression).__name__
            raise FilterError("plain", "", f"there are no words for this {kind}")


def _check(name: str, schema: TableSchema) -> None:
    column = schema.column(name)
    if column is None or column.type is ColumnType.LOOKUP:
        raise FilterError("plain", "", f"there are no words for {schema.name}.{name}")


def _written(cell: Cell) -> str:
    match cell:
        case bool():
            return "yes" if cell else "no"
        case str():
            bare = re.fullmatch(r"[^\s'<>!=]+", cell) and cell.lower() not in _RESERVED
            return cell if bare else "'" + cell.replace("'", "''") + "'"
        case _:
            return str(cell)
