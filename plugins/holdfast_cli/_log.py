"""Warnings of the library on stderr: a line each, without rows, tokens or tracebacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from holdfast_cli._plain import one_line, say

#: Without a handler, Python would print a warning of azure-identity as it is, over several lines.
_SPEAKERS: Final = ("holdfast", "azure")


class _Screen(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print the message; what an exception says is left out."""
        say(f"{record.levelname.lower()}: {one_line(record.getMessage())}")


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Show what holdfast, and the library that signs in, warn of while a verb runs."""
    loggers, screen = [logging.getLogger(name) for name in _SPEAKERS], _Screen(logging.WARNING)
    for logger in loggers:
        logger.addHandler(screen)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(screen)
