"""The XML attributes of an element, taken one by one.

Invariant: an attribute that nobody knows is refused, so that none is ignored in silence.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from typing import Final, TypeVar

from holdfast_fetchxml._markup import Element
from holdfast_fetchxml._refusals import Refusal, expected, nearest, shown

_Kind = TypeVar("_Kind", bound=Enum)
_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}
_NUMBER: Final = re.compile(r"\s*\+?([0-9]{1,10})\s*")


class Marks:
    """The attributes of one element.

    :param known: those that the element may have; the ones that nobody takes have no effect
    :param holds_text: whether text may stand in it
    """

    def __init__(
        self, element: Element, known: Collection[str], *, holds_text: bool = False
    ) -> None:
        self.element = element
        for name in element.given:
            foreign = name == "xmlns" or name.startswith(("xmlns:", "generator:"))
            if name not in known and not foreign:
                hint = nearest(name, known, expected(known) if known else "it has none")
                raise Refusal(
                    f"{element.tag} has no attribute {shown(name)}; {hint}", element.position(name)
                )
        if not holds_text and element.text.strip():
            found = shown(element.text.strip())
            raise Refusal(f"found the text {found} inside {element.tag}", element.position())

    def text(self, name: str) -> str | None:
        """Return an attribute; None when it is not there, or empty."""
        return self.element.given.get(name) or None

    def verbatim(self, name: str) -> str | None:
        """Return an attribute, which may be empty."""
        return self.element.given.get(name)

    def needed(self, name: str) -> str:
        """Return an attribute that must be there.

        :raises Refusal: it is not
        """
        found = self.text(name)
        if found is None:
            raise Refusal(
                f"{self.element.tag} has no {name!r}, which it needs", self.element.position()
            )
        return found

    def truth(self, name: str, *, default: bool = False) -> bool:
        """Return an attribute that says yes or no."""
        found = self.text(name)
        if found is None:
            return default
        if found.lower() not in _TRUTHS:
            raise self.wrong(name, "expected 'true' or 'false'")
        return _TRUTHS[found.lower()]

    def number(self, name: str, most: int) -> int | None:
        """Return an attribute that is a whole number from 1."""
        found = self.text(name)
        if found is None:
            return None
        number = _NUMBER.fullmatch(found)
        if number is None or not 1 <= int(number[1]) <= most:
            raise self.wrong(name, f"expected a whole number from 1 to {most}")
        return int(number[1])

    def choice(self, name: str, kind: type[_Kind]) -> _Kind | None:
        """Return an attribute that is one of a few words."""
        found = self.text(name)
        if found is None:
            return None
        words = {str(member.value): member for member in kind}
        if found not in words:
            raise self.wrong(name, nearest(found, words, expected(words)))
        return words[found]

    def wrong(self, name: str, hint: str) -> Refusal:
        """Say that an attribute has a value that it cannot have."""
        value = self.element.given.get(name, "")
        return Refusal(f"found {name}={shown(value)}; {hint}", self.element.position(name))

    def unsupported(self, name: str, reason: str) -> Refusal:
        """Say that an attribute asks for what is not there."""
        value = self.element.given.get(name, "")
        return Refusal(
            f"{name}={shown(value)} of {self.element.tag} is not answered here: {reason}",
            self.element.position(name),
        )
