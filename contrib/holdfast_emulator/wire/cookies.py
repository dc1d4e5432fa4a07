"""Skip tokens and delta tokens: where a page ended, in the shape that Dataverse gives them.

Invariant: what is written here is read back to the same position; anything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from html import escape, unescape
from typing import Final
from urllib.parse import quote, unquote

from holdfast.schema import Kind
from holdfast.values import Cell
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.queries.query import Position
from holdfast_emulator.wire.calls import bad_query
from holdfast_emulator.wire.urls import is_guid

_COOKIE: Final = re.compile(
    r'<cookie pagenumber="(\d{1,9})" pagingcookie="([^"<>]*)" istracking="(True|False)" />\Z'
)
_ENTRY: Final = re.compile(r'<([A-Za-z_]\w*) (?:last="([^"]*)"|lastnull="1")[^<>]*/>')
_MOST_DIGITS: Final = 20  # those of a 64-bit number and its sign
_ESCAPED: Final = re.compile(r"%[0-9A-F]{2}")


@dataclass(frozen=True, slots=True)
class Cookie:
    """A skip token: the number of the page it asks for, and what tells where that starts."""

    page: int
    inner: str
    tracking: bool


def write_cookie(cookie: Cookie) -> str:
    """Return the skip token as it stands in a URL."""
    inner = twice_quoted(cookie.inner)
    return (
        f"%3Ccookie%20pagenumber=%22{cookie.page}%22%20pagingcookie=%22{inner}%22"
        f"%20istracking=%22{cookie.tracking}%22%20/%3E"
    )


def read_cookie(token: str) -> Cookie:
    """Return the cookie of a skip token, decoded once already as all of the query is.

    :raises DataverseFault: it is not one of ours
    """
    found = _COOKIE.match(token)
    if not found:
        raise _malformed()
    return Cookie(int(found[1]), unquote(found[2]), found[3] == "True")


def write_position(names: Sequence[str], page: int, last: Position, first: Position) -> str:
    """Return the inner cookie of a position; ``names`` are its columns, the primary id last."""
    entries = [_entry(*entry) for entry in zip(names, last, first, strict=True)]
    return f'<cookie page="{page}">{"".join(entries)}</cookie>'


def read_position(inner: str, columns: Sequence[tuple[str, Kind]]) -> Position:
    """Return the position in an inner cookie.

    :param columns: the names it must have, each with the kind of its cells
    :raises DataverseFault: it belongs to another query
    """
    entries = list(_ENTRY.finditer(inner))
    if [entry[1] for entry in entries] != [name for name, _ in columns]:
        raise _malformed()
    return tuple(
        None if entry[2] is None else _cell(kind, unescape(entry[2]))
        for entry, (_, kind) in zip(entries, columns, strict=True)
    )


def twice_quoted(text: str) -> str:
    """Return a text encoded for a URL inside a URL, as paging cookies have it."""
    return quote(_quoted(text))


def write_delta_token(token: str) -> str:
    """Return a delta token as it stands in a URL."""
    return _quoted(token)


def _quoted(text: str) -> str:
    return _ESCAPED.sub(lambda found: found[0].lower(), quote(text, safe="-_."))


def _entry(name: str, last: Cell, first: Cell) -> str:
    if last is None:
        return f'<{name} lastnull="1" />'
    return f'<{name} last="{_text(last)}" first="{_text(first)}" />'


def _text(cell: Cell) -> str:
    if isinstance(cell, str) and is_guid(cell):
        return f"{{{cell.upper()}}}"
    return "" if cell is None else escape(str(cell))


def _cell(kind: Kind, text: str) -> Cell:
    try:
        match kind:
            case Kind.INTEGER if len(text) <= _MOST_DIGITS:
                return int(text)
            case Kind.REAL:
                return float(text)
            case Kind.DECIMAL if (number := Decimal(text)).is_finite():
                return number
            case Kind.INTEGER | Kind.DECIMAL:
                raise _malformed()
            case Kind.BOOLEAN:
                return text == "True"
            case _:
                return text.strip("{}").lower() if is_guid(text) else text
    except (ValueError, InvalidOperation) as error:
        raise _malformed() from error


def _malformed() -> DataverseFault:
    return bad_query("Malformed XML in the Paging Cookie.")
