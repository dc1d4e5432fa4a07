"""What nobody should send: a refusal in the form of Dataverse comes back soon, nothing else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from holdfast_emulator import Dataverse, EmulatorServer
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.sqlite_rows import SqliteRows
from holdfast_emulator.wire.batch import read_batch
from support.batches import batch, change_set, operation, part

if TYPE_CHECKING:
    from contrib.emulator.conftest import Answer, Client

ID = "0a0a0a0a-0000-4000-8000-000000000001"
LONG = 30_000
#: Success, conditions that did not hold, and refusals; a 500 is a bug.
GOOD = {200, 201, 204, 304}
REFUSED = {400, 403, 404, 405, 412, 413, 415, 501}


@pytest.fixture(params=["memory", "sqlite"])
def dataverse(request: pytest.FixtureRequest) -> Iterator[Dataverse]:
    store = SqliteRows(":memory:") if request.param == "sqlite" else None
    organisation = Dataverse(lambda: datetime(2026, 3, 1, 8, 0, tzinfo=UTC), rows=store)
    yield organisation
    organisation.close()


def check(answer: Answer) -> None:
    assert answer.status in GOOD | REFUSED, (answer.status, answer.text[:300])
    if answer.status in REFUSED and answer.json is not None:
        plain = {name for name in answer.json["error"] if not name.startswith("@")}
        assert plain == {"code", "message"}
        assert answer.json["error"]["message"]
    elif answer.status in REFUSED:
        assert answer.headers["Content-Type"].startswith("multipart/mixed"), answer.text[:300]


PIECES = (
    *("accounts", "contacts", "EntityDefinitions", "RelationshipDefinitions", "WhoAmI", "$batch"),
    *(
        f"({ID})",
        "(name='x')",
        "(",
        ")",
        "()",
        "('",
        "'",
        "/",
        "//",
        "$1",
        "$ref",
        "$count",
        "name",
    ),
    *(
        "_ownerid_value",
        "primarycontactid",
        "Account_Tasks",
        "Attributes",
        "(LogicalName='account')",
    ),
    *("Microsoft.Dynamics.CRM.CreateMultiple", "Microsoft.Dynamics.CRM.PicklistAttributeMetadata"),
    *("$metadata", "..", "@", "*", "\x00", "ø", "{", "}", ";", ":"),
)
OPTIONS: tuple[str, ...] = (
    "$select",
    "$filter",
    "$orderby",
    "$top",
    "$count",
    "$expand",
    "$skiptoken",
)
OPTIONS += ("$deltatoken", "$apply", "fetchXml", "@p1", "tag", "")
WORDS = (
    *("name", "revenue", "statecode", "createdon", "_ownerid_value", "primarycontactid", "nothing"),
    *(" eq ", " ne ", " gt ", " and ", " or ", "not ", " desc", "null", "true", "'x'", "''", "'"),
    *("1", "-1", "1e9", "99999999999999999999", "2026-01-01", "2026-01-01T00:00:00Z", ID, "(", ")"),
    *(
        "contains(",
        "startswith(",
        ",",
        ";",
        "/",
        "any(t:t/",
        "%",
        "[",
        "]",
        "\x00",
        "ø",
        "\U0001d4b3",
        "=",
        "@p",
    ),
    *("Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=[\"1\"])", "$select=name", "*"),
    *(
        '<cookie pagenumber="2" pagingcookie="x" istracking="True" />',
        "1000001!03/01/2026 08:00:00",
    ),
)
VALUES = (
    *("null", "true", "0", "-1", "1e400", "-1e-999999999", "1" + "0" * 400, "9" * 5000, "0.1"),
    *(
        '""',
        '"x"',
        '"1,9"',
        '"2026-01-01"',
        '"9999-12-31T23:59:59-14:00"',
        f'"{ID}"',
        '"/contacts(x)"',
    ),
    *("[]", "{}", '[{"a":1}]', '{"Value":[]}', '"\\ud800"', "NaN", '"$1"', '"\\u0000"', "["),
)
NAMES = (
    *("name", "revenue", "address1_latitude", "numberofemployees", "new_loyaltyscore", "statecode"),
    *(
        "statuscode",
        "accountid",
        "lastonholdtime",
        "new_opensat",
        "new_services",
        "stageid",
        "value",
    ),
    *(
        "creditonhold",
        "primarycontactid@odata.bind",
        "ownerid@odata.bind",
        "Account_Tasks",
        "@odata.id",
    ),
    *(
        "Targets",
        "QuerySet",
        "primarycontactid",
        "entityimage",
        "_ownerid_value",
        "versionnumber",
        "",
    ),
)
HEADERS = (
    *(("If-Match", 'W/"1"'), ("If-Match", "x"), ("If-None-Match", "*"), ("If-None-Match", 'W/"1"')),
    *(("Prefer", "odata.maxpagesize=0"), ("Prefer", "odata.maxpagesize=1,odata.track-changes")),
    *(("Prefer", "return=representation"), ("Prefer", 'odata.include-annotations="*,[z-a],*a*"')),
    *(("Prefer", ';=,,"'), ("Accept", "application/json;odata.metadata=full")),
    *(("Content-Type", "multipart/mixed; boundary=b"), ("Content-Type", "text/plain")),
    *(("MSCRM.SuppressDuplicateDetection", "false"), ("Accept-Encoding", "gzip")),
)
METHODS = ("GET", "GET", "GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE")


class Mischief:
    """Requests out of pieces that mean something, put together without sense."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def some(self, pieces: tuple[str, ...], most: int) -> str:
        return "".join(self._dice.choices(pieces, k=self._dice.randint(0, most)))

    def path(self) -> str:
        return self._dice.choice(("accounts", f"accounts({ID})", "")) + self.some(PIECES, 3)

    def query(self) -> str:
        options = self._dice.choices(OPTIONS, k=self._dice.choice((0, 1, 1, 2)))
        return "&".join(f"{name}={quote(self.some(WORDS, 6))}" for name in options)

    def url(self) -> str:
        query = self.query()
        path = quote(self.path(), safe="()'/$@*{};:=")
        return f"{path}?{query}" if query else path

    def json(self) -> str:
        pairs = [
            f'"{self._dice.choice(NAMES)}":{self._dice.choice(VALUES)}'
            for _ in range(self._dice.randint(0, 3))
        ]
        return "{" + ",".join(pairs) + "}"

    def batch(self) -> str:
        items = [self._item() for _ in range(self._dice.randint(0, 3))]
        text = batch(*items)
        if self._dice.random() < 0.5:
            at = self._dice.randrange(len(text))
            text = text[:at] + self._dice.choice(("", "\r\n", "--b", "\x00", "ø")) + text[at + 3 :]
        return text

    def _item(self) -> str:
        methods = ("GET", "POST", "PATCH", "DELETE", "BREW")
        method = self._dice.choice(methods)
        if self._dice.random() < 0.4:
            return change_set(part(method, self.url(), {"name": "x"}), part("PATCH", "$1", {}))
        return operation(method, self.url(), {"name": "x"})

    def method(self) -> str:
        return self._dice.choice(METHODS)

    def headers(self) -> dict[str, str]:
        return dict(self._dice.sample(HEADERS, self._dice.choice((0, 0, 1, 2))))


