"""Any text is read or refused in words, and what is read is written or refused."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.odata_filters import SEEDS, check, mutated


@pytest.mark.parametrize("text", SEEDS)
def test_a_seed_is_read(text: str) -> None:
    assert check(text) == ("not written" if "holdfast" in text else "read")


@settings(derandomize=True, max_examples=600, deadline=None)
@given(st.integers(0, 2**64))
def test_a_mistyped_filter_is_read_or_refused(seed: int) -> None:
    check(mutated(Random(seed)))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(max_size=40) | st.text("()'/:,=[]. anyorxte1", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    check(text)
