"""Change tracking: tokens, and the pages of an initial read and of a delta.

Invariant: the token that a read ends with is taken when its *first* page is asked for. What changes
while pages are being read is therefore in the next delta, whatever this one showed of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.row import PAGE_LIMIT, Cells, Row
from holdfast_emulator.behaviour.rows import RowStore

_TOKEN: Final = re.compile(
    r"([0-9]{1,18})!([0-9]{2}/[0-9]{2}/[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2})\Z"
)
_POSITION: Final = re.compile(
    r"([0-9]{1,18}![0-9/: ]{19})\|"
    r"(?:([0-9]{1,18})\|([0-9]{1,18})|\|([0-9a-f-]{0,36}))\|([01])\Z"
)
_TOKEN_TIME: Final = "%m/%d/%Y %H:%M:%S"  # noqa: S105  a format, not a secret


@dataclass(frozen=True, slots=True)
class TrackPosition:
    """Where a paged initial read or delta goes on; ``str`` and :meth:`parse` are inverse.

    :param token: the delta token that the read will end with
    :param since: what the delta starts from; None in an initial read
    :param after: the last id of an initial read, the last version of a delta
    :param tombstones: whether all rows are through, and ``after`` is the version of a deletion
    """

    token: str
    since: int | None
    after: str
    tombstones: bool = False

    def __str__(self) -> str:
        since = "" if self.since is None else str(self.since)
        return f"{self.token}|{since}|{self.after}|{int(self.tombstones)}"

    @classmethod
    def parse(cls, text: str) -> TrackPosition:
        """Return the position that was written with ``str``.

        :raises DataverseFault: 400
        """
        found = _POSITION.match(text)
        if not found:
            raise faults.bad_token(text)
        token, since, version, after, tombstones = found.groups()
        if since is None:
            return cls(token, None, after)
        return cls(token, int(since), version, tombstones == "1")


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page of a tracked read: rows, then ids of deleted rows.

    Exactly one of ``next`` (more pages follow) and ``token`` (the delta token of the last page) is
    not None.
    """

    rows: Sequence[Row]
    deleted: Sequence[str]
    next: TrackPosition | None
    token: str | None


@dataclass(slots=True)
class Tracker:
    """Answers what changed, from the store's order of versions.

    ``floors`` says for each table below which version tokens have expired; the name "" is for all.
    """

    store: RowStore
    clock: Callable[[], datetime]
    expire_days: Callable[[], int]
    floors: dict[str, int] = field(default_factory=dict)

    def begin(self, table: TableDefinition, token: str | None, version: int) -> TrackPosition:
        """Return where a new read starts: an initial one, or a delta from ``token``.

        :param version: the newest version of all, which the read goes up to
        :raises DataverseFault: 400 0x80044352 for an expired token
        """
        end = f"{version}!{self.clock().astimezone(UTC):{_TOKEN_TIME}}"
        if token is None:
            return TrackPosition(end, None, "")
        since = self._since(table, token, version)
        return TrackPosition(end, since, str(since))

    def page(self, table: TableDefinition, position: TrackPosition, page_size: int) -> ChangePage:
        """Return the page that starts at a position."""
        limit = max(1, min(page_size, PAGE_LIMIT))
        if position.since is None:
            return self._initial(table, position, limit)
        self._check_floor(table, position.since)
        return self._delta(table, position, position.since, limit)

    def count(self, table: TableDefinition, token: str, version: int) -> int:
        """Count rows and deletions between a token and a version."""
        since = self._since(table, token, version)
        everything = self.store.count(table.name) + 1
        rows = self.store.changed(table.name, since, version, everything)
        return len(rows) + len(self.store.buried(table.name, since, version, 2**31))

    def _initial(self, table: TableDefinition, position: TrackPosition, limit: int) -> ChangePage:
        scan = self.store.scan(table.name, position.after)
        found = [cells for cells, _ in zip(scan, range(limit + 1), strict=False)]
        rows = _rows(table, found[:limit])
        if len(found) <= limit:
            return ChangePage(rows, (), None, position.token)
        return ChangePage(rows, (), replace(position, after=rows[-1].id), None)

    def _delta(
        self, table: TableDefinition, position: TrackPosition, since: int, limit: int
    ) -> ChangePage:
        until = int(position.token.partition("!")[0])
        found: list[Cells] = []
        buried_since = since
        if position.tombstones:
            buried_since = int(position.after)
        else:
            found = self.store.changed(table.name, int(position.after), until, limit + 1)
        rows = _rows(table, found[:limit])
        if len(found) > limit:
            return ChangePage(rows, (), replace(position, after=str(rows[-1].version)), None)
        room = limit - len(rows)
        buried = self.store.buried(table.name, buried_since, until, room + 1)
        deleted = [row_id for _, row_id in buried[:room]]
        if len(buried) <= room:
            return ChangePage(rows, deleted, None, position.token)
        last = buried[room - 1][0] if room else buried_since
        return ChangePage(rows, deleted, replace(position, after=str(last), tombstones=True), None)

    def _since(self, table: TableDefinition, token: str, version: int) -> int:
        parsed = _TOKEN.match(token)
        if not parsed:
            raise faults.bad_token(token)
        try:
            given = datetime.strptime(parsed[2], _TOKEN_TIME).replace(tzinfo=UTC)
        except ValueError:
            raise faults.bad_token(token) from None
        if self.clock() - given > timedelta(days=self.expire_days()):
            raise faults.expired_version()
        since = int(parsed[1])
        if since > version:  # of an organisation that was here before this one
            raise faults.expired_version()
        self._check_floor(table, since)
        return since

    def _check_floor(self, table: TableDefinition, since: int) -> None:
        if since < max(self.floors.get("", 0), self.floors.get(table.name, 0)):
            raise faults.expired_version()


def _rows(table: TableDefinition, found: Sequence[Cells]) -> list[Row]:
    return [Row(table, cells) for cells in found]
