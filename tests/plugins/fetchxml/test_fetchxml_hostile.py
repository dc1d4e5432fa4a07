"""Broken texts: an answer or a FilterError, never anything else.

``tests/fuzz/fetchxml_queries.py`` does the same for minutes.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import FilterError
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings
from support.crm import ACCOUNT, TABLES
from support.fetchxml_texts import SEEDS, mutated

LANGUAGE = FetchXmlLanguage(FetchXmlSettings())


def judge(text: str) -> bool:
    """Tell whether a text is a filter that can be written; if so, it is read again."""
    try:
        LANGUAGE.parse_selection(text, TABLES)
    except FilterError as error:
        if not 0 <= (error.position or 0) <= len(text):
            raise
    try:
        written = LANGUAGE.render(LANGUAGE.parse(text, ACCOUNT, TABLES), ACCOUNT, TABLES)
    except FilterError:
        return False
    LANGUAGE.parse(written, ACCOUNT, TABLES)
    return True


@settings(max_examples=200, deadline=5000)
@given(st.sampled_from(SEEDS), st.integers(0, 2**32))
def test_a_mutated_query_is_read_or_refused_in_words(text: str, seed: int) -> None:
    judge(mutated(text, random.Random(seed)))


@settings(max_examples=100, deadline=5000)
@given(st.text(max_size=30) | st.text("<>/='\"&;![]-? filter", max_size=30))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    judge(text)


def test_the_seeds_are_queries_before_they_are_broken() -> None:
    assert sum(map(judge, SEEDS)) >= 5
    with pytest.raises(FilterError):
        LANGUAGE.parse_selection("<fetch/>", TABLES)
