"""Thousands of malformed requests: each is refused with a code and a message, and changes nothing.

The requests are made in ``support.malformed``; a failure names the kind and the number of one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from holdfast_emulator import Dataverse
from holdfast_emulator.wire.api import WebApi
from holdfast_emulator.wire.calls import Call, Reply
from support.batches import read_parts
from support.malformed import KINDS, MANY, corpus
from support.malformed.bodies import JSON, TAKERS
from support.malformed.fetches import valid as valid_fetch
from support.malformed.filters import valid as valid_filter
from support.malformed.mutations import mutated
from support.malformed.request import ID, Request, asking

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

ROOT = "http://127.0.0.1/api/data/v9.2"
#: Those that need no token or id of a file, which only the answer to another request tells.
PLAIN = [taker for taker in TAKERS if taker[1] not in ("UploadBlock", "DeleteFile")]
CHUNK = 500
LONGEST = 30_000  # of a URL: what is longer, the HTTP server refuses in its own words
CHUNKS = [(kind, start) for kind in KINDS for start in range(0, MANY, CHUNK)]
ROWS = (
    ("contact", "contactid", {"lastname": "C"}),
    ("account", "accountid", {"name": "A"}),
    ("task", "activityid", {"subject": "T"}),
    ("opportunity", "opportunityid", {"name": "O"}),
    ("lead", "leadid", {"subject": "L", "lastname": "L"}),
    ("queue", "queueid", {"name": "Q"}),
    ("team", "teamid", {"name": "T"}),
    ("systemuser", "systemuserid", {"domainname": "m", "lastname": "M"}),
)


def populated(dataverse: Dataverse) -> WebApi:
    for table, key, values in ROWS:
        dataverse.create(dataverse.system, table, {key: ID, **values})
    return WebApi(dataverse)


@pytest.fixture
def api(dataverse: Dataverse) -> Iterator[WebApi]:
    yield populated(dataverse)
    dataverse.close()


def ask(api: WebApi, request: Request) -> Reply:
    user = api.dataverse.security.user_of("demo-token")
    assert user
    return api.answer(
        Call(
            *(request.method, request.path, request.query, ROOT, user),
            request.headers,
            request.body,
        )
    )


def state(api: WebApi) -> tuple[object, ...]:
    """Return what every change of the organisation changes."""
    metadata = api.dataverse.metadata
    return (
        *(api.dataverse.version, dict(metadata.tables), len(metadata.relationships)),
        *(len(metadata.many_to_many), len(list(api.dataverse.scan("fileattachment")))),
    )


def told(kind: str, body: str) -> tuple[str, str]:
    """Return code and message of a refusal; of a batch, those of its last part."""
    if kind.startswith("multipart/mixed"):
        boundary = kind.partition("; boundary=")[2]
        last = read_parts(body, boundary)[-1]
        assert 400 <= last.status < 500, body
        body = last.text
    error = json.loads(body)["error"]
    return error["code"], error["message"]


@pytest.mark.parametrize(("kind", "start"), CHUNKS)
def test_every_malformed_request_is_refused(api: WebApi, kind: str, start: int) -> None:
    before = state(api)
    for number, request in enumerate(corpus(kind)[start : start + CHUNK], start):
        reply = ask(api, request)
        which = f"{kind} {number}, {request}: {reply.status} {reply.body[:300]!r}"
        assert 400 <= reply.status < 500, which
        code, message = told(reply.type, reply.body.decode())
        assert code.startswith("0x"), which
        assert message, which
        assert api.dataverse.version == before[0], which
    assert state(api) == before


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_enough_of_each_kind(kind: str) -> None:
    made = corpus(kind)
    assert len({request.identity for request in made}) == len(made) == MANY >= 1000
    corpus.cache_clear()
    assert corpus(kind) == made


@pytest.mark.parametrize("seed", range(4))
def test_bytes_that_are_changed_break_nothing(api: WebApi, seed: int) -> None:
    """Random mutations may still be valid; the emulator answers, or says what it lacks."""
    dice = random.Random(seed)
    for number in range(1000):
        request = mutated(dice)
        reply = ask(api, request)
        which = f"seed {seed}, number {number}, {request}: {reply.status} {reply.body[:300]!r}"
        if reply.type.startswith("application/json") and reply.status >= 400:
            code, message = told(reply.type, reply.body.decode())
            assert (code, message) != ("", ""), which
            assert reply.status < 500 or (reply.status, code) == (501, "0x80004001"), which
        assert reply.status <= 501, which
        assert b"HTTP/1.1 500" not in reply.body, which


async def test_a_sample_is_refused_over_http(client: Client, dataverse: Dataverse) -> None:
    populated(dataverse)
    before = dataverse.version
    sample = [request for kind in KINDS for request in corpus(kind)[:: MANY // 40]]
    assert len(sample) >= 200
    for request in (one for one in sample if len(one.query) < LONGEST):
        url = client.root + quote(request.path, safe="()'/$@*{};:=,")
        url += f"?{request.query}" if request.query else ""
        headers = {name: value for name, value in request.headers.items() if value.strip()}
        answer = await client(request.method, url, data=request.body or None, **headers)
        assert 400 <= answer.status < 500, f"{request}: {answer.status} {answer.text[:300]}"
        assert all(told(answer.headers["Content-Type"], answer.text)), str(request)
    assert dataverse.version == before


@pytest.mark.parametrize("taker", PLAIN, ids=lambda taker: taker[1])
def test_a_body_is_taken_when_there_is_no_mistake_in_it(
    api: WebApi, taker: tuple[str, str, object]
) -> None:
    method, path, body = taker
    reply = ask(api, Request("nothing", method, path, "", json.dumps(body).encode(), JSON))
    assert reply.status < 300, reply.body


def test_a_query_is_answered_when_there_is_no_mistake_in_it(api: WebApi) -> None:
    dice = random.Random(0)
    for _ in range(200):
        for option, text in (("$filter", valid_filter(dice)), ("fetchXml", valid_fetch(dice))):
            reply = ask(api, asking("nothing", "accounts", **{option: text}))
            assert reply.status == 200, (text, reply.body)
