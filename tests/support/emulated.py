"""An emulator in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Final

from holdfast_emulator import (
    ApiParameter,
    ApiRequest,
    ApiType,
    CustomApi,
    Dataverse,
    EmulatorServer,
)


def _double(request: ApiRequest) -> Mapping[str, object]:
    number = request.arguments["Number"]
    assert isinstance(number, int)
    return {"Twice": 2 * number}


#: An action of the organisation's own, for clients to call.
DOUBLE: Final = CustomApi(
    "new_Double",
    _double,
    parameters=(ApiParameter("Number", ApiType.INTEGER),),
    results=(ApiParameter("Twice", ApiType.INTEGER),),
)


@contextlib.contextmanager
def serving(dataverse: Dataverse) -> Iterator[EmulatorServer]:
    """Serve an organisation from another thread until the block ends."""
    server = EmulatorServer(dataverse)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    started = threading.Event()

    async def serve() -> None:
        async with server:
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    try:
        assert started.wait(30), "the emulator did not start"
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
        dataverse.close()
