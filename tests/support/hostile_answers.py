"""Answers that no good server gives, by name, as a client meets them on the wire."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Final

from support.hostile import Asked, Script, dripping, response, sending, silence

MIB: Final = 1 << 20
ROW: Final = (
    b'{"@odata.etag":"W/\\"1\\"","accountid":"bbbbbbbb-0000-4000-8000-000000000001","name":"A"}'
)
_PAGE: Final = b'{"value":[' + ROW + b"]}"
_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_PORTAL: Final = b"<html><h1>Welcome to the hotel</h1><form>room and name</form></html>"


@cache
def zeros(mebibytes: int) -> bytes:
    """Return so many MiB, packed a thousandfold."""
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(MIB)
    return b"".join([*(packer.compress(block) for _ in range(mebibytes)), packer.flush()])


@cache
def twice() -> bytes:
    """Return 200 MiB, packed twice."""
    return gzip.compress(zeros(200))


@cache
def nobodies() -> bytes:
    """Return a page of fifteen million rows that say nothing, packed."""
    packer = zlib.compressobj(1, wbits=31)
    block = b"{}," * MIB
    pieces = [packer.compress(b'{"value":['), *(packer.compress(block) for _ in range(15))]
    return b"".join([*pieces, packer.compress(b"{}]}"), packer.flush()])


def packed(body: Callable[[], bytes], *encodings: str, status: str = "200 OK") -> Script:
    """Return the script of a body, made when it is asked for, that says how it is packed."""

    async def script(_: Asked) -> AsyncIterator[bytes]:
        yield response(body(), status, *(f"Content-Encoding: {one}" for one in encodings))

    return script


def linking(name: str, link: Callable[[Asked], str]) -> Script:
    """Return the script of a page that links somewhere."""

    async def script(asked: Asked) -> AsyncIterator[bytes]:
        yield response(b'{"@odata.%b":"%b","value":[]}' % (name.encode(), link(asked).encode()))

    return script


def _again(asked: Asked) -> str:
    return f"{asked.origin}{asked.target}"


def _page(value: bytes) -> Script:
    return sending(response(value))


def _row(members: bytes) -> Script:
    return _page(b'{"value":[{' + members + b"}]}")


_KEYED: Final = b'"accountid":"bbbbbbbb-0000-4000-8000-000000000001","@odata.etag":"W/\\"1\\""'

#: What is no HTTP, or no answer of the server.
CONNECTION: Final[dict[str, Script]] = {
    "closes at once": sending(),
    "says nothing": silence,
    "is no HTTP": sending(b"HTTP/1.1 banana\r\n\r\n"),
    "is a mail server": sending(b"220 mail ESMTP\r\n"),
    "has an endless status line": dripping(b"HTTP/1.1 200 ", b"O" * 4096),
    "has endless headers": dripping(_HEAD, b"X-More: " + b"x" * 900 + b"\r\n"),
    "has one endless header": dripping(_HEAD + b"X-More: ", b"x" * 4096),
    "continues for ever": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drips": dripping(_HEAD + b"Content-Length: 1000000\r\n\r\n", b" "),
    "drips chunks": dripping(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "is cut in the middle": sending(_HEAD + b"Content-Length: 99\r\n\r\n" + _PAGE[:30]),
    "is cut in a chunk": sending(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n40\r\n" + _PAGE[:9]),
    "is cut between chunks": sending(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    "has a chunk without a length": sending(_HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n{}"),
    "is longer than it says": sending(_HEAD + b"Content-Length: 30\r\n\r\n" + _PAGE),
    "is shorter than it says": sending(_HEAD + b"Content-Length: 9000\r\n\r\n" + _PAGE),
    "has a negative length": sending(_HEAD + b"Content-Length: -1\r\n\r\n" + _PAGE),
    "has a huge length": sending(_HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n" + _PAGE),
    "has two lengths": sending(_HEAD + b"Content-Length: 2\r\nContent-Length: 99\r\n\r\n" + _PAGE),
    "has a length and chunks": sending(
        _HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "switches protocols": sending(b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    "has no body": sending(response(b"")),
    "has no content": sending(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "is not modified": sending(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "has no such status": sending(response(_PAGE, "999 What")),
    "has status zero": sending(response(_PAGE, "000 What")),
}
#: Somebody else between the client and the server.
STRANGERS: Final[dict[str, Script]] = {
    "is a portal": sending(response(_PORTAL, kind="html")),
    "is a portal that says it is JSON": sending(response(_PORTAL)),
    "is a portal that says nothing": sending(b"HTTP/1.1 200 OK\r\n\r\n" + _PORTAL),
    "is a portal with 403": sending(response(_PORTAL, "403 Forbidden", kind="html")),
    "is a portal with 511": sending(response(_PORTAL, "511 X", kind="html")),
    "wants the proxy's password": sending(response(b"", "407 X", "Proxy-Authenticate: Basic")),
    "wants a certificate": sending(response(b"", "496 X")),
    "refuses the token": sending(response(b"", "401 Unauthorized", 'WWW-Authenticate: Bearer x="')),
    "asks to wait for ever": sending(response(b"", "429 X", "Retry-After: 99999999999")),
    "is not there": sending(response(b"", "503 X")),
    "is wrong inside": sending(response(b"\xff\xfe", "500 X")),
}
#: What takes little room on the way.
BOMBS: Final[dict[str, Script]] = {
    "gzip of 200 MiB": packed(lambda: zeros(200), "gzip"),
    "gzip of 200 MiB with 302": packed(lambda: zeros(200), "gzip", status="302 Found"),
    "gzip of 200 MiB with 429": packed(lambda: zeros(200), "gzip", status="429 Too Many"),
    "gzip of 200 MiB with 500": packed(lambda: zeros(200), "gzip", status="500 Server Error"),
    "gzip of gzip": packed(twice, "gzip"),
    "gzip of gzip that says so": packed(twice, "gzip, gzip"),
    "gzip of gzip in two headers": packed(twice, "gzip", "gzip"),
    "gzip after gzip": packed(lambda: zeros(1) + zeros(200), "gzip"),
    "gzip and then rubbish for ever": dripping(
        _HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}"), bytes(1 << 16)
    ),
    "gzip of nothing for ever": dripping(
        _HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10],
        b"\x00\x00\x00\xff\xff" * 13_000,
    ),
    "deflate": packed(lambda: zlib.compress(bytes(8 * MIB), 9), "deflate"),
    "raw deflate": packed(lambda: zlib.compress(bytes(8 * MIB), 9)[2:-4], "deflate"),
    "br": packed(lambda: bytes(range(256)) * 40, "br"),
    "zstd": packed(lambda: b"\x28\xb5\x2f\xfd" + bytes(4000), "zstd"),
    "compress": packed(lambda: b"\x1f\x9d" + bytes(4000), "compress"),
    "no gzip at all": packed(lambda: b"no gzip", "gzip"),
    "gzip that is cut": packed(lambda: gzip.compress(_PAGE)[:-6], "gzip"),
    "plain bytes for ever": dripping(_HEAD + b"\r\n", b" " * (1 << 16)),
    "plain bytes for ever with 400": dripping(b"HTTP/1.1 400 X\r\n\r\n", b" " * (1 << 16)),
    "rows that say nothing": packed(nobodies, "gzip"),
}
#: JSON that is none, or makes no sense as a page.
PAGES: Final[dict[str, Script]] = {
    "cut": _page(_PAGE[:-9]),
    "no page": _page(b"[]"),
    "no list": _page(b'{"value":5}'),
    "null": _page(b'{"value":null}'),
    "two lists": _page(b'{"value":[' + ROW + b'],"value":[]}'),
    "a row that is none": _page(b'{"value":[null]}'),
    "no key": _row(b'"@odata.etag":"1","name":"A"'),
    "no version": _row(b'"accountid":"bbbbbbbb-0000-4000-8000-000000000001","name":"A"'),
    "a key of another type": _row(b'"@odata.etag":"1","accountid":5,"name":"A"'),
    "a version with a line end": _row(_KEYED.replace(b"W/", b"W\\r\\nX: y/") + b',"name":"A"'),
    "wrong types": _row(_KEYED + b',"name":["A"]'),
    "duplicate keys": _row(_KEYED + b"," + _KEYED + b',"name":"A"'),
    "NaN": _row(_KEYED + b',"name":NaN'),
    "a lone surrogate": _row(_KEYED + rb',"name":"\ud800"'),
    "no UTF-8": _row(_KEYED + b',"name":"\xff\xfe"'),
    "UTF-16": _page(_PAGE.decode().encode("utf-16")),
    "a byte order mark": _page(b"\xef\xbb\xbf" + _PAGE),
    "an integer beyond 64 bits": _page(b'{"value":[],"@odata.nextLink":18446744073709551616}'),
    "deep nesting": _page(b'{"value":[],"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "two next links": _page(b'{"value":[],"@odata.nextLink":"a","@odata.nextLink":"b"}'),
    "no delta link": _page(_PAGE),
}
LINKS: Final[dict[str, Script]] = {
    "a next link to the same page": linking("nextLink", _again),
    "a next link to another port": linking("nextLink", lambda _: "http://127.0.0.1:1/api/data/"),
    "a delta link to another host": linking(
        "deltaLink", lambda _: "https://evil.example/api/data/"
    ),
    "a next link that is too long": linking("nextLink", lambda asked: _again(asked) + "x" * 70_000),
}
EVERY: Final[dict[str, Script]] = CONNECTION | STRANGERS | BOMBS | PAGES | LINKS
