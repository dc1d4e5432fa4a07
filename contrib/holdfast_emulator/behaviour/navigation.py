"""From one row to those that a relationship joins it with."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import Metadata
from holdfast_emulator.behaviour.relationships import Direction, Hop, ManyToManyDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.rows import RowStore


@dataclass(frozen=True, slots=True)
class Navigator:
    """Follows hops, whoever asks: what a user may not read is the caller's to leave out."""

    metadata: Metadata
    store: RowStore
    links: Links

    def find(self, table: str, row_id: str) -> Row | None:
        """Return a row by its id."""
        cells = self.store.get(table, row_id.lower())
        return None if cells is None else Row(self.metadata.tables[table], cells)

    def follow(self, hop: Hop, row: Row) -> list[Row]:
        """Return the rows at the end of a hop, by id; one at most for a step to one."""
        return [
            found
            for row_id in self._targets(hop, row)
            if (found := self.find(hop.target, row_id)) is not None
        ]

    def _targets(self, hop: Hop, row: Row) -> list[str]:
        relationship = hop.relationship
        if isinstance(relationship, ManyToManyDefinition):
            intersect = self.metadata.tables[relationship.intersect]
            pairs = self.links.holding(intersect, hop.near, row.id)
            at = intersect.positions[hop.far]
            cells = (self.store.get(intersect.name, pair) for pair in pairs)
            return sorted(str(pair[at]) for pair in cells if pair)
        if hop.direction is Direction.TO_MANY:
            table = self.metadata.tables[hop.target]
            return self.links.sources(table, relationship, row.id)
        pointed = row.definition.positions[hop.near]
        beside = row.definition.table_fields.get(hop.near)
        if beside and row.cells[row.definition.positions[beside]] != hop.target:
            return []
        return [] if row.cells[pointed] is None else [str(row.cells[pointed])]
