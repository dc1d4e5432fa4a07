"""One row as the server has it.

Invariant: a row is a picture; later writes do not change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.metadata import TableDefinition

#: The largest page, and what ``$count=true`` counts up to.
PAGE_LIMIT: Final = 5000

Cells: TypeAlias = tuple[Cell, ...]


class Row(Mapping[str, Cell | Reference]):
    """One row as the server has it: logical column names to cells, lookups as ``Reference``.

    A row is a picture: later writes do not change it. For the cell of each column type see
    :mod:`holdfast.values`.
    """

    __slots__ = ("cells", "definition")

    def __init__(self, definition: TableDefinition, cells: Cells) -> None:
        self.definition = definition
        self.cells = cells

    @property
    def table(self) -> str:
        """The table's logical name."""
        return self.definition.name

    @property
    def id(self) -> str:
        """The primary id."""
        return str(self.cells[self.definition.positions[self.definition.primary_id]])

    @property
    def version(self) -> int:
        """The version number."""
        version = self.cells[self.definition.positions["versionnumber"]]
        assert isinstance(version, int)
        return version

    @property
    def owner_id(self) -> str | None:
        """The user or team that owns it; None in a table without owners."""
        at = self.definition.positions.get("ownerid")
        return None if at is None or self.cells[at] is None else str(self.cells[at])

    @property
    def etag(self) -> str:
        """The version as HTTP writes it: ``W/"123"``."""
        return f'W/"{self.version}"'

    def __getitem__(self, name: str) -> Cell | Reference:
        column = self.definition.by_name[name]
        cell = self.cells[self.definition.positions[name]]
        if column.type is not ColumnType.LOOKUP or cell is None:
            return cell
        if column.table_field is None:
            return Reference(column.targets[0], str(cell))
        return Reference(str(self.cells[self.definition.positions[column.table_field]]), str(cell))

    def __iter__(self) -> Iterator[str]:
        return iter(self.definition.by_name)

    def __len__(self) -> int:
        return len(self.definition.by_name)

    def __repr__(self) -> str:
        return f"<Row {self.table}({self.id}) {self.etag}>"
