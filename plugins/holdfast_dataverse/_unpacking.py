"""The body of an answer, unpacked as it comes.

Invariant: a body is never larger in memory than its limit, however small it travelled.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

import aiohttp

from holdfast.errors import ProtocolError

_MEBIBYTE: Final = 1 << 20
_LARGEST_PAGE: Final = 64 * _MEBIBYTE
_LARGEST_ERROR: Final = 1 * _MEBIBYTE
_CHUNK: Final = 1 << 16


async def read_body(response: aiohttp.ClientResponse, headers: Mapping[str, str]) -> bytes:
    """Return the body of an answer; ``headers`` are its own, with lower-case names.

    :raises ProtocolError: it is too large, or packed in a way that was not asked for
    :raises zlib.error: it is cut short or garbled
    """
    limit = _LARGEST_ERROR if response.status >= 400 else _LARGEST_PAGE
    encoding = headers.get("content-encoding", "identity").strip().lower()
    match encoding:
        case "identity" | "":
            sink: _Plain | _Gunzip = _Plain(limit)
        case "gzip":
            sink = _Gunzip(limit)
        case _:
            raise ProtocolError(f"the answer is packed as {encoding[:20]!r}, which was not allowed")
    async for chunk in response.content.iter_chunked(_CHUNK):
        sink.feed(chunk)
    return sink.whole()


class _Plain:
    """Collects a body up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take a chunk."""
        self._kept += chunk
        if len(self._kept) > self._limit:
            raise ProtocolError(
                f"the answer is larger than {self._limit // _MEBIBYTE} MiB; ask for smaller pages"
            )

    def whole(self) -> bytes:
        """Return the body."""
        return bytes(self._kept)


class _Gunzip:
    """Unpacks a body, never further than the limit."""

    def __init__(self, limit: int) -> None:
        self._plain = _Plain(limit)
        self._limit = limit
        self._size = 0
        self._began = False
        self._inflate = zlib.decompressobj(wbits=31)

    def feed(self, chunk: bytes) -> None:
        """Take a packed chunk."""
        self._began = True
        unpacked = self._inflate.decompress(chunk, self._limit + 1 - self._size)
        self._size += len(unpacked)
        self._plain.feed(unpacked)

    def whole(self) -> bytes:
        """Return the body."""
        if self._began and (not self._inflate.eof or self._inflate.unused_data):
            raise zlib.error("cut short")
        return self._plain.whole()
