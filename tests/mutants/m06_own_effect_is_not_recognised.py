"""m06: a 412 that our own lost reply caused is taken for somebody else's change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast.model import Op, Outcome, Record
from holdfast_dataverse import _outcomes, _replies
from holdfast_dataverse._outcomes import Look


@contextmanager
def planted() -> Iterator[None]:
    """Break the transport inside the block."""

    def settle(op: Op, look: Look, found: Record | None, *, holds: bool) -> Outcome:
        return _outcomes.settle(op, look, found, holds=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_replies, "settle", settle)
        yield
