"""m23: a row that the filter no longer admits is kept, whatever a page says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast._scopes import TableScope


@contextmanager
def planted() -> Iterator[None]:
    """Break the engine inside the block."""

    def admits(scope: TableScope, rules: int) -> bool:
        return rules >= 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TableScope, "admits", admits)
        yield
