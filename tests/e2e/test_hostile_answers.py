"""Hostile answers between a replica and its server: nothing is lost, the next good sync goes on.

Each answer is met three times: to everything, to the reading of a table alone, and in the place of
the reply to a batch that the server has carried out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import HoldfastError, TransportError, Unreachable
from holdfast.status import IssueKind
from holdfast_emulator import Dataverse, Effect, EmulatorServer, Sample
from support.certificates import authority
from support.field import TOKEN, Field
from support.hostile import Asked, Hostile, hostile, response, sending
from support.hostile_answers import BOMBS, EVERY

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
#: Of what takes long to be cut the transport's own tests meet every kind; here some will do.
SOME_BOMBS = ("gzip of 200 MiB", "gzip of gzip", "br", "gzip that is cut")
ANSWERS = {n: one for n, one in EVERY.items() if n not in BOMBS or n in SOME_BOMBS}
#: They say that nothing was carried out, so they cannot come in the place of a reply: whoever says
#: so of what was carried out makes an edit of one's own look like somebody else's.
LIES = {"refuses the token", "wants a certificate", "asks to wait for ever"}


def everything(_: Asked) -> bool:
    return True


def reading(asked: Asked) -> bool:
    return asked.method == "GET" and "/accounts?" in asked.target


def writing(asked: Asked) -> bool:
    return asked.target.endswith("$batch") and b"PATCH " in asked.raw


WHERE = {"everything": everything, "a page": reading, "the reply to a batch": writing}
#: Only a limit of time ends these, four times over; two of their kind are met everywhere.
ENDLESS = {"continues for ever", "drips chunks"}
TIMED = ENDLESS | {"says nothing", "drips"}


def meetings() -> list[tuple[str, str]]:
    """Return which answer is met where."""
    return [
        (name, where)
        for name in ANSWERS
        for where in WHERE
        if where == "everything"
        or (name not in ENDLESS and (where == "a page" or name not in LIES))
    ]


@dataclass
class Between:
    """A field worker, the good server, and somebody between them."""

    field: Field
    way: Hostile

    async def downloaded(self) -> None:
        async with self.replica() as replica:
            await replica.download()
        self.field.effects.clear()
        self.way.asked.clear()

    def replica(self, url: str | None = None, timeout: float = 20) -> Any:
        """Open the replica."""
        limits = {"timeout": timeout, "max_wait": 0.2, "token": TOKEN}
        self.field.transport = {**limits, "url": url or self.way.url}
        return self.field.replica()


@pytest.fixture
async def between(tmp_path: Path) -> AsyncIterator[Between]:
    heard: list[Field] = []

    def hear(effect: Effect) -> None:
        for one in heard:
            one.hear(effect)

    dataverse = Dataverse(clock=lambda: NOW, on_effect=hear)
    Sample(24, NOW).load(dataverse)
    async with EmulatorServer(dataverse) as server, hostile(sending(), upstream=server.url) as way:
        way.struck = lambda _: False
        field = Field(server, tmp_path / "field.db", tables=[{"name": "account"}])
        heard.append(field)
        yield Between(field, way)


async def rows_of(replica: holdfast.Replica) -> dict[str, object]:
    return {row.id: (row["name"], row["fax"]) async for row in replica.table("account").query()}


async def met(replica: holdfast.Replica) -> HoldfastError | None:
    """Sync, and return the error that it met; None where it is told of otherwise."""
    try:
        report = await replica.sync()
    except HoldfastError as error:
        return error
    return report.failure


@pytest.mark.parametrize(("name", "where"), meetings())
async def test_a_hostile_answer_loses_nothing(between: Between, name: str, where: str) -> None:
    await between.downloaded()
    async with between.replica(timeout=0.3 if name in TIMED else 20) as replica:
        row_id = min(await rows_of(replica))
        await replica.table("account").update(row_id, {"fax": "mine"})
        before = await rows_of(replica)
        between.way.script = ANSWERS[name]
        between.way.struck, between.way.after = WHERE[where], where == "the reply to a batch"
        error = await met(replica)
        assert between.way.hits
        assert error is None or isinstance(error, TransportError)
        assert await rows_of(replica) == before
        if where == "everything":
            assert error is not None
            assert len(await replica.pending()) == 1
            assert not (await replica.status()).synced

    between.way.struck = lambda _: False
    async with between.replica() as replica:
        for issue in await replica.issues():  # a row that made no sense is asked for again
            assert issue.kind is IssueKind.UNREADABLE
            await replica.retry(issue.id)
        assert (await replica.sync()).complete
        assert await replica.pending() == []
        assert await replica.issues() == []
        assert await rows_of(replica) == before
    assert between.field.own_effects() == {("Update", "account", row_id): 1}


@pytest.mark.parametrize("kind", ["signed by nobody", "expired", "of another name"])
async def test_a_certificate_that_does_not_verify_loses_nothing(
    between: Between, kind: str
) -> None:
    """S-02: the work waits, and nothing of it is sent."""
    await between.downloaded()
    tls = {
        "signed by nobody": lambda: authority().context(),
        "expired": lambda: authority().context(days=-1),
        "of another name": lambda: authority().context("evil.example"),
    }[kind]()
    async with hostile(sending(response(b"{}")), tls=tls) as bad:
        async with between.replica(bad.url) as replica:
            row_id = min(await rows_of(replica))
            await replica.table("account").update(row_id, {"fax": "mine"})
            before = await rows_of(replica)
            report = await replica.sync()
            assert isinstance(report.failure, Unreachable)
            assert "certificate" in str(report.failure)
            assert await rows_of(replica) == before
            assert len(await replica.pending()) == 1
        assert bad.asked == []
    async with between.replica() as replica:
        assert (await replica.sync()).complete
    assert between.field.own_effects() == {("Update", "account", row_id): 1}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1:9", "http://localhost:1"])
async def test_a_wrong_url_loses_nothing(between: Between, url: str) -> None:
    await between.downloaded()
    async with between.replica(url) as replica:
        before = await rows_of(replica)
        await replica.table("account").update(min(before), {"fax": "mine"})
        report = await replica.sync()
        assert isinstance(report.failure, Unreachable)
        assert "check the URL" in str(report.failure)
        assert len(await replica.pending()) == 1
        assert set(await rows_of(replica)) == set(before)
    async with between.replica() as replica:
        assert (await replica.sync()).complete


async def test_a_server_of_somebody_else_loses_nothing(between: Between) -> None:
    """A wrong URL behind which another web server answers, kindly."""
    await between.downloaded()
    hello = response(b'{"status":"ok"}')
    async with hostile(sending(hello)) as other, between.replica(other.url) as replica:
        before = await rows_of(replica)
        await replica.table("account").update(min(before), {"fax": "mine"})
        error = await met(replica)
        assert isinstance(error, TransportError)
        assert "who the caller is" in str(error)
        assert len(await replica.pending()) == 1
        assert {one.target for one in other.asked} == {"/api/data/v9.2/WhoAmI"}


@pytest.mark.parametrize("source", ["token", "token_file", "token_env"])
async def test_no_token_is_written_anywhere(
    between: Between, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-05, S-06: with the loosest umask, after good and bad answers, in any file or its name."""
    secret = tmp_path / "elsewhere" / "token"
    secret.parent.mkdir()
    secret.write_text(TOKEN)
    monkeypatch.setenv("HOLDFAST_TEST_TOKEN", TOKEN)
    folder = tmp_path / "replica"
    between.field.path = folder / "field.db"
    given = {"token": TOKEN, "token_file": str(secret), "token_env": "HOLDFAST_TEST_TOKEN"}
    umask = os.umask(0)
    try:
        for script in (None, *(EVERY[n] for n in ("refuses the token", "no page", "drips"))):
            between.way.script = script or sending()
            between.way.struck = everything if script else lambda _: False
            between.field.transport = {"timeout": 0.3, "max_wait": 0.2, "url": between.way.url}
            between.field.transport[source] = given[source]
            async with between.field.replica() as replica:
                await met(replica)
                found = _files(folder, secret.parent)
    finally:
        os.umask(umask)
    assert len(found) >= 2
    for path, (content, mode) in found.items():
        if path != secret:
            assert TOKEN.encode() not in content, path
            assert mode & 0o077 == 0, path
    assert [path for path in found if secret.parent in path.parents] == [secret]


def _files(*folders: Path) -> dict[Path, tuple[bytes, int]]:
    """Return what files hold, and who may read them."""
    paths = [path for top in folders for path in top.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in paths}
