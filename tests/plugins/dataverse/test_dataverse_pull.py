"""Reading with change tracking, and what can go wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web

from holdfast.errors import AccessDenied, CheckpointExpired, ProtocolError, Unreachable
from holdfast.model import Page, Scope
from holdfast_dataverse import _pull
from holdfast_emulator import Depth, Fault, FaultKind
from support.dataverse import (
    NAME_ONLY,
    Stub,
    World,
    account_id,
    account_row,
    account_scope,
    page_answer,
    pulled,
    stub,
    tombstone,
    transport_to,
)

API = "/api/data/v9.2/accounts"
Answering = Callable[[web.Request], web.Response]


def scripted(answers: Answering) -> Callable[[web.Request], object]:
    async def give(request: web.Request) -> web.StreamResponse:
        return answers(request)

    return give


def link(request: web.Request, query: str) -> str:
    return f"{request.url.origin()}{API}?{query}"


async def served(answers: Answering, *, since: str | None = None) -> tuple[list[Page], Stub]:
    """Pull from a server that answers so; ``since`` is the query of a stored delta link."""

    async def give(request: web.Request) -> web.StreamResponse:
        return answers(request)

    async with stub(give) as server, transport_to(server.url) as transport:
        checkpoint = None
        if since is not None:
            stored = f"{server.url}{API}?{since}"
            checkpoint = f'{{"link":"{stored}","delta":true,"midway":false}}'
        return await pulled(transport, NAME_ONLY, checkpoint), server


async def test_every_page_asks_for_the_same(world: World) -> None:
    for number in range(7):
        world.account(number)
    async with world.open(page_size=3) as transport:
        [schema] = await transport.schema(["account"])
        scope = Scope(schema.only(("name", "ownerid")), frozenset({"ownerid"}))
        pages = await pulled(transport, scope)
    assert [len(page.records) for page in pages] == [3, 3, 1]
    assert pages[0].records[0][-2], "the name of the owner"


async def test_preferences_are_repeated_and_links_are_not_touched() -> None:
    cookie = "$skiptoken=%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253c%22/%3E'+"

    def answers(request: web.Request) -> web.Response:
        if "skiptoken" in request.raw_path:
            return page_answer(account_row(2), deltaLink=link(request, "d"))
        return page_answer(account_row(1), nextLink=link(request, cookie))

    pages, server = await served(answers)
    first, second = server.requests
    assert len(pages) == 2
    assert second.raw_path == f"{API}?{cookie}"
    assert first.raw_path == f"{API}?$select=accountid,name"
    assert first.headers["Prefer"] == "odata.track-changes,odata.maxpagesize=5000"
    assert second.headers["Prefer"] == first.headers["Prefer"]


async def test_the_next_page_comes_while_the_last_one_is_stored(world: World) -> None:
    for number in range(5):
        world.account(number)
    async with world.open(page_size=2) as transport:
        scope = await account_scope(transport)
        before = len(world.server.trace)
        pages = transport.pull(scope, None)
        await anext(pages)
        async with asyncio.timeout(5):
            while len(world.server.trace) < before + 2:  # noqa: ASYNC110  the server tells nobody
                await asyncio.sleep(0)
        rest = [page async for page in pages]
    assert len(rest) == 2


async def test_a_page_of_a_first_reading_is_handed_on_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever part a reading broke off behind, going on brings every row that is missing."""
    monkeypatch.setattr(_pull, "MOST_AT_ONCE", 2)
    for number in range(12):
        world.account(number)
    async with world.open(page_size=5) as transport:
        scope = await account_scope(transport)
        pages = await pulled(transport, scope)
        everything = {record[0] for page in pages for record in page.records}
        assert [len(page.records) for page in pages] == [2, 2, 1, 2, 2, 1, 2]
        assert [page.last for page in pages] == [False] * 6 + [True]
        here: set[object] = set()
        for page in pages[:-1]:
            here |= {record[0] for record in page.records}
            rest = await pulled(transport, scope, page.checkpoint)
            assert here | {record[0] for one in rest for record in one.records} == everything
        for number in range(5):
            world.account(number, name="changed")
        (changes,) = await pulled(transport, scope, pages[-1].checkpoint)
        assert len(changes.records) == 5, "a delta is not cut: it may say that a row is gone, too"


