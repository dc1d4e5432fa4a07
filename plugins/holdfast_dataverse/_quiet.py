"""Others' loggers: below a warning they may write down what a request carries."""

from __future__ import annotations

import logging
from typing import Final

#: Not ``aiohttp`` as a whole: an application's own server may log its requests.
_OTHERS: Final = ("aiohttp.client", "azure.core", "azure.identity", "msal")


def quiet_others() -> None:
    """Let the libraries underneath warn, and say no less; a level that somebody set stays."""
    for name in _OTHERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
