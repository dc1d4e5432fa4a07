"""Requests reduced to their shape, as ``tests/data/requests_of_*.txt`` lists them.

A line is method, path, options, what it was answered with, the headers that mean something, and how
often it was seen: ``GET /{set}(GUID)?$select  [304]  {If-None-Match: ETAG}  x1``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

DATA: Final = Path(__file__).parents[1] / "data"
_GUID: Final = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_LINE: Final = re.compile(
    r"(?P<what>\S+ \S+)  \[(?P<statuses>[\d,]+)\]  (?:\{(?P<headers>.*)\}  )?x\d+"
)
_PLAIN: Final = frozenset({"", "application/json"})
_MEANINGFUL: Final = (
    *("consistency", "content-range", "content-type", "if-match", "if-none-match"),
    *("mscrm.mergelabels", "mscrmcallerid", "prefer", "range"),
    *("x-ms-file-name", "x-ms-transfer-mode"),
)


@dataclass(frozen=True)
class Shape:
    """What a request looked like, without the answer."""

    what: str
    headers: frozenset[str]

    def __str__(self) -> str:
        return f"{self.what}  {{{'; '.join(sorted(self.headers))}}}"


@dataclass(frozen=True)
class Listed:
    """One line of a list: a shape and every status it was answered with."""

    shape: Shape
    statuses: frozenset[int]


def listed(name: str) -> list[Listed]:
    """Return the lines of a list."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [_listed(line) for line in lines if line]


def _listed(line: str) -> Listed:
    found = _LINE.fullmatch(line)
    assert found, line
    headers = re.split(r"; (?=[A-Z]|x-ms-)", found["headers"] or "")
    statuses = frozenset(int(status) for status in found["statuses"].split(","))
    return Listed(
        Shape(found["what"], frozenset(header.lower() for header in headers if header)), statuses
    )


def seen(trace: Iterable[Mapping[str, Any]]) -> dict[Shape, set[int]]:
    """Return the shapes of the requests in an emulator's trace, with their statuses."""
    found: dict[Shape, set[int]] = {}
    for one in trace:
        if not one["batch"]:
            shape = shape_of(one["method"], one["url"], one["headers"])
            found.setdefault(shape, set()).add(one["status"])
    return found


def shape_of(method: str, url: str, headers: Mapping[str, str]) -> Shape:
    """Return the shape of one request; the URL is what follows the service root."""
    path, _, query = url.partition("?")
    named = (f"{name}: {_form(name, headers[name])}" for name in _MEANINGFUL if name in headers)
    return Shape(
        f"{method} /{_path(unquote(path))}{_options(query)}",
        frozenset(one.lower() for one in named if not one.endswith(": ")),
    )


def _path(path: str) -> str:
    first, *rest = re.sub(_GUID, "GUID", path).strip("/").split("/")
    first = re.sub(r"^[a-z]\w*", "{set}", first)
    return re.sub(r"'((?:[^']|'')*)'", _value, "/".join([first, *rest]))


def _value(quoted: re.Match[str]) -> str:
    return "'" + "''".join("V" for _ in quoted[1].split("''")) + "'"


def _options(query: str) -> str:
    names = sorted({unquote(part.partition("=")[0]) for part in query.split("&") if part})
    return f"?{','.join(names)}" if names else ""


def _form(name: str, value: str) -> str:
    match name:
        case "content-type":
            kind = re.sub(r"boundary=.*", "boundary=…", value)
            return "" if kind in _PLAIN else kind
        case "if-match" | "if-none-match":
            return "ETAG" if value.startswith("W/") else value
        case "content-range":
            return "bytes a-b/n"
        case "mscrmcallerid":
            return "GUID"
        case "x-ms-file-name":
            return "NAME"
        case _:
            return value