async def test_a_pull_that_is_left_early_leaves_nothing_behind(world: World) -> None:
    for number in range(5):
        world.account(number)
    async with world.open(page_size=2) as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.DELAY, path="skiptoken", seconds=0.2))
        pages = transport.pull(scope, None)
        await anext(pages)
        await asyncio.sleep(0)
        await pages.aclose()  # type: ignore[attr-defined]  # an async generator
        assert asyncio.all_tasks() == {asyncio.current_task()} | {
            task for task in asyncio.all_tasks() if "RequestHandler" in repr(task)
        }


async def test_an_error_on_the_next_page_comes_after_the_last_good_one(world: World) -> None:
    for number in range(5):
        world.account(number)
    async with world.open(page_size=2) as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.CUT_BODY, times=None, path="skiptoken"))
        pages = transport.pull(scope, None)
        first = await anext(pages)
        with pytest.raises(Unreachable):
            await anext(pages)
        world.server.faults.clear()
        rest = await pulled(transport, scope, first.checkpoint)
    assert sum(len(page.records) for page in [first, *rest]) == 5


async def test_an_id_that_is_live_and_deleted_is_looked_up() -> None:
    """Fault 32: 1 was restored, 2 is really gone, 3 was deleted and nothing else."""

    def answers(request: web.Request) -> web.Response:
        if request.path.endswith("$batch"):
            row = '{"@odata.etag":"W/\\"9\\"","accountid":"' + account_id(1) + '","name":"back"}'
            body = (
                "--r\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
                f'{{"value":[{row}]}}\r\n--r--\r\n'
            )
            headers = {"Content-Type": "multipart/mixed; boundary=r"}
            return web.Response(text=body, headers=headers)
        if "second" in request.raw_path:
            gone = tombstone(1), tombstone(2), tombstone(3)
            return page_answer(*gone, deltaLink=link(request, "d"))
        return page_answer(account_row(1), account_row(2), nextLink=link(request, "second"))

    pages, _ = await served(answers, since="first")
    assert [record[0] for record in pages[0].records] == [account_id(1), account_id(2)]
    assert pages[1].records == [(account_id(1), "back", 'W/"9"')]
    assert pages[1].tombstones == [account_id(2), account_id(3)]


async def test_a_resumed_delta_looks_up_what_it_says_is_deleted(world: World) -> None:
    """A live row may have come in the part that was stored earlier."""
    rows = [world.account(number) for number in range(4)]
    async with world.open(page_size=2) as transport:
        scope = await account_scope(transport)
        checkpoint = (await pulled(transport, scope))[-1].checkpoint
        for number, row_id in enumerate(rows):
            world.rename(row_id, f"New {number}")
        world.delete(rows[0])
        pages = await pulled(transport, scope, checkpoint)
        rest = await pulled(transport, scope, pages[0].checkpoint)
    assert rows[0] in {row_id for page in rest for row_id in page.tombstones}


async def test_next_links_in_a_circle_are_noticed() -> None:
    def answers(request: web.Request) -> web.Response:
        other = "b" if "?a" in request.raw_path else "a"
        return page_answer(account_row(1), nextLink=link(request, other))

    with pytest.raises(ProtocolError, match="circles"):
        await served(answers)


async def test_a_delta_without_a_new_link_keeps_the_old_one() -> None:
    pages, server = await served(lambda _: page_answer(), since="old")
    assert f"{server.url}{API}?old" in pages[-1].checkpoint

    def two_pages(request: web.Request) -> web.Response:
        return (
            page_answer(nextLink=link(request, "n")) if "old" in request.raw_path else page_answer()
        )

    pages, server = await served(two_pages, since="old")
    assert len(pages) == 2
    assert f"{server.url}{API}?old" in pages[-1].checkpoint


async def test_a_first_reading_without_a_delta_link_is_refused() -> None:
    with pytest.raises(ProtocolError, match="change tracking"):
        await served(lambda _: page_answer(account_row(1)))


async def test_an_expired_delta_is_said_to_be_void(world: World) -> None:
    world.account()
    async with world.open() as transport:
        scope = await account_scope(transport)
        checkpoint = (await pulled(transport, scope))[-1].checkpoint
        world.dataverse.purge_changes()
        with pytest.raises(CheckpointExpired):
            await pulled(transport, scope, checkpoint)


@pytest.mark.parametrize("text", ["", "x", "{}", '{"link":1}', "null", "\ud800"])
async def test_a_checkpoint_of_somebody_else_is_void(text: str) -> None:
    async with transport_to("http://127.0.0.1:9") as transport:
        with pytest.raises(CheckpointExpired):
            await pulled(transport, NAME_ONLY, text)


