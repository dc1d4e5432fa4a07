"""A question as SQL, which is answered a chunk at a time.

Invariant: the terms of the order tell any two records apart, so a chunk starts exactly behind the
last record of the one before, and no transaction is needed to hold them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias

from holdfast.contracts import Query
from holdfast.filters import ColumnRef
from holdfast.model import Record
from holdfast_sqlite._cells import Decoder
from holdfast_sqlite._connection import Database
from holdfast_sqlite._layouts import Tables
from holdfast_sqlite._parameters import Bindable, Parameters
from holdfast_sqlite._render import Scope, render

Part: TypeAlias = Callable[[Parameters], str]
#: The terms of a record, as SQLite compares them.
Position: TypeAlias = Sequence[Any]  # Any: what SQLite returned


@dataclass(frozen=True, slots=True)
class Term:
    """One thing to sort by; SQLite puts nulls where the contract wants them."""

    sql: str
    descending: bool = False

    @property
    def order_sql(self) -> str:
        """What stands behind ORDER BY."""
        return f"{self.sql} DESC" if self.descending else self.sql


@dataclass(frozen=True, slots=True)
class Asked:
    """The text of a statement, and what it binds."""

    sql: str
    parameters: Parameters

    def cut(self, limit: int | None, offset: int) -> Asked:
        """Return the statement that reads a part of the answer."""
        if limit is None and not offset:
            return self
        sql = f"{self.sql} LIMIT {self.parameters.bind(-1 if limit is None else limit)}"
        if offset:
            sql = f"{sql} OFFSET {self.parameters.bind(offset)}"
        return Asked(sql, self.parameters)

    def run(self, database: Database) -> list[Record]:
        """Return all rows."""
        return database.execute(self.sql, self.parameters.values).fetchall()

    def plan(self, database: Database) -> list[str]:
        """Return how SQLite would answer, a line for each step, indented as steps are nested."""
        depths: dict[int, int] = {}
        lines = []
        explained = f"EXPLAIN QUERY PLAN {self.sql}"
        for number, parent, _, detail in database.execute(
            explained, self.parameters.values
        ).fetchall():
            depths[number] = depths.get(parent, -1) + 1
            lines.append("  " * depths[number] + str(detail))
        return lines


@dataclass(frozen=True)
class Statement:
    """What to ask.

    :param cells: the SQL of each cell of a record
    :param from_sql: the tables
    :param where: the condition, with marks of ``parameters``
    :param terms: the order; no two records have the same
    :param seekable: an index finds the first term, so that what follows a record is found at once
    """

    cells: tuple[str, ...]
    from_sql: str
    where: str
    terms: tuple[Term, ...]
    parameters: Parameters
    decoder: Decoder
    seekable: bool
    limit: int | None = None
    offset: int = 0

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """What is selected: the cells, and then the terms that are none of them."""
        more = dict.fromkeys(term.sql for term in self.terms if term.sql not in self.cells)
        return (*self.cells, *more)

    def position(self, row: Record) -> Position:
        """Return where a selected row stands in the order."""
        places = {sql: at for at, sql in enumerate(self.columns)}
        return tuple(row[places[term.sql]] for term in self.terms)

    def asked(self, *, limit: int | None, offset: int = 0) -> Asked:
        """Return the text that reads from the start."""
        return self._asked("", self.parameters.fork(), limit, offset)

    def following(self, position: Position, limit: int) -> Iterator[Asked]:
        """Yield the texts that read what comes behind a position, one after the other.

        Each has a row of equalities that ends in one range: what an index answers best. Where none
        does, one text is better than several readings of the table.
        """
        if self.seekable:
            for same, further in _behind(self.terms, position):
                parameters = self.parameters.fork()
                condition = " AND ".join(part(parameters) for part in (*same, further))
                yield self._asked(f" AND {condition}", parameters, limit, 0)
            return
        parameters = self.parameters.fork()
        either = [
            f"({' AND '.join(part(parameters) for part in (*same, further))})"
            for same, further in _behind(self.terms, position)
        ]
        yield self._asked(f" AND ({' OR '.join(either) or '0'})", parameters, limit, 0)

    def _asked(self, also: str, parameters: Parameters, limit: int | None, offset: int) -> Asked:
        order = ", ".join(term.order_sql for term in self.terms)
        columns = ", ".join(self.columns)
        sql = f"SELECT {columns} FROM {self.from_sql} WHERE {self.where}{also} ORDER BY {order}"  # noqa: S608  identifiers are validated, values bound
        return Asked(sql, parameters).cut(limit, offset)


def _behind(terms: Sequence[Term], position: Position) -> Iterator[tuple[Sequence[Part], Part]]:
    for depth in range(len(terms) - 1, -1, -1):
        same = [partial(_equals, term, value) for term, value in zip(terms, position, strict=True)]
        for further in _further(terms[depth], position[depth]):
            yield same[:depth], further


def _equals(term: Term, value: Bindable, parameters: Parameters) -> str:
    return f"{term.sql} IS NULL" if value is None else f"{term.sql} = {parameters.bind(value)}"


def _further(term: Term, value: Bindable) -> list[Part]:
    """Return what sorts behind a value: null is first when ascending, last when descending."""
    if value is None:
        return [] if term.descending else [lambda _: f"{term.sql} IS NOT NULL"]
    if term.descending:
        return [
            lambda parameters: f"{term.sql} < {parameters.bind(value)}",
            lambda _: f"{term.sql} IS NULL",
        ]
    return [lambda parameters: f"{term.sql} > {parameters.bind(value)}"]


def of_query(query: Query, tables: Tables) -> Statement:
    """Return a query over one table as a statement."""
    scope = Scope.of(tables, query.table)
    source = scope.source()
    stored = source.table
    terms = [
        Term(scope.compared(ColumnRef(by.field.name, by.field.kind)), by.descending)
        for by in query.order
    ]
    return Statement(
        cells=stored.cells,
        from_sql=source.from_sql,
        where=render(query.where, scope),
        # By the key exactly: keys that differ in case are two keys.
        terms=(*terms, Term(source.key_sql)),
        parameters=scope.parameters,
        decoder=stored.decoder,
        seekable=not query.order or stored.finds(query.order[0].field.name),
        limit=query.limit,
    )


class Prepared:
    """The statements of the queries that were asked last: most are asked again and again.

    Queries that are equal bind values that compare alike, so they may share a statement.
    """

    _MOST = 64

    def __init__(self) -> None:
        self._known: dict[Query, tuple[Tables, Statement]] = {}

    def of_query(self, query: Query, tables: Tables) -> Statement:
        """Return a query over one table as a statement."""
        known = self._known.get(query)
        if known is not None and known[0] is tables:
            return known[1]
        statement = of_query(query, tables)
        if statement.parameters.small:
            if len(self._known) >= self._MOST:
                self._known.clear()
            self._known[query] = (tables, statement)
        return statement
