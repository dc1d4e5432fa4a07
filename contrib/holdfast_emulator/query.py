"""A question to one table and its answer.

Invariant: paging is live. A page is evaluated when it is asked for, from the position of the last
row of the page before; nothing is remembered between two pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from holdfast.filters import EVERYTHING, Expression, Function
from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.metadata import TableDefinition

#: The largest page, and what ``$count=true`` counts up to.
PAGE_LIMIT: Final = 5000

Cells: TypeAlias = tuple[Cell, ...]
#: The sort cells of the last row of a page, then its primary id: JSON values, except that a decimal
#: is a ``Decimal``; it may come back as text.
Position: TypeAlias = tuple[Cell, ...]


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


@dataclass(frozen=True, slots=True)
class Order:
    """One sort column; a lookup sorts by the name of the row it points to, null comes first."""

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of one table.

    :param filter: over fields of the table; ``_x_value``, ``x`` and the hidden fields of
        :mod:`holdfast.schema` (target table and target name of a lookup) may be named
    :param functions: what the filter's ``Call`` nodes mean
    :param top: no more rows than this in all; there is no page after it
    :param after: the position that the page before ended at
    :param count: also count the matching rows
    """

    table: str
    filter: Expression = EVERYTHING
    order: Sequence[Order] = ()
    top: int | None = None
    page_size: int = PAGE_LIMIT
    after: Position | None = None
    count: bool = False
    functions: Mapping[str, Function] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of rows.

    :param next: where the next page starts; None when nothing follows
    :param total: all matching rows, when counting was asked for
    """

    rows: Sequence[Row]
    next: Position | None = None
    total: int | None = None

    @property
    def count(self) -> int | None:
        """What ``@odata.count`` says: the total, but never more than 5000."""
        return None if self.total is None else min(self.total, PAGE_LIMIT)

    @property
    def count_exceeded(self) -> bool:
        """Whether there are more rows than ``count`` can say."""
        return self.total is not None and self.total > PAGE_LIMIT
