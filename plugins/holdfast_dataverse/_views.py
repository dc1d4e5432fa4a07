"""The saved views of tables: those that everybody has, and those of the user.

Invariant: a server that does not show its views has none; that is no reason not to sync.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from holdfast.errors import AccessDenied, ProtocolError
from holdfast.model import View
from holdfast_dataverse._answers import json_object
from holdfast_dataverse._session import Request, Session

_SETS: Final = (("savedqueries", False), ("userqueries", True))
_COLUMNS: Final = "name,returnedtypecode,fetchxml"
#: The public kind of view, as lists of rows offer it.
_PUBLIC: Final = "querytype eq 0 and statecode eq 0"
_TABLES_A_REQUEST: Final = 20
#: Views come by the dozen; a server that goes on is in a loop.
_MOST_PAGES: Final = 100


async def views(session: Session, tables: Sequence[str]) -> list[View]:
    """Return the views of these tables."""
    found: list[View] = []
    for start in range(0, len(tables), _TABLES_A_REQUEST):
        named = " or ".join(
            f"returnedtypecode eq '{table}'" for table in tables[start : start + _TABLES_A_REQUEST]
        )
        condition = quote(f"{_PUBLIC} and ({named})")
        for entity_set, personal in _SETS:
            path = f"{entity_set}?$select={_COLUMNS}&$filter={condition}&$orderby=name"
            found += [
                View(row["returnedtypecode"], row["name"], row["fetchxml"], personal)
                async for row in _rows(session, session.link(path))
                if row.get("returnedtypecode") in tables
                and all(isinstance(row.get(name), str) for name in _COLUMNS.split(","))
            ]
    return found


async def _rows(session: Session, link: str) -> AsyncIterator[Mapping[str, Any]]:  # Any: JSON
    """Yield the rows that the server shows, page by page."""
    visited: set[str] = set()
    while link not in visited and len(visited) < _MOST_PAGES:
        visited.add(link)
        try:
            page = json_object(await session.send(Request(link)), "the saved views")
        except (AccessDenied, ProtocolError):
            return
        rows = page.get("value")
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, dict):
                yield row
        following = page.get("@odata.nextLink")
        if not isinstance(following, str):
            return
        session.origin.trust(following)
        link = following
