"""The tables behind file and image columns: what is known of each file, and its bytes.

Invariant: every table with a file or an image column has the relationship ``x_FileAttachments``, so
that deleting a row takes its files along. Blocks of bytes are no part of the metadata: no client
sees them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    Metadata,
    Ownership,
    TableDefinition,
)
from holdfast_emulator.behaviour.relationships import CascadeDelete, RelationshipDefinition

FILES: Final = frozenset({ColumnType.FILE, ColumnType.IMAGE})
ATTACHMENT: Final = "fileattachment"
#: What ``objectid`` can always point to; a lookup with one target only would be stored otherwise.
_TARGETS: Final = ("account", "contact")
_DEFAULT_KILOBYTES: Final = {ColumnType.FILE: 32_768, ColumnType.IMAGE: 10_240}

BLOCKS: Final = TableDefinition(
    *("fileblock", "FileBlock", "fileblocks", 0, "fileblockid", None),
    (
        c.primary_id("FileBlockId"),
        c.memo("Data"),  # base64
        c.bigint("VersionNumber"),
    ),
    change_tracking=False,
)


def file_attachments(metadata: Metadata) -> TableDefinition:
    """Return the table of files as it is now."""
    return metadata.tables[ATTACHMENT]


def most_bytes(column: ColumnDefinition) -> int:
    """Return how large a file or an image in the column may be."""
    return 1024 * (column.max_size_kb or _DEFAULT_KILOBYTES[column.type])


def install(metadata: Metadata) -> None:
    """Add the table of files, and its relationship to every table that has any."""
    relate_files(metadata.tables, metadata.relationships)
    metadata.reindex()


def relate_files(
    tables: dict[str, TableDefinition], relationships: dict[str, RelationshipDefinition]
) -> None:
    """Relate every table with columns for files to the table of files, unless it is already."""
    if ATTACHMENT not in tables:
        tables[ATTACHMENT] = _file_attachment()
    for table in list(tables.values()):
        name = f"{table.name}_FileAttachments"
        if name in relationships or all(one.type not in FILES for one in table.columns):
            continue
        relationships[name] = RelationshipDefinition(
            *(name, table.name, table.primary_id, ATTACHMENT, "objectid"),
            f"objectid_{table.name}",
            referenced_navigation=name,
            delete=CascadeDelete.CASCADE,
        )
        files = tables[ATTACHMENT]
        columns = tuple(_pointing(column, table.name) for column in files.columns)
        tables[ATTACHMENT] = replace(files, columns=columns)


def _pointing(column: ColumnDefinition, target: str) -> ColumnDefinition:
    if column.name != "objectid" or target in column.targets:
        return column
    return replace(column, targets=(*column.targets, target))


def _file_attachment() -> TableDefinition:
    known = (
        c.primary_id("FileAttachmentId", "File Attachment"),
        c.text("FileName", 255),
        c.bigint("FileSizeInBytes"),
        c.text("MimeType", 256),
        c.lookup("ObjectId", *_TARGETS, label="Regarding"),
        c.text("RegardingFieldName", 128),
        c.boolean("IsCommitted"),
        c.moment("CreatedOn"),
        c.bigint("VersionNumber"),
    )
    pointer = replace(c.memo("StoragePointer", 1_048_576), readable=False)
    return TableDefinition(
        *(ATTACHMENT, "FileAttachment", "fileattachments", 55, "fileattachmentid", "filename"),
        tuple(c.read_only(column) for column in (*known, pointer)),
        label="File Attachment",
        collection_label="File Attachments",
        ownership=Ownership.NONE,
        change_tracking=False,
        optimistic_concurrency=False,
        available_offline=False,
    )
