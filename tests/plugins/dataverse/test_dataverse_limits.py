"""Too much of anything, and the parsers of what stands in text.

Test ids carry the number of the item of the security checklist that they hold.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.errors import ProtocolError, TransportError, Unreachable
from holdfast.model import Scope, Unreadable
from holdfast.schema import Column, ColumnType, DateBehavior, TableSchema
from holdfast.values import canonical_id, parse_datetime_cell
from holdfast_dataverse import _batch, _crowds, _pull, _unpacking
from holdfast_dataverse._answers import Answer
from holdfast_dataverse._batch import decode
from holdfast_dataverse._crowds import TooLarge, refuse_too_many_members, refuse_too_many_rows
from holdfast_dataverse._links import Origin
from holdfast_dataverse._records import Reader
from holdfast_dataverse._throttle import moment_of, seconds_to_wait
from support.bounded import calls, memory
from support.dataverse import (
    NAME_ONLY,
    NOW,
    World,
    account_id,
    account_row,
    account_scope,
    pulled,
    transport_to,
)
from support.hostile import Asked, dripping, hostile, response
from support.hostile_answers import MIB

# S-23: limits, at one less, at the limit, and beyond.


@pytest.mark.parametrize("beyond", [-1, 0, 1])
async def test_pages_are_counted(beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """S-23."""
    monkeypatch.setattr(_pull, "MOST_PAGES", 5)
    left = 5 + beyond

    async def pages(asked: Asked) -> AsyncIterator[bytes]:
        nonlocal left
        left -= 1
        link = f"{asked.origin}/api/data/v9.2/accounts?{left}"
        name = "nextLink" if left else "deltaLink"
        row = json.dumps(account_row(left)).encode()
        yield response(b'{"value":[%b],"@odata.%b":"%b"}' % (row, name.encode(), link.encode()))

    async with hostile(pages) as server, transport_to(server.url) as transport:
        if beyond > 0:
            with pytest.raises(ProtocolError, match="circles"):
                await pulled(transport, NAME_ONLY)
        else:
            assert len(await pulled(transport, NAME_ONLY)) == 5 + beyond


async def test_empty_pages_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-23: each with another link, so nothing else would notice."""
    monkeypatch.setattr(_pull, "MOST_IDLE_PAGES", 20)
    number = 0

    async def pages(asked: Asked) -> AsyncIterator[bytes]:
        nonlocal number
        number += 1
        link = f"{asked.origin}/api/data/v9.2/accounts?{number}"
        yield response(b'{"value":[],"@odata.nextLink":"%b"}' % link.encode())

    async with hostile(pages) as server, transport_to(server.url) as transport:
        with pytest.raises(ProtocolError, match="one empty page after the other; "):
            await pulled(transport, NAME_ONLY)
        assert len(server.asked) == 21


async def test_views_in_a_circle_come_to_an_end() -> None:
    """S-23."""

    async def pages(asked: Asked) -> AsyncIterator[bytes]:
        link = f"{asked.origin}{asked.target}".encode()
        yield response(b'{"value":[],"@odata.nextLink":"%b"}' % link)

    async with hostile(pages) as server, transport_to(server.url) as transport:
        assert await transport.views(["account"]) == []
        assert len(server.asked) == 2


async def test_a_page_that_is_too_large_is_asked_for_with_fewer_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S-23: a table of large rows is read all the same."""
    monkeypatch.setattr(_unpacking, "_LARGEST_PAGE", 10_000)

    async def pages(asked: Asked) -> AsyncIterator[bytes]:
        size = int(asked.headers["prefer"].partition("maxpagesize=")[2].partition(",")[0])
        rows = [account_row(n, "x" * 100) for n in range(min(size, 200))]
        link = f"{asked.origin}/api/data/v9.2/accounts?d"
        yield response(json.dumps({"value": rows, "@odata.deltaLink": link}).encode())

    async with hostile(pages) as server, transport_to(server.url) as transport:
        [page] = await pulled(transport, NAME_ONLY)
        assert len(page.records) == 9
        asked = [one.headers["prefer"].partition("maxpagesize=")[2] for one in server.asked]
        assert asked == ["5000", "625", "78", "9"]


async def test_rows_that_are_too_large_together_are_asked_for_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-23: else a push whose rows have to be read back would never come to an end."""
    ids = [world.account(n, description="x" * 1_900) for n in range(7)]
    async with world.open() as transport:
        scope = await account_scope(transport, "name", "description")
        monkeypatch.setattr(_unpacking, "_LARGEST_PAGE", 6_000)
        rows = await transport.fetch(scope, ids)
        assert [row[0] for row in rows if not isinstance(row, Unreadable)] == ids
        monkeypatch.setattr(_unpacking, "_LARGEST_PAGE", 1_500)
        with pytest.raises(TooLarge):
            await transport.fetch(scope, ids)


