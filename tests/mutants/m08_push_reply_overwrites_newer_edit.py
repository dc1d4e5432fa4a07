"""m08: the answer to a push becomes the row, although the user has edited it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from holdfast._plan import rows
from holdfast._plan.rows import Author, RowState
from holdfast._tables import Image
from holdfast.model import Op


@contextmanager
def planted() -> Iterator[None]:
    """Break the engine inside the block."""
    right = rows.applied

    def applied(state: RowState, op: Op, image: Image | None, author: Author) -> RowState:
        after = right(state, op, image, author)
        if image is None or not after.dirty or after.local is None:
            return after
        return replace(after, local=image.cells)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "applied", applied)
        yield
