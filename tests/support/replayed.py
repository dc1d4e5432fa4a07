"""Answers of the emulator, recorded without sockets, and sessions that get them again, spoiled.

A *talk* is one use of the transport; its answers are recorded once. A session of a talk has all of
the real one but the connection: each request gets the next recorded answer, spoiled or not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, cast
from urllib.parse import unquote

from holdfast.contracts import Context
from holdfast.model import Op, OpKind, Outcome, Scope, Unit
from holdfast.schema import TableSchema
from holdfast_dataverse import DataverseTransport
from holdfast_dataverse._answers import Answer
from holdfast_dataverse._credentials import open_credential
from holdfast_dataverse._session import Request, Session
from holdfast_emulator import Dataverse, Sample
from holdfast_emulator.wire.api import WebApi
from holdfast_emulator.wire.calls import Call
from support.dataverse import TOKEN, account_id, context, settings_for

NOW: Final = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
URL: Final = "http://127.0.0.1:5000"
_ROOT: Final = f"{URL}/api/data/v9.2"
#: Requests after which a use of the transport is taken to be without an end.
MOST_REQUESTS: Final = 60
FILTER: Final = (
    '<fetch><entity name="account"><filter><condition attribute="name" operator="not-null"/>'
    "</filter></entity></fetch>"
)

Ask = Callable[[Request], Answer]
#: Uses the transport, and returns what came of it.
Use = Callable[[DataverseTransport, "Known"], Awaitable[object]]


class FedSession(Session):
    """A session whose requests are answered by a function."""

    def __init__(self, ask: Ask, where: Context) -> None:
        settings = settings_for(URL, max_wait=0, page_size=3)
        credential = open_credential(settings, where)
        super().__init__(cast("Any", None), settings, credential, where.environment)
        self._ask = ask

    async def _exchange(self, request: Request, token: str) -> Answer:
        self.origin.trust(request.link)
        return self._ask(request)


def fed(ask: Ask) -> DataverseTransport:
    """Return a transport whose requests are answered by a function."""
    settings = settings_for(URL, max_wait=0, page_size=3)
    return DataverseTransport(FedSession(ask, context()), settings)


@dataclass(frozen=True)
class Known:
    """What a talk may refer to: schemas, scopes, rows and a checkpoint of the server."""

    schemas: dict[str, TableSchema]
    accounts: list[str]
    version: str
    checkpoint: str

    @cached_property
    def wide(self) -> Scope:
        """A column or two of each type that accounts have."""
        schema = self.schemas["account"]
        kinds = {
            (column.type, column.behavior, bool(column.table_field)): column.name
            for column in schema.columns
        }
        return Scope(schema.only({*kinds.values(), "name", "revenue"}))

    @cached_property
    def narrow(self) -> Scope:
        """Two columns, one with the names of what it points to."""
        return Scope(self.schemas["account"].only(("name", "ownerid")), frozenset({"ownerid"}))

    def ops(self) -> list[Op]:
        """Return a create, an update that is stale, a delete, and two that belong together."""
        gone, stale = account_id(77), self.accounts[0]
        kinds = OpKind
        return [
            Op("o1", 1, kinds.CREATE, "account", account_id(1), {"name": "A"}, attempts=1),
            Op("o2", 2, kinds.UPDATE, "account", stale, {"name": "B"}, 'W/"1"', attempts=2),
            Op("o3", 3, kinds.DELETE, "account", gone, {}, 'W/"1"', attempts=1),
            Op("o4", 4, kinds.CREATE, "account", account_id(4), {"name": "C"}, attempts=1),
            Op(
                "o5",
                5,
                kinds.UPDATE,
                "account",
                self.accounts[1],
                {"fax": "1"},
                attempts=1,
                version=self.version,
            ),
        ]


@dataclass
class Talk:
    """One use of the transport, with the answers that a good server gives."""

    name: str
    use: Use
    answers: list[Answer] = field(default_factory=list)


async def _identity(transport: DataverseTransport, _: Known) -> object:
    return await transport.identity()


async def _schema(transport: DataverseTransport, _: Known) -> object:
    return await transport.schema(["task"])


async def _pull(transport: DataverseTransport, known: Known) -> object:
    return [page async for page in transport.pull(known.wide, None)]


async def _changes(transport: DataverseTransport, known: Known) -> object:
    return [page async for page in transport.pull(known.narrow, known.checkpoint)]


async def _push(transport: DataverseTransport, known: Known) -> object:
    one, two, three, four, five = known.ops()
    units = [Unit((one,)), Unit((two,)), Unit((three,)), Unit((four, five))]
    outcomes: list[Outcome] = []
    try:
        async for outcome in transport.push(units, {"account": known.narrow}):
            outcomes.append(outcome)  # noqa: PERF401  what came before an error counts
    finally:
        assert sorted(one.op_id for one in outcomes) == ["o1", "o2", "o3", "o4", "o5"]
    return outcomes


async def _fetch(transport: DataverseTransport, known: Known) -> object:
    return await transport.fetch(known.wide, known.accounts)


async def _ids(transport: DataverseTransport, known: Known) -> object:
    return [row_id async for row_id in transport.list_ids(known.narrow, "name ne null")]


async def _fetchxml(transport: DataverseTransport, known: Known) -> object:
    return [row_id async for row_id in transport.list_ids(known.narrow, FILTER)]


async def _views(transport: DataverseTransport, _: Known) -> object:
    return await transport.views(["account", "task"])


async def _count(transport: DataverseTransport, known: Known) -> object:
    return await transport.count(known.narrow)


#: How often each use is tried; describing a table costs fifty times as much as the others.
USES: Final[Sequence[tuple[str, Use, int]]] = (
    ("identity", _identity, 4),
    ("schema", _schema, 2),
    ("pull", _pull, 10),
    ("changes", _changes, 10),
    ("push", _push, 12),
    ("fetch", _fetch, 5),
    ("ids", _ids, 5),
    ("fetchxml", _fetchxml, 4),
    ("views", _views, 3),
    ("count", _count, 3),
)


def served(dataverse: Dataverse) -> Ask:
    """Let an organisation answer requests without a socket."""
    user = dataverse.security.user_of(TOKEN)
    assert user is not None
    api = WebApi(dataverse)

    def ask(request: Request) -> Answer:
        path, _, query = request.link.removeprefix(f"{_ROOT}/").partition("?")
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(request.method, unquote(path), query, _ROOT, user, headers, request.body or b"")
        reply = api.answer(call)
        named = {name.lower(): value for name, value in reply.headers.items()}
        return Answer(reply.status, {**named, "content-type": reply.type}, reply.body)

    return ask


async def recorded() -> tuple[Known, list[Talk]]:
    """Return what the server has, and every talk with its answers."""
    dataverse = Dataverse(lambda: NOW)
    Sample(20, NOW).load(dataverse)
    ask = served(dataverse)
    transport = fed(ask)
    schemas = {one.name: one for one in await transport.schema(["account", "task"])}
    every = Scope(schemas["account"].only(("name", "ownerid")), frozenset({"ownerid"}))
    pages = [page async for page in transport.pull(every, None)]
    rows = [record for page in pages for record in page.records]
    ids = [str(record[0]) for record in rows]
    known = Known(schemas, ids, str(rows[1][-1]), pages[-1].checkpoint)
    for row_id in ids[2:]:
        dataverse.update(dataverse.system, "account", row_id, {"fax": "2"})
    dataverse.delete(dataverse.system, "account", ids[-1])
    talks = []
    for name, use, _ in USES:
        talk = Talk(name, use)
        await use(fed(_noting(ask, talk.answers)), known)
        talks.append(talk)
    return known, talks


def _noting(ask: Ask, answers: list[Answer]) -> Ask:
    def noted(request: Request) -> Answer:
        answer = ask(request)
        answers.append(answer)
        return answer

    return noted
