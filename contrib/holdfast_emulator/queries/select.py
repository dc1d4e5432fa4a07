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
from typing import Final, TypeAlias

from holdfast.filters import (
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    Literal,
    conjuncts,
)
from holdfast.schema import ColumnType
from holdfast.values import Cell
from holdfast_emulator.behaviour.faults import unknown_property
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import PAGE_LIMIT, Cells, Row
from holdfast_emulator.behaviour.rows import RowStore
from holdfast_emulator.queries.evaluate import Evaluator, NameOf, Read, form
from holdfast_emulator.queries.query import Answer, Order, Position, Query

_STRIDE: Final = 1000
_VERSION: Final = "versionnumber"
_LAST_VERSION: Final = 2**62
_Test: TypeAlias = Callable[[Cells], bool]


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


@dataclass(frozen=True, slots=True)
class _SortKey:
    """How the rows of one query are ordered."""

    reads: Sequence[Read]
    kinds: Sequence[ColumnType]
    orders: Sequence[Order]

    def position(self, cells: Cells, row_id: str) -> Position:
        """Return the position of a row, as it is given to the caller."""
        return (*(read(cells) for read in self.reads), row_id)

    def ranks(self, position: Position) -> tuple[tuple[_Rank, ...], str]:
        """Return what positions are compared by."""
        pairs = zip(position, self.kinds, self.orders, strict=False)
        ranks = tuple(_Rank(form(kind, cell), order.descending) for cell, kind, order in pairs)
        return ranks, str(position[-1])


@dataclass(frozen=True, slots=True)
class Selection:
    """One query over one table, bound to the rows that its caller may read."""

    store: RowStore
    table: TableDefinition
    query: Query
    name_of: NameOf
    readable: _Test | None

    def answer(self) -> Answer:
        """Return the page that the query asks for."""
        page = max(1, min(self.query.page_size, PAGE_LIMIT))
        limit = page if self.query.top is None else min(self.query.top, PAGE_LIMIT)
        key = self._sort_key()
        found = self._first(limit + 1, key)
        more = self.query.top is None and len(found) > limit
        rows = [Row(self.table, cells) for cells in found[:limit]]
        last = key.position(rows[-1].cells, rows[-1].id) if more else None
        return Answer(rows, last, self.count() if self.query.count else None)

    def count(self) -> int:
        """Count all matching rows."""
        if self.readable is None and not conjuncts(self.query.filter):
            return self.store.count(self.table.name)
        return sum(1 for _ in self._matching(self._candidates()))

    def _first(self, limit: int, key: _SortKey) -> list[Cells]:
        after, orders = self.query.after, self.query.order
        if not orders or (orders[0].column == self.table.primary_id and not orders[0].descending):
            start = str(after[-1]) if after else ""
            return list(islice(self._matching(self.store.scan(self.table.name, start)), limit))
        if orders[0].column == _VERSION and not orders[0].descending:
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

    def _sort_key(self) -> _SortKey:
        evaluator = self._evaluator()
        reads: list[Read] = []
        kinds: list[ColumnType] = []
        for order in self.query.order:
            column = self.table.by_name.get(order.column)
            column = column or self.table.by_wire_name.get(order.column)
            if column is None:
                raise unknown_property(self.table.name, order.column)
            if column.type is ColumnType.LOOKUP:
                reads.append(evaluator.name_reader(column))
                kinds.append(ColumnType.STRING)
            else:
                reads.append(evaluator.reader(column.name)[0])
                kinds.append(column.type)
        return _SortKey(reads, kinds, self.query.order)

    def _evaluator(self) -> Evaluator:
        return Evaluator(self.table, self.name_of, self.query.functions)

    def _matching(self, rows: Iterable[Cells]) -> Iterator[Cells]:
        matches = self._evaluator().matcher(self.query.filter)
        readable = self.readable
        if readable is None:
            return filter(matches, rows)
        return (cells for cells in rows if readable(cells) and matches(cells))

    def _candidates(self) -> Iterator[Cells]:
        """Yield rows among which all matches are; few when the filter bounds the version."""
        if _version_floor(self.query.filter) > 0:
            return self._by_version(None)
        return self.store.scan(self.table.name)

    def _by_version(self, after: Position | None) -> Iterator[Cells]:
        """Yield rows by version, from the filter's lower bound or from a position on."""
        since = _version_floor(self.query.filter)
        if after is not None and isinstance(after[0], int):
            since = max(since, after[0])
        at = self.table.positions[_VERSION]
        while some := self.store.changed(
            self.table.name, min(since, _LAST_VERSION), _LAST_VERSION, _STRIDE
        ):
            yield from some
            since = int(str(some[-1][at]))


def _version_floor(expression: Expression) -> int:
    """Return a version that every match is above, as far as the filter plainly says."""
    floor = 0
    for part in conjuncts(expression):
        match part:
            case Compare(
                Comparison.GT | Comparison.GE as comparison,
                ColumnRef(name),
                Literal(int() as version),
            ) if name == _VERSION:
                floor = max(floor, version - (comparison is Comparison.GE))
            case _:
                pass
    return floor
