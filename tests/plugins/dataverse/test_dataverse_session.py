"""One request: token, limits, pauses, retries, and who really answered."""

from __future__ import annotations

import asyncio
import gzip
import logging
import zlib
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from holdfast.errors import (
    AccessDenied,
    ProtocolError,
    SignInNeeded,
    Throttled,
    TransportError,
    Unreachable,
)
from holdfast.model import Connectivity
from holdfast_dataverse._answers import Answer, failure
from holdfast_dataverse._tasks import Beside
from holdfast_dataverse._throttle import LONGEST_PAUSE, Throttle, seconds_to_wait
from holdfast_emulator import Fault, FaultKind
from support.dataverse import (
    NAME_ONLY,
    NOW,
    TOKEN,
    World,
    account_row,
    account_scope,
    page_answer,
    pulled,
    stub,
    transport_to,
)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("0", 0),
        ("30", 30),
        ("1.5", 1.5),
        ("-5", 0),
        ("99999999999", LONGEST_PAUSE),
        ("inf", LONGEST_PAUSE),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=900), usegmt=True), LONGEST_PAUSE),
        ("Sun, 01 Mar 2026 08:00:10", 10),
        ("Mon, 99 Mar 2026 08:00:10 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert seconds_to_wait(header, NOW) == seconds


async def test_a_pause_holds_up_every_request_and_ends() -> None:
    throttle, loop = Throttle(), asyncio.get_running_loop()
    began = loop.time()
    throttle.pause(0.02)
    throttle.pause(0.001)
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(throttle.wait(began + 1))
    assert loop.time() >= began + 0.02


async def test_a_pause_beyond_the_deadline_is_not_waited_for() -> None:
    throttle, loop = Throttle(), asyncio.get_running_loop()
    throttle.pause(100)
    with pytest.raises(Throttled) as caught:
        await throttle.wait(loop.time() + 10)
    assert caught.value.retry_after == pytest.approx(100, abs=1)


async def test_a_read_waits_as_it_is_told_and_goes_on(world: World) -> None:
    world.account()
    world.server.faults.add(Fault(FaultKind.THROTTLE, times=2, retry_after=0, path="accounts"))
    world.server.faults.add(Fault(FaultKind.UNAVAILABLE, retry_after=0, path="accounts"))
    async with world.open() as transport:
        [page] = await pulled(transport, await account_scope(transport))
    assert len(page.records) == 1


async def test_waiting_is_bounded(world: World) -> None:
    async with world.open(max_wait=1) as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.THROTTLE, retry_after=600, path="accounts"))
        with pytest.raises(Throttled) as caught:
            await pulled(transport, scope)
        assert caught.value.retry_after == pytest.approx(600, abs=5)
        assert await transport.probe() is Connectivity.THROTTLED, "the pause is everybody's"


async def test_a_server_that_always_asks_to_wait_is_given_up(world: World) -> None:
    async with world.open() as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.THROTTLE, times=None, retry_after=0))
        with pytest.raises(Throttled):
            await pulled(transport, scope)


async def test_a_token_that_ran_out_is_renewed_once(tmp_path: Path, world: World) -> None:
    world.server.faults.add(Fault(FaultKind.EXPIRE_TOKEN, path="WhoAmI"))
    async with world.open() as transport:
        assert await transport.probe() is Connectivity.CONNECTED
    world.server.faults.add(Fault(FaultKind.EXPIRE_TOKEN, times=2, path="WhoAmI"))
    async with world.open() as transport:
        assert await transport.probe() is Connectivity.SIGN_IN_NEEDED
        assert await transport.probe() is Connectivity.CONNECTED


async def test_a_refused_token_wants_a_person(world: World) -> None:
    async with world.open(token="wrong") as transport:
        with pytest.raises(SignInNeeded):
            await transport.identity()


async def test_a_captive_portal_is_nobody_at_home(world: World) -> None:
    world.account()
    async with world.open() as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.CAPTIVE_PORTAL, times=None))
        with pytest.raises(Unreachable, match="sign-in"):
            await pulled(transport, scope)
        assert await transport.probe() is Connectivity.CAPTIVE_PORTAL


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async def away(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": f"{request.url.origin()}/else"})

    async with stub(away) as server, transport_to(server.url) as transport:
        assert await transport.probe() is Connectivity.CAPTIVE_PORTAL
        assert all(request.path.endswith("WhoAmI") for request in server.requests)


async def test_no_server_is_no_answer() -> None:
    async def silence(_: web.Request) -> web.StreamResponse:
        return page_answer()

    async with stub(silence) as server:
        url = server.url
    async with transport_to(url) as transport:
        assert await transport.probe() is Connectivity.NO_ANSWER
        with pytest.raises(Unreachable, match="cannot be reached"):
            await transport.identity()


@pytest.mark.parametrize("kind", [FaultKind.LOSE_REQUEST, FaultKind.LOSE_REPLY, FaultKind.CUT_BODY])
async def test_a_read_that_broke_off_is_repeated(world: World, kind: FaultKind) -> None:
    for number in range(5):
        world.account(number)
    async with world.open() as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(kind, times=2, path="accounts"))
        [page] = await pulled(transport, scope)
        assert len(page.records) == 5


async def test_a_read_that_always_breaks_off_is_given_up(world: World) -> None:
    async with world.open() as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.CUT_BODY, times=None, path="accounts"))
        with pytest.raises(Unreachable):
            await pulled(transport, scope)


async def test_a_slow_answer_has_a_deadline(world: World) -> None:
    async with world.open(timeout=0.05) as transport:
        world.server.faults.add(Fault(FaultKind.DELAY, times=None, seconds=0.4, path="WhoAmI"))
        with pytest.raises(Unreachable, match="in time"):
            await transport.identity()


