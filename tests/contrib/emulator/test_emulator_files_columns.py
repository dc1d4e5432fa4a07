"""Files in columns: whole, in parts, by range; what fails leaves the file before."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from holdfast_emulator import Dataverse, Depth, SqliteRows
from holdfast_emulator.behaviour.files import Place

if TYPE_CHECKING:
    from contrib.emulator.conftest import Answer, Client

ID = "0a0a0a0a-0000-4000-8000-000000000001"
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"
FILE = f"accounts({ID})/new_contract"
BLOCK = 4 * 1024 * 1024
NOW = datetime(2026, 3, 1, tzinfo=UTC)
BINARY = "application/octet-stream"


@pytest.fixture(autouse=True)
async def account(client: Client) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})


class Raw:
    """Sends and returns bytes."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(
        self, method: str, target: str, data: bytes = b"", **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Authorization"] = "Bearer demo-token"
        url = target if target.startswith("http") else self.client.root + target
        async with self.client.session.request(
            method, URL(url, encoded=True), data=data, headers=named
        ) as reply:
            return reply.status, await reply.read(), dict(reply.headers)


@pytest.fixture
def raw(client: Client) -> Raw:
    return Raw(client)


async def upload(client: Client, content: bytes, name: str = "a.txt") -> Answer:
    return await client(
        "PATCH",
        FILE,
        data=content,
        Content_Type=BINARY,
        x_ms_file_name=name,
        If_None_Match="null",
    )


async def begin(client: Client, name: str = "a.txt") -> str:
    answer = await client(
        "PATCH", f"{FILE}?x-ms-file-name={name}", data=b"", x_ms_transfer_mode="chunked"
    )
    assert (answer.status, answer.text) == (200, "")
    assert answer.headers["x-ms-chunk-size"] == str(BLOCK)
    return answer.headers["Location"]


async def send(client: Client, location: str, content: bytes, span: str) -> Answer:
    return await client(
        "PATCH",
        location,
        data=content,
        Content_Type=BINARY,
        Content_Range=f"bytes {span}",
    )


async def row(client: Client) -> dict[str, object]:
    answer = await client("GET", f"accounts({ID})?$select=new_contract,new_contract_name")
    found: dict[str, object] = answer.json
    return found


async def test_a_file_goes_up_whole_and_comes_down_whole(client: Client, raw: Raw) -> None:
    before = await row(client)
    content = bytes(range(256)) * 20
    assert (await upload(client, content, "bytes.bin")).status == 204
    after = await row(client)
    assert after["new_contract_name"] == "bytes.bin"
    assert isinstance(after["new_contract"], str)
    assert after["@odata.etag"] != before["@odata.etag"]
    status, body, headers = await raw("GET", f"{FILE}/$value")
    assert (status, body) == (200, content)
    assert headers["x-ms-file-name"] == "bytes.bin"
    assert headers["x-ms-file-size"] == str(len(content))
    read = await client("GET", FILE)
    assert base64.b64decode(read.json["value"]) == content


async def test_the_row_of_the_file_tells_of_it(client: Client) -> None:
    await upload(client, b"abc", "a.pdf")
    (file,) = (await client("GET", "fileattachments")).value
    assert file["fileattachmentid"] == (await row(client))["new_contract"]
    assert (file["filename"], file["mimetype"]) == ("a.pdf", "application/pdf")
    assert (file["filesizeinbytes"], file["_objectid_value"]) == (3, ID)
    assert "storagepointer" not in file
    for method, target, body in (
        ("POST", "fileattachments", {"filename": "x"}),
        ("PATCH", f"fileattachments({file['fileattachmentid']})", {"filename": "x"}),
        ("DELETE", f"fileattachments({file['fileattachmentid']})", None),
    ):
        assert (await client(method, target, body)).code == "0x80040800"


