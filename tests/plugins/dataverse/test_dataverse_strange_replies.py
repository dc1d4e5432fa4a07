"""Replies to a batch that no good server gives, and what is said of the ops then."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiohttp import web

from holdfast.errors import (
    AccessDenied,
    ProtocolError,
    Unreachable,
)
from holdfast.model import (
    Applied,
    Connectivity,
    NotApplied,
    Op,
    OpKind,
    Outcome,
    Refused,
    Unknown,
)
from holdfast_dataverse import _session
from support.dataverse import (
    NAME_ONLY,
    account_id,
    gathered,
    kinds,
    pushed,
    stub,
    transport_to,
)


def reply(*parts: str) -> web.Response:
    body = "".join(
        f"--r\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {part}\r\n" for part in parts
    )
    headers = {"Content-Type": "multipart/mixed; boundary=r"}
    return web.Response(text=f"{body}--r--\r\n", headers=headers)


def created(number: int) -> str:
    return (
        "201 Created\r\nContent-Type: application/json\r\n\r\n"
        f'{{"@odata.etag":"v","accountid":"{account_id(number)}","name":"A{number}"}}'
    )


def error(status: int, code: str) -> str:
    return f'{status} No\r\n\r\n{{"error":{{"code":"{code}","message":"words"}}}}'


async def outcomes_of(
    answer: Callable[[int], web.Response], count: int
) -> tuple[list[Outcome], Exception | None, int]:
    """Push creates 1 … count to a server that answers its n-th request so."""
    asked = 0

    async def give(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return answer(asked)

    ops = [
        Op(f"o{n}", n, OpKind.CREATE, "account", account_id(n), {"name": f"A{n}"}, attempts=1)
        for n in range(1, count + 1)
    ]
    async with stub(give) as server, transport_to(server.url, concurrency=1) as transport:
        outcomes, failure = await gathered(transport, NAME_ONLY, *ops)
    return sorted(outcomes, key=lambda outcome: outcome.op_id), failure, asked


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((created(1), created(2), created(3)), [Applied, Applied, Applied]),
        ((created(1), created(3)), [Applied, Unknown, Applied]),
        ((created(2),), [Unknown, Applied, Unknown]),
        ((created(1), error(400, "0x1")), [Applied, Unknown, Unknown]),
        ((), [Unknown, Unknown, Unknown]),
        ((created(1), created(2), created(3), created(4)), [Applied, Applied, Applied]),
        ((created(2), created(1), created(3)), [Unknown, Unknown, Applied]),
        ((created(1), error(400, "0x1"), error(503, "")), [Applied, Refused, Unknown]),
        ((created(1), error(429, ""), error(500, "")), [Applied, NotApplied, Unknown]),
    ],
)
async def test_an_answer_is_never_given_to_another_op(
    parts: tuple[str, ...], expected: list[type[Outcome]]
) -> None:
    outcomes, failure, _ = await outcomes_of(lambda _: reply(*parts), 3)
    assert [type(outcome) for outcome in outcomes] == expected
    assert failure is None


async def test_a_doubt_that_cannot_be_looked_into_is_sent_again_later() -> None:
    def answer(asked: int) -> web.Response:
        if asked == 1:
            return reply(error(412, "0x80040237"))
        return web.json_response({"error": {"code": "", "message": "no"}}, status=403)

    outcomes, _, asked = await outcomes_of(answer, 1)
    assert [type(outcome) for outcome in outcomes] == [NotApplied]
    assert asked == 2


async def test_one_op_that_makes_the_whole_batch_fail_is_found() -> None:
    """The server turns away whatever holds the second create, at the door."""

    async def give(request: web.Request) -> web.StreamResponse:
        text = await request.text()
        if account_id(2) in text:
            return web.json_response({"error": {"code": "0xbad", "message": "no"}}, status=413)
        return reply(*(created(n) for n in range(1, 5) if account_id(n) in text))

    ops = [
        Op(f"o{n}", n, OpKind.CREATE, "account", account_id(n), {"name": f"A{n}"})
        for n in range(1, 5)
    ]
    async with stub(give) as server, transport_to(server.url) as transport:
        outcomes = await pushed(transport, NAME_ONLY, *ops)
    assert {outcome.op_id: type(outcome) for outcome in outcomes} == {
        "o1": Applied,
        "o2": Refused,
        "o3": Applied,
        "o4": Applied,
    }


async def test_who_may_not_write_at_all_is_told_so() -> None:
    def answer(_: int) -> web.Response:
        return web.json_response({"error": {"code": "0x80072560", "message": "no"}}, status=403)

    outcomes, failure, _ = await outcomes_of(answer, 2)
    assert kinds(outcomes) == {NotApplied: 2}
    assert isinstance(failure, AccessDenied)


@pytest.mark.parametrize("status", [200, 204, 408, 500, 502, 503, 504])
async def test_a_batch_without_a_batch_reply_is_unknown(status: int) -> None:
    outcomes, failure, asked = await outcomes_of(lambda _: web.json_response({}, status=status), 2)
    assert kinds(outcomes) == {Unknown: 2}
    assert failure is None
    assert asked == 1, "a write is not repeated"


def web_page(status: int) -> web.Response:
    return web.Response(status=status, text="<h1>No</h1>", content_type="text/html")


@pytest.mark.parametrize("status", [400, 403, 404, 405, 451])
async def test_the_web_page_of_a_stranger_refuses_no_op(status: int) -> None:
    """The Web API complains in JSON; what a proxy thinks of a request is not about the ops."""
    outcomes, failure, asked = await outcomes_of(lambda _: web_page(status), 4)
    assert kinds(outcomes) == {Unknown: 4}
    assert failure is None, "reading may work all the same"
    assert asked == 1


@pytest.mark.parametrize("status", [404, 405, 410, 415])
async def test_an_error_that_no_op_can_be_the_reason_of_refuses_no_op(status: int) -> None:
    body = {"error": {"code": "0x80060888", "message": "no such segment"}}
    outcomes, failure, asked = await outcomes_of(
        lambda _: web.json_response(body, status=status), 4
    )
    assert kinds(outcomes) == {NotApplied: 4}
    assert isinstance(failure, ProtocolError)
    assert asked == 1


async def test_a_gateway_that_finds_a_batch_too_large_gets_smaller_ones() -> None:
    outcomes, failure, asked = await outcomes_of(lambda _: web_page(413), 2)
    assert kinds(outcomes) == {Refused: 2}
    assert failure is None
    assert asked == 3


async def test_a_server_that_never_answers_is_given_up() -> None:
    """Each batch may take minutes to be given up; a long outbox must not take hours."""
    asked = 0

    async def hang_up(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    ops = [
        Op(f"o{n}", n, OpKind.CREATE, "account", account_id(n), {"name": "A"}) for n in range(20)
    ]
    limits = {"batch_size": 1, "concurrency": 2}
    async with stub(hang_up) as server, transport_to(server.url, **limits) as transport:
        outcomes, error = await gathered(transport, NAME_ONLY, *ops)
    assert asked <= 4
    assert kinds(outcomes) == {Unknown: asked, NotApplied: 20 - asked}
    assert error is None, "reading may work all the same"


async def test_a_pause_that_a_part_asks_for_is_everybodys() -> None:
    words = '{"error":{"code":"0x80072322","message":"words"}}'

    async def give(_: web.Request) -> web.StreamResponse:
        return reply(f"429 No\r\nRetry-After: 500\r\n\r\n{words}")

    op = Op("o1", 1, OpKind.CREATE, "account", account_id(1), {"name": "A"})
    async with stub(give) as server, transport_to(server.url) as transport:
        outcomes, _ = await gathered(transport, NAME_ONLY, op)
        assert kinds(outcomes) == {NotApplied: 1}
        assert await transport.probe() is Connectivity.THROTTLED
        assert len(server.requests) == 1


async def test_a_row_that_was_deleted_right_after_it_was_written_is_not_made_again() -> None:
    def answer(asked: int) -> web.Response:
        return reply("204 No Content\r\n" if asked == 1 else '200 OK\r\n\r\n{"value":[]}')

    outcomes, failure, _ = await outcomes_of(answer, 1)
    assert outcomes == [Applied("o1", None)]
    assert failure is None


async def test_words_of_the_server_cannot_steer_a_terminal() -> None:
    outcomes, _, _ = await outcomes_of(lambda _: reply(error(400, "\\u001b]0;x" * 99)), 1)
    [refused] = outcomes
    assert isinstance(refused, Refused)
    assert refused.code.isprintable()
    assert len(refused.code) <= 40


async def test_no_token_means_that_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoNetwork:
        async def token(self) -> str:
            raise Unreachable("the sign-in service did not answer")

        def forget(self, _: str) -> None:
            raise AssertionError

    monkeypatch.setattr(_session, "open_credential", lambda *_: NoNetwork())
    op = Op("o1", 1, OpKind.CREATE, "account", account_id(1), {"name": "A"})
    async with transport_to("http://127.0.0.1:9") as transport:
        outcomes, failure = await gathered(transport, NAME_ONLY, op)
    assert kinds(outcomes) == {NotApplied: 1}
    assert isinstance(failure, Unreachable)
