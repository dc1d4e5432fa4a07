"""An emulator on loopback and transports for it, with seams that a test holds in its hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from holdfast.contracts import Context, Environment
from holdfast.model import Op, OpKind, Outcome, Page, Scope, Unit
from holdfast.schema import Column, ColumnType, TableSchema
from holdfast.values import Change
from holdfast_dataverse import DataverseTransport, Settings
from holdfast_emulator import Dataverse, EmulatorServer

T = TypeVar("T")
TOKEN = "demo-token"
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class StillClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


class CountedIds:
    """Ids in order."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new(self) -> str:
        return f"00000000-0000-7000-8000-{next(self._numbers):012x}"


class NoDelay:
    """Randomness that makes every back-off zero."""

    def fraction(self) -> float:
        return 0.0


class Inline:
    """Runs blocking code where it is; nothing blocks for long here."""

    async def run(self, function: Callable[[], T]) -> T:
        return function()


def environment() -> Environment:
    return Environment(StillClock(), CountedIds(), NoDelay(), Inline())


def context() -> Context:
    return Context(environment(), Path("/nowhere"))


def settings_for(url: str, **options: Any) -> Settings:
    return Settings.model_validate(
        {"url": url, "credential": "token", "token": TOKEN, "timeout": 5, "max_wait": 2} | options
    )


@asynccontextmanager
async def transport_to(url: str, **options: Any) -> AsyncIterator[DataverseTransport]:
    async with DataverseTransport.open(settings_for(url, **options), context()) as transport:
        yield transport


@dataclass
class World:
    """A server, and what tests ask of it."""

    server: EmulatorServer
    dataverse: Dataverse
    ops: Any = field(default_factory=lambda: count(1))

    def open(self, **options: Any) -> AbstractAsyncContextManager[DataverseTransport]:
        return transport_to(self.server.url, **options)

    def account(self, number: int = 1, **values: object) -> str:
        given = {"name": f"Account {number}"} | values
        return self.dataverse.create(self.dataverse.system, "account", given).id

    def rename(self, row_id: str, name: str) -> None:
        self.dataverse.update(self.dataverse.system, "account", row_id, {"name": name})

    def delete(self, row_id: str) -> None:
        self.dataverse.delete(self.dataverse.system, "account", row_id)

    def name(self, row_id: str) -> object:
        row = self.dataverse.find("account", row_id)
        return None if row is None else row["name"]

    def version(self, row_id: str) -> str:
        row = self.dataverse.find("account", row_id)
        assert row is not None
        return f'W/"{row.version}"'

    def create_op(self, name: str, *, attempts: int = 1) -> Op:
        number = next(self.ops)
        row_id = f"aaaaaaaa-0000-4000-8000-{number:012x}"
        changes = {"name": name}
        return Op(
            f"op{number}", number, OpKind.CREATE, "account", row_id, changes, attempts=attempts
        )

    def op(
        self,
        kind: OpKind,
        row_id: str,
        *,
        version: str | None = None,
        attempts: int = 1,
        **changes: Change,
    ) -> Op:
        number = next(self.ops)
        return Op(
            f"op{number}",
            number,
            kind,
            "account",
            row_id,
            changes,
            version or self.version(row_id),
            attempts=attempts,
        )


@asynccontextmanager
async def new_world() -> AsyncIterator[World]:
    dataverse = Dataverse(lambda: NOW)
    async with EmulatorServer(dataverse) as server:
        yield World(server, dataverse)


async def account_scope(transport: DataverseTransport, *columns: str) -> Scope:
    [schema] = await transport.schema(["account"])
    return Scope(schema.only(columns or ("name",)))


async def pulled(
    transport: DataverseTransport, scope: Scope, checkpoint: str | None = None
) -> list[Page]:
    return [page async for page in transport.pull(scope, checkpoint)]


async def pushed(transport: DataverseTransport, scope: Scope, *units: Op | Unit) -> list[Outcome]:
    sent = [Unit((unit,)) if isinstance(unit, Op) else unit for unit in units]
    return [one async for one in transport.push(sent, {"account": scope})]


def kinds(outcomes: list[Outcome]) -> Counter[type[Outcome]]:
    return Counter(type(outcome) for outcome in outcomes)


async def gathered(
    transport: DataverseTransport, scope: Scope, *ops: Op
) -> tuple[list[Outcome], Exception | None]:
    """Push and return the outcomes that came before an error, and the error."""
    outcomes: list[Outcome] = []
    try:
        async for outcome in transport.push([Unit((op,)) for op in ops], {"account": scope}):
            outcomes.append(outcome)  # noqa: PERF401  what came before an error counts
    except Exception as error:  # noqa: BLE001  the test looks at it
        return outcomes, error
    return outcomes, None


@dataclass
class Stub:
    """A server whose every answer a test writes; it keeps what it was asked."""

    answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
    requests: list[web.Request] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.answer(request)


@asynccontextmanager
async def stub(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[Stub]:
    """Run a server that answers everything with ``answer``."""
    made = Stub(answer)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield made
    finally:
        await runner.cleanup()


def page_answer(*rows: object, **links: str) -> web.Response:
    """Return a page of rows as the server writes it; ``nextLink`` or ``deltaLink`` may follow."""
    body = {f"@odata.{name}": link for name, link in links.items()} | {"value": list(rows)}
    return web.json_response(body)


NAME_ONLY = Scope(
    TableSchema(
        "account",
        "accountid",
        "name",
        (Column("accountid", ColumnType.UNIQUEIDENTIFIER), Column("name", ColumnType.STRING)),
        wire={"set": "accounts"},
    )
)


def account_row(number: int, name: str = "A", **more: object) -> dict[str, object]:
    """Return a row of ``NAME_ONLY`` as the server writes it."""
    return {"@odata.etag": f'W/"{number}"', "accountid": account_id(number), "name": name} | more


def account_id(number: int) -> str:
    return f"bbbbbbbb-0000-4000-8000-{number:012x}"


def tombstone(number: int) -> dict[str, object]:
    context = "https://x/api/data/v9.2/$metadata#accounts/$deletedEntity"
    return {"@odata.context": context, "id": account_id(number), "reason": "deleted"}
