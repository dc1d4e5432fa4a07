"""The bytes of files: rows of blocks, and one row that says which of them make a file.

Invariant: a file is the blocks that its row lists, in that order; what is not committed yet is a
list that still grows. Both go through the ledger, so that a failed transaction leaves no bytes.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.derive import draft_of, overlay, stamp_of
from holdfast_emulator.behaviour.file_tables import ATTACHMENT, BLOCKS, file_attachments
from holdfast_emulator.behaviour.ledger import Ledger
from holdfast_emulator.behaviour.metadata import TableDefinition, metadata_id
from holdfast_emulator.behaviour.row import Cells, Row
from holdfast_emulator.behaviour.rows import RowStore
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.behaviour.writes import Writer

#: So many bytes are kept in a row, and recommended to clients for a part.
BLOCK_BYTES: Final = 4 * 1024 * 1024
_POINTER: Final = "storagepointer"


class Layout(msgspec.Struct, frozen=True):
    """Which blocks make a file: name and size of each; who writes them, and how much is awaited."""

    user: str
    blocks: tuple[tuple[str, int], ...] = ()
    total: int | None = None

    @property
    def size(self) -> int:
        """The number of bytes so far."""
        return sum(size for _, size in self.blocks)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file, whole or still growing: its row, and its layout."""

    row: Row
    layout: Layout

    @property
    def id(self) -> str:
        """The id of the file."""
        return self.row.id

    @property
    def name(self) -> str:
        """The name it was given."""
        return str(self.row["filename"])

    @property
    def media_type(self) -> str:
        """What kind of file it is."""
        return str(self.row["mimetype"])

    @property
    def column(self) -> str:
        """The column that it belongs to."""
        return str(self.row["regardingfieldname"])

    @property
    def owner(self) -> Reference:
        """The row that it belongs to."""
        owner = self.row["objectid"]
        assert isinstance(owner, Reference)
        return owner

    @property
    def committed(self) -> bool:
        """Whether it is whole."""
        return self.row["iscommitted"] is True

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.layout.size


@dataclass(frozen=True, slots=True)
class FileStore:
    """Files in the rows of an organisation; who may do what is not decided here."""

    writer: Writer
    ledger: Ledger
    rows: RowStore

    @property
    def table(self) -> TableDefinition:
        """The table of files."""
        return file_attachments(self.writer.metadata)

    def find(self, file_id: str) -> StoredFile | None:
        """Return a file, whole or not."""
        cells = self.rows.get(ATTACHMENT, file_id)
        return None if cells is None else _stored(Row(self.table, cells))

    def of_column(self, row: Row, column: str) -> Iterator[StoredFile]:
        """Yield the whole files that belong to a column of a row: one, or none."""
        for file_id in self.writer.links.holding(self.table, "objectid", row.id):
            found = self.find(file_id)
            if (
                found
                and found.committed
                and (found.owner.table, found.column)
                == (
                    row.table,
                    column,
                )
            ):
                yield found

    def open(self, user: User, row: Row, column: str, name: str, media_type: str) -> StoredFile:
        """Begin a file of a column."""
        table = self.table
        draft = draft_of(table, None)
        values: Mapping[str, Cell | Reference] = {
            "fileattachmentid": self._new_id(),
            "filename": name,
            "mimetype": media_type,
            "filesizeinbytes": 0,
            "objectid": Reference(row.table, row.id),
            "regardingfieldname": column,
            "iscommitted": False,
            "createdon": stamp_of(self.writer.clock()),
            _POINTER: _text(Layout(user.id)),
        }
        for field, value in values.items():
            overlay(table, draft, field, value)
        with self.ledger.transaction():
            return _stored(Row(table, self.ledger.put(table, tuple(draft.values()), None, user.id)))

    def append(self, user: User, file: StoredFile, content: bytes) -> StoredFile:
        """Add bytes at the end."""
        layout = file.layout
        with self.ledger.transaction():
            for start in range(0, len(content), BLOCK_BYTES):
                block = content[start : start + BLOCK_BYTES]
                name = f"#{len(layout.blocks)}"  # no base64, hence no client's name
                self.write_block(user, file, name, block)
                layout = msgspec.structs.replace(
                    layout, blocks=(*layout.blocks, (name, len(block)))
                )
            return self.change(user, file, layout)

    def write_block(self, user: User, file: StoredFile, name: str, content: bytes) -> None:
        """Keep a block under a name, in the place of what had it; no layout lists it yet.

        To be called inside a transaction.
        """
        block_id = _block_id(file.id, name)
        cells: Cells = (block_id, b64encode(content).decode(), None)
        self.ledger.put(BLOCKS, cells, self.rows.get(BLOCKS.name, block_id), user.id)

    def change(self, user: User, file: StoredFile, layout: Layout, **cells: Cell) -> StoredFile:
        """Give a file another layout, and other cells; blocks listed no longer are dropped."""
        table = self.table
        draft = draft_of(table, file.row.cells)
        draft |= {"filesizeinbytes": layout.size, _POINTER: _text(layout), **cells}
        with self.ledger.transaction():
            kept = {name for name, _ in layout.blocks}
            for name in dict.fromkeys(name for name, _ in file.layout.blocks):
                if name not in kept:
                    self._drop_block(user.id, file.id, name)
            written = self.ledger.put(table, tuple(draft.values()), file.row.cells, user.id)
            return _stored(Row(table, written))

    def remove(self, user: User, file: StoredFile) -> None:
        """Take a file away, with its bytes."""
        with self.ledger.transaction():
            self.ledger.bury(self.table, file.row.cells, user.id)

    def drop_blocks(self, cells: Cells, user_id: str) -> None:
        """Take the bytes away of a file whose row goes; the ledger calls this."""
        file = _stored(Row(self.table, cells))
        for name in dict.fromkeys(name for name, _ in file.layout.blocks):
            self._drop_block(user_id, file.id, name)

    def read(self, file: StoredFile, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes from ``start`` until before ``stop``; other blocks are not read."""
        stop = file.size if stop is None else stop
        parts: list[bytes] = []
        at = 0
        for name, size in file.layout.blocks:
            if at < stop and at + size > start:
                block = self._block(file.id, name)
                parts.append(block[max(start - at, 0) : stop - at])
            at += size
        return b"".join(parts)

    def _block(self, file_id: str, name: str) -> bytes:
        cells = self.rows.get(BLOCKS.name, _block_id(file_id, name))
        assert cells, "a layout lists what is there"
        return b64decode(str(cells[1]))

    def _drop_block(self, user_id: str, file_id: str, name: str) -> None:
        cells = self.rows.get(BLOCKS.name, _block_id(file_id, name))
        if cells:
            self.ledger.bury(BLOCKS, cells, user_id)

    def _new_id(self) -> str:
        while True:
            made = self.writer.make_id().lower()
            if self.rows.get(ATTACHMENT, made) is None:
                return made


def _stored(row: Row) -> StoredFile:
    return StoredFile(row, msgspec.json.decode(str(row[_POINTER]), type=Layout))


def _text(layout: Layout) -> str:
    return msgspec.json.encode(layout).decode()


def _block_id(file_id: str, name: str) -> str:
    return metadata_id("fileblock", file_id, name)
