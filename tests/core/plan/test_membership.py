"""The difference of two sorted streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from hypothesis import given
from hypothesis import strategies as st

from holdfast._plan.membership import difference

_IDS = st.lists(st.sampled_from("abcdefgh"), max_size=12).map(sorted)


async def _stream(items: Iterable[str]) -> AsyncIterator[str]:
    for item in items:
        yield item


async def _all(wanted: Iterable[str], present: Iterable[str]) -> list[tuple[str, bool]]:
    return [item async for item in difference(_stream(wanted), _stream(present))]


@given(_IDS, _IDS)
async def test_it_is_what_sets_say_in_order(wanted: list[str], present: list[str]) -> None:
    missing = {(item, True) for item in set(wanted) - set(present)}
    extra = {(item, False) for item in set(present) - set(wanted)}
    assert await _all(wanted, present) == sorted(missing | extra)


async def test_it_holds_one_id_of_each_stream() -> None:
    read: list[str] = []

    async def noted(items: Iterable[str]) -> AsyncIterator[str]:
        for item in items:
            read.append(item)
            yield item

    found = difference(noted("abcdef"), noted("bdf"))
    assert await anext(found) == ("a", True)
    assert len(read) <= 3
