"""Faults that spoil a reply after the request was carried out.

Invariant: a spoiler is a pure function of the strike and the reply, but for what it remembers of
the page before; a reply that it does not fit comes back as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, Final, TypeAlias

import msgspec

from holdfast_emulator.behaviour.metadata import metadata_id
from holdfast_emulator.control.batches import more_parts, part_missing, parts_reversed
from holdfast_emulator.control.kinds import FaultKind
from holdfast_emulator.control.replacements import ELSEWHERE, Struck
from holdfast_emulator.wire.calls import Reply, adding, encode

Spoiler: TypeAlias = Callable[[Struck, Reply], Reply]
_Json: TypeAlias = dict[str, Any]  # Any: JSON
_NEXT: Final = "@odata.nextLink"
_DELTA: Final = "@odata.deltaLink"
#: What a link that never ends is recognised by when it comes back.
_ENDLESS: Final = "holdfast-endless="
_MARK: Final = "holdfast-raw-value"
_MIB: Final = 1 << 20
_DEPTH: Final = 100_000
_ENTITIES: Final = (
    b'<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d SYSTEM "file:///etc/hostname">]>'
)
_decoder: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def without_mark(query: str) -> str:
    """Return a query as it was before an endless link led to it."""
    return re.sub(rf"[?&]?{_ENDLESS}\d+", "", query)


def _page(spoil: Callable[[Struck, _Json], None]) -> Spoiler:
    """Return the spoiler of pages: of objects that have rows under ``value``."""

    def spoiler(struck: Struck, reply: Reply) -> Reply:
        content = _read(reply)
        if content is None or not isinstance(content.get("value"), list):
            return reply
        spoil(struck, content)
        return replace(reply, body=encode(content))

    return spoiler


def _row(spoil: Callable[[Struck, _Json], bytes | None]) -> Spoiler:
    """Return the spoiler of the first row; what it returns stands where it put the mark."""

    def spoiler(struck: Struck, reply: Reply) -> Reply:
        content = _read(reply)
        rows = [] if content is None else content.get("value", [content])
        if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
            return reply
        raw = spoil(struck, rows[0])
        body = encode(content)
        return replace(reply, body=body.replace(f'"{_MARK}"'.encode(), raw) if raw else body)

    return spoiler


def _read(reply: Reply) -> _Json | None:
    if reply.status != 200 or "json" not in reply.type:
        return None
    try:
        return _decoder.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _raw(value: bytes | Callable[[Struck, str], bytes]) -> Spoiler:
    """Return the spoiler that puts bytes where the value of a column stands."""

    def put(struck: Struck, row: _Json) -> bytes:
        column = _column(struck, row)
        row[column] = _MARK
        return value if isinstance(value, bytes) else value(struck, column)

    return _row(put)


def _column(struck: Struck, row: _Json) -> str:
    """Return the column that the fault names, or the first text that is no id."""
    if struck.fault.column:
        return struck.fault.column
    key = struck.table.primary_id if struck.table else ""
    texts = (n for n, v in row.items() if isinstance(v, str) and "@" not in n and n != key)
    return next(texts, "name")


def _wrong_type(struck: Struck, row: _Json) -> None:
    column = _column(struck, row)
    row[column] = 4711 if isinstance(row.get(column), str) else "no number"


def _drop(name: Callable[[Struck, _Json], str]) -> Spoiler:
    def drop(struck: Struck, row: _Json) -> None:
        row.pop(name(struck, row), None)

    return _row(drop)


def _set(name: str, value: object) -> Spoiler:
    def put(_: Struck, row: _Json) -> None:
        row[name] = value

    return _row(put)


def _empty(_: Struck, page: _Json) -> None:
    page["value"] = []
    page.pop(_NEXT, None)


def _link(url: Callable[[Struck], str]) -> Spoiler:
    def lead(struck: Struck, page: _Json) -> None:
        page.pop(_DELTA, None)
        page[_NEXT] = url(struck)

    return _page(lead)


def _endless(struck: Struck) -> str:
    number = struck.memory["endless"] = int(str(struck.memory.get("endless", 0))) + 1
    return f"{struck.url}{'&' if '?' in struck.url else '?'}{_ENDLESS}{number}"


def _repeat(struck: Struck, page: _Json) -> None:
    rows, place = page["value"], f"last {struck.table_name}"
    before = struck.memory.get(place)
    if rows:
        struck.memory[place] = rows[-1]
    if before is not None:
        rows.insert(0, before)


def _twice(_: Struck, page: _Json) -> None:
    page["value"] = [row for row in page["value"] for _ in (1, 2)]


def _skip(_: Struck, page: _Json) -> None:
    del page["value"][-1:]


def _fat(struck: Struck, page: _Json) -> None:
    for row in page["value"]:
        row[_column(struck, row)] = "x" * (struck.fault.size or _MIB)


def _tombstone(struck: Struck, page: _Json, row_id: str) -> None:
    entity_set = struck.table.entity_set if struck.table else "entities"
    context = f"{struck.root}/$metadata#{entity_set}/$deletedEntity"
    page["value"].append({"@odata.context": context, "id": row_id, "reason": "deleted"})


def _delete_unknown(struck: Struck, page: _Json) -> None:
    _tombstone(struck, page, metadata_id("row", "that never was"))


def _delete_living(struck: Struck, page: _Json) -> None:
    key = struck.table.primary_id if struck.table else "id"
    living = next((row[key] for row in page["value"] if key in row), None)
    if living is not None:
        _tombstone(struck, page, living)


def _answered(status: int, words: str) -> Spoiler:
    return lambda _, __: Reply(status, f"<h2>{words}</h2>".encode(), type="text/html")


def _remade(struck: Struck, reply: Reply) -> Reply:
    another = metadata_id("organization", "another").encode()
    return replace(reply, body=reply.body.replace(struck.organization_id.encode(), another))


def _skewed(struck: Struck, reply: Reply) -> Reply:
    told = struck.now.astimezone(UTC) + timedelta(seconds=struck.fault.seconds)
    return adding(reply, {"Date": format_datetime(told, usegmt=True)})


def _with_entities(_: Struck, reply: Reply) -> Reply:
    head, found, rest = reply.body.partition(b"?>")
    if "xml" not in reply.type:
        return reply
    body = head + found + _ENTITIES + rest if found else _ENTITIES + reply.body
    return replace(reply, body=body)


SPOILERS: Final[Mapping[FaultKind, Spoiler]] = {
    FaultKind.ERROR_AFTER: _answered(500, "Server Error"),
    FaultKind.BAD_GATEWAY_AFTER: _answered(502, "Bad Gateway"),
    FaultKind.TIMEOUT_AFTER: _answered(504, "Gateway Timeout"),
    FaultKind.REMAKE_ORGANISATION: _remade,
    FaultKind.SKEW_DATE: _skewed,
    FaultKind.EMPTY_BODY: lambda _, reply: replace(reply, status=200, body=b""),
    FaultKind.NO_CONTENT: lambda _, reply: replace(reply, status=204, body=b""),
    FaultKind.EMPTY_PAGE: _page(_empty),
    FaultKind.CUT_JSON: lambda _, reply: replace(reply, body=reply.body[: len(reply.body) // 2]),
    FaultKind.LOOP_LINK: _link(lambda struck: struck.url),
    FaultKind.ENDLESS_LINK: _link(_endless),
    FaultKind.FOREIGN_LINK: _link(lambda s: s.fault.url or f"{ELSEWHERE}/api/data/v9.2/accounts"),
    FaultKind.SKIP_ROW: _page(_skip),
    FaultKind.REPEAT_ROW: _page(_repeat),
    FaultKind.DUPLICATE_ROWS: _page(_twice),
    FaultKind.DELETE_UNKNOWN: _page(_delete_unknown),
    FaultKind.DELETE_LIVING: _page(_delete_living),
    FaultKind.FAT_ROWS: _page(_fat),
    FaultKind.LOSE_KEY: _drop(lambda s, _: s.table.primary_id if s.table else "id"),
    FaultKind.LOSE_ETAG: _drop(lambda _, __: "@odata.etag"),
    FaultKind.LOSE_COLUMN: _drop(_column),
    FaultKind.UNKNOWN_COLUMN: _set("holdfast_neverheardof", {"of": ["this"]}),
    FaultKind.WRONG_TYPE: _row(_wrong_type),
    FaultKind.LONG_TEXT: _raw(lambda s, _: b'"' + b"x" * (s.fault.size or _MIB) + b'"'),
    FaultKind.LONE_SURROGATE: _raw(rb'"\ud800"'),
    FaultKind.NUL_CHARACTER: _raw(rb'"a\u0000b"'),
    FaultKind.BAD_UTF8: _raw(b'"\xff\xfe"'),
    FaultKind.BIG_INTEGER: _raw(b"9223372036854775808"),
    FaultKind.NOT_A_NUMBER: _raw(b"NaN"),
    FaultKind.HUGE_NUMBER: _raw(b"1e400"),
    FaultKind.DUPLICATE_MEMBER: _raw(lambda _, name: f'"first","{name}":"second"'.encode()),
    FaultKind.DEEP_NESTING: _raw(b"[" * _DEPTH + b"]" * _DEPTH),
    FaultKind.XML_ENTITIES: _with_entities,
    FaultKind.BATCH_FEWER: lambda _, reply: part_missing(reply),
    FaultKind.BATCH_MORE: lambda _, reply: more_parts(reply),
    FaultKind.BATCH_ORDER: lambda _, reply: parts_reversed(reply),
}
