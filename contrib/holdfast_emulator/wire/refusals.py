"""What a refusal says: code and message, and more to who asks for annotations.

Invariant: an annotation is there only where ``Prefer`` asks for it, by name, by pattern or by
``*``; code and message are always there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.wire.calls import Call, Reply, encode
from holdfast_emulator.wire.options import preferences

_CDS: Final = "Microsoft.PowerApps.CDS."
_HELP: Final = (
    "http://go.microsoft.com/fwlink/?LinkID=398563&error=Microsoft.Crm.CrmException%3a"
    "{code}&client=platform"
)


def refused(call: Call, fault: DataverseFault) -> Reply:
    """Return the reply to a call that is refused."""
    wants = preferences(call.headers.get("prefer", "")).wants
    error = {"code": fault.code, "message": fault.message}
    more = {f"@{name}": value for name, value in _details(fault) if wants(name)}
    return Reply(fault.status, encode({"error": error | more}))


def _details(fault: DataverseFault) -> Iterator[tuple[str, str]]:
    yield f"{_CDS}ErrorDetails.OperationStatus", "0"
    yield f"{_CDS}ErrorDetails.SubErrorCode", "0"
    yield f"{_CDS}HelpLink", _HELP.format(code=fault.code.removeprefix("0x"))
    yield f"{_CDS}TraceText", fault.message
    yield f"{_CDS}InnerError.Message", fault.message
