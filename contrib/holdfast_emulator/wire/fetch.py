"""FetchXML over the Web API: queries and views, page by page.

Invariant: a query is sent to the entity set of its table, and to none else. A page says where the
next one starts only to who asks for that annotation, as Dataverse does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from holdfast.schema import Column, Kind
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.principals import Privilege
from holdfast_emulator.behaviour.row import PAGE_LIMIT, Row
from holdfast_emulator.queries.conditions import Field, Operator, Test
from holdfast_emulator.queries.fetchxml.binding import bind
from holdfast_emulator.queries.fetchxml.document import Fetch
from holdfast_emulator.queries.fetchxml.reading import NotOffered, read_fetch
from holdfast_emulator.queries.fetchxml.refusals import paging_limit, wrong_entity
from holdfast_emulator.queries.joins import Every, Plan
from holdfast_emulator.queries.outputs import Retrieval
from holdfast_emulator.queries.query import Position
from holdfast_emulator.queries.retrieve import Found, Window, retrieve
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, answer, bad_query
from holdfast_emulator.wire.cookies import read_position, twice_quoted, write_position
from holdfast_emulator.wire.options import (
    COUNT_EXCEEDED,
    FETCH_SOURCES,
    TOTAL_COUNT,
    Preferences,
    given_options,
    preferences,
    truth,
)
from holdfast_emulator.wire.records import RecordWriter
from holdfast_emulator.wire.shapes import Json
from holdfast_emulator.wire.urls import is_guid

_VIEWS: Final = {"savedQuery": "savedquery", "userQuery": "userquery"}
_COOKIE: Final = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
_MORE: Final = "Microsoft.Dynamics.CRM.morerecords"
_SCHEMA_VERSION: Final = "Microsoft.Dynamics.CRM.globalmetadataversion"
_MOST_WITHOUT_COOKIE: Final = 50_000
_PAGE: Final = re.compile(r'<cookie page="(\d{1,9})"')


@dataclass(frozen=True, slots=True)
class FetchReader:
    """Answers GET on an entity set, or on a collection of related rows, with a FetchXML query."""

    dataverse: Dataverse

    def list(self, call: Call, table: TableDefinition, ids: frozenset[str] | None = None) -> Reply:
        """Answer with a page of records.

        :param ids: only these rows are asked about; None asks about the whole table
        :raises DataverseFault: the query is not understood, or not the caller's to ask
        """
        given = given_options(call.query, (*FETCH_SOURCES, "$count"))
        sources = [name for name in FETCH_SOURCES if name in given]
        if len(sources) != 1:
            raise bad_query(f"Only one of {', '.join(sources)} can be specified.")
        (name,) = sources
        source = given[name] if name == "fetchXml" else self._view(call, name, given[name])
        try:
            fetch = read_fetch(source)
        except NotOffered as lack:
            raise Unsupported(f"{lack}") from lack
        if fetch.entity.name != table.name:
            raise wrong_entity(table.name, fetch.entity.name)
        return self._answer(call, fetch, ids, counted=fetch.total or truth(given.get("$count")))

    def _answer(
        self, call: Call, fetch: Fetch, ids: frozenset[str] | None, *, counted: bool
    ) -> Reply:
        asking, security = self.dataverse.asking(call.user), self.dataverse.security
        retrieval = bind(
            fetch, asking, lambda table: security.check(call.user, table, Privilege.READ)
        )
        if ids is not None:
            retrieval = replace(retrieval, plan=among(retrieval.plan, ids))
        window = replace(_window(fetch, retrieval), count=counted)
        found = retrieve(retrieval, asking, window)
        prefer = preferences(call.headers.get("prefer", ""))
        body = head(self.dataverse, call, prefer, _context(retrieval))
        body.update(_totals(found, prefer))
        body.update(_more(fetch, retrieval, found, prefer))
        writer = RecordWriter(self.dataverse, call.user, retrieval, prefer)
        body["value"] = [writer.write(record) for record in found.records]
        return annotated(body, prefer)

    def _view(self, call: Call, option: str, text: str) -> str:
        """Return the query of a view, which must be there for the caller to read."""
        if not is_guid(text.strip()):
            raise bad_query(f"The value '{text[:100]}' of {option} is no id.")
        view: Row = self.dataverse.retrieve(call.user, _VIEWS[option], text.strip().strip("{}"))
        source = view["fetchxml"]
        if not isinstance(source, str):
            raise bad_query(f"The view '{text[:100]}' has no query.")
        return source


def head(dataverse: Dataverse, call: Call, prefer: Preferences, context: str) -> Json:
    """Return how a reply with many records begins."""
    body: Json = {"@odata.context": f"{call.root}/$metadata#{context}"}
    if prefer.wants(_SCHEMA_VERSION):
        body[f"@{_SCHEMA_VERSION}"] = str(dataverse.metadata.version)
    return body


def annotated(body: Json, prefer: Preferences) -> Reply:
    """Return the reply, which says what of the preferences was applied: nothing but annotations."""
    applied = prefer.applied()
    reply = answer(body)
    return Reply(200, reply.body, {"Preference-Applied": applied} if applied else {})


def among(plan: Plan, ids: frozenset[str]) -> Plan:
    """Return the plan for some rows of its root only."""
    root = plan.root
    inside = Test(Field(root.table.primary_id), Operator.IN, tuple(sorted(ids)))
    return replace(plan, root=replace(root, where=Every((inside, root.where))))


def _context(retrieval: Retrieval) -> str:
    table = retrieval.plan.root.table
    if not retrieval.of_rows:
        return table.entity_set
    names = [output.column.wire_name for output in retrieval.outputs if output.place == 0]
    return f"{table.entity_set}({','.join(dict.fromkeys((*names, table.primary_id)))})"


def _window(fetch: Fetch, retrieval: Retrieval) -> Window:
    limit = fetch.top or min(fetch.count or PAGE_LIMIT, PAGE_LIMIT)
    page, after = fetch.page or 1, None
    skipped = page - 1
    if fetch.cookie is not None and retrieval.of_rows:
        before, position = _read_cookie(retrieval, fetch.cookie)
        if page > before:  # a page further back is found without the cookie
            after, skipped = position, page - before - 1
    if (skipped + (after is None)) * limit > max(limit, _MOST_WITHOUT_COOKIE):
        raise paging_limit()
    return Window(limit, skipped * limit, after)


def _totals(found: Found, prefer: Preferences) -> Json:
    counted = None if found.total is None else min(found.total, PAGE_LIMIT)
    totals: Json = {} if counted is None else {"@odata.count": counted}
    if prefer.wants(TOTAL_COUNT):
        totals[f"@{TOTAL_COUNT}"] = -1 if counted is None else counted
    if prefer.wants(COUNT_EXCEEDED):
        totals[f"@{COUNT_EXCEEDED}"] = found.total is not None and found.total > PAGE_LIMIT
    return totals


def _more(fetch: Fetch, retrieval: Retrieval, found: Found, prefer: Preferences) -> Json:
    """Return what tells that more records follow, and where; nothing at the end."""
    if not found.more or fetch.top is not None:
        return {}
    more: Json = {}
    page = fetch.page or 1
    by_root = all(sort.place == 0 for sort in retrieval.sorts)
    if prefer.wants(_COOKIE) and found.last is not None and found.first is not None and by_root:
        names = [name for name, _ in _entries(retrieval)]
        inner = twice_quoted(write_position(names, page, found.last, found.first))
        more[f"@{_COOKIE}"] = (
            f'<cookie pagenumber="{page + 1}" pagingcookie="{inner}" istracking="False" />'
        )
    if prefer.wants(_MORE):
        more[f"@{_MORE}"] = True
    return more


def _entries(retrieval: Retrieval) -> list[tuple[str, Kind]]:
    """Return the entries of a paging cookie: what each is called, and how its cells compare."""
    sorts = [(sort.name, Column(sort.name, sort.kind).kind) for sort in retrieval.sorts]
    sources = retrieval.plan.sources
    ids: Sequence[int] = (0, *retrieval.plan.multiplied)
    return [*sorts, *((sources[place].table.primary_id, Kind.KEY) for place in ids)]


def _read_cookie(retrieval: Retrieval, cookie: str) -> tuple[int, Position]:
    page = _PAGE.match(cookie)
    if page is None:
        raise bad_query("Malformed XML in the Paging Cookie.")
    return int(page[1]), read_position(cookie, _entries(retrieval))
