"""m21: while an op waits for a person, nothing else is sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import pytest

from holdfast._plan import lanes
from holdfast._plan.lanes import BaseReferences, Wave
from holdfast.model import Op, OpState


@contextmanager
def planted() -> Iterator[None]:
    """Break the engine inside the block."""
    right = lanes.next_wave

    def next_wave(
        ops: Sequence[Op], references: BaseReferences, parked: Collection[str] = ()
    ) -> Wave:
        if any(op.state is OpState.HELD for op in ops):
            return Wave((), {})
        return right(ops, references, parked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holdfast._upload.next_wave", next_wave)
        yield
