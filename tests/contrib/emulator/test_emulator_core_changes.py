"""Change tracking: what a delta brings, and when it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.values import Reference
from holdfast_emulator.behaviour import columns
from holdfast_emulator.behaviour.changes import ChangePage, TrackPosition
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.rows import MemoryRows
from holdfast_emulator.behaviour.security import Depth, User
from holdfast_emulator.behaviour.sqlite_rows import SqliteRows

BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def org(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Iterator[Dataverse]:
    store = MemoryRows() if request.param == "memory" else SqliteRows(tmp_path / "rows.db")
    dataverse = Dataverse(clock, rows=store)
    yield dataverse
    dataverse.close()


@pytest.fixture
def ann(org: Dataverse) -> User:
    user = org.security.user_of("demo-token")
    assert user
    return user


def pages(
    org: Dataverse, user: User, token: str | None, page_size: int = 5000
) -> Iterator[ChangePage]:
    page = org.track(user, "account", token=token, page_size=page_size)
    yield page
    while page.next:
        position = TrackPosition.parse(str(page.next))
        assert position == page.next
        page = org.track(user, "account", position=position, page_size=page_size)
        yield page


def follow(
    org: Dataverse, user: User, token: str | None, page_size: int = 5000
) -> tuple[list[Row], list[str], str]:
    rows: list[Row] = []
    deleted: list[str] = []
    end = ""
    for page in pages(org, user, token, page_size):
        assert len(page.rows) + len(page.deleted) <= page_size
        rows.extend(page.rows)
        deleted.extend(page.deleted)
        end = page.token or ""
    assert end
    return rows, deleted, end


def make(org: Dataverse, user: User, count: int) -> list[Row]:
    return [org.create(user, "account", {"name": f"n{number}"}) for number in range(count)]


def test_a_delta_brings_changes_by_version_and_then_deletions(org: Dataverse, ann: User) -> None:
    rows = make(org, ann, 4)
    found, deleted, token = follow(org, ann, None)
    assert {row.id for row in found} == {row.id for row in rows}
    assert deleted == []

    org.update(ann, "account", rows[2].id, {"name": "x"})
    org.update(ann, "account", rows[0].id, {"name": "y"})
    org.update(ann, "account", rows[2].id, {"name": "z"})
    org.delete(ann, "account", rows[1].id)
    found, deleted, later = follow(org, ann, token)
    assert [row["name"] for row in found] == ["y", "z"]
    assert deleted == [rows[1].id]
    assert follow(org, ann, later)[:2] == ([], [])
    assert org.count_changes(ann, "account", token) == 3


def test_a_row_that_came_and_went_leaves_its_tombstone(org: Dataverse, ann: User) -> None:
    token = follow(org, ann, None)[2]
    row = make(org, ann, 1)[0]
    org.delete(ann, "account", row.id)
    assert follow(org, ann, token)[:2] == ([], [row.id])


def test_a_row_that_was_deleted_and_made_again_is_in_both_lists(org: Dataverse, ann: User) -> None:
    row = make(org, ann, 1)[0]
    token = follow(org, ann, None)[2]
    org.delete(ann, "account", row.id)
    org.create(ann, "account", {"accountid": row.id, "name": "again"})
    found, deleted, _ = follow(org, ann, token)
    assert [r.id for r in found] == deleted == [row.id]


def test_a_cascade_leaves_tombstones_in_other_tables(org: Dataverse, ann: User) -> None:
    account = make(org, ann, 1)[0]
    pointer = Reference("account", account.id)
    task = org.create(ann, "task", {"regardingobjectid": pointer})
    token = org.track(ann, "task").token
    org.delete(ann, "account", account.id)
    assert org.track(ann, "task", token=token).deleted == [task.id]


@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 5, 6, 100])
def test_pages_of_a_delta_join_to_the_whole(org: Dataverse, ann: User, page_size: int) -> None:
    rows = make(org, ann, 6)
    token = follow(org, ann, None, page_size)[2]
    for row in rows[:3]:
        org.update(ann, "account", row.id, {"fax": "1"})
    for row in rows[3:]:
        org.delete(ann, "account", row.id)
    found, deleted, _ = follow(org, ann, token, page_size)
    assert [row.id for row in found] == [row.id for row in rows[:3]]
    assert deleted == [row.id for row in rows[3:]]


def test_what_changes_while_pages_are_read_is_in_the_next_delta(org: Dataverse, ann: User) -> None:
    rows = sorted(make(org, ann, 4), key=lambda row: row.id)
    reading = pages(org, ann, None, 2)
    first = next(reading)
    org.update(ann, "account", rows[0].id, {"name": "behind"})
    org.update(ann, "account", rows[3].id, {"name": "ahead"})
    org.delete(ann, "account", first.rows[1].id)
    last = list(reading)[-1]
    assert [row["name"] for row in last.rows][-1] == "ahead"
    found, deleted, _ = follow(org, ann, last.token)
    assert [row["name"] for row in found] == ["behind", "ahead"]
    assert deleted == [rows[1].id]


def test_a_delta_is_bounded_by_the_moment_of_its_first_page(org: Dataverse, ann: User) -> None:
    token = follow(org, ann, None)[2]
    rows = make(org, ann, 3)
    reading = pages(org, ann, token, 2)
    next(reading)
    org.update(ann, "account", rows[2].id, {"name": "moved on"})
    last = next(reading)
    assert last.rows == []
    assert [row["name"] for row in follow(org, ann, last.token)[0]] == ["moved on"]


def test_a_token_says_version_and_time(org: Dataverse, ann: User) -> None:
    row = make(org, ann, 1)[0]
    assert org.track(ann, "account").token == f"{row.version}!03/01/2026 08:00:00"


def test_an_old_token_has_expired(org: Dataverse, ann: User, clock: Clock) -> None:
    token = follow(org, ann, None)[2]
    clock.now = BEGIN + timedelta(days=7)
    follow(org, ann, token)
    clock.now += timedelta(seconds=1)
    refuse_expired(org, ann, token)
    org.expire_days = 30
    follow(org, ann, token)


def refuse_expired(org: Dataverse, user: User, token: str) -> None:
    with pytest.raises(DataverseFault, match="perform a full sync") as caught:
        org.track(user, "account", token=token)
    assert caught.value.code == "0x80044352"


def test_purging_makes_tokens_expire_at_once(org: Dataverse, ann: User) -> None:
    rows = make(org, ann, 3)
    token = follow(org, ann, None)[2]
    for row in rows:
        org.delete(ann, "account", row.id)
    position = org.track(ann, "account", token=token, page_size=1).next
    org.purge_changes()
    refuse_expired(org, ann, token)
    with pytest.raises(DataverseFault, match="full sync"):
        org.track(ann, "account", position=position)
    assert follow(org, ann, follow(org, ann, None)[2])[:2] == ([], [])


def test_a_new_column_makes_tokens_of_its_table_expire(org: Dataverse, ann: User) -> None:
    row = make(org, ann, 1)[0]
    token = follow(org, ann, None)[2]
    other = org.track(ann, "task").token
    version = org.metadata.version
    org.add_column("account", columns.text("new_Nick", 10))
    refuse_expired(org, ann, token)
    assert org.track(ann, "task", token=other).rows == []
    assert org.metadata.version > version
    assert org.retrieve(ann, "account", row.id)["new_nick"] is None
    assert org.update(ann, "account", row.id, {"new_nick": "N"})["new_nick"] == "N"


@pytest.mark.parametrize("token", ["", "abc", "5", "5!13/45/2026 00:00:00", "5!03/01/2026"])
def test_a_token_of_another_make_is_refused(org: Dataverse, ann: User, token: str) -> None:
    with pytest.raises(DataverseFault, match="is not valid") as caught:
        org.track(ann, "account", token=token)
    assert caught.value.status == 400


@pytest.mark.parametrize("text", ["", "a|b|c|d", "5!03/01/2026 08:00:00|x|y|0"])
def test_a_position_of_another_make_is_refused(text: str) -> None:
    with pytest.raises(DataverseFault, match="is not valid"):
        TrackPosition.parse(text)


def test_changes_are_told_only_to_who_reads_everything(org: Dataverse, ann: User) -> None:
    org.security.limit(ann, "account", Depth.BASIC)
    with pytest.raises(DataverseFault, match="Required Depth: Global") as caught:
        org.track(ann, "account")
    assert (caught.value.status, caught.value.code) == (403, "0x80040220")
    assert "PrivilegeName: prvReadAccount" in caught.value.message


def test_a_table_that_is_not_tracked_is_refused(org: Dataverse, ann: User) -> None:
    with pytest.raises(DataverseFault, match="organization isn't enabled for change") as caught:
        org.track(ann, "organization")
    assert caught.value.code == "0x80072491"
    untracked = replace(org.metadata.tables["team"], change_tracking=False)
    org.metadata.put(untracked)
    with pytest.raises(DataverseFault, match="team isn't enabled"):
        org.track(ann, "team")


def test_an_undone_change_is_not_told(org: Dataverse, ann: User) -> None:
    row = make(org, ann, 1)[0]
    token = follow(org, ann, None)[2]

    def refused() -> None:
        with org.transaction():
            org.update(ann, "account", row.id, {"name": "x"})
            make(org, ann, 1)
            org.delete(ann, "account", row.id)
            org.delete(ann, "account", row.id)

    with pytest.raises(DataverseFault, match="Does Not Exist"):
        refused()
    assert follow(org, ann, token)[:2] == ([], [])
    org.update(ann, "account", row.id, {"name": "y"})
    assert [r["name"] for r in follow(org, ann, token)[0]] == ["y"]
