"""What somebody asks the trace for, as the query of a URL says it.

Invariant: an unknown name or a value of the wrong kind is refused, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.control.trace import Wanted

_COUNT: Final = "wait"
_SECONDS: Final = "seconds"
_LONGEST: Final = 10.0


def read_wanted(query: Mapping[str, str], dataverse: Dataverse) -> tuple[Wanted, int, float]:
    """Return which entries are wanted, how many at least, and how many seconds to wait for them.

    :raises ValueError: the query is not understood
    """
    given: dict[str, Any] = dict(query)  # Any: texts, to be converted
    if len(given) < len(query):  # of a URL, which may repeat a name
        raise ValueError("each name stands once")
    count = _number(given.pop(_COUNT, "0"), int)
    seconds = _number(given.pop(_SECONDS, str(_LONGEST)), float)
    unknown = given.keys() - Wanted.__slots__
    if unknown:
        raise ValueError(f"a trace has no {', '.join(sorted(unknown))}")
    if "user" in given:
        given["user"] = _user_id(dataverse, given["user"])
    wanted = msgspec.convert(given, Wanted, strict=False)
    try:
        re.compile(wanted.path or "")
    except re.error as error:
        raise ValueError(f"path is no regular expression: {error}") from error
    return wanted, count, seconds


def _number(text: str, kind: type[int | float]) -> Any:  # Any: that number
    number = msgspec.convert(text, kind, strict=False)
    if not 0 <= number <= 1e6:
        raise ValueError("a number is between 0 and 1000000")
    return number


def _user_id(dataverse: Dataverse, name: str) -> str:
    """Return the id of who has this name, or what is an id already."""
    return next((user.id for user in dataverse.security.users() if user.name == name), name)
