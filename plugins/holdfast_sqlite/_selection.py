"""A selection's tables, cells and order as SQL.

Invariant: a join of one or no row adds nothing to what tells records apart; any other adds its key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from holdfast.errors import StorageError
from holdfast.filters import ColumnRef
from holdfast.queries import Join, JoinKind, Output, Selection, Sort
from holdfast.schema import DateBehavior, Kind
from holdfast_sqlite._cells import Convert, Decoder, decoding
from holdfast_sqlite._layouts import Tables
from holdfast_sqlite._parts import fiscal_text, zone_named
from holdfast_sqlite._render import Scope, Source, render
from holdfast_sqlite._statement import Statement, Term

_MOST_JOINS: Final = 30  # SQLite joins 64 tables, and a first row takes two
_MOST_OUTPUTS: Final = 500
_DATES: Final = frozenset({Kind.DATETIME, Kind.KEY})


@dataclass(frozen=True, slots=True)
class Sources:
    """The tables of a selection, joined.

    :param keys: the SQL of what tells their rows apart
    """

    scope: Scope
    from_sql: str
    where: str
    keys: tuple[str, ...]


def joined(selection: Selection, tables: Tables) -> Sources:
    """Return the tables with their joins and the condition over all of them.

    :raises StorageError: it names what is not there, or is larger than SQLite takes
    """
    if len(selection.joins) > _MOST_JOINS or len(selection.outputs) > _MOST_OUTPUTS:
        raise StorageError("the question has too many tables or columns; ask for less at once")
    if not selection.outputs:
        raise StorageError("the question asks for no column; name one")
    scope = Scope.of(tables, selection.table)
    root = scope.source()
    parts, keys = [root.from_sql], [root.key_sql]
    for join in selection.joins:
        source = scope.fresh(join.table)
        inner = scope.beside(join.alias, source)
        parts.append(_join(join, source, scope, inner))
        if join.kind is not JoinKind.FIRST and join.field.name != source.table.layout.key.name:
            keys.append(source.key_sql)
        scope = inner
    where = render(selection.where, scope)
    return Sources(scope, " ".join(parts), where, tuple(keys))


def _join(join: Join, source: Source, outer: Scope, inner: Scope) -> str:
    if join.kind is not JoinKind.FIRST:
        word = "JOIN" if join.kind is JoinKind.INNER else "LEFT JOIN"
        return f"{word} {source.from_sql} ON {_meeting(join, outer, inner)}"
    first = outer.fresh(join.table)
    condition = _meeting(join, outer, outer.beside(join.alias, first))
    return (
        f"LEFT JOIN {source.from_sql} ON {source.key_sql} = (SELECT {first.key_sql} "  # noqa: S608  identifiers are validated, values bound
        f"FROM {first.from_sql} WHERE {condition} ORDER BY {first.key_sql} LIMIT 1)"
    )


def _meeting(join: Join, outer: Scope, inner: Scope) -> str:
    field = inner.compared(replace(join.field, source=join.alias))
    return f"{field} = {outer.compared(join.other)} AND {render(join.where, inner)}"


def of_rows(selection: Selection, tables: Tables) -> Statement:
    """Return a selection that neither groups nor drops records as a statement."""
    sources = joined(selection, tables)
    scope = sources.scope
    return Statement(
        cells=tuple(cell_sql(output, selection, scope) for output in selection.outputs),
        from_sql=sources.from_sql,
        where=sources.where,
        terms=tuple(terms(selection, sources)),
        parameters=scope.parameters,
        decoder=Decoder([decoding_of(output) for output in selection.outputs]),
        seekable=not selection.order or _is_found(selection.order[0], scope),
        limit=selection.limit,
        offset=selection.offset,
    )


def _is_found(sort: Sort, scope: Scope) -> bool:
    return isinstance(sort.by, ColumnRef) and not sort.ranks and scope.finds(sort.by)


def cell_sql(output: Output, selection: Selection, scope: Scope) -> str:
    """Return a cell as it is stored, or a part of a date."""
    if output.aggregate is not None:
        raise StorageError(f"{output.name} is made of several records, but they are not grouped")
    if output.part is None:
        return scope.column(output.column)
    return part_sql(output, selection, scope)


def part_sql(output: Output, selection: Selection, scope: Scope) -> str:
    """Return the SQL of a part of a date.

    :raises StorageError: the column holds no dates, or there is no such time zone
    """
    assert output.part is not None
    if output.column.kind not in _DATES:
        raise StorageError(f"{output.column.name} holds no dates that could be cut into parts")
    instant = output.local and output.behavior is DateBehavior.USER_LOCAL
    zone = selection.zone if instant else ""
    if zone:
        zone_named(zone)
    bind = scope.parameters.bind
    marks = (bind(output.part.value), bind(zone), bind(fiscal_text(selection.fiscal)))
    return f"holdfast_part({scope.column(output.column)}, {', '.join(marks)})"


def compared_sql(output: Output, selection: Selection, scope: Scope) -> str:
    """Return what tells whether two cells of an output are the same."""
    if output.part is not None:
        return part_sql(output, selection, scope)
    return scope.compared(output.column)


def decoding_of(output: Output) -> Convert | None:
    """Return what makes a cell of what SQLite returned for an output without an aggregate."""
    return None if output.part is not None else decoding(output.column.kind)


def terms(selection: Selection, sources: Sources) -> Iterator[Term]:
    """Yield what the records are sorted by, the keys of their rows last."""
    for sort in selection.order:
        if isinstance(sort.by, str):
            sql = compared_sql(output_named(selection, sort.by), selection, sources.scope)
        else:
            sql = sources.scope.compared(sort.by)
        yield Term(ranked(sql, sort, sources.scope), sort.descending)
    for key in sources.keys:
        yield Term(key)


def output_named(selection: Selection, name: str) -> Output:
    """Return an output.

    :raises StorageError: there is none of this name
    """
    for output in selection.outputs:
        if output.name == name:
            return output
    raise StorageError(f"the question cannot be sorted by {name!r}, which is none of its outputs")


def ranked(sql: str, sort: Sort, scope: Scope) -> str:
    """Return what sorts by the place of an option; one that has none sorts as null does."""
    if not sort.ranks:
        return sql
    cases = _cases(sort.ranks, scope)
    return f"CASE {sql} {' '.join(cases)} END"


def _cases(ranks: Sequence[tuple[int, int]], scope: Scope) -> Iterator[str]:
    for option, place in ranks:
        marks = scope.parameters.bind(option), scope.parameters.bind(place)
        yield f"WHEN {marks[0]} THEN {marks[1]}"
