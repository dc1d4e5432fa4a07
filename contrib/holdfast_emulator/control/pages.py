"""The pages under ``/_emulator/``: faults, trace and reset, to steer the emulator from outside.

Invariant: nothing here is part of Dataverse; no token is asked for and nothing is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import web

from holdfast_emulator.control.injection import FaultPlan, describe, read_fault


@dataclass(frozen=True, slots=True)
class ControlPages:
    """Answers requests for the control pages of one emulator."""

    faults: FaultPlan
    trace: Callable[[], list[Mapping[str, object]]]
    reset: Callable[[], bool]

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        match request.method, request.match_info["what"]:
            case "POST", "faults":
                return await self._add(request)
            case "GET", "faults":
                return self._pending()
            case "DELETE", "faults":
                self.faults.clear()
                return self._pending()
            case "GET", "trace":
                return self._trace()
            case "POST", "reset":
                return _json({"rows": self.reset()})
            case _:
                return _json({"error": "there are faults, trace and reset"}, 404)

    async def _add(self, request: web.Request) -> web.Response:
        try:
            self.faults.add(read_fault(await request.read()))
        except ValueError as error:
            return _json({"error": str(error)}, 400)
        return self._pending()

    def _pending(self) -> web.Response:
        return _json([describe(fault) for fault in self.faults.pending])

    def _trace(self) -> web.Response:
        trace = self.trace()
        missing = sorted({str(one["unsupported"]) for one in trace if one["unsupported"]})
        return _json({"requests": trace, "unsupported": missing})


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(content), content_type="application/json"
    )
