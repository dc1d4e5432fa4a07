"""XML attributes of an element, taken one by one.

Invariant: an attribute that nobody asked for is refused, so that none is ignored in silence.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from typing import Final, TypeVar

from holdfast_emulator.queries.fetchxml.markup import Element
from holdfast_emulator.queries.fetchxml.refusals import bad_value, no_mark, unknown_mark

_Kind = TypeVar("_Kind", bound=Enum)
_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False}
_NUMBER: Final = re.compile(r"\s*\+?(\d{1,10})\s*")


class Marks:
    """The attributes of one element.

    :param known: the attributes that the element may have; those that nobody takes have no effect
    """

    def __init__(self, element: Element, known: Collection[str]) -> None:
        self._tag = element.tag
        self._given = {
            name: value
            for name, value in element.marks.items()
            if name != "xmlns" and not name.startswith(("xmlns:", "generator:"))
        }
        for name in self._given:
            if name not in known:
                raise unknown_mark(name, element.tag)

    def text(self, name: str) -> str | None:
        """Return an attribute; None when it is not there, or empty."""
        return self._given.get(name) or None

    def verbatim(self, name: str) -> str | None:
        """Return an attribute, which may be empty."""
        return self._given.get(name)

    def needed(self, name: str) -> str:
        """Return an attribute that must be there.

        :raises DataverseFault: it is not
        """
        found = self.text(name)
        if found is None:
            raise no_mark(name, self._tag)
        return found

    def truth(self, name: str, *, default: bool = False) -> bool:
        """Return an attribute that says yes or no."""
        found = self.text(name)
        if found is None:
            return default
        if found.lower() not in _TRUTHS:
            raise bad_value(name, self._tag, found)
        return _TRUTHS[found.lower()]

    def number(self, name: str) -> int | None:
        """Return an attribute that is a whole number."""
        found = self.text(name)
        if found is None:
            return None
        number = _NUMBER.fullmatch(found)
        if number is None or not number[1].isascii():
            raise bad_value(name, self._tag, found)
        return int(number[1])

    def choice(self, name: str, kind: type[_Kind]) -> _Kind | None:
        """Return an attribute that is one of a few words."""
        found = self.text(name)
        if found is None:
            return None
        for member in kind:
            if member.value == found:
                return member
        raise bad_value(name, self._tag, found)
