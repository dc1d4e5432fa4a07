"""Batches: data cannot pose as protocol, and a reply is read as far as it is whole."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ProtocolError
from holdfast_dataverse._answers import Answer
from holdfast_dataverse._batch import ChangeSet, Part, Reply, decode, encode
from holdfast_emulator.wire.batch import read_batch
from support.dataverse import CountedIds

FIRST_BOUNDARY = "batch_00000000-0000-7000-8000-000000000001"


def answer(body: bytes, boundary: str = "b") -> Answer:
    return Answer(200, {"content-type": f"multipart/mixed; boundary={boundary}"}, body)


def part(status: str, body: str = "", head: str = "", extra: str = "") -> str:
    return (
        f"--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{extra}\r\n"
        f"HTTP/1.1 {status}\r\n{head}\r\n{body}\r\n"
    )


def test_a_batch_is_what_the_documentation_shows() -> None:
    change = ChangeSet((Part("DELETE", "/api/data/v9.2/accounts(1)", {"If-Match": 'W/"1"'}),))
    kind, body = encode([Part("GET", "/api/data/v9.2/accounts"), change], CountedIds())
    assert kind == f"multipart/mixed; boundary={FIRST_BOUNDARY}"
    assert body.decode() == (
        f"--{FIRST_BOUNDARY}\r\n"
        "Content-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\n"
        "\r\n"
        "GET /api/data/v9.2/accounts HTTP/1.1\r\n"
        "\r\n"
        "\r\n"
        f"--{FIRST_BOUNDARY}\r\n"
        f"Content-Type: multipart/mixed; boundary={FIRST_BOUNDARY}_1\r\n"
        "\r\n"
        f"--{FIRST_BOUNDARY}_1\r\n"
        "Content-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\n"
        "Content-ID: 1001\r\n"
        "\r\n"
        "DELETE /api/data/v9.2/accounts(1) HTTP/1.1\r\n"
        'If-Match: W/"1"\r\n'
        "\r\n"
        "\r\n"
        f"--{FIRST_BOUNDARY}_1--\r\n"
        f"--{FIRST_BOUNDARY}--\r\n"
    )


def test_a_body_that_holds_the_boundary_gets_another() -> None:
    forged = Part("POST", "/x", {}, f'{{"name":"--{FIRST_BOUNDARY}--"}}'.encode())
    kind, body = encode([forged], CountedIds())
    boundary = kind.partition("boundary=")[2]
    assert boundary != FIRST_BOUNDARY
    assert body.count(boundary.encode()) == 2


@pytest.mark.parametrize("text", ['W/"1"\r\nX-Evil: 1', "a\nb", "a\rb", "a\0b", "é"])
def test_a_line_end_in_a_header_is_not_sent(text: str) -> None:
    with pytest.raises(ProtocolError, match="not sent"):
        encode([Part("PATCH", "/x", {"If-Match": text})], CountedIds())
    with pytest.raises(ProtocolError, match="not sent"):
        encode([Part("PATCH", f"/{text}")], CountedIds())


def test_replies_come_in_the_order_of_the_items() -> None:
    body = (
        part("200 OK", '{"a":1}', "Content-Type: application/json\r\n")
        + part("204 No Content", head="OData-EntityId: https://x/accounts(1)\r\n")
        + part("404 Not Found", '{"error":{}}')
        + "--b--\r\n"
    )
    replies = decode(answer(body.encode()))
    assert [reply.answer.status for reply in replies if isinstance(reply, Reply)] == [200, 204, 404]
    assert isinstance(replies[0], Reply)
    assert replies[0].answer.body == b'{"a":1}'
    assert replies[0].answer.headers == {"content-type": "application/json"}


@pytest.mark.parametrize("gap", ["", "\r\n", "\r\n\r\n"])
def test_a_change_set_may_end_close_to_its_parent(gap: str) -> None:
    nested = (
        "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
        "--c\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\n"
        "HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n\r\n"
        "--c\r\nContent-Type: application/http\r\nContent-ID: 2\r\n\r\n"
        'HTTP/1.1 201 Created\r\n\r\n{"x":"--c"}\r\n'
        f"--c--\r\n{gap}"
    )
    replies = decode(answer((nested + part("200 OK", "{}") + "--b--").encode()))
    assert len(replies) == 2
    first = replies[0]
    assert isinstance(first, tuple)
    assert [one.content_id for one in first] == ["1", "2"]
    assert first[1].answer.body == b'{"x":"--c"}'


def test_parts_before_a_cut_are_kept() -> None:
    body = part("200 OK", "{}") + part("200 OK", "{}")
    assert len(decode(answer(body.encode()[:-20]))) == 1
    assert decode(answer(b"")) == []


@pytest.mark.parametrize(
    "broken",
    [
        Answer(200, {"content-type": "application/json"}, b"{}"),
        Answer(200, {"content-type": "multipart/mixed"}, b"--b--"),
        Answer(200, {}, b"--b--"),
        answer(b"--b\r\nContent-Type: application/http\r\n\r\nno status\r\n--b--\r\n"),
        answer(b"--b\r\nContent-Type: application/http\r\n\r\n\r\n--b--\r\n"),
    ],
)
def test_what_is_no_batch_is_refused(broken: Answer) -> None:
    with pytest.raises(ProtocolError):
        decode(broken)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for raw in (body, b"--b\r\n" + body, part("200 OK").encode() + body):
        with contextlib.suppress(ProtocolError):
            decode(answer(raw))


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5), st.booleans())
def test_the_server_reads_the_bodies_that_were_put_in(
    texts: list[str],
    together: bool,
) -> None:
    bodies = [repr(text).encode() for text in texts]
    parts = tuple(Part("POST", "/api/data/v9.2/accounts", {"A": "b"}, body) for body in bodies)
    kind, body = encode([ChangeSet(parts)] if together else list(parts), CountedIds())
    read = read_batch(kind, body)
    found: list[Any] = [part for one in read for part in getattr(one, "operations", (one,))]
    assert [part.body for part in found] == bodies
