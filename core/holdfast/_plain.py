"""Foreign text in our logs: on one line, with nothing in it that a reader would not see."""

from __future__ import annotations


def plain(text: object) -> str:
    """Return text with line ends, controls and marks of direction written out as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
