"""Patterns of text, as regular expressions that match in linear time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from holdfast.folding import fold


def like_regex(pattern: str) -> re.Pattern[str]:
    """Compile a pattern to a regular expression for *folded* text, matching in linear time.

    Every piece between two ``%`` has a fixed length, so its leftmost match is always good enough:
    atomic groups keep the expression from trying others.
    """
    pieces = [_piece(piece) for piece in _split(fold(pattern))]
    first, *rest = pieces
    if not rest:
        return re.compile(rf"(?s:{first})\Z")
    *middle, last = rest
    groups = "".join(f"(?>.*?{piece})" for piece in middle if piece)
    tail = f".*{last}" if last else ".*"
    return re.compile(rf"(?s:{first}{groups}{tail})\Z")


def like_pieces(pattern: str) -> list[str] | None:
    """Return the texts between the ``%`` of a folded pattern; None where it has other wildcards."""
    folded = fold(pattern)
    return None if "_" in folded or "[" in folded else folded.split("%")


_TOKEN: Final = re.compile(r"\[\^?\]?[^\]]*\]|.", re.DOTALL)


def _tokens(pattern: str) -> list[str]:
    """Return sets and characters; a ``[`` that is not closed is a character.

    Behind the last ``]`` no set can end: looking for one at every ``[`` would take quadratic time.
    """
    closed = pattern.rfind("]") + 1
    return [*_TOKEN.findall(pattern[:closed]), *pattern[closed:]]


def _split(pattern: str) -> list[list[str]]:
    pieces: list[list[str]] = [[]]
    for token in _tokens(pattern):
        if token == "%":  # noqa: S105  a wildcard, not a secret
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def _piece(tokens: Sequence[str]) -> str:
    return "".join(_token(token) for token in tokens)


def _token(token: str) -> str:
    if token == "_":  # noqa: S105  a wildcard, not a secret
        return "."
    if len(token) < 3:
        return re.escape(token)
    negated = token[1] == "^"
    body = token[2 if negated else 1 : -1]
    ranges = "".join(
        f"{re.escape(low)}-{re.escape(high)}"
        if high and low <= high
        else re.escape(low + mid + high)
        for low, mid, high in re.findall(r"(.)(?:(-)(.))?", body, re.DOTALL)
    )
    return f"[{'^' if negated else ''}{ranges}]" if ranges else re.escape(token)
