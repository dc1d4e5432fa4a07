"""Answers of the server, whole or as parts of a batch, and the errors they amount to.

Invariant: text of the server that people will read is short and holds no control characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from holdfast.errors import (
    AccessDenied,
    CheckpointExpired,
    ProtocolError,
    SignInNeeded,
    Throttled,
    TransportError,
    Unreachable,
)
from holdfast.values import canonical_id
from holdfast_dataverse._crowds import refuse_too_many_members

VERSION_EXPIRED: Final = "0x80044352"
NOT_TRACKED: Final = frozenset({"0x80072491", "0x80072492"})
PRIVILEGE_DENIED: Final = "0x80040220"
_LONGEST_MESSAGE: Final = 500
_LONGEST_CODE: Final = 40

#: The ids of an organisation and of a user in it.
Identity: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers with lower-case names, and the decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the server did what was asked."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The content type, without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the server said is wrong; ``code`` is text such as ``0x80040217``, or empty."""

    code: str
    message: str


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""


class _ErrorBody(msgspec.Struct):
    error: _Error


def complaint(answer: Answer) -> Complaint:
    """Read an error body; one that cannot be read says so by its status."""
    try:
        error = msgspec.json.decode(answer.body, type=_ErrorBody).error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return Complaint("", f"HTTP {answer.status}")
    code = legible(error.code.lower())[:_LONGEST_CODE]
    return Complaint(code, legible(error.message) or f"HTTP {answer.status}")


def legible(text: str) -> str:
    """Return server text that can be shown and logged."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return printable[:_LONGEST_MESSAGE].strip()


def asks_to_wait(answer: Answer) -> bool:
    """Tell whether the server turned a request away before it looked at it."""
    return answer.status == 429 or (answer.status == 503 and "retry-after" in answer.headers)


def identity_of(answer: Answer) -> Identity:
    """Return whom the answer to ``WhoAmI`` names.

    :raises TransportError: it names nobody
    """
    found = json_object(answer, "the question who we are")
    try:
        return canonical_id(found.get("OrganizationId")), canonical_id(found.get("UserId"))
    except ValueError as error:
        raise ProtocolError(
            "the server does not say who the caller is; check the URL of the profile"
        ) from error


def json_object(answer: Answer, about: str) -> dict[str, Any]:  # Any: JSON
    """Return the JSON object of a good answer.

    :raises TransportError: the answer is not good, or no JSON object
    """
    require(answer, about)
    refuse_too_many_members(answer.body)
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(
            f"{about}: the answer is no JSON object ({error}); nothing of it was used, "
            "the next sync asks again"
        ) from error


def require(answer: Answer, about: str) -> None:
    """Let a good answer pass.

    :raises TransportError: the one that the answer amounts to
    """
    if not answer.ok:
        raise failure(answer, about)


def failure(answer: Answer, about: str) -> TransportError:
    """Return the error that an answer amounts to."""
    said = complaint(answer)
    text = f"{about}: {said.message}"
    if said.code == VERSION_EXPIRED or answer.status == 410:
        return CheckpointExpired(f"{text}; the table is read anew", code=said.code)
    if said.code in NOT_TRACKED:
        return AccessDenied(f"{text}; turn on change tracking for the table", code=said.code)
    if answer.status == 401:
        return SignInNeeded(f"{about}: the server refused the token; sign in again", code=said.code)
    if answer.status == 403 or said.code == PRIVILEGE_DENIED or "CheckPrivilege" in said.message:
        return AccessDenied(f"{text}; ask an administrator for the right", code=said.code)
    if answer.status == 429:
        return Throttled(60)
    if answer.status in (408, 425) or (answer.status >= 500 and answer.status != 501):
        return Unreachable(f"{text} (HTTP {answer.status}); the next sync tries again")
    return ProtocolError(
        f"{text} (HTTP {answer.status}); nothing was changed here, ask an administrator",
        code=said.code,
    )
