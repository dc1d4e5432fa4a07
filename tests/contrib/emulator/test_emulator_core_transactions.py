"""All or nothing, over several calls, in both stores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from holdfast.values import Reference
from holdfast_emulator.behaviour import columns
from holdfast_emulator.behaviour.dataverse import Dataverse, Effect
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.row import Cells
from holdfast_emulator.behaviour.rows import MemoryRows, RowStore
from holdfast_emulator.behaviour.security import User
from holdfast_emulator.behaviour.sqlite_rows import SqliteRows

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Boom(Exception):
    """What a test throws."""


@pytest.fixture
def effects() -> list[Effect]:
    return []


@pytest.fixture(params=["memory", "sqlite"])
def org(
    request: pytest.FixtureRequest, effects: list[Effect], tmp_path: Path
) -> Iterator[Dataverse]:
    store = MemoryRows() if request.param == "memory" else SqliteRows(tmp_path / "rows.db")
    dataverse = Dataverse(lambda: NOW, rows=store, on_effect=effects.append)
    yield dataverse
    dataverse.close()


@pytest.fixture
def ann(org: Dataverse) -> User:
    user = org.security.user_of("demo-token")
    assert user
    return user


def picture(org: Dataverse) -> dict[str, list[Cells]]:
    return {table: [row.cells for row in org.scan(table)] for table in org.metadata.tables}


def test_what_a_failed_transaction_did_is_gone(
    org: Dataverse, ann: User, effects: list[Effect]
) -> None:
    account = org.create(ann, "account", {"name": "A"})
    pointer = Reference("account", account.id)
    contact = org.create(ann, "contact", {"lastname": "B", "parentcustomerid": pointer})
    before, version = picture(org), org.version
    effects.clear()

    def broken() -> None:
        with org.transaction():
            org.create(ann, "task", {"subject": "t", "regardingobjectid": pointer})
            org.update(ann, "contact", contact.id, {"lastname": "C"})
            org.delete(ann, "account", account.id)
            org.create(ann, "account", {"accountid": account.id, "name": "again"})
            raise Boom

    with pytest.raises(Boom):
        broken()
    assert picture(org) == before
    assert org.version == version
    assert effects == []
    relationship = org.metadata.relationships["contact_customer_accounts"]
    assert [row.id for row in org.children(relationship, account.id)] == [contact.id]


def test_effects_are_told_when_the_outermost_transaction_ends(
    org: Dataverse, ann: User, effects: list[Effect]
) -> None:
    def broken() -> None:
        with org.transaction():
            org.create(ann, "account", {"name": "B"})
            raise Boom

    with org.transaction():
        first = org.create(ann, "account", {"name": "A"})
        with pytest.raises(Boom):
            broken()
        second = org.create(ann, "account", {"name": "C"})
        assert effects == []
    assert [effect.row_id for effect in effects] == [first.id, second.id]
    assert [effect.sequence for effect in effects] == [1, 2]


def test_the_outer_transaction_undoes_what_the_inner_one_left(
    org: Dataverse, ann: User, effects: list[Effect]
) -> None:
    before = picture(org)

    def broken() -> None:
        with org.transaction():
            org.create(ann, "account", {"name": "B"})
            raise Boom

    def outer() -> None:
        with org.transaction():
            org.create(ann, "account", {"name": "A"})
            with pytest.raises(Boom):
                broken()
            with org.transaction():
                org.create(ann, "account", {"name": "C"})
            raise Boom

    with pytest.raises(Boom):
        outer()
    assert picture(org) == before
    assert effects == []


def test_a_refused_call_leaves_the_others_of_its_transaction(org: Dataverse, ann: User) -> None:
    with org.transaction():
        row = org.create(ann, "account", {"name": "A"})
        with pytest.raises(DataverseFault):
            org.update(ann, "account", row.id, {"industrycode": 3})
    assert org.retrieve(ann, "account", row.id)["name"] == "A"


def test_a_file_keeps_rows_deletions_and_versions(tmp_path: Path) -> None:
    path = tmp_path / "rows.db"
    org = Dataverse(lambda: NOW, rows=SqliteRows(path))
    ann = org.security.user_of("demo-token")
    assert ann
    kept = org.create(ann, "account", {"name": "Ø", "revenue": Decimal("12345678901.10")})
    gone = org.create(ann, "account", {"name": "gone"})
    token = org.track(ann, "account").token
    org.delete(ann, "account", gone.id)
    version = org.version
    org.close()

    org = Dataverse(lambda: NOW, rows=SqliteRows(path))
    assert org.version == version
    assert org.retrieve(ann, "account", kept.id).cells == kept.cells
    assert org.track(ann, "account", token=token).deleted == [gone.id]
    org.add_column("account", columns.text("new_Nick", 10))
    assert org.retrieve(ann, "account", kept.id)["new_nick"] is None
    org.close()


def test_a_file_with_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.db"
    first = SqliteRows(path)
    first.prepare("account", ["accountid", "versionnumber"])
    first.close()
    second = SqliteRows(path)
    with pytest.raises(ValueError, match="account have other columns"):
        Dataverse(lambda: NOW, rows=second)
    second.close()


class Stores(RuleBasedStateMachine):
    """Both stores give the same answers, whatever is done to them in whatever order."""

    ids = st.sampled_from([f"id{number}" for number in range(6)])

    def __init__(self) -> None:
        super().__init__()
        self.stores: list[RowStore] = [MemoryRows(), SqliteRows(":memory:")]
        self.version = 0
        self.live: dict[str, Cells] = {}
        for store in self.stores:
            store.prepare("t", ["id", "versionnumber", "cell"])

    def teardown(self) -> None:
        for store in self.stores:
            store.close()

    @rule(row_id=ids, cell=st.none() | st.decimals(0, 9, places=2) | st.text(max_size=2))
    def put(self, row_id: str, cell: Decimal | str | None) -> None:
        self.version += 1
        self.live[row_id] = (row_id, self.version, cell)
        for store in self.stores:
            store.put("t", row_id, self.version, self.live[row_id])

    @rule(row_id=ids)
    def remove(self, row_id: str) -> None:
        if self.live.pop(row_id, None) is None:
            return
        self.version += 1
        for store in self.stores:
            store.remove("t", row_id)
            store.bury("t", row_id, self.version)

    @rule(row_id=ids)
    def undo(self, row_id: str) -> None:
        """A row gets a new version and then its old one back; the version is used again."""
        if row_id not in self.live:
            return
        old = self.live[row_id]
        assert isinstance(old[1], int)
        for store in self.stores:
            store.put("t", row_id, self.version + 1, (row_id, self.version + 1, "x"))
            store.put("t", row_id, old[1], old)
            store.bury("t", row_id, self.version + 2)
            store.unbury("t", self.version + 2)

    @rule()
    def many(self) -> None:
        for store in self.stores:
            for step in range(1, 1500):
                store.put("t", "id0", self.version + step, ("id0", self.version + step, None))
        self.version += 1499
        self.live["id0"] = ("id0", self.version, None)

    @invariant()
    def they_agree(self) -> None:
        expected = sorted(self.live.values())
        by_version = sorted(self.live.values(), key=lambda cells: int(str(cells[1])))
        for store in self.stores:
            assert list(store.scan("t")) == expected
            assert list(store.scan("t", "id2")) == [c for c in expected if str(c[0]) > "id2"]
            assert store.count("t") == len(expected)
            assert store.changed("t", 0, self.version, 100) == by_version
            assert store.changed("t", 0, self.version, 2) == by_version[:2]
            middle = self.version // 2
            assert store.changed("t", middle, self.version, 100) == [
                cells for cells in by_version if int(str(cells[1])) > middle
            ]
        memory, file = self.stores
        assert memory.buried("t", 0, self.version, 100) == file.buried("t", 0, self.version, 100)
        assert memory.buried("t", self.version, self.version, 9) == []


Stores.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
test_both_stores_agree = Stores.TestCase
