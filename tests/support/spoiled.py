"""Answers that were right before somebody spoiled them; the same number spoils in the same way.

Bytes are flipped, cut, doubled and moved; tokens are swapped with others of the answer and with
what parsers stumble over; members of JSON get values of other kinds; headers and statuses lie.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import Any, Final

from holdfast_dataverse._answers import Answer

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\w+|[^\s\w]|\s+', re.DOTALL)
NASTY: Final = (
    *(b"null", b"true", b"{}", b"[]", b'""', b"0", b"-1", b"NaN", b"Infinity", b"1e400", b"-0"),
    *(b"9223372036854775808", b"9" * 5000, b"0." + b"1" * 5000, b"1E-400", b"2147483648"),
    *(rb'"\ud800"', rb'"\udfff\ud800"', rb'"\u0000"', b'"\xff\xfe"', rb'"\u001b]0;x\u0007"'),
    *(b'"' + b"x" * 5000 + b'"', b"[" * 2000, b'{"a":' * 2000, b"]" * 50, b'"\x00"'),
    *(b'"0001-01-01T00:00:00+23:59"', b'"9999-12-31T23:59:59-01:00"', b'"2024-02-30"', b'"-1"'),
    *(b'"2026-W01-1"', b'"20260101"', '"2026-01-01T00:00:00\u0660"'.encode(), b'"1,,2"'),
    *(b'"{00000000-0000-0000-0000-000000000001}"', b'"urn:uuid:' + b"0" * 32 + b'"', b'"1_0"'),
    *(b'"http://127.0.0.1:5000/api/data/v9.2/accounts"', b'"//evil.example/api/data/v9.2/x"'),
    *(b'"http://127.0.0.1:5000@evil.example/api/data/"', b'"http://[::1"', b'"@odata.nextLink"'),
    *(b'"x/$deletedEntity"', b'"value"', b'"id"', b'"error"', b'"@odata.etag"', b'"W/\\"1\\""'),
    *(b"\r\n\r\n", b"\r\n--", b"--", b"\r\n", b"HTTP/1.1 200 OK", b"HTTP/1.1 999", b"HTTP/9 1"),
    *(b"Content-Type: multipart/mixed; boundary=b", b"Content-ID: 1", b":", b"\x00", b"<html>"),
)  # fmt: skip
_HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "content-type": (
        *("", "text/plain", "text/html", "multipart/mixed", "multipart/mixed; boundary=", "a/b; q"),
        *("multipart/mixed; boundary=" + "b" * 300, 'multipart/mixed; boundary="\udcff"', "\x00"),
        *("multipart/mixed; boundary*=utf-8''%ff", 'multipart/mixed; boundary="a\\"b', "json"),
    ),
    "retry-after": ("0", "-1", "1e999", "nan", "9" * 400, "Sun, 06 Nov 1994 08:49:37 GMT", "soon"),
    "date": ("", "x", "Mon, 99 Foo 99999 99:99:99 +9999", "Thu, 01 Jan 1 00:00:00 -9999", "0"),
    "x-ms-dop-hint": ("", "0", "-1", "9" * 400, "٣", "²", "1.5"),
    "odata-entityid": ("http://evil.example/api/data/v9.2/accounts(1)",),
}
_STATUSES: Final = (200, 201, 204, 206, 304, 400, 401, 403, 404, 408, 409, 410, 412, 413, 429, 500,
                    501, 503, 504, 0, 99, 999)  # fmt: skip
_VALUES: Final[tuple[Any, ...]] = (  # Any: JSON
    None, True, 0, -1, 2**31, 2**63, 10**400, 0.5, 1e300, "", "x", "\0", "\x1b]0;x\x07", "é" * 50,
    "1", "nan", [], {}, [None], {"value": []}, {"Value": None}, ["x"], [[]], {"a": {}}, "x" * 300,
)  # fmt: skip


def spoiled(answer: Answer, dice: Random) -> Answer:
    """Return the answer with something wrong, seldom with nothing that matters."""
    kind = dice.randrange(20)
    if kind == 0:
        return replace(answer, headers={**answer.headers, **_lies(dice)})
    if kind == 1:
        lies = _lies(dice) if dice.random() < 0.5 else {}
        return replace(answer, status=dice.choice(_STATUSES), headers={**answer.headers, **lies})
    if kind == 2:
        return replace(answer, status=dice.choice(_STATUSES), body=_complaint(dice))
    if kind < 9:
        return replace(answer, body=_members(answer.body, dice))
    if kind < 15:
        return replace(answer, body=_tokens(answer.body, dice))
    return replace(answer, body=_bytes(answer.body, dice))


def _lies(dice: Random) -> dict[str, str]:
    name = dice.choice(tuple(_HEADERS))
    return {name: dice.choice(_HEADERS[name])}


def _complaint(dice: Random) -> bytes:
    body: Any = {"error": {"code": "0x80060888", "message": "no such thing"}}  # Any: JSON
    at = dice.choice((None, "code", "message"))
    if at is None:
        body["error"] = dice.choice(_VALUES)
    else:
        body["error"][at] = dice.choice((*_VALUES, "0x80044352", "0x80072491", "0x80040220"))
    return (
        _tokens(json.dumps(body).encode(), dice)
        if dice.random() < 0.3
        else json.dumps(body).encode()
    )


def _bytes(body: bytes, dice: Random) -> bytes:
    found = bytearray(body)
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        at = dice.randrange(len(found) + 1)
        to = min(len(found), at + dice.choice((1, 1, 2, 9, 40)))
        match dice.randrange(6):
            case 0 | 1:
                found[at:to] = bytes(byte ^ 1 << dice.randrange(8) for byte in found[at:to])
            case 2:
                del found[at:to]
            case 3:
                del found[at:]
            case 4:
                found[at:at] = found[at:to]
            case _:
                found[at:at] = dice.choice(NASTY)
    return bytes(found)


def _tokens(body: bytes, dice: Random) -> bytes:
    """Swap a few tokens near a place, for others of the answer or for nasty ones."""
    found = bytearray(body)
    for _ in range(dice.choice((1, 1, 2, 3))):
        one, other = (_token(found, dice) for _ in range(2))
        if one is None or other is None:
            return bytes(found)
        text = bytes(found[other[0] : other[1]]) if dice.random() < 0.4 else dice.choice(NASTY)
        found[one[0] : one[1]] = text
    return bytes(found)


def _token(body: bytearray, dice: Random) -> tuple[int, int] | None:
    """Return where a token stands: the first after a random place where one may begin."""
    at = dice.randrange(len(body) + 1)
    quote = body.find(b'"', at, at + 60)
    found = _TOKEN.search(body, quote if quote >= 0 and dice.random() < 0.7 else at)
    return found.span() if found else None


def _members(body: bytes, dice: Random) -> bytes:
    """Give a member of the JSON another value, or take it away; in a batch, of one of its parts."""
    start = body.find(b"{", dice.randrange(len(body) + 1) if b"HTTP/1.1" in body else 0)
    try:
        tree, length = json.JSONDecoder().raw_decode(body[start:].decode())
    except (ValueError, RecursionError):
        return _tokens(body, dice)
    for _ in range(dice.choice((1, 1, 2))):
        _spoil(tree, dice)
    rest = body[start:].decode()[length:].encode()
    return body[:start] + json.dumps(tree, ensure_ascii=dice.random() < 0.5).encode() + rest


def _spoil(tree: Any, dice: Random) -> None:  # Any: JSON
    """Walk down to some member and change it."""
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            return
        key = dice.choice(keys)
        below = tree[key]
        if isinstance(below, dict | list) and below and dice.random() < 0.85:
            tree = below
            continue
        match dice.randrange(4):
            case 0:
                del tree[key]
            case 1:
                tree[key] = deepcopy(tree[dice.choice(keys)])
            case _:
                tree[key] = deepcopy(dice.choice(_VALUES))  # what follows may change it
        return
