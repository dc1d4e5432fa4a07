"""The actions for files: upload in blocks that may come in any order, download, delete.

Invariant: a token of an upload is good until the file is committed, one of a download as long as
the column holds that file; both for whoever may write or read the row.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Final

from holdfast_emulator.behaviour.custom_api import (
    ApiEntity,
    ApiParameter,
    ApiRequest,
    ApiType,
    CustomApi,
)
from holdfast_emulator.behaviour.faults import MISSING_ROW, DataverseFault, invalid_argument
from holdfast_emulator.behaviour.file_tables import FILES
from holdfast_emulator.behaviour.files import Place
from holdfast_emulator.behaviour.stored_files import StoredFile

_LONGEST_BLOCK_ID: Final = 64
_TOKEN: Final = ApiParameter("FileContinuationToken", ApiType.STRING)
_TARGET: Final = ApiParameter("Target", ApiType.ENTITY)
_COLUMN: Final = ApiParameter("FileAttributeName", ApiType.STRING)
_NAME: Final = ApiParameter("FileName", ApiType.STRING)
_SIZE: Final = ApiParameter("FileSizeInBytes", ApiType.INTEGER)


def file_apis() -> tuple[CustomApi, ...]:
    """Return the actions, to be registered."""
    return (
        CustomApi(
            "InitializeFileBlocksUpload",
            _begin_upload,
            parameters=(_TARGET, _COLUMN, _NAME),
            results=(_TOKEN,),
        ),
        CustomApi(
            "UploadBlock",
            _upload_block,
            parameters=(
                ApiParameter("BlockId", ApiType.STRING),
                ApiParameter("BlockData", ApiType.BINARY),
                _TOKEN,
            ),
        ),
        CustomApi(
            "CommitFileBlocksUpload",
            _commit,
            parameters=(
                _NAME,
                ApiParameter("MimeType", ApiType.STRING),
                ApiParameter("BlockList", ApiType.STRING_ARRAY),
                _TOKEN,
            ),
            results=(ApiParameter("FileId", ApiType.GUID), _SIZE),
        ),
        CustomApi(
            "InitializeFileBlocksDownload",
            _begin_download,
            parameters=(_TARGET, _COLUMN),
            results=(_SIZE, _NAME, _TOKEN, ApiParameter("IsChunkingSupported", ApiType.BOOLEAN)),
        ),
        CustomApi(
            "DownloadBlock",
            _download_block,
            parameters=(
                ApiParameter("Offset", ApiType.INTEGER, optional=True),
                ApiParameter("BlockLength", ApiType.INTEGER, optional=True),
                _TOKEN,
            ),
            results=(ApiParameter("Data", ApiType.BINARY),),
        ),
        CustomApi("DeleteFile", _delete, parameters=(ApiParameter("FileId", ApiType.GUID),)),
    )


def _begin_upload(request: ApiRequest) -> Mapping[str, object]:
    name = str(request.arguments["FileName"])
    files = request.dataverse.files
    file = files.begin(request.user, _place(request), name, "application/octet-stream")
    return {"FileContinuationToken": file.id}


def _upload_block(request: ApiRequest) -> None:
    block, content = str(request.arguments["BlockId"]), request.arguments["BlockData"]
    assert isinstance(content, bytes)
    try:
        plain = b64decode(block, validate=True)
    except ValueError:
        plain = b""
    if not 0 < len(plain) <= _LONGEST_BLOCK_ID:
        raise invalid_argument(
            f"A block id is the base64 of 1 to {_LONGEST_BLOCK_ID} bytes, and {block[:100]!r} is "
            "not."
        )
    request.dataverse.files.add_block(request.user, _token(request), block, content)


def _commit(request: ApiRequest) -> Mapping[str, object]:
    arguments = request.arguments
    blocks = arguments["BlockList"]
    assert isinstance(blocks, list)
    file_id, size = request.dataverse.files.commit(
        *(request.user, _token(request), blocks),
        *(str(arguments["FileName"]), str(arguments["MimeType"])),
    )
    return {"FileId": file_id, "FileSizeInBytes": size}


def _begin_download(request: ApiRequest) -> Mapping[str, object]:
    place = _place(request)
    file = _readable(request, place)
    if file is None:
        raise DataverseFault(
            404,
            MISSING_ROW,
            f"No file attachment found for attribute: {place.column.name} EntityId: "
            f"{place.row_id}.",
        )
    return {
        "FileSizeInBytes": file.size,
        "FileName": file.name,
        "FileContinuationToken": file.id,
        "IsChunkingSupported": True,
    }


def _download_block(request: ApiRequest) -> Mapping[str, object]:
    token = _token(request)
    file = request.dataverse.files.find(token)
    held = _readable(request, request.dataverse.files.place_of(file)) if file else None
    if held is None or held.id != token:
        raise invalid_argument("The file continuation token is not valid.")
    start, length = request.arguments.get("Offset", 0), request.arguments.get("BlockLength")
    assert isinstance(start, int)
    stop = start + length if isinstance(length, int) and length else held.size
    if not 0 <= start <= held.size or stop < start:
        raise invalid_argument(f"The block is not within the {held.size} bytes of the file.")
    return {"Data": request.dataverse.files.read(held, start, min(stop, held.size))}


def _delete(request: ApiRequest) -> None:
    request.dataverse.files.delete_by_id(request.user, str(request.arguments["FileId"]))


def _readable(request: ApiRequest, place: Place) -> StoredFile | None:
    row = request.dataverse.retrieve(request.user, place.table.name, place.row_id)
    return request.dataverse.files.of_row(row, place.column)


def _place(request: ApiRequest) -> Place:
    target, name = request.arguments["Target"], str(request.arguments["FileAttributeName"])
    assert isinstance(target, ApiEntity)
    table = request.dataverse.metadata.tables[target.table]
    column = table.by_name.get(name.lower())
    if target.id is None or column is None or column.type not in FILES:
        raise invalid_argument(
            f"'{name[:100]}' is no file or image column of '{table.name}', or its row has no id."
        )
    return Place(table, target.id, column)


def _token(request: ApiRequest) -> str:
    return str(request.arguments["FileContinuationToken"])
