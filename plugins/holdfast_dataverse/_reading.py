"""Rows and ids that were asked for, in batches and pages.

Invariant: what is returned is complete; a part that fails fails the whole.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import quote

from holdfast.errors import ProtocolError
from holdfast.model import Record, Scope, Unreadable
from holdfast.values import canonical_id
from holdfast_dataverse._answers import Answer, json_object, require
from holdfast_dataverse._batch import Item, Part, Replies, Reply, decode, encode
from holdfast_dataverse._crowds import TooLarge
from holdfast_dataverse._pull import MOST_PAGES
from holdfast_dataverse._records import Reader, preferred_annotations, select
from holdfast_dataverse._session import Request, Session

T = TypeVar("T")
#: Ids in one filter, and filters in one batch: 65,536 characters a URL, and bodies of some MiB.
_IDS_A_PART: Final = 50
_PARTS_A_BATCH: Final = 20
_COUNT: Final = re.compile(r"\d{1,15}\Z", re.ASCII)
_MOST_ROWS: Final = 10**15


async def send_batch(
    session: Session, items: Sequence[Item], *, repeatable: bool, extra_time: float = 0.0
) -> Answer:
    """Send a batch whose items do not depend on each other, and return the whole answer."""
    content_type, body = encode(items, session.ids)
    headers = {"Content-Type": content_type, "Prefer": "odata.continue-on-error"}
    return await session.send(
        Request(
            session.link("$batch"),
            "POST",
            headers,
            body,
            repeatable=repeatable,
            extra_time=extra_time,
        )
    )


async def read_all(
    session: Session, paths: Sequence[str], headers: Mapping[str, str] | None = None
) -> list[Answer]:
    """Read several resources in one request.

    :raises ProtocolError: the reply has not one part for each
    """
    parts = [Part("GET", session.origin.path(path), headers or {}) for path in paths]
    answer = await send_batch(session, parts, repeatable=True)
    require(answer, "a batch of reads")
    replies = decode(answer)
    if len(replies) != len(parts):
        raise ProtocolError(
            f"{len(parts)} reads were answered with {len(replies)} parts; nothing of it was used, "
            "the next sync asks again"
        )
    return [_single(reply) for reply in replies]


def _single(replies: Replies) -> Answer:
    if not isinstance(replies, Reply):
        raise ProtocolError("a read was answered with a change set; the next sync asks again")
    return replies.answer


async def fetch(session: Session, scope: Scope, ids: Sequence[str]) -> list[Record | Unreadable]:
    """Return the rows with these ids; those that are not there are left out."""
    found: list[Record | Unreadable] = []
    left = list(_chunks(ids, _IDS_A_PART * _PARTS_A_BATCH))
    while left:
        some = left.pop(0)
        try:
            found += await _fetched(session, scope, some)
        except TooLarge:
            if len(some) == 1:
                raise
            left[:0] = _halves(some)
    return found


async def _fetched(session: Session, scope: Scope, ids: Sequence[str]) -> list[Record | Unreadable]:
    """Return rows by one batch."""
    reader = Reader(scope)
    annotated = preferred_annotations(scope)
    headers = {"Accept": "application/json"} | ({"Prefer": annotated} if annotated else {})
    paths = [_of_ids(scope, chunk) for chunk in _chunks(ids, _IDS_A_PART)]
    asked = set(map(canonical_id, ids))
    found: list[Record | Unreadable] = []
    for answer in await read_all(session, paths, headers):
        require(answer, f"reading rows of {scope.table}")
        page = reader.page(answer.body)
        if page.next_link is not None:
            raise ProtocolError(
                f"only a part of the rows of {scope.table} that were asked for came; "
                "nothing of it was used, the next sync asks again"
            )
        if not asked.issuperset(str(record[0]) for record in page.records):
            raise ProtocolError(
                f"rows of {scope.table} came that nobody asked for; "
                "nothing of it was used, the next sync asks again"
            )
        found += [*page.records, *page.unreadable]
    return found


def _of_ids(scope: Scope, ids: Sequence[str]) -> str:
    key = scope.schema.primary_id
    condition = " or ".join(f"{key} eq {canonical_id(row_id)}" for row_id in ids)
    return f"{scope.schema.wire['set']}?$select={select(scope)}&$filter={quote(condition)}"


def _halves(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[: len(items) // 2], items[len(items) // 2 :]]


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[at : at + size] for at in range(0, len(items), size))


async def list_ids(
    session: Session, scope: Scope, condition: str | None, *, page_size: int
) -> AsyncGenerator[str, None]:
    """Yield the ids of the rows that match, ascending.

    All are read before the first is yielded: the server sorts ids by the rules of its database,
    which are not those of text. So it yields all or nothing.
    """
    key = scope.schema.primary_id
    keys_only = Scope(scope.schema.only(()))
    reader = Reader(keys_only)
    headers = {"Prefer": f"odata.maxpagesize={page_size}"}
    link: str | None = session.link(
        f"{scope.schema.wire['set']}?$select={key}&$orderby={key}"
        + (f"&$filter={quote(condition)}" if condition is not None else "")
    )
    ids: set[str] = set()
    visited: set[int] = set()
    while link is not None:
        if hash(link) in visited or len(visited) >= MOST_PAGES:
            raise ProtocolError(
                f"listing {scope.table} goes round in circles; it was stopped, ask an administrator"
            )
        visited.add(hash(link))
        answer = await session.send(Request(link, headers=headers))
        require(answer, f"listing {scope.table}")
        page = reader.whole(answer.body)
        ids.update(str(record[0]) for record in page.records)
        link = page.next_link
    for row_id in sorted(ids):
        yield row_id


async def count(session: Session, scope: Scope) -> int | None:
    """Return how many rows there are, from the server's daily statistics or by counting."""
    names = quote(f'["{scope.table}"]')
    answer = await session.get(f"RetrieveTotalRecordCount(EntityNames=@p1)?@p1={names}")
    if answer.ok:
        found = json_object(answer, "the number of rows").get("EntityRecordCountCollection")
        values = found.get("Values") if isinstance(found, dict) else None
        if isinstance(values, list) and values and type(values[0]) is int:
            return values[0] if 0 <= values[0] < _MOST_ROWS else None
    answer = await session.get(f"{scope.schema.wire['set']}/$count")
    text = answer.body.decode("utf-8-sig", "replace").strip()  # it begins with a byte order mark
    return int(text) if answer.ok and _COUNT.match(text) else None
