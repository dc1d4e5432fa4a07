"""One Dataverse organisation without HTTP: its rows, its rules and its refusals.

Invariant: a call takes effect whole or not at all, and every effect has a version that is greater
than all before it. Nothing here reads a clock, makes a random id or waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.associations import Associations
from holdfast_emulator.behaviour.cascades import Cascades
from holdfast_emulator.behaviour.changes import ChangePage, Tracker, TrackPosition
from holdfast_emulator.behaviour.clock import VirtualClock
from holdfast_emulator.behaviour.column_security import CLOSED, EVERYBODY, ColumnAccess
from holdfast_emulator.behaviour.custom_api import CustomApis
from holdfast_emulator.behaviour.derive import Derivation, without
from holdfast_emulator.behaviour.directory import Directory
from holdfast_emulator.behaviour.file_messages import file_apis
from holdfast_emulator.behaviour.file_tables import ATTACHMENT, BLOCKS, install
from holdfast_emulator.behaviour.files import Files
from holdfast_emulator.behaviour.keeping import Keeper
from holdfast_emulator.behaviour.key_rules import accept_key, key_over, with_key, without_key
from holdfast_emulator.behaviour.ledger import Effect, Ledger, Operation
from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.loading import Loader
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    KeyDefinition,
    Metadata,
    TableDefinition,
)
from holdfast_emulator.behaviour.navigation import Navigator
from holdfast_emulator.behaviour.people import NewUser, People
from holdfast_emulator.behaviour.processes import process_apis
from holdfast_emulator.behaviour.relationships import Hop, RelationshipDefinition
from holdfast_emulator.behaviour.row import PAGE_LIMIT, Row
from holdfast_emulator.behaviour.rows import MemoryRows, RowStore
from holdfast_emulator.behaviour.schema_changes import SchemaChanges, kept_metadata
from holdfast_emulator.behaviour.security import Privilege, Security, User
from holdfast_emulator.behaviour.seed import Seed, base_rows, counted_ids, default_users
from holdfast_emulator.behaviour.sharing import Sharing
from holdfast_emulator.behaviour.stored_files import FileStore
from holdfast_emulator.behaviour.views import public_views
from holdfast_emulator.behaviour.writes import DuplicateRule, IfMatch, Rule, Values, Writer
from holdfast_emulator.queries.conditions import EVERY_ROW, Condition
from holdfast_emulator.queries.query import Answer, Query
from holdfast_emulator.queries.scope import Asking
from holdfast_emulator.queries.select import Selection
from holdfast_emulator.queries.settings import asking

__all__ = ["Dataverse", "DuplicateRule", "Effect", "IfMatch", "Operation", "Rule", "Values"]

_TRACKING_DAYS: Final = "expirechangetrackingindays"


class Dataverse:
    """The organisation. Every method raises ``DataverseFault``.

    :param clock: returns now, as an aware datetime
    :param make_id: makes ids for rows that come without one; by default a counter does
    :param metadata: the tables; by default the stock ones of :mod:`.tables`
    :param rows: where rows are kept; by default in memory
    :param on_effect: hears of every committed change, in order

    ``rules`` are plug-ins that run before a write, ``reactions`` those after; ``security`` knows
    tokens and depths; ``people`` adds users, teams and business units; ``files`` has what file and
    image columns hold; ``navigator`` follows relationships, ``cascades`` what goes along with a
    row; ``seed`` has the ids of the organisation, its business unit, currency and own user.
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
        self.seed = Seed()
        self.clock = VirtualClock(clock)
        self._store = rows or MemoryRows()
        self.metadata = metadata or kept_metadata(self._store)
        install(self.metadata)
        for table in (*self.metadata.tables.values(), BLOCKS):
            self._prepare(table)
        self._links = Links(self._store)
        self.navigator = Navigator(self.metadata, self._store, self._links)
        self._ledger = Ledger(self._store, self._links)
        self._tracker = Tracker(self._store, self.clock, lambda: self.expire_days)
        stored = (self._store, self._links, self._ledger, self._tracker)
        self.schema = SchemaChanges(self.metadata, *stored, self.seed.system.id)
        derivation = Derivation(self.find, self.seed.currency_id)
        self._loader = Loader(
            self._store, self._ledger, self._links, derivation, self.seed.system, self.clock
        )
        make_id = make_id or counted_ids()
        self.cascades = Cascades(self.navigator)
        self.security = self._secured()
        self._writer = Writer(
            self.metadata,
            self.security,
            self._ledger,
            self._links,
            self.cascades,
            derivation,
            self.clock,
            make_id,
        )
        file_store = FileStore(self._writer, self._ledger, self._store)
        self.files = Files(self._writer, file_store)
        self.apis = CustomApis((*file_apis(), *process_apis()))
        self.register = self.apis.register
        self._ledger.on_bury[ATTACHMENT] = file_store.drop_blocks
        self._writer.follow_ups.append(self.files.keep_images)
        self._associations = Associations(
            self.metadata, self.navigator, self.security, self._ledger, self._writer, make_id
        )
        self.keeper = self._kept()
        self.reactions = self._writer.reactions
        self.people = People(self.security, self._writer, self._ledger, self.seed)
        self._populate()
        self.schema.resume()
        self._ledger.on_effect = on_effect

    def _secured(self) -> Security:
        return Security(
            Directory(self.metadata, self._store, self._links),
            Sharing(
                self.metadata, self._store, self._links, self._ledger, self.cascades, self.clock
            ),
            self.clock,
        )

    def _kept(self) -> Keeper:
        return Keeper(
            self._store,
            self._ledger,
            self._links,
            self._tracker,
            self.clock,
            {
                "metadata": self.metadata,
                "rules": self._writer,
                "apis": self.apis,
                **self.security.parts(),
            },
        )

    @property
    def rules(self) -> list[Rule]:
        """The plug-ins, in the order in which they run."""
        return self._writer.rules

    @property
    def duplicate_rules(self) -> list[DuplicateRule]:
        """What counts as a duplicate, for callers that ask for duplicate detection."""
        return self._writer.duplicate_rules

    @property
    def version(self) -> int:
        """The newest version that was given to anything."""
        return self._ledger.version

    @property
    def organization_id(self) -> str:
        """The id of the organisation."""
        return self.seed.organization_id

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
        self.security.check(user, definition, Privilege.READ)
        row = self.find(table, row_id)
        if row is None:
            raise faults.missing_row(table, row_id)
        self.security.check_row(user, row, Privilege.READ)
        return self._shown(user, row)

    def create(
        self, user: User, table: str, values: Values, *, detect_duplicates: bool = False
    ) -> Row:
        """Create a row and return it; the primary id in ``values`` is taken, or one is made.

        412 0x80040237 when the id is taken, 0x80060892 when the values of an alternate key are,
        0x80040333 when a duplicate is looked for and found.
        """
        definition = self._table(table)
        row = self._writer.create(user, definition, values, detect_duplicates=detect_duplicates)
        return self._shown(user, row)

    def update(
        self,
        user: User,
        table: str,
        row_id: str,
        values: Values,
        *,
        if_match: IfMatch = None,
        detect_duplicates: bool = False,
    ) -> Row:
        """Write columns of a row that exists, and return it; 404, 412 0x80060882."""
        definition, row_id = self._table(table), row_id.lower()
        row = self._writer.update(
            user, definition, row_id, values, if_match, detect_duplicates=detect_duplicates
        )
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

    def associate(
        self,
        user: User,
        table: str,
        row_id: str,
        navigation: str,
        target: Reference,
        *,
        if_match: IfMatch = None,
    ) -> None:
        """Join two rows along a navigation property; 404, 412 0x80040237 for a pair that is."""
        hop = self._associations.hop(table, navigation, target.table)
        self._associations.associate(user, hop, row_id.lower(), target.id.lower(), if_match)

    def disassociate(
        self,
        user: User,
        table: str,
        row_id: str,
        navigation: str,
        target: Reference | None = None,
        *,
        if_match: IfMatch = None,
    ) -> None:
        """Part two rows; without ``target``, whatever a lookup points to. 404 for a missing row."""
        hop = self._associations.hop(table, navigation, target.table if target else None)
        target_id = target.id.lower() if target else None
        self._associations.disassociate(user, hop, row_id.lower(), target_id, if_match)

    def find_by_key(self, table: str, values: Values) -> Row | None:
        """Return the row with these values in the columns of an alternate key, whoever asks.

        400 when the columns are no key of the table, or a value does not fit.
        """
        definition = self._table(table)
        key = key_over(definition, values)
        cells = accept_key(definition, values)
        found = self._links.keys.holding(definition, key.columns, cells)
        return self.find(table, found[0]) if found else None

    def find(self, table: str, row_id: str) -> Row | None:
        """Return a row whoever asks: for expanding lookups, for checks after the fact."""
        definition = self._table(table)
        cells = self._store.get(table, row_id.lower())
        return None if cells is None else Row(definition, cells)

    def name_of(self, user: User, reference: Reference) -> str | None:
        """Return the primary name of a row, also of one not to be read; None if it has none.

        A name that is hidden from the user is none.
        """
        definition = self._table(reference.table)
        if definition.primary_name in self.security.hidden(user, reference.table):
            return None
        return self.navigator.name_of(definition, reference.id)

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

    def visible(self, user: User, table: str) -> Iterator[Row]:
        """Yield the rows that the user may read, by id, as they see them; 403 without the right."""
        self.security.check(user, self._table(table), Privilege.READ)
        return (self._shown(user, row) for row in self.scan(table) if self.readable(user, row))

    def readable(self, user: User, row: Row) -> bool:
        """Tell whether the user may read a row: expanding leaves the others out."""
        return self.security.reaches(user, row, Privilege.READ)

    def related(self, user: User, hop: Hop, row: Row) -> list[Row]:
        """Return the rows at the end of a hop that the user may read, by id, as they see them."""
        found = self.follow(user, hop, row)
        return [self._shown(user, one) for one in found if self.readable(user, one)]

    def follow(self, user: User, hop: Hop, row: Row) -> list[Row]:
        """Return the rows at the end of a hop, by id; none along a lookup that the user can't see.

        Which of them the user may read is the caller's to find out.
        """
        if hop.hidden(lambda table: self.security.hidden(user, table)):
            return []
        return self.navigator.follow(hop, row)

    def query(self, user: User, query: Query) -> Answer:
        """Return one page of the rows that match and that the user may read."""
        found = self._selection(user, query).answer()
        return replace(found, rows=[self._shown(user, row) for row in found.rows])

    def count(self, user: User, table: str, where: Condition = EVERY_ROW) -> int:
        """Count the rows that match and that the user may read, without a limit."""
        return self._selection(user, Query(table, where)).count()

    def asking(self, user: User) -> Asking:
        """Return how a user asks now: what they see, their days and weeks."""
        return asking(self.navigator, self.security, self.seed, user, self.clock())

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
        self._outside_transactions()
        return self._loader.load(self._table(table), rows)

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
        self.add_table(wider)
        self._tracker.floors[table] = self._ledger.next_version()

    def add_key(self, table: str, key: KeyDefinition) -> None:
        """Add an alternate key; 400 when it cannot be one, 412 0x80060892 where rows are alike."""
        self.metadata.put(with_key(self._table(table), key, self._links.keys))

    def remove_key(self, table: str, name: str) -> None:
        """Take an alternate key away; nothing happens when there is none of this name."""
        self.metadata.put(without_key(self._table(table), name))

    def secure(
        self,
        table: str,
        column: str,
        *,
        hidden_from: User | None = None,
        access: ColumnAccess = CLOSED,
    ) -> None:
        """Secure a column: a user has no more than ``access`` to it, and reads null without.

        Without ``hidden_from``, that is everybody but administrators and members of a profile.
        """
        definition = self._table(table)
        secured = replace(definition.by_name[column], secured=True)
        columns = tuple(secured if c.name == column else c for c in definition.columns)
        self.metadata.put(replace(definition, columns=columns))
        principal = hidden_from.id if hidden_from else EVERYBODY
        self.security.columns.restrict(principal, table, column, access)

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
        business_unit: str | None = None,
    ) -> User:
        """Add a systemuser and let ``token`` sign it in; see ``people`` for teams and units."""
        return self.people.add_user(NewUser(name, token, user_id, tuple(teams), business_unit))

    def close(self) -> None:
        """Keep the definitions, and let go of the store."""
        self.schema.settle()
        self._store.close()

    def _table(self, name: str) -> TableDefinition:
        table = self.metadata.table(name)
        if table is None:
            raise faults.unknown_segment(name)
        return table

    def _shown(self, user: User, row: Row) -> Row:
        """Return what the user sees of a row: null where a column is hidden."""
        hidden = self.security.hidden(user, row.table)
        return without(row, hidden) if hidden else row

    def _outside_transactions(self) -> None:
        if self._ledger.open:
            raise RuntimeError("this cannot be undone; do it outside of transactions")

    def _prepare(self, table: TableDefinition) -> None:
        if "versionnumber" not in table.by_name:
            raise ValueError(f"{table.name} lacks versionnumber, which every table has")
        self._store.prepare(table.name, table.fields)

    def _populate(self) -> None:
        if self._store.get("organization", self.seed.organization_id) is None:
            for table, rows in (*base_rows(self.seed), *public_views(self.metadata)):
                self.load(table, rows)
        users = [self.add_user(name, token=token) for name, token in default_users()]
        self.security.grants.administrators |= {self.system.id, users[0].id}

    def _tracked(self, user: User, table: str) -> TableDefinition:
        definition = self._table(table)
        self.security.check(user, definition, Privilege.READ)
        self.security.check_global(user, definition)
        if not definition.change_tracking:
            raise faults.not_tracked(table)
        return definition

    def _selection(self, user: User, query: Query) -> Selection:
        table = self._table(query.table)
        self.security.check(user, table, Privilege.READ)
        readable = self.security.readable(user, table)
        return Selection(self._store, table, query, self.asking(user), readable)