async def test_a_file_in_parts_is_seen_when_it_is_whole(client: Client, raw: Raw) -> None:
    await upload(client, b"before", "before.txt")
    content = b"x" * BLOCK + b"y" * 10
    location = await begin(client, "big%20f%C3%BCr.txt")
    total = len(content)
    assert (await send(client, location, content[:BLOCK], f"0-{BLOCK - 1}/{total}")).status == 206
    assert (await row(client))["new_contract_name"] == "before.txt"
    last = await send(client, location, content[BLOCK:], f"{BLOCK}-{total - 1}/{total}")
    assert last.status == 204
    assert (await row(client))["new_contract_name"] == "big für.txt"
    status, body, headers = await raw("GET", f"{FILE}/$value", Range=f"bytes={BLOCK - 2}-")
    assert (status, body) == (206, b"xx" + b"y" * 10)
    assert headers["Content-Range"] == f"bytes {BLOCK - 2}-{total - 1}/{total}"
    assert headers["x-ms-file-name"] == "big f%C3%BCr.txt"
    assert len((await client("GET", "fileattachments")).value) == 1


@pytest.mark.parametrize(
    ("content", "span"),
    [
        (b"abc", "1-3/10"),  # the first bytes are missing
        (b"abc", "0-3/10"),  # fewer than it says
        (b"abc", "0-2/2"),  # beyond the end
        (b"", "0--1/10"),
        (b"abc", "0-2/999999999999"),  # larger than the column allows
        (b"abc", "items 0-2/3"),
        (b"abc", "0-2/*"),
        (b"x" * (BLOCK + 1), f"0-{BLOCK}/{BLOCK + 10}"),
    ],
)
async def test_a_part_that_does_not_fit_is_refused(
    client: Client, content: bytes, span: str
) -> None:
    location = await begin(client)
    assert (await send(client, location, content, span)).status == 400
    assert (await send(client, location, b"whole", "0-4/5")).status == 204


async def test_parts_come_in_order_and_once(client: Client, raw: Raw) -> None:
    location = await begin(client)
    assert (await send(client, location, b"0123", "0-3/10")).status == 206
    for content, span in ((b"0123", "0-3/10"), (b"89", "8-9/10"), (b"34", "3-4/10")):
        assert (await send(client, location, content, span)).code == "0x80040203"
    assert (await send(client, location, b"45", "4-5/11")).status == 400
    assert (await send(client, location, b"456789", "4-9/10")).status == 204
    assert (await raw("GET", f"{FILE}/$value"))[1] == b"0123456789"
    assert (await send(client, location, b"456789", "4-9/10")).status == 400
    assert (await send(client, location, b"", "10-9/10")).status == 204  # as DynamicsWebApi does


async def test_a_session_belongs_to_its_column_and_its_user(client: Client) -> None:
    other = await client.create("accounts", {"name": "B"})
    location = await begin(client)
    token = location.partition("sessiontoken=")[2]
    for target in (f"accounts({other})/new_contract", f"accounts({ID})/entityimage"):
        answer = await send(client, f"{target}?sessiontoken={token}", b"a", "0-0/1")
        assert answer.status == 400
    answer = await client(
        "PATCH", location, data=b"a", token="office-token", Content_Range="bytes 0-0/1"
    )
    assert answer.status == 400
    assert (await send(client, f"{FILE}?sessiontoken={MISSING}", b"a", "0-0/1")).status == 400


async def test_a_part_may_repeat_how_it_is_transferred(client: Client) -> None:
    location = await begin(client)
    answer = await client(
        "PATCH", location, data=b"a", Content_Range="bytes 0-0/1", x_ms_transfer_mode="chunked"
    )
    assert answer.status == 204


async def test_an_upload_to_a_row_that_went_ends(client: Client) -> None:
    location = await begin(client)
    await client("DELETE", f"accounts({ID})")
    assert (await send(client, location, b"a", "0-0/1")).status == 400
    assert (await client("GET", "fileattachments")).value == []


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=8-100", 206, b"89"),
        ("bytes=-3", 206, b"789"),
        ("bytes=4-", 206, b"456789"),
        ("bytes=10-20", 416, None),
        ("bytes=11-", 416, None),
        ("bytes=4-2", 416, None),
        ("bytes=a-b", 400, None),
        ("bytes=0-1,3-4", 400, None),
        ("bytes=-", 400, None),
    ],
)
async def test_a_range_is_what_comes(
    client: Client, raw: Raw, wanted: str, status: int, content: bytes | None
) -> None:
    await upload(client, b"0123456789")
    answered, body, _ = await raw("GET", f"{FILE}/$value", Range=wanted)
    assert answered == status
    assert content is None or body == content