async def test_senseless_requests_are_answered_or_refused(client: Client) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})
    mischief = Mischief(1)
    for _ in range(600):
        method, url, headers = mischief.method(), mischief.url(), mischief.headers()
        body = None if method == "GET" else mischief.json()
        answer = await client(method, f"{client.root}{url}", data=body, **headers)
        if method != "HEAD":
            check(answer)


async def test_senseless_batches_are_answered_or_refused(client: Client) -> None:
    mischief = Mischief(2)
    kind = {"Content_Type": "multipart/mixed; boundary=batch_b"}
    for _ in range(300):
        check(await client("POST", "$batch", data=mischief.batch(), **kind))


def cookie(inner: str, *, tracking: bool = False) -> str:
    return quote(f'<cookie pagenumber="2" pagingcookie="{quote(inner)}" istracking="{tracking}" />')


def sorted_by(name: str, cell: str) -> str:
    inner = f'<cookie page="1"><{name} {cell} /><accountid last="{{{ID}}}" first="" /></cookie>'
    return f"$orderby={name}&$skiptoken={cookie(inner)}"


TOKEN = "1000001!03/01/2026 08:00:00"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (sorted_by("versionnumber", 'lastnull="1"'), 200),
        (sorted_by("versionnumber", 'last="9223372036854775807" first=""'), 200),
        (sorted_by("versionnumber", f'last="{"9" * 30}" first=""'), 400),
        (sorted_by("revenue", 'last="NaN" first=""'), 400),
        (sorted_by("revenue", 'last="sNaN" first=""'), 400),
        (sorted_by("revenue", 'last="1e999999999" first=""'), 200),
        (sorted_by("address1_latitude", 'last="nan" first=""'), 200),
        ("$orderby=versionnumber&$filter=versionnumber gt 9223372036854775807", 200),
        ("$deltatoken=", 400),
        (f"$skiptoken={cookie(f'{TOKEN}|1000000|1000000|0', tracking=True)}", 200),
        (f"$skiptoken={cookie(f'{TOKEN}||{ID}|0', tracking=True)}", 200),
        (f"$skiptoken={cookie(f'{TOKEN}|1000000|abc|0', tracking=True)}", 400),
        (f"$skiptoken={cookie(f'{TOKEN}|1000000|{9**30}|0', tracking=True)}", 400),
        (f"$skiptoken={cookie(f'{TOKEN}|1000000||1', tracking=True)}", 400),
        (f"$skiptoken={cookie(f'{TOKEN}||x|0', tracking=True)}", 400),
    ],
)
async def test_a_forged_position_is_a_position_or_refused(
    client: Client, query: str, status: int
) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A", "revenue": 1})
    answer = await client("GET", f"{client.root}accounts?{quote(query, safe='$&=%')}")
    assert answer.status == status, answer.text


