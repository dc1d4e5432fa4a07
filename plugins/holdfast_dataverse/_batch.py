"""``$batch``: requests put into one body, and its reply taken apart.

Invariants: no part of a body holds its boundary, and no header of a part holds a line end, so data
cannot pose as protocol. A reply that breaks off yields the parts that were whole.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from holdfast.contracts import Ids
from holdfast.errors import ProtocolError
from holdfast_dataverse._answers import Answer
from holdfast_dataverse._crowds import TooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_STATUS_LINE: Final = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})(?: |\Z)")
#: The server takes a thousand operations; each change set has delimiters of its own.
_MOST_PARTS: Final = 2_100
_LONGEST_HEAD: Final = 65_536
_LONGEST_HEADER: Final = 512  # of a part around the answer: its type, and the boundary of a set
#: What the parser would say of garbled bytes is said by our errors.
_silent: Final = logging.Logger("silent", logging.CRITICAL + 1)  # noqa: LOG001  nobody shall find it
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One request; ``path`` starts with a slash and is already encoded."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Requests that are carried out together or not at all; numbered from 1."""

    parts: tuple[Part, ...]


Item: TypeAlias = Part | ChangeSet


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one item, or to one part of a change set that was carried out."""

    answer: Answer
    content_id: str = ""


#: One reply to a part and to a change set that failed, several to one that was carried out.
Replies: TypeAlias = Reply | tuple[Reply, ...]


# --- to the server ------------------------------------------------------------------------------


def encode(items: Sequence[Item], ids: Ids) -> tuple[str, bytes]:
    """Return the content type and the body of a batch."""
    while True:
        boundary = f"batch_{ids.new()}"
        body = b"".join(_lines(items, boundary))
        # Ids are unique, not secret: that the boundary occurs nowhere else is checked, not assumed.
        if body.count(boundary.encode()) == _expected(items):
            return f"multipart/mixed; boundary={boundary}", body


def _expected(items: Sequence[Item]) -> int:
    """Count how often the boundary stands in a body by rights; a change set adds its own."""
    sets = [item for item in items if isinstance(item, ChangeSet)]
    return len(items) + 1 + sum(2 + len(one.parts) for one in sets)


def _lines(items: Sequence[Item], boundary: str) -> Iterator[bytes]:
    for number, item in enumerate(items):
        yield f"--{boundary}\r\n".encode()
        if isinstance(item, Part):
            yield from _part_lines(item)
        else:
            yield from _set_lines(item, f"{boundary}_{number}", first_id=number * 1000)
    yield f"--{boundary}--\r\n".encode()


def _set_lines(changes: ChangeSet, boundary: str, *, first_id: int) -> Iterator[bytes]:
    yield f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode()
    for number, part in enumerate(changes.parts, start=1):
        yield f"--{boundary}\r\n".encode()
        yield from _part_lines(part, content_id=first_id + number)
    yield f"--{boundary}--\r\n".encode()


def _part_lines(part: Part, content_id: int | None = None) -> Iterator[bytes]:
    head = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        head.append(f"Content-ID: {content_id}")
    head += ["", f"{part.method} {_one_line(part.path)} HTTP/1.1"]
    head += [f"{name}: {_one_line(value)}" for name, value in part.headers.items()]
    yield ("\r\n".join(head) + "\r\n\r\n").encode()
    yield part.body
    yield b"\r\n"


def _one_line(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ProtocolError("a request would hold a line end or a control character; not sent")
    return text


# --- from the server ----------------------------------------------------------------------------


def decode(answer: Answer) -> list[Replies]:
    """Take the reply to a batch apart, in the order of the items.

    :raises ProtocolError: it is no multipart body
    """
    replies: list[Replies] = []
    left = _MOST_PARTS
    for head, body in _split(answer.headers.get("content-type", ""), answer.body, left):
        nested = head.get("content-type", "")
        if nested.lower().startswith("multipart/"):
            parts = _split(nested, body, left)
            left -= len(parts)
            replies.append(tuple(_reply(h, b) for h, b in parts))
        else:
            replies.append(_reply(head, body))
    return replies


def replies_in(replies: Sequence[Replies]) -> Iterator[Reply]:
    """Yield every reply, those in change sets among them."""
    for one in replies:
        yield from one if isinstance(one, tuple) else (one,)


def _reply(head: Mapping[str, str], body: bytes) -> Reply:
    top, *content = _BLANK_LINE.split(body.lstrip(b"\r\n"), maxsplit=1)
    if len(top) > _LONGEST_HEAD:
        raise ProtocolError(
            "a part of the batch reply has endless headers; the next sync asks again"
        )
    first, *lines = top.splitlines() or [b""]
    status = _STATUS_LINE.match(first)
    if status is None:
        raise ProtocolError(
            "a part of the batch reply has no status line; the next sync asks again"
        )
    headers = dict(map(_header, lines))
    answer = Answer(int(status[1]), headers, content[0] if content else b"")
    return Reply(answer, head.get("content-id", ""))


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.strip().lower(), value.strip()


def _split(content_type: str, body: bytes, most: int) -> list[tuple[dict[str, str], bytes]]:
    """Return the whole parts of a multipart body: headers and content."""
    if not content_type.isascii() or not content_type.isprintable():
        raise ProtocolError(
            "the reply to a batch has a garbled content type; the next sync asks again"
        )
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not kind.lower().startswith(b"multipart/") or not boundary:
        raise ProtocolError("the reply to a batch is no multipart body; the next sync asks again")
    if body.count(b"--" + boundary) > most + 1:
        raise TooLarge(
            f"the reply to a batch has more than {_MOST_PARTS} parts; ask an administrator"
        )
    collector = _Collector()
    try:
        parser = MultipartParser(boundary, collector.callbacks(), max_header_size=_LONGEST_HEADER)
        parser.logger = _silent
        parser.write(body.lstrip(b"\r\n"))
    except FormParserError:
        # What was whole before it stays good; what is missing is for the caller to notice.
        return collector.parts
    return collector.parts


class _Collector:
    """Hears a parser and keeps the parts that were complete."""

    def __init__(self) -> None:
        self.parts: list[tuple[dict[str, str], bytes]] = []
        self._begin()

    def callbacks(self) -> MultipartCallbacks:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._name_bytes,
            "on_header_value": self._value_bytes,
            "on_header_end": self._header,
            "on_part_data": self._data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._name = bytearray()
        self._value = bytearray()

    def _name_bytes(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _value_bytes(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header(self) -> None:
        name = self._name.decode("latin-1").strip().lower()
        self._headers[name] = self._value.decode("latin-1").strip()
        self._name, self._value = bytearray(), bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._body += data[start:end]

    def _end(self) -> None:
        self.parts.append((self._headers, bytes(self._body)))
