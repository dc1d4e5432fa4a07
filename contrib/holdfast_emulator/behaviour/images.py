"""Images in rows: which bytes are one, how large it is, and its thumbnail.

Invariant: what is stored as an image begins as one of the five formats does. A thumbnail is never
larger than 144 by 144: an image that fits is its own, of any other it is a plain grey square.
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.file_tables import most_bytes
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition, metadata_id

_SIDE: Final = 144
#: A thumbnail is part of every row that is read.
_MOST_THUMBNAIL_BYTES: Final = 64 * 1024
_YEAR_ONE: Final = datetime(1, 1, 1)  # noqa: DTZ001  ticks count from a date without a zone
_Size: TypeAlias = tuple[int, int] | None


def image_bytes(table: TableDefinition, column: ColumnDefinition, value: object) -> bytes:
    """Return the image that a client sends as base64.

    :raises DataverseFault: 400, it is no base64, no image, or too large
    """
    try:
        if not isinstance(value, str):
            raise ValueError  # noqa: TRY301  told below, as all else that is no base64
        content = b64decode(value, validate=True)
    except (Error, ValueError):
        raise faults.bad_payload(
            table.entity_set,
            f"Cannot convert the value of '{column.name}' to the expected type 'Edm.Binary'.",
        ) from None
    check_image(table, column, content)
    return content


def check_image(table: TableDefinition, column: ColumnDefinition, content: bytes) -> None:
    """Refuse what is no image, or too large for the column.

    :raises DataverseFault: 400
    """
    if len(content) > most_bytes(column):
        raise faults.image_refused(
            f"File size is too big. MaxSize: {most_bytes(column) >> 20} MB, "
            f"Uploaded filesize: {len(content) >> 20} MB."
        )
    if image_type(content) is None:
        raise faults.image_refused(
            f"Update image properties failed for logicalName: {table.name}, "
            f"attribute: {column.name}"
        )


def check_created_image(table: TableDefinition, column: ColumnDefinition) -> None:
    """Refuse an image that a new row cannot bring: any but the primary one of its table.

    :raises DataverseFault: 400
    """
    if column.type is ColumnType.IMAGE and table.primary_image != column.name:
        raise faults.DataverseFault(
            400,
            faults.NOT_THE_PRIMARY_IMAGE,
            f"Non-primary image attribute {column.name} of entity {table.name} is not allowed to "
            "upload during Create operation.",
        )


def image_type(content: bytes) -> str | None:
    """Return the media type of an image by how it begins; None for what is none."""
    for start, kind, _ in _FORMATS:
        if content.startswith(start):
            return kind
    return None


def thumbnail(content: bytes) -> bytes:
    """Return an image of at most 144 by 144."""
    for start, _, size_of in _FORMATS:
        if content.startswith(start) and len(content) <= _MOST_THUMBNAIL_BYTES:
            size = size_of(content)
            return content if size and max(size) <= _SIDE else _GREY
    return _GREY


def draw_images(
    table: TableDefinition,
    draft: dict[str, Cell],
    written: Mapping[str, Cell | Reference],
    now: datetime,
) -> None:
    """Derive what a row shows of the images written to it: thumbnail, id, time and address."""
    for column in written_images(table, written):
        value = written[column.name]
        shown = None if value is None else b64encode(thumbnail(b64decode(str(value)))).decode()
        image_id = metadata_id("image", str(draft[table.primary_id]), column.name)
        ticks = _ticks(now)
        address = (
            f"/Image/download.aspx?Entity={table.name}&Attribute={column.name}"
            f"&Id={image_id}&Timestamp={ticks}"
        )
        companions: dict[str, Cell] = {"id": image_id, "_timestamp": ticks, "_url": address}
        draft[column.name] = shown
        for suffix, cell in companions.items():
            if column.name + suffix in draft:
                draft[column.name + suffix] = cell if shown else None


def written_images(
    table: TableDefinition, written: Mapping[str, Cell | Reference]
) -> Iterator[ColumnDefinition]:
    """Yield the image columns among those written."""
    for name in written:
        column = table.by_name[name]
        if column.type is ColumnType.IMAGE:
            yield column


def _ticks(now: datetime) -> int:
    """Return a moment as .NET counts it: tenths of microseconds since the year 1."""
    passed = now.replace(tzinfo=None) - _YEAR_ONE
    return (passed.days * 86_400 + passed.seconds) * 10_000_000 + passed.microseconds * 10


def _unpacked(form: str, at: int) -> Callable[[bytes], _Size]:
    """Return a reader of two numbers at a place."""

    def read(content: bytes) -> _Size:
        if len(content) < at + struct.calcsize(form):
            return None
        width, height = struct.unpack_from(form, content, at)
        return abs(width), abs(height)

    return read


def _jpeg_size(content: bytes) -> _Size:
    """Walk from segment to segment until the one that tells the size of the frame."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 + max(length, 2)
    return None


def _unknown_size(_: bytes) -> _Size:
    return None


_FORMATS: Final[tuple[tuple[bytes, str, Callable[[bytes], _Size]], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png", _unpacked(">II", 16)),
    (b"GIF87a", "image/gif", _unpacked("<HH", 6)),
    (b"GIF89a", "image/gif", _unpacked("<HH", 6)),
    (b"\xff\xd8\xff", "image/jpeg", _jpeg_size),
    (b"BM", "image/bmp", _unpacked("<ii", 18)),
    (b"II*\x00", "image/tiff", _unknown_size),
    (b"MM\x00*", "image/tiff", _unknown_size),
)


def _png(side: int, grey: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\x00" + bytes([grey]) * side) * side)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


_GREY: Final = _png(_SIDE, 0x80)
