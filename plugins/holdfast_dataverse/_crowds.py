"""How much JSON may hold, counted before it is decoded.

Invariant: what is decoded takes memory in proportion to a limit, not to what a body of two-byte
objects could be blown up to. Text is not counted: braces and commas inside strings are data.
"""

from __future__ import annotations

import re
from typing import Final

from holdfast.errors import ProtocolError

#: Rows of a page. The server sends five thousand; a row that says nothing takes two bytes there and
#: hundreds here.
MOST_ROWS: Final = 100_000
#: Members of an answer that is read whole, known and unknown.
MOST_MEMBERS: Final = 300_000
#: Members of a description of tables, most of which are labels in other languages and skipped.
MOST_DESCRIBED: Final = 3_000_000


class TooLarge(ProtocolError):
    """Raised when an answer exceeds a limit; a smaller page may not."""


def _next(mark: bytes) -> re.Pattern[bytes]:
    """Return what finds the next mark outside of strings; a string without an end ends there.

    Possessive throughout, and it always matches: one pass, whatever the bytes.
    """
    return re.compile(
        rb'(?:[^"%b]++|"(?:[^"\\]++|\\.)*+")*+(?:%b|"|\Z)' % (mark, re.escape(mark)), re.DOTALL
    )


_OBJECT: Final = b"{", _next(b"{")
_MEMBER: Final = b",", _next(b",")


def refuse_too_many_rows(body: bytes) -> None:
    """Let a page pass that has a sane number of rows.

    :raises TooLarge: it has more
    """
    _refuse(body, _OBJECT, MOST_ROWS, "rows")


def refuse_too_many_members(body: bytes, most: int = MOST_MEMBERS) -> None:
    """Let an answer pass that has a sane number of members.

    :raises TooLarge: it has more
    """
    _refuse(body, _MEMBER, most, "members")


def _refuse(body: bytes, marked: tuple[bytes, re.Pattern[bytes]], most: int, what: str) -> None:
    mark, following = marked
    if body.count(mark) <= most:  # nearly always, and a thousand times as fast
        return
    found = 0
    for one in following.finditer(body):
        found += one[0].endswith(mark)
        if found > most:
            raise TooLarge(f"the answer has more than {most} {what}; ask for smaller pages")
