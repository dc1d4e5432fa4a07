"""A question to one table and its answer.

Invariant: paging is live. A page is evaluated when it is asked for, from the position of the last
row of the page before; nothing is remembered between two pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from holdfast.filters import EVERYTHING, Expression, Function
from holdfast.values import Cell
from holdfast_emulator.behaviour.row import PAGE_LIMIT, Row

#: The sort cells of the last row of a page, then its primary id: JSON values, except that a decimal
#: is a ``Decimal``; it may come back as text.
Position: TypeAlias = tuple[Cell, ...]


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
