"""Which rows of a server in memory match a filter: the server's own word, on its own clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from holdfast.contracts import FilterLanguage, Tables
from holdfast.filters import Branch, Tree, comparable, predicate, settle, trees
from holdfast.model import Asking, Record
from holdfast.values import Cell

_UPWARD: Final = frozenset({Branch.ABOVE, Branch.ABOVE_OR_EQUAL})
_WITH_ITSELF: Final = frozenset({Branch.ABOVE_OR_EQUAL, Branch.UNDER_OR_EQUAL})


class Rows:
    """All rows of all tables, for those who follow links."""

    def __init__(self, schemas: Tables, records: Mapping[str, list[Record]]) -> None:
        self.schemas = schemas
        self._records = records

    def positions(self, table: str) -> Mapping[str, int]:
        """Return where each field stands in a table's rows."""
        return self.schemas[table].positions

    def all(self, table: str) -> list[Record]:
        """Return all rows of a table."""
        return self._records[table]

    def rows(self, table: str, field: str, cell: Cell) -> Iterable[Record]:
        """Return the rows whose field equals the cell."""
        at = self.positions(table)[field]
        kind = self.schemas[table].fields[at].kind
        wanted = comparable(kind, cell)
        return [r for r in self._records[table] if comparable(kind, r[at]) == wanted]


def matching(
    rows: Rows, table: str, condition: str, language: FilterLanguage, asking: Asking
) -> list[str]:
    """Return the ids of the rows that match, ascending.

    :raises FilterError: the condition does not parse
    """
    asked = language.parse(condition, rows.schemas[table], rows.schemas)
    found = {tree: _walked(rows, tree) for tree in trees(asked)}
    test = predicate(settle(asked, asking, found), rows.positions(table), language.functions, rows)
    return sorted(str(record[0]) for record in rows.all(table) if test(record))


def _walked(rows: Rows, tree: Tree) -> set[str]:
    at = rows.positions(tree.table)[tree.parent]
    upward = tree.branch in _UPWARD
    edges = [(str(r[0]), str(r[at])) for r in rows.all(tree.table) if r[at] is not None]
    steps = [edge if upward else (edge[1], edge[0]) for edge in edges]
    found: set[str] = set()
    level = {tree.anchor}
    while level:
        level = {end for start, end in steps if start in level} - found
        found |= level
    found.discard(tree.anchor)
    return found | {tree.anchor} if tree.branch in _WITH_ITSELF else found
