"""Ids by FetchXML, and saved views, from the emulator."""

from __future__ import annotations

import pytest
from aiohttp import web

from holdfast.errors import ProtocolError
from holdfast.model import Scope, View
from holdfast_dataverse import DataverseTransport
from support.dataverse import NAME_ONLY, World, account_id, stub, transport_to

NAMED = '<filter><condition attribute="name" operator="like" value="A%"/></filter>'


async def scope_of(transport: DataverseTransport, table: str = "account") -> Scope:
    (schema,) = await transport.schema([table])
    return Scope(schema)


async def listed(world: World, condition: str, **options: object) -> list[str]:
    async with world.open(**options) as transport:
        scope = await scope_of(transport)
        return [row_id async for row_id in transport.list_ids(scope, condition)]


async def test_ids_are_listed_by_fetchxml_page_by_page(world: World) -> None:
    wanted = sorted(world.account(number, name=f"A{number}") for number in range(7))
    world.account(8, name="B")
    assert await listed(world, NAMED, page_size=3) == wanted
    assert await listed(world, f"\ufeff\n {NAMED}", page_size=7) == wanted


async def test_of_a_whole_view_only_what_chooses_is_sent(world: World) -> None:
    ann = world.dataverse.create(world.dataverse.system, "contact", {"lastname": "Ann"}).id
    own = world.account(1, name="A1", primarycontactid=as_contact(ann))
    world.account(2, name="A2")
    view = f"""
        <fetch version="1.0" output-format="xml-platform" mapping="logical" count="1">
          <entity name="account"><attribute name="name"/><order attribute="name"/>{NAMED}
            <link-entity name="contact" from="contactid" to="primarycontactid" alias="c">
              <attribute name="fullname"/>
              <filter><condition attribute="lastname" operator="eq" value="Ann"/></filter>
            </link-entity>
          </entity>
        </fetch>"""
    assert await listed(world, view) == [own]


def as_contact(row_id: str) -> object:
    from holdfast.values import Reference

    return Reference("contact", row_id)


async def test_a_long_filter_goes_in_a_batch(world: World) -> None:
    own = world.account(1, name="A1")
    values = "".join(f"<value>{account_id(number)}</value>" for number in range(500))
    among = (
        f'<condition attribute="accountid" operator="in"><value>{own}</value>{values}</condition>'
    )
    assert await listed(world, f"<filter>{among}</filter>") == [own]


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("<filter", "is no XML"),
        ("<!DOCTYPE x [<!ENTITY y 'z'>]><filter/>", "declares a document type"),
        ("<entity/>", "is a <entity>"),
        ("<fetch/>", "is a <fetch>"),
    ],
)
async def test_what_is_no_filter_is_refused(world: World, condition: str, told: str) -> None:
    with pytest.raises(ProtocolError, match=told):
        await listed(world, condition)


@pytest.mark.parametrize(("more", "pages"), [(True, 3), ("yes", 1)])
async def test_a_list_that_breaks_off_is_none(more: object, pages: int) -> None:
    seen: list[str] = []

    async def give(request: web.Request) -> web.StreamResponse:
        seen.append(request.query["fetchXml"].partition('page="')[2].partition('"')[0])
        if len(seen) == 3:
            return web.json_response({}, status=404)
        body = {"value": [], "@Microsoft.Dynamics.CRM.morerecords": more}
        return web.json_response(body)

    async with stub(give) as server, transport_to(server.url) as transport:
        with pytest.raises(ProtocolError):
            await anext(aiter(transport.list_ids(NAME_ONLY, "<filter/>")))
    assert seen == ["1", "2", "3"][:pages]


async def test_the_views_of_the_tables_are_read(world: World) -> None:
    org = world.dataverse
    own = {"name": "Own", "returnedtypecode": "account", "querytype": 0, "fetchxml": "<fetch/>"}
    org.create(org.system, "userquery", own)
    async with world.open() as transport:
        found = await transport.views(["account", "task"])
        assert await transport.views([]) == []
    names = {(view.table, view.name, view.personal) for view in found}
    assert {
        ("account", "Active Accounts", False),
        ("account", "My Active Accounts", False),
        ("task", "Open Tasks", False),
    } <= names
    assert View("account", "Own", "<fetch/>", personal=True) in found
    assert {table for table, _, _ in names} == {"account", "task"}


@pytest.mark.parametrize("answer", [403, 404, [3], {"value": 3}, {"value": [3, {"name": 4}]}])
async def test_a_server_that_shows_no_views_has_none(answer: object) -> None:
    async def give(request: web.Request) -> web.StreamResponse:
        if isinstance(answer, int):
            return web.json_response({}, status=answer)
        return web.json_response(answer)

    async with stub(give) as server, transport_to(server.url) as transport:
        assert await transport.views(["account"]) == []
