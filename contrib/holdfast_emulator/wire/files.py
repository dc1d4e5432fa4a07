"""File and image columns: uploads whole and in parts, downloads whole and by range.

Invariant: a request with a session token is a part, whatever else it says; one without, that asks
for a chunked transfer, begins a session. What a range leaves out is not read.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from mimetypes import guess_type
from typing import Final
from urllib.parse import quote, unquote_plus

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import (
    BAD_QUERY,
    DataverseFault,
    file_with_row,
    invalid_argument,
)
from holdfast_emulator.behaviour.file_tables import FILES
from holdfast_emulator.behaviour.files import Part, Place
from holdfast_emulator.behaviour.images import image_type
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.stored_files import BLOCK_BYTES, StoredFile
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, answer, bad_query
from holdfast_emulator.wire.conditional import conditions
from holdfast_emulator.wire.urls import Segment

_BINARY: Final = "application/octet-stream"
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,15})-(-1|\d{1,15})/(\d{1,15})\Z")
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})\Z")
_OPTIONS: Final = frozenset(
    {"size", "sessiontoken", "x-ms-file-name", "FileContinuationToken", "tag"}
)
_SIZES: Final = (None, "full", "thumb")
_EXPOSED: Final = ("x-ms-file-size", "x-ms-file-name", "x-ms-chunk-size", "mimetype")


@dataclass(frozen=True, slots=True)
class _Download:
    """What a column holds: the bytes between two places, of so many."""

    content: bytes
    name: str
    media_type: str
    total: int
    start: int = 0
    sized: bool = True  # whether the size is told

    @property
    def content_range(self) -> str:
        """The bytes that are there, as ``Content-Range`` tells it."""
        if not self.content:
            return f"bytes */{self.total}"
        return f"bytes {self.start}-{self.start + len(self.content) - 1}/{self.total}"


@dataclass(frozen=True, slots=True)
class FileService:
    """Answers requests for the file and image columns of rows."""

    dataverse: Dataverse

    def place(self, table: TableDefinition, row_id: str, rest: Sequence[Segment]) -> Place | None:
        """Return the column that a path leads to; None when it is none for files."""
        column = table.by_name.get(rest[0].name) if rest else None
        if column is None or column.type not in FILES or rest[0].arguments:
            return None
        return Place(table, row_id, column)

    def answer(self, call: Call, place: Place, rest: Sequence[Segment]) -> Reply:
        """Answer a request for such a column.

        :raises DataverseFault: what is asked cannot be done
        """
        options = _options(call.query)
        match call.method, [segment.name for segment in rest]:
            case "GET", []:
                return self._as_json(call, place, options)
            case "GET", ["$value"]:
                return self._as_bytes(call, place, options)
            case (("PATCH" | "PUT"), []):
                return self._write(call, place, options)
            case "DELETE", []:
                self.dataverse.files.delete(call.user, place, conditions(call.headers).if_match)
                return Reply(204)
            case method, names:
                raise Unsupported(f"{method} {place.column.name}/{'/'.join(names)[:100]}")

    def _write(self, call: Call, place: Place, options: Mapping[str, str]) -> Reply:
        if "sessiontoken" in options:
            return self._part(call, place, options["sessiontoken"])
        if call.headers.get("x-ms-transfer-mode", "").lower() == "chunked":
            return self._begin(call, place, options)
        if _media_type(call) == "application/json" and call.method == "PUT":
            return self._set_property(call, place)
        wanted = conditions(call.headers)
        if wanted.only_create:
            raise Unsupported("If-None-Match: * on a file")
        name = _file_name(call, options)
        self.dataverse.files.upload(
            call.user, place, name, _kind(call, name), call.body, if_match=wanted.if_match
        )
        return Reply(204)

    def _begin(self, call: Call, place: Place, options: Mapping[str, str]) -> Reply:
        wanted = conditions(call.headers)
        if wanted.only_create:
            raise Unsupported("If-None-Match: * on a file")
        if call.body:
            raise bad_query("The request that begins a chunked upload has no content.")
        name = _file_name(call, options)
        file = self.dataverse.files.begin(
            call.user, place, name, _kind(call, name), wanted.if_match
        )
        return Reply(
            200,
            headers={
                "Location": f"{_url(call, place)}?sessiontoken={file.id}",
                "Accept-Ranges": "bytes",
                "x-ms-chunk-size": str(BLOCK_BYTES),
                "Access-Control-Expose-Headers": "x-ms-chunk-size",
            },
        )

    def _part(self, call: Call, place: Place, token: str) -> Reply:
        found = _CONTENT_RANGE.match(call.headers.get("content-range", ""))
        if found is None:
            raise bad_query("A part of a file needs a header such as Content-Range: bytes 0-9/10.")
        part = Part(*map(int, found.groups()))
        done = self.dataverse.files.add_part(call.user, place, token, part, call.body)
        return Reply(204 if done else 206)

    def _set_property(self, call: Call, place: Place) -> Reply:
        """Write an image as a property is written; a file cannot be."""
        if place.column.type is ColumnType.FILE:
            raise file_with_row(place.column.name)
        self.dataverse.update(
            call.user,
            place.table.name,
            place.row_id,
            {place.column.name: call.json().get("value")},
            if_match=conditions(call.headers).if_match,
        )
        return Reply(204)

    def _as_json(self, call: Call, place: Place, options: Mapping[str, str]) -> Reply:
        """Answer with base64; a range that begins where the file ends is empty, and no error."""
        row = self.dataverse.retrieve(call.user, place.table.name, place.row_id)
        found = self._download(call, row, place, options)
        if found is None:
            return Reply(204)
        context = f"{call.root}/$metadata#{place.table.entity_set}({row.id})/{place.column.name}"
        body = {"@odata.context": context, "value": b64encode(found.content).decode()}
        ranged = "range" in call.headers
        headers = _headers(found, ranged=ranged)
        file = self.dataverse.files.of_row(row, place.column)
        if file is not None:
            headers["Location"] = f"{_url(call, place)}?FileContinuationToken={file.id}"
        return answer(body, 206 if ranged else 200, **headers)

    def _as_bytes(self, call: Call, place: Place, options: Mapping[str, str]) -> Reply:
        row = self.dataverse.retrieve(call.user, place.table.name, place.row_id)
        found = self._download(call, row, place, options)
        if found is None:
            return Reply(204)
        ranged = "range" in call.headers
        if ranged and not found.content:
            raise _unsatisfiable(found.total)
        headers = _headers(found, ranged=ranged)
        return Reply(206 if ranged else 200, found.content, headers, _BINARY)

    def _download(
        self, call: Call, row: Row, place: Place, options: Mapping[str, str]
    ) -> _Download | None:
        if options.get("size") not in _SIZES:
            raise bad_query("The size is either full or thumb.")
        file = self.dataverse.files.of_row(row, place.column)
        token = options.get("FileContinuationToken")
        if token is not None and (file is None or token != file.id):
            raise invalid_argument("The file continuation token is not valid.")
        full = options.get("size") == "full" or token is not None
        wanted = call.headers.get("range")
        if place.column.type is ColumnType.IMAGE and not full:
            return _thumbnail(row, place, file, wanted)
        if file is None:
            return None
        start, stop = _bounds(wanted, file.size)
        content = self.dataverse.files.read(file, start, stop)
        return _Download(content, file.name, file.media_type, file.size, start)


def _thumbnail(
    row: Row, place: Place, file: StoredFile | None, wanted: str | None
) -> _Download | None:
    cell = row.cells[row.definition.positions[place.column.name]]
    if cell is None:
        return None
    content = b64decode(str(cell))
    start, stop = _bounds(wanted, len(content))
    name = file.name if file else place.column.name
    kind = image_type(content) or _BINARY
    return _Download(content[start:stop], name, kind, len(content), start, sized=False)


def _headers(found: _Download, *, ranged: bool) -> dict[str, str]:
    """Return what is told of a file."""
    name = _ascii(found.name)
    headers = {
        "Content-Disposition": f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}",
        "x-ms-file-name": name,
        "mimetype": found.media_type,
        "Access-Control-Expose-Headers": "; ".join(_EXPOSED),
    }
    if found.sized:
        headers["x-ms-file-size"] = str(found.total)
    if ranged:
        headers["Content-Range"] = found.content_range
        headers["x-ms-chunk-size"] = str(BLOCK_BYTES)
    return headers


def _ascii(name: str) -> str:
    """Return a name as a header can carry it: what is not plain is percent-encoded."""
    return quote(name, safe=" !#$&()+,-.;=@[]^_`{}~")


def _bounds(wanted: str | None, size: int) -> tuple[int, int]:
    """Return the first byte asked for, and the one after the last.

    :raises DataverseFault: 400 for no range, 416 for one beyond the end
    """
    if wanted is None:
        return 0, size
    found = _RANGE.match(wanted.strip())
    if found is None or found[0] == "bytes=-":
        raise bad_query(f"The range {wanted[:50]!r} is not supported.")
    if not found[1]:
        return max(size - int(found[2]), 0), size
    start = int(found[1])
    stop = int(found[2]) + 1 if found[2] else size
    if start > size or stop <= start < size:
        raise _unsatisfiable(size)
    return start, min(stop, size)


def _unsatisfiable(size: int) -> DataverseFault:
    return DataverseFault(
        416, BAD_QUERY, f"The range is not within the {size} bytes that there are."
    )


def _options(query: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        if name in found:
            raise bad_query(f"Query option '{name[:100]}' was specified more than once.")
        if name not in _OPTIONS:
            if name.startswith("$"):
                raise bad_query(f"The query parameter {name[:100]} is not supported.")
            raise Unsupported(f"the query option {name[:100]!r} on a file")
        found[name] = unquote_plus(value)
    return found


def _file_name(call: Call, options: Mapping[str, str]) -> str:
    """Return the name of the file; the header takes precedence."""
    name = call.headers.get("x-ms-file-name") or options.get("x-ms-file-name", "")
    if not name.strip():
        raise bad_query(
            "The name of the file is missing; send it as x-ms-file-name, a header or an option."
        )
    return name


def _media_type(call: Call) -> str:
    return call.headers.get("content-type", "").partition(";")[0].strip().lower()


def _kind(call: Call, name: str) -> str:
    """Return what kind of file it is: what the client says, or what the name tells."""
    said = _media_type(call)
    if said and said not in (_BINARY, "application/json"):
        return said
    return guess_type(name, strict=False)[0] or _BINARY


def _url(call: Call, place: Place) -> str:
    return f"{call.root}/{place.table.entity_set}({place.row_id})/{place.column.name}"
