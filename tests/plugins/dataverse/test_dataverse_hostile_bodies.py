"""Hostile bodies: XML, packed bytes, JSON, and too much of anything.

Test ids carry the number of the item of the security checklist that they hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.errors import FilterError, ProtocolError, TransportError
from holdfast.model import Outcome
from holdfast_dataverse import _unpacking
from holdfast_dataverse._answers import Answer, json_object
from holdfast_dataverse._crowds import TooLarge
from holdfast_dataverse._fetchxml import ids_of
from holdfast_dataverse._records import Reader
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings
from support.bounded import calls, memory
from support.crm import ACCOUNT, TABLES
from support.dataverse import NAME_ONLY, account_id, account_row, pulled, transport_to
from support.hostile import hostile
from support.hostile_answers import BOMBS, MIB, nobodies, twice, zeros
from support.hostile_json import NO_VALUES, ODD_VALUES

LANGUAGE = FetchXmlLanguage(FetchXmlSettings())
CAP = 64 * MIB


# S-20: XML. The metadata is read as JSON; FetchXML is the only XML that is read.


def _entities(count: int, times: int) -> str:
    return "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * times}'>" for n in range(1, count))


XML_BOMBS = {
    "a billion laughs": f"<!DOCTYPE f [<!ENTITY l0 'ha'>{_entities(10, 10)}]><filter>&l9;</filter>",
    "in an attribute": f"<!DOCTYPE f [<!ENTITY l0 'ha'>{_entities(10, 10)}]><filter type='&l9;'/>",
    "a quadratic one": f"<!DOCTYPE f [<!ENTITY a '{'a' * 50_000}'>]><f>{'&a;' * 5000}</f>",
    "of parameter entities": "<!DOCTYPE f [<!ENTITY % a '<!ENTITY b \"x\">'>%a;]><f>&b;</f>",
    "an external file": "<!DOCTYPE f [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><filter>&x;</filter>",
    "an external address": "<!DOCTYPE f [<!ENTITY x SYSTEM 'http://127.0.0.1:1/x'>]><filter>&x;</filter>",
    "an external parameter": "<!DOCTYPE f [<!ENTITY % x SYSTEM 'file:///dev/zero'>%x;]><filter/>",
    "an external document type": "<!DOCTYPE f SYSTEM 'http://127.0.0.1:1/x.dtd'><filter/>",
    "a public document type": "<!DOCTYPE f PUBLIC '-//X//Y' 'file:///dev/random'><filter/>",
    "attributes by default": "<!DOCTYPE f [<!ATTLIST filter type CDATA 'or'>]><filter/>",
    "an entity of itself": "<!DOCTYPE f [<!ENTITY a '&a;'>]><filter>&a;</filter>",
    "deep elements": "<filter>" * 120_000,
    "deep and closed elements": "<filter>" * 50_000 + "</filter>" * 50_000,
    "one token without an end": "<filter " + "a" * 900_000,
    "attributes without an end": "<filter " + " ".join(f"a{n}='1'" for n in range(80_000)),
    "more than a million characters": "<filter>" + " " * 1_000_001 + "</filter>",
}  # fmt: skip


@pytest.mark.parametrize("name", XML_BOMBS, ids=[f"S-20 {name}" for name in XML_BOMBS])
def test_an_xml_bomb_is_refused_before_it_is_one(name: str) -> None:
    text = XML_BOMBS[name]
    LANGUAGE.parse_selection('<fetch><entity name="account"/></fetch>', TABLES)  # imports are done
    with memory(60 * MIB if len(text) > 500_000 else 10 * MIB), calls(2_000):
        with pytest.raises(FilterError):
            LANGUAGE.parse(text, ACCOUNT, TABLES)
        with pytest.raises(FilterError):
            LANGUAGE.parse_selection(text, TABLES)


class NoSession:
    """A session that nothing may be sent with."""

    async def get(self, *_: object) -> Answer:
        raise AssertionError("it was sent")


@pytest.mark.parametrize("name", XML_BOMBS, ids=[f"S-20 {name}" for name in XML_BOMBS])
async def test_an_xml_bomb_is_not_sent_on_as_a_condition(name: str) -> None:
    session: Any = NoSession()
    with pytest.raises(ProtocolError, match="; "):
        await ids_of(session, NAME_ONLY, XML_BOMBS[name], page_size=10)


# S-21: packed bytes.


@pytest.mark.parametrize("name", BOMBS, ids=[f"S-21 {name}" for name in BOMBS])
async def test_a_bomb_is_cut_at_the_cap(name: str) -> None:
    assert zeros(200)
    assert twice()
    assert nobodies()  # they are made now: what the server sends is not counted
    limits = {"timeout": 30, "max_wait": 0, "page_size": 1}
    async with hostile(BOMBS[name]) as server, transport_to(server.url, **limits) as transport:
        with memory(2 * CAP), pytest.raises(TransportError) as caught:
            await pulled(transport, NAME_ONLY)
        assert "; " in str(caught.value)
        assert len(server.asked) <= 4, "it is not asked for again and again"


@pytest.mark.parametrize(
    "name", ["deflate", "raw deflate", "br", "zstd", "compress", "gzip of gzip that says so"]
)
async def test_a_packing_that_was_not_asked_for_is_not_even_tried(name: str) -> None:
    """S-21."""
    async with hostile(BOMBS[name]) as server, transport_to(server.url) as transport:
        with pytest.raises(ProtocolError, match="was not allowed; "):
            await pulled(transport, NAME_ONLY)
        assert [one.headers["accept-encoding"] for one in server.asked] == ["gzip"]


@pytest.mark.parametrize("name", ["gzip of 200 MiB", "gzip after gzip", "plain bytes for ever"])
@pytest.mark.parametrize("where", ["push", "schema", "views", "count", "identity", "ids"])
async def test_the_cap_is_everywhere(where: str, name: str) -> None:
    """S-21."""
    from holdfast.model import Op, OpKind, Unit

    op = Op("o1", 1, OpKind.CREATE, "account", account_id(1), {"name": "A"})
    outcomes: list[Outcome] = []
    async with hostile(BOMBS[name]) as server, transport_to(server.url, max_wait=0) as transport:
        with memory(2 * CAP):
            try:
                match where:
                    case "push":
                        units = [Unit((op,))]
                        outcomes = [o async for o in transport.push(units, {"account": NAME_ONLY})]
                    case "ids":
                        _ = [one async for one in transport.list_ids(NAME_ONLY, None)]
                    case "schema":
                        await transport.schema(["account"])
                    case "views":
                        assert await transport.views(["account"]) == []
                    case "count":
                        assert await transport.count(NAME_ONLY) is None
                    case _:
                        await transport.identity()
            except TransportError:
                pass
    assert len(outcomes) == (where == "push")


@pytest.mark.parametrize("beyond", [-1, 0, 1])
@pytest.mark.parametrize("status", [200, 400])
def test_the_cap_is_where_it_is_said_to_be(status: int, beyond: int) -> None:
    """S-21: one byte less is read, one more is not; packed or not."""
    import zlib

    most = _unpacking._LARGEST_PAGE if status == 200 else _unpacking._LARGEST_ERROR
    body = bytes(most + beyond)
    for sink, bytes_ in (
        (_unpacking._Plain(most), body),
        (_unpacking._Gunzip(most), zlib.compress(body, 1, wbits=31)),
    ):
        try:
            for at in range(0, len(bytes_), 1 << 16):
                sink.feed(bytes_[at : at + (1 << 16)])
            assert sink.whole() == body
        except TooLarge:
            assert beyond == 1
        else:
            assert beyond < 1


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 300])
def test_slices_lose_nothing(size: int) -> None:
    """S-21: what is unpacked a slice at a time is whole, wherever the slices end."""
    import zlib

    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    sink = _unpacking._Gunzip(CAP)
    for one in zlib.compress(body, 9, wbits=31):
        sink.feed(bytes([one]))
    assert sink.whole() == body


# S-22: JSON.


def page_of(member: str, value: bytes) -> bytes:
    row = {"@odata.etag": b'"v"', "accountid": f'"{account_id(1)}"'.encode(), "name": b'"A"'}
    row[member] = value
    members = b",".join(b'"%b":%b' % (name.encode(), text) for name, text in row.items())
    return b'{"value":[{%b}]}' % members


PLACES: dict[str, Callable[[bytes], bytes]] = {
    "row": lambda value: page_of("name", value),
    "key": lambda value: page_of("accountid", value),
    "etag": lambda value: page_of("@odata.etag", value),
    "page": lambda value: value,
    "list": lambda value: b'{"value":%b}' % value,
    "skipped member": lambda value: page_of("unknown", value),
}
REFUSED_JSON = NO_VALUES | ODD_VALUES
#: What a decoder may skip without looking closely, since nobody is told of it.
SKIPPABLE = {
    name for name in REFUSED_JSON if name.startswith("string_") or name in ODD_VALUES
} | {"number_beyond_a_double"}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", REFUSED_JSON, ids=[f"S-22 {name}" for name in REFUSED_JSON])
def test_what_is_no_json_is_refused_or_put_aside_wherever_it_stands(name: str, place: str) -> None:
    body = PLACES[place](REFUSED_JSON[name])
    reader = Reader(NAME_ONLY)
    for read in (reader.page, reader.changes):
        try:
            rows = read(body)
        except ProtocolError as error:
            assert str(error).isprintable()  # noqa: PT017  most are refused, some are skipped
            continue
        if rows.unreadable:
            assert place != "page"
            assert (rows.records, rows.tombstones, rows.partial) == ([], [], [])
            assert all(row.reason.isprintable() for row in rows.unreadable)
            continue
        assert place in ("skipped member", "list"), "it was read"
        assert name in SKIPPABLE or rows.records == [], "it was skipped unseen"
    if place == "page" and not name.endswith("_object"):
        with pytest.raises(ProtocolError):
            json_object(Answer(200, {}, body), "x")


def test_the_corpus_is_large_enough() -> None:
    assert len(REFUSED_JSON) * len(PLACES) > 600


@pytest.mark.parametrize("text", ["a\0b", "\ufeff", "\u202e", "x" * MIB, "🜁" * 1000, "\\u0041"])
def test_odd_text_that_is_text_is_kept_as_it_is(text: str) -> None:
    """S-22: what JSON and the disk can both hold is no reason to refuse."""
    [record] = (
        Reader(NAME_ONLY).page(json.dumps({"value": [account_row(1, text)]}).encode()).records
    )
    assert record[1] == text
