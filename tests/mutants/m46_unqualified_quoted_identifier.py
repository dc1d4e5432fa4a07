"""m46: a column is written as its name alone, in double quotes, without a look at the layout.

SQLite takes such a name for a text where there is no column of it: a filter with a slip of the pen
then compares two texts, and matches every row or none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast.filters import ColumnRef
from holdfast.schema import Kind
from holdfast_sqlite._cells import compared
from holdfast_sqlite._patterns import Folded
from holdfast_sqlite._render import Scope


def _column(self: Scope, column: ColumnRef) -> str:
    return f'"{column.name}"'


def _compared(self: Scope, column: ColumnRef, kind: Kind | None = None) -> str:
    return compared(kind or column.kind, f'"{column.name}"')


def _folded(self: Scope, column: ColumnRef) -> Folded:
    return Folded(compared(Kind.TEXT, f'"{column.name}"'), stored=False)


def _finds(self: Scope, column: ColumnRef) -> bool:
    return False


@contextmanager
def planted() -> Iterator[None]:
    """Break the storage inside the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scope, "column", _column)
        patch.setattr(Scope, "compared", _compared)
        patch.setattr(Scope, "folded", _folded)
        patch.setattr(Scope, "finds", _finds)
        yield
