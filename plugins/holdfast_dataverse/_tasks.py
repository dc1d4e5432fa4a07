"""Work beside an async generator.

A ``TaskGroup`` cannot enclose a ``yield``: closing the generator would come out of it as an
exception group. ``Beside`` is the part of it that can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """Runs a coroutine while the block runs; it has ended when the block is left, however."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work

    async def __aenter__(self) -> asyncio.Task[T]:
        self._task = asyncio.get_running_loop().create_task(self._work)
        return self._task

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        left_again: asyncio.CancelledError | None = None
        while not self._task.done():  # a second cancellation does not leave it behind
            try:
                await asyncio.wait([self._task])
            except asyncio.CancelledError as error:
                left_again = error
        if left_again is not None:
            raise left_again
        if not self._task.cancelled():
            self._task.exception()  # whoever awaited the task has seen it
