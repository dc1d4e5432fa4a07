# ruff: noqa: ASYNC240  a test looks at files while nothing else runs
"""A replica in which everything that can be replaced is a stranger's; run where it is installed."""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from pathlib import Path

import pytest
from stranger.server import FolderServer  # type: ignore[import-not-found]  # installed by the test

import holdfast
from holdfast.errors import ProfileError, Unreachable
from holdfast.filters import (
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    Like,
    Literal,
    Or,
)
from holdfast.model import Row
from holdfast.schema import Kind
from holdfast.status import SyncReport

PROFILE = """\
plugins = ["stranger"]

[storage]
driver = "journal"
path = "field.journal"

[transport]
driver = "folder"
path = "office"
user = "kari"
page_size = 3

[profile]
name = "Replaced"

[[profile.tables]]
name = "account"
filter = { plain = "city = Bergen and revenue > 100 or name sounds like Fjord" }
resolver = "longest-text"

[[profile.tables]]
name = "contact"
resolver = { name = "refuse", reason = "ask the office" }

[[profile.tables]]
name = "task"
resolver = { name = "refuse", reason = "ask the boss" }

[[profile.tables]]
name = "note"
"""
ID, TEXT = {"type": "uniqueidentifier"}, {"type": "string", "max_length": 100}
NAMED = {"primary_id": "id", "primary_name": "name", "columns": {"id": ID, "name": TEXT}}
TABLES = {
    "account": {
        "primary_id": "accountid",
        "primary_name": "name",
        "columns": {
            "accountid": ID,
            "name": TEXT,
            "city": TEXT,
            "revenue": {"type": "money"},
            "primarycontactid": {"type": "lookup", "targets": ["contact"]},
        },
    },
    "contact": NAMED,
    "task": NAMED,
    "note": NAMED,
}
FJORD = Call("plain.sounds-like", (ColumnRef("name", Kind.TEXT), Literal("Fjord")))


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "holdfast.toml"
    path.write_text(PROFILE)
    return path


@pytest.fixture(params=[True, False], ids=["the-storage-filters", "the-engine-filters"])
def either(profile: Path, request: pytest.FixtureRequest) -> Path:
    """A profile whose storage evaluates filters, and one whose storage does not."""
    if not request.param:
        change(profile, "[storage]", "[storage]\nfilters = false")
    return profile


def change(profile: Path, old: str, new: str) -> None:
    text = profile.read_text()
    assert old in text
    profile.write_text(text.replace(old, new))


@pytest.fixture
def office(tmp_path: Path) -> FolderServer:
    return FolderServer.found(tmp_path / "office", {"organization": "Office", "tables": TABLES})


async def names(
    replica: holdfast.Replica, table: str, where: str | Expression | None = None
) -> list[object]:
    asked = replica.table(table).query(where, order_by="name")
    return [row["name"] async for row in asked]


async def in_conflict(
    replica: holdfast.Replica, office: FolderServer, table: str, mine: str, theirs: str
) -> str:
    """Change the same name here and there."""
    row_id = str(office.add(table, {"name": "Fjord"}))
    await replica.download()
    await replica.table(table).update(row_id, {"name": mine})
    office.edit(table, row_id, {"name": theirs})
    return row_id


def settled(report: SyncReport) -> tuple[int, int, bool]:
    return len(report.conflicts), len(report.issues), report.failure is None


async def test_its_language_selects_the_rows(profile: Path, office: FolderServer) -> None:
    for name, city, revenue in [
        ("Rich in Bergen", "BERGEN", "100.5"),
        ("Poor in Bergen", "Bergen", "100"),
        ("Rich in Oslo", "Oslo", "1000"),
        ("Fjørt", "Oslo", "1"),
        ("Unknown", None, None),
    ]:
        values = {"name": name, "city": city, "revenue": revenue and Decimal(revenue)}
        office.add("account", values)
    async with holdfast.open(profile) as replica:
        report = await replica.download()
        assert report.complete
        assert await names(replica, "account") == ["Fjørt", "Rich in Bergen"]