async def test_a_download_goes_on_where_the_location_says(client: Client) -> None:
    await upload(client, b"0123456789")
    first = await client("GET", f"{FILE}?size=full", Range="bytes=0-4")
    assert (first.status, base64.b64decode(first.json["value"])) == (206, b"01234")
    assert first.headers["x-ms-file-size"] == "10"
    location = first.headers["Location"]
    assert "FileContinuationToken=" in location
    second = await client("GET", location, Range="bytes=5-9")
    assert base64.b64decode(second.json["value"]) == b"56789"
    past = await client("GET", location, Range="bytes=10-14")
    assert (past.status, past.json["value"]) == (206, "")
    await upload(client, b"another")
    assert (await client("GET", location, Range="bytes=5-9")).status == 400


async def test_an_empty_column_has_no_content(client: Client) -> None:
    for target in (FILE, f"{FILE}/$value", f"{FILE}?size=full"):
        assert (await client("GET", target)).status == 204
    assert (await client("DELETE", FILE)).status == 204
    assert (await client("GET", f"accounts({MISSING})/new_contract")).status == 404


async def test_deleting_a_file_empties_the_column(client: Client, dataverse: Dataverse) -> None:
    for method, target in (("DELETE", FILE), ("POST", "DeleteFile")):
        await upload(client, b"abc")
        body = {"FileId": (await row(client))["new_contract"]} if method == "POST" else None
        assert (await client(method, target, body)).status == 204
        found = await row(client)
        assert (found["new_contract"], found["new_contract_name"]) == (None, None)
        assert (await client("GET", "fileattachments")).value == []
    assert dataverse._store.count("fileblock") == 0


async def test_a_row_takes_its_files_along(client: Client, dataverse: Dataverse) -> None:
    await upload(client, b"abc")
    assert dataverse._store.count("fileblock") == 1
    assert (await client("DELETE", f"accounts({ID})")).status == 204
    assert dataverse._store.count("fileattachment") == dataverse._store.count("fileblock") == 0


async def test_a_transaction_that_fails_leaves_the_file_before(
    client: Client, dataverse: Dataverse, raw: Raw
) -> None:
    await upload(client, b"before")
    place = dataverse.metadata.tables["account"]
    user = dataverse.security.users()[0]
    held = Place(place, ID, place.by_name["new_contract"])

    def fail() -> None:
        with dataverse.transaction():
            dataverse.files.upload(user, held, "b.txt", BINARY, b"after")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (await raw("GET", f"{FILE}/$value"))[1] == b"before"
    assert dataverse._store.count("fileblock") == 1


async def test_files_obey_the_rights_on_their_row(client: Client, dataverse: Dataverse) -> None:
    await upload(client, b"abc")
    office = dataverse.security.user_of("office-token")
    assert office
    dataverse.security.limit(office, "account", Depth.BASIC)
    for method, target in (("GET", FILE), ("GET", f"{FILE}/$value"), ("DELETE", FILE)):
        assert (await client(method, target, token="office-token")).status == 403
    answer = await client(
        "PATCH", FILE, data=b"x", token="office-token", x_ms_file_name="x", Content_Type=BINARY
    )
    assert answer.status == 403


async def test_a_hidden_column_hides_its_file(client: Client, dataverse: Dataverse) -> None:
    await upload(client, b"abc")
    office = dataverse.security.user_of("office-token")
    assert office
    dataverse.secure("account", "new_contract", hidden_from=office)
    assert (await client("GET", FILE, token="office-token")).status == 204
    answer = await client("PATCH", FILE, data=b"x", token="office-token", x_ms_file_name="x")
    assert answer.code == "0x8004f507"


async def test_conditions_on_the_row_are_honoured(client: Client) -> None:
    etag = str((await row(client))["@odata.etag"])
    head = {"x_ms_file_name": "a", "Content_Type": BINARY}
    assert (await client("PATCH", FILE, data=b"a", If_Match=etag, **head)).status == 204
    stale = await client("PATCH", FILE, data=b"b", If_Match=etag, **head)
    assert (stale.status, stale.code) == (412, "0x80060882")
    assert (await client("DELETE", FILE, If_Match=etag)).status == 412
    assert (await client("PATCH", FILE, data=b"b", If_Match="*", **head)).status == 204


