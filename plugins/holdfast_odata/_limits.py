"""How much of a filter is read, or written."""

from __future__ import annotations

from typing import Final

MAXIMUM_BYTES: Final = 64 * 1024
MAXIMUM_DEPTH: Final = 100
