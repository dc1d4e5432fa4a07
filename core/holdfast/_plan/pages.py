"""What a page says, once it says each thing once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from holdfast.model import Page

#: A page with more rows than this, none of which makes sense, tells of another schema.
FEW: Final = 5


def settled(page: Page) -> Page:
    """Return the page with each row once.

    Of two records of a row the later is the newer. A row that is there is not gone. One that came
    readable and not is taken as not: which of the two is true, only the next look tells.
    """
    torn = {row.row_id for row in page.unreadable if row.row_id is not None}
    records = {record[0]: record for record in page.records if record[0] not in torn}
    gone = dict.fromkeys(i for i in page.tombstones if i not in records and i not in torn)
    if len(records) == len(page.records) and len(gone) == len(page.tombstones):
        return page
    return replace(page, records=list(records.values()), tombstones=tuple(gone))


def has_drifted(page: Page) -> bool:
    """Tell whether the server seems to speak of another schema: nothing of a page makes sense."""
    return not page.records and len(page.unreadable) > FEW