async def test_a_row_that_stops_matching_leaves(profile: Path, office: FolderServer) -> None:
    row_id = office.add("account", {"name": "Ulstein"})
    async with holdfast.open(profile) as replica:
        await replica.download()
        assert await names(replica, "account") == []
        office.edit("account", row_id, {"name": "Fjord"})
        await replica.download()
        assert await names(replica, "account") == ["Fjord"]
        office.edit("account", row_id, {"name": "Nordic"})
        await replica.sync()
        assert await names(replica, "account") == []


async def test_the_engine_calls_its_function_and_the_storage_does_the_rest(
    either: Path, office: FolderServer
) -> None:
    for name in ("Fjord", "Fjort", "Nordic"):
        office.add("account", {"name": name, "city": "Bergen", "revenue": 101})
    city = ColumnRef("city", Kind.TEXT)
    bergen = Compare(Comparison.EQ, city, Literal("bergen"))
    nowhere = Like(city, "[^b]%")
    async with holdfast.open(either) as replica:
        await replica.download()
        accounts = replica.table("account")
        assert await names(replica, "account", And((bergen, FJORD))) == ["Fjord", "Fjort"]
        assert await names(replica, "account", Or((nowhere, FJORD))) == ["Fjord", "Fjort"]
        assert await names(replica, "account", And((nowhere, FJORD))) == []
        assert await accounts.count(FJORD) == 2
        assert [row["name"] async for row in accounts.query(FJORD, top=1, order_by="name")] == [
            "Fjord"
        ]
        assert await names(replica, "account", "startswith(name,'n')") == ["Nordic"]


async def test_what_was_done_offline_is_in_the_file_and_arrives(
    either: Path, office: FolderServer, tmp_path: Path
) -> None:
    changed = office.add("account", {"name": "Fjord", "city": "Bergen"})
    deleted = office.add("account", {"name": "Fjord", "city": "Oslo"})
    async with holdfast.open(either) as replica:
        await replica.download()
    (tmp_path / "office").rename(tmp_path / "away")
    async with holdfast.open(either) as replica:
        accounts, contacts = replica.table("account"), replica.table("contact")
        contact = await contacts.create({"name": "Ada"})
        created = await accounts.create({"name": "Fjort", "primarycontactid": contact})
        await accounts.update(changed, {"revenue": Decimal("12345678901.1234567891")})
        await accounts.delete(deleted)
        report = await replica.sync()
        assert isinstance(report.failure, Unreachable)
        assert report.waiting == 4
    (tmp_path / "away").rename(tmp_path / "office")
    office.edit("account", changed, {"city": "Voss"})
    async with holdfast.open(either) as replica:
        assert [op.kind.value for op in await replica.pending()] == [
            "create", "create", "update", "delete",
        ]  # fmt: skip
        report = await replica.sync()
        assert report.complete
        assert len(report.conflicts) == 1
        status = await replica.status()
        assert status.synced
        assert (status.organization, status.user) == ("Office", "kari")
        assert await names(replica, "account") == ["Fjord", "Fjort"]
    row = there(office, "account", changed)
    assert (row["city"], row["revenue"]) == ("Voss", Decimal("12345678901.1234567891"))
    assert there(office, "account", created)["primarycontactid"] == holdfast.Reference(
        "contact", str(contact)
    )
    assert office.ids("account") == sorted([str(created), changed])


async def test_each_policy_answers_for_its_own_tables_only(
    either: Path, office: FolderServer
) -> None:
    async with holdfast.open(either) as replica:
        account = await in_conflict(replica, office, "account", "Fjord I", "Fjord, the longer")
        contact = await in_conflict(replica, office, "contact", "Mine, the longer", "Theirs")
        task = await in_conflict(replica, office, "task", "Mine, the longer", "Theirs")
        report = await replica.sync()
        assert settled(report) == (1, 2, True)
        [entry] = await replica.history()
        assert (entry.table, entry.policy, entry.winner.value) == (
            "account",
            "longest-text",
            "merge",
        )
        messages = {issue.table: issue.message for issue in await replica.issues()}
        assert messages == {"contact": "ask the office", "task": "ask the boss"}
        assert await names(replica, "account") == ["Fjord, the longer"]
        assert await names(replica, "contact") == ["Mine, the longer"]
        for issue in await replica.issues():
            await replica.take_mine(issue.id)
        assert (await replica.sync()).complete
    assert there(office, "account", account)["name"] == "Fjord, the longer"
    assert there(office, "contact", contact)["name"] == "Mine, the longer"
    assert there(office, "task", task)["name"] == "Mine, the longer"


