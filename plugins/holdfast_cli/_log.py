"""Warnings of the library on stderr: a line each, without rows, tokens or tracebacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast_cli._render import one_line, say


class _Screen(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print the message; what an exception says is left out."""
        say(f"{record.levelname.lower()}: {one_line(record.getMessage())}")


@contextmanager
def warnings_on_stderr() -> Iterator[None]:
    """Show what holdfast warns of while a verb runs."""
    logger, screen = logging.getLogger("holdfast"), _Screen(logging.WARNING)
    logger.addHandler(screen)
    try:
        yield
    finally:
        logger.removeHandler(screen)