@pytest.mark.parametrize(("status", "code"), [(410, ""), (400, "0x80044352"), (400, "0x80060888")])
async def test_a_stored_link_that_is_not_understood_is_void(status: int, code: str) -> None:
    def answers(_: web.Request) -> web.Response:
        return web.json_response({"error": {"code": code, "message": "?"}}, status=status)

    with pytest.raises(CheckpointExpired):
        await served(answers, since="old")
    if code != "0x80044352" and status != 410:
        with pytest.raises(ProtocolError):
            await served(answers)


async def test_lost_rights_are_no_empty_table(world: World) -> None:
    world.account()
    async with world.open() as transport:
        scope = await account_scope(transport)
        checkpoint = (await pulled(transport, scope))[-1].checkpoint
        user = world.dataverse.security.user_of("demo-token")
        assert user is not None
        world.dataverse.security.limit(user, "account", Depth.NONE)
        for position in (None, checkpoint):
            with pytest.raises(AccessDenied, match="administrator"):
                await pulled(transport, scope, position)


async def test_ids_are_listed_by_a_condition(world: World) -> None:
    rows = [world.account(number) for number in range(7)]
    async with world.open(page_size=2) as transport:
        scope = await account_scope(transport)
        condition = "name eq 'Account 3' or name eq 'Account 5'"
        listed = [row_id async for row_id in transport.list_ids(scope, condition)]
        assert listed == sorted([rows[3], rows[5]])
        with pytest.raises(ProtocolError):
            [row_id async for row_id in transport.list_ids(scope, "no such thing eq 1")]


async def test_a_list_of_ids_is_all_or_nothing(world: World) -> None:
    for number in range(7):
        world.account(number)
    listed: list[str] = []
    async with world.open(page_size=2) as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.CUT_BODY, times=None, path="skiptoken"))
        with pytest.raises(Unreachable):
            listed.extend([row_id async for row_id in transport.list_ids(scope, None)])
    assert listed == []


async def test_many_rows_are_fetched(world: World) -> None:
    rows = [world.account(number) for number in range(120)]
    async with world.open() as transport:
        scope = await account_scope(transport)
        assert len(await transport.fetch(scope, rows)) == 120
        assert await transport.count(scope) == 120


async def test_counting_never_fails_a_caller() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"code": "", "message": "no"}}, status=403)

    async with stub(refuse) as server, transport_to(server.url) as transport:
        assert await transport.count(NAME_ONLY) is None


async def test_a_count_has_a_byte_order_mark() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("$count"):
            return web.Response(body=b"\xef\xbb\xbf42", content_type="text/plain")
        return web.json_response({}, status=501)

    async with stub(answer) as server, transport_to(server.url) as transport:
        assert await transport.count(NAME_ONLY) == 42


async def test_a_changed_row_that_comes_without_all_of_its_columns_is_asked_for() -> None:
    """A column that is left out is not null; what it holds is asked for."""
    asked: list[str] = []

    async def give(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            asked.append(await request.text())
            inner = page_answer(account_row(1, "Kept")).text
            part = (
                f"--r\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{inner}\r\n"
            )
            headers = {"Content-Type": "multipart/mixed; boundary=r"}
            return web.Response(text=f"{part}--r--\r\n", headers=headers)
        partial = {"@odata.etag": 'W/"1"', "accountid": account_id(1)}
        rows = (partial, account_row(2), tombstone(3))
        return page_answer(*rows, deltaLink=link(request, "d2"))

    async with stub(give) as server, transport_to(server.url) as transport:
        checkpoint = f'{{"link":"{server.url}{API}?d1","delta":true,"midway":false}}'
        [page] = await pulled(transport, NAME_ONLY, checkpoint)
    assert {record[0]: record[1] for record in page.records} == {
        account_id(1): "Kept",
        account_id(2): "A",
    }
    assert page.tombstones == [account_id(3)]
    assert len(asked) == 1
    assert account_id(2) not in asked[0]


async def test_a_checkpoint_of_a_server_that_moved_is_void() -> None:
    """The organisation got another address: its old links lead nowhere, and nothing goes there."""
    async with transport_to("http://127.0.0.1:9") as transport:
        stored = f'{{"link":"https://old.crm.dynamics.com{API}?d","delta":true,"midway":false}}'
        with pytest.raises(CheckpointExpired, match="another address"):
            await pulled(transport, NAME_ONLY, stored)
