"""Ids that a FetchXML filter selects, page by page.

Invariant: of a condition only what chooses rows is sent on; what it says of columns, order and
pages is left out, and the server's own markup is never sent back to it but for paging cookies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote
from xml.etree.ElementTree import Element, ParseError, SubElement, fromstring, tostring

import msgspec

from holdfast.errors import ProtocolError
from holdfast.model import Scope
from holdfast_dataverse._answers import Answer, require
from holdfast_dataverse._pull import MOST_PAGES
from holdfast_dataverse._reading import read_all
from holdfast_dataverse._records import Reader
from holdfast_dataverse._session import Session

_NAMESPACE: Final = "Microsoft.Dynamics.CRM."
_PREFER: Final = (
    f'odata.include-annotations="{_NAMESPACE}fetchxmlpagingcookie,{_NAMESPACE}morerecords"'
)
#: A URL may have 32 KiB; in a batch it may have twice as much.
_LONGEST_LINK: Final = 30_000
#: Far more than the server takes: elements inside each other, and characters of a condition.
_DEEPEST: Final = 100
_LONGEST_CONDITION: Final = 1_000_000
_CHOOSING: Final = frozenset({"filter", "link-entity"})


class _More(msgspec.Struct):
    """What says that, and where, a next page follows."""

    records: bool = msgspec.field(name=f"@{_NAMESPACE}morerecords", default=False)
    cookie: str | None = msgspec.field(name=f"@{_NAMESPACE}fetchxmlpagingcookie", default=None)


def is_fetchxml(condition: str) -> bool:
    """Tell whether a condition is FetchXML; ``$filter`` never begins so."""
    return condition.lstrip("\ufeff \t\r\n").startswith("<")


async def ids_of(session: Session, scope: Scope, condition: str, *, page_size: int) -> set[str]:
    """Return the ids of the rows that match.

    :raises ProtocolError: the condition is no FetchXML, or the server goes round in circles
    """
    key = scope.schema.primary_id
    fetch = Element("fetch", {"count": str(min(page_size, 5000)), "page": "1"})
    entity = SubElement(fetch, "entity", {"name": scope.table})
    SubElement(entity, "attribute", {"name": key})
    SubElement(entity, "order", {"attribute": key})
    entity.extend(list(_choosing(scope, condition)))
    _refuse_depth(scope, fetch)
    reader = Reader(Scope(scope.schema.only(())))
    found: set[str] = set()
    visited: set[str] = set()
    while True:
        text = tostring(fetch, encoding="unicode")
        if text in visited or len(visited) >= MOST_PAGES:
            raise ProtocolError(
                f"listing {scope.table} goes round in circles; it was stopped, ask an administrator"
            )
        visited.add(text)
        answer = await _ask(session, f"{scope.schema.wire['set']}?fetchXml={quote(text)}")
        require(answer, f"listing {scope.table}")
        found.update(str(record[0]) for record in reader.whole(answer.body).records)
        more = _more(answer)
        if not more.records:
            return found
        _turn(fetch, more.cookie)


def _choosing(scope: Scope, condition: str) -> Iterator[Element]:
    """Yield what chooses rows in a ``filter`` or a whole ``fetch``."""
    if len(condition) > _LONGEST_CONDITION:
        raise ProtocolError(f"the filter of {scope.table} has a million characters; simplify it")
    if "<!DOCTYPE" in condition:
        raise ProtocolError(f"the filter of {scope.table} declares a document type; remove that")
    try:
        root = fromstring(condition.strip("\ufeff \t\r\n"))  # noqa: S314  no DTD
    except (ParseError, ValueError) as error:
        raise ProtocolError(
            f"the filter of {scope.table} is no XML ({error}); correct it"
        ) from error
    if root.tag == "filter":
        yield root
        return
    entity = root.find("entity")
    if root.tag != "fetch" or entity is None:
        raise ProtocolError(
            f"the filter of {scope.table} is a <{root.tag:.40}>, no filter or fetch; correct it"
        )
    yield from (_bare(child) for child in entity if child.tag in _CHOOSING)


def _refuse_depth(scope: Scope, fetch: Element) -> None:
    """Refuse what a recursion, here or on the server, would not come back from."""
    level, depth = [fetch], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise ProtocolError(
                f"the filter of {scope.table} is nested more than {_DEEPEST} deep; simplify it"
            )
        level = [child for element in level for child in element]


def _bare(element: Element) -> Element:
    """Take out of links what is for the eye only."""
    left = [element]
    while left:
        link = left.pop()
        if link.tag == "link-entity":
            for child in list(link):
                if child.tag in _CHOOSING:
                    left.append(child)
                else:
                    link.remove(child)
    return element


async def _ask(session: Session, path: str) -> Answer:
    headers = {"Accept": "application/json", "Prefer": _PREFER}
    if len(path) < _LONGEST_LINK:
        return await session.get(path, headers)
    (answer,) = await read_all(session, [path], headers)
    return answer


def _more(answer: Answer) -> _More:
    try:
        return msgspec.json.decode(answer.body, type=_More)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(
            f"a page of ids is not understood ({error}); the next sync asks again"
        ) from error


def _turn(fetch: Element, cookie: str | None) -> None:
    """Turn to the next page; the cookie comes quoted twice, in an attribute of its own markup."""
    fetch.set("page", str(int(fetch.get("page", "1")) + 1))
    _, _, quoted = (cookie or "").partition('pagingcookie="')
    inner = unquote(unquote(quoted.partition('"')[0]))
    if inner:
        fetch.set("paging-cookie", inner)
