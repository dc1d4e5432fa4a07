"""What a query is refused with, before it becomes a ``FilterError``.

Invariant: a refusal says what was found and what was expected, and where, if it is at one place.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_LONGEST_NAME: Final = 128  # no name is longer, and comparing it takes its time


class Refusal(Exception):
    """A query that is not understood.

    :param position: the character at which it starts; None where the whole is meant
    :param code: what Dataverse answers in this case
    """

    def __init__(self, message: str, position: int | None, code: str | None = None) -> None:
        self.message = message if code is None else f"{message} (Dataverse says {code})"
        self.position = position
        super().__init__(self.message)


def shown(text: str) -> str:
    """Return a text in quotes, cut to a length that can be read."""
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}…"


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """Return a hint at the known name that is like the given one; ``otherwise`` if none is."""
    if len(name) > _LONGEST_NAME:
        return f"no name is longer than {_LONGEST_NAME} characters"
    by_lower = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f"did you mean {by_lower[near[0]]!r}?" if near else otherwise


def expected(words: Iterable[str]) -> str:
    """Return the words that would have been right, as a clause."""
    listed = sorted(words)
    return f"expected {' or '.join(map(repr, listed))}" if len(listed) < 8 else "expected another"
