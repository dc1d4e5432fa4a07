"""From one row to those that a relationship joins it with."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import Metadata, TableDefinition
from holdfast_emulator.behaviour.relationships import Direction, Hop, ManyToManyDefinition, hops_of
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

    def name_of(self, table: TableDefinition, row_id: str) -> str | None:
        """Return the primary name of a row; None when it is gone or has none."""
        row = self.find(table.name, row_id)
        name = None if row is None or table.primary_name is None else row[table.primary_name]
        return None if name is None else str(name)

    def follow(self, hop: Hop, row: Row) -> list[Row]:
        """Return the rows at the end of a hop, by id; one at most for a step to one."""
        return [
            found
            for row_id in self._targets(hop, row)
            if (found := self.find(hop.target, row_id)) is not None
        ]

    def across(self, table: str) -> tuple[Hop, ...]:
        """Return the hops from rows of ``table`` along many-to-many relationships."""
        known = self.metadata.many_to_many.values()
        return tuple(hop for r in known for hop in hops_of(r) if hop.source == table)

    def pairs(self, hop: Hop, row: Row) -> list[Row]:
        """Return the rows of the intersect table that a hop across goes through, by id."""
        assert isinstance(hop.relationship, ManyToManyDefinition), "only such a hop has pairs"
        intersect = hop.relationship.intersect
        ids = self.links.holding(self.metadata.tables[intersect], hop.near, row.id)
        found = (self.find(intersect, pair) for pair in ids)
        return [pair for pair in found if pair]

    def _targets(self, hop: Hop, row: Row) -> list[str]:
        relationship = hop.relationship
        if isinstance(relationship, ManyToManyDefinition):
            return sorted(str(pair[hop.far]) for pair in self.pairs(hop, row))
        if hop.direction is Direction.TO_MANY:
            table = self.metadata.tables[hop.target]
            return self.links.sources(table, relationship, row.id)
        pointed = row.definition.positions[hop.near]
        beside = row.definition.table_fields.get(hop.near)
        if beside and row.cells[row.definition.positions[beside]] != hop.target:
            return []
        return [] if row.cells[pointed] is None else [str(row.cells[pointed])]
