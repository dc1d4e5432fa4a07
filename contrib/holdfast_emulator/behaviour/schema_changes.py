"""Making, changing and dropping definitions while the organisation runs.

Invariant: a change is drafted whole and then adopted whole. Whatever is refused is refused while it
is being drafted, so that nothing of it is seen. Rows keep the cells of the columns that remain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.schema import ColumnType
from holdfast.values import Reference
from holdfast_emulator.behaviour.changes import Tracker
from holdfast_emulator.behaviour.definition_store import decode_metadata, encode_metadata
from holdfast_emulator.behaviour.file_tables import file_attachments, relate_files
from holdfast_emulator.behaviour.ledger import Ledger
from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.messages import Messages
from holdfast_emulator.behaviour.metadata import Metadata, TableDefinition, metadata_id
from holdfast_emulator.behaviour.option_sets import OptionSetDefinition
from holdfast_emulator.behaviour.relationships import (
    AnyRelationship,
    ManyToManyDefinition,
    RelationshipDefinition,
)
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.rows import RowStore
from holdfast_emulator.behaviour.tables import stock_metadata

#: The kinds of parts that are told as deleted, as ``DeletedMetadataFilters`` calls them.
ENTITY: Final = "Entity"
ATTRIBUTE: Final = "Attribute"
RELATIONSHIP: Final = "Relationship"
OPTION_SET: Final = "OptionSet"
ENTITY_KEY: Final = "EntityKey"


@dataclass(slots=True)
class Draft:
    """The definitions as they would be; the methods of :mod:`.schema_edits` change it."""

    tables: dict[str, TableDefinition]
    relationships: dict[str, RelationshipDefinition]
    many_to_many: dict[str, ManyToManyDefinition]
    option_sets: dict[str, OptionSetDefinition]

    @classmethod
    def of(cls, metadata: Metadata) -> Draft:
        """Return a draft in which nothing is changed yet."""
        return cls(
            dict(metadata.tables),
            dict(metadata.relationships),
            dict(metadata.many_to_many),
            dict(metadata.option_sets),
        )

    def every_relationship(self) -> Iterator[AnyRelationship]:
        """Yield the relationships of both kinds."""
        yield from self.relationships.values()
        yield from self.many_to_many.values()

    def parts(self) -> dict[str, tuple[str, object]]:
        """Return every part by its metadata id, with its kind."""
        return _parts(self)


def _parts(known: Draft | Metadata) -> dict[str, tuple[str, object]]:
    parts: dict[str, tuple[str, object]] = {}
    for table in known.tables.values():
        parts[metadata_id("table", table.name)] = (ENTITY, table)
        for column in table.columns:
            parts[metadata_id("column", table.name, column.name)] = (ATTRIBUTE, column)
        for key in table.keys:
            parts[metadata_id("key", table.name, key.name)] = (ENTITY_KEY, key)
    relationships: tuple[AnyRelationship, ...] = (
        *known.relationships.values(),
        *known.many_to_many.values(),
    )
    for relationship in relationships:
        found = metadata_id("relationship", relationship.schema_name)
        parts[found] = (RELATIONSHIP, relationship)
    for options in known.option_sets.values():
        parts[metadata_id("options", options.name)] = (OPTION_SET, options)
    return parts


def _file_columns(tables: Mapping[str, TableDefinition]) -> frozenset[tuple[str, str]]:
    """Return the columns whose contents are files, with their tables."""
    kinds = (ColumnType.FILE, ColumnType.IMAGE)
    return frozenset(
        (table.name, column.name)
        for table in tables.values()
        for column in table.columns
        if column.type in kinds
    )


_DEFINITIONS: Final = "definitions"
_FLOORS: Final = "delta tokens expired"


def kept_metadata(store: RowStore) -> Metadata:
    """Return the definitions that an earlier run left beside its rows, or the stock ones.

    :raises ValueError: they are not those of an emulator
    """
    text = store.noted(_DEFINITIONS)
    return stock_metadata() if text is None else decode_metadata(text, stock_metadata())


@dataclass(frozen=True, slots=True)
class SchemaChanges:
    """Adopts drafts, and keeps what is in force beside the rows, where a restart finds it."""

    metadata: Metadata
    store: RowStore
    links: Links
    ledger: Ledger
    tracker: Tracker
    system_id: str

    @contextmanager
    def drafting(self) -> Iterator[Draft]:
        """Adopt what was drafted inside, unless that raised."""
        if self.ledger.open:
            raise RuntimeError("definitions cannot be changed inside a transaction of rows")
        draft = Draft.of(self.metadata)
        yield draft
        self.adopt(draft)

    def adopt(self, draft: Draft) -> None:
        """Put the definitions of a draft into force."""
        relate_files(draft.tables, draft.relationships)
        before, after = _parts(self.metadata), draft.parts()
        dropped = _file_columns(self.metadata.tables) - _file_columns(draft.tables)
        known = self.metadata.tables
        for gone in known.keys() - draft.tables.keys():
            self.store.drop(gone)
            self.links.forget(gone)
            self.tracker.floors.pop(gone, None)
        for name, table in draft.tables.items():
            if name not in known:
                self.store.prepare(name, table.fields)
                self.tracker.floors[name] = self.ledger.next_version()
            elif known[name].columns != table.columns:
                self._reshape(known[name], table)
        self._replace(draft)
        if dropped:
            self._bury_files(dropped)
        self._note_changes(before, after)
        self.settle()
        self.store.flush()

    def settle(self) -> None:
        """Keep the definitions in force, and let the rows that are about them follow."""
        Messages(self.metadata, self.store, self.links, self.ledger).follow()
        self.store.note(_DEFINITIONS, encode_metadata(self.metadata, stock_metadata()))
        self.store.note(_FLOORS, msgspec.json.encode(self.tracker.floors).decode())

    def resume(self) -> None:
        """Take up what an earlier run left, apart from definitions."""
        floors = self.store.noted(_FLOORS)
        if floors:
            self.tracker.floors.update(msgspec.json.decode(floors, type=dict[str, int]))
        Messages(self.metadata, self.store, self.links, self.ledger).follow()

    def _reshape(self, before: TableDefinition, after: TableDefinition) -> None:
        if before.fields != after.fields:
            if after.fields[: len(before.fields)] == before.fields:
                self.store.prepare(after.name, after.fields)
            else:
                self.store.reshape(after.name, after.fields)
            self.links.forget(after.name)
        self.tracker.floors[after.name] = self.ledger.next_version()

    def _bury_files(self, dropped: frozenset[tuple[str, str]]) -> None:
        """Take the files of dropped columns away, with their bytes."""
        table = file_attachments(self.metadata)
        files = [Row(table, cells) for cells in self.store.scan(table.name)]
        with self.ledger.transaction():
            for file in files:
                owner = file["objectid"]
                assert isinstance(owner, Reference)
                if (owner.table, file["regardingfieldname"]) in dropped:
                    self.ledger.bury(table, file.cells, self.system_id)

    def _replace(self, draft: Draft) -> None:
        """Fill the one object that everybody holds; nobody looks in between."""
        metadata = self.metadata
        for part in ("tables", "relationships", "many_to_many", "option_sets"):
            kept: dict[str, object] = getattr(metadata, part)
            kept.clear()
            kept.update(getattr(draft, part))
        metadata.reindex()

    def _note_changes(
        self, before: Mapping[str, tuple[str, object]], after: Mapping[str, tuple[str, object]]
    ) -> None:
        metadata = self.metadata
        metadata.version += 1
        for found, part in after.items():
            if before.get(found) != part:
                metadata.changed[found] = metadata.version
        for found in before.keys() - after.keys():
            metadata.changed.pop(found, None)
            metadata.deleted.append((metadata.version, before[found][0], found))
        metadata.deleted.sort()
