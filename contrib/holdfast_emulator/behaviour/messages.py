"""Which messages the platform understands for which table: ``sdkmessage``, ``sdkmessagefilter``.

Invariant: there is a filter for each message and table that is there, and none for others. Their
ids follow from their names, so that the same tables always have the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from holdfast.values import Cell
from holdfast_emulator.behaviour.derive import draft_of
from holdfast_emulator.behaviour.ledger import Ledger
from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import Metadata, TableDefinition, metadata_id
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.behaviour.rows import RowStore

MESSAGE: Final = "sdkmessage"
FILTER: Final = "sdkmessagefilter"
_READ: Final = ("Retrieve", "RetrieveMultiple")
_PAIRS: Final = (*_READ, "Associate", "Disassociate")
_WRITE: Final = (
    *("Create", "Update", "Delete", "Upsert"),
    *("CreateMultiple", "UpdateMultiple", "UpsertMultiple"),
)
_OWNED: Final = ("Assign", "GrantAccess", "ModifyAccess", "RevokeAccess")
_MESSAGES: Final = tuple(dict.fromkeys((*_WRITE, *_PAIRS, *_OWNED)))


def message_id(message: str) -> str:
    """Return the id of a message."""
    return metadata_id(MESSAGE, message)


def filter_id(message: str, table: str) -> str:
    """Return the id of the row that says that a table understands a message."""
    return metadata_id(FILTER, message, table)


@dataclass(frozen=True, slots=True)
class Messages:
    """Keeps the rows of both tables right."""

    metadata: Metadata
    store: RowStore
    links: Links
    ledger: Ledger

    def follow(self) -> None:
        """Add the rows of tables that came, and take away those of tables that went."""
        messages, filters = self.metadata.table(MESSAGE), self.metadata.table(FILTER)
        if messages is None or filters is None:
            return
        wanted = dict(self._filters())
        known = {str(cells[0]) for cells in self.store.scan(FILTER)}
        if known == wanted.keys():
            return
        if self.store.count(MESSAGE) == 0:
            for name in _MESSAGES:
                values: dict[str, Cell] = {"sdkmessageid": message_id(name), "name": name}
                self._put(messages, values)
        for gone in known - wanted.keys():
            self.store.remove(FILTER, gone)
        for found in sorted(wanted.keys() - known):
            message, table = wanted[found]
            values = {
                "sdkmessagefilterid": found,
                "sdkmessageid": message_id(message),
                "primaryobjecttypecode": table,
                "secondaryobjecttypecode": "none",
                "availability": 2,
                "isvisible": True,
            }
            self._put(filters, values)
        self.links.forget(MESSAGE)
        self.links.forget(FILTER)

    def _filters(self) -> Iterator[tuple[str, tuple[str, str]]]:
        for table in self.metadata.tables.values():
            for message in _understood(table):
                yield filter_id(message, table.name), (message, table.name)

    def _put(self, table: TableDefinition, values: dict[str, Cell]) -> None:
        version = self.ledger.next_version()
        cells: Cells = tuple((draft_of(table, None) | values | {"versionnumber": version}).values())
        self.store.put(table.name, str(values[table.primary_id]), version, cells)


def _understood(table: TableDefinition) -> tuple[str, ...]:
    if table.is_intersect:
        return _PAIRS
    if table.name in (MESSAGE, FILTER):
        return _READ
    return (*_WRITE, *_READ, *(_OWNED if "ownerid" in table.by_name else ()))
