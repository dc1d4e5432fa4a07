"""What schemathesis checks of the emulator: no server error, but a 501 that says what is missing.

Invariant: a reply that the emulator gives on purpose passes; whatever else begins with 5 fails.
"""

from __future__ import annotations

import json
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response

NOT_IMPLEMENTED = "0x80004001"


@schemathesis.check
def no_unexpected_server_error(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """Fail for a 5xx, unless it is the 501 of what the emulator lacks."""
    if response.status_code >= 500:
        code = _code(response.content)
        assert (response.status_code, code) == (501, NOT_IMPLEMENTED), response.content[:500]


def _code(content: bytes) -> str | None:
    try:
        return str(json.loads(content)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return None
