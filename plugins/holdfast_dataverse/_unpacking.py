"""The body of an answer, unpacked as it comes.

Invariant: a body is never larger in memory than its limit, however small it travelled, and no more
bytes of it are read than that.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

import aiohttp

from holdfast.errors import ProtocolError
from holdfast_dataverse._answers import legible
from holdfast_dataverse._crowds import TooLarge

_MEBIBYTE: Final = 1 << 20
_LARGEST_PAGE: Final = 64 * _MEBIBYTE
_LARGEST_ERROR: Final = 1 * _MEBIBYTE
_CHUNK: Final = 1 << 16
#: How much is unpacked at a time; a packed chunk may hold a thousand times its size.
_SLICE: Final = 1 * _MEBIBYTE


async def read_body(response: aiohttp.ClientResponse, headers: Mapping[str, str]) -> bytes:
    """Return the body of an answer; ``headers`` are its own, with lower-case names.

    :raises TooLarge: it exceeds its limit
    :raises ProtocolError: it is packed in a way that was not asked for
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
            raise ProtocolError(
                f"the answer is packed as {legible(encoding)[:20]!r}, which was not allowed; "
                "something on the way packs what it should not, ask an administrator"
            )
    async for chunk in response.content.iter_chunked(_CHUNK):
        sink.feed(chunk)
    return sink.whole()


class _Limit:
    """Counts bytes up to a limit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.reached = 0

    def count(self, chunk: bytes) -> None:
        """Count a chunk."""
        self.reached += len(chunk)
        if self.reached > self._most:
            raise TooLarge(
                f"the answer is larger than {self._most // _MEBIBYTE} MiB; ask for smaller pages"
            )


class _Plain:
    """Collects a body up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = _Limit(limit)
        self._kept = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take a chunk."""
        self._limit.count(chunk)
        self._kept += chunk

    def whole(self) -> bytes:
        """Return the body."""
        return bytes(self._kept)


class _Gunzip:
    """Unpacks a body, never further than the limit."""

    def __init__(self, limit: int) -> None:
        self._plain = _Plain(limit)
        self._packed = _Limit(limit)  # what unpacks to nothing could go on for ever
        self._inflate = zlib.decompressobj(wbits=31)

    def feed(self, chunk: bytes) -> None:
        """Take a packed chunk."""
        self._packed.count(chunk)
        unpacked = self._inflate.decompress(chunk, _SLICE)
        self._plain.feed(unpacked)
        while len(unpacked) == _SLICE:  # there may be more, even if no packed bytes are left
            unpacked = self._inflate.decompress(self._inflate.unconsumed_tail, _SLICE)
            self._plain.feed(unpacked)
        if self._inflate.unused_data:
            raise zlib.error("more after the end")

    def whole(self) -> bytes:
        """Return the body."""
        if self._packed.reached and not self._inflate.eof:
            raise zlib.error("cut short")
        return self._plain.whole()
