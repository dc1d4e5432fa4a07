"""A replica whose file breaks under it: the sync stops, and what was not sent can be had."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast._tables import FORMAT
from holdfast.errors import (
    ProfileError,
    ReplicaTooNew,
    StorageDamaged,
    StorageError,
    StorageMissing,
)
from holdfast.testing import MemoryServer
from holdfast.values import Reference
from holdfast_cli import main
from support.world import ACCOUNT, CONTACT

PAGE = 16384


def profile(path: Path, server: MemoryServer) -> dict[str, Any]:
    return {
        "storage": {"driver": "sqlite", "path": str(path)},
        "transport": {"driver": "memory", "server": server, "user": "user-1"},
        "profile": {"tables": [{"name": "account"}, {"name": "contact"}]},
    }


async def edited(path: Path) -> tuple[MemoryServer, list[str]]:
    """Make a replica with edits that were not sent; return the server and the ids of the ops."""
    server = MemoryServer([ACCOUNT, CONTACT], page_size=100)
    for number in range(400):
        server.create("account", {"name": f"{number} {'x' * 40}", "telephone1": "1"})
    ada = server.create("contact", {"fullname": "Ada"})
    async with holdfast.open(profile(path, server)) as replica:
        await replica.download()
        accounts = replica.table("account")
        for number in range(150):
            new = {"name": f"new {number}", "revenue": number, "primarycontactid": ada}
            await accounts.create(new)
        return server, [op.id for op in await replica.pending()]


def page_of(path: Path, needle: bytes) -> int:
    """Return where the last page starts that holds these bytes."""
    return path.read_bytes().rindex(needle) // PAGE * PAGE


def spoil(path: Path, at: int) -> bytes:
    content = bytearray(path.read_bytes())
    content[at : at + PAGE] = b"\xff" * PAGE
    path.write_bytes(content)
    return bytes(content)


async def test_a_sync_stops_at_damage_and_everything_unsent_is_rescued(tmp_path: Path) -> None:
    path = tmp_path / "field.db"
    server, ops = await edited(path)
    root = sqlite_root(path, "account")
    broken = spoil(path, (root - 1) * PAGE)
    with pytest.raises(StorageDamaged, match="keep it as it is, `holdfast rescue`"):
        async with holdfast.open(profile(path, server)) as replica:
            await replica.sync()
    assert path.read_bytes() == broken
    found = await holdfast.rescue({"driver": "sqlite", "path": str(path)})
    assert [op["id"] for op in found.ops] == ops
    assert found.complete
    assert found.damage
    assert path.read_bytes() == broken


def sqlite_root(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as database:
        (root,) = database.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
    return int(root)


async def test_a_damaged_outbox_gives_what_is_left_of_it(tmp_path: Path) -> None:
    path = tmp_path / "field.db"
    _, ops = await edited(path)
    broken = spoil(path, page_of(path, f'"new {70}"'.encode()))
    found = await holdfast.rescue({"driver": "sqlite", "path": "field.db"}, folder=tmp_path)
    ids = [op["id"] for op in found.ops]
    assert not found.complete
    assert 20 < len(ids) < 150
    assert ids == [one for one in ops if one in ids]
    assert path.read_bytes() == broken


async def test_a_rescued_op_says_all_that_is_needed_to_make_it_again(tmp_path: Path) -> None:
    path = tmp_path / "field.db"
    server, ops = await edited(path)
    async with holdfast.open(profile(path, server)) as replica:
        (pending, *_) = await replica.pending()
        found = await holdfast.rescue({"driver": "sqlite", "path": str(path)})  # beside its owner
    op = found.ops[0]
    contact = pending.changes["primarycontactid"]
    assert isinstance(contact, Reference)
    assert op == {
        "id": ops[0],
        "kind": "create",
        "table": "account",
        "row_id": pending.row_id,
        "changes": {
            **{name: op["changes"][name] for name in op["changes"]},  # type: ignore[index,attr-defined]
            "name": "new 0",
            "revenue": "0",
            "primarycontactid": {"table": "contact", "id": contact.id},
        },
        "version": None,
        "state": "pending",
        "attempts": 0,
        "created": pending.created,
    }
    assert json.loads(json.dumps(op)) == op


async def test_changes_that_are_no_json_any_more_are_given_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "field.db"
    await edited(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE _holdfast_outbox SET changes = '{\"na' WHERE sequence = 1")
        database.execute("UPDATE _holdfast_outbox SET changes = '[1]' WHERE sequence = 2")
        database.commit()
    found = await holdfast.rescue({"driver": "sqlite", "path": str(path)})
    assert [op["changes"] for op in found.ops[:2]] == ['{"na', "[1]"]
    assert (found.complete, list(found.damage)) == (True, [])


@pytest.mark.parametrize(
    ("storage", "words"),
    [
        ({}, "storage.driver: is missing"),
        ({"driver": "sqlit"}, "not installed in holdfast.storages"),
        ({"driver": "sqlite"}, "storage.path: is missing"),
        ({"driver": "sqlite", "pth": "x"}, "did you mean 'path'"),
    ],
)
async def test_a_storage_that_cannot_be_meant_is_told(storage: dict[str, Any], words: str) -> None:
    with pytest.raises(ProfileError, match=words):
        await holdfast.rescue(storage)


async def test_what_is_not_there_or_cannot_be_rescued_from_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageMissing):
        await holdfast.rescue({"driver": "sqlite", "path": str(tmp_path / "none.db")})
    with pytest.raises(StorageError, match="a memory storage cannot be rescued from"):
        await holdfast.rescue({"driver": "memory"})


def test_the_command_prints_what_was_rescued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a file, or with a profile that may be wrong everywhere but in its storage."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_PROFILE", raising=False)
    path = tmp_path / "field.db"
    _, ops = asyncio.run(edited(path))
    assert main(["rescue", "field.db"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert [op["id"] for op in document["ops"]] == ops
    assert (document["complete"], document["damage"]) == (True, [])
    assert "150 changes that had not been sent" in err
    spoil(path, page_of(path, b'"new 70"'))
    (tmp_path / "holdfast.toml").write_text('[storage]\ndriver = "sqlite"\npath = "field.db"\n')
    assert main(["rescue"]) == 3
    out, err = capsys.readouterr()
    assert 0 < len(json.loads(out)["ops"]) < 150
    assert "some changes could not be read" in err
    (tmp_path / "holdfast.toml").write_text("[profile]\n")
    assert main(["rescue"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "storage: is missing; or name the file" in err


async def test_a_replica_of_a_newer_holdfast_is_refused_and_can_still_be_rescued_from(
    tmp_path: Path,
) -> None:
    """The numbers of the replica's own tables, not of the file that they are in."""
    path = tmp_path / "field.db"
    server, ops = await edited(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE _holdfast_sqlite_state SET version = 99")
        database.commit()
    before = path.read_bytes()
    for mode in holdfast.OpenMode:
        with pytest.raises(ReplicaTooNew, match=f"99, this holdfast knows {FORMAT}; upgrade"):
            async with holdfast.open(profile(path, server), mode=mode):
                pass
    assert path.read_bytes() == before
    found = await holdfast.rescue({"driver": "sqlite", "path": str(path)})
    assert [op["id"] for op in found.ops] == ops
