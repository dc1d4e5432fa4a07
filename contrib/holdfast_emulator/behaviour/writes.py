"""Creating, changing and deleting rows, by the rules of the platform.

Invariant: checks come before changes, and each call is one transaction; what a delete takes along
gets its tombstone before the row that took it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Final, Literal, TypeAlias

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference, canonical_id
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.cascades import Cascades
from holdfast_emulator.behaviour.derive import Derivation, Draft, draft_of, overlay, stamp_of
from holdfast_emulator.behaviour.file_tables import ATTACHMENT
from holdfast_emulator.behaviour.images import draw_images
from holdfast_emulator.behaviour.ledger import Ledger, Operation
from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import Metadata
from holdfast_emulator.behaviour.metadata import TableDefinition as Table
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import Privilege, Security, User
from holdfast_emulator.behaviour.security_tables import SHARES
from holdfast_emulator.behaviour.validation import accept

#: What a caller writes: JSON values (decimals as ``Decimal``, ``int`` or ``float``, dates as text),
#: lookups as ``Reference(table, id)`` under the column's logical name, None for null.
Values: TypeAlias = Mapping[str, object]

#: A version, ``"*"`` for "any, but it must exist", None for no condition.
IfMatch: TypeAlias = int | Literal["*"] | None

#: May change the values in place, or raise DataverseFault to refuse: a plug-in. What it puts there
#: is checked as if the caller had sent it. A delete comes without values.
Rule: TypeAlias = Callable[[User, str, dict[str, Cell | Reference], Operation], None]

#: A plug-in that runs once a row is written, or before it is deleted, in the same transaction.
Reaction: TypeAlias = Callable[[User, Row, Operation], None]

#: What else follows from a write, in the same transaction; hears of the values as they were given.
FollowUp: TypeAlias = Callable[[User, Row, Mapping[str, Cell | Reference]], None]

#: A null for one of these means nothing: the row keeps what it has.
_NEVER_NULL: Final = frozenset({"ownerid", "statecode", "statuscode"})

#: An update of one of these beside others is two messages: plug-ins run for each.
_SPECIAL: Final = _NEVER_NULL


@dataclass(frozen=True, slots=True)
class DuplicateRule:
    """Rows of ``table`` with the same values in ``columns`` are duplicates of each other.

    It is obeyed where the caller asks for duplicate detection, and suppressed elsewhere.
    """

    name: str
    table: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Writer:
    """Everything that changes rows on a caller's behalf."""

    metadata: Metadata
    security: Security
    ledger: Ledger
    links: Links
    cascades: Cascades
    derivation: Derivation
    clock: Callable[[], datetime]
    make_id: Callable[[], str]
    rules: list[Rule] = field(default_factory=list)
    duplicate_rules: list[DuplicateRule] = field(default_factory=list)
    follow_ups: list[FollowUp] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)

    def create(
        self, user: User, table: Table, values: Values, *, detect_duplicates: bool = False
    ) -> Row:
        """Insert a row, with the id that it brings or a new one."""
        self.security.check(user, table, Privilege.CREATE)
        self._check_written_by_callers(table, "Create")
        written = self._accepted(user, table, values, Operation.CREATE)
        given = written.pop(table.primary_id, None)
        row_id = str(given) if given is not None else self._new_id(table)
        if self.find(table, row_id):
            raise faults.duplicate_key()
        self._check_references(table, written)
        draft = draft_of(table, None)
        draft[table.primary_id] = row_id
        self._overlay(table, draft, written)
        self.derivation.create(user, table, draft, written, stamp_of(self.clock()))
        draw_images(table, draft, written, self.clock())
        drafted = Row(table, tuple(draft.values()))
        self.security.check_written(user, drafted, written, creating=True)
        self._check_unique(table, draft, None, detect_duplicates=detect_duplicates)
        with self.ledger.transaction():
            row = Row(table, self.ledger.put(table, tuple(draft.values()), None, user.id))
            self._follow_up(user, row, written)
            self._react(user, row, Operation.CREATE)
            return row

    def update(
        self,
        user: User,
        table: Table,
        row_id: str,
        values: Values,
        if_match: IfMatch,
        *,
        detect_duplicates: bool = False,
    ) -> Row:
        """Write columns of a row."""
        row = self.existing(user, table, row_id, Privilege.WRITE, if_match)
        self._check_written_by_callers(table, "Update")
        written = self._accepted(user, table, values, Operation.UPDATE)
        if not written:
            return row
        self._check_references(table, written)
        self.security.check_written(user, row, written, creating=False)
        draft = draft_of(table, row.cells)
        self._overlay(table, draft, written)
        self.derivation.update(user, table, draft, written, stamp_of(self.clock()))
        draw_images(table, draft, written, self.clock())
        self._check_unique(table, draft, row, detect_duplicates=detect_duplicates)
        with self.ledger.transaction():
            cells = self.ledger.put(table, tuple(draft.values()), row.cells, user.id)
            if "ownerid" in written and draft["ownerid"] != row.owner_id:
                self._assign_below(user, row, written["ownerid"])
            self._follow_up(user, Row(table, cells), written)
            self._react(user, Row(table, cells), Operation.UPDATE)
            return Row(table, cells)

    def place(self, user: User, row: Row, cells: Mapping[str, Cell]) -> Row:
        """Write cells of a row that only the server writes; nothing is checked, no rule runs."""
        table = row.definition
        draft = draft_of(table, row.cells) | dict(cells)
        self.derivation.update(user, table, draft, cells, stamp_of(self.clock()))
        with self.ledger.transaction():
            return Row(table, self.ledger.put(table, tuple(draft.values()), row.cells, user.id))

    def delete(self, user: User, table: Table, row_id: str, if_match: IfMatch) -> None:
        """Delete a row and what goes with it."""
        row = self.existing(user, table, row_id, Privilege.DELETE, if_match)
        self._check_written_by_callers(table, "Delete")
        with self.ledger.transaction():
            self._delete(user, row)

    def _new_id(self, table: Table) -> str:
        """Return an id that no row has: a snapshot brings rows whose ids were counted elsewhere."""
        while self.find(table, row_id := canonical_id(self.make_id())):
            pass
        return row_id

    def find(self, table: Table, row_id: str) -> Row | None:
        """Return a row, whoever asks."""
        return self.derivation.find(table.name, row_id)

    def existing(
        self, user: User, table: Table, row_id: str, privilege: Privilege, if_match: IfMatch
    ) -> Row:
        """Return the row that something is to be done to.

        :raises DataverseFault: 404, 403, or 412 where the version is another one
        """
        self.security.check(user, table, privilege)
        row = self.find(table, row_id)
        if row is None:
            raise faults.missing_row(table.name, row_id)
        self.security.check_row(user, row, privilege)
        if isinstance(if_match, int):
            if not table.optimistic_concurrency:
                raise faults.concurrency_not_enabled(table.name)
            if row.version != if_match:
                raise faults.version_mismatch()
        return row

    def _follow_up(self, user: User, row: Row, written: Mapping[str, Cell | Reference]) -> None:
        for follow_up in self.follow_ups:
            follow_up(user, row, written)

    def _react(self, user: User, row: Row, operation: Operation) -> None:
        for reaction in () if user.skips_rules else tuple(self.reactions):
            reaction(user, row, operation)

    def _check_written_by_callers(self, table: Table, message: str) -> None:
        if table.is_intersect or table.name in (ATTACHMENT, SHARES):
            raise faults.no_such_message(message, table.name)

    def _accepted(
        self, user: User, table: Table, values: Values, operation: Operation
    ) -> dict[str, Cell | Reference]:
        creating = operation is Operation.CREATE
        written = accept(table, values, creating=creating)
        self.security.check_columns(user, table.name, written, creating=creating)
        if self.rules and not user.skips_rules:
            written = accept(table, self._ruled(user, table, written, operation), creating=creating)
        return {
            name: value
            for name, value in written.items()
            if value is not None or name not in _NEVER_NULL
        }

    def _ruled(
        self, user: User, table: Table, written: dict[str, Cell | Reference], operation: Operation
    ) -> dict[str, Cell | Reference]:
        """Let the plug-ins change the values, message by message."""
        messages = [written]
        if operation is Operation.UPDATE and not (_SPECIAL.isdisjoint(written)):
            special = {name: value for name, value in written.items() if name in _SPECIAL}
            plain = {name: value for name, value in written.items() if name not in _SPECIAL}
            messages = [message for message in (plain, special) if message]
        for message in messages:
            for rule in self.rules:
                rule(user, table.name, message, operation)
        return {name: value for message in messages for name, value in message.items()}

    def _check_references(self, table: Table, written: Mapping[str, Cell | Reference]) -> None:
        for name, value in written.items():
            if value is None or table.by_name[name].type is not ColumnType.LOOKUP:
                continue
            assert isinstance(value, Reference)
            if self.derivation.find(value.table, value.id) is None:
                raise faults.missing_row(value.table, value.id)

    def _check_unique(
        self, table: Table, draft: Draft, before: Row | None, *, detect_duplicates: bool
    ) -> None:
        """Refuse values that another row has, where that is not allowed."""
        for key in table.keys:
            if self._taken(table, key.columns, draft, before):
                labels = ", ".join(table.by_name[name].label for name in key.columns)
                raise faults.entity_key_violated(key.label or key.schema_name, labels)
        for rule in self.duplicate_rules if detect_duplicates else ():
            if rule.table == table.name and self._taken(table, rule.columns, draft, before):
                raise faults.duplicate_found()

    def _taken(
        self, table: Table, columns: tuple[str, ...], draft: Draft, before: Row | None
    ) -> bool:
        values = [draft[name] for name in columns]
        if before and values == [before.cells[table.positions[name]] for name in columns]:
            return False
        found = self.links.keys.holding(table, columns, values)
        return any(row_id != draft[table.primary_id] for row_id in found)

    def _overlay(self, table: Table, draft: Draft, written: Mapping[str, Cell | Reference]) -> None:
        for name, value in written.items():
            overlay(table, draft, name, value)

    def _assign_below(self, user: User, row: Row, owner: Cell | Reference) -> None:
        """Give the rows below the owner that the row got, where relationships say so."""
        # All of them are found before the first is written: "user-owned" means the owner before.
        for child in list(self.cascades.below(row, attrgetter("assign"))):
            if "ownerid" not in child.definition.by_name:
                continue
            draft = draft_of(child.definition, child.cells)
            overlay(child.definition, draft, "ownerid", owner)
            now = stamp_of(self.clock())
            self.derivation.update(user, child.definition, draft, {"ownerid": owner}, now)
            self.ledger.put(child.definition, tuple(draft.values()), child.cells, user.id)

    def _delete(self, user: User, row: Row) -> None:
        doomed = self.cascades.doomed(row, lambda going: self._announce(user, going))
        if doomed.forbidding:
            raise faults.DataverseFault(
                405,
                faults.RESTRICTED_DELETE,
                "The object you tried to delete is associated with another object and cannot be "
                f"deleted. Relationship: {doomed.forbidding.schema_name}.",
            )
        for child, column in doomed.unlinked:
            self._unlink(user, child, column)
        for gone in doomed.rows:
            newest = self.find(gone.definition, gone.id)
            if newest:  # a plug-in may have been quicker
                self.ledger.bury(newest.definition, newest.cells, user.id)
                self.security.sharing.forget(user.id, newest.id)

    def _announce(self, user: User, row: Row) -> None:
        for rule in () if user.skips_rules else self.rules:
            rule(user, row.table, {}, Operation.DELETE)
        self._react(user, row, Operation.DELETE)

    def _unlink(self, user: User, child: Row, column: str) -> None:
        # The platform does this itself: the version moves, modifiedon does not.
        newest = self.find(child.definition, child.id)
        if newest is None:
            return
        draft = draft_of(newest.definition, newest.cells)
        overlay(newest.definition, draft, column, None)
        self.ledger.put(newest.definition, tuple(draft.values()), newest.cells, user.id)
