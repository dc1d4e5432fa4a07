"""Patterns of SQL Server's LIKE: ``%``, ``_``, ``[a-z]`` and ``[^a-z]``, without regard to case.

Invariant: matching costs at most the length of the text times that of the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from holdfast.folding import fold
from holdfast.values import Cell

#: A pattern as tokens: None for any run, else the test that one character must pass.
_Token: TypeAlias = Callable[[str], bool] | None
_PLAIN: Final = re.compile(r"(%?)([^%_\[]*)(%?)\Z")


def like(pattern: str) -> Callable[[Cell], bool]:
    """Return the test that a text matches the pattern as a whole."""
    folded = fold(pattern)
    plain = _PLAIN.match(folded)
    if plain:
        return _simple(plain[2], before=bool(plain[1]), after=bool(plain[3]))
    tokens = _tokens(folded)
    return lambda cell: _wild(fold(str(cell)), tokens)


def _simple(text: str, *, before: bool, after: bool) -> Callable[[Cell], bool]:
    if before and after:
        return lambda cell: text in fold(str(cell))
    if before:
        return lambda cell: fold(str(cell)).endswith(text)
    if after:
        return lambda cell: fold(str(cell)).startswith(text)
    return lambda cell: fold(str(cell)) == text


def _tokens(pattern: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    closing = pattern.rfind("]")
    while at < len(pattern):
        bracket = pattern[at] == "[" and at + 2 <= closing
        end = pattern.find("]", at + 2) if bracket else -1
        if end > 0 and pattern[at + 1 : end] not in ("", "^"):
            tokens.append(_set(pattern[at + 1 : end]))
            at = end + 1
            continue
        tokens.append(_character(pattern[at]))
        at += 1
    return tokens


def _character(letter: str) -> _Token:
    if letter == "%":
        return None
    if letter == "_":
        return lambda _: True
    return lambda given: given == letter


def _set(body: str) -> Callable[[str], bool]:
    excluded = body.startswith("^")
    members = body.removeprefix("^")
    singles: set[str] = set()
    spans: list[tuple[str, str]] = []
    at = 0
    while at < len(members):
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            spans.append((members[at], members[at + 2]))
            at += 3
        else:
            singles.add(members[at])
            at += 1

    def member(given: str) -> bool:
        inside = given in singles or any(low <= given <= high for low, high in spans)
        return inside != excluded

    return member


def _wild(text: str, pattern: Sequence[_Token]) -> bool:
    """Match from the left; on a mismatch let the last ``%`` swallow one character more."""
    at = here = 0
    star, resume = -1, 0
    while at < len(text):
        if here < len(pattern) and pattern[here] is None:
            star, resume = here, at
            here += 1
            continue
        token = pattern[here] if here < len(pattern) else None
        if token is not None and token(text[at]):
            at, here = at + 1, here + 1
        elif star >= 0:
            resume += 1
            at, here = resume, star + 1
        else:
            return False
    return all(token is None for token in pattern[here:])
