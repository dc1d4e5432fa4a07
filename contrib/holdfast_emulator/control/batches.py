"""Replies to batches with fewer parts, more of them, or in another order.

Invariant: parts move whole, change sets with all that is in them; the boundaries stay right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from holdfast_emulator.wire.calls import Reply


def part_missing(reply: Reply) -> Reply:
    """Return the reply without its last part."""
    return _with_parts(reply, lambda parts: parts[:-1])


def more_parts(reply: Reply) -> Reply:
    """Return the reply with its last part twice."""
    return _with_parts(reply, lambda parts: parts + parts[-1:])


def parts_reversed(reply: Reply) -> Reply:
    """Return the reply with the last part first."""
    return _with_parts(reply, lambda parts: parts[::-1])


def _with_parts(reply: Reply, change: Callable[[list[bytes]], list[bytes]]) -> Reply:
    found = re.search(r'boundary="?([^";]+)', reply.type)
    if not found:
        return reply
    line = b"--" + found[1].encode()
    whole, _, after = reply.body.partition(line + b"--")
    before, *parts = whole.split(line)
    body = b"".join((before, *(line + part for part in change(parts)), line, b"--", after))
    return replace(reply, body=body)
