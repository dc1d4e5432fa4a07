"""The ``holdfast`` command: a replica in a terminal, for people and for scripts."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    :param argv: the words after ``holdfast``; those of this process by default
    """
    tokens = list(sys.argv[1:] if argv is None else argv)
    if tokens == ["--version"]:  # answered before anything else is imported
        sys.stdout.write(f"holdfast {importlib.metadata.version('holdfast')}\n")
        return 0
    from holdfast_cli._app import run

    return run(tokens)
