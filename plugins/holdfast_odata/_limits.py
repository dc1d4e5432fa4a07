"""How much of a filter is read, or written."""

from __future__ import annotations

from typing import Final

MAXIMUM_BYTES: Final = 64 * 1024
MAXIMUM_DEPTH: Final = 100
#: Of lookups in a path, and of lambdas in a filter; Dataverse joins no more tables in a query.
MAXIMUM_LINKS: Final = 15
