"""Named baselines and snapshots: an organisation kept, given back, written out and read in."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import StorageError
from holdfast_emulator import Dataverse, DataverseFault, EmulatorServer, Sample, SqliteRows
from holdfast_emulator._organisation import organisation as command_organisation
from holdfast_emulator._organisation import read_begin
from holdfast_emulator.behaviour.keeping import Versions
from holdfast_emulator.behaviour.relationships import RelationshipDefinition
from holdfast_emulator.behaviour.security import Depth
from holdfast_emulator.control.snapshot import BadSnapshot, read_snapshot, write_snapshot
from holdfast_emulator.queries.query import Query

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def organisation(kind: str = "memory") -> Dataverse:
    return Dataverse(lambda: NOW, rows=SqliteRows(":memory:") if kind == "sqlite" else None)


@pytest.fixture(params=["memory", "sqlite"])
def dataverse(request: pytest.FixtureRequest) -> Dataverse:
    """An organisation with a few rows, in each store."""
    dataverse = organisation(request.param)
    Sample(50, NOW).load(dataverse)
    return dataverse


def everything(dataverse: Dataverse) -> dict[str, list[object]]:
    """Return all cells of all tables."""
    return {name: [row.cells for row in dataverse.scan(name)] for name in dataverse.metadata.tables}


def meddle(dataverse: Dataverse) -> tuple[str, str, str]:
    """Update, create and delete; return the ids."""
    system = dataverse.system
    first, second = [row.id for row in dataverse.scan("account")][:2]
    dataverse.update(system, "account", first, {"name": "changed"})
    made = dataverse.create(system, "account", {"name": "made"}).id
    dataverse.delete(system, "account", second)
    return first, made, second


def test_what_was_kept_comes_back_to_the_last_cell(dataverse: Dataverse) -> None:
    dataverse.keeper.keep("start")
    before, version = everything(dataverse), dataverse.version
    for _ in range(2):
        meddle(dataverse)
        assert everything(dataverse) != before
        dataverse.keeper.give_back("start", Versions.BACK)
        assert everything(dataverse) == before
        assert dataverse.version == version


def test_several_baselines_do_not_disturb_each_other(dataverse: Dataverse) -> None:
    keeper = dataverse.keeper
    keeper.keep("one")
    one = everything(dataverse)
    meddle(dataverse)
    keeper.keep("two")
    two = everything(dataverse)
    meddle(dataverse)
    for name, expected in (("one", one), ("two", two), ("one", one)):
        keeper.give_back(name, Versions.BACK)
        assert everything(dataverse) == expected
    assert keeper.names() == ("one", "two")
    assert keeper.let_go("one")
    assert not keeper.let_go("one")
    keeper.give_back("two", Versions.BACK)
    assert everything(dataverse) == two


def test_going_back_is_a_change_that_deltas_tell_of(dataverse: Dataverse) -> None:
    dataverse.keeper.keep("start")
    before = dataverse.track(dataverse.system, "account").token
    first, made, gone = meddle(dataverse)
    between = dataverse.track(dataverse.system, "account").token
    newest = dataverse.version
    dataverse.keeper.give_back("start")
    assert dataverse.version > newest
    delta = dataverse.track(dataverse.system, "account", token=between)
    assert {first, gone} <= {row.id for row in delta.rows}  # and those that pointed to the one gone
    assert "changed" not in [row["name"] for row in delta.rows]
    assert list(delta.deleted) == [made]
    assert all(row.version > newest for row in delta.rows)
    # whoever did not look in between is told the same, which does no harm
    again = dataverse.track(dataverse.system, "account", token=before)
    assert [row.cells for row in again.rows] == [row.cells for row in delta.rows]


def test_what_came_and_went_in_between_is_told_as_gone(dataverse: Dataverse) -> None:
    dataverse.keeper.keep("start")
    made = dataverse.create(dataverse.system, "account", {"name": "made"}).id
    seen = dataverse.track(dataverse.system, "account").token
    dataverse.delete(dataverse.system, "account", made)
    dataverse.keeper.give_back("start")
    assert dataverse.track(dataverse.system, "account", token=seen).deleted == [made]


def test_as_from_a_backup_versions_go_back_and_later_tokens_expire(dataverse: Dataverse) -> None:
    dataverse.keeper.keep("start")
    before = dataverse.track(dataverse.system, "account").token
    meddle(dataverse)
    between = dataverse.track(dataverse.system, "account").token
    dataverse.keeper.give_back("start", Versions.BACK)
    assert dataverse.track(dataverse.system, "account", token=before).rows == []
    with pytest.raises(DataverseFault, match="has expired"):
        dataverse.track(dataverse.system, "account", token=between)


def test_what_a_write_finds_through_links_goes_back_too(dataverse: Dataverse) -> None:
    parent = next(row for row in dataverse.scan("account"))
    relationship: RelationshipDefinition = dataverse.metadata.relationships[
        "contact_customer_accounts"
    ]
    children = [row.id for row in dataverse.children(relationship, parent.id)]
    dataverse.keeper.keep("start")
    for child in children:
        dataverse.delete(dataverse.system, "contact", child)
    dataverse.keeper.give_back("start")
    assert [row.id for row in dataverse.children(relationship, parent.id)] == children


def test_metadata_security_rules_and_the_clock_go_back(dataverse: Dataverse) -> None:
    ann = dataverse.security.user_of("demo-token")
    assert ann is not None
    table = dataverse.metadata.tables["account"]
    dataverse.clock.set(NOW + timedelta(days=1), running=False)
    dataverse.keeper.keep("start")
    dataverse.secure("account", "name", hidden_from=ann)
    dataverse.security.limit(ann, "contact", Depth.NONE)
    dataverse.security.expel("office-token")
    dataverse.rules.append(lambda *_: None)
    dataverse.clock.advance(1000)
    version = dataverse.metadata.version
    dataverse.keeper.give_back("start")
    assert dataverse.metadata.tables["account"] is table
    assert dataverse.metadata.version > version
    assert dataverse.security.depth(ann, dataverse.metadata.tables["contact"]) is Depth.GLOBAL
    assert dataverse.security.user_of("office-token")
    assert dataverse.rules == []
    assert dataverse.clock() == NOW + timedelta(days=1)
    assert dataverse.query(ann, Query("account")).rows[0]["name"] is not None


def test_a_transaction_is_no_time_for_a_baseline(dataverse: Dataverse) -> None:
    with dataverse.transaction(), pytest.raises(RuntimeError, match="outside of transactions"):
        dataverse.keeper.keep("start")


async def test_baselines_over_http(client: Client) -> None:
    control = f"{client.server.url}/_emulator"
    made = await client.create("accounts", {"name": "A"})
    assert (await client("PUT", f"{control}/baselines/start")).json == ["start"]
    await client("DELETE", f"accounts({made})")
    back = await client("POST", f"{control}/baselines/start")
    assert back.json["baseline"] == "start"
    assert (await client("GET", f"accounts({made})")).status == 200
    await client("DELETE", f"accounts({made})")
    assert (await client("POST", f"{control}/reset", {"baseline": "start"})).json == {"rows": True}
    assert (await client("GET", f"accounts({made})")).status == 200
    assert (await client("GET", f"{control}/baselines")).json == ["start"]
    for method, page, body in (
        ("POST", "baselines/none", None),
        ("DELETE", "baselines/none", None),
        ("POST", "reset", {"baseline": "none"}),
    ):
        assert (await client(method, f"{control}/{page}", body)).status == 404
    for wrong in ({"versions": "sideways"}, {"x": 1}):
        assert (await client("POST", f"{control}/baselines/start", wrong)).status == 400
    assert (await client("DELETE", f"{control}/baselines/start")).json == []


async def test_versions_go_back_over_http_when_they_are_told_to(client: Client) -> None:
    control = f"{client.server.url}/_emulator"
    made = await client.create("accounts", {"name": "A"})
    etag = (await client("GET", f"accounts({made})")).headers["ETag"]
    await client("PUT", f"{control}/baselines/start")
    await client("PATCH", f"accounts({made})", {"name": "B"})
    await client("POST", f"{control}/baselines/start", {"versions": "back"})
    assert (await client("GET", f"accounts({made})")).headers["ETag"] == etag


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_snapshot_is_the_whole_organisation(dataverse: Dataverse, kind: str) -> None:
    ann = dataverse.security.user_of("demo-token")
    assert ann is not None
    meddle(dataverse)
    dataverse.secure("account", "name", hidden_from=ann)
    dataverse.clock.set(NOW + timedelta(days=1), running=False)
    token = dataverse.track(dataverse.system, "account").token
    first = write_snapshot(dataverse)
    other = organisation(kind)
    read_snapshot(other, first)
    assert everything(other) == everything(dataverse)
    assert write_snapshot(other) == first
    assert other.clock() == NOW + timedelta(days=1)
    assert other.track(other.system, "account", token=token).rows == []
    other.create(other.system, "account", {"name": "more"})
    assert len(other.track(other.system, "account", token=token).rows) == 1


def test_tokens_of_what_was_there_before_a_snapshot_expire(dataverse: Dataverse) -> None:
    old = write_snapshot(dataverse)
    meddle(dataverse)
    token = dataverse.track(dataverse.system, "account").token
    read_snapshot(dataverse, old)
    with pytest.raises(DataverseFault, match="has expired"):
        dataverse.track(dataverse.system, "account", token=token)


def _lines(content: bytes) -> list[bytes]:
    return gzip.decompress(content).splitlines(keepends=True)


def _damaged() -> dict[str, bytes]:
    """Return files that are no snapshots, by what is wrong with them."""
    small = organisation()
    good = write_snapshot(small)
    lines = _lines(good)
    at = next(i for i, line in enumerate(lines) if line.startswith(b'{"table":"account"'))
    unit = next(i for i, line in enumerate(lines) if line.startswith(b'{"table":"businessunit"'))
    head = json.loads(lines[0])

    def packed(*changed: bytes) -> bytes:
        return gzip.compress(b"".join(changed))

    return {
        "cannot be unpacked": b"PK\x03\x04",
        "no JSON": gzip.compress(b"rows\n"),
        "no snapshot of an emulator": gzip.compress(b'{"format":"other"}\n'),
        "version 99": packed(json.dumps(head | {"version": 99}).encode() + b"\n", *lines[1:]),
        "ends too early": packed(*lines[:-1]),
        "damaged": packed(lines[0], b'{"metadata":{"version":"x"}}\n', *lines[2:]),
        "cells": packed(*lines[: unit + 1], b'["x"]\n', *lines[unit + 2 :]),
        "as name": packed(
            *lines[: unit + 1],
            lines[unit + 1].replace(b'"holdfast"', b"4711"),
            *lines[unit + 2 :],
        ),
        "goes on": packed(*lines, b"{}\n"),
        "other fields": packed(
            *lines[:at], lines[at].replace(b'"name"', b'"title"'), *lines[at + 1 :]
        ),
        "lacks the tables": packed(lines[0], b'{"metadata":{"version":1}}\n', *lines[2:]),
        "unpacked": good[: len(good) // 2],
    }


@pytest.mark.parametrize("wrong", list(_damaged()))
def test_a_bad_snapshot_is_refused_and_changes_nothing(dataverse: Dataverse, wrong: str) -> None:
    before, version = everything(dataverse), dataverse.version
    with pytest.raises(BadSnapshot, match=wrong):
        read_snapshot(dataverse, _damaged()[wrong])
    assert everything(dataverse) == before
    assert dataverse.version == version
    meddle(dataverse)


def test_a_snapshot_that_does_not_fit_together_changes_nothing(dataverse: Dataverse) -> None:
    """A cell that no column can hold is noticed while rows are put back."""
    lines = _lines(write_snapshot(dataverse))
    head = json.loads(lines[0])
    rule = {"table": "account", "what": "write", "relationship": "none"}
    head["rules"] = {"broken": rule}
    before = everything(dataverse)
    with pytest.raises(BadSnapshot, match="does not fit together"):
        read_snapshot(
            dataverse, gzip.compress(b"".join([json.dumps(head).encode() + b"\n", *lines[1:]]))
        )
    assert everything(dataverse) == before


async def test_a_snapshot_over_http(client: Client, dataverse: Dataverse) -> None:
    page = f"{client.server.url}/_emulator/snapshot"
    async with client.session.get(page) as reply:
        content = await reply.read()
        assert reply.headers["Content-Type"] == "application/gzip"
    count = (await client("GET", "accounts/$count")).text
    for row in list(dataverse.scan("account"))[:3]:
        await client("DELETE", f"accounts({row.id})")
    assert (await client("PUT", page, data=b"nonsense")).status == 400
    assert (await client("GET", "accounts/$count")).text != count
    assert (await client("PUT", page, data=content)).status == 200
    assert (await client("GET", "accounts/$count")).text == count


async def test_a_snapshot_can_be_put_into_another_server(client: Client) -> None:
    made = await client.create("accounts", {"name": "moved"})
    async with client.session.get(f"{client.server.url}/_emulator/snapshot") as reply:
        content = await reply.read()
    async with EmulatorServer(organisation()) as other:
        await client("PUT", f"{other.url}/_emulator/snapshot", data=content)
        answer = await client("GET", f"{other.url}/api/data/v9.2/accounts({made})")
        assert answer.json["name"] == "moved"


def test_the_command_begins_with_a_snapshot(tmp_path: Path, dataverse: Dataverse) -> None:
    file = tmp_path / "organisation.snapshot"
    file.write_bytes(write_snapshot(dataverse))
    begun = command_organisation(1000, 1, None, read_begin(file))
    assert everything(begun) == everything(dataverse)
    with pytest.raises(StorageError, match="cannot begin with a snapshot: the file cannot be"):
        command_organisation(1000, 1, None, b"nonsense")
    with pytest.raises(StorageError, match=r"nowhere cannot be read: No such file"):
        read_begin(tmp_path / "nowhere")


def test_definitions_from_a_snapshot_are_newer_than_those_that_were_there(
    dataverse: Dataverse,
) -> None:
    """Answers are kept by the version of the definitions: it must not mean two things."""
    ann = dataverse.security.user_of("demo-token")
    assert ann is not None
    old = write_snapshot(dataverse)
    dataverse.secure("account", "name", hidden_from=ann)
    dataverse.secure("account", "fax", hidden_from=ann)
    version = dataverse.metadata.version
    read_snapshot(dataverse, old)
    assert dataverse.metadata.version > version
    assert not dataverse.metadata.tables["account"].by_name["name"].secured
