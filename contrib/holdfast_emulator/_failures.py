"""What is answered when the emulator itself breaks.

Invariant: no request is answered with a page that Dataverse would not send: what nobody expected is
a 500 in its form, and a line in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from holdfast_emulator.behaviour.faults import unexpected
from holdfast_emulator.wire.calls import refusal

_LOG = logging.getLogger(__name__)


@web.middleware
async def telling_failures(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer a request, or say that it broke the emulator."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, it is told and logged
        _LOG.exception("a request broke", extra={"event": "emulator.request.broke"})
        reply = refusal(unexpected(error))
        return web.Response(
            status=reply.status, body=reply.body, headers={"Content-Type": reply.type}
        )
