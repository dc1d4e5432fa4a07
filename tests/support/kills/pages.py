"""What a file must hold: the rows of every page up to its checkpoint, and of no other page.

Invariant of the judged, not of the judge: a page's rows and its checkpoint commit together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from holdfast_emulator import Dataverse
from support.kills.autopsy import TABLES, Found
from support.kills.nursery import Life, Told

#: How far a page is that a kill comes upon.
CAUGHT: Final = ("handed over, not stored", "stored, not told")


@dataclass
class Pages:
    """Follows one file from death to death; ``rows`` are versions by id by table."""

    dataverse: Dataverse
    rows: dict[str, Mapping[str, str]] = field(default_factory=dict)
    checkpoints: dict[str, str | None] = field(default_factory=dict)

    def follow(self, life: Life, found: Found) -> Counter[str]:
        """Judge what a life left; count the pages that a kill came upon, by how far they were."""
        counts: Counter[str] = Counter()
        for name in TABLES:
            counts.update(self._table(name, life, found))
        return counts

    def _table(self, table: str, life: Life, found: Found) -> Mapping[str, int]:
        handed = [told for told in life.of("page") if told["table"] == table]
        scope = found.scopes.get(table)
        checkpoint = scope.checkpoint if scope else None
        stored = self._stored(table, handed, checkpoint)
        told = sum(one["table"] == table for one in life.of("stored"))
        assert stored >= told, f"{table}: a page was said to be stored, and its checkpoint is not"
        expected = dict(self.rows.get(table, {}))
        for page in handed[:stored]:
            expected |= page["rows"]
            for row_id in page["gone"]:
                expected.pop(row_id, None)
        present = found.versions.get(table, {})
        excused = found.dirty | set(self._asked(table, life))
        for row_id in expected.keys() | present.keys():
            if row_id not in excused:
                assert present.get(row_id) == expected.get(row_id), self._verdict(table, row_id)
        self._swept(table, life, found)
        self.rows[table], self.checkpoints[table] = present, checkpoint
        return dict(zip(CAUGHT, (len(handed) - stored, stored - told), strict=True))

    def _stored(self, table: str, handed: list[Told], checkpoint: str | None) -> int:
        """Return how many of the pages lie before the checkpoint."""
        for number in range(len(handed), 0, -1):
            if handed[number - 1]["checkpoint"] == checkpoint:
                return number
        assert checkpoint == self.checkpoints.get(table), f"{table}: a checkpoint from nowhere"
        return 0

    def _asked(self, table: str, life: Life) -> Iterator[str]:
        """Yield the ids that were asked for one by one, at the end of reading everything."""
        for told in life.of("fetched"):
            if told["table"] == table:
                yield from told["ids"]

    def _swept(self, table: str, life: Life, found: Found) -> None:
        """Judge what became of them: nothing that the server has may go."""
        before, present = self.rows.get(table, {}), found.versions.get(table, {})
        for row_id in set(self._asked(table, life)) - found.dirty:
            row = self.dataverse.find(table, row_id)
            allowed = (before.get(row_id), row.etag if row else None)
            assert present.get(row_id) in allowed, f"{table}: asking for a row spoilt it"

    def _verdict(self, table: str, row_id: str) -> str:
        return f"{table}: the checkpoint and the rows do not belong together ({row_id})"
