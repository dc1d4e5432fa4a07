"""``$batch``: a multipart request taken apart, a multipart reply put together.

Invariant: reading takes time linear in the body, nothing nests deeper than a change set, and a
body that breaks a rule is refused whole, before any of it is carried out.

Real clients are looser than the standard: bare LF line ends, an empty line before the first
boundary, no line end after the last one, raw spaces in request lines, blank bodies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.wire.calls import Reply, bad_query

MAX_OPERATIONS: Final = 1000
MAX_URL: Final = 65_536
_MAX_HEADER: Final = 16_384
_MAX_HEADERS: Final = 100
_MAX_TAIL: Final = 80  # white space after a boundary; a bound keeps reading linear
_BOUNDARY: Final = re.compile(
    r""";\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE
)
_PROTOCOL: Final = re.compile(r"HTTP/\d(?:\.\d)?\Z")
_METHODS: Final = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One request inside a batch; header names are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    content_id: str | None


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Operations that happen together or not at all."""

    operations: tuple[Operation, ...]


Item: TypeAlias = Operation | ChangeSet


def read_batch(content_type: str, body: bytes) -> list[Item]:
    """Take a batch request apart.

    :raises DataverseFault: it is malformed or too large
    """
    if not content_type.lower().startswith("multipart/mixed"):
        raise DataverseFault(415, "0x80060888", "A batch request must be multipart/mixed.")
    items = [_item(headers, content) for headers, content in _parts(content_type, body)]
    _check(items)
    return items


def _check(items: Sequence[Item]) -> None:
    operations = [operation for item in items for operation in _of(item)]
    if len(operations) > MAX_OPERATIONS:
        raise bad_query(f"The batch has more than {MAX_OPERATIONS} operations.")
    ids = [operation.content_id for operation in operations if operation.content_id]
    if len(ids) != len(set(ids)):
        raise bad_query("A Content-ID is used more than once in the batch.")


def _of(item: Item) -> tuple[Operation, ...]:
    return item.operations if isinstance(item, ChangeSet) else (item,)


def _item(headers: Mapping[str, str], content: bytes) -> Item:
    kind = headers.get("content-type", "")
    if kind.lower().startswith("multipart/mixed"):
        parts = _parts(kind, content)
        return ChangeSet(tuple(_change(inner, part) for inner, part in parts))
    return _operation(headers, content)


def _change(headers: Mapping[str, str], content: bytes) -> Operation:
    operation = _operation(headers, content)
    if operation.content_id is None:
        raise bad_query("The Content-ID header not present for a change set operation.")
    if operation.method == "GET":
        raise bad_query("A GET request is not allowed in a change set.")
    return operation


def _operation(headers: Mapping[str, str], content: bytes) -> Operation:
    if not headers.get("content-type", "").lower().startswith("application/http"):
        raise bad_query("A part of the batch is neither application/http nor a change set.")
    line, _, rest = content.lstrip(b"\r\n").partition(b"\n")
    method, url = _request_line(_text(line))
    inner, body = _headers(rest)
    content_id = headers.get("content-id") or inner.get("content-id")
    return Operation(method, url, inner, body.strip(b"\r\n\t "), content_id)


def _request_line(line: str) -> tuple[str, str]:
    """Return method and URL; the URL may have raw spaces in it."""
    method, _, rest = line.partition(" ")
    url, _, protocol = rest.strip().rpartition(" ")
    url = url.rstrip()
    if method not in _METHODS or not 0 < len(url) <= MAX_URL or not _PROTOCOL.match(protocol):
        raise bad_query("A part of the batch has no valid request line.")
    return method, url


def _parts(content_type: str, body: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    found = _BOUNDARY.search(content_type)
    if not found:
        raise bad_query("The multipart content type has no boundary.")
    for part in _split(body, b"--" + (found[1] or found[2]).encode()):
        yield _headers(part)


def _split(body: bytes, delimiter: bytes) -> Iterator[bytes]:
    """Yield what stands between delimiter lines; the closing one must be there."""
    start: int | None = None
    at = 0
    while (at := body.find(delimiter, at)) != -1:
        after = at + len(delimiter)
        tail, newline, _ = body[after : after + _MAX_TAIL].partition(b"\n")
        closing = tail.strip() == b"--"
        opens = newline and not tail.strip()
        if (at and body[at - 1 : at] != b"\n") or not (closing or opens):
            at = after  # the same characters inside a part, or a longer boundary
            continue
        if start is not None:
            yield body[start:at].removesuffix(b"\n").removesuffix(b"\r")
        if closing:
            return
        start = at = after + len(tail) + 1
    raise bad_query("The multipart body has no closing boundary.")


def _headers(part: bytes) -> tuple[dict[str, str], bytes]:
    """Split a part at its first empty line."""
    headers: dict[str, str] = {}
    at = 0
    while at < len(part):
        end = part.find(b"\n", at)
        line = part[at : end if end != -1 else len(part)].strip()
        at = len(part) if end == -1 else end + 1
        if not line:
            break
        name, colon, value = _text(line).partition(":")
        hidden = any(mark in line for mark in b"\r\0")  # a header is repeated in replies
        if not colon or hidden or len(line) > _MAX_HEADER or len(headers) >= _MAX_HEADERS:
            raise bad_query("A part of the batch has a header that is not understood.")
        headers[name.strip().lower()] = value.strip()
    return headers, part[at:]


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise bad_query("A line of the batch is not UTF-8.") from error


@dataclass(frozen=True, slots=True)
class Answered:
    """The reply to one operation, with the Content-ID it came with."""

    reply: Reply
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class AnsweredSet:
    """The replies to a change set that succeeded."""

    replies: tuple[Answered, ...]


def write_batch(
    answers: Sequence[Answered | AnsweredSet], boundaries: Iterator[str], status: int
) -> Reply:
    """Put the multipart reply together.

    :param boundaries: yields ids that nobody else makes
    """
    name = f"batchresponse_{next(boundaries)}"
    out: list[bytes] = []
    for one in answers:
        out.append(f"--{name}\r\n".encode())
        if isinstance(one, Answered):
            _write_part(out, one)
        else:
            _write_set(out, one, f"changesetresponse_{next(boundaries)}")
    out.append(f"--{name}--\r\n".encode())
    return Reply(status, b"".join(out), type=f"multipart/mixed; boundary={name}")


def _write_set(out: list[bytes], answered: AnsweredSet, name: str) -> None:
    out.append(f"Content-Type: multipart/mixed; boundary={name}\r\n\r\n".encode())
    for one in answered.replies:
        out.append(f"--{name}\r\n".encode())
        _write_part(out, one)
    out.append(f"--{name}--\r\n\r\n".encode())


def _write_part(out: list[bytes], answered: Answered) -> None:
    reply = answered.reply
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if answered.content_id is not None:
        lines.append(f"Content-ID: {answered.content_id}")
    lines += ["", f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    if reply.body:
        lines.append(f"Content-Type: {reply.type}")
    lines += [f"{key}: {value}" for key, value in reply.headers.items()]
    out.append(("\r\n".join(lines) + "\r\n\r\n").encode())
    out.append(reply.body)
    out.append(b"\r\n")
