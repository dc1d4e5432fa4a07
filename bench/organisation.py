"""A server that sends bytes which were made before: what is measured is never the server.

    python bench/organisation.py 100000         prints its address, serves until it is stopped

The emulator describes the tables, once; each of its answers is kept and sent again as it was. The
rows of the one table are those of the emulator, each with an id, a version and a name of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import re
from collections.abc import Iterator, Mapping
from typing import Final

import aiohttp
import msgspec
from aiohttp import web
from isal import igzip

from holdfast_emulator.testing import EmulatorThread

API: Final = "/api/data/v9.2/"
PAGE: Final = 5_000
COLUMNS: Final = (
    *("accountid", "name", "accountnumber", "telephone1", "fax", "emailaddress1", "websiteurl"),
    *("address1_line1", "address1_postalcode", "address1_city", "address1_country"),
    *("address1_latitude", "numberofemployees", "revenue", "creditlimit", "creditonhold"),
    *("donotemail", "industrycode", "accountcategorycode", "new_loyaltyscore"),
    *("lastonholdtime", "new_opensat", "primarycontactid", "parentaccountid", "stageid"),
    *("statecode", "statuscode", "exchangerate", "createdon", "modifiedon"),
)
LOOKUPS: Final = frozenset({"primarycontactid", "parentaccountid"})
WIRE_NAMES: Final = tuple(f"_{c}_value" if c in LOOKUPS else c for c in COLUMNS)
FIRST_PAGE: Final = f"{API}accounts?$select={','.join(WIRE_NAMES)}"
TOKEN: Final = {"Authorization": "Bearer demo-token"}
#: Tables of a profile in which nothing happens.
TABLES: Final = tuple(f"new_table{number}" for number in range(50))
#: How many rows each delta brings.
CHANGES: Final = 10
_WAY_ON: Final = re.compile(r"\$(skip|delta)token=(\d+)")
_BOUNDARY: Final = re.compile(r"boundary=(\S+)")
_UPDATE: Final = re.compile(rb"PATCH /api/data/v9.2/accounts\(([-0-9a-f]+)\)[^\r]*\r\n")
_FAX: Final = re.compile(rb'"fax":"([^"]*)"')
_TRACKED: Final = "odata.track-changes"
_KEPT_HEADERS: Final = ("Content-Type", "OData-Version")


class Rows:
    """Makes rows, the same ones in every run."""

    def __init__(self, ends: list[str]) -> None:
        self._ends = ends

    def ids(self, count: int) -> Iterator[str]:
        """Yield random ids, the same ones each time."""
        chance = random.Random(1)
        for _ in range(count):
            text = f"{chance.getrandbits(128):032x}"
            yield f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def text(self, number: int, row_id: str, version: int) -> str:
        """Return a row as the server writes it."""
        return (
            f'{{"@odata.etag":"W/\\"{version}\\"","accountid":"{row_id}",'
            f'"name":"Ny Båtservice {number} AS","accountnumber":'
            + self._ends[number % len(self._ends)]
        )


class Organisation:
    """What is sent, and the way to the emulator for what nobody has asked before."""

    def __init__(self, emulator: str, rows: Rows, count: int) -> None:
        self.origin = ""
        self._emulator = emulator
        self._rows = rows
        self._count = count
        self._pages: list[bytes] = []
        self._ids: list[str] = []
        self._known: dict[str, int] = {}
        self._kept: dict[tuple[str, str, str, bytes], tuple[int, dict[str, str], bytes]] = {}
        self._version = itertools.count(count + 1)
        self._asked_for = 0
        self._batches: list[tuple[str, bytes]] = []
        self._recording = False

    def fill(self) -> None:
        """Make all pages."""
        self._ids = list(self._rows.ids(self._count))
        for at in range(0, self._count, PAGE):
            texts = [
                self._rows.text(number, row_id, number + 1)
                for number, row_id in enumerate(self._ids[at : at + PAGE], at)
            ]
            more = at + PAGE < self._count
            token = f"$skiptoken={at // PAGE + 1}" if more else "$deltatoken=1"
            self._pages.append(self._page(texts, token))

    def _page(self, texts: list[str], token: str) -> bytes:
        kind = "next" if "skip" in token else "delta"
        body = (
            f'{{"@odata.context":"{self.origin}{API}$metadata#accounts","value":'
            f'[{",".join(texts)}],"@odata.{kind}Link":"{self.origin}{API}accounts?{token}"}}'
        )
        return igzip.compress(body.encode(), 1)

    async def rows(self, request: web.Request) -> web.StreamResponse:
        """Send a page, or a delta, which brings other versions each time."""
        if _TRACKED in request.headers.get("Prefer", ""):
            self._asked_for += 1
            found = _WAY_ON.search(request.query_string.replace("%24", "$"))
            kind, number = (found[1], int(found[2])) if found else ("skip", 0)
            body = self._pages[number] if kind == "skip" else self._delta(number)
            headers = {"Content-Encoding": "gzip", "Preference-Applied": "odata.track-changes"}
            return web.Response(body=body, content_type="application/json", headers=headers)
        return await self.asked(request)

    def _delta(self, number: int) -> bytes:
        changed = enumerate(self._ids[:CHANGES])
        texts = [self._rows.text(at, row_id, next(self._version)) for at, row_id in changed]
        return self._page(texts, f"$deltatoken={number + 1}")

    async def batch(self, request: web.Request) -> web.StreamResponse:
        """Answer a batch of updates with the rows as they are then; others are the emulator's."""
        body = await request.read()
        targets = list(_UPDATE.finditer(body))
        if not targets:
            return await self.asked(request)
        if self._recording:
            self._batches.append((request.headers["Content-Type"], body))
        parts = []
        faxes = _FAX.findall(body)
        for target, fax in zip(targets, faxes, strict=True):
            row_id = target[1].decode()
            text = self._rows.text(self._number(row_id), row_id, next(self._version)).encode()
            row = re.sub(rb'"fax":(?:null|"[^"]*")', b'"fax":"' + fax + b'"', text)
            parts.append(
                b"--reply\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary"
                b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n%b\r\n" % row
            )
        return web.Response(
            body=b"".join(parts) + b"--reply--\r\n",
            headers={"Content-Type": "multipart/mixed; boundary=reply"},
        )

    def _number(self, row_id: str) -> int:
        if not self._known:
            self._known = {known: number for number, known in enumerate(self._ids)}
        return self._known[row_id]

    async def update(self, request: web.Request) -> web.Response:
        """Answer a single update as one of a batch."""
        await request.read()
        row_id = request.match_info["row"]
        text = self._rows.text(self._number(row_id), row_id, next(self._version))
        return web.Response(text=text, content_type="application/json")

    async def ids(self, _: web.Request) -> web.Response:
        """Tell the ids of all rows."""
        return web.Response(body=msgspec.json.encode(self._ids))

    async def pages(self, _: web.Request) -> web.Response:
        """Tell how many pages were asked for since this was asked last."""
        asked, self._asked_for = self._asked_for, 0
        return web.Response(text=str(asked))

    async def record(self, _: web.Request) -> web.Response:
        """Keep the batches of updates from now on, and only those."""
        self._batches, self._recording = [], True
        return web.Response()

    async def recorded(self, _: web.Request) -> web.Response:
        """Tell the batches that were kept, and keep no others."""
        self._recording = False
        told = [{"kind": kind, "body": body.decode()} for kind, body in self._batches]
        return web.Response(body=msgspec.json.encode(told))

    async def asked(self, request: web.Request) -> web.StreamResponse:
        """Send what the emulator answers; it is asked once."""
        body = await request.read()
        boundary = _BOUNDARY.search(request.headers.get("Content-Type", ""))
        plain = body.replace(boundary[1].encode(), b"") if boundary else body
        preferred = request.headers.get("Prefer", "")
        key = (request.method, request.path_qs, preferred, plain)
        self._asked_for += _TRACKED in preferred
        if key not in self._kept:
            headers = {k: v for k, v in request.headers.items() if k != "Host"}
            async with (
                aiohttp.ClientSession(headers=headers) as http,
                http.request(request.method, self._emulator + request.path_qs, data=body) as reply,
            ):
                answer = (await reply.read()).replace(self._emulator.encode(), self.origin.encode())
                kept = {k: reply.headers[k] for k in _KEPT_HEADERS if k in reply.headers}
                self._kept[key] = (reply.status, kept, answer)
        status, kept, answer = self._kept[key]
        return web.Response(status=status, headers=kept, body=answer)


