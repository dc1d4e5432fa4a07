"""Images: base64 in rows, thumbnails, full images, and what is no image."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import TYPE_CHECKING

import pytest

from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.images import image_type, thumbnail

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

ID = "0a0a0a0a-0000-4000-8000-000000000001"
IMAGE = f"accounts({ID})/entityimage"


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\x00" + b"\x10" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


SMALL, LARGE = png(40, 30), png(300, 200)


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def test_a_small_image_is_its_own_thumbnail(client: Client) -> None:
    await client.create("accounts", {"accountid": ID, "entityimage": text(SMALL)})
    row = (await client("GET", f"accounts({ID})")).json
    assert row["entityimage"] == text(SMALL)
    assert row["entityimage_timestamp"] > 600_000_000_000_000_000
    assert row["entityimage_url"] == (
        f"/Image/download.aspx?Entity=account&Attribute=entityimage&Id={row['entityimageid']}"
        f"&Timestamp={row['entityimage_timestamp']}"
    )


async def test_a_large_image_has_another_thumbnail(client: Client) -> None:
    await client.create("accounts", {"accountid": ID})
    before = (await client("GET", f"accounts({ID})")).json["@odata.etag"]
    patched = await client("PATCH", f"accounts({ID})", {"entityimage": text(LARGE)})
    assert patched.status == 204
    row = (await client("GET", f"accounts({ID})")).json
    shown = base64.b64decode(row["entityimage"])
    assert struct.unpack_from(">II", shown, 16) == (144, 144)
    assert row["@odata.etag"] != before
    thumb = await client("GET", IMAGE)
    assert base64.b64decode(thumb.json["value"]) == shown
    assert "x-ms-file-size" not in thumb.headers
    full = await client("GET", f"{IMAGE}?size=full")
    assert base64.b64decode(full.json["value"]) == LARGE
    assert full.headers["x-ms-file-size"] == str(len(LARGE))


async def test_an_image_is_uploaded_as_a_file_is(client: Client) -> None:
    await client.create("accounts", {"accountid": ID})
    done = await client("PATCH", IMAGE, data=LARGE, x_ms_file_name="logo.png")
    assert done.status == 204
    full = await client("GET", f"{IMAGE}?size=full")
    assert full.headers["x-ms-file-name"] == "logo.png"
    begun = await client("PATCH", f"{IMAGE}?x-ms-file-name=a.png", x_ms_transfer_mode="chunked")
    span = f"bytes 0-{len(SMALL) - 1}/{len(SMALL)}"
    location = begun.headers["Location"]
    assert (await client("PATCH", location, data=SMALL, Content_Range=span)).status == 204
    assert (await client("GET", f"accounts({ID})")).json["entityimage"] == text(SMALL)
    assert len((await client("GET", "fileattachments")).value) == 1


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PATCH", f"accounts({ID})", {"entityimage": None}),
        ("PUT", IMAGE, {"value": None}),
        ("DELETE", IMAGE, None),
    ],
)
async def test_an_image_is_taken_away(
    client: Client, method: str, target: str, body: object
) -> None:
    await client.create("accounts", {"accountid": ID, "entityimage": text(SMALL)})
    assert (await client(method, target, body)).status == 204
    row = (await client("GET", f"accounts({ID})")).json
    names = ("entityimage", "entityimageid", "entityimage_url", "entityimage_timestamp")
    assert [row[name] for name in names] == [None] * 4
    assert (await client("GET", f"{IMAGE}/$value")).status == 204
    assert (await client("GET", "fileattachments")).value == []


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("QUJD", "0x80072553"),
        ("no base64!", "0x80048d19"),
        (5, "0x80048d19"),
    ],
)
async def test_what_is_no_image_is_refused(client: Client, value: object, code: str) -> None:
    await client.create("accounts", {"accountid": ID})
    answer = await client("PATCH", f"accounts({ID})", {"entityimage": value})
    assert (answer.status, answer.code) == (400, code)
    uploaded = await client("PATCH", IMAGE, data=b"no image", x_ms_file_name="a.png")
    assert uploaded.code == "0x80072553"
    assert (await client("GET", f"accounts({ID})")).json["entityimage"] is None


async def test_too_large_an_image_is_refused(client: Client) -> None:
    await client.create("accounts", {"accountid": ID})
    content = SMALL + b"x" * 11_000_000
    answer = await client("PATCH", IMAGE, data=content, x_ms_file_name="a.png")
    assert (answer.status, answer.code) == (400, "0x80072553")


async def test_only_the_primary_image_comes_with_a_new_row(
    client: Client, dataverse: Dataverse
) -> None:
    for column in c.image("new_Photo"):
        dataverse.add_column("account", column)
    answer = await client("POST", "accounts", {"new_photo": text(SMALL)})
    assert (answer.status, answer.code) == (400, "0x80090487")
    await client.create("accounts", {"accountid": ID})
    assert (await client("PATCH", f"accounts({ID})", {"new_photo": text(SMALL)})).status == 204


@pytest.mark.parametrize(
    ("content", "kind", "own"),
    [
        (b"GIF89a" + struct.pack("<HH", 10, 10) + b"\x00" * 9, "image/gif", True),
        (b"GIF89a" + struct.pack("<HH", 145, 10) + b"\x00" * 9, "image/gif", False),
        (b"BM" + b"\x00" * 16 + struct.pack("<ii", 100, -100), "image/bmp", True),
        (
            b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08"
            + struct.pack(">HH", 20, 30)
            + b"\x00",
            "image/jpeg",
            True,
        ),
        (b"\xff\xd8\xff", "image/jpeg", False),
        (b"II*\x00", "image/tiff", False),
        (b"BM", "image/bmp", False),
    ],
)
def test_a_format_tells_type_and_size(content: bytes, kind: str, *, own: bool) -> None:
    assert image_type(content) == kind
    assert (thumbnail(content) == content) is own
