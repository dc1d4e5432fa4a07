"""Groups and distinct records as SQL.

Invariant: of the texts that are the same but for case, a group shows that of its first row by key;
of records that are the same, the first one in the order stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from holdfast.errors import StorageError
from holdfast.queries import Aggregate, Output, Selection, Sort
from holdfast.schema import Kind
from holdfast_sqlite._cells import Convert, Decoder, compared, decoding
from holdfast_sqlite._layouts import Tables
from holdfast_sqlite._parameters import Parameters
from holdfast_sqlite._selection import (
    Sources,
    cell_sql,
    compared_sql,
    decoding_of,
    joined,
    ranked,
    terms,
)
from holdfast_sqlite._statement import Asked, Term

_EXACT: Final = frozenset({Kind.INTEGER, Kind.DECIMAL})
_NUMBERS: Final = _EXACT | {Kind.REAL}
_COUNTS: Final = frozenset({Aggregate.COUNT, Aggregate.COUNT_COLUMN})
_TOTALS: Final = frozenset({Aggregate.SUM, Aggregate.AVERAGE})
_SUMS: Final[Mapping[Kind, str]] = {
    Kind.INTEGER: "coalesce(holdfast_sum({0}), '0')",
    Kind.DECIMAL: "coalesce(holdfast_sum({0}), '0')",
    Kind.REAL: "coalesce(holdfast_real_sum({0}), 0.0)",
}
_MEANS: Final[Mapping[Kind, str]] = {
    Kind.INTEGER: "holdfast_whole_mean({0})",
    Kind.DECIMAL: "holdfast_mean({0})",
    Kind.REAL: "holdfast_real_mean({0})",
}
#: Kinds whose cells are not what they compare by.
_SHOWN_OTHERWISE: Final = frozenset({Kind.TEXT, Kind.DECIMAL, Kind.DATETIME})


@dataclass(frozen=True, slots=True)
class Grouped:
    """A statement that answers with groups, and what makes records of its rows."""

    sql: str
    parameters: Parameters
    decoder: Decoder

    def asked(self, *, limit: int | None, offset: int = 0) -> Asked:
        """Return the text that reads a part of the answer."""
        return Asked(self.sql, self.parameters.fork()).cut(limit, offset)


def of_groups(selection: Selection, tables: Tables) -> Grouped:
    """Return a selection that makes one record of each group.

    :raises StorageError: it asks for a sum of what is no number, or names what is not there
    """
    sources = joined(selection, tables)
    outputs = selection.outputs
    by = {
        at: compared_sql(output, selection, sources.scope)
        for at, output in enumerate(outputs)
        if output.aggregate is None
    }
    columns = [
        f"{_group_cell(output, by.get(at), selection, sources)} AS c{at}"
        for at, output in enumerate(outputs)
    ]
    columns += [f"{sql} AS g{at}" for at, sql in by.items()]
    sql = f"SELECT {', '.join(columns)} FROM {sources.from_sql} WHERE {sources.where}"  # noqa: S608  identifiers are validated, values bound
    if by:
        sql = f"{sql} GROUP BY {', '.join(by.values())}"
    order = [*_group_terms(selection, sources), *(Term(f"q.g{at}") for at in by)]
    cells = ", ".join(f"q.c{at}" for at in range(len(outputs)))
    sql = f"SELECT {cells} FROM ({sql}) AS q"  # noqa: S608  as above
    if order:
        sql = f"{sql} ORDER BY {', '.join(term.order_sql for term in order)}"
    return Grouped(sql, sources.scope.parameters, Decoder([_decoding(o) for o in outputs]))


def of_distinct(selection: Selection, tables: Tables) -> Grouped:
    """Return a selection that leaves one of the records that are the same."""
    sources = joined(selection, tables)
    outputs = selection.outputs
    same = ", ".join(compared_sql(output, selection, sources.scope) for output in outputs)
    order = list(terms(selection, sources))
    columns = [
        f"{cell_sql(output, selection, sources.scope)} AS c{at}"
        for at, output in enumerate(outputs)
    ]
    columns += [f"{term.sql} AS o{at}" for at, term in enumerate(order)]
    within = ", ".join(term.order_sql for term in order)
    columns.append(f"row_number() OVER (PARTITION BY {same} ORDER BY {within}) AS place")
    cells = ", ".join(f"q.c{at}" for at in range(len(outputs)))
    outer = (Term(f"q.o{at}", term.descending).order_sql for at, term in enumerate(order))
    sql = (
        f"SELECT {cells} FROM (SELECT {', '.join(columns)} FROM {sources.from_sql} "  # noqa: S608  as above
        f"WHERE {sources.where}) AS q WHERE q.place = 1 ORDER BY {', '.join(outer)}"
    )
    return Grouped(sql, sources.scope.parameters, Decoder([decoding_of(o) for o in outputs]))


def _group_cell(output: Output, by: str | None, selection: Selection, sources: Sources) -> str:
    if by is None:
        return _aggregate(output, sources)
    if output.part is not None or output.column.kind not in _SHOWN_OTHERWISE:
        return by
    cell = cell_sql(output, selection, sources.scope)
    if output.column.kind is Kind.TEXT:
        return f"holdfast_first({', '.join((cell, *sources.keys))})"
    return f"min({cell})"


def _aggregate(output: Output, sources: Sources) -> str:
    scope, column, kind = sources.scope, output.column, output.column.kind
    distinct = "DISTINCT " if output.distinct else ""
    if output.part is not None:
        raise StorageError(f"{output.name}: parts of dates are grouped by, not added up")
    match output.aggregate:
        case Aggregate.COUNT:
            return "count(*)"
        case Aggregate.COUNT_COLUMN:
            return f"count({distinct}{scope.compared(column)})"
        case Aggregate.SUM | Aggregate.AVERAGE:
            if kind not in _NUMBERS:
                raise StorageError(f"{column.name} holds no numbers that could be added up")
            made = _SUMS if output.aggregate is Aggregate.SUM else _MEANS
            return made[kind].format(f"{distinct}{scope.compared(column)}")
        case least:
            word = "min" if least is Aggregate.MINIMUM else "max"
            if kind not in _SHOWN_OTHERWISE:
                return f"{word}({scope.column(column)})"
            word = "least" if least is Aggregate.MINIMUM else "greatest"
            return f"holdfast_{word}({scope.compared(column)}, {scope.column(column)})"


def _group_terms(selection: Selection, sources: Sources) -> Iterator[Term]:
    for sort in selection.order:
        at = _sorted_output(selection, sort)
        sql = _group_form(selection.outputs[at], at)
        yield Term(ranked(sql, sort, sources.scope), sort.descending)


def _sorted_output(selection: Selection, sort: Sort) -> int:
    for at, output in enumerate(selection.outputs):
        same = output.column == sort.by and output.aggregate is None and output.part is None
        if same or output.name == sort.by:
            return at
    raise StorageError("groups are sorted by their own outputs; name one of them")


def _group_form(output: Output, at: int) -> str:
    """Return what compares for an output of a group."""
    if output.aggregate is None:
        return f"q.g{at}"
    if output.aggregate in _COUNTS:
        return f"q.c{at}"
    if output.aggregate in _TOTALS:
        exact = output.column.kind in _EXACT
        return compared(Kind.DECIMAL if exact else Kind.REAL, f"q.c{at}")
    return compared(output.column.kind, f"q.c{at}")


def _decoding(output: Output) -> Convert | None:
    if output.aggregate is None:
        return decoding_of(output)
    if output.aggregate in _COUNTS:
        return None
    if output.aggregate in _TOTALS and output.column.kind is Kind.INTEGER:
        return _whole
    return decoding(output.column.kind)


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)
