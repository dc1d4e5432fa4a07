"""What two sorted streams of ids differ in, with no more in memory than one id of each."""

from __future__ import annotations

from collections.abc import AsyncIterator


async def difference(
    wanted: AsyncIterator[str], present: AsyncIterator[str]
) -> AsyncIterator[tuple[str, bool]]:
    """Yield ``(id, True)`` for ids only in ``wanted``, ``(id, False)`` for those only in the other.

    Both streams ascend; repeated ids count once.
    """
    left, right = await _next(wanted, None), await _next(present, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left < right):
            assert left is not None
            yield left, True
            left = await _next(wanted, left)
        elif left is None or right < left:
            yield right, False
            right = await _next(present, right)
        else:
            left, right = await _next(wanted, left), await _next(present, right)


async def _next(stream: AsyncIterator[str], last: str | None) -> str | None:
    """Return the next id that is not ``last``; None at the end."""
    async for item in stream:
        if item != last:
            return item
    return None
