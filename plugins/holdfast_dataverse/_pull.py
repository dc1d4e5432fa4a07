"""Tracked reading: everything once, then what changed.

Invariants: a page is yielded only after each of its rows was understood or put aside, and its
checkpoint never resumes behind rows that are still to come. The next page is on its way while the
consumer stores the last one, and nothing is on its way any more when the generator is closed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import msgspec

from holdfast.errors import (
    AccessDenied,
    CheckpointExpired,
    ProtocolError,
    TransportError,
    UntrustedLink,
)
from holdfast.model import Page, Record, Scope, Unreadable
from holdfast.values import Cell
from holdfast_dataverse._answers import NOT_TRACKED, Answer, failure
from holdfast_dataverse._crowds import TooLarge
from holdfast_dataverse._records import Reader, Rows, preferred_annotations, select
from holdfast_dataverse._session import Request, Session
from holdfast_dataverse._tasks import Beside

#: At five thousand rows a page this is half a billion; a server that goes on is in a loop.
MOST_PAGES: Final = 100_000
#: Pages without a row, one after the other: a filter of the server's may leave out a few.
MOST_IDLE_PAGES: Final = 1_000
#: By how much a page is made smaller that exceeds a limit.
_SMALLER: Final = 8
#: Rows of a first reading that are stored in one commit, while which a local write waits.
MOST_AT_ONCE: Final = 2_500
#: Ids of one delta kept to notice deletions of live rows; beyond it every deletion is looked up.
_MOST_SEEN: Final = 200_000

Fetch: TypeAlias = Callable[[Scope, Sequence[str]], Awaitable[list[Record | Unreadable]]]


class Checkpoint(msgspec.Struct, frozen=True):
    """Where a pull goes on: a link, and what kind of link.

    ``delta`` tells changes from a first reading, ``midway`` a next page from a new beginning;
    ``since`` is the delta link that a delta under way began with.
    """

    link: str
    delta: bool
    midway: bool
    since: str = ""

    def text(self) -> str:
        """Return what the engine stores."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read what ``text`` wrote.

        :raises CheckpointExpired: it was written by something else
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeEncodeError) as error:
            raise CheckpointExpired("the checkpoint is not understood; read anew") from error


@dataclass(frozen=True, slots=True)
class _Step:
    """One decoded page and where it leads."""

    rows: Rows
    place: Checkpoint  # after this page
    delta: bool
    last: bool


async def pull(
    session: Session,
    reader: Reader,
    scope: Scope,
    checkpoint: str | None,
    *,
    page_size: int,
    fetch: Fetch,
) -> AsyncGenerator[Page, None]:
    """Yield what changed since the checkpoint; from None, everything."""
    walk = _Walk(session, reader, scope, page_size, resumed=checkpoint is not None)
    place = walk.resume(checkpoint) if checkpoint is not None else walk.beginning()
    living = _Living(unsure=place.delta and place.midway)
    step = await walk.step(place)
    while not step.last:
        async with Beside(walk.step(step.place)) as ahead:
            for part in _parts(await _page(step, scope, living, fetch), place):
                yield part
            place, step = step.place, await ahead
    for part in _parts(await _page(step, scope, living, fetch), place):
        yield part


def _parts(page: Page, place: Checkpoint) -> Iterator[Page]:
    """Cut a page of a first reading, so that nobody waits long while a part of it is stored.

    The way on is behind the last part; the others are resumed from where the page began.
    """
    rest = page.records
    while not place.delta and len(rest) > MOST_AT_ONCE:
        yield Page(rest[:MOST_AT_ONCE], (), place.text(), last=False)
        rest = rest[MOST_AT_ONCE:]
    yield page if rest is page.records else replace(page, records=rest)


