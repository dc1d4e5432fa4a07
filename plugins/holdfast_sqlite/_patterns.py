"""Patterns of text as SQL.

Invariant: the SQL is true for text that matches, false for other text, NULL for null; most patterns
are put in SQLite's own words, and one whose start is known becomes a range that an index answers.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from holdfast.folding import fold
from holdfast_sqlite._parameters import Parameters


@dataclass(frozen=True, slots=True)
class Folded:
    """The SQL of a text as it is compared; ``stored`` if a column holds it, which is cheap."""

    sql: str
    stored: bool


def like(text: Folded, pattern: str, parameters: Parameters) -> str:
    """Return the condition that a text matches a pattern."""
    folded = fold(pattern)
    start, *rest = folded.split("%")
    if "_" in folded or "[" in folded:
        return _any(text, pattern, folded, parameters)
    match rest:
        case []:
            return f"{text.sql} = {parameters.bind(folded)}"
        case [""]:
            return _starts(text, start, parameters)
        case [piece, ""] if not start:
            return f"instr({text.sql}, {parameters.bind(piece)}) > 0"
        case _:
            return _any(text, pattern, folded, parameters)


def _any(text: Folded, pattern: str, folded: str, parameters: Parameters) -> str:
    test = f"holdfast_matches({text.sql}, {parameters.bind(pattern)})"
    start = folded[: min((folded.find(sign) for sign in "%_[" if sign in folded), default=0)]
    if not start or not text.stored:
        return test
    return f"({_starts(text, start, parameters)} AND {test})"


def _starts(text: Folded, start: str, parameters: Parameters) -> str:
    if not text.stored or not start:
        return f"instr({text.sql}, {parameters.bind(start)}) = 1"
    low = f"{text.sql} >= {parameters.bind(start)}"
    end = _behind(start)
    return low if end is None else f"({low} AND {text.sql} < {parameters.bind(end)})"


def _behind(start: str) -> str | None:
    """Return the least text that is greater than all that start so; None where there is none."""
    kept = start.rstrip(chr(sys.maxunicode))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    if 0xD800 <= following < 0xE000:  # no text holds a surrogate
        following = 0xE000
    return kept[:-1] + chr(following)
