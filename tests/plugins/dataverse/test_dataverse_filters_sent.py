"""S-17: a filter is encoded once, so that the server reads what was written."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

from aiohttp import web

from support.dataverse import NAME_ONLY, page_answer, stub, transport_to
from support.naughty import texts


async def test_a_filter_arrives_as_it_was_written() -> None:
    async def nothing(_: web.Request) -> web.StreamResponse:
        return page_answer()

    conditions = [
        "name eq '" + text.replace("'", "''") + "'" for text in texts() if len(text) < 200
    ]
    async with stub(nothing) as server, transport_to(server.url) as transport:
        for condition in conditions:
            assert [found async for found in transport.list_ids(NAME_ONLY, condition)] == []
    queries = [request.rel_url.raw_query_string for request in server.requests]
    assert len(queries) == len(conditions)
    for query, condition in zip(queries, conditions, strict=True):
        pairs = [part.partition("=") for part in query.split("&")]
        names = [unquote(name) for name, _, _ in pairs]
        assert sorted(names) == ["$filter", "$orderby", "$select"], condition
        sent = next(value for name, _, value in pairs if unquote(name) == "$filter")
        assert unquote(sent) == condition
        assert dict(parse_qsl(query, keep_blank_values=True))["$filter"] == condition
