"""An expression made ready for the storage: for one asker, at one moment, over what is here.

Invariant: what comes out is true on exactly those rows on which what went in is. Nothing in it
depends on who asks or when, and every link in it is one that the storage follows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from holdfast import _query
from holdfast._store import Store, equals
from holdfast._tables import ISSUES, PENDING_FIELD, VERSION_FIELD
from holdfast.contracts import Query
from holdfast.errors import Problem, QueryError
from holdfast.filters import (
    And,
    Branch,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    Function,
    In,
    InState,
    IsNull,
    Literal,
    Not,
    Or,
    Related,
    RowMark,
    Tree,
    is_settled,
    settle,
    trees,
    walk,
)
from holdfast.model import Asking
from holdfast.schema import Kind
from holdfast.status import IssueKind
from holdfast.values import Cell

#: How many cells one question names.
_CHUNK: Final = 500
_UPWARD: Final = frozenset({Branch.ABOVE, Branch.ABOVE_OR_EQUAL})
_WITH_ITSELF: Final = frozenset({Branch.ABOVE_OR_EQUAL, Branch.UNDER_OR_EQUAL})


def needs_more_than_the_row(expression: Expression) -> bool:
    """Tell whether a row alone does not decide: other rows do, or who asks and when."""
    linked = any(isinstance(node, Related) for node in walk(expression))
    return linked or not is_settled(expression)


class Preparation:
    """Makes expressions ready, all for the same asker and moment."""

    def __init__(self, store: Store, asking: Asking, functions: Mapping[str, Function]) -> None:
        self._store = store
        self._functions = functions
        self.asking = asking

    async def ready(self, table: str, expression: Expression) -> Expression:
        """Return what the storage, and the engine for the rest, can evaluate on rows of ``table``.

        :raises QueryError: it asks about rows that are not kept
        """
        return await self._reduced(await self.settled(table, expression), by_row=False)

    async def by_row(self, table: str, expression: Expression) -> Expression:
        """Return what a row alone decides, as other rows stand now.

        :raises QueryError: it asks about rows that are not kept
        """
        return await self.without_links(await self.settled(table, expression))

    async def without_links(self, settled: Expression) -> Expression:
        """Return a settled expression whose links are answered, as other rows stand now."""
        return await self._reduced(settled, by_row=True)

    async def settled(self, table: str, expression: Expression, source: str = "") -> Expression:
        """Return the expression for this asker, links as they are.

        :raises QueryError: it asks about rows that are not kept
        """
        marked = self._marked(table, expression, source)
        found = {tree: await self._walked(tree) for tree in trees(marked)}
        return settle(marked, self.asking, found)

    def _marked(self, table: str, node: Expression, source: str) -> Expression:
        """Say how rows stand in the words of their hidden fields."""
        match node:
            case And(parts) | Or(parts):
                within = tuple(self._marked(table, part, source) for part in parts)
                return And(within) if isinstance(node, And) else Or(within)
            case Not(part):
                return Not(self._marked(table, part, source))
            case Related(where=part):
                self._position(node.table, node.field.name)  # refused here, whoever would run it
                return replace(node, where=self._marked(node.table, part, ""))
            case InState(mark):
                return self._mark(table, mark, source)
            case _:
                return node

    def _mark(self, table: str, mark: RowMark, source: str) -> Expression:
        match mark:
            case RowMark.PENDING:
                pending = ColumnRef(PENDING_FIELD.name, PENDING_FIELD.kind, source)
                dirty = Compare(Comparison.EQ, pending, Literal(True))
                return And((IsNull(pending, negated=True), dirty))
            case RowMark.LOCAL:
                return IsNull(ColumnRef(VERSION_FIELD.name, VERSION_FIELD.kind, source))
            case RowMark.CONFLICTED:
                own = ColumnRef(self._store.schemas[table].primary_id, Kind.KEY, source)
                kind = equals("kind", IssueKind.CONFLICT.value)
                here = And((kind, equals("table_name", table)))
                return Related(ISSUES, ColumnRef("row_id", Kind.KEY), own, here)

    async def _reduced(self, node: Expression, *, by_row: bool) -> Expression:
        """Answer the links that the storage does not follow, the innermost first."""
        match node:
            case And(parts) | Or(parts):
                within = [await self._reduced(part, by_row=by_row) for part in parts]
                return And(tuple(within)) if isinstance(node, And) else Or(tuple(within))
            case Not(part):
                return Not(await self._reduced(part, by_row=by_row))
            case Related(where=part) if by_row or not self._store.storage.runs(node):
                inner = replace(node, where=await self._reduced(part, by_row=False))
                runs = not by_row and self._store.storage.runs(inner)
                return inner if runs else await self._answered(inner)
            case _:
                return node

    async def _answered(self, link: Related) -> Expression:
        """Return a link as the list of what it leads to; a null leads nowhere, and is false."""
        at = self._position(link.table, link.field.name)
        found: dict[Cell, None] = {}
        async with aclosing(self._records(Query(link.table, link.where))) as records:
            async for record in records:
                found[record[at]] = None
        found.pop(None, None)
        among = In(link.own, tuple(found))
        return And((IsNull(link.own, negated=True), among))

    async def _walked(self, tree: Tree) -> Collection[str]:
        """Return the ids of a part of a tree, level by level; a circle ends where it began."""
        at = self._position(tree.table, tree.parent)
        found: set[str] = set()
        level = [tree.anchor]
        while level:
            step = self._above if tree.branch in _UPWARD else self._below
            fresh = {row_id async for row_id in step(tree, level, at)}
            level = sorted(fresh - found - {tree.anchor})
            found.update(level)
        return found | {tree.anchor} if tree.branch in _WITH_ITSELF else found

    async def _above(self, tree: Tree, ids: Sequence[str], at: int) -> AsyncIterator[str]:
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            for record in await self._store.storage.read(tree.table, chunk):
                if record[at] is not None:
                    yield str(record[at])

    async def _below(self, tree: Tree, ids: Sequence[str], at: int) -> AsyncIterator[str]:
        del at
        for start in range(0, len(ids), _CHUNK):
            among = In(ColumnRef(tree.parent, Kind.KEY), tuple(ids[start : start + _CHUNK]))
            async with aclosing(self._records(Query(tree.table, among))) as records:
                async for record in records:
                    yield str(record[0])

    def _records(self, query: Query) -> _query.Records:
        positions = self._store.positions(query.table)
        return _query.run(self._store.storage, query, positions, self._functions)

    def _position(self, table: str, field: str) -> int:
        """Return where a field stands in another table's records.

        :raises QueryError: it is not kept
        """
        if not self._store.keeps(table):
            missing = f"the filter asks about rows of {table}; add that table to the profile"
            raise QueryError(table, [Problem("filter", missing)])
        at = self._store.positions(table).get(field)
        if at is None:
            missing = f"the filter needs {field!r}; add it to the table's columns in the profile"
            raise QueryError(table, [Problem("filter", missing)])
        return at
