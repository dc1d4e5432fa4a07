"""Files through actions: blocks up, blocks down."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contrib.emulator.conftest import Answer, Client

ID = "0a0a0a0a-0000-4000-8000-000000000001"
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"
TARGET = {"accountid": ID, "@odata.type": "Microsoft.Dynamics.CRM.account"}
WHERE = {"Target": TARGET, "FileAttributeName": "new_contract"}


@pytest.fixture(autouse=True)
async def account(client: Client) -> None:
    await client.create("accounts", {"accountid": ID})


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def begin(client: Client) -> str:
    answer = await client("POST", "InitializeFileBlocksUpload", {**WHERE, "FileName": "a.pdf"})
    assert answer.status == 200, answer.text
    assert answer.json["@odata.context"].endswith("InitializeFileBlocksUploadResponse")
    return str(answer.json["FileContinuationToken"])


async def block(client: Client, token: str, name: str, content: bytes) -> Answer:
    body = {"BlockId": name, "BlockData": text(content), "FileContinuationToken": token}
    return await client("POST", "UploadBlock", body)


async def commit(client: Client, token: str, blocks: list[str]) -> Answer:
    body = {"FileName": "b.pdf", "MimeType": "application/pdf", "BlockList": blocks}
    return await client("POST", "CommitFileBlocksUpload", {**body, "FileContinuationToken": token})


async def test_blocks_make_a_file_in_the_order_of_the_list(client: Client) -> None:
    token = await begin(client)
    one, two, unused = text(b"block-1"), text(b"block-2"), text(b"block-3")
    for name, content in ((two, b"world"), (one, b"hallo"), (one, b"hello "), (unused, b"!")):
        assert (await block(client, token, name, content)).status == 204
    row = f"accounts({ID})?$select=new_contract,new_contract_name"
    assert (await client("GET", row)).json["new_contract"] is None
    done = await commit(client, token, [one, two])
    assert (done.status, done.json["FileSizeInBytes"]) == (200, 11)
    found = (await client("GET", row)).json
    assert (found["new_contract"], found["new_contract_name"]) == (done.json["FileId"], "b.pdf")
    begun = await client("POST", "InitializeFileBlocksDownload", WHERE)
    assert (begun.json["FileSizeInBytes"], begun.json["FileName"]) == (11, "b.pdf")
    assert begun.json["IsChunkingSupported"] is True
    asked = {"FileContinuationToken": begun.json["FileContinuationToken"]}
    part = await client("POST", "DownloadBlock", {**asked, "Offset": 6, "BlockLength": 3})
    assert base64.b64decode(part.json["Data"]) == b"wor"
    beyond = await client("POST", "DownloadBlock", {**asked, "Offset": 12, "BlockLength": 3})
    assert beyond.status == 400
    assert (await client("POST", "DeleteFile", {"FileId": found["new_contract"]})).status == 204
    assert (await client("POST", "DownloadBlock", {**asked, "Offset": 0})).status == 400
    assert (await client("POST", "DeleteFile", {"FileId": MISSING})).status == 404


async def test_blocks_that_make_no_file_are_refused(client: Client) -> None:
    token = await begin(client)
    one = text(b"block-1")
    assert (await block(client, token, "no base64", b"x")).status == 400
    assert (await block(client, token, text(b"x" * 65), b"x")).status == 400
    assert (await block(client, token, one, b"")).status == 400
    assert (await block(client, "nothing", one, b"x")).status == 400
    assert (await block(client, token, one, b"x")).status == 204
    assert (await block(client, token, text(b"longer name"), b"x")).status == 400
    assert (await commit(client, token, [text(b"block-9")])).status == 400
    assert (await commit(client, token, [one])).status == 200
    assert (await commit(client, token, [one])).status == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**WHERE, "FileName": 5},
        {**WHERE, "FileName": None},
        {**WHERE, "FileName": "a", "Nonsense": 1},
        {**WHERE, "FileName": "a", "FileAttributeName": "name"},
        {**WHERE, "FileName": "a", "Target": []},
        {**WHERE, "FileName": "a", "Target": {"accountid": ID}},
        {**WHERE, "FileName": "a", "Target": {"@odata.type": "Microsoft.Dynamics.CRM.account"}},
        {**WHERE, "FileName": "a", "Target": {**TARGET, "accountid": "x"}},
        {**WHERE, "FileName": "a", "Target": {**TARGET, "accountid": [1]}},
        {**WHERE, "FileName": "a", "Target": {"@odata.id": "accounts"}},
        {**WHERE, "FileName": "x" * 300},
    ],
)
async def test_an_upload_that_makes_no_sense_is_refused(client: Client, body: object) -> None:
    assert (await client("POST", "InitializeFileBlocksUpload", body)).status == 400


async def test_what_is_not_there_is_not_found(client: Client) -> None:
    answer = await client("POST", "InitializeFileBlocksDownload", WHERE)
    assert (answer.status, answer.code) == (404, "0x80040217")
    body = {**WHERE, "Target": {**TARGET, "accountid": MISSING}, "FileName": "a"}
    assert (await client("POST", "InitializeFileBlocksUpload", body)).status == 404