async def test_tables_that_are_too_large_together_are_described_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-23."""
    names = ["account", "contact", "task", "opportunity", "nosuchtable"]
    async with world.open() as transport:
        whole = await transport.schema(names)
        monkeypatch.setattr(_unpacking, "_LARGEST_PAGE", 200_000)
        assert await transport.schema(names) == whole
        monkeypatch.setattr(_unpacking, "_LARGEST_PAGE", 20_000)
        with pytest.raises(TooLarge):
            await transport.schema(names)


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_rows_and_members_are_counted_outside_of_text(beyond: int) -> None:
    """S-23."""
    rows = _crowds.MOST_ROWS + beyond - 1  # the page itself is one
    within = b'{"value":[' + b",".join([b'{"a":"{{{\\"{{"}'] * rows) + b"]}"
    members = b"[" + b",".join([b'",,,\\",,"'] * (_crowds.MOST_MEMBERS + beyond + 1)) + b"]"
    for refuse, body in ((refuse_too_many_rows, within), (refuse_too_many_members, members)):
        if beyond > 0:
            with pytest.raises(TooLarge, match="; "):
                refuse(body)
        else:
            refuse(body)


@pytest.mark.parametrize(
    "body",
    [b'""' * (4 * MIB), b'"' + b"{," * (4 * MIB), b"{," * 40 + b'"' + b"\\" * (8 * MIB)],
    ids=["strings", "an open string", "backslashes"],
)
def test_counting_is_one_pass(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """S-23, S-24: in calls and memory, whatever the bytes."""
    with memory(MIB), calls(200):
        for refuse in (_crowds._OBJECT, _crowds._MEMBER):
            with suppress(TooLarge):
                _crowds._refuse(body, refuse, 10, "marks")


@pytest.mark.parametrize("beyond", [0, 1])
def test_parts_of_a_batch_are_counted(beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """S-23: also those of the change sets in it, together."""
    monkeypatch.setattr(_batch, "_MOST_PARTS", 6)
    part = "--{b}\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 X\r\n\r\n\r\n"
    kind = {"content-type": "multipart/mixed; boundary=b"}
    flat = part.format(b="b") * (6 + beyond) + "--b--"
    inner = part.format(b="c") * 3 + "--c--\r\n"
    nested = f"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{inner}" * (2 + beyond)
    for body in (flat, nested + "--b--"):
        answer = Answer(200, kind, body.encode())
        if beyond:
            with pytest.raises(TooLarge):
                decode(answer)
        else:
            assert decode(answer)


@pytest.mark.parametrize("name", ["garbled type", "endless header", "endless head", "many headers"])
def test_heads_of_parts_are_bounded(name: str) -> None:
    """S-23."""
    head = {
        "garbled type": "Content-Type: application/http",
        "endless header": "X: " + "x" * MIB,
        "endless head": "Content-Type: application/http",
        "many headers": "\r\n".join(["X: y"] * 10_000),
    }[name]
    top = "HTTP/1.1 200 OK\r\n" + ("X: y\r\n" * 20_000 if name == "endless head" else "")
    kind = "multipart/mixed; boundary=" + ("b\udcff" if name == "garbled type" else "b")
    body = f"--b\r\n{head}\r\n\r\n{top}\r\n{{}}\r\n--b--".encode()
    with calls(20_000):
        try:
            assert decode(Answer(200, {"content-type": kind}, body)) == []
        except ProtocolError as error:
            assert "; " in str(error)  # noqa: PT017  both are refusals


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_link_may_be_long_and_not_longer(beyond: int) -> None:
    """S-23."""
    link = "https://contoso.example/api/data/v9.2/accounts?"
    link += "x" * (65_536 - len(link) + beyond)
    if beyond:
        with pytest.raises(TransportError):
            Origin("https://contoso.example").trust(link)
    else:
        Origin("https://contoso.example").trust(link)


@pytest.mark.parametrize(
    "script",
    [dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b" "), dripping(b"", b"H")],
    ids=["S-23 a byte at a time", "S-23 no head"],
)
async def test_the_time_of_a_request_is_one_limit(script: Any) -> None:
    """However often a byte comes, and however often it is tried again."""
    async with hostile(script) as server, transport_to(server.url, timeout=0.05) as transport:
        with pytest.raises(Unreachable):
            await pulled(transport, NAME_ONLY)
        assert 1 <= len(server.asked) <= 4


# S-24: parsers of what stands in text.

KINDS = [
    Column("x", ColumnType.DATETIME),
    Column("x", ColumnType.DATETIME, behavior=DateBehavior.DATE_ONLY),
    Column("x", ColumnType.DATETIME, behavior=DateBehavior.TIME_ZONE_INDEPENDENT),
    Column("x", ColumnType.UNIQUEIDENTIFIER),
    Column("x", ColumnType.CHOICES),
    Column("x", ColumnType.LOOKUP, targets=("contact",)),
]
NEAR = st.one_of(
    st.text(max_size=60),
    st.text("0123456789-:TZ+.,Ww {}urnid_", max_size=40),
    st.datetimes().map(str),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.uuids().map(str),
    st.uuids().map(lambda one: f"{{{one}}}".upper()),
    st.lists(st.integers(), max_size=4).map(lambda some: ",".join(map(str, some))),
    st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,12})?(Z|[+-]\d\d:\d\d)?", fullmatch=True),
)


@pytest.mark.parametrize("column", KINDS, ids=lambda one: f"S-24 {one.type.value} {one.behavior}")
@settings(max_examples=400, deadline=5000)
@example("\u0662\u0660\u0662\u0664-01-01")
@example("2024-01-01T00:00:00\n")
@example("0001-01-01T00:00:00+14:00")
@example("9999-12-31T23:59:59-14:00")
@example("1," * 5000)
@example("9" * 5000)
@given(text=NEAR)
def test_a_text_becomes_a_sound_cell_or_is_refused(column: Column, text: str) -> None:
    key = Column("accountid", ColumnType.UNIQUEIDENTIFIER)
    scope = Scope(TableSchema("account", "accountid", None, (key, column), wire={"set": "x"}))
    name = "_x_value" if column.type is ColumnType.LOOKUP else "x"
    row = {"@odata.etag": "v", "accountid": account_id(1), name: text}
    try:
        [record] = Reader(scope).whole(json.dumps({"value": [row]}).encode()).records
    except ProtocolError:
        return
    cell = record[1]
    if cell is None:
        return
    assert isinstance(cell, str)
    assert cell.isascii()
    match column.type:
        case ColumnType.DATETIME:
            assert parse_datetime_cell(column, cell) == cell
        case ColumnType.CHOICES:
            numbers = [int(part) for part in cell.split(",")]
            assert numbers == sorted(set(numbers))
            assert all(abs(number) < 10**10 for number in numbers)
        case _:
            assert cell == canonical_id(cell)


@settings(max_examples=400, deadline=5000)
@given(
    st.decimals(allow_nan=True, allow_infinity=True).map(str)
    | st.from_regex(r"-?\d{1,80}(\.\d{1,80})?([eE][+-]?\d{1,6})?", fullmatch=True)
)
def test_a_decimal_is_of_a_size_that_a_column_has_or_is_refused(text: str) -> None:
    """S-24."""
    column = Column("x", ColumnType.DECIMAL)
    key = Column("accountid", ColumnType.UNIQUEIDENTIFIER)
    scope = Scope(TableSchema("account", "accountid", None, (key, column), wire={"set": "x"}))
    for raw in (text, f'"{text}"'):
        body = b'{"value":[{"@odata.etag":"v","accountid":"%b","x":%b}]}' % (
            account_id(1).encode(),
            raw.encode(),
        )
        try:
            [record] = Reader(scope).whole(body).records
        except ProtocolError:
            continue
        number: Any = record[1]
        assert number is None or (number.is_finite() and len(str(number)) <= 80)


@settings(max_examples=500, deadline=5000)
@example("Mon, 01 Jan 0001 00:00:00 +2400")
@example("1 1 1 1 1 1 1 1")
@example("")
@given(st.text(max_size=50) | st.text("0123456789 :+-,MonJaGTe", max_size=40))
def test_a_time_to_wait_is_a_sane_number_or_none(text: str) -> None:
    """S-24."""
    found = seconds_to_wait(text, NOW)
    assert found is None or 0 <= found <= 3600
    moment = moment_of(text)
    assert moment is None or moment.tzinfo is not None
