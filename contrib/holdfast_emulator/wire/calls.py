"""What travels between the HTTP server and the Web API: a call in, a reply out.

Invariant: everything behind these two values is synchronous and knows nothing of sockets, so one
operation of a ``$batch`` is answered by the very code that answers a request of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

import msgspec

from holdfast_emulator.behaviour.faults import BAD_QUERY, DataverseFault, bad_payload
from holdfast_emulator.behaviour.security import User

#: HRESULT E_NOTIMPL: what this emulator answers for the parts of the Web API that it lacks.
NOT_IMPLEMENTED: Final = "0x80004001"
JSON_TYPE: Final = "application/json; odata.metadata=minimal"


class Unsupported(DataverseFault):
    """Raised for a request that Dataverse understands and this emulator does not."""

    def __init__(self, what: str) -> None:
        super().__init__(501, NOT_IMPLEMENTED, f"the emulator does not support {what}")


def bad_query(message: str) -> DataverseFault:
    """Return the fault for a URL that is not understood."""
    return DataverseFault(400, BAD_QUERY, message)


@dataclass(frozen=True, slots=True)
class Call:
    """One operation: a request, or one part of a batch.

    ``path`` is below the service root and decoded, ``query`` is as the client sent it, header names
    are in lower case. ``root`` is the absolute URL of the service. ``references`` are the URLs of
    what the change set has made so far, by Content-ID. ``batched`` marks a part of a batch.
    ``stop_after`` interrupts a batch, as a crash would, when that many of its operations were
    carried out.
    """

    method: str
    path: str
    query: str
    root: str
    user: User
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    references: Mapping[str, str] = field(default_factory=dict)
    batched: bool = False
    stop_after: int | None = None

    def json(self) -> dict[str, Any]:  # Any: what a client wrote
        """Return the body, which must be a JSON object; decimals stay exact."""
        try:
            content = _DECODER.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise bad_payload(self.path, f"{error}") from error
        if not isinstance(content, dict):
            raise bad_payload(self.path, "The payload is no JSON object.")
        return content


@dataclass(frozen=True, slots=True)
class Reply:
    """What an operation is answered with; ``body`` is whole, ``type`` its media type.

    ``entity`` is the path of the row that was written, which is not always in the headers.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    type: str = JSON_TYPE
    entity: str | None = None


def adding(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """Return the reply with more headers."""
    return replace(reply, headers={**reply.headers, **headers})


_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def encode(content: object) -> bytes:
    """Return JSON in which decimals are bare numbers, written exactly."""
    return _ENCODER.encode(content)


def answer(content: object, status: int = 200, **headers: str) -> Reply:
    """Return a JSON reply."""
    return Reply(status, encode(content), headers)


def refusal(fault: DataverseFault) -> Reply:
    """Return the reply that says what was wrong."""
    body = {"error": {"code": fault.code, "message": fault.message}}
    return Reply(fault.status, encode(body))
