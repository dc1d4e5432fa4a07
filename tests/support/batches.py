"""``$batch`` as clients write it, and its reply taken apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Answer(Protocol):
    """What came back."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def text(self) -> str: ...


def part(method: str, url: str, body: object = None, **headers: str) -> str:
    """Return an application/http part as Microsoft's SDK writes it."""
    lines = [f"{method} {url} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append("Content-Type: application/json; type=entry")
    return "\r\n".join([*lines, "", json.dumps(body) if body is not None else ""])


def operation(method: str, url: str, body: object = None, **headers: str) -> str:
    head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    return head + part(method, url, body, **headers)


def change_set(*parts: str) -> str:
    numbered = "".join(
        "--changeset_c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
        f"Content-ID: {number}\r\n\r\n{one}\r\n"
        for number, one in enumerate(parts, 1)
    )
    return f'Content-Type: multipart/mixed; boundary="changeset_c"\r\n\r\n{numbered}--changeset_c--'


def batch(*items: str) -> str:
    return "".join(f"--batch_b\r\n{item}\r\n" for item in items) + "--batch_b--\r\n"


@dataclass
class Part:
    """One part of a reply, and what is inside it when it is a change set."""

    head: dict[str, str]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    inner: list[Part] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def read(answer: Answer) -> list[Part]:
    """Return the parts of a reply."""
    kind, _, boundary = answer.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/mixed"
    assert boundary.startswith("batchresponse_")
    return read_parts(answer.text, boundary)


def read_parts(text: str, boundary: str) -> list[Part]:
    first, *parts, last = text.split(f"--{boundary}")
    assert (first, last.strip()) == ("", "--")
    return [read_part(part.removeprefix("\r\n").removesuffix("\r\n")) for part in parts]


def read_part(text: str) -> Part:
    head, _, rest = text.partition("\r\n\r\n")
    found = Part(read_headers(head))
    kind, _, boundary = found.head["Content-Type"].partition("; boundary=")
    if kind == "multipart/mixed":
        assert boundary.startswith("changesetresponse_")
        found.inner = read_parts(rest.strip(), boundary)
        return found
    top, _, found.text = rest.partition("\r\n\r\n")
    line, _, headers = top.partition("\r\n")
    found.status = int(line.split(" ")[1])
    found.headers = read_headers(headers)
    return found


def read_headers(text: str) -> dict[str, str]:
    pairs = (line.partition(": ") for line in text.split("\r\n") if line)
    return {name: value for name, _, value in pairs}
