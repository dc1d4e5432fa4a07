"""A question to one table and its answer.

Invariant: paging is live. A page is evaluated when it is asked for, from the position of the last
row of the page before; nothing is remembered between two pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from holdfast.values import Cell
from holdfast_emulator.behaviour.row import PAGE_LIMIT, Row
from holdfast_emulator.queries.conditions import EVERY_ROW, Condition, Field

#: The sort cells of the last row of a page, then its primary id: JSON values, except that a decimal
#: is a ``Decimal``; it may come back as text.
Position: TypeAlias = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """One thing to sort by; null comes first.

    A lookup sorts by the name of the row it points to, a choice by its number, or ``by_label``.

    :param field: a column of the table by its name, or a field, which may be at the end of a path
    """

    field: Field | str
    descending: bool = False
    by_label: bool = False

    @property
    def path(self) -> Field:
        """The field, whichever way it was given."""
        return Field(self.field) if isinstance(self.field, str) else self.field


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of one table.

    :param top: no more rows than this in all; there is no page after it
    :param after: the position that the page before ended at
    :param count: also count the matching rows
    """

    table: str
    where: Condition = EVERY_ROW
    order: Sequence[Order] = ()
    top: int | None = None
    page_size: int = PAGE_LIMIT
    after: Position | None = None
    count: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of rows.

    :param next: where the next page starts; None when nothing follows
    :param total: all matching rows, when counting was asked for
    :param first: the position of the first row, where there is a next page
    """

    rows: Sequence[Row]
    next: Position | None = None
    total: int | None = None
    first: Position | None = None

    @property
    def count(self) -> int | None:
        """What ``@odata.count`` says: the total, but never more than 5000."""
        return None if self.total is None else min(self.total, PAGE_LIMIT)

    @property
    def count_exceeded(self) -> bool:
        """Whether there are more rows than ``count`` can say."""
        return self.total is not None and self.total > PAGE_LIMIT