SLOW: dict[str, Callable[[], tuple[str, dict[str, str]]]] = {
    "a metadata filter of spaces": lambda: (
        f"EntityDefinitions?$filter=a%20eq%20{'%20' * (LONG // 3)}%0A!",
        {},
    ),
    "a metadata filter with a gap": lambda: (
        f"EntityDefinitions?$filter=a{'+' * (LONG - 100)}b",
        {},
    ),
    "a metadata filter of parentheses": lambda: (
        f"EntityDefinitions?$filter={'(' * (LONG // 2)}{')' * (LONG // 2)}",
        {},
    ),
    "a filter of parentheses": lambda: (f"accounts?$filter={'(' * LONG}", {}),
    "a filter of negations": lambda: (f"accounts?$filter={'not+' * (LONG // 4)}true", {}),
    "a path of parentheses": lambda: (f"{'accounts(' * (LONG // 9)}", {}),
    "an expansion of expansions": lambda: (f"accounts?$expand={'createdby(' * (LONG // 10)}", {}),
    "a preference of spaces": lambda: ("accounts", {"Prefer": "a" + " " * 8000 + '"'}),
    "a preference of patterns": lambda: (
        "accounts",
        {"Prefer": f'odata.include-annotations="{"*a" * 3900}"'},
    ),
}


@pytest.mark.parametrize("what", sorted(SLOW))
async def test_a_long_request_takes_no_longer_than_it_is(client: Client, what: str) -> None:
    target, headers = SLOW[what]()
    async with asyncio.timeout(5):
        for _ in range(5):
            check(await client("GET", f"{client.root}{target}", **headers))


def test_a_long_request_line_takes_no_longer_than_it_is() -> None:
    head = b"--b\r\nContent-Type: application/http\r\n\r\n"
    for line in (b"GET a" + b" " * 3_000_000 + b"x", b"GET a" + b" HTTP/1.1 " * 300_000 + b"x"):
        with pytest.raises(DataverseFault, match="request line"):
            read_batch("multipart/mixed; boundary=b", head + line + b"\r\n\r\n--b--")


async def exchange(server: EmulatorServer, request: bytes) -> bytes:
    """Send bytes as they are; return all that comes back."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = b"Host: x\r\nConnection: close\r\nAuthorization: Bearer demo-token\r\n"
    writer.write(request.replace(b"HEAD\r\n", head))
    reply = await reader.read()
    writer.close()
    await writer.wait_closed()
    return reply


LINE = b"POST /api/data/v9.2/$batch HTTP/1.1\r\nHEAD\r\nContent-Length: 5\r\n"


@pytest.mark.parametrize(
    "header",
    [
        b"Prefer: odata.include-annotations=\xff",
        b"Content-Encoding: gzip",
        b"Content-Type: multipart/mixed; boundary=\xff",
    ],
)
async def test_bytes_that_are_no_text_are_refused(server: EmulatorServer, header: bytes) -> None:
    reply = await exchange(server, LINE + header + b"\r\n\r\nhello")
    assert reply.startswith(b"HTTP/1.1 400 "), reply
    assert b'{"error":{"code":"0x80060888"' in reply
