"""Whole questions, answered slowly and plainly over lists of rows: what storages are held against.

Nothing here is shared with a storage, but for what :mod:`holdfast.filters` means by a condition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from holdfast.contracts import Layout
from holdfast.filters import (
    ColumnRef,
    Compare,
    Expression,
    HasOption,
    In,
    IsNull,
    Like,
    Literal,
    Operand,
    Related,
    comparable,
    predicate,
    rebuild,
)
from holdfast.model import Record
from holdfast.queries import Aggregate, DatePart, JoinKind, Output, Selection, Sort
from holdfast.schema import DateBehavior, Kind
from holdfast.values import Cell

Joined: TypeAlias = Mapping[str, Record | None]
Rank: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True)
class Naive:
    """Tables with their rows, in the order of their keys."""

    layouts: Mapping[str, Layout]
    held: Mapping[str, Sequence[Record]]

    def answer(self, selection: Selection) -> list[Record]:
        joined = self._joined(selection)
        if selection.grouped:
            records = _groups(self, selection, joined)
        else:
            joined.sort(key=lambda at: _ids(selection, at))
            for sort in reversed(selection.order):
                joined.sort(key=partial(self._rank, selection, sort), reverse=sort.descending)
            records = [
                tuple(self.cell(selection, output, at) for output in selection.outputs)
                for at in joined
            ]
            if selection.distinct:
                records = _first_of_each(selection, records)
        end = None if selection.limit is None else selection.offset + selection.limit
        return records[selection.offset : end]

    def table(self, selection: Selection, source: str) -> str:
        joins = {join.alias: join.table for join in selection.joins}
        return joins[source] if source else selection.table

    def read(self, selection: Selection, column: ColumnRef, at: Joined) -> Cell:
        row = at[column.source]
        fields = self.layouts[self.table(selection, column.source)].fields
        return None if row is None else row[[f.name for f in fields].index(column.name)]

    def cell(self, selection: Selection, output: Output, at: Joined) -> Cell:
        cell = self.read(selection, output.column, at)
        return cell if output.part is None else _part(selection, output, cell)

    def _joined(self, selection: Selection) -> list[Joined]:
        joined: list[Joined] = [{"": row} for row in self.held[selection.table]]
        for join in selection.joins:
            field = replace(join.field, source=join.alias)
            more: list[Joined] = []
            for at in joined:
                found: list[Joined] = []
                for row in self.held[join.table]:
                    both = {**at, join.alias: row}
                    cells = (
                        comparable(c.kind, self.read(selection, c, both))
                        for c in (field, join.other)
                    )
                    one, other = cells
                    if (
                        one == other
                        and one is not None
                        and self._holds(selection, join.where, both)
                    ):
                        found.append(both)
                if not found and join.kind is not JoinKind.INNER:
                    found.append({**at, join.alias: None})
                more += found[:1] if join.kind is JoinKind.FIRST else found
            joined = more
        return [at for at in joined if self._holds(selection, selection.where, at)]

    def _holds(self, selection: Selection, where: Expression, at: Joined) -> bool:
        positions: dict[str, int] = {}
        cells: list[Cell] = []
        for source, row in at.items():
            fields = self.layouts[self.table(selection, source)].fields
            for place, field in enumerate(fields):
                positions[f"{source}.{field.name}"] = len(cells)
                cells.append(None if row is None else row[place])
        return predicate(_qualified(where), positions, related=self)(cells) is True

    def positions(self, table: str) -> Mapping[str, int]:
        """Return where the fields of related rows stand; inside a link no source is named."""
        return {f".{f.name}": at for at, f in enumerate(self.layouts[table].fields)}

    def rows(self, table: str, field: str, cell: Cell) -> list[Record]:
        name = field.removeprefix(".")
        at, kind = next(
            (at, f.kind) for at, f in enumerate(self.layouts[table].fields) if f.name == name
        )
        wanted = comparable(kind, cell)
        return [row for row in self.held[table] if comparable(kind, row[at]) == wanted]

    def _rank(self, selection: Selection, sort: Sort, at: Joined) -> Rank:
        if isinstance(sort.by, str):
            output = next(o for o in selection.outputs if o.name == sort.by)
            cell, kind = self.cell(selection, output, at), _kind(output)
        else:
            cell, kind = self.read(selection, sort.by, at), sort.by.kind
        return _ranked(cell, kind, sort)


def _ranked(cell: Cell, kind: Kind, sort: Sort) -> Rank:
    if sort.ranks:
        cell = next((place for option, place in sort.ranks if option == cell), None)
    known = comparable(kind, cell)
    return (0,) if known is None else (1, known)


def _kind(output: Output) -> Kind:
    return output.column.kind if output.part is None else Kind.INTEGER


def _ids(selection: Selection, at: Joined) -> Rank:
    rows = [at[""], *(at[join.alias] for join in selection.joins)]
    return tuple((0,) if row is None else (1, row[0]) for row in rows)


def _qualified(where: Expression) -> Expression:
    """Return the condition with each column called by its source and name."""

    def name(operand: Operand) -> Operand:
        if isinstance(operand, Literal):
            return operand
        return replace(operand, name=f"{operand.source}.{operand.name}")

    def change(node: Expression) -> Expression:
        match node:
            case Compare(operator, left, right):
                return Compare(operator, name(left), name(right))
            case Related(table, field, own, inner):
                return Related(
                    table,
                    replace(field, name=f".{field.name}"),
                    replace(own, name=f"{own.source}.{own.name}"),
                    inner,
                )
            case IsNull(column) | Like(column) | In(column) | HasOption(column):
                qualified = replace(column, name=f"{column.source}.{column.name}")
                return replace(node, column=qualified)
            case _:
                return node

    return rebuild(where, change)


def _same(selection: Selection, record: Record) -> Rank:
    return tuple(
        comparable(_kind(output), cell)
        for output, cell in zip(selection.outputs, record, strict=True)
    )


def _first_of_each(selection: Selection, records: Sequence[Record]) -> list[Record]:
    first: dict[Rank, Record] = {}
    for record in records:
        first.setdefault(_same(selection, record), record)
    return list(first.values())


def _groups(naive: Naive, selection: Selection, joined: Sequence[Joined]) -> list[Record]:
    keys = [output for output in selection.outputs if output.aggregate is None]
    groups: dict[Rank, list[Joined]] = {} if keys else {(): []}
    for at in sorted(joined, key=lambda at: _ids(selection, at)):
        key = tuple(comparable(_kind(o), naive.cell(selection, o, at)) for o in keys)
        groups.setdefault(key, []).append(at)
    records: list[Record] = [
        tuple(_made(naive, selection, output, rows) for output in selection.outputs)
        for rows in groups.values()
    ]
    sorts = [*selection.order, *(Sort(output.name) for output in keys)]
    for sort in reversed(sorts):
        place, kind = next(
            (place, _made_kind(o))
            for place, o in enumerate(selection.outputs)
            if o.name == sort.by or (o.column == sort.by and not o.aggregate and not o.part)
        )

        def rank(record: Record, at: int = place, kind: Kind = kind, sort: Sort = sort) -> Rank:
            return _ranked(record[at], kind, sort)

        records.sort(key=rank, reverse=sort.descending)
    return records


def _made_kind(output: Output) -> Kind:
    counts = output.aggregate in (Aggregate.COUNT, Aggregate.COUNT_COLUMN)
    return Kind.INTEGER if counts else _kind(output)


def _made(naive: Naive, selection: Selection, output: Output, rows: Sequence[Joined]) -> Cell:
    if output.aggregate is None:
        return naive.cell(selection, output, rows[0])
    if output.aggregate is Aggregate.COUNT:
        return len(rows)
    found = (naive.read(selection, output.column, at) for at in rows)
    cells = [cell for cell in found if cell is not None]
    if output.distinct:
        cells = list({comparable(output.column.kind, cell): cell for cell in cells}.values())
    if output.aggregate is Aggregate.COUNT_COLUMN:
        return len(cells)
    made: Cell = _MADE[output.aggregate](output.column.kind, cells)
    return made


def _total(kind: Kind, cells: Sequence[Any]) -> Any:
    if kind is Kind.REAL:
        return math.fsum(cells)
    return sum(cells, Decimal(0) if kind is Kind.DECIMAL else 0)


def _mean(kind: Kind, cells: Sequence[Any]) -> Any:
    if not cells:
        return None
    total = _total(kind, cells)
    if kind is Kind.INTEGER:
        return abs(total) // len(cells) * (-1 if total < 0 else 1)
    if kind is Kind.DECIMAL:
        return (total / len(cells)).quantize(Decimal("1e-10"))
    return total / len(cells)


def _best(kind: Kind, cells: Sequence[Any], *, sign: int) -> Any:
    if not cells:
        return None
    known: list[Any] = [comparable(kind, cell) for cell in cells]
    best = min(known) if sign > 0 else max(known)
    return min(cell for cell in cells if comparable(kind, cell) == best)


_MADE: Mapping[Aggregate, Callable[[Kind, Sequence[Any]], Any]] = {
    Aggregate.SUM: _total,
    Aggregate.AVERAGE: _mean,
    Aggregate.MINIMUM: partial(_best, sign=1),
    Aggregate.MAXIMUM: partial(_best, sign=-1),
}


def _part(selection: Selection, output: Output, cell: Cell) -> int | None:
    if cell is None:
        return None
    day = date.fromisoformat(str(cell)[:10])
    if output.local and output.behavior is DateBehavior.USER_LOCAL and str(cell).endswith("Z"):
        instant = datetime.fromisoformat(str(cell)[:19]).replace(tzinfo=UTC)
        day = instant.astimezone(ZoneInfo(selection.zone)).date()
    fiscal = selection.fiscal
    year = day.year - ((day.month, day.day) < (fiscal.month, fiscal.day))
    months = (day.year - year) * 12 + day.month - fiscal.month - (day.day < fiscal.day)
    first = date(day.year, 1, 1)
    match output.part:
        case DatePart.DAY:
            return day.day
        case DatePart.WEEK:
            return (day.timetuple().tm_yday - 1 + (first.weekday() + 1) % 7) // 7 + 1
        case DatePart.MONTH:
            return day.month
        case DatePart.QUARTER:
            return math.ceil(day.month / 3)
        case DatePart.YEAR:
            return day.year
        case DatePart.FISCAL_YEAR:
            return year
        case _:
            return year * fiscal.period.value + months * fiscal.period.value // 12
