"""``holdfast emulator``: the emulator as a program that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from pathlib import Path


async def emulator(
    *,
    port: int = 8520,
    rows: int = 1000,
    seed: int = 1,
    file: Path | None = None,
    snapshot: Path | None = None,
    requests_per_window: int = 6000,
    execution: float = 1200.0,
    window: float = 300.0,
    concurrent: int = 52,
) -> int:
    """Run a local Dataverse Web API with sample rows until Ctrl-C.

    :param port: the port on this machine; 0 takes any free one
    :param rows: how many sample rows a new organisation gets
    :param seed: which sample rows; the same seed makes the same rows
    :param file: keep the organisation in this file; without it, it is gone in the end
    :param snapshot: begin with the organisation in this file, as ``GET /_emulator/snapshot`` wrote
        it, instead of sample rows
    :param requests_per_window: how often one user may ask in one window before a 429
    :param execution: how many seconds one user's requests may take in one window before a 429
    :param window: how long that window is, in seconds
    :param concurrent: how many requests one user may have running before a 429
    """
    from holdfast_emulator._organisation import organisation, read_begin
    from holdfast_emulator._server import EmulatorServer
    from holdfast_emulator.control.limits import Limits

    begin = None if snapshot is None else read_begin(snapshot)
    dataverse = organisation(rows, seed, file, begin)
    limits = Limits(requests_per_window, execution, window, concurrent)
    renew = None if file else lambda: organisation(rows, seed, None, begin)
    try:
        async with EmulatorServer(dataverse, port=port, limits=limits, renew=renew) as server:
            _spare_what_stays()
            _announce(server.url)
            await _told_to_stop()
    finally:
        dataverse.close()
    return 0


def _spare_what_stays() -> None:
    """Let the garbage collector leave alone what was loaded, and look less often at the rest.

    A page is ten thousand objects that live until it is sent: at Python's own pace they are walked
    through a dozen times meanwhile, and the whole organisation with them.
    """
    gc.freeze()
    gc.set_threshold(50_000)


def _announce(url: str) -> None:
    """Say where it is and who can sign in, once it answers."""
    from holdfast_emulator.behaviour.seed import default_users

    lines = [
        f"Dataverse emulator on {url}",
        *(f"  token {token} signs in {name}" for name, token in default_users()),
        f"  {url}/_emulator/ lists what controls it: faults, clock, baselines, trace, reset",
        "  Ctrl-C stops it",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


async def _told_to_stop() -> None:
    """Wait for Ctrl-C or a termination signal."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C cancels this task instead
            loop.add_signal_handler(number, stop.set)
    await stop.wait()
