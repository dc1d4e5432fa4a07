"""Questions to the replica: what the storage can run is given to it, the engine does the rest."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeAlias

from holdfast.contracts import Order, Query, Storage
from holdfast.errors import Problem, QueryError
from holdfast.filters import EVERYTHING, And, Expression, Function, conjuncts, predicate
from holdfast.model import Record
from holdfast.schema import ColumnType, TableSchema

Records: TypeAlias = AsyncGenerator[Record]


def split(storage: Storage, expression: Expression) -> tuple[Expression, Expression]:
    """Return what the storage runs and what is left for the engine; both must hold."""
    pushed: list[Expression] = []
    left: list[Expression] = []
    for part in conjuncts(expression):
        (pushed if storage.runs(part) else left).append(part)
    return _joined(pushed), _joined(left)


def _joined(parts: Sequence[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def parse_order(schema: TableSchema, text: str | None) -> tuple[Order, ...]:
    """Read ``"name desc, revenue"``.

    :raises QueryError: a column is not there, or cannot be sorted by
    """
    orders: list[Order] = []
    problems: list[Problem] = []
    for part in (text or "").split(","):
        words = part.split()
        if not words:
            continue
        column = schema.column(words[0])
        direction = words[1] if len(words) > 1 else "asc"
        if column is None:
            problems.append(Problem("order_by", f"{schema.name} has no column {words[0]!r}"))
        elif column.type in (ColumnType.LOOKUP, ColumnType.CHOICES):
            message = f"{words[0]} cannot be sorted by; it is a {column.type.value} column"
            problems.append(Problem("order_by", message))
        elif direction not in ("asc", "desc") or len(words) > 2:
            problems.append(Problem("order_by", f"{part.strip()!r}: 'asc' or 'desc' may follow"))
        else:
            orders.append(Order(column.fields[0], descending=direction == "desc"))
    if problems:
        raise QueryError(schema.name, problems)
    return tuple(orders)


async def run(
    storage: Storage,
    query: Query,
    positions: Mapping[str, int],
    functions: Mapping[str, Function] | None = None,
) -> Records:
    """Yield the records that match; the limit is left to the storage only if it runs all of it."""
    pushed, left = split(storage, query.where)
    whole = left == EVERYTHING
    test = predicate(left, positions, functions)
    limit = query.limit
    yielded = 0
    records = storage.query(replace(query, where=pushed, limit=limit if whole else None))
    async with aclosing(records):  # type: ignore[type-var]  # every async generator can be closed
        async for record in records:
            if limit is not None and yielded >= limit:
                return
            if whole or test(record):
                yielded += 1
                yield record


async def count(
    storage: Storage,
    table: str,
    where: Expression,
    positions: Mapping[str, int],
    functions: Mapping[str, Function] | None = None,
) -> int:
    """Return how many records match."""
    pushed, left = split(storage, where)
    if left == EVERYTHING:
        return await storage.count(table, pushed)
    found = 0
    async with aclosing(run(storage, Query(table, where), positions, functions)) as records:
        async for _ in records:
            found += 1
    return found
