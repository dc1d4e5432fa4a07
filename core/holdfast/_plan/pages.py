"""What a page says, once each cell is of its kind and each thing is said once.

A storage refuses a whole commit for one cell of another kind; so a transport that hands one on is
caught here, where it costs one row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from holdfast.model import Page, Record, Unreadable
from holdfast.schema import Field, Kind

#: A page with more rows than this, none of which makes sense, tells of another schema.
FEW: Final = 5
_TYPES: Final = {
    Kind.TEXT: str,
    Kind.KEY: str,
    Kind.INTEGER: int,
    Kind.REAL: float,
    Kind.DECIMAL: Decimal,
    Kind.BOOLEAN: bool,
    Kind.DATETIME: str,
}
_INT64: Final = 2**63
#: Records looked at together: few enough to stay in a processor's cache.
_SLICE: Final = 256


def checked(page: Page, fields: Sequence[Field]) -> Page:
    """Return the page with those records aside that a storage would refuse."""
    if _fault(page.records, fields) is None:
        return page
    faults = [(record, fault(record, fields)) for record in page.records]
    torn = [aside(record, reason) for record, reason in faults if reason is not None]
    fine = [record for record, reason in faults if reason is None]
    return replace(page, records=fine, unreadable=[*page.unreadable, *torn])


def fault(record: Record, fields: Sequence[Field]) -> str | None:
    """Return what is wrong with a record, if anything is."""
    return _fault([record], fields)


def aside(record: Record, reason: str) -> Unreadable:
    """Return a record that no storage takes as what it is: a row that makes no sense."""
    key = record[0] if record else None
    row_id = key if isinstance(key, str) and key and _storable(Kind.KEY, [key]) else None
    return Unreadable(row_id, reason, repr(list(record)))


def _fault(records: Sequence[Record], fields: Sequence[Field]) -> str | None:
    """Return what is wrong with some of the records: a column at a time, so that it is quick."""
    for at in range(0, len(records), _SLICE):
        found = _fault_of_some(records[at : at + _SLICE], fields)
        if found is not None:
            return found
    return None


def _fault_of_some(records: Sequence[Record], fields: Sequence[Field]) -> str | None:
    if set(map(len, records)) != {len(fields) + 1}:
        return f"the transport gave other than {len(fields)} cells and a version"
    for field, column in zip(fields, zip(*records, strict=True), strict=False):
        types = set(map(type, column))
        types.discard(type(None))
        if not types:
            continue
        # What `filter` leaves out besides None (zero, no text) can be stored for certain.
        if types != {_TYPES[field.kind]} or not _storable(field.kind, filter(None, column)):
            return f"the transport gave {field.name} a cell that is no {field.kind.value}"
    if not all(record[0] for record in records):
        return "the transport gave a row without an id"
    return None


def _storable(kind: Kind, cells: Iterable[Any]) -> bool:  # Any: of the kind's type
    match kind:
        case Kind.INTEGER:
            return all(-_INT64 <= cell < _INT64 for cell in cells)
        case Kind.REAL:
            return all(map(math.isfinite, cells))
        case Kind.DECIMAL:
            return all(map(Decimal.is_finite, cells))
        case Kind.BOOLEAN:
            return True
        case _:
            together = "".join(cells)
            return together.isascii() or _encodable(together)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def settled(page: Page) -> Page:
    """Return the page with each row once.

    Of two records of a row the later is the newer. A row that is there is not gone. One that came
    readable and not is taken as not: which of the two is true, only the next look tells.
    """
    plain = not page.tombstones and not page.unreadable
    if plain and len({record[0] for record in page.records}) == len(page.records):
        return page
    torn = {row.row_id for row in page.unreadable if row.row_id is not None}
    records = {record[0]: record for record in page.records if record[0] not in torn}
    gone = dict.fromkeys(i for i in page.tombstones if i not in records and i not in torn)
    if len(records) == len(page.records) and len(gone) == len(page.tombstones):
        return page
    return replace(page, records=list(records.values()), tombstones=tuple(gone))


def has_drifted(page: Page) -> bool:
    """Tell whether the server seems to speak of another schema: nothing of a page makes sense."""
    return not page.records and len(page.unreadable) > FEW