@pytest.mark.parametrize(
    ("method", "target", "headers", "code"),
    [
        ("PATCH", FILE, {}, "0x80060888"),  # without a name
        ("PATCH", f"{FILE}?x-ms-file-name={'n' * 256}", {}, "0x80040203"),
        ("PATCH", f"{FILE}?$select=name", {}, "0x80060888"),
        ("GET", f"{FILE}?size=huge", {}, "0x80060888"),
        ("PATCH", f"accounts({MISSING})/new_contract?x-ms-file-name=a", {}, "0x80040217"),
        ("POST", FILE, {}, "0x80004001"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    client: Client, method: str, target: str, headers: dict[str, str], code: str
) -> None:
    assert (await client(method, target, data=b"a", **headers)).code == code


async def test_a_file_is_no_value_of_a_row(client: Client) -> None:
    for value in (MISSING, None, 5):
        answer = await client("PATCH", f"accounts({ID})", {"new_contract": value})
        assert (answer.status, answer.code) == (400, "0x80040203")


async def test_too_large_a_file_is_refused(client: Client) -> None:
    answer = await upload(client, b"x" * (33 * 1024 * 1024))
    assert (answer.status, answer.code) == (400, "0x80044a02")


async def test_a_name_cannot_break_a_header(client: Client) -> None:
    target = f"{FILE}?x-ms-file-name=a%0d%0aX-Evil%3a%201%22.txt"
    url = client.root + target
    assert (await client("PATCH", url, data=b"a", Content_Type=BINARY)).status == 204
    answer = await client("GET", FILE)
    assert answer.headers["x-ms-file-name"] == "a%0D%0AX-Evil%3A 1%22.txt"
    assert "X-Evil" not in answer.headers


async def test_a_file_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "rows.db"
    first = Dataverse(lambda: NOW, rows=SqliteRows(path))
    table = first.metadata.tables["account"]
    first.create(first.system, "account", {"accountid": ID})
    held = Place(table, ID, table.by_name["new_contract"])
    first.files.upload(first.system, held, "a.txt", "text/plain", b"kept" * BLOCK)
    first.close()
    second = Dataverse(lambda: NOW, rows=SqliteRows(path))
    found = second.files.of_row(
        second.retrieve(second.system, "account", ID), table.by_name["new_contract"]
    )
    assert found
    assert second.files.read(found, BLOCK - 2, BLOCK + 2) == b"ptke"
    assert found.size == 4 * BLOCK
    second.close()


@pytest.mark.parametrize("whole_table", [False, True])
async def test_a_file_goes_with_its_column(client: Client, *, whole_table: bool) -> None:
    def said(text: str) -> dict[str, object]:
        return {"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]}

    name = {
        "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata",
        "SchemaName": "new_Name",
        "DisplayName": said("Name"),
        "IsPrimaryName": True,
    }
    table = {
        "SchemaName": "new_Case",
        "DisplayName": said("Case"),
        "DisplayCollectionName": said("Cases"),
        "OwnershipType": "UserOwned",
        "Attributes": [name],
    }
    made = await client("POST", "EntityDefinitions", table)
    assert made.status == 204, made.text
    target = "EntityDefinitions(LogicalName='new_case')"
    kind = "Microsoft.Dynamics.CRM.FileAttributeMetadata"
    column = {"@odata.type": kind, "SchemaName": "new_Scan", "DisplayName": said("Scan")}
    assert (await client("POST", f"{target}/Attributes", column)).status == 204
    row = await client.create("new_cases", {"new_name": "A"})
    sent = {"Content_Type": BINARY, "x_ms_file_name": "a.txt"}
    done = await client("PATCH", f"new_cases({row})/new_scan", data=b"holdfast", **sent)
    assert done.status == 204, done.text
    assert (await upload(client, b"stays")).status == 204
    gone = target if whole_table else f"{target}/Attributes(LogicalName='new_scan')"
    assert (await client("DELETE", gone)).status == 204
    left = (await client("GET", "fileattachments?$select=regardingfieldname")).value
    assert [file["regardingfieldname"] for file in left] == ["new_contract"]
