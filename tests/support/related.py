"""Rows of several tables in memory, for filters that ask about other rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast.filters import Branch, Record, Tree, comparable
from holdfast.schema import Kind, TableSchema
from holdfast.values import Cell


@dataclass(frozen=True)
class StillRows:
    """What ``predicate`` wants of other tables; ``of`` maps each table to its rows."""

    schemas: Mapping[str, TableSchema]
    of: Mapping[str, list[Record]]

    def positions(self, table: str) -> Mapping[str, int]:
        return self.schemas[table].positions

    def rows(self, table: str, field: str, cell: Cell) -> Iterable[Record]:
        schema = self.schemas[table]
        at = schema.positions[field]
        kind = next((f.kind for f in schema.fields if f.name == field), Kind.KEY)
        wanted = comparable(kind, cell)
        return [row for row in self.of[table] if comparable(kind, row[at]) == wanted]

    def in_tree(self, tree: Tree) -> frozenset[str]:
        """Return the ids in a part of a tree."""
        schema = self.schemas[tree.table]
        own, above = schema.positions[schema.primary_id], schema.positions[tree.parent]
        upward = tree.branch in (Branch.ABOVE, Branch.ABOVE_OR_EQUAL)
        found: set[Cell] = set()
        waiting: list[Cell] = [tree.anchor]
        while waiting:
            here = waiting.pop()
            start, end = (own, above) if upward else (above, own)
            steps = {row[end] for row in self.of[tree.table] if row[start] == here} - found
            found |= steps
            waiting.extend(steps)
        found -= {tree.anchor, None}
        if tree.branch in (Branch.ABOVE_OR_EQUAL, Branch.UNDER_OR_EQUAL):
            found.add(tree.anchor)
        return frozenset(map(str, found))
