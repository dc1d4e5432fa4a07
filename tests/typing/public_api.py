"""What integrators and plugin authors write; ``mypy --strict`` reads it, nobody runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, assert_type

from pydantic import BaseModel

import holdfast
from holdfast import OpenMode, Reference, Replica, Row, Table, hookimpl
from holdfast.contracts import Context, FilterLanguage, Resolver, Storage, Tables
from holdfast.errors import HoldfastError, InvalidValue
from holdfast.filters import EVERYTHING, Expression
from holdfast.model import Conflict, Defer, KeepLocal, KeepRemote, Merge, Op, Policy, Resolution
from holdfast.schema import TableSchema
from holdfast.status import Event, Extent, HistoryEntry, Issue, ReplicaStatus, SyncReport
from holdfast.values import Value


async def use_a_replica(folder: Path) -> None:
    assert_type(holdfast.API_VERSION, tuple[int, int])
    async with holdfast.open("holdfast.toml") as replica:
        assert_type(replica, Replica)
        assert_type(await replica.download(), SyncReport)
        accounts = replica.table("account")
        assert_type(accounts, Table)
        account_id = await accounts.create({"name": "Fjord Marine AS", "revenue": 12.5})
        assert_type(account_id, str)
        contact = Reference("contact", account_id)
        await accounts.update(account_id, {"telephone1": None, "primarycontactid": contact})
        async for row in accounts.query("contains(name,'marine')", order_by="name", top=5):
            assert_type(row, Row)
            assert_type(row["name"], Value)
            assert_type(row.label("name"), str | None)
        assert_type(await accounts.count(EVERYTHING), int)
        assert_type(await accounts.labels(await accounts.get(account_id)), dict[str, str])
        await accounts.delete(account_id)
        await replica.go_offline()
        assert_type(await replica.go_online(), SyncReport)
        assert_type(await replica.sync(), SyncReport)
        await look(replica)
    async with holdfast.open({}, mode=OpenMode.READER, folder=folder) as reader:
        assert_type(await reader.pending(), list[Op])


async def look(replica: Replica) -> None:
    assert_type(await replica.status(), ReplicaStatus)
    for issue in await replica.issues():
        assert_type(issue, Issue)
        await replica.retry(issue.id)
        await replica.discard(issue.id)
        await replica.allow(issue.id)
        assert_type(issue.extent, Extent | None)
        await replica.take_mine(issue.id)
    for entry in await replica.history(limit=10):
        assert_type(entry, HistoryEntry)
        await replica.take_theirs(entry.id)
    async for event in replica.events():
        assert_type(event, Event)


async def fail(table: Table) -> str:
    try:
        return await table.create({"name": 5})
    except InvalidValue as error:
        return ", ".join(problem.key for problem in error.problems)
    except HoldfastError as error:
        return str(error)


class Settings(BaseModel):
    fallback: str = "server-wins"


class Longest(Resolver):
    """A strangers' policy."""

    name = "longest"
    Settings = Settings

    async def resolve(self, conflict: Conflict) -> Resolution | None:
        if conflict.local is None or conflict.remote is None:
            return Defer("one side has deleted it")
        mine, theirs = str(conflict.local["name"]), str(conflict.remote["name"])
        if conflict.mine & conflict.theirs == {"name"}:
            return Merge({"name": max(mine, theirs, key=len)})
        return KeepLocal() if len(mine) > len(theirs) else KeepRemote()


class Everything(FilterLanguage):
    """A strangers' filter language."""

    name = "everything"
    Settings = Settings

    def parse(self, source: str, schema: TableSchema, tables: Tables) -> Expression:
        return EVERYTHING

    def render(self, expression: Expression, schema: TableSchema, tables: Tables) -> str:
        return ""


class Plugin:
    """A strangers' plugin."""

    @hookimpl(tryfirst=True)
    def holdfast_open_storage(
        self, driver: str, settings: Any, context: Context
    ) -> AbstractAsyncContextManager[Storage] | None:
        return None

    @hookimpl
    async def holdfast_resolve_conflict(
        self, policy: Policy, conflict: Conflict
    ) -> Resolution | None:
        return None


async def collect(rows: AsyncIterator[Row]) -> list[str]:
    return [row.id async for row in rows]