BOMB = gzip.compress(bytes(100 << 20), 9)
TWICE = gzip.compress(BOMB)


def packed(body: bytes, encoding: str = "gzip", status: int = 200) -> web.Response:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    return web.Response(status=status, body=body, headers=headers)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda: packed(BOMB), ProtocolError),
        (lambda: packed(BOMB, status=400), ProtocolError),
        (lambda: packed(BOMB, status=404), ProtocolError),
        (lambda: packed(TWICE), ProtocolError),
        (lambda: packed(zlib.compress(b"{}"), "deflate"), ProtocolError),
        (lambda: packed(b"{}", "br"), ProtocolError),
        (lambda: packed(TWICE, "gzip, gzip"), ProtocolError),
        (lambda: packed(b"no gzip"), Unreachable),
        (lambda: packed(gzip.compress(b'{"value":[]}')[:-6]), Unreachable),
        (lambda: packed(gzip.compress(b"{}") + b"more"), Unreachable),
        (lambda: web.Response(status=400, body=bytes(2 << 20)), ProtocolError),
        (lambda: web.Response(status=204), ProtocolError),
        (lambda: web.Response(body=b"", content_type="application/json"), ProtocolError),
        (lambda: web.Response(text="<p>hello", content_type="text/html"), Unreachable),
        (lambda: web.json_response({"value": "nothing"}), ProtocolError),
        (lambda: web.Response(status=511), Unreachable),
        (lambda: web.Response(status=407), Unreachable),
        (lambda: web.Response(status=500), Unreachable),
    ],
)
async def test_an_answer_that_is_none_is_no_empty_table(
    answer: Callable[[], web.Response], error: type[TransportError]
) -> None:
    async def give(_: web.Request) -> web.StreamResponse:
        return answer()

    async with stub(give) as server, transport_to(server.url) as transport:
        with pytest.raises(error):
            await pulled(transport, NAME_ONLY)


async def test_a_gzipped_page_is_unpacked() -> None:
    async def give(_: web.Request) -> web.StreamResponse:
        page = page_answer(account_row(1), deltaLink=f"{server.url}/api/data/v9.2/accounts?d")
        assert page.body is not None
        return packed(gzip.compress(bytes(page.body)))  # type: ignore[arg-type]  # bytes here

    async with stub(give) as server, transport_to(server.url) as transport:
        [page] = await pulled(transport, NAME_ONLY)
        assert len(page.records) == 1
        [request] = server.requests
        assert request.headers["Accept-Encoding"] == "gzip"
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        assert TOKEN not in str(request.url)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "", SignInNeeded),
        (403, "0x80072560", AccessDenied),
        (400, "0x80040220", AccessDenied),
        (400, "0x80072491", AccessDenied),
        (400, "0x80060888", ProtocolError),
        (404, "0x80060888", ProtocolError),
        (429, "", Throttled),
        (408, "", Unreachable),
        (500, "", Unreachable),
        (501, "", ProtocolError),
        (503, "", Unreachable),
    ],
)
def test_an_error_says_who_must_act(status: int, code: str, error: type[TransportError]) -> None:
    body = f'{{"error":{{"code":"{code}","message":"no \\u001b[31mred"}}}}'.encode()
    found = failure(Answer(status, {}, body), "reading")
    assert type(found) is error
    assert "\x1b" not in str(found)


async def test_no_token_in_logs_and_errors(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    errors: list[BaseException | None] = []
    world.dataverse.keeper.keep("start")
    fault = partial(Fault, times=4, retry_after=0, seconds=0.01, path="WhoAmI", baseline="start")
    async with world.open() as transport:
        for kind in FaultKind:
            world.server.faults.add(fault(kind))
            try:
                await transport.identity()
            except TransportError as error:
                errors += [error, error.__cause__, error.__context__]
            world.server.faults.clear()
    assert len(errors) > 6
    texts = [repr(error) + str(error) + repr(vars(error)) for error in errors if error]
    assert not any(TOKEN in text for text in [*texts, caplog.text, repr(transport)])


async def test_no_token_behind_an_answer_that_is_no_http() -> None:
    """The error of aiohttp for it has the request, with its headers, in its repr."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 banana\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, transport_to(f"http://127.0.0.1:{port}") as transport:
        with pytest.raises(Unreachable) as caught:
            await transport.identity()
    chain: list[BaseException] = [caught.value]
    for error in chain:
        chain += [one for one in (error.__cause__, error.__context__) if one and one not in chain]
    assert not any(TOKEN in repr(error) for error in chain)


async def test_a_date_to_wait_for_is_read_by_the_servers_own_clock(world: World) -> None:
    """A device whose clock is years behind must not wait for years."""
    server_time = NOW + timedelta(days=3650)

    async def busy(_: web.Request) -> web.StreamResponse:
        headers = {
            "Date": format_datetime(server_time, usegmt=True),
            "Retry-After": format_datetime(server_time + timedelta(seconds=20), usegmt=True),
        }
        return web.Response(status=429, headers=headers)

    async with stub(busy) as server, transport_to(server.url, max_wait=1) as transport:
        with pytest.raises(Throttled) as caught:
            await transport.identity()
    assert caught.value.retry_after == pytest.approx(20, abs=2)


async def test_work_beside_ends_even_when_leaving_is_cancelled() -> None:
    loop = asyncio.get_running_loop()
    began, wind_up = loop.create_future(), loop.create_future()
    ended = False

    async def work() -> None:
        nonlocal ended
        try:
            began.set_result(None)
            await loop.create_future()
        finally:
            await wind_up
            ended = True

    async def user() -> None:
        async with Beside(work()):
            await began

    task = loop.create_task(user())
    await began
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    wind_up.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended
