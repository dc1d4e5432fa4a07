"""Creating, changing and deleting rows, by the rules of the platform.

Invariant: checks come before changes, and each call is one transaction; what a delete takes along
gets its tombstone before the row that took it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference, canonical_id
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.derive import Derivation, Draft, draft_of, overlay, stamp_of
from holdfast_emulator.behaviour.ledger import Ledger, Operation
from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import Metadata
from holdfast_emulator.behaviour.metadata import TableDefinition as Table
from holdfast_emulator.behaviour.relationships import CascadeDelete, RelationshipDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import Security, User
from holdfast_emulator.behaviour.validation import accept

#: What a caller writes: JSON values (decimals as ``Decimal``, ``int`` or ``float``, dates as text),
#: lookups as ``Reference(table, id)`` under the column's logical name, None for null.
Values: TypeAlias = Mapping[str, object]

#: A version, ``"*"`` for "any, but it must exist", None for no condition.
IfMatch: TypeAlias = int | Literal["*"] | None

#: May change the values in place, or raise DataverseFault to refuse: a plug-in. What it puts there
#: is checked as if the caller had sent it. A delete comes without values.
Rule: TypeAlias = Callable[[User, str, dict[str, Cell | Reference], Operation], None]

#: A null for one of these means nothing: the row keeps what it has.
_NEVER_NULL: Final = frozenset({"ownerid", "statecode", "statuscode"})


@dataclass(frozen=True, slots=True)
class Writer:
    """Everything that changes rows on a caller's behalf."""

    metadata: Metadata
    security: Security
    ledger: Ledger
    links: Links
    derivation: Derivation
    clock: Callable[[], datetime]
    make_id: Callable[[], str]
    rules: list[Rule] = field(default_factory=list)

    def create(self, user: User, table: Table, values: Values) -> Row:
        """Insert a row, with the id that it brings or a new one."""
        self.security.check(user, table, "Create")
        written = self._accepted(user, table, values, Operation.CREATE)
        given = written.pop(table.primary_id, None)
        row_id = str(given) if given is not None else canonical_id(self.make_id())
        if self.find(table, row_id):
            raise faults.duplicate_key()
        self._check_references(table, written)
        draft = draft_of(table, None)
        draft[table.primary_id] = row_id
        self._overlay(table, draft, written)
        self.derivation.create(user, table, draft, written, stamp_of(self.clock()))
        with self.ledger.transaction():
            return Row(table, self.ledger.put(table, tuple(draft.values()), None, user.id))

    def update(
        self, user: User, table: Table, row_id: str, values: Values, if_match: IfMatch
    ) -> Row:
        """Write columns of a row."""
        row = self._existing(user, table, row_id, "Write", if_match)
        written = self._accepted(user, table, values, Operation.UPDATE)
        if not written:
            return row
        self._check_references(table, written)
        draft = draft_of(table, row.cells)
        self._overlay(table, draft, written)
        self.derivation.update(user, table, draft, written, stamp_of(self.clock()))
        with self.ledger.transaction():
            return Row(table, self.ledger.put(table, tuple(draft.values()), row.cells, user.id))

    def delete(self, user: User, table: Table, row_id: str, if_match: IfMatch) -> None:
        """Delete a row and what goes with it."""
        row = self._existing(user, table, row_id, "Delete", if_match)
        with self.ledger.transaction():
            self._delete(user, row, set())

    def find(self, table: Table, row_id: str) -> Row | None:
        """Return a row, whoever asks."""
        return self.derivation.find(table.name, row_id)

    def _existing(self, user: User, table: Table, row_id: str, verb: str, if_match: IfMatch) -> Row:
        self.security.check(user, table, verb)
        row = self.find(table, row_id)
        if row is None:
            raise faults.missing_row(table.name, row_id)
        self.security.check_row(user, table, row_id, row.owner_id, verb)
        if isinstance(if_match, int):
            if not table.optimistic_concurrency:
                raise faults.concurrency_not_enabled(table.name)
            if row.version != if_match:
                raise faults.version_mismatch()
        return row

    def _accepted(
        self, user: User, table: Table, values: Values, operation: Operation
    ) -> dict[str, Cell | Reference]:
        creating = operation is Operation.CREATE
        written = accept(table, values, creating=creating)
        self.security.check_columns(user, table.name, written)
        for rule in self.rules:
            rule(user, table.name, written, operation)
        if self.rules:
            written = accept(table, written, creating=creating)
        return {
            name: value
            for name, value in written.items()
            if value is not None or name not in _NEVER_NULL
        }

    def _check_references(self, table: Table, written: Mapping[str, Cell | Reference]) -> None:
        for name, value in written.items():
            if table.by_name[name].type is not ColumnType.LOOKUP or value is None:
                continue
            assert isinstance(value, Reference)
            if self.derivation.find(value.table, value.id) is None:
                raise faults.missing_row(value.table, value.id)

    def _overlay(self, table: Table, draft: Draft, written: Mapping[str, Cell | Reference]) -> None:
        for name, value in written.items():
            overlay(table, draft, name, value)

    def _delete(self, user: User, row: Row, doomed: set[str]) -> None:
        """Delete ``row``; rows in ``doomed`` are being deleted already, further up."""
        for rule in self.rules:
            rule(user, row.table, {}, Operation.DELETE)
        doomed.add(row.id)
        pointing = self.metadata.one_to_many(row.table)
        for relationship in pointing:
            if relationship.delete is CascadeDelete.RESTRICT:
                self._check_unused(relationship, row, doomed)
        for relationship in pointing:
            if relationship.delete is CascadeDelete.CASCADE:
                for child in self._children(relationship, row.id, doomed):
                    # A child may have gone with another child since the list was made.
                    if self.find(child.definition, child.id):
                        self._delete(user, child, doomed)
        for relationship in pointing:
            if relationship.delete is CascadeDelete.REMOVE_LINK:
                for child in self._children(relationship, row.id, doomed):
                    self._unlink(user, child, relationship.referencing_attribute)
        newest = self.find(row.definition, row.id)
        assert newest, "only its own delete takes a row away"
        self.ledger.bury(row.definition, newest.cells, user.id)

    def _check_unused(
        self, relationship: RelationshipDefinition, row: Row, doomed: set[str]
    ) -> None:
        if self._children(relationship, row.id, doomed):
            raise faults.DataverseFault(
                405,
                faults.RESTRICTED_DELETE,
                f"The object you tried to delete is associated with another object and cannot be "
                f"deleted. Relationship: {relationship.schema_name}.",
            )

    def _children(
        self, relationship: RelationshipDefinition, row_id: str, doomed: set[str]
    ) -> list[Row]:
        table = self.metadata.tables[relationship.referencing]
        ids = self.links.sources(table, relationship, row_id)
        rows = (self.find(table, source) for source in ids if source not in doomed)
        return [row for row in rows if row]

    def _unlink(self, user: User, child: Row, column: str) -> None:
        # The platform does this itself: the version moves, modifiedon does not.
        draft = draft_of(child.definition, child.cells)
        overlay(child.definition, draft, column, None)
        self.ledger.put(child.definition, tuple(draft.values()), child.cells, user.id)
