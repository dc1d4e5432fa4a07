"""Several clients at once: no change is lost, and nobody sees half of a change set."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from support.batches import batch, change_set, part

if TYPE_CHECKING:
    from contrib.emulator.conftest import Answer, Client

TOKENS = ("demo-token", "office-token")
STILL = [f"0a0a0a0a-0000-4000-8000-00000000001{number}" for number in range(8)]
MOVING = [f"0a0a0a0a-0000-4000-8000-00000000000{number}" for number in range(6)]
PAIR = MOVING[:2]
ROUNDS = 60


def fine(answer: Answer) -> bool:
    """Tell whether a write was done; the only other answers are refusals that were asked for."""
    assert answer.status in (200, 204, 404, 412), answer.text
    return answer.status < 300


class Writer:
    """Writes a few rows in all ways there are."""

    def __init__(self, client: Client, token: str) -> None:
        self._client = client
        self._token = token
        self._dice = random.Random(token)

    async def run(self) -> None:
        for number in range(ROUNDS):
            row = self._dice.choice(MOVING[2:])
            mark = f"{self._token} {number}"
            await self._dice.choice((self.upsert, self.replace, self.delete, self.both))(row, mark)

    async def upsert(self, row: str, mark: str) -> None:
        fine(await self._send("PATCH", f"accounts({row})", {"fax": mark}))

    async def replace(self, row: str, mark: str) -> None:
        known = await self._send("GET", f"accounts({row})?$select=fax")
        if known.status == 200:
            etag = known.headers["ETag"]
            fine(await self._send("PATCH", f"accounts({row})", {"fax": mark}, If_Match=etag))

    async def delete(self, row: str, _: str) -> None:
        fine(await self._send("DELETE", f"accounts({row})"))

    async def both(self, row: str, mark: str) -> None:
        """Write two rows together, and sometimes a third that is not there."""
        parts = [part("PATCH", f"accounts({one})", {"fax": mark}) for one in PAIR]
        if self._dice.random() < 0.5:
            parts.append(part("PATCH", f"accounts({row})", {"fax": mark}, If_Match="*"))
        kind = "multipart/mixed; boundary=batch_b"
        body = batch(change_set(*parts))
        answer = await self._client(
            "POST", "$batch", data=body, token=self._token, Content_Type=kind
        )
        assert answer.status in (200, 404), answer.text

    async def _send(self, method: str, target: str, body: object = None, **headers: str) -> Answer:
        return await self._client(method, target, body, token=self._token, **headers)


class Follower:
    """Keeps a copy by deltas, two items a page."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._link = "accounts?$select=fax"
        self.copy: dict[str, str] = {}

    async def pull(self) -> None:
        prefer = "odata.maxpagesize=2"
        if "$deltatoken=" not in self._link:
            prefer += ",odata.track-changes"
        seen: set[str] = set()
        link: str | None = self._link
        while link:
            answer = await self._client("GET", link, Prefer=prefer)
            assert answer.status == 200, answer.text
            for item in answer.value:
                self._take(item, seen)
            link = answer.json.get("@odata.nextLink")
            self._link = answer.json.get("@odata.deltaLink", self._link)

    def _take(self, item: dict[str, Any], seen: set[str]) -> None:
        if "reason" not in item:
            self.copy[item["accountid"]] = item["@odata.etag"]
            seen.add(item["accountid"])
        elif item["id"] not in seen:  # a row that came back is in both lists
            self.copy.pop(item["id"], None)


async def page_through(client: Client) -> None:
    """Read all rows, three a page: those that nobody touches are there, each once."""
    found: list[str] = []
    link: str | None = "accounts?$select=fax"
    while link:
        answer = await client("GET", link, Prefer="odata.maxpagesize=3")
        found += [row["accountid"] for row in answer.value]
        link = answer.json.get("@odata.nextLink")
    assert len(found) == len(set(found))
    assert set(STILL) <= set(found)


async def look_at_pair(client: Client) -> None:
    """Read the rows that are only ever written together."""
    either = " or ".join(f"accountid eq {row}" for row in PAIR)
    answer = await client("GET", f"accounts?$select=fax&$filter={either}")
    assert len({row["fax"] for row in answer.value}) == 1


@pytest.fixture
async def rows(client: Client) -> None:
    for row in (*STILL, *MOVING):
        await client.create("accounts", {"accountid": row, "fax": "0"})


@pytest.mark.usefixtures("rows")
async def test_who_follows_and_who_reads_while_others_write_misses_nothing(client: Client) -> None:
    follower = Follower(client)
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            await follower.pull()
            await page_through(client)
            await look_at_pair(client)

    async with asyncio.TaskGroup() as everyone:
        everyone.create_task(read())
        async with asyncio.TaskGroup() as writers:
            for token in TOKENS:
                writers.create_task(Writer(client, token).run())
        done.set()
    await follower.pull()
    final = await client("GET", "accounts?$select=fax")
    assert follower.copy == {row["accountid"]: row["@odata.etag"] for row in final.value}
    assert set(follower.copy) >= set(STILL)


@pytest.mark.usefixtures("rows")
async def test_no_update_on_a_condition_is_lost(client: Client) -> None:
    row = f"accounts({MOVING[0]})"
    await client("PATCH", row, {"numberofemployees": 0})

    async def count(token: str) -> None:
        left = 25
        while left:
            known = await client("GET", row, token=token)
            values = {"numberofemployees": known.json["numberofemployees"] + 1}
            etag = known.headers["ETag"]
            left -= fine(await client("PATCH", row, values, token=token, If_Match=etag))

    async with asyncio.TaskGroup() as counters:
        for token in (*TOKENS, *TOKENS):
            counters.create_task(count(token))
    assert (await client("GET", row)).json["numberofemployees"] == 100
