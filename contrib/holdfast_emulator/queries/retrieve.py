"""Asking a joined query: order, distinct values, groups, and one page of what is found.

Invariant: paging is live. Rows that are sorted alike are told apart by their ids, so a page starts
exactly behind the position where the one before ended.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.row import PAGE_LIMIT, Row
from holdfast_emulator.queries.aggregate import group_records
from holdfast_emulator.queries.joins import Joined, joined_rows
from holdfast_emulator.queries.operators import form
from holdfast_emulator.queries.outputs import Output, Record, Retrieval, Value
from holdfast_emulator.queries.query import Position
from holdfast_emulator.queries.scope import Asking
from holdfast_emulator.queries.select import rank

#: What rows are compared by: ranks of the sort cells, then ids.
_Key: TypeAlias = tuple[list[Any], Sequence[str]]  # Any: ranks compare with ranks of their column


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of the answer is wanted.

    :param skip: so many records are left out, counted from ``after`` or from the start
    :param after: the position behind which the page starts
    :param count: all records are counted, too
    """

    limit: int = PAGE_LIMIT
    skip: int = 0
    after: Position | None = None
    count: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One page; ``first`` and ``last`` are positions, where rows have some and more follow."""

    records: Sequence[Record]
    more: bool
    first: Position | None = None
    last: Position | None = None
    total: int | None = None


def retrieve(retrieval: Retrieval, asking: Asking, window: Window) -> Found:
    """Return one page of the answer to a query.

    :raises DataverseFault: there are too many rows, or a condition cannot be asked
    """
    if not retrieval.of_rows:
        return _records(retrieval, asking, window)
    total = sum(1 for _ in joined_rows(retrieval.plan, asking)) if window.count else None
    wanted = window.skip + window.limit + 1
    rows = _in_order(retrieval, asking, window.after, wanted)[window.skip :]
    page, more = rows[: window.limit], len(rows) > window.limit
    if not more:
        return Found(_written(retrieval, page), more=False, total=total)
    first, last = _position(retrieval, page[0]), _position(retrieval, page[-1])
    return Found(_written(retrieval, page), more=True, first=first, last=last, total=total)


def _records(retrieval: Retrieval, asking: Asking, window: Window) -> Found:
    """Return a page of what is made of several rows, which has no positions."""
    if retrieval.grouping is not None:
        rows = joined_rows(retrieval.plan, asking)
        found = group_records(rows, retrieval.outputs, retrieval.grouping)
    else:
        found = list(_distinct(retrieval, _in_order(retrieval, asking, None, None)))
    end = window.skip + window.limit
    total = len(found) if window.count else None
    return Found(found[window.skip : end], more=len(found) > end, total=total)


def _in_order(
    retrieval: Retrieval, asking: Asking, after: Position | None, limit: int | None
) -> list[Joined]:
    """Return the rows behind a position, in order; no more than are wanted."""
    places = _id_places(retrieval)
    since = str(after[-len(places)]) if after is not None and not retrieval.sorts else ""
    rows = joined_rows(retrieval.plan, asking, since)
    key = _key_reader(retrieval)
    if after is not None:
        start = _key(retrieval, after)
        rows = (joined for joined in rows if key(joined) > start)
    if not retrieval.sorts:
        return list(islice(rows, limit))
    if limit is None:
        return sorted(rows, key=key)
    return heapq.nsmallest(limit, rows, key=key)


def _id_places(retrieval: Retrieval) -> tuple[int, ...]:
    """Return the places whose ids together tell a row from all others."""
    return (0, *retrieval.plan.multiplied)


def _ids(retrieval: Retrieval) -> Callable[[Joined], tuple[Cell, ...]]:
    sources = retrieval.plan.sources
    readers = [
        (place, sources[place].table.positions[sources[place].table.primary_id])
        for place in _id_places(retrieval)
    ]

    def ids(joined: Joined) -> tuple[Cell, ...]:
        rows = ((joined[place], at) for place, at in readers)
        return tuple(None if cells is None else cells[at] for cells, at in rows)

    return ids


def _position(retrieval: Retrieval, joined: Joined) -> Position:
    sorts = (sort.read(joined) for sort in retrieval.sorts)
    return (*sorts, *_ids(retrieval)(joined))


def _key_reader(retrieval: Retrieval) -> Callable[[Joined], _Key]:
    ids, sorts = _ids(retrieval), retrieval.sorts

    def key(joined: Joined) -> _Key:
        ranks = [rank(sort.kind, sort.read(joined), sort.descending) for sort in sorts]
        return ranks, [str(cell or "") for cell in ids(joined)]

    return key


def _key(retrieval: Retrieval, position: Position) -> _Key:
    sorts = retrieval.sorts
    ranks = [
        rank(sort.kind, cell, sort.descending) for sort, cell in zip(sorts, position, strict=False)
    ]
    return ranks, [str(cell or "") for cell in position[len(sorts) :]]


def _written(retrieval: Retrieval, rows: Iterable[Joined]) -> list[Record]:
    table = retrieval.plan.root.table
    reads = [output.read for output in retrieval.outputs]
    records = []
    for joined in rows:
        assert joined[0] is not None
        records.append(Record([read(joined) for read in reads], Row(table, joined[0])))
    return records


def _distinct(retrieval: Retrieval, rows: Iterable[Joined]) -> Iterator[Record]:
    seen: set[tuple[object, ...]] = set()
    for joined in rows:
        values = [output.read(joined) for output in retrieval.outputs]
        forms = tuple(map(_form, retrieval.outputs, values))
        if forms not in seen:
            seen.add(forms)
            yield Record(values)


def _form(output: Output, value: Value) -> object:
    return value if isinstance(value, Reference) else form(output.column.type, value)
