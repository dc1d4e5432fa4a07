"""The one place that says when two texts are the same.

Dataverse compares text without regard to case. SQLite's NOCASE folds ASCII only and thinks ``Ø`` is
not ``ø``; every comparison of text in holdfast, in memory and in a storage, goes through ``fold``.
"""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Return the form in which two texts that differ only in case are equal."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
