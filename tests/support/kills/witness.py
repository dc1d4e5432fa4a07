"""A plugin that tells, from inside a process that will be killed, how far it has come.

It wraps the transport and the storage through their hooks, so that nothing of holdfast knows of it.
What is told before a step is on its way to the parent before that step begins.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Final

from holdfast import hookimpl
from holdfast.contracts import Change, Layout, Put, Storage, Transport
from holdfast.model import Outcome, Page, Record, Scope, Unit, Unreadable

_STDOUT: Final = 1
OUTBOX: Final = "_holdfast_outbox"
#: The column that each op writes a value of its own into.
VALUE: Final = "telephone1"


def tell(what: str, **more: Any) -> None:  # Any: becomes JSON
    """Write a line to the parent; a kill does not take it back."""
    line = json.dumps({"what": what, **more}).encode() + b"\n"
    while line:
        line = line[os.write(_STDOUT, line) :]


@asynccontextmanager
async def _watched_transport(
    opening: AbstractAsyncContextManager[Transport],
) -> AsyncIterator[Transport]:
    async with opening as transport:
        pull, push, fetch = transport.pull, transport.push, transport.fetch

        async def told_pull(scope: Scope, checkpoint: str | None) -> AsyncGenerator[Page]:
            tell("pull", table=scope.table, checkpoint=checkpoint)
            async with aclosing(pull(scope, checkpoint)) as pages:  # type: ignore[type-var]  # a generator
                async for page in pages:
                    tell("page", table=scope.table, **_of_page(page))
                    yield page
                    tell("stored", table=scope.table)

        async def told_push(
            units: Sequence[Unit], scopes: Mapping[str, Scope]
        ) -> AsyncGenerator[Outcome]:
            ops = [op for unit in units for op in unit.ops]
            does = [(op.id, op.kind.value, op.row_id, op.changes.get(VALUE)) for op in ops]
            tell("push", ops=[op.id for op in ops], does=does)
            async with aclosing(push(units, scopes)) as outcomes:  # type: ignore[type-var]  # as above
                async for outcome in outcomes:
                    tell("outcome", op=outcome.op_id, kind=type(outcome).__name__)
                    yield outcome

        async def told_fetch(scope: Scope, ids: Sequence[str]) -> Sequence[Record | Unreadable]:
            records = await fetch(scope, ids)
            tell("fetched", table=scope.table, ids=list(ids))
            return records

        transport.pull = told_pull  # type: ignore[method-assign]  # one instance, in a child
        transport.push = told_push  # type: ignore[method-assign]  # as above
        transport.fetch = told_fetch  # type: ignore[method-assign]  # as above
        yield transport


def _of_page(page: Page) -> dict[str, Any]:  # Any: becomes JSON
    return {
        "checkpoint": page.checkpoint,
        "rows": {str(record[0]): record[-1] for record in page.records},
        "gone": list(page.tombstones),
    }


@asynccontextmanager
async def _watched_storage(opening: AbstractAsyncContextManager[Storage]) -> AsyncIterator[Storage]:
    async with opening as storage:
        write, migrate = storage.write, storage.migrate

        async def told_write(changes: Sequence[Change]) -> None:
            tell("write", ops=[op for change in changes for op in _ops_in(change)])
            await write(changes)
            tell("written")

        async def told_migrate(layouts: Sequence[Layout], *, version: int) -> None:
            tell("migrate")
            await migrate(layouts, version=version)
            tell("migrated")

        storage.write = told_write  # type: ignore[method-assign]  # one instance, in a child
        storage.migrate = told_migrate  # type: ignore[method-assign]  # as above
        yield storage


def _ops_in(change: Change) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield id, kind, row and value of the ops that are put into the outbox."""
    if isinstance(change, Put) and change.table == OUTBOX:
        for record in change.records:
            _, op, kind, _, row_id, _, changes, *_ = map(str, record)
            yield op, kind, row_id, json.loads(changes).get(VALUE)


class Witness:
    """What the profile of a child names under ``plugins``."""

    @hookimpl(wrapper=True)
    def holdfast_open_transport(self) -> Generator[None, Any, Any]:  # Any: pluggy's result
        """Stand around whatever opens the transport."""
        return _watched_transport((yield))

    @hookimpl(wrapper=True)
    def holdfast_open_storage(self) -> Generator[None, Any, Any]:  # Any: as above
        """Stand around whatever opens the storage."""
        return _watched_storage((yield))


witness = Witness()
