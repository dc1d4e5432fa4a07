"""Bounds on the work of a block: time proves nothing on a busy machine, memory and calls do."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MIB: Final = 1 << 20


@contextmanager
def memory(most: int) -> Iterator[None]:
    """Assert that no more than so many bytes were held at once inside the block."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before <= most, f"{(peak - before) / MIB:.0f} MiB"


@contextmanager
def calls(most: int) -> Iterator[None]:
    """Assert that no more than so many functions were called inside the block."""
    made = 0

    def tick(*_: object) -> None:
        nonlocal made
        made += 1

    sys.setprofile(tick)
    try:
        yield
    finally:
        sys.setprofile(None)
    assert made <= most, made
