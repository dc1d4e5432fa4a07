"""The least that the work can cost: what a program does that knows one table and keeps no promise.

They are as fast as we know how to make them, and stand beside every figure. None of them protects
what a user typed, waits until its page is durable, keeps decimals exact or resumes.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import orjson
from isal import igzip
from organisation import COLUMNS, FIRST_PAGE, TOKEN, WIRE_NAMES

PREFER: Final = {"Prefer": "odata.track-changes,odata.maxpagesize=5000", "Accept-Encoding": "gzip"}
_INTEGERS: Final = {
    *("numberofemployees", "industrycode", "accountcategorycode", "statecode", "statuscode"),
}
_REALS: Final = {
    *("address1_latitude", "revenue", "creditlimit", "new_loyaltyscore", "exchangerate"),
}
_BOOLEANS: Final = {"creditonhold", "donotemail"}


def _declared(name: str) -> str:
    if name in _INTEGERS or name in _BOOLEANS:
        return "INTEGER"
    return "REAL" if name in _REALS else "TEXT"


TABLE: Final = (
    "CREATE TABLE account ("
    + ", ".join(
        f"{name} {_declared(name)}" + (" PRIMARY KEY NOT NULL" if name == "accountid" else "")
        for name in COLUMNS
    )
    + ", etag TEXT)"
)
INSERT: Final = (
    f"INSERT INTO account VALUES ({', '.join('?' * (len(COLUMNS) + 1))}) "
    "ON CONFLICT (accountid) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*COLUMNS[1:], "etag"))
)


def connected(path: Path, *pragmas: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in (*pragmas, "journal_mode = WAL"):
        database.execute(f"PRAGMA {pragma}")
    if not database.execute("SELECT 1 FROM sqlite_schema").fetchone():
        database.execute(TABLE)
    return database


# --- plain --------------------------------------------------------------------------------------


async def plain(origin: str, path: Path) -> None:
    """Read page after page: aiohttp, orjson, one ``executemany`` in one transaction a page."""
    database = connected(path, "synchronous = NORMAL")
    async with session() as http:
        await read(http, database, origin + FIRST_PAGE)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def session() -> aiohttp.ClientSession:
    """Return what asks for pages."""
    return aiohttp.ClientSession(headers={**TOKEN, **PREFER})


async def read(http: aiohttp.ClientSession, database: sqlite3.Connection, link: str) -> str:
    """Read from a link to the end, and return the link for what comes later."""
    while True:
        async with http.get(link) as reply:
            page = orjson.loads(await reply.read())
        rows = [
            (*(row.get(name) for name in WIRE_NAMES), row["@odata.etag"]) for row in page["value"]
        ]
        database.execute("BEGIN")
        database.executemany(INSERT, rows)
        database.execute("COMMIT")
        if "@odata.nextLink" not in page:
            return str(page["@odata.deltaLink"])
        link = page["@odata.nextLink"]


# --- tuned --------------------------------------------------------------------------------------


def _typed(name: str) -> Any:  # Any: types, for msgspec
    plain_name = name.removeprefix("_").removesuffix("_value")
    if plain_name in _INTEGERS:
        return int | None
    if plain_name in _BOOLEANS:
        return bool | None
    return float | None if plain_name in _REALS else str | None


Row: Final = msgspec.defstruct(
    "Row",
    [
        (f"f{at}", _typed(name), msgspec.field(default=None, name=name))
        for at, name in enumerate((*WIRE_NAMES, "@odata.etag"))
    ],
    gc=False,
)


class Page(msgspec.Struct):
    value: list[Row]  # type: ignore[valid-type]  # made at run time
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")


PAGES: Final = msgspec.json.Decoder(Page)


async def tuned(origin: str, path: Path) -> None:
    """The same with a typed decoder and large pages of the file, network beside SQLite's writes."""
    link = origin + FIRST_PAGE
    pages: queue.Queue[Iterable[Any] | None] = queue.Queue(maxsize=1)
    writer = threading.Thread(target=_write, args=(path, pages))
    writer.start()
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(headers={**TOKEN, **PREFER}, auto_decompress=False) as http:
        while True:
            async with http.get(link) as reply:
                body = await reply.read()
            page = PAGES.decode(igzip.decompress(body))  # type: ignore[no-untyped-call]  # isal
            await loop.run_in_executor(None, pages.put, page.value)
            if page.next_link is None:
                break
            link = page.next_link
    pages.put(None)
    await loop.run_in_executor(None, writer.join)


def _write(path: Path, pages: queue.Queue[Iterable[Any] | None]) -> None:
    database = connected(
        path,
        "page_size = 16384",
        "cache_size = -65536",
        "synchronous = NORMAL",
        "wal_autocheckpoint = 0",
    )
    while (page := pages.get()) is not None:
        database.execute("BEGIN")
        database.executemany(INSERT, map(msgspec.structs.astuple, page))
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


# --- the other way ------------------------------------------------------------------------------


async def send(origin: str, batches: list[dict[str, str]], at_once: int) -> None:
    """Send batches that were made before, so many at a time, and read the answers."""
    left = iter(batches)
    async with aiohttp.ClientSession(headers={**TOKEN, "Accept-Encoding": "gzip"}) as http:

        async def work() -> None:
            for batch in left:
                kind = {"Content-Type": batch["kind"]}
                body = batch["body"].encode()
                url = f"{origin}/api/data/v9.2/$batch"
                async with http.post(url, data=body, headers=kind) as reply:
                    await reply.read()

        await asyncio.gather(*(work() for _ in range(at_once)))
