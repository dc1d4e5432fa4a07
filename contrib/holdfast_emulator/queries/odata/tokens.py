"""The words of a ``$filter``, one at a time.

Invariant: one pass over the text; where it stops being words, the position is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault


class Mark(Enum):
    """What kind of word it is; the value is what messages call it."""

    GUID = "a GUID"
    DATETIME = "a date and time"
    DATE = "a date"
    TIME = "a time of day"
    NUMBER = "a number"
    STRING = "a string"
    ENUM = "an enumeration value"
    NAME = "a name"
    ALIAS = "a parameter alias"
    SIGN = "a sign"
    END = "the end"


_PATTERNS: Final[Mapping[Mark, str]] = {
    Mark.GUID: r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])",
    Mark.DATETIME: (
        r"-?[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,12})?)?"
        r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})?(?![\w:.])"
    ),
    Mark.DATE: r"-?[0-9]{4}-[0-9]{2}-[0-9]{2}(?![\w:.-])",
    Mark.TIME: r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,12})?)?(?![\w:.])",
    Mark.NUMBER: r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])",
    Mark.ENUM: r"[^\W\d]\w*(?:\.[^\W\d]\w*)*'(?:[^']++|'')*+'",
    Mark.STRING: r"'(?:[^']++|'')*+'(?!\w)",
    Mark.NAME: r"\$?[^\W\d]\w*(?:\.[^\W\d]\w*)*",
    Mark.ALIAS: r"@[^\W\d]\w*",
    Mark.SIGN: r"[()/,:=\[\]-]",
}
_SCANNER: Final = re.compile(
    "|".join(f"(?P<{mark.name}>{pattern})" for mark, pattern in _PATTERNS.items())
)
_SPACE: Final = re.compile(r"[ \t\r\n\u00a0]*")
_SCALAR: Final = r"""(?:"(?:[^"\\]|\\.)*+"|'(?:[^']++|'')*+'|[^\s,'"\[\]]++)"""
_ARRAY: Final = re.compile(rf"\[\s*+((?:{_SCALAR}\s*+(?:,\s*+{_SCALAR}\s*+)*+)?)\]")
_ITEM: Final = re.compile(_SCALAR)
_LONGEST_NUMBER: Final = 60


@dataclass(frozen=True, slots=True)
class Token:
    """One word: ``text`` as it stands, and where."""

    mark: Mark
    text: str
    at: int

    @property
    def string(self) -> str:
        """What a string says, without its quotes."""
        return self.text[1:-1].replace("''", "'")

    @property
    def is_literal(self) -> bool:
        """Whether it stands for a value on its own."""
        return self.mark in _LITERALS or self.text in _WORDS


_LITERALS: Final = frozenset(
    {Mark.GUID, Mark.DATETIME, Mark.DATE, Mark.TIME, Mark.NUMBER, Mark.STRING, Mark.ENUM}
)
_WORDS: Final = frozenset({"true", "false", "null", "INF", "NaN"})


class Words:
    """The words of one text, with one to look at and the rest to come."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._end = 0
        self.now = Token(Mark.END, "", 0)
        self.step()

    def step(self) -> Token:
        """Return the word at hand and go on to the next."""
        passed = self.now
        space = _SPACE.match(self.source, self._end)
        at = space.end() if space else self._end
        if at == len(self.source):
            self._end, self.now = at, Token(Mark.END, "", at)
            return passed
        found = _SCANNER.match(self.source, at)
        if found is None or found.lastgroup is None:
            raise self.error("a name, a value or a parenthesis", at)
        token = Token(Mark[found.lastgroup], found[0], at)
        if token.mark is Mark.NUMBER and len(token.text) > _LONGEST_NUMBER:
            raise self.error(f"a number of at most {_LONGEST_NUMBER} characters", at)
        self._end, self.now = found.end(), token
        return passed

    def glued(self) -> bool:
        """Tell whether nothing stands between the word at hand and the one before."""
        at = self.now.at
        return at > 0 and not self.source[at - 1].isspace()

    def accept(self, text: str) -> bool:
        """Pass a sign or a word if it is at hand."""
        if self.now.text != text or self.now.mark not in (Mark.SIGN, Mark.NAME):
            return False
        self.step()
        return True

    def expect(self, sign: str) -> None:
        """Pass a sign that has to be at hand.

        :raises DataverseFault: something else is
        """
        if not self.accept(sign):
            raise self.error(f"'{sign}'")

    def array(self) -> list[str]:
        """Pass a list of strings in brackets, which is at hand, and return them.

        :raises DataverseFault: it is not one
        """
        found = _ARRAY.match(self.source, self.now.at)
        if found is None:
            raise self.error("a list of strings, as JSON has them")
        items = [_item(self, text) for text in _ITEM.findall(found[1])]
        self._end = found.end()
        self.step()
        return items

    def error(self, expected: str, at: int | None = None) -> DataverseFault:
        """Return the fault for something else at a position than was expected there."""
        where = self.now.at if at is None else at
        rest = self.source[where : where + 40] or "the end"
        return DataverseFault(
            400,
            BAD_QUERY,
            f"Syntax error at position {where} in '{self.source[:400]}': {expected} was expected, "
            f"not '{rest}'.",
        )


_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _item(words: Words, text: str) -> str:
    if text.startswith('"'):
        return _ESCAPE.sub(_unescaped, text[1:-1])
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    raise words.error(f"a list of strings (Collection(Edm.String)), not {text[:40]},")


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    return _ESCAPES.get(found[2], found[2])


def number(text: str) -> int | Decimal:
    """Return the number that a word stands for."""
    return int(text) if text.lstrip("+-").isdigit() else Decimal(text)
