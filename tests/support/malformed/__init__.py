"""Requests that are malformed by construction: thousands of them, the same ones every time.

Invariant: a request is made from a valid one by a mistake that no server may forgive; so a reply
that is no refusal is a bug, and a request whose number is known can be made again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache

from support.malformed import batches, bodies, fetches, filters, urls
from support.malformed.request import Mistake, Request

KINDS: Mapping[str, tuple[Mistake, ...]] = {
    "batch": batches.MISTAKES,
    "filter": filters.MISTAKES,
    "fetch": fetches.MISTAKES,
    "body": bodies.MISTAKES,
    "url": urls.MISTAKES,
}
#: How many requests of each kind there are.
MANY = 2000
_PATIENCE = 50


@cache
def corpus(kind: str) -> tuple[Request, ...]:
    """Return the requests of one kind, all different."""
    return _made(KINDS[kind], random.Random(kind))


def _made(
    mistakes: tuple[Callable[[random.Random], Request], ...], dice: random.Random
) -> tuple[Request, ...]:
    found: dict[tuple[object, ...], Request] = {}
    idle = 0
    while len(found) < MANY:
        before = len(found)
        for mistake in mistakes:
            request = mistake(dice)
            found.setdefault(request.identity, request)
        idle = idle + 1 if len(found) == before else 0
        assert idle < _PATIENCE, f"only {len(found)} different requests"
    return tuple(found.values())[:MANY]
