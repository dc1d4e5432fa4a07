"""The rows of a page as the server wrote them, for a page that has rows which make no sense.

Invariant: each slice is the text of one row, untouched, so that whoever reads them one by one finds
out which of them it is.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

import msgspec

from holdfast.values import canonical_id

#: Escapes, each whole, so that none begins inside another; halves of characters are the last kind.
_ESCAPES: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)


class Slices(msgspec.Struct, frozen=True):
    """A page that nobody has looked into."""

    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")
    delta_link: str | None = msgspec.field(default=None, name="@odata.deltaLink")


_PAGE: Final = msgspec.json.Decoder(Slices)


def sliced(body: bytes) -> tuple[Slices, list[bytes]]:
    """Return a page and its rows.

    Half a character in a row would be the end of the page: it is hidden while rows are told apart.

    :raises msgspec.MsgspecError: it is no page
    """
    hidden = _hidden(body)
    page = _PAGE.decode(hidden)
    rows: list[bytes] = []
    end = 0
    for raw in page.value:
        begin = hidden.index(bytes(raw), end)
        end = begin + len(bytes(raw))
        rows.append(body[begin:end])
    return page, rows


def named(row: bytes, member: str) -> str | None:
    """Return the id that a row has under this name, if it has one and only one."""
    if row.count(f'"{member}":'.encode()) != 1:
        return None
    key = msgspec.defstruct("Key", [("key", str, msgspec.field(name=member))])
    with suppress(msgspec.MsgspecError, ValueError, RecursionError):
        (given,) = msgspec.structs.astuple(msgspec.json.decode(_hidden(row), type=key))
        return canonical_id(given)
    return None


def _hidden(text: bytes) -> bytes:
    """Hide halves of characters behind another of the same length."""
    return _ESCAPES.sub(lambda found: rb"\ufffd" if found["half"] else found[0], text)
