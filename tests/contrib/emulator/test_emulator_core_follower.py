"""Whoever follows the deltas has the rows, whatever happens between and during the reads."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from holdfast_emulator.behaviour.changes import ChangePage
from holdfast_emulator.behaviour.dataverse import Dataverse, Effect, Operation
from holdfast_emulator.behaviour.rows import MemoryRows
from holdfast_emulator.behaviour.sqlite_rows import SqliteRows

IDS = st.sampled_from([f"0a0a0a0a-0000-4000-8000-00000000000{number}" for number in range(6)])


class Boom(Exception):
    """What undoes a transaction."""


class Follower(RuleBasedStateMachine):
    """A client that reads deltas page by page while others write."""

    def __init__(self) -> None:
        super().__init__()
        self.effects: list[Effect] = []
        self.org = Dataverse(
            lambda: datetime(2026, 3, 1, tzinfo=UTC),
            rows=self.store(),
            on_effect=self.effects.append,
        )
        user = self.org.security.user_of("demo-token")
        assert user
        self.user = user
        self.copy: dict[str, int] = {}
        self.token: str | None = None
        self.page: ChangePage | None = None
        self.seen: set[str] = set()

    def store(self) -> MemoryRows | SqliteRows:
        return MemoryRows()

    @rule(row_id=IDS)
    def write(self, row_id: str) -> None:
        self.org.upsert(self.user, "account", row_id, {"fax": "1"})

    @rule(row_id=IDS)
    def delete(self, row_id: str) -> None:
        if self.org.find("account", row_id):
            self.org.delete(self.user, "account", row_id)

    @rule(row_id=IDS, other=IDS)
    def undo(self, row_id: str, other: str) -> None:
        with suppress(Boom), self.org.transaction():
            self.write(row_id)
            self.delete(row_id)
            self.write(other)
            raise Boom

    @rule(size=st.integers(1, 4))
    def read_a_page(self, size: int) -> None:
        position = self.page.next if self.page else None
        token = None if position else self.token
        self.page = self.org.track(
            self.user, "account", token=token, position=position, page_size=size
        )
        for row in self.page.rows:
            self.copy[row.id] = row.version
            self.seen.add(row.id)
        for row_id in self.page.deleted:
            # A row that came back is in both lists.
            if row_id not in self.seen:
                self.copy.pop(row_id, None)
        if self.page.token:
            self.token = self.page.token
            self.page = None
            self.seen.clear()

    @rule()
    def catch_up(self) -> None:
        self.read_a_page(2)
        while self.page:
            self.read_a_page(2)
        # The read that was under way may have begun before the last change.
        self.read_a_page(5000)
        assert self.copy == {row.id: row.version for row in self.org.scan("account")}

    def teardown(self) -> None:
        live: dict[str, int] = {}
        for effect in self.effects:
            assert live.get(effect.row_id) == effect.before, "effects follow each other"
            assert effect.after > max(live.values(), default=0)
            live[effect.row_id] = effect.after
            if effect.operation is Operation.DELETE:
                del live[effect.row_id]
        assert live == {row.id: row.version for row in self.org.scan("account")}
        self.org.close()


class FileFollower(Follower):
    """The same over rows in a file."""

    def store(self) -> MemoryRows | SqliteRows:
        return SqliteRows(":memory:")


Follower.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
FileFollower.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
test_a_follower_converges = Follower.TestCase
test_a_follower_of_a_file_converges = FileFollower.TestCase
