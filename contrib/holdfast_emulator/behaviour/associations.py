"""Joining rows and parting them, along any relationship.

Invariant: along a one-to-many relationship it is the referencing row that is written; along a
many-to-many one it is a row of the intersect table, which nobody writes by other ways, and of which
there is one per pair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.schema import ColumnType
from holdfast.values import Reference, canonical_id
from holdfast_emulator.behaviour import columns, faults
from holdfast_emulator.behaviour.derive import draft_of
from holdfast_emulator.behaviour.ledger import Ledger
from holdfast_emulator.behaviour.metadata import Metadata, Ownership, TableDefinition
from holdfast_emulator.behaviour.navigation import Navigator
from holdfast_emulator.behaviour.relationships import Direction, Hop, ManyToManyDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import Privilege, Security, User
from holdfast_emulator.behaviour.writes import IfMatch, Writer


def intersect_table(
    relationship: ManyToManyDefinition, schema_name: str, entity_set: str, object_type_code: int
) -> TableDefinition:
    """Return the table that holds the pairs of a many-to-many relationship."""
    name = relationship.intersect
    ends = (relationship.attribute1, relationship.attribute2)
    own = (
        columns.primary_id(f"{schema_name}Id"),
        *(columns.read_only(columns.define(end, ColumnType.UNIQUEIDENTIFIER)) for end in ends),
        columns.read_only(columns.bigint("VersionNumber")),
    )
    return TableDefinition(
        *(name, schema_name, entity_set, object_type_code, own[0].name, None, own),
        label=schema_name,
        collection_label=schema_name,
        ownership=Ownership.NONE,
        is_custom=relationship.is_custom,
        is_intersect=True,
        optimistic_concurrency=False,
    )


@dataclass(frozen=True, slots=True)
class Associations:
    """Writes what joins rows."""

    metadata: Metadata
    navigator: Navigator
    security: Security
    ledger: Ledger
    writer: Writer
    make_id: Callable[[], str]

    def hop(self, table: str, navigation: str, target: str | None = None) -> Hop:
        """Return the step along a navigation property.

        :param target: the table at its end, where several relationships share the property
        :raises DataverseFault: 404, there is no such property; 400, it leads to other tables
        """
        hops = [hop for hop in self.metadata.hops(table) if hop.navigation == navigation]
        if not hops:
            raise faults.unknown_segment(navigation[:100])
        fitting = [hop for hop in hops if target is None or hop.target == target]
        if not fitting:
            raise faults.bad_payload(
                self.metadata.tables[table].entity_set,
                f"A row of '{target}' cannot be reached through '{navigation[:100]}'.",
            )
        return fitting[0]

    def associate(
        self, user: User, hop: Hop, row_id: str, target_id: str, if_match: IfMatch
    ) -> None:
        """Join a row with the one at the end of ``hop``; 404, and 412 for a pair that is."""
        row = self._start(user, hop, row_id, if_match)
        target = self._end(user, hop, target_id)
        if hop.direction is Direction.ACROSS:
            self._join(user, hop, row, target)
            return
        pointing, pointed = (row, target) if hop.single else (target, row)
        self._point(user, hop, pointing, Reference(pointed.table, pointed.id))

    def disassociate(
        self, user: User, hop: Hop, row_id: str, target_id: str | None, if_match: IfMatch
    ) -> None:
        """Part a row from the one at the end of ``hop``; those that are parted stay so.

        :param target_id: None means whatever a hop to one leads to
        """
        row = self._start(user, hop, row_id, if_match)
        if target_id is None:
            assert hop.single, "along any other hop it must be said which"
            targets = self.navigator.follow(hop, row)
        else:
            targets = [self._end(user, hop, target_id)]
        for target in targets:
            if hop.direction is Direction.ACROSS:
                self._part(user, hop, row, target)
                continue
            pointing, pointed = (row, target) if hop.single else (target, row)
            if pointing[self._column(hop)] == Reference(pointed.table, pointed.id):
                self._point(user, hop, pointing, None)

    def _start(self, user: User, hop: Hop, row_id: str, if_match: IfMatch) -> Row:
        table = self.metadata.tables[hop.source]
        return self.writer.existing(user, table, row_id, _near(hop), if_match)

    def _end(self, user: User, hop: Hop, target_id: str) -> Row:
        table = self.metadata.tables[hop.target]
        far = Privilege.APPEND if _near(hop) is Privilege.APPEND_TO else Privilege.APPEND_TO
        return self.writer.existing(user, table, target_id, far, None)

    def _point(self, user: User, hop: Hop, pointing: Row, target: Reference | None) -> None:
        values = {self._column(hop): target}
        self.writer.update(user, pointing.definition, pointing.id, values, None)

    def _column(self, hop: Hop) -> str:
        return hop.near if hop.single else hop.far

    def _join(self, user: User, hop: Hop, row: Row, target: Row) -> None:
        if self._between(hop, row, target):
            raise faults.duplicate_key()
        intersect = self._intersect(hop)
        draft = draft_of(intersect, None)
        draft[intersect.primary_id] = canonical_id(self.make_id())
        draft[hop.near], draft[hop.far] = row.id, target.id
        with self.ledger.transaction():
            self.ledger.put(intersect, tuple(draft.values()), None, user.id)

    def _part(self, user: User, hop: Hop, row: Row, target: Row) -> None:
        with self.ledger.transaction():
            for pair in self._between(hop, row, target):
                self.ledger.bury(pair.definition, pair.cells, user.id)

    def _between(self, hop: Hop, row: Row, target: Row) -> list[Row]:
        intersect, ends = self._intersect(hop), (hop.near, hop.far)
        keys = self.navigator.links.keys
        found = keys.holding(intersect, ends, (row.id, target.id))
        return [pair for one in found if (pair := self.navigator.find(intersect.name, one))]

    def _intersect(self, hop: Hop) -> TableDefinition:
        assert isinstance(hop.relationship, ManyToManyDefinition), "the only ones that go across"
        return self.metadata.tables[hop.relationship.intersect]


def _near(hop: Hop) -> Privilege:
    """Return what it takes to stand at the start of a hop: who points appends itself to another."""
    return Privilege.APPEND_TO if hop.direction is Direction.TO_MANY else Privilege.APPEND
