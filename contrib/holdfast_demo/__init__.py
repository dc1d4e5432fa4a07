"""``holdfast demo``: the main job from end to end, against the emulator, in about a minute."""

from __future__ import annotations

from pathlib import Path

from holdfast.hookspecs import CommandLine, hookimpl

__all__ = ["demo", "holdfast_register_cli"]


async def demo(*, rows: int = 20_000, folder: Path | None = None) -> int:
    """Show the main job: download, work offline, come back, and see who wins.

    :param rows: how many rows the emulated server has, 1000 or more
    :param folder: where to leave the replicas; a new temporary folder when left out
    """
    from holdfast_demo._story import tell

    return await tell(rows=rows, folder=folder)


@hookimpl
def holdfast_register_cli(commands: CommandLine) -> None:
    """Add ``holdfast demo``."""
    commands.add(demo, name="demo")
