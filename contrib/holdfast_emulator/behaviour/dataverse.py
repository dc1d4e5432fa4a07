"""One Dataverse organisation without HTTP: its rows, its rules and its refusals.

Invariant: a call takes effect whole or not at all, and every effect has a version that is greater
than all before it. Nothing here reads a clock, makes a random id or waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Final

from holdfast.filters import EVERYTHING, Expression, Function
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.changes import ChangePage, Tracker, TrackPosition
from holdfast_emulator.behaviour.derive import Derivation, draft_of, overlay, stamp_of
from holdfast_emulator.behaviour.ledger import Effect, Ledger, Operation
from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    Metadata,
    TableDefinition,
    metadata_id,
)
from holdfast_emulator.behaviour.navigation import Navigator
from holdfast_emulator.behaviour.relationships import RelationshipDefinition
from holdfast_emulator.behaviour.row import PAGE_LIMIT, Cells, Row
from holdfast_emulator.behaviour.rows import MemoryRows, RowStore
from holdfast_emulator.behaviour.security import Depth, Security, User
from holdfast_emulator.behaviour.seed import Seed, base_rows, default_users
from holdfast_emulator.behaviour.tables import stock_metadata
from holdfast_emulator.behaviour.writes import IfMatch, Rule, Values, Writer
from holdfast_emulator.queries.query import Answer, Query
from holdfast_emulator.queries.select import Selection

__all__ = ["Dataverse", "Effect", "IfMatch", "Operation", "Rule", "Values"]

_TRACKING_DAYS: Final = "expirechangetrackingindays"


class Dataverse:
    """The organisation. Every method raises ``DataverseFault``.

    :param clock: returns now, as an aware datetime
    :param make_id: makes ids for rows that come without one; by default a counter does
    :param metadata: the tables; by default the stock ones of :mod:`.tables`
    :param rows: where rows are kept; by default in memory
    :param on_effect: hears of every committed change, in order

    ``rules`` is a list of plug-ins that a test may fill; ``security`` knows the tokens and depths;
    ``navigator`` follows relationships from row to row;
    ``seed`` has the ids of the organisation, its business unit, its currency and its own user.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        make_id: Callable[[], str] | None = None,
        metadata: Metadata | None = None,
        rows: RowStore | None = None,
        on_effect: Callable[[Effect], None] | None = None,
    ) -> None:
        self.metadata = metadata or stock_metadata()
        self.security = Security()
        self.seed = Seed()
        self._clock = clock
        self._store = rows or MemoryRows()
        for table in self.metadata.tables.values():
            self._prepare(table)
        self._links = Links(self._store)
        self.navigator = Navigator(self.metadata, self._store, self._links)
        self._ledger = Ledger(self._store, self._links)
        self._tracker = Tracker(self._store, clock, lambda: self.expire_days)
        derivation = Derivation(self.find, self.seed.currency_id)
        self._writer = Writer(
            self.metadata,
            self.security,
            self._ledger,
            self._links,
            derivation,
            clock,
            make_id or counted_ids(),
        )
        self._populate()
        self._ledger.on_effect = on_effect

    @property
    def rules(self) -> list[Rule]:
        """The plug-ins, in the order in which they run."""
        return self._writer.rules

    @property
    def version(self) -> int:
        """The newest version that was given to anything."""
        return self._ledger.version

    @property
    def organization_id(self) -> str:
        """The id of the organisation."""
        return self.seed.organization_id

    @property
    def business_unit_id(self) -> str:
        """The id of the root business unit."""
        return self.seed.business_unit_id

    @property
    def currency_id(self) -> str:
        """The id of the base currency."""
        return self.seed.currency_id

    @property
    def system(self) -> User:
        """The user that the server itself acts as; no token signs it in."""
        return self.seed.system

    @property
    def expire_days(self) -> int:
        """How many days a delta token lives: a column of the organisation's row."""
        organization = self.find("organization", self.seed.organization_id)
        days = organization[_TRACKING_DAYS] if organization else None
        return days if isinstance(days, int) else 7

    @expire_days.setter
    def expire_days(self, days: int) -> None:
        organization = self.seed.organization_id
        self.update(self.system, "organization", organization, {_TRACKING_DAYS: days})

    def retrieve(self, user: User, table: str, row_id: str) -> Row:
        """Return a row; 404 when it is not there, 403 when it is not the user's to read."""
        definition = self._table(table)
        self.security.check(user, definition, "Read")
        row = self.find(table, row_id)
        if row is None:
            raise faults.missing_row(table, row_id)
        self.security.check_row(user, definition, row.id, row.owner_id, "Read")
        return self._shown(user, row)

    def create(self, user: User, table: str, values: Values) -> Row:
        """Create a row and return it; the primary id in ``values`` is taken, or one is made.

        412 0x80040237 when the id is taken.
        """
        return self._shown(user, self._writer.create(user, self._table(table), values))

    def update(
        self, user: User, table: str, row_id: str, values: Values, *, if_match: IfMatch = None
    ) -> Row:
        """Write columns of a row that exists, and return it; 404, 412 0x80060882."""
        definition = self._table(table)
        row = self._writer.update(user, definition, row_id.lower(), values, if_match)
        return self._shown(user, row)

    def upsert(self, user: User, table: str, row_id: str, values: Values) -> tuple[Row, bool]:
        """Update the row, or create it with this id; the second value says that it was created."""
        if self.find(table, row_id):
            return self.update(user, table, row_id, values), False
        primary_id = self._table(table).primary_id
        return self.create(user, table, {**values, primary_id: row_id}), True

    def delete(self, user: User, table: str, row_id: str, *, if_match: IfMatch = None) -> None:
        """Delete a row and what cascades; 404, 412, 405 0x80040227 where a relationship forbids."""
        self._writer.delete(user, self._table(table), row_id.lower(), if_match)

    def find(self, table: str, row_id: str) -> Row | None:
        """Return a row whoever asks: for expanding lookups, for checks after the fact."""
        definition = self._table(table)
        cells = self._store.get(table, row_id.lower())
        return None if cells is None else Row(definition, cells)

    def name_of(self, reference: Reference) -> str | None:
        """Return the primary name of the row pointed to; None when it is gone or has none."""
        row = self.find(reference.table, reference.id)
        if row is None or row.definition.primary_name is None:
            return None
        name = row[row.definition.primary_name]
        return None if name is None else str(name)

    def children(self, relationship: RelationshipDefinition, row_id: str) -> list[Row]:
        """Return the rows that point to ``row_id`` through the relationship, by id."""
        table = self._table(relationship.referencing)
        ids = self._links.sources(table, relationship, row_id.lower())
        rows = (self.find(table.name, source) for source in ids)
        return [row for row in rows if row]

    def scan(self, table: str) -> Iterator[Row]:
        """Yield all rows by id, whoever asks: for checks after the fact."""
        definition = self._table(table)
        return (Row(definition, cells) for cells in self._store.scan(table))

    def readable(self, user: User, row: Row) -> bool:
        """Tell whether the user may read a row: expanding leaves the others out."""
        return self.security.reaches(user, row.definition, row.owner_id)

    def query(self, user: User, query: Query) -> Answer:
        """Return one page of the rows that match and that the user may read."""
        found = self._selection(user, query).answer()
        return replace(found, rows=[self._shown(user, row) for row in found.rows])

    def count(
        self,
        user: User,
        table: str,
        expression: Expression = EVERYTHING,
        functions: Mapping[str, Function] | None = None,
    ) -> int:
        """Count the rows that match and that the user may read, without a limit."""
        query = Query(table, expression, functions=functions or {})
        return self._selection(user, query).count()

    def track(
        self,
        user: User,
        table: str,
        *,
        token: str | None = None,
        position: TrackPosition | None = None,
        page_size: int = PAGE_LIMIT,
    ) -> ChangePage:
        """Return a page of a tracked read: ``token`` None is an initial read, else a delta.

        Pages after the first are asked for with ``position`` = ``next`` of the page before. 403
        unless the user reads the whole table, 400 0x80072491 when it is not tracked, 400 0x80044352
        when the token has expired.
        """
        definition = self._tracked(user, table)
        if position is None:
            position = self._tracker.begin(definition, token, self.version)
        page = self._tracker.page(definition, position, page_size)
        return replace(page, rows=[self._shown(user, row) for row in page.rows])

    def count_changes(self, user: User, table: str, token: str) -> int:
        """Count what a delta from ``token`` would bring, deletions included."""
        return self._tracker.count(self._tracked(user, table), token, self.version)

    def purge_changes(self, *, after: int = 0) -> None:
        """Forget all deletions until now: every delta token given out before expires.

        :param after: the newest version of the organisation that was in this one's place
        """
        self._outside_transactions()
        self._store.clear_buried()
        self._ledger.version = max(self._ledger.version, after)
        self._tracker.floors[""] = self._ledger.next_version()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all calls inside one effect: an exception undoes every one of them."""
        with self._ledger.transaction():
            yield

    def load(self, table: str, rows: Iterable[Mapping[str, Cell | Reference]]) -> int:
        """Insert many new rows in the form of cells, as an import does; return how many.

        Nothing is checked, no rule runs and no effect is told; what the server derives is derived.
        ``createdon`` and ``modifiedon`` are kept where they are given.
        """
        definition = self._table(table)
        self._outside_transactions()
        self._links.forget(table)
        before = self._store.count(table)
        self._store.put_all(table, (self._loaded(definition, row) for row in rows))
        self._store.flush()
        return self._store.count(table) - before

    def add_table(self, table: TableDefinition) -> None:
        """Add a table; all its columns are the caller's to give, ``versionnumber`` among them."""
        self._prepare(table)
        self.metadata.put(table)

    def add_column(self, table: str, column: ColumnDefinition) -> None:
        """Add a column, null in all rows; delta tokens of the table expire."""
        self._outside_transactions()
        definition = self._table(table)
        if column.name in definition.by_name:
            raise ValueError(f"{table} has a column {column.name} already")
        wider = replace(definition, columns=(*definition.columns, column))
        self._prepare(wider)
        self.metadata.put(wider)
        self._tracker.floors[table] = self._ledger.next_version()

    def secure(self, table: str, column: str, *, hidden_from: User) -> None:
        """Secure a column: the user reads null in it, and is refused to write it."""
        definition = self._table(table)
        secured = replace(definition.by_name[column], secured=True)
        columns = tuple(secured if c.name == column else c for c in definition.columns)
        self.metadata.put(replace(definition, columns=columns))
        self.security.hide(hidden_from, table, column)

    def add_relationship(self, relationship: RelationshipDefinition) -> None:
        """Add a relationship over columns that exist."""
        self.metadata.relate(relationship)

    def add_user(
        self,
        name: str,
        *,
        token: str | None = None,
        user_id: str | None = None,
        teams: Iterable[str] = (),
    ) -> User:
        """Add a systemuser and let ``token`` sign it in; the id follows from the name."""
        row_id = user_id or metadata_id("systemuser", name)
        user = User(row_id, name, self.seed.business_unit_id, tuple(teams))
        if self.find("systemuser", user.id) is None:
            first, _, last = name.partition(" ")
            self.create(
                self.system,
                "systemuser",
                {
                    "systemuserid": user.id,
                    "firstname": first,
                    "lastname": last or None,
                    "domainname": f"{first.lower()}@example.com",
                    "internalemailaddress": f"{first.lower()}@example.com",
                    "businessunitid": Reference("businessunit", self.seed.business_unit_id),
                },
            )
        if token:
            self.security.admit(token, user)
        return user

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def _table(self, name: str) -> TableDefinition:
        table = self.metadata.table(name)
        if table is None:
            raise faults.unknown_segment(name)
        return table

    def _shown(self, user: User, row: Row) -> Row:
        """Return what the user sees of a row: null where a column is hidden."""
        hidden = self.security.hidden(user, row.table)
        if not hidden:
            return row
        draft = draft_of(row.definition, row.cells)
        for name in hidden:
            overlay(row.definition, draft, name, None)
        return Row(row.definition, tuple(draft.values()))

    def _outside_transactions(self) -> None:
        if self._ledger.open:
            raise RuntimeError("this cannot be undone; do it outside of transactions")

    def _prepare(self, table: TableDefinition) -> None:
        if "versionnumber" not in table.by_name:
            raise ValueError(f"{table.name} lacks versionnumber, which every table has")
        self._store.prepare(table.name, table.fields)

    def _populate(self) -> None:
        if self._store.get("organization", self.seed.organization_id) is None:
            for table, rows in base_rows(self.seed):
                self.load(table, rows)
        for name, token in default_users():
            self.add_user(name, token=token)

    def _tracked(self, user: User, table: str) -> TableDefinition:
        definition = self._table(table)
        self.security.check(user, definition, "Read")
        self.security.check_global(user, definition)
        if not definition.change_tracking:
            raise faults.not_tracked(table)
        return definition

    def _selection(self, user: User, query: Query) -> Selection:
        table = self._table(query.table)
        self.security.check(user, table, "Read")
        limited = self.security.depth(user, table) is Depth.BASIC
        return Selection(
            self._store, table, query, self.name_of, owned(table, user) if limited else None
        )

    def _loaded(
        self, table: TableDefinition, row: Mapping[str, Cell | Reference]
    ) -> tuple[str, int, Cells]:
        draft = draft_of(table, None)
        for name, value in row.items():
            overlay(table, draft, name, value)
        user, now = self.seed.system, stamp_of(self._clock())
        self._writer.derivation.create(user, table, draft, row, now)
        for name in _KEPT & row.keys():
            overlay(table, draft, name, row[name])
        version = draft["versionnumber"] = self._ledger.next_version()
        return str(draft[table.primary_id]), version, tuple(draft.values())


_KEPT: Final = frozenset({"createdon", "modifiedon"})


def owned(table: TableDefinition, user: User) -> Callable[[Cells], bool]:
    """Return the test for rows that a user, or a team of theirs, owns."""
    at = table.positions["ownerid"]
    owners = frozenset((user.id, *user.teams))
    return lambda cells: cells[at] in owners


def counted_ids() -> Callable[[], str]:
    """Return a maker of ids that counts: the same calls, the same ids."""
    numbers = count(1)
    return lambda: metadata_id("row", str(next(numbers)))
