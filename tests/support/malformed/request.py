"""One request as a mistake makes it, and the rows that valid requests are about."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote

#: One row of each table has this id.
ID = "0a0a0a0a-0000-4000-8000-000000000001"
NOBODY = "0a0a0a0a-0000-4000-8000-00000000dead"


@dataclass(frozen=True)
class Request:
    """What is sent, and the mistake in it."""

    why: str
    method: str
    path: str
    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it another request."""
        return self.method, self.path, self.query, self.body, tuple(self.headers.items())

    def __str__(self) -> str:
        return (
            f"{self.why}: {self.method} {self.path[:300]}?{self.query[:300]} "
            f"{dict(self.headers)} {self.body[:300]!r}"
        )


Mistake: TypeAlias = Callable[[random.Random], Request]


def asking(why: str, path: str, **options: str) -> Request:
    """Return a GET with query options; their names are written without the dollar sign."""
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
    return Request(why, "GET", path, query)


def word(dice: random.Random) -> str:
    """Return a name that nothing has."""
    letters = "bcdfghjklmnpqrstvwxz"
    return "zz" + "".join(dice.choices(letters, k=dice.randint(3, 9)))


def number(dice: random.Random) -> str:
    return str(dice.randint(2, 10**6))
