"""A row that makes no sense stops itself only: in a page, when looked up, in a reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from holdfast.errors import ProtocolError
from holdfast.model import Applied, Conflicted, NotApplied, OpKind, Page, Unreadable
from holdfast_emulator import Fault, FaultKind
from support.dataverse import (
    NAME_ONLY,
    World,
    account_id,
    account_row,
    account_scope,
    page_answer,
    pulled,
    pushed,
    stub,
    tombstone,
    transport_to,
)

API = "/api/data/v9.2/accounts"


def torn_row(number: int) -> dict[str, object]:
    return account_row(number) | {"name": 5}


def looked_up(*rows: object) -> web.Response:
    """Answer a batch of one read."""
    inner = page_answer(*rows).text
    part = f"--r\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{inner}\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=r"}
    return web.Response(text=f"{part}--r--\r\n", headers=headers)


async def read(
    *rows: object, found: tuple[object, ...] = (), delta: bool
) -> tuple[list[Page], int]:
    """Pull one page with these rows; return it and how often rows were looked up."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return looked_up(*found)
        return page_answer(*rows, deltaLink=f"{request.url.origin()}{API}?d")

    async with stub(answer) as server, transport_to(server.url) as transport:
        checkpoint = f'{{"link":"{server.url}{API}?old","delta":true,"midway":false}}'
        pages = await pulled(transport, NAME_ONLY, checkpoint if delta else None)
        return pages, sum(request.method == "POST" for request in server.requests)


def ids(page: Page) -> tuple[set[object], set[str], set[str | None]]:
    """Return the ids of records, of tombstones and of what makes no sense."""
    torn = {row.row_id for row in page.unreadable}
    return {record[0] for record in page.records}, set(page.tombstones), torn


@pytest.mark.parametrize("delta", [False, True])
async def test_a_page_is_yielded_with_such_a_row_aside(delta: bool) -> None:
    [page], asked = await read(account_row(1), torn_row(2), account_row(3), delta=delta)
    assert ids(page) == ({account_id(1), account_id(3)}, set(), {account_id(2)})
    assert asked == 0
    assert page.last


async def test_one_that_is_said_to_be_deleted_too_is_looked_up() -> None:
    [page], asked = await read(torn_row(1), tombstone(1), tombstone(2), delta=True)
    assert asked == 1
    assert ids(page) == (set(), {account_id(1), account_id(2)}, {account_id(1)})
    [page], _ = await read(torn_row(1), tombstone(1), found=(torn_row(1),), delta=True)
    assert ids(page) == (set(), set(), {account_id(1)})


async def test_one_that_is_looked_up_and_makes_no_sense_is_not_gone() -> None:
    """Nor is any that may be meant where it does not say which it is."""
    nameless = {"@odata.etag": "v", "name": "A"}
    rows = (account_row(1), account_row(2), tombstone(1), tombstone(2))
    [page], _ = await read(*rows, found=(account_row(1), nameless), delta=True)
    assert ids(page) == ({account_id(1)}, set(), {account_id(2)})


@pytest.mark.parametrize("delta", [False, True])
async def test_two_versions_of_a_row_in_one_page_are_looked_up(delta: bool) -> None:
    """Their order says nothing; two that are alike say the same."""
    other = account_row(1, "Other") | {"@odata.etag": 'W/"9"'}
    newest = account_row(1, "Newest") | {"@odata.etag": 'W/"10"'}
    rows = (account_row(1), account_row(2), other, account_row(2))
    [page], asked = await read(*rows, found=(newest,), delta=delta)
    assert asked == 1
    assert [r[1] for r in page.records if r[0] == account_id(1)] == ["Newest"]
    assert {record[0] for record in page.records} == {account_id(1), account_id(2)}
    [page], asked = await read(account_row(2), account_row(2), delta=delta)
    assert asked == 0


async def test_a_tombstone_without_an_id_is_told_of() -> None:
    nameless = tombstone(1) | {"id": "x"}
    [page], _ = await read(account_row(2), nameless, delta=True)
    assert ids(page) == ({account_id(2)}, set(), {None})


async def test_a_list_of_ids_takes_no_such_row() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return page_answer(account_row(1), {"accountid": account_id(2)})

    async with stub(answer) as server, transport_to(server.url) as transport:
        with pytest.raises(ProtocolError, match="no version"):
            _ = [row_id async for row_id in transport.list_ids(NAME_ONLY, None)]


async def test_a_list_of_ids_by_fetchxml_takes_no_such_row(world: World) -> None:
    for number in range(3):
        world.account(number)
    world.server.faults.add(Fault(FaultKind.LOSE_KEY, path="fetchXml"))
    condition = '<filter><condition attribute="name" operator="not-null"/></filter>'
    async with world.open() as transport:
        scope = await account_scope(transport)
        with pytest.raises(ProtocolError, match="no accountid"):
            _ = [row_id async for row_id in transport.list_ids(scope, condition)]


# What is pushed.


def garble(world: World, row_id: str) -> None:
    """Let the database hold what its column cannot."""
    row = world.dataverse.find("account", row_id)
    assert row is not None
    cells: list[Any] = list(row.cells)
    cells[row.definition.positions["numberofemployees"]] = "many"
    world.dataverse._store.put("account", row_id, row.version, tuple(cells))


async def test_an_op_whose_row_cannot_be_read_back_stops_itself_only(world: World) -> None:
    """It was turned down, so it is sent again later; the others are settled."""
    first, second = world.account(1), world.account(2)
    stale: Mapping[str, str] = {row_id: world.version(row_id) for row_id in (first, second)}
    world.rename(first, "Moved")
    world.rename(second, "Moved")
    garble(world, first)
    async with world.open() as transport:
        scope = await account_scope(transport, "name", "numberofemployees")
        ops = [
            world.op(OpKind.UPDATE, row_id, version=stale[row_id], name="Mine")
            for row_id in (first, second)
        ]
        outcomes = {o.op_id: o for o in await pushed(transport, scope, *ops)}
        assert isinstance(outcomes[ops[0].id], NotApplied)
        assert isinstance(outcomes[ops[1].id], Conflicted)
        found = await transport.fetch(scope, [first, second])
        assert [row.row_id for row in found if isinstance(row, Unreadable)] == [first]
        fine = world.op(OpKind.UPDATE, second, name="Mine")
        [outcome] = await pushed(transport, scope, fine)
        assert isinstance(outcome, Applied)


async def test_where_nobody_knows_which_row_was_read_back_none_of_them_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [world.account(1), world.account(2)]
    stale = [world.version(row_id) for row_id in rows]
    for row_id in rows:
        world.rename(row_id, "Moved")

    async def fetched(*_: object) -> list[Unreadable]:
        return [Unreadable(None, "it has no accountid")]

    monkeypatch.setattr("holdfast_dataverse._replies.fetch", fetched)
    async with world.open() as transport:
        scope = await account_scope(transport)
        ops = [
            world.op(OpKind.UPDATE, row_id, version=version, name="Mine")
            for row_id, version in zip(rows, stale, strict=True)
        ]
        outcomes = await pushed(transport, scope, *ops)
    assert [type(outcome) for outcome in outcomes] == [NotApplied, NotApplied], "not: it is gone"
