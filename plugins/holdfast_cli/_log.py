"""Warnings of the libraries on stderr: a line each, without rows, tokens or tracebacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from holdfast_cli._plain import one_line, say

#: Whose words may be shown: those of holdfast and its plugins, and of what signs people in.
_SPEAKERS: Final = ("holdfast", "azure")


class _Screen(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print the message; what an exception says is left out, and so is what others say.

        asyncio, for one, writes down an exception that nobody waited for, with the row in its text.
        """
        level = record.levelname.lower()
        if record.name.startswith(_SPEAKERS):
            say(f"{level}: {one_line(record.getMessage())}")
        else:
            say(f"{level}: something is reported by {one_line(record.name)}")


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Show what is warned of while a verb runs.

    Without a handler, Python would print it as it is, over several lines.
    """
    root, screen = logging.getLogger(), _Screen(logging.WARNING)
    root.addHandler(screen)
    try:
        yield
    finally:
        root.removeHandler(screen)
