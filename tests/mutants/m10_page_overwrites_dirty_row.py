"""m10: a row of a page replaces what the user sees, although ops of it wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from holdfast._plan import rows
from holdfast._plan.rows import RowState
from holdfast._tables import Image


@contextmanager
def planted() -> Iterator[None]:
    """Break the engine inside the block."""
    right = rows.seen

    def seen(state: RowState, image: Image | None, generation: int) -> RowState:
        after = right(state, image, generation)
        if image is None or not after.dirty or after.local is None:
            return after
        return replace(after, local=image.cells)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "seen", seen)
        yield
