"""``$orderby``: what rows are sorted by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault
from holdfast_emulator.behaviour.metadata import Metadata, TableDefinition
from holdfast_emulator.queries.odata.paths import find_property
from holdfast_emulator.queries.query import Order

_PATH: Final = re.compile(r"[^\W\d]\w*(?:/[^\W\d]\w*)*\Z")
_DEEPEST: Final = 100


def order_of(
    metadata: Metadata,
    table: TableDefinition,
    path: str,
    *,
    descending: bool = False,
    aliases: Mapping[str, str] | None = None,
) -> Order:
    """Return what one item of ``$orderby`` means; a navigation property stands for its lookup.

    :param aliases: what the parameter aliases of the request stand for
    :raises DataverseFault: it names no column
    """
    text = (aliases or {}).get(path, path).strip() if path.startswith("@") else path
    names = text.split("/")
    if not _PATH.match(text) or len(names) > _DEEPEST:
        raise DataverseFault(
            400,
            BAD_QUERY,
            f"The $orderby expression '{text[:200]}' is not supported: it must be a property, or a "
            "path of properties.",
        )
    return Order(find_property(metadata, table, names).field, descending)
