"""One table of a replica, as an application uses it: nothing here waits for a server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from holdfast import _ask, _query
from holdfast._ask import Filter, Rows
from holdfast._explain import Explanation, explained
from holdfast._plan import rows
from holdfast._store import Writes
from holdfast._validate import check_create, check_update, check_written
from holdfast.errors import (
    InvalidValue,
    NotDownloaded,
    Problem,
    RowNotFound,
)
from holdfast.model import Op, OpKind, Row
from holdfast.schema import TableSchema
from holdfast.values import Change, Reference, canonical_id

__all__ = ["Explanation", "Rows", "Table"]

if TYPE_CHECKING:
    from holdfast._engine import Engine
    from holdfast._scopes import TableScope


class Table:
    """Reads and writes of one table; a write is durable when it returns."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = engine.scope(name).name
        self._store = engine.store

    @property
    def _scope(self) -> TableScope:
        """The scope as it is now: a download may have bound it to other columns."""
        return self._engine.scope(self._name)

    @property
    def name(self) -> str:
        """The table's name."""
        return self._name

    @property
    def schema(self) -> TableSchema:
        """The columns that the profile asks for."""
        return self._scope.visible

    async def get(self, row_id: object) -> Row:
        """Return one row.

        :raises RowNotFound: the replica does not have it
        """
        scope, wanted = self._scope, self._id(row_id)
        for record in await self._store.storage.read(self.name, [wanted]):
            return _ask.row_of(scope, record)
        raise RowNotFound(self.name, wanted)

    def query(
        self,
        filter: Filter | None = None,  # noqa: A002  the word people know from OData
        *,
        select: str | Sequence[str] | None = None,
        order_by: str | None = None,
        top: int | None = None,
        expand: str | None = None,
        count: bool = False,
    ) -> Rows:
        """Yield the rows that match, without holding them all in memory.

        Nothing is read, or refused, before the first row is asked for.

        :param filter: an OData ``$filter``, text in another language as ``{"fetchxml": "…"}``, or
            an expression of ``holdfast.filters``
        :param select: the columns of the rows, ``"name,revenue"``; the id is always there
        :param order_by: columns, each with ``desc`` if need be: ``"name desc, revenue"``
        :param top: no more than so many rows
        :param expand: rows of other kept tables that come along, by navigation name:
            ``"primarycontactid($select=fullname),contact_customer_accounts($top=3)"``; they are in
            the row's ``expanded``
        :param count: tell in ``total`` how many rows match in all
        :raises FilterError: a filter does not parse
        :raises QueryError: something names a column, or a table, that is not there
        """
        words = _ask.Words(filter, select, order_by, top, expand)
        return _ask.answer(self._engine, self._scope, words, count=count)

    async def count(
        self,
        filter: Filter | None = None,  # noqa: A002  the word people know from OData
    ) -> int:
        """Return how many rows match.

        :raises FilterError: the filter does not parse
        :raises QueryError: it asks about rows that are not kept
        """
        where = _ask.compiled(self._engine, self._scope, filter)
        return await _query.count(
            self._store.storage,
            self.name,
            await self._engine.preparation().ready(self.name, where),
            self._store.positions(self.name),
            self._engine.plugins.functions,
        )

    async def explain(
        self,
        filter: Filter | None = None,  # noqa: A002  the word people know from OData
        *,
        order_by: str | None = None,
        top: int | None = None,
        expand: str | None = None,
    ) -> Explanation:
        """Return how a query would be answered: who does what, and the storage's plan.

        :raises FilterError: a filter does not parse
        :raises QueryError: something names a column, or a table, that is not there
        """
        words = _ask.Words(filter, None, order_by, top, expand)
        return await explained(self._engine, self._scope, words)

    async def labels(self, row: Row) -> dict[str, str]:
        """Return what a person wants to read: option labels, and the names of looked-up rows.

        A name comes from the row itself if that is kept offline, else from what the server said
        when this row came. Columns without anything better than their value are left out.
        """
        found = {name: label for name in row if (label := row.label(name)) is not None}
        found.update(await self._names({n: v for n, v in row.items() if isinstance(v, Reference)}))
        return found

    async def _names(self, references: Mapping[str, Reference]) -> dict[str, str]:
        by_table: dict[str, dict[str, str]] = defaultdict(dict)
        for column, reference in references.items():
            scope = self._engine.scopes.get(reference.table)
            if scope is not None and scope.schema.primary_name:
                by_table[reference.table][column] = reference.id
        names: dict[str, str] = {}
        for table, wanted in by_table.items():
            schema = self._engine.scopes[table].schema
            at = schema.positions[schema.primary_name or schema.primary_id]
            records = await self._store.storage.read(table, sorted(set(wanted.values())))
            known = {str(record[0]): record[at] for record in records}
            for column, row_id in wanted.items():
                if known.get(row_id) is not None:
                    names[column] = str(known[row_id])
        return names

    async def create(self, values: Mapping[str, object]) -> str:
        """Create a row here and queue it for the server; return its id, which the server will keep.

        :raises InvalidValue: with every mistake; nothing was written
        """
        check_written(self.schema)
        changes = check_create(self.schema, values)
        given = values.get(self.schema.primary_id)
        row_id = self._engine.environment.ids.new() if given is None else self._id(given)
        await self._write(OpKind.CREATE, row_id, changes)
        return row_id

    async def update(self, row_id: object, values: Mapping[str, object]) -> None:
        """Change columns of a row here and queue the change.

        :raises InvalidValue: with every mistake; nothing was written
        :raises RowNotFound: the replica does not have the row
        """
        check_written(self.schema)
        changes = check_update(self.schema, values)
        await self._write(OpKind.UPDATE, self._id(row_id), changes)

    async def delete(self, row_id: object) -> None:
        """Delete a row here and queue the deletion.

        :raises InvalidValue: rows of this table are not deleted so
        :raises RowNotFound: the replica does not have the row
        """
        check_written(self.schema)
        await self._write(OpKind.DELETE, self._id(row_id), {})

    async def _write(self, kind: OpKind, row_id: str, changes: Mapping[str, Change]) -> None:
        """Write the row as the user now sees it, the op, and its base, in one commit."""
        self._must_be_usable()
        async with self._store.lock:
            before = await self._store.row(self._scope.schema, row_id)
            self._check_row(kind, before)
            await self._check_targets(changes)
            op = Op(
                id=self._engine.environment.ids.new(),
                sequence=await self._store.next_sequence(),
                kind=kind,
                table=self.name,
                row_id=row_id,
                changes=changes,
                created=self._engine.now(),
            )
            after = rows.edit(before, op, self._engine.author)
            writes = Writes()
            writes.row(before, after, self._engine.now())
            await self._store.commit(writes)

    def _must_be_usable(self) -> None:
        self._engine.must_own()
        if "user" not in self._engine.meta:
            raise NotDownloaded(self.name)

    def _check_row(self, kind: OpKind, before: rows.RowState) -> None:
        if kind is OpKind.CREATE and (before.local is not None or before.dirty):
            known = Problem(self.schema.primary_id, "there is already a row with this id")
            raise InvalidValue(self.name, [known])
        if kind is not OpKind.CREATE and before.local is None:
            raise RowNotFound(self.name, before.row_id)

    async def _check_targets(self, changes: Mapping[str, Change]) -> None:
        """Refuse a lookup to a row that was deleted here and waits to be deleted there."""
        for column, change in changes.items():
            if not isinstance(change, Reference) or change.table not in self._engine.scopes:
                continue
            target = await self._store.row(self._engine.schema(change.table), change.id)
            if target.dirty and target.local is None:
                deleted = Problem(column, f"points to {change}, which was deleted here")
                raise InvalidValue(self.name, [deleted])

    def _id(self, given: object) -> str:
        try:
            return canonical_id(given)
        except ValueError as error:
            problem = Problem(self.schema.primary_id, str(error))
            raise InvalidValue(self.name, [problem]) from None
