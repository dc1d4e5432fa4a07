"""Which way a question is answered: chunk after chunk, or whole where its records are made of many.

Invariant: no more groups are held in memory than Dataverse itself makes of a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from holdfast.contracts import Query
from holdfast.errors import StorageError
from holdfast.model import Record
from holdfast.queries import Selection
from holdfast_sqlite._connection import Database
from holdfast_sqlite._groups import Grouped, of_distinct, of_groups
from holdfast_sqlite._layouts import Catalog, Tables
from holdfast_sqlite._scan import Answer, Scan
from holdfast_sqlite._selection import of_rows
from holdfast_sqlite._statement import Asked, Statement, of_query
from holdfast_sqlite._understood import is_int64, is_understood

MOST_GROUPS: Final = 50_000


class _Whole:
    """An answer that is read at once, from one snapshot."""

    def __init__(self, catalog: Catalog, selection: Selection) -> None:
        self.finished = False
        self._catalog = catalog
        self._selection = selection

    def next_chunk(self, database: Database) -> Sequence[Record]:
        """Return all records.

        :raises StorageError: there are too many
        """
        self.finished = True
        grouped = _grouped(self._selection, self._catalog.tables(database))
        limit, offset = self._selection.limit, self._selection.offset
        most = MOST_GROUPS + 1 if limit is None else min(limit, MOST_GROUPS + 1)
        rows = grouped.asked(limit=most, offset=offset).run(database)
        if len(rows) > MOST_GROUPS:
            raise StorageError(
                f"the question has more than {MOST_GROUPS} groups or distinct records; narrow it"
            )
        return grouped.decoder.decode(rows)


def answer(catalog: Catalog, selection: Selection) -> Answer:
    """Return the answer to a selection, before anything of it is read."""
    if selection.grouped or selection.distinct:
        return _Whole(catalog, selection)
    return Scan(catalog, partial(of_rows, selection))


def is_answered(selection: Selection, tables: Tables) -> bool:
    """Tell whether the SQL says exactly this; what is huge or odd is left to others."""
    conditions = (selection.where, *(join.where for join in selection.joins))
    ranks = [number for sort in selection.order for pair in sort.ranks for number in pair]
    if not all(is_understood(condition, tables) for condition in conditions):
        return False
    if not all(map(is_int64, (*ranks, selection.limit or 0, selection.offset))):
        return False
    try:
        _built(selection, tables)
    except StorageError:
        return False
    return True


def asked_of(question: Query | Selection, tables: Tables) -> Asked:
    """Return the statement that a question begins with."""
    if isinstance(question, Query):
        return of_query(question, tables).asked(limit=question.limit, last=True)
    built = _built(question, tables)
    if isinstance(built, Statement):
        return built.asked(limit=question.limit, offset=question.offset, last=True)
    return built.asked(limit=question.limit, offset=question.offset)


def _built(selection: Selection, tables: Tables) -> Statement | Grouped:
    if selection.grouped or selection.distinct:
        return _grouped(selection, tables)
    return of_rows(selection, tables)


def _grouped(selection: Selection, tables: Tables) -> Grouped:
    return (of_groups if selection.grouped else of_distinct)(selection, tables)
