"""Others' loggers: what they say below a warning shows what we hand them."""

from __future__ import annotations

import logging
from typing import Final

_OTHERS: Final = ("aiosqlite", "filelock")


def quiet_others() -> None:
    """Let the libraries underneath warn, and say no less; a level that the application set stays.

    At DEBUG they write down each call with its arguments.
    """
    for name in _OTHERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
