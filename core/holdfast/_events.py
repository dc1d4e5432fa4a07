"""Events for those who watch: bounded, and never in the way of a sync."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from holdfast.status import Event

_LIMIT: Final = 256


class Broadcast:
    """Hands every event to every watcher; a slow watcher loses its oldest events, nobody waits."""

    def __init__(self) -> None:
        self._watchers: list[asyncio.Queue[Event]] = []

    def emit(self, event: Event) -> None:
        """Hand out an event, after what it tells was committed."""
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    async def watch(self) -> AsyncGenerator[Event]:
        """Yield events from the first step on, until the consumer stops."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_LIMIT)
        self._watchers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(queue)