class Sample(msgspec.Struct):
    """What the emulator has of the table."""

    value: list[msgspec.Raw]


async def ends_of_rows(url: str) -> list[str]:
    """Return each sample row's JSON from behind its name."""
    async with (
        aiohttp.ClientSession(headers=TOKEN) as http,
        http.get(url + FIRST_PAGE) as reply,
    ):
        rows = msgspec.json.decode(await reply.read(), type=Sample).value
    return [bytes(row).decode().split(',"accountnumber":', 1)[1] for row in rows]


async def make_tables(url: str) -> None:
    """Give the emulator tables in which nothing will happen."""
    name = {"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "IsPrimaryName": True}
    async with aiohttp.ClientSession(headers=TOKEN) as http:
        for table in TABLES:
            body = {
                "SchemaName": table,
                "ChangeTrackingEnabled": True,
                "Attributes": [{**name, "SchemaName": "new_Name"}],
            }
            async with http.post(f"{url}{API}EntityDefinitions", json=body) as reply:
                assert reply.status == 204, await reply.text()


async def main(options: Mapping[str, int]) -> None:
    emulator = EmulatorThread(rows=300)
    url = emulator.server.url.rstrip("/")
    await make_tables(url)
    organisation = Organisation(url, Rows(await ends_of_rows(url)), options["rows"])
    application = web.Application(client_max_size=1 << 30)
    application.router.add_get(f"{API}accounts", organisation.rows)
    application.router.add_post(f"{API}$batch", organisation.batch)
    application.router.add_patch(f"{API}accounts({{row}})", organisation.update)
    application.router.add_get("/record", organisation.record)
    application.router.add_get("/recorded", organisation.recorded)
    application.router.add_get("/ids", organisation.ids)
    application.router.add_get("/asked", organisation.pages)
    application.router.add_route("*", "/{path:.*}", organisation.asked)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    organisation.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    organisation.fill()
    print(organisation.origin, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int)
    asyncio.run(main(vars(parser.parse_args())))
