"""The transport ``folder``: the server is a folder that several people share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from pydantic import BaseModel, ConfigDict

from holdfast.contracts import Context, Transport
from holdfast.errors import CheckpointExpired, ProtocolError, Unreachable
from holdfast.model import (
    Applied,
    Caller,
    Capabilities,
    Conflicted,
    Connectivity,
    NotApplied,
    Op,
    OpKind,
    Outcome,
    Page,
    Record,
    Refused,
    Scope,
    Unit,
    Unreadable,
)
from holdfast.schema import TableSchema
from holdfast.values import Reference, from_cells

from .server import FolderServer, Stored

T = TypeVar("T")
_ROWS: Final = "rows"  # a checkpoint in a first pull: behind which id
_LOG: Final = "log"  # a checkpoint in the log: behind which line


class FolderSettings(BaseModel):
    """The ``[transport]`` section."""

    model_config = ConfigDict(extra="forbid")

    path: Path
    user: str
    page_size: int = 100


class FolderTransport(Transport):
    """One person's way to the folder.

    A version is the hash of the row, so a row that came back to what it was has not changed.
    """

    name = "folder"
    Settings: ClassVar[type[FolderSettings]] = FolderSettings

    def __init__(self, settings: FolderSettings, context: Context) -> None:
        self._server = FolderServer(context.folder / settings.path)
        self._user = settings.user
        self._page_size = settings.page_size
        self._threads = context.environment.threads

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: FolderSettings, context: Context) -> AsyncIterator[Transport]:
        """Open a session; the folder need not be there yet."""
        yield cls(settings, context)

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._server.folder)

    async def capabilities(self) -> Capabilities:
        """Say what a folder can do: everything but units of several ops."""
        return Capabilities(
            change_feed=True, conditional_writes=True, client_ids=True, page_size=self._page_size
        )

    async def identity(self) -> Caller:
        """Return whose folder it is, and the name in the settings."""
        return Caller(await self._ask(lambda: self._server.organization), self._user)

    async def probe(self) -> Connectivity:
        """Look whether the folder is there."""
        try:
            await self.identity()
        except Unreachable:
            return Connectivity.NO_ANSWER
        return Connectivity.CONNECTED

    async def schema(self, tables: Sequence[str]) -> list[TableSchema]:
        """Return the schemas of those tables that there are."""
        found = await self._ask(lambda: [self._server.schema(name) for name in tables])
        return [schema for schema in found if schema is not None]

    async def count(self, scope: Scope) -> int:
        """Return how many rows there are."""
        return len(await self._ask(lambda: self._server.ids(scope.table)))

    async def fetch(self, scope: Scope, ids: Sequence[str]) -> list[Record | Unreadable]:
        """Return the rows with these ids."""
        return await self._ask(lambda: self._records(scope, ids))

    async def list_ids(self, scope: Scope, condition: str | None) -> AsyncIterator[str]:
        """Yield all ids, ascending."""
        if condition is not None:
            raise ProtocolError("a folder understands no filter language; filter the rows here")
        for row_id in await self._ask(lambda: self._server.ids(scope.table)):
            yield row_id

    # Pulling.

    async def pull(self, scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
        """Yield pages until the last: all rows by id, or what the log has behind a line."""
        position, last = checkpoint, False
        while not last:
            page = await self._page(scope, position)
            position, last = page.checkpoint, page.last
            yield page

    async def _page(self, scope: Scope, checkpoint: str | None) -> Page:
        return await self._ask(lambda: self._read_page(scope, checkpoint))

    def _read_page(self, scope: Scope, checkpoint: str | None) -> Page:
        epoch = self._server.epoch
        if checkpoint is None:
            return self._rows(scope, epoch, len(self._server.touched()), "")
        known, kind, line, after = checkpoint.split("|")
        if known != epoch:
            raise CheckpointExpired("the log was begun anew; read the table anew")
        if kind == _ROWS:
            return self._rows(scope, epoch, int(line), after)
        return self._changes(scope, epoch, int(line))

    def _rows(self, scope: Scope, epoch: str, line: int, after: str) -> Page:
        """Return rows by id; the log is read from where it ended when the first page was asked."""
        waiting = [row_id for row_id in self._server.ids(scope.table) if row_id > after]
        taken = waiting[: self._page_size]
        last = len(taken) == len(waiting)
        place = f"{_LOG}|{line}|" if last else f"{_ROWS}|{line}|{taken[-1]}"
        return self._filled(scope, taken, f"{epoch}|{place}", last=last)

    def _changes(self, scope: Scope, epoch: str, line: int) -> Page:
        """Return the rows as they are now, of one stretch of the log."""
        log = self._server.touched()
        waiting = [touched for touched in log[line:] if touched.table == scope.table]
        taken = waiting[: self._page_size]
        last = len(taken) == len(waiting)
        ids = list(dict.fromkeys(touched.row_id for touched in taken))
        place = f"{_LOG}|{len(log) if last else taken[-1].number}|"
        page = self._filled(scope, ids, f"{epoch}|{place}", last=last)
        there = {record[0] for record in page.records} | {torn.row_id for torn in page.unreadable}
        return replace(page, tombstones=sorted(set(ids) - there))

    def _filled(self, scope: Scope, ids: Sequence[str], checkpoint: str, *, last: bool) -> Page:
        """Return a page of those rows that are there; what makes no sense comes aside."""
        found = self._records(scope, ids)
        torn = [row for row in found if isinstance(row, Unreadable)]
        records = [row for row in found if not isinstance(row, Unreadable)]
        return Page(records, (), checkpoint, last, torn)

    def _records(self, scope: Scope, ids: Sequence[str]) -> list[Record | Unreadable]:
        found = (self._found(scope, row_id) for row_id in ids)
        return [row for row in found if row is not None]

    def _found(self, scope: Scope, row_id: str) -> Record | Unreadable | None:
        """Return a row, if it is there; a file that holds something else stops only itself."""
        try:
            row = self._server.row(scope.schema, row_id)
            return None if row is None else self._record(scope, row)
        except (ValueError, ArithmeticError) as error:
            what = type(error).__name__  # its text may have a value
            return Unreadable(row_id, f"its file holds something else: {what}", self._text(row_id))

    def _text(self, row_id: str) -> str:
        files = self._server.folder.glob(f"*/{row_id}.json")
        return next((file.read_text("utf-8", "replace") for file in files), "")

    def _record(self, scope: Scope, row: Stored) -> Record:
        cells = dict(row.cells)
        for name in scope.names:
            column = scope.schema.by_name[name]
            reference = from_cells(column, cells)
            if column.name_field and isinstance(reference, Reference):
                cells[column.name_field] = self._name(reference)
        return (*(cells[field.name] for field in scope.fields), row.version)

    def _name(self, reference: Reference) -> str | None:
        schema = self._server.schema(reference.table)
        if schema is None or schema.primary_name is None:
            return None
        row = self._server.row(schema, reference.id)
        return None if row is None else str(row.cells[schema.primary_name])

    # Pushing.

    async def push(
        self, units: Sequence[Unit], scopes: Mapping[str, Scope]
    ) -> AsyncIterator[Outcome]:
        """Do one op after the other; nothing is promised about a unit of several."""
        for op in (op for unit in units for op in unit.ops):
            yield await self._push(op, scopes[op.table])

    async def _push(self, op: Op, scope: Scope) -> Outcome:
        return await self._ask(lambda: self._apply(op, scope))

    def _apply(self, op: Op, scope: Scope) -> Outcome:
        schema = self._server.schema(op.table)
        if schema is None:
            return Refused(op.id, "no-table", f"there is no table {op.table}")
        refusal = _refusal(op, schema)
        if refusal is not None:
            return refusal
        if isinstance(self._found(scope, op.row_id), Unreadable):
            return NotApplied(op.id, "its file holds something else")
        row = self._server.row(schema, op.row_id)
        if row is None and op.kind is OpKind.DELETE:
            return Applied(op.id, None)
        if not _may(op, row):
            mine = row is not None and op.attempts > 1 and _holds(op, row, schema)
            outcome = Applied if mine else Conflicted
            return outcome(op.id, None if row is None else self._record(scope, row))
        if op.kind is OpKind.DELETE:
            self._server.remove(op.table, op.row_id)
            return Applied(op.id, None)
        self._server.put(schema, op.row_id, op.changes)
        written = self._server.row(schema, op.row_id)
        assert written is not None
        return Applied(op.id, self._record(scope, written))

    async def _ask(self, question: Callable[[], T]) -> T:
        """Ask the folder in a thread, with everybody else kept out."""

        def asked() -> T:
            with self._server.locked():
                return question()

        try:
            return await self._threads.run(asked)
        except OSError as error:
            raise Unreachable(f"{self.location} is not there; mount it and try again") from error
        except (ValueError, LookupError, TypeError) as error:
            raise ProtocolError(f"{self.location} holds something else: {error}") from error


def _may(op: Op, row: Stored | None) -> bool:
    """Tell whether an op meets the row that it was made on."""
    if row is None or op.kind is OpKind.CREATE:
        return row is None and op.kind is OpKind.CREATE
    return row.version == op.version


def _holds(op: Op, row: Stored, schema: TableSchema) -> bool:
    """Tell whether the row has what the op writes: then the reply to it was lost."""
    held = {name: from_cells(schema.by_name[name], row.cells) for name in op.changes}
    return op.kind is not OpKind.DELETE and held == dict(op.changes)


def _refusal(op: Op, schema: TableSchema) -> Refused | None:
    for name, change in op.changes.items():
        column = schema.column(name)
        if column is None:
            return Refused(op.id, "no-column", f"{op.table} has no column {name}")
        limit = column.max_length
        if limit is not None and isinstance(change, str) and len(change) > limit:
            return Refused(op.id, "too-long", f"{name} takes {limit} characters")
    return None