async def test_a_merge_of_both_sides_arrives_there(profile: Path, office: FolderServer) -> None:
    async with holdfast.open(profile) as replica:
        account = await in_conflict(replica, office, "account", "Fjord, the longer", "Fjord I")
        office.edit("account", account, {"city": "Voss"})
        assert settled(await replica.sync()) == (1, 0, True)
    row = there(office, "account", account)
    assert (row["name"], row["city"]) == ("Fjord, the longer", "Voss")


async def test_its_plugin_steps_in_for_one_table(profile: Path, office: FolderServer) -> None:
    async with holdfast.open(profile) as replica:
        note = await in_conflict(replica, office, "note", "Mine, the longer", "Theirs")
        assert settled(await replica.sync()) == (1, 0, True)
        [entry] = await replica.history()
        assert (entry.table, entry.winner.value) == ("note", "theirs")
    assert there(office, "note", note)["name"] == "Theirs"
    change(profile, 'plugins = ["stranger"]', "")
    async with holdfast.open(profile) as replica:
        note = await in_conflict(replica, office, "note", "Mine, the longer", "Theirs")
        assert settled(await replica.sync()) == (1, 0, True)
    assert there(office, "note", note)["name"] == "Mine, the longer"


@pytest.mark.parametrize("driver", ["journal", "sqlite"])
async def test_its_plugin_meters_whatever_storage_is_opened(
    office: FolderServer, driver: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile = tmp_path / "holdfast.toml"
    profile.write_text(PROFILE.replace("journal", driver))
    office.add("contact", {"name": "Ada"})
    caplog.set_level(logging.INFO, "stranger")
    async with holdfast.open(profile) as replica:
        await replica.download()
        assert await names(replica, "contact", "name eq 'ada'") == ["Ada"]
    [record] = [r for r in caplog.records if r.name == "stranger.hooks"]
    metered, _, commits = record.getMessage().partition(": ")
    assert metered == driver
    assert int(commits.split()[0]) > 3


async def test_a_void_checkpoint_is_read_anew_under_the_work_that_waits(
    profile: Path, office: FolderServer
) -> None:
    gone = office.add("contact", {"name": "Gone"})
    async with holdfast.open(profile) as replica:
        await replica.download()
        mine = await replica.table("contact").create({"name": "Mine"})
        office.discard("contact", gone)
        office.forget()
        office.add("contact", {"name": "New"})
        await replica.download()
        assert await names(replica, "contact") == ["Mine", "New"]
        assert (await replica.sync()).complete
    assert str(mine) in office.ids("contact")


async def test_its_mistakes_stand_beside_ours(profile: Path, office: FolderServer) -> None:
    correct = profile.read_text()
    change(profile, 'path = "field.journal"', 'paths = "x"')
    change(profile, 'user = "kari"', "")
    change(profile, '"ask the boss"', "7")
    with pytest.raises(ProfileError) as caught:
        holdfast.open(profile)
    assert {problem.key for problem in caught.value.problems} == {
        "storage.path", "storage.paths", "transport.user", "profile.tables[2].resolver.reason",
    }  # fmt: skip
    assert "did you mean 'path'?" in str(caught.value)
    profile.write_text(correct)
    change(profile, "city = Bergen", "town = Bergen")
    async with holdfast.open(profile) as replica:
        with pytest.raises(ProfileError, match="account has no column 'town'") as caught:
            await replica.download()
    assert [problem.key for problem in caught.value.problems] == ["profile.tables[0].filter.plain"]


async def test_the_file_is_json_lines(profile: Path, office: FolderServer, tmp_path: Path) -> None:
    office.add("contact", {"name": "Ada"})
    async with holdfast.open(profile) as replica:
        await replica.download()
        size = (await replica.status()).size
        lines = (tmp_path / "field.journal").read_bytes().splitlines(keepends=True)
        assert size == sum(map(len, lines))
    assert all(isinstance(json.loads(line), dict) for line in lines)


def there(office: FolderServer, table: str, row_id: object) -> Row:
    row = office.get(table, str(row_id))
    assert isinstance(row, Row)
    return row
