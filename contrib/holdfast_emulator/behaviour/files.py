"""Files and images: who may write and read them, and in which steps they come.

Invariant: a column shows the new file only when it is whole; until then, and when anything fails,
it shows the one before. Writing a file is writing the row: it needs the same rights, and moves the
version and ``modifiedon`` on.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace as changed

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.file_tables import ATTACHMENT, FILES, most_bytes
from holdfast_emulator.behaviour.images import check_image, image_bytes, image_type, written_images
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import Privilege, User
from holdfast_emulator.behaviour.stored_files import BLOCK_BYTES, FileStore, Layout, StoredFile
from holdfast_emulator.behaviour.writes import IfMatch, Writer

_MOST_BLOCKS: Final = 50_000
_LONGEST_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class Place:
    """A file or image column of one row."""

    table: TableDefinition
    row_id: str
    column: ColumnDefinition


@dataclass(frozen=True, slots=True)
class Part:
    """Where a part of a file belongs: from ``start`` to ``end``, both included, of ``total``."""

    start: int
    end: int
    total: int


@dataclass(frozen=True, slots=True)
class Files:
    """What may be done to files. Every method raises ``DataverseFault``."""

    writer: Writer
    store: FileStore

    def upload(
        self,
        user: User,
        place: Place,
        name: str,
        media_type: str,
        content: bytes,
        *,
        if_match: IfMatch = None,
    ) -> str:
        """Store a whole file and return its id; the one before is gone."""
        with self.store.ledger.transaction():
            file = self.begin(user, place, name, media_type, if_match)
            _check_size(place, len(content))
            return self._finish(user, place, self.store.append(user, file, content))

    def begin(
        self, user: User, place: Place, name: str, media_type: str, if_match: IfMatch = None
    ) -> StoredFile:
        """Begin a file that comes in parts or in blocks; nobody sees it yet."""
        if not name or len(name) > _LONGEST_NAME:
            raise faults.invalid_argument(
                f"A file needs a name of at most {_LONGEST_NAME} characters."
            )
        row = self._writable(user, place, if_match)
        return self.store.open(user, row, place.column.name, name, media_type)

    def add_part(self, user: User, place: Place, token: str, part: Part, content: bytes) -> bool:
        """Add a part, which must begin where the one before ended; tell whether it was the last.

        Nothing after the end is the last one again: a client sends it when the size of the file is
        a multiple of that of a part.
        """
        file = self._growing(user, token, whole=part.start == part.total and not content)
        if (file.owner, file.column) != (
            Reference(place.table.name, place.row_id),
            place.column.name,
        ):
            raise faults.invalid_argument("The session token belongs to another column.")
        if file.committed:
            return True
        _check_part(file, part, content)
        _check_size(place, part.total)
        with self.store.ledger.transaction():
            file = self.store.append(user, file, content)
            if file.size < part.total:
                awaited = changed(file.layout, total=part.total)
                self.store.change(user, file, awaited)
                return False
            self._finish(user, place, file)
            return True

    def add_block(self, user: User, token: str, name: str, content: bytes) -> None:
        """Keep a block under a name, in the place of the one that had it."""
        file = self._growing(user, token)
        others = tuple(block for block in file.layout.blocks if block[0] != name)
        if len(others) >= _MOST_BLOCKS:
            raise faults.invalid_argument(f"A file has at most {_MOST_BLOCKS} blocks.")
        if others and len(others[0][0]) != len(name):
            raise faults.invalid_argument("The ids of the blocks of a file must be equally long.")
        if not 0 < len(content) <= BLOCK_BYTES:
            raise faults.invalid_argument(f"A block has between 1 and {BLOCK_BYTES} bytes.")
        layout = changed(file.layout, blocks=(*others, (name, len(content))))
        _check_size(self.place_of(file), layout.size)
        with self.store.ledger.transaction():
            self.store.write_block(user, file, name, content)
            self.store.change(user, file, layout)

    def commit(
        self, user: User, token: str, blocks: Sequence[str], name: str, media_type: str
    ) -> tuple[str, int]:
        """Make a file of blocks, in this order; return its id and size."""
        file = self._growing(user, token)
        known = dict(file.layout.blocks)
        missing = [block for block in blocks if block not in known]
        if missing or len(blocks) > _MOST_BLOCKS:
            raise faults.invalid_argument("The block list names blocks that were not uploaded.")
        layout = changed(file.layout, blocks=tuple((block, known[block]) for block in blocks))
        place = self.place_of(file)
        _check_size(place, layout.size)
        with self.store.ledger.transaction():
            file = self.store.change(
                user, file, layout, filename=name or file.name, mimetype=media_type
            )
            return self._finish(user, place, file), layout.size

    def of_row(self, row: Row, column: ColumnDefinition) -> StoredFile | None:
        """Return the file of a column in a row that the caller may read; for an image, the full.

        A column that is hidden from the caller is empty.
        """
        if row.cells[row.definition.positions[column.name]] is None:
            return None
        return next(self.store.of_column(row, column.name), None)

    def read(self, file: StoredFile, start: int = 0, stop: int | None = None) -> bytes:
        """Return bytes of a file."""
        return self.store.read(file, start, stop)

    def delete(self, user: User, place: Place, if_match: IfMatch = None) -> None:
        """Empty a column; what is empty stays so."""
        if place.column.type is ColumnType.IMAGE:
            self._write_image(user, place, None, if_match)
            return
        row = self._writable(user, place, if_match)
        if row.cells[place.table.positions[place.column.name]] is None:
            return
        with self.store.ledger.transaction():
            self._replace(user, row, place, None)

    def delete_by_id(self, user: User, file_id: str) -> None:
        """Empty the column that a file belongs to."""
        file = self.store.find(file_id)
        if file is None or not file.committed:
            raise faults.missing_row(ATTACHMENT, file_id)
        self.delete(user, self.place_of(file))

    def keep_images(self, user: User, row: Row, written: Mapping[str, Cell | Reference]) -> None:
        """Keep the full images that were written with other columns; the writer calls this."""
        for column in written_images(row.definition, written):
            for old in list(self.store.of_column(row, column.name)):
                self.store.remove(user, old)
            if written[column.name] is None or not column.full_image:
                continue
            content = image_bytes(row.definition, column, written[column.name])
            kind = image_type(content) or ""
            name = f"{column.name}.{kind.partition('/')[2]}"
            file = self.store.append(
                user, self.store.open(user, row, column.name, name, kind), content
            )
            self.store.change(user, file, file.layout, iscommitted=True)

    def _writable(self, user: User, place: Place, if_match: IfMatch) -> Row:
        row = self.writer.existing(user, place.table, place.row_id, Privilege.WRITE, if_match)
        self.writer.security.check_columns(user, place.table.name, (place.column.name,))
        return row

    def _growing(self, user: User, token: str, *, whole: bool = False) -> StoredFile:
        file = self.store.find(token)
        if file is None or (file.committed and not whole) or file.layout.user != user.id:
            raise faults.invalid_argument(
                "The file continuation token is not valid, or its upload is finished."
            )
        return file

    def find(self, file_id: str) -> StoredFile | None:
        """Return a file, whole or still growing, whoever asks."""
        return self.store.find(file_id)

    def place_of(self, file: StoredFile) -> Place:
        """Return the column that a file belongs to, or will.

        :raises DataverseFault: 400, the column is gone
        """
        table = self.writer.metadata.tables.get(file.owner.table)
        column = table.by_name.get(file.column) if table else None
        if table is None or column is None or column.type not in FILES:
            raise faults.invalid_argument("The column of the file is gone.")
        return Place(table, file.owner.id, column)

    def _finish(self, user: User, place: Place, file: StoredFile) -> str:
        """Let a column show a file that is whole; return its id."""
        if place.column.type is ColumnType.FILE:
            row = self._writable(user, place, None)
            done = self.store.change(user, file, file.layout, iscommitted=True)
            self._replace(user, row, place, done)
            return done.id
        content = self.store.read(file)
        check_image(place.table, place.column, content)
        self.store.remove(user, file)
        row = self._write_image(user, place, b64encode(content).decode(), None)
        for full in list(self.store.of_column(row, place.column.name)):
            names = {"filename": file.name, "mimetype": file.media_type}
            return self.store.change(user, full, full.layout, **names).id
        return file.id

    def _replace(self, user: User, row: Row, place: Place, file: StoredFile | None) -> None:
        for old in list(self.store.of_column(row, place.column.name)):
            if file is None or old.id != file.id:
                self.store.remove(user, old)
        column = place.column.name
        cells: dict[str, Cell] = {column: file.id if file else None}
        if f"{column}_name" in place.table.by_name:
            cells[f"{column}_name"] = file.name if file else None
        self.writer.place(user, row, cells)

    def _write_image(self, user: User, place: Place, content: str | None, if_match: IfMatch) -> Row:
        values = {place.column.name: content}
        return self.writer.update(user, place.table, place.row_id, values, if_match)


def _check_part(file: StoredFile, part: Part, content: bytes) -> None:
    """Refuse a part that does not continue the file."""
    layout: Layout = file.layout
    if len(content) != part.end - part.start + 1 or part.end >= max(part.total, 1):
        raise faults.invalid_argument(
            f"The content has {len(content)} bytes, and its range is "
            f"{part.start}-{part.end}/{part.total}."
        )
    if len(content) > BLOCK_BYTES:
        raise faults.invalid_argument(f"A part of a file has at most {BLOCK_BYTES} bytes.")
    if part.start != layout.size or layout.total not in (None, part.total):
        raise faults.invalid_argument(
            f"The next part begins at {layout.size} of {layout.total or part.total}, "
            f"and this one at {part.start} of {part.total}."
        )
    if not content and part.total:
        raise faults.invalid_argument("A part of a file has at least one byte.")


def _check_size(place: Place, size: int) -> None:
    """Refuse what is larger than its column allows."""
    most = most_bytes(place.column)
    if size <= most:
        return
    if place.column.type is ColumnType.IMAGE:
        raise faults.image_refused(
            f"File size is too big. MaxSize: {most >> 20} MB, Uploaded filesize: {size >> 20} MB."
        )
    raise faults.DataverseFault(400, faults.FILE_TOO_LARGE, "Attachment file size is too big.")
