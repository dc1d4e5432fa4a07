"""Finding rows: filter, order, page.

Invariant: a page holds the rows that follow its position *now*, in the order of the sort columns
and then of the primary id; null sorts before everything, text without regard to case.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import total_ordering
from itertools import islice
from typing import Final

from holdfast.schema import ColumnType
from holdfast.values import Cell
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import PAGE_LIMIT, Cells, Row
from holdfast_emulator.behaviour.rows import RowStore
from holdfast_emulator.queries.conditions import EVERY_ROW, All, Any, Condition, Operator, Test
from holdfast_emulator.queries.evaluate import matcher
from holdfast_emulator.queries.operators import form
from holdfast_emulator.queries.query import Answer, Order, Position, Query
from holdfast_emulator.queries.scope import Asking, TableScope, follower, label_reader

_STRIDE: Final = 1000
_VERSION: Final = "versionnumber"
_LAST_VERSION: Final = 2**62


@total_ordering
@dataclass(frozen=True, slots=True)
class _Rank:
    """One sort cell: null first, or last when descending."""

    cell: Cell
    descending: bool

    def __lt__(self, other: _Rank) -> bool:
        if self.cell == other.cell:
            return False
        if self.cell is None or other.cell is None:
            before = self.cell is None
        else:
            before = self.cell < other.cell  # type: ignore[operator]  # cells of one column
        return before is not self.descending


_Ranks = tuple[tuple[_Rank, ...], str]


def rank(kind: ColumnType, cell: Cell, descending: bool) -> _Rank:  # noqa: FBT001  a sort's own
    """Return what sorts a cell among others of its column: null first, or last when descending."""
    return _Rank(form(kind, cell), descending)


@dataclass(frozen=True, slots=True)
class SortKey:
    """How the rows of one query are ordered."""

    reads: Sequence[Callable[[Cells], Cell]]
    kinds: Sequence[ColumnType]
    orders: Sequence[Order]

    def position(self, cells: Cells, row_id: str) -> Position:
        """Return the position of a row, as it is given to the caller."""
        return (*(read(cells) for read in self.reads), row_id)

    def ranks(self, position: Position) -> _Ranks:
        """Return what positions are compared by."""
        pairs = zip(position, self.kinds, self.orders, strict=False)
        ranks = tuple(_Rank(form(kind, cell), order.descending) for cell, kind, order in pairs)
        return ranks, str(position[-1])


def sort_key(table: TableDefinition, orders: Sequence[Order], asking: Asking) -> SortKey:
    """Return how rows of a table are put in order.

    :raises DataverseFault: there is no such column
    """
    bound = [_sort_cell(table, order, asking) for order in orders]
    return SortKey([read for read, _ in bound], [kind for _, kind in bound], orders)


def _sort_cell(
    table: TableDefinition, order: Order, asking: Asking
) -> tuple[Callable[[Cells], Cell], ColumnType]:
    path = order.path
    bound = TableScope(table, asking).bind(path)
    labelled = order.by_label and bool(bound.column.options)
    if bound.column.type is not ColumnType.LOOKUP and not labelled:
        return bound.read, bound.column.type
    label = label_reader(bound.table, bound.column, asking)
    if not path.via:
        return label, ColumnType.STRING
    follow = follower(table, path.via, asking)

    def distant(cells: Cells) -> Cell:
        row = follow(cells)
        return None if row is None else label(row.cells)

    return distant, ColumnType.STRING


def pick(
    rows: Iterable[Row],
    table: TableDefinition,
    asking: Asking,
    *,
    where: Condition = EVERY_ROW,
    order: Sequence[Order] = (),
    top: int | None = None,
) -> list[Row]:
    """Return those of some rows at hand that match, in order, no more than ``top`` of them.

    Which of them the asker may read is the caller's to say. Without an order they keep their own.

    :raises DataverseFault: the condition or the order names what is not there
    """
    matches = matcher(where, TableScope(table, asking), asking)
    found = [row for row in rows if matches(row.cells)]
    if order:
        key = sort_key(table, order, asking)
        found.sort(key=lambda row: key.ranks(key.position(row.cells, row.id)))
    return found if top is None else found[:top]


@dataclass(frozen=True, slots=True)
class Selection:
    """One query over one table.

    :param readable: tells which rows the asker may read; None when it is all of them
    """

    store: RowStore
    table: TableDefinition
    query: Query
    asking: Asking
    readable: Callable[[Cells], bool] | None

    def answer(self) -> Answer:
        """Return the page that the query asks for."""
        page = max(1, min(self.query.page_size, PAGE_LIMIT))
        limit = page if self.query.top is None else min(self.query.top, PAGE_LIMIT)
        key = sort_key(self.table, self.query.order, self.asking)
        found = self._first(limit + 1, key)
        more = self.query.top is None and len(found) > limit
        rows = [Row(self.table, cells) for cells in found[:limit]]
        total = self.count() if self.query.count else None
        if not more:
            return Answer(rows, total=total)
        first, last = (key.position(row.cells, row.id) for row in (rows[0], rows[-1]))
        return Answer(rows, last, total, first)

    def count(self) -> int:
        """Count all matching rows."""
        if self.readable is None and self.query.where == EVERY_ROW:
            return self.store.count(self.table.name)
        return sum(1 for _ in self._matching(self._candidates()))

    def _first(self, limit: int, key: SortKey) -> list[Cells]:
        after, order = self.query.after, self._first_order()
        if order in (None, self.table.primary_id):
            start = str(after[-1]) if after else ""
            return list(islice(self._matching(self._by_id(start)), limit))
        if order == _VERSION:
            return list(islice(self._matching(self._by_version(after)), limit))
        id_at = self.table.positions[self.table.primary_id]
        ranked = (
            (key.ranks(key.position(cells, str(cells[id_at]))), cells)
            for cells in self._matching(self._candidates())
        )
        if after is not None:
            start_rank = key.ranks(after)
            ranked = (pair for pair in ranked if pair[0] > start_rank)
        return [cells for _, cells in heapq.nsmallest(limit, ranked, key=lambda pair: pair[0])]

    def _first_order(self) -> str | None:
        """Return the column that alone decides the order, as far as rows are kept in it."""
        if not self.query.order:
            return None
        first = self.query.order[0]
        if first.descending or first.path.via or first.path.column in self._hidden():
            return ""
        return first.path.column

    def _hidden(self) -> frozenset[str]:
        return self.asking.hidden(self.table.name)

    def _matching(self, rows: Iterable[Cells]) -> Iterator[Cells]:
        matches = matcher(self.query.where, TableScope(self.table, self.asking), self.asking)
        readable = self.readable
        if readable is None:
            return filter(matches, rows)
        return (cells for cells in rows if readable(cells) and matches(cells))

    def _candidates(self) -> Iterator[Cells]:
        """Yield rows among which all matches are; few when the filter bounds them."""
        if self._ids() is None and self._version_floor() > 0:
            return self._by_version(None)
        return self._by_id("")

    def _by_id(self, after: str) -> Iterator[Cells]:
        ids = self._ids()
        if ids is None:
            return self.store.scan(self.table.name, after)
        found = (self.store.get(self.table.name, row_id) for row_id in sorted(ids))
        at = self.table.positions[self.table.primary_id]
        return (cells for cells in found if cells and str(cells[at]) > after)

    def _by_version(self, after: Position | None) -> Iterator[Cells]:
        """Yield rows by version, from the filter's lower bound or from a position on."""
        since = self._version_floor()
        if after is not None and isinstance(after[0], int):
            since = max(since, after[0])
        at = self.table.positions[_VERSION]
        while some := self.store.changed(
            self.table.name, min(since, _LAST_VERSION), _LAST_VERSION, _STRIDE
        ):
            yield from some
            since = int(str(some[-1][at]))

    def _version_floor(self) -> int:
        """Return a version that every match is above, as far as the filter plainly says."""
        if _VERSION in self._hidden():
            return 0
        return max((_above(test) for test in _conjuncts(self.query.where)), default=0)

    def _ids(self) -> frozenset[str] | None:
        """Return ids among which those of all matches are; None when the filter does not say."""
        return self._bound_ids(self.query.where)

    def _bound_ids(self, condition: Condition) -> frozenset[str] | None:
        match condition:
            case All(parts):
                known = [ids for part in parts if (ids := self._bound_ids(part)) is not None]
                return min(known, key=len, default=None)
            case Any(parts):
                each = [ids for part in parts if (ids := self._bound_ids(part)) is not None]
                return frozenset().union(*each) if len(each) == len(parts) else None
            case Test():
                return self._tested_ids(condition)
            case _:
                return None

    def _tested_ids(self, test: Test) -> frozenset[str] | None:
        column = self.table.by_name.get(test.field.column)
        plain = test.operator in (Operator.EQ, Operator.IN) and test.other is None
        if column is None or not plain or test.field.via or test.field.alias:
            return None
        values = [str(value).lower() for value in test.values]
        if column.name in self._hidden():
            return None
        if column.name == self.table.primary_id:
            return frozenset(values)
        if column.type is not ColumnType.LOOKUP:
            return None
        links = self.asking.navigator.links
        held = (links.holding(self.table, column.name, value) for value in values)
        return frozenset(row_id for ids in held for row_id in ids)


def _conjuncts(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, All):
        for part in condition.parts:
            yield from _conjuncts(part)
    else:
        yield condition


def _above(condition: Condition) -> int:
    match condition:
        case Test(field, Operator.GT | Operator.GE as operator, (int() as version,), None) if (
            field.column == _VERSION and not field.via and not field.alias
        ):
            return version - (operator is Operator.GE)
        case _:
            return 0