class _Walk:
    """Follows links from page to page, each once."""

    def __init__(
        self, session: Session, reader: Reader, scope: Scope, page_size: int, *, resumed: bool
    ) -> None:
        self._session = session
        self._scope = scope
        self._reader = reader
        self._resumed = resumed
        self._page_size = page_size
        self._visited: set[int] = set()
        self._idle = 0

    def beginning(self) -> Checkpoint:
        """Return where a first reading starts."""
        path = f"{self._scope.schema.wire['set']}?$select={select(self._scope)}"
        return Checkpoint(self._session.link(path), delta=False, midway=False)

    def resume(self, checkpoint: str) -> Checkpoint:
        """Return where a stored checkpoint goes on.

        :raises CheckpointExpired: it cannot be used
        """
        place = Checkpoint.parse(checkpoint)
        try:
            self._session.origin.trust(place.link)
        except UntrustedLink as error:
            raise CheckpointExpired(
                f"the server of {self._scope.table} has another address now; the table is read anew"
            ) from error
        return place

    async def step(self, place: Checkpoint) -> _Step:
        """Read the page at a place."""
        self._visit(place)
        rows = await self._rows(place)
        self._note_progress(rows)
        return _Step(rows, self._after(rows, place), place.delta, rows.next_link is None)

    async def _rows(self, place: Checkpoint) -> Rows:
        """Return a page; one that exceeds a limit is asked for again, with fewer rows."""
        while True:
            try:
                answer = await self._session.send(Request(place.link, headers=self._headers()))
                if not answer.ok:
                    raise self._failure(answer)
                return await self._reader.in_turns(answer.body, changes=place.delta)
            except TooLarge:
                if self._page_size == 1:
                    raise
                self._page_size = max(1, self._page_size // _SMALLER)

    def _headers(self) -> dict[str, str]:
        """Return what every page is asked with: the server forgets the page size otherwise."""
        preferences = ("odata.track-changes", f"odata.maxpagesize={self._page_size}")
        annotated = preferred_annotations(self._scope)
        return {"Prefer": ",".join(filter(None, (*preferences, annotated)))}

    def _note_progress(self, rows: Rows) -> None:
        self._idle = 0 if rows.records or rows.tombstones or rows.partial else self._idle + 1
        if self._idle > MOST_IDLE_PAGES:
            raise ProtocolError(
                f"reading {self._scope.table} brings one empty page after the other; it was "
                "stopped, the next sync goes on from the last stored page"
            )

    def _visit(self, place: Checkpoint) -> None:
        mark = hash(place.link)
        if mark in self._visited or len(self._visited) >= MOST_PAGES:
            raise ProtocolError(
                f"reading {self._scope.table} goes round in circles; it was stopped, "
                "the next sync goes on from the last stored page"
            )
        self._visited.add(mark)

    def _failure(self, answer: Answer) -> TransportError:
        error = failure(answer, f"reading {self._scope.table}")
        if error.code in NOT_TRACKED and self._scope.schema.intersect:
            # Nobody can turn it on for the pairs themselves.
            return AccessDenied(
                f"the server does not track changes of the pairs in {self._scope.table}; "
                "turn on change tracking for both tables whose rows they join",
                code=error.code,
            )
        first = self._resumed and len(self._visited) == 1
        if first and answer.status == 400 and isinstance(error, ProtocolError):
            # A stored link that is not understood any more; the first request of a new reading
            # tells whether something else is wrong.
            return CheckpointExpired(f"{error}; the table is read anew", code=error.code)
        return error

    def _after(self, rows: Rows, place: Checkpoint) -> Checkpoint:
        began = place.since or (place.link if place.delta else "")
        if rows.next_link is not None:
            link = self._trusted(rows.next_link)
            return Checkpoint(link, delta=place.delta, midway=True, since=began)
        # A delta that brings no new link has nothing new: the old one goes on being good.
        last = rows.delta_link or began
        if not last:
            raise ProtocolError(
                f"the server gave no delta link for {self._scope.table}; "
                "turn on change tracking for the table"
            )
        return Checkpoint(self._trusted(last), delta=True, midway=False)

    def _trusted(self, link: str) -> str:
        self._session.origin.trust(link)
        return link


class _Living:
    """The ids that a delta brought as live rows, to notice when it says they are deleted too.

    The order of the two is not promised: a row may have been deleted and restored.
    """

    def __init__(self, *, unsure: bool) -> None:
        self._seen: set[str] = set()
        self._unsure = unsure  # an earlier part of this delta was read by somebody else

    def doubtful(self, rows: Rows) -> list[str]:
        """Note the live rows of a page, and return what has to be asked for.

        Those are deletions that may not be true, and rows that came without all of their columns.
        """
        self._seen.update(str(record[0]) for record in rows.records)
        if len(self._seen) > _MOST_SEEN:
            self._seen, self._unsure = set(), True
        self._seen.update(rows.partial)
        self._seen.update(torn.row_id for torn in rows.unreadable if torn.row_id is not None)
        unsure = self._unsure
        deletions = (row_id for row_id in rows.tombstones if unsure or row_id in self._seen)
        return [*rows.partial, *deletions]


async def _page(step: _Step, scope: Scope, living: _Living, fetch: Fetch) -> Page:
    rows, checkpoint = step.rows, step.place.text()
    doubtful = _torn_between_versions(rows.records)
    tombstones: Sequence[str] = ()
    if step.delta:
        doubtful.update(living.doubtful(rows))
        tombstones = rows.tombstones
    if not doubtful:
        return Page(rows.records, tombstones, checkpoint, step.last, rows.unreadable)
    found, torn = _sorted_out(await fetch(scope, sorted(doubtful)), doubtful)
    kept = [record for record in rows.records if str(record[0]) not in doubtful]
    heard = {*found, *(row.row_id for row in torn)}
    gone = [row_id for row_id in tombstones if row_id not in heard]
    unreadable = [*rows.unreadable, *torn]
    return Page([*kept, *found.values()], gone, checkpoint, step.last, unreadable)


def _torn_between_versions(records: Sequence[Record]) -> set[str]:
    """Return the ids of rows that a page has twice and not alike: their order says nothing."""
    if len({record[0] for record in records}) == len(records):
        return set()
    versions: dict[Cell, Cell] = {}
    return {
        str(record[0])
        for record in records
        if versions.setdefault(record[0], record[-1]) != record[-1]
    }


def _sorted_out(
    answer: Sequence[Record | Unreadable], asked: Iterable[str]
) -> tuple[dict[str, Record], list[Unreadable]]:
    """Return the rows that were looked up by id, and those that make no sense.

    Where one does not even say which row it is, those that the answer is silent about may be it.
    """
    found = {str(row[0]): row for row in answer if not isinstance(row, Unreadable)}
    torn = [row for row in answer if isinstance(row, Unreadable)]
    known = {*found, *(row.row_id for row in torn)}
    nameless = [row for row in torn if row.row_id is None]
    silent = [row_id for row_id in asked if row_id not in known] if nameless else []
    torn = [row for row in torn if row.row_id is not None]
    return found, [*torn, *(replace(nameless[0], row_id=row_id) for row_id in silent)]
