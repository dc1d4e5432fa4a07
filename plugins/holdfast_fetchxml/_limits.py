"""How much of a query is read, or written; the numbers of links and conditions are Dataverse's."""

from __future__ import annotations

from typing import Final

MAXIMUM_CHARACTERS: Final = 1_000_000
MAXIMUM_DEPTH: Final = 64  # elements inside each other
MAXIMUM_LINKS: Final = 15
MAXIMUM_CONDITIONS: Final = 500  # links among them
MAXIMUM_PAGE: Final = 5000
#: How many ways a filter over several joined tables may be taken apart into.
MAXIMUM_CASES: Final = 64
